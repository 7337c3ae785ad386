/* Problems: gathered in order, told with file and line. */
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "suite.h"

static void check_print(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    assert_int_equal(diag_count(&d), 0);
    char file[] = "a.conf";
    diag_add(&d, (struct origin){ file, 3 }, "unknown key %s", "x");
    diag_add(&d, (struct origin){ "--set a.b=1", 0 }, "50%% wrong");
    file[0] = 'b'; /* names are copied */
    diag_add(&d, (struct origin){ file, 1 }, "%s", "percent %s stays");
    assert_int_equal(diag_count(&d), 3);

    g_autofree char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    diag_print(&d, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text, "a.conf:3: unknown key x\n"
                              "--set a.b=1: 50% wrong\n"
                              "b.conf:1: percent %s stays\n");
}

static void check_clear(void **state)
{
    (void)state;
    struct diag d = { 0 };
    diag_clear(&d);
    diag_add(&d, (struct origin){ "f", 1 }, "one");
    diag_clear(&d);
    assert_int_equal(diag_count(&d), 0);
    diag_add(&d, (struct origin){ "f", 2 }, "two");
    assert_int_equal(diag_count(&d), 1);
    diag_clear(&d);
}

static void check_news(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 }, more = { 0 };
    diag_add_news(&d, &more);
    assert_int_equal(diag_count(&d), 0);
    diag_add(&d, (struct origin){ "f", 1 }, "one");
    diag_add(&more, (struct origin){ "f", 1 }, "the same, in other words");
    diag_add(&more, (struct origin){ "f", 11 }, "two: %%s");
    diag_add(&more, (struct origin){ "f", 11 }, "three"); /* both are news */
    diag_add(&more, (struct origin){ 0 }, "four");
    diag_add_news(&d, &more);
    static const char *const expected[] = { "f:1: one", "f:11: two: %s", "f:11: three", "four" };
    assert_int_equal(diag_count(&d), G_N_ELEMENTS(expected));
    for (unsigned i = 0; i < diag_count(&d); i++)
        assert_string_equal(g_ptr_array_index(d.problems, i), expected[i]);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("diag");
    suite_add(s, "told in order, with file and line", check_print, NULL);
    suite_add(s, "cleared, it can be used again", check_clear, NULL);
    suite_add(s, "of two lists, what is news to the first", check_news, NULL);
    return suite_run(s, argc, argv);
}
