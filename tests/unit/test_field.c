#include "suite.h"

#include <gmime/gmime.h>
#include <string.h>

#include "host/field.h"

/* ---- fields of a section ---- */

static const struct row {
    const char *name, *text;
    size_t len;        /* of the section */
    const char *names; /* of the fields, each with a blank behind it; "-": a line that is none */
} rows[] = {
    { "one field", "A: b\n\nbody", 6, "A " },
    { "several", "A: b\nSubject: c\nx-Y:\n\n", 22, "A Subject x-Y " },
    { "folded", "A: b\n c\n\td\nB: e\n\n", 17, "A B " },
    { "a blank line that is folded is no end", "A: b\n \nB: c\n\n", 13, "A B " },
    { "CR LF", "A: b\r\nB: c\r\n\r\nbody\r\n", 14, "A B " },
    { "blanks in front of the colon", "A : b\nB\t: c\n\n", 13, "A B " },
    { "lines that are none", "From me\nA: b\nnone\n: c\nC D: e\n\n", 30, "- A - - - " },
    { "what is behind such a line is of it", "none\n folded\nA: b\n\n", 19, "- A " },
    { "a first line that begins with a blank", " a\nA: b\n\n", 9, "- A " },
    { "a value with colons and octets", "A: b:c \x80\xff\n\n", 11, "A " },
    { "8-bit in the name", "\xc3\xbc: b\nA: c\n\n", 12, "- A " },
    { "empty lines only", "\n\n\n", 1, "" },
    { "the body looks like fields", "A: b\n\nC: d\n\n", 6, "A " },
};

static void check_names(const GArray *fields, struct slice text, size_t len, const char *names)
{
    g_autoptr(GString) got = g_string_new(NULL);
    size_t of_fields = 0;
    for (guint i = 0; i < fields->len; i++) {
        const struct field *field = &g_array_index(fields, struct field, i);
        assert_ptr_equal(field->octets.data, text.data + of_fields);
        of_fields += field->octets.len;
        g_string_append_len(got, (const char *)field->name.data, (gssize)field->name.len);
        g_string_append(got, field->name.len > 0 ? " " : "- ");
    }
    assert_string_equal(got->str, names);
    struct slice blank = slice_skip(slice_first(text, len), of_fields);
    assert_true(slice_equal(blank, slice_str("\n")) || slice_equal(blank, slice_str("\r\n")));
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct slice text = slice_str(row->text);
    g_autoptr(GArray) fields = g_array_new(FALSE, FALSE, sizeof(struct field));
    size_t len = 0;
    assert_true(fields_find(text, true, fields, &len));
    assert_int_equal(len, row->len);
    check_names(fields, text, len, row->names);
}

/* Cut off, it is told apart only when its end is there. */
static void check_row_cut(void **state)
{
    const struct row *row = *state;
    for (size_t cut = 0; cut <= strlen(row->text); cut++) {
        g_autofree char *copy =
            g_memdup2(row->text, cut + 1); /* for a sanitizer to see what is read behind */
        struct slice text = slice_of(copy, cut);
        g_autoptr(GArray) fields = g_array_new(FALSE, FALSE, sizeof(struct field));
        size_t len = 0;
        bool found = fields_find(text, false, fields, &len);
        assert_int_equal(found, cut >= row->len);
        if (found)
            check_names(fields, text, len, row->names);
        else
            assert_int_equal(fields->len, 0);
    }
}

static void without_end(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        guint fields;
    } texts[] = { { "", 0, 0 },         { "A: b", 4, 1 },         { "A: b\n", 5, 1 },
                  { "A: b\n c", 7, 1 }, { "hello\nworld", 0, 0 }, { "hello\nA: b", 10, 2 } };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GArray) fields = g_array_new(FALSE, FALSE, sizeof(struct field));
        size_t len = 1000;
        assert_true(fields_find(slice_str(texts[i].text), true, fields, &len));
        assert_int_equal(len, texts[i].len);
        assert_int_equal(fields->len, texts[i].fields);
    }
    (void)state;
}

/* ---- fields that are made ---- */

static const struct made {
    const char *name, *field, *value, *want; /* NULL: refused */
} made[] = {
    { "plain", "Subject", "hello world", "Subject: hello world\n" },
    { "empty", "X-A", "", "X-A:\n" },
    { "blanks within stay, those behind go", "X-A", " a  b ", "X-A: a  b\n" },
    { "tab", "X-A", "a\tb", "X-A: a\tb\n" },
    { "folded in front of a word", "X-A",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  c",
      "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n  c\n" },
    { "encoded", "Subject",
      "Gr\xc3\xbc\xc3\x9f"
      "e",
      "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\n" },
    { "only words that must be, and what is between", "Subject", "a \xc3\xbc b_c \xc3\xbc d",
      "Subject: a =?UTF-8?Q?=C3=BC_b=5Fc_=C3=BC?= d\n" },
    { "what looks encoded", "Subject", "x =?utf-8?q?y?= z",
      "Subject: x =?UTF-8?Q?=3D=3Futf=2D8=3Fq=3Fy=3F=3D?= z\n" },
    { "an equals sign alone is plain", "X-A", "a=b ?=", "X-A: a=b ?=\n" },
    { "addresses", "to", "J\xc3\xbcrgen <j@example.org>, b@example.org",
      "to: =?iso-8859-1?q?J=FCrgen?= <j@example.org>, b@example.org\n" },
    { "plain addresses stay as they are", "To", "=?a?= <j@example.org> ,b@c",
      "To: =?a?= <j@example.org> ,b@c\n" },
    { "parameters", "Content-Disposition", "attachment; filename=\"\xc3\xbc.txt\"",
      "Content-Disposition: attachment; filename*=iso-8859-1''%FC.txt\n" },
    { "a line end", "X-A", "a\nb: c", NULL },
    { "a line end that is folded", "X-A", "a\n b", NULL },
    { "CR", "X-A", "a\rb", NULL },
    { "a control character", "X-A", "\x01", NULL },
    { "DEL", "X-A", "\x7f", NULL },
    { "no UTF-8", "X-A", "\xff", NULL },
    { "half a character", "X-A", "\xc3", NULL },
};

static void check_made(void **state)
{
    const struct made *row = *state;
    const char *why = NULL;
    g_autofree char *field = field_make(row->field, row->value, &why);
    if (row->want == NULL) {
        assert_null(field);
        assert_non_null(why);
        return;
    }
    assert_non_null(field);
    assert_string_equal(field, row->want);
}

static void long_words(void **state)
{
    const char *why = NULL;
    g_autofree char *word = g_strnfill(901, 'x');
    g_autofree char *encoded = field_make("X-A", word, &why);
    assert_non_null(strstr(encoded, "=?UTF-8?Q?xxx"));
    assert_null(field_make("To", word, &why));
    word[900] = '\0';
    g_autofree char *plain = field_make("To", word, &why);
    assert_int_equal(strlen(plain), strlen("To: \n") + 900);
    (void)state;
}

static void names(void **state)
{
    static const char *const good[] = { "A", "X-Spam", "a.b!{}~" };
    static const char *const bad[] = { "", "a:", "a b", "a\t", "\xc3\xbc", "\x7f", "\n" };
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        assert_true(field_name_is_valid(good[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_false(field_name_is_valid(bad[i]));
    g_autofree char *longest = g_strnfill(77, 'x');
    assert_false(field_name_is_valid(longest));
    assert_true(field_name_is_valid(longest + 1));
    (void)state;
}

int main(int argc, char **argv)
{
    g_mime_init();
    struct suite *s = suite_new("host/field");
    suite_add_rows(s, rows, check_row);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *cut = g_strdup_printf("cut off: %s", rows[i].name);
        suite_add(s, cut, check_row_cut, (void *)&rows[i]);
    }
    suite_add(s, "a section without an end", without_end, NULL);
    suite_add_rows(s, made, check_made);
    suite_add(s, "words that are longer than a line", long_words, NULL);
    suite_add(s, "names", names, NULL);
    return suite_run(s, argc, argv);
}
