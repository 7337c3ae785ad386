#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "smtp/xtext.h"

static const struct row {
    const char *name, *input, *want; /* NULL: -EBADMSG */
} rows[] = {
    { "nothing", "", "" },
    { "plain", "abc-1@example.org", "abc-1@example.org" },
    { "the first and the last printable octet", "!~", "!~" },
    { "an encoded plus sign", "a+2Bb", "a+b" },
    { "an encoded equals sign", "+3D", "=" },
    { "an encoded letter", "+41", "A" },
    { "encoded blank and control characters", "+20+0D+0A", " \r\n" },
    { "octets above ASCII", "+C3+A4+FF", "\xc3\xa4\xff" },
    { "two of them adjacent", "+2B+2B", "++" },
    { "digits behind a pair stand for themselves", "+2B0", "+0" },
    { "lower case in the second digit", "+2b", NULL },
    { "lower case in the first digit", "+a0", NULL },
    { "no digits", "a+", NULL },
    { "one digit", "a+2", NULL },
    { "no hexadecimal digit", "+2G", NULL },
    { "plus behind plus", "++2B", NULL },
    { "equals sign", "a=b", NULL },
    { "blank", "a b", NULL },
    { "tab", "a\tb", NULL },
    { "DEL", "a\x7f", NULL },
    { "octet above 126", "\xc3\xa4", NULL },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct slice in = slice_str(row->input);
    g_autofree char *exact = g_memdup2(row->input, in.len); /* so that a read past its end is seen */
    char text[32];
    int len = smtp_xtext_decode(slice_of(exact, in.len), text, sizeof text);
    if (row->want == NULL) {
        assert_int_equal(len, -EBADMSG);
        return;
    }
    assert_int_equal(len, strlen(row->want));
    assert_memory_equal(text, row->want, strlen(row->want));
}

static void every_octet(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        g_autofree char *in = g_strdup_printf("+%02X", (unsigned)byte);
        char text[1];
        assert_int_equal(smtp_xtext_decode(slice_str(in), text, sizeof text), 1);
        assert_int_equal((uint8_t)text[0], byte);
        uint8_t bare = (uint8_t)byte;
        bool is_xchar = byte >= 33 && byte <= 126 && byte != '+' && byte != '=';
        assert_int_equal(smtp_xtext_decode(slice_of(&bare, 1), text, sizeof text), is_xchar ? 1 : -EBADMSG);
    }
}

static void no_room(void **state)
{
    (void)state;
    char text[4] = "...";
    assert_int_equal(smtp_xtext_decode(slice_str("a+2B"), text, 2), 2);
    assert_int_equal(smtp_xtext_decode(slice_str("a+2Bc"), text, 2), -ENOBUFS);
    assert_int_equal(text[2], '.');
    assert_int_equal(smtp_xtext_decode(slice_str(""), text, 0), 0);
    assert_int_equal(smtp_xtext_decode(slice_str("a"), text, 0), -ENOBUFS);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/xtext");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "every octet, encoded and bare", every_octet, NULL);
    suite_add(s, "no more than there is room for", no_room, NULL);
    return suite_run(s, argc, argv);
}
