/* Slices: nothing reads behind the end, and NUL is a byte like any other. */
#include <glib.h>

#include "base/slice.h"
#include "suite.h"

static void check_skip_and_first(void **state)
{
    (void)state;
    struct slice s = slice_str("abcdef");
    assert_true(slice_equal(slice_skip(s, 2), slice_str("cdef")));
    assert_true(slice_equal(slice_first(s, 2), slice_str("ab")));
    assert_int_equal(slice_skip(s, 7).len, 0);
    assert_ptr_equal(slice_skip(s, 7).data, s.data + 6);
    assert_int_equal(slice_first(s, 7).len, 6);
    assert_int_equal(slice_skip(slice_of(NULL, 0), 1).len, 0);
}

struct equal_row {
    const char *name;
    struct slice a, b;
    bool exact, nocase;
};

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        (const uint8_t *)(literal), sizeof(literal) - 1                                                      \
    }
static const struct equal_row equal_rows[] = {
    { "the same", BYTES("abc"), BYTES("abc"), true, true },
    { "another case", BYTES("AbC"), BYTES("aBc"), false, true },
    { "a prefix", BYTES("ab"), BYTES("abc"), false, false },
    { "longer", BYTES("abcd"), BYTES("abc"), false, false },
    { "both empty", BYTES(""), BYTES(""), true, true },
    { "no data at all", { NULL, 0 }, BYTES(""), true, true },
    { "[ is no case of {", BYTES("["), BYTES("{"), false, false },
    { "letters that are not ASCII have no case", BYTES("\xc3\x84"), BYTES("\xc3\xa4"), false, false },
    { "a NUL behind", BYTES("abc\0"), BYTES("abc"), false, false },
};

static void check_equal(void **state)
{
    const struct equal_row *row = *state;
    assert_int_equal(slice_equal(row->a, row->b), row->exact);
    assert_int_equal(slice_equal(row->b, row->a), row->exact);
    g_autofree char *text = slice_dup(row->b);
    assert_int_equal(slice_equal_nocase(row->a, text), row->nocase);
}

static void check_equal_with_nul(void **state)
{
    (void)state;
    assert_true(slice_equal(slice_of("a\0b", 3), slice_of("a\0b", 3)));
    assert_false(slice_equal(slice_of("a\0b", 3), slice_of("a\0c", 3)));
}

static void check_prefix(void **state)
{
    (void)state;
    assert_true(slice_has_prefix_nocase(slice_str("FROM:<a@b>"), "from:"));
    assert_true(slice_has_prefix_nocase(slice_str("from:"), "FROM:"));
    assert_false(slice_has_prefix_nocase(slice_str("from"), "from:"));
    assert_true(slice_has_prefix_nocase(slice_str("x"), ""));
    assert_true(slice_has_prefix_nocase(slice_of(NULL, 0), ""));
}

static void check_find(void **state)
{
    (void)state;
    struct slice s = slice_of("a\nb\nc", 5);
    assert_int_equal(slice_find(s, 0, '\n'), 1);
    assert_int_equal(slice_find(s, 1, '\n'), 1);
    assert_int_equal(slice_find(s, 2, '\n'), 3);
    assert_int_equal(slice_find(s, 4, '\n'), 5);
    assert_int_equal(slice_find(s, 99, '\n'), 5);
    assert_int_equal(slice_find(slice_of(NULL, 0), 0, 'x'), 0);
    assert_int_equal(slice_find(slice_of("a\0b", 3), 0, '\0'), 1);
}

static void check_dup(void **state)
{
    (void)state;
    g_autofree char *text = slice_dup(slice_first(slice_str("abcdef"), 3));
    assert_string_equal(text, "abc");
    g_autofree char *empty = slice_dup(slice_of(NULL, 0));
    assert_string_equal(empty, "");
    g_autofree char *cut = slice_dup(slice_of("a\0b", 3));
    assert_string_equal(cut, "a");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("slice");
    suite_add(s, "skip and first stay inside", check_skip_and_first, NULL);
    suite_add_rows(s, equal_rows, check_equal);
    suite_add(s, "bytes behind a NUL are compared", check_equal_with_nul, NULL);
    suite_add(s, "prefixes without case", check_prefix, NULL);
    suite_add(s, "find from an index", check_find, NULL);
    suite_add(s, "as a C string", check_dup, NULL);
    return suite_run(s, argc, argv);
}
