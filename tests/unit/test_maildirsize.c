#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "delivery/maildirsize.h"

static const struct row {
    const char *name;
    const char *text;
    int want;
    struct maildirsize what;
} rows[] = {
    { "one line", "1000S\n10 1\n", 0, { 1000, 10, 1, 1 } },
    { "lines are added up", "1000S\n10 1\n20 2\n", 0, { 1000, 30, 3, 2 } },
    { "negative lines", "1000S\n10 2\n-4 -1\n", 0, { 1000, 6, 1, 2 } },
    { "below zero on the way", "1000S\n-4 -1\n10 2\n", 0, { 1000, 6, 1, 2 } },
    { "zero", "1000S\n0 0\n", 0, { 1000, 0, 0, 1 } },
    { "columns", "1000S\n        10    1\n       -4   -1  \n", 0, { 1000, 6, 0, 2 } },
    { "a plus", "1000S\n+10 +1\n", 0, { 1000, 10, 1, 1 } },
    { "both limits", "1000S,5C\n10 1\n", 0, { 1000, 10, 1, 1 } },
    { "both limits, the other way", "5C,1000S\n10 1\n", 0, { 1000, 10, 1, 1 } },
    { "a limit of messages alone", "5C\n10 1\n", 0, { 0, 10, 1, 1 } },
    { "no limits", "\n10 1\n", 0, { 0, 10, 1, 1 } },
    { "limits that are none", "x,S,-1S,1 S,99999999999999999999S,,\n10 1\n", 0, { 0, 10, 1, 1 } },
    { "the largest limit", "18446744073709551615S\n10 1\n", 0, { UINT64_MAX, 10, 1, 1 } },
    { "the largest sum", "1S\n9223372036854775807 1\n", 0, { 1, INT64_MAX, 1, 1 } },
    { "large numbers that cancel out",
      "1S\n9223372036854775807 9223372036854775807\n-9223372036854775807 -9223372036854775807\n",
      0,
      { 1, 0, 0, 2 } },

    { "empty", "", -EBADMSG, { 0 } },
    { "limits without an end", "1000S", -EBADMSG, { 0 } },
    { "nothing but limits", "1000S\n", -EBADMSG, { 0 } },
    { "a last line without an end", "1000S\n10 1\n20 2", -EBADMSG, { 0 } },
    { "an empty line", "1000S\n10 1\n\n", -EBADMSG, { 0 } },
    { "one number", "1000S\n10\n", -EBADMSG, { 0 } },
    { "one number and a blank", "1000S\n10 \n", -EBADMSG, { 0 } },
    { "three numbers", "1000S\n10 1 1\n", -EBADMSG, { 0 } },
    { "words", "1000S\nten one\n", -EBADMSG, { 0 } },
    { "hexadecimal", "1000S\n0x10 1\n", -EBADMSG, { 0 } },
    { "a fraction", "1000S\n1.5 1\n", -EBADMSG, { 0 } },
    { "two signs", "1000S\n--1 1\n", -EBADMSG, { 0 } },
    { "a sign alone", "1000S\n- 1\n", -EBADMSG, { 0 } },
    { "a sign apart", "1000S\n- 1 1\n", -EBADMSG, { 0 } },
    { "CR LF", "1000S\r\n10 1\r\n", -EBADMSG, { 0 } },
    { "a tab", "1000S\n10\t1\n", -EBADMSG, { 0 } },
    { "octets below zero", "1000S\n10 1\n-11 0\n", -EBADMSG, { 0 } },
    { "messages below zero", "1000S\n10 1\n0 -2\n", -EBADMSG, { 0 } },
    { "a number of 64 bits", "1000S\n9223372036854775808 1\n", -EBADMSG, { 0 } },
    { "a number of more", "1000S\n99999999999999999999999999 1\n", -EBADMSG, { 0 } },
    { "a sum that overflows", "1000S\n9223372036854775807 1\n1 1\n", -EBADMSG, { 0 } },
    { "a sum that overflows below", "1000S\n-9223372036854775807 1\n-2 1\n", -EBADMSG, { 0 } },
    { "messages that overflow", "1000S\n1 9223372036854775807\n1 1\n", -EBADMSG, { 0 } },
};

static void parse_row(void **state)
{
    const struct row *row = *state;
    struct maildirsize got = { .limit = 77 };
    assert_int_equal(maildirsize_parse(slice_str(row->text), &got), row->want);
    if (row->want < 0) {
        assert_int_equal(got.limit, 77);
        return;
    }
    assert_true(got.limit == row->what.limit);
    assert_true(got.octets == row->what.octets);
    assert_true(got.messages == row->what.messages);
    assert_int_equal(got.changes, row->what.changes);
}

/* No part of the text but whole lines is one, and none makes it read beyond. */
static void every_beginning(void **state)
{
    (void)state;
    static const char text[] = "1000S,5C\n10 1\n-4 -1\n";
    for (size_t len = 0; len < sizeof text; len++) {
        g_autofree char *part = g_memdup2(text, MAX(len, 1)); /* just so large */
        bool whole = len == 14 || len == 20;
        struct maildirsize got;
        assert_int_equal(maildirsize_parse(slice_of(part, len), &got), whole ? 0 : -EBADMSG);
    }
}

static void a_nul(void **state)
{
    (void)state;
    struct maildirsize got;
    assert_int_equal(maildirsize_parse(slice_of("1000S\n10 1\n\0\n", 13), &got), -EBADMSG);
    assert_int_equal(maildirsize_parse(slice_of("1000S\n10 1\0\n", 12), &got), -EBADMSG);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const struct maildirsize most = { UINT64_MAX, INT64_MAX, INT64_MAX, 1 };
    char text[MAILDIRSIZE_TEXT_SIZE], change[MAILDIRSIZE_CHANGE_SIZE];
    struct maildirsize got;
    size_t len = maildirsize_format(&most, text);
    assert_int_equal(len, strlen(text));
    assert_int_equal(maildirsize_parse(slice_of(text, len), &got), 0);
    assert_memory_equal(&got, &most, sizeof got);

    assert_int_equal(maildirsize_format_change(false, 10, change), 5);
    assert_string_equal(change, "10 1\n");
    assert_int_equal(maildirsize_format_change(true, 10, change), 7);
    assert_string_equal(change, "-10 -1\n");
    len = maildirsize_format_change(true, UINT64_MAX, change);
    assert_string_equal(change, "-18446744073709551615 -1\n");
    assert_int_equal(len, strlen(change));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("maildirsize");
    suite_add_rows(s, rows, parse_row);
    suite_add(s, "every beginning", every_beginning, NULL);
    suite_add(s, "a NUL", a_nul, NULL);
    suite_add(s, "what is written is read", what_is_written_is_read, NULL);
    return suite_run(s, argc, argv);
}
