#include "suite.h"

#include <glib.h>
#include <gmime/gmime.h>

#include "host/parameter.h"

#define FFFD "\xef\xbf\xbd"

static const struct row {
    const char *name, *raw, *want; /* of "filename"; NULL: none */
} rows[] = {
    { "nothing", "", NULL },
    { "no parameters", "attachment", NULL },
    { "only others", "attachment; size=1; xfilename=a; filenamex=b", NULL },
    { "a token", "attachment; filename=a.txt", "a.txt" },
    { "no blank in front", "attachment;filename=a.txt", "a.txt" },
    { "blanks everywhere", "attachment ; filename = a.txt ; size=1", "a.txt" },
    { "behind another", "attachment; size=1; filename=a.txt", "a.txt" },
    { "in front of another", "attachment; filename=a.txt; size=1", "a.txt" },
    { "case of the name", "ATTACHMENT; FileName=A.txt", "A.txt" },
    { "no type in front", "; filename=a.txt", "a.txt" },
    { "a semicolon at the end", "attachment; filename=a.txt;", "a.txt" },
    { "semicolons without parameters", "attachment;; ; filename=a.txt", "a.txt" },
    { "folded", "attachment;\r\n\tfilename=a.txt\r\n", "a.txt" },
    { "the first of two", "attachment; filename=a; filename=b", "a" },
    { "empty", "attachment; filename=; size=1", NULL },
    { "empty in quotes", "attachment; filename=\"\"", NULL },
    { "no value", "attachment; filename", NULL },
    { "no value, and another parameter", "attachment; filename; size=1", NULL },

    { "in quotes", "attachment; filename=\"a b.txt\"", "a b.txt" },
    { "quoted pairs", "attachment; filename=\"a\\\"b\\\\c\"", "a\"b\\c" },
    { "semicolon in quotes", "attachment; filename=\"a;b=c\"; size=1", "a;b=c" },
    { "another's value that looks like it", "attachment; x=\"; filename=bad\"; filename=good", "good" },
    { "quotes that are not closed", "attachment; filename=\"a b; size=1", "a b; size=1" },
    { "a backslash at the end", "attachment; filename=\"a\\", "a\\" },
    { "folded within quotes", "attachment; filename=\"a\r\n b.txt\"", "a b.txt" },
    { "text behind the quotes", "attachment; filename=\"a\"b; size=1", "a" },
    { "blanks without quotes", "attachment; filename=a b (1).txt ; size=1", "a b (1).txt" },
    { "an equals sign in a token", "attachment; filename=a=b", "a=b" },

    { "comments", "attachment (x; filename=bad); (y) filename (z) = (\"q\") a.txt", "a.txt" },
    { "nested comments", "attachment (a (b; filename=bad) \\) c); filename=a", "a" },
    { "a comment that is not closed", "attachment (a; filename=a", NULL },

    { "RFC 2231", "attachment; filename*=utf-8''%E2%82%AC.txt", "\xe2\x82\xac.txt" },
    { "RFC 2231, language", "attachment; filename*=iso-8859-1'de'%FC.txt", "\xc3\xbc.txt" },
    { "RFC 2231, case", "attachment; FILENAME*=UTF-8''%e2%82%aC", "\xe2\x82\xac" },
    { "RFC 2231, no charset", "attachment; filename*=''%C3%BC", "\xc3\xbc" },
    { "RFC 2231, no charset, Latin-1", "attachment; filename*=''%FC", "\xc3\xbc" },
    { "RFC 2231, nothing in front", "attachment; filename*=%41b", "Ab" },
    { "RFC 2231, one quotation mark", "attachment; filename*=utf-8'a", "utf-8'a" },
    { "RFC 2231, more quotation marks", "attachment; filename*=utf-8''it's", "it's" },
    { "RFC 2231, unknown charset", "attachment; filename*=x-none''%C3%BC%FF", "\xc3\xbc\xc3\xbf" },
    { "RFC 2231, no such characters", "attachment; filename*=iso-8859-7''a%AEb", "a" FFFD "b" },
    { "RFC 2231, in quotes", "attachment; filename*=\"utf-8''a%20b\"", "a b" },
    { "RFC 2231, no hexadecimal digits", "attachment; filename*=utf-8''100%25%zz%4", "100%%zz%4" },
    { "RFC 2231, NUL", "attachment; filename*=utf-8''a%00b", "a" FFFD "b" },
    { "RFC 2231, underscores stay", "attachment; filename*=utf-8''a_b", "a_b" },
    { "RFC 2231, empty", "attachment; filename*=utf-8''", NULL },
    { "RFC 2231 behind a plain one", "attachment; filename=plain; filename*=utf-8''%41", "A" },
    { "RFC 2231 in front of a plain one", "attachment; filename*=utf-8''%41; filename=plain", "A" },
    { "no octets in a plain one", "attachment; filename=utf-8''%41", "utf-8''%41" },

    { "two sections", "attachment; filename*0=a; filename*1=b", "ab" },
    { "sections in quotes", "attachment; filename*0=\"a \"; filename*1=\" b\"", "a  b" },
    { "sections in another order", "attachment; filename*2=c; filename*0=a; filename*1=b", "abc" },
    { "eleven sections",
      "a; filename*10=k; filename*0=a; filename*1=b; filename*2=c; filename*3=d; filename*4=e; filename*5=f; "
      "filename*6=g; filename*7=h; filename*8=i; filename*9=j",
      "abcdefghijk" },
    { "encoded sections", "a; filename*0*=utf-8''%C3%BC; filename*1*=%C3%BC", "\xc3\xbc\xc3\xbc" },
    { "encoded sections in another order", "a; filename*1*=%FC; filename*0*=iso-8859-1''%E4",
      "\xc3\xa4\xc3\xbc" },
    { "encoded and plain sections", "a; filename*0*=iso-8859-1'en'%A3; filename*1=\"%41's\"; filename*2*=%41",
      "\xc2\xa3%41'sA" },
    { "a character cut between sections", "a; filename*0*=utf-8''%E2%82; filename*1*=%AC", "\xe2\x82\xac" },
    { "plain first section, encoded second", "a; filename*0=\"it''s \"; filename*1*=%C3%BC",
      "it''s \xc3\xbc" },
    { "a quotation mark in the second section", "a; filename*0*=utf-8''a; filename*1*=b'c'd", "ab'c'd" },
    { "a section that is missing", "a; filename*0=a; filename*2=c", "ac" },
    { "a first section that is missing", "a; filename*1=b", "b" },
    { "no section number", "a; filename*x=b", NULL },
    { "rubbish behind the number", "a; filename*0x=b; filename*1**=c", NULL },
    { "a number too large", "a; filename*0=a; filename*99999999999999999999=b", "ab" },

    { "encoded-word in quotes", "a; filename=\"=?utf-8?q?=C3=BC?=\"", "\xc3\xbc" },
    { "encoded-word without quotes", "a; filename==?utf-8?q?=C3=BC?=", "\xc3\xbc" },
    { "encoded-words, padded base64", "a; filename=\"=?utf-8?b?YQ==?= =?utf-8?b?Yg==?=\"", "ab" },
    { "encoded-words, folded", "a; filename=\"=?utf-8?b?YQ==?=\r\n =?utf-8?b?Yg==?=.txt\"", "ab.txt" },
    { "a malformed encoded-word", "a; filename=\"=?utf-8?q?a\"", "=?utf-8?q?a" },

    { "UTF-8 without encoding", "a; filename=\"\xc3\xbc.txt\"", "\xc3\xbc.txt" },
    { "Latin-1 without encoding", "a; filename=\xfc.txt", "\xc3\xbc.txt" },
    { "a path is no business of ours", "a; filename=\"../../etc/passwd\"", "../../etc/passwd" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    g_autofree char *value = host_parameter(row->raw, "filename");
    if (row->want == NULL) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_string_equal(value, row->want);
}

static void check_row_cut(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->raw);
    for (size_t cut = 0; cut <= len; cut++) {
        g_autofree char *head = g_strndup(row->raw, cut);
        g_autofree char *of_head = host_parameter(head, "filename");
        assert_true(of_head == NULL || g_utf8_validate(of_head, -1, NULL));
        g_autofree char *of_tail = host_parameter(row->raw + cut, "filename");
        assert_true(of_tail == NULL || g_utf8_validate(of_tail, -1, NULL));
    }
}

int main(int argc, char **argv)
{
    g_mime_init();
    struct suite *s = suite_new("host/parameter");
    suite_add_rows(s, rows, check_row);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("cut at every octet: %s", rows[i].name);
        suite_add(s, name, check_row_cut, (void *)&rows[i]);
    }
    return suite_run(s, argc, argv);
}
