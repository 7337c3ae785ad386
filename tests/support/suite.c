#include "suite.h"

#include <glib.h>
#include <stdio.h>

struct suite {
    const char *name;
    GArray *tests; /* struct CMUnitTest */
};

static void free_name(void *test)
{
    g_free((char *)((struct CMUnitTest *)test)->name);
}

struct suite *suite_new(const char *name)
{
    struct suite *s = g_new0(struct suite, 1);
    s->name = name;
    s->tests = g_array_new(FALSE, TRUE, sizeof(struct CMUnitTest));
    g_array_set_clear_func(s->tests, free_name);
    return s;
}

void suite_add(struct suite *s, const char *name, CMUnitTestFunction run, void *state)
{
    struct CMUnitTest test = { .name = g_strdup(name), .test_func = run, .initial_state = state };
    g_array_append_val(s->tests, test);
}

static void keep_only(GArray *tests, const char *name)
{
    for (guint i = tests->len; i > 0; i--)
        if (g_strcmp0(g_array_index(tests, struct CMUnitTest, i - 1).name, name) != 0)
            g_array_remove_index(tests, i - 1);
}

int suite_run(struct suite *s, int argc, char **argv)
{
    if (argc > 1)
        keep_only(s->tests, argv[1]);
    if (s->tests->len == 0) {
        printf("1..1\nnot ok 1 - no such test\n");
        return 1;
    }
    int failed = _cmocka_run_group_tests(s->name, (struct CMUnitTest *)(void *)s->tests->data, s->tests->len,
                                         NULL, NULL);
    if (failed != 0)
        printf("# to run just one: %s 'NAME'\n", argv[0]);
    g_array_free(s->tests, TRUE);
    g_free(s);
    return failed != 0;
}
