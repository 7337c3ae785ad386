#include "suite.h"

#include <glib.h>

#include "host/header_text.h"

#define FFFD "\xef\xbf\xbd"

static const struct row {
    const char *name, *raw, *want;
} rows[] = {
    { "nothing", "", "" },
    { "only blanks", " \t \r\n", "" },
    { "plain text", " hello world\n", "hello world" },
    { "folded: the blank stays", " one\n two\r\n\tthree\r\n", "one two\tthree" },
    { "blanks within stay", "a   b \t c", "a   b \t c" },

    { "Q", "=?utf-8?q?J=C3=BCrgen?=", "J\xc3\xbcrgen" },
    { "B", "=?utf-8?b?SsO8cmdlbg==?=", "J\xc3\xbcrgen" },
    { "case of charset, encoding and digits", "=?UTF-8?Q?=c3=bC?= =?Utf-8?B?w7w=?=", "\xc3\xbc\xc3\xbc" },
    { "Q: underscores are blanks", "=?us-ascii?q?a_b__c?=", "a b  c" },
    { "Q: an encoded underscore", "=?us-ascii?q?a=5Fb?=", "a_b" },
    { "Q: blanks that ought to be encoded", "=?utf-8?q?a b?=", "a b" },
    { "Q: a question mark that ought to be encoded", "=?utf-8?q?why?\?=", "why?" },
    { "Q: an equals sign at the end", "=?utf-8?q?a=?=", "a=" },
    { "Q: no hexadecimal digits", "=?utf-8?q?a=GG=4?=", "a=GG=4" },
    { "Q: octets above ASCII", "=?utf-8?q?\xc3\xbc?=", "\xc3\xbc" },
    { "Q: empty", "a =?utf-8?q?\?= b", "a  b" },
    { "B: empty", "a =?utf-8?b?\?= b", "a  b" },
    { "B: padding left out", "=?utf-8?b?w7w?= x =?utf-8?b?YQ?=", "\xc3\xbc x a" },
    { "B: too much padding", "=?utf-8?b?YQ====?=", "a" },

    { "text in front and behind", "Re: =?utf-8?q?x?= (was: y)", "Re: x (was: y)" },
    { "in quotes", "\"=?utf-8?q?x?=\" <a@example.org>", "\"x\" <a@example.org>" },
    { "in brackets", "(=?utf-8?q?x?=)", "(x)" },
    { "within a word", "a=?utf-8?q?b?=c", "abc" },

    { "between words blanks are dropped", "=?utf-8?q?a?= \t =?utf-8?q?b?=", "ab" },
    { "and folds", "=?utf-8?q?a?=\r\n =?utf-8?b?Yg==?=\r\n", "ab" },
    { "words with nothing between", "=?utf-8?q?a?==?utf-8?q?b?=", "ab" },
    { "between a word and text they stay", "=?utf-8?q?a?=  b  =?utf-8?q?c?=", "a  b  c" },
    { "between words of two charsets", "=?utf-8?q?a?= =?iso-8859-1?q?=FC?= =?utf-8?q?c?=",
      "a\xc3\xbc"
      "c" },
    { "in front of text they stay when words follow", " x =?utf-8?q?a?= =?utf-8?q?b?= y ", "x ab y" },

    { "padded base64 words", "=?utf-8?b?YQ==?= =?utf-8?b?Yg==?= =?utf-8?b?Y2Q=?=", "abcd" },
    { "padded base64 words of two charsets", "=?utf-8?b?YQ==?= =?iso-8859-1?b?/A==?=", "a\xc3\xbc" },
    { "a character cut between B words", "=?utf-8?b?w7zD?= =?utf-8?b?vA==?=", "\xc3\xbc\xc3\xbc" },
    { "a character cut between Q words", "=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "\xe2\x82\xac" },
    { "a character cut between B and Q", "=?utf-8?b?4oI=?= =?UTF-8?q?=AC?=", "\xe2\x82\xac" },
    { "a character cut, with a language", "=?utf-8*en?q?=E2=82?= =?utf-8?q?=AC?=", "\xe2\x82\xac" },
    { "a character cut in Shift_JIS",
      "=?shift_jis?b?k/o=?= =?shift_jis?b?lg==?= =?shift_jis?b?ew==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
    { "a character cut by text is none",
      "=?utf-8?q?=E2=82?= x =?utf-8?q?=AC?=", "\xc3\xa2" FFFD " x \xc2\xac" },

    { "language", "=?us-ascii*en-US?q?color?=", "color" },
    { "iso-8859-15", "=?iso-8859-15?q?=A4?=", "\xe2\x82\xac" },
    { "windows-1252", "=?windows-1252?q?=93x=94?=", "\xe2\x80\x9cx\xe2\x80\x9d" },
    { "koi8-r", "=?koi8-r?b?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
    { "iso-2022-jp", "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
    { "gb2312", "=?gb2312?b?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87" },
    { "big5", "=?big5?b?pKSk5Q==?=", "\xe4\xb8\xad\xe6\x96\x87" },
    { "euc-kr", "=?euc-kr?b?x9GxuQ==?=", "\xed\x95\x9c\xea\xb5\xad" },
    { "utf-16be", "=?utf-16be?b?AGEA/A==?=", "a\xc3\xbc" },
    { "a charset that keeps a character back",
      "=?tis-620?q?=A1?= =?windows-1255?q?=E0?=", "\xe0\xb8\x81\xd7\x90" },

    { "no character of its charset", "=?iso-8859-7?q?a=AEb=FFc?=", "a" FFFD "b" FFFD "c" },
    { "a character that its charset cuts off", "=?shift_jis?q?a=93?=", "a" FFFD },
    { "several octets of a character that is cut off are one mistake", "=?gb18030?q?a=81=30=81?=", "a" FFFD },
    { "Latin-1 that is called UTF-8", "=?utf-8?q?J=FCrgen?=", "J\xc3\xbcrgen" },
    { "Latin-1 that is called ASCII", "=?us-ascii?q?J=FCrgen?=", "J\xc3\xbcrgen" },
    { "UTF-8 that is called ASCII", "=?us-ascii?q?J=C3=BCrgen?=", "J\xc3\xbcrgen" },
    { "a surrogate", "=?utf-8?q?=ED=A0=80?=", "\xc3\xad\xc2\xa0" FFFD },
    { "NUL does not end the text", "=?utf-8?q?a=00b?= =?iso-8859-1?q?c=00d?= e", "a" FFFD "bc" FFFD "d e" },
    { "line ends that a word holds", "=?utf-8?q?a=0D=0Ab?=", "a\r\nb" },

    { "UTF-8 without encoding (RFC 6532)",
      "Gr\xc3\xbc\xc3\x9f"
      "e \xe2\x82\xac",
      "Gr\xc3\xbc\xc3\x9f"
      "e \xe2\x82\xac" },
    { "Latin-1 without encoding",
      "Gr\xfc\xdf"
      "e",
      "Gr\xc3\xbc\xc3\x9f"
      "e" },
    { "other octets without encoding", "a\x80z\x9f", "a" FFFD "z" FFFD },
    { "UTF-8 with rubbish in it", "\xc3\xbc\xfc\xc3\xbc", "\xc3\xbc\xc3\xbc\xc3\xbc" },
    { "UTF-8 that is cut off", "a\xe2\x82", "a\xc3\xa2" FFFD },
    { "without encoding beside words", "\xfc =?utf-8?q?=C3=BC?= \xc3\xbc", "\xc3\xbc \xc3\xbc \xc3\xbc" },

    { "an unknown charset is kept", "a =?x-none?q?=FC?= b", "a =?x-none?q?=FC?= b" },
    { "an unknown charset, blanks too",
      "=?x-none?q?a?=  =?utf-8?q?b?= =?x-none?q?c?=", "=?x-none?q?a?=  b =?x-none?q?c?=" },
    { "no charset", "=??q?a?=", "=??q?a?=" },
    { "only a language", "=?*en?q?a?=", "=?*en?q?a?=" },
    { "what iconv takes for an option", "=?utf-16//ignore?q?a?=", "=?utf-16//ignore?q?a?=" },
    { "a long charset", "=?aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg?q?a?=",
      "=?aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg?q?a?=" },
    { "blank in the charset", "=?utf 8?q?a?=", "=?utf 8?q?a?=" },
    { "an unknown encoding", "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
    { "no encoding", "=?utf-8??a?=", "=?utf-8??a?=" },
    { "an encoding of two letters", "=?utf-8?qq?a?=", "=?utf-8?qq?a?=" },
    { "no end", "=?utf-8?q?abc", "=?utf-8?q?abc" },
    { "half an end", "=?utf-8?q?abc?", "=?utf-8?q?abc?" },
    { "no end, and another word", "=?utf-8?q?abc =?utf-8?q?d?=", "=?utf-8?q?abc d" },
    { "base64 of other characters", "=?utf-8?b?YQ*=?=", "=?utf-8?b?YQ*=?=" },
    { "base64 with a blank", "=?utf-8?b?YW Jj?=", "=?utf-8?b?YW Jj?=" },
    { "base64 of a lone digit", "=?utf-8?b?YWJjZ?=", "=?utf-8?b?YWJjZ?=" },
    { "base64 that goes on behind its padding", "=?utf-8?b?YQ==Yg==?=", "=?utf-8?b?YQ==Yg==?=" },
    { "only marks", "=?=?=? ?= =", "=?=?=? ?= =" },
    { "an equals sign at the end", "a =", "a =" },
    { "a mark at the end", "a =?", "a =?" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    g_autofree char *text = host_header_decode(row->raw);
    assert_string_equal(text, row->want);
    assert_true(g_utf8_validate(text, -1, NULL));
}

/* Whatever is cut off or away, the text is UTF-8. */
static void check_row_cut(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->raw);
    for (size_t cut = 0; cut <= len; cut++) {
        g_autofree char *head = g_strndup(row->raw, cut);
        g_autofree char *head_text = host_header_decode(head);
        assert_true(g_utf8_validate(head_text, -1, NULL));
        g_autofree char *tail_text = host_header_decode(row->raw + cut);
        assert_true(g_utf8_validate(tail_text, -1, NULL));
    }
}

/* A fold may stand before every blank, and changes nothing. */
static void check_row_folded(void **state)
{
    const struct row *row = *state;
    for (const char *p = row->raw; *p != '\0'; p++) {
        if (*p != ' ' && *p != '\t')
            continue;
        g_autofree char *folded = g_strdup_printf("%.*s\r\n%s", (int)(p - row->raw), row->raw, p);
        g_autofree char *text = host_header_decode(folded);
        assert_string_equal(text, row->want);
    }
}

static GMimeMessage *parse(const char *text)
{
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(text, strlen(text));
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
    assert_non_null(message);
    return message;
}

static void assert_text(void *object, const char *name, const char *want)
{
    g_autofree char *text = host_header_text(GMIME_OBJECT(object), name);
    if (want == NULL)
        assert_null(text);
    else
        assert_string_equal(text, want);
}

static void of_a_message(void **state)
{
    (void)state;
    GMimeMessage *message = parse("Subject: =?utf-8?b?YQ==?=\n =?utf-8?b?Yg==?=\n"
                                  "X-Two: one\nX-Two: two\nX-Empty:\n"
                                  "Content-Type: text/plain; charset=utf-8\n"
                                  "Content-Description: =?iso-8859-1?q?=FC?=\n\nbody\n");
    assert_text(message, "Subject", "ab");
    assert_text(message, "sUBJECT", "ab");
    assert_text(message, "X-Two", "one");
    assert_text(message, "X-Empty", "");
    assert_text(message, "X-None", NULL);
    assert_text(message, "Content-Description", "\xc3\xbc"); /* GMime keeps it with the content */
    assert_text(message, "content-type", "text/plain; charset=utf-8");
    assert_text(message, "Content-None", NULL);
    assert_text(g_mime_message_get_mime_part(message), "Content-Description", "\xc3\xbc");
    assert_text(g_mime_message_get_mime_part(message), "Subject", NULL);
    g_object_unref(message);
}

static void of_a_message_without_content(void **state)
{
    (void)state;
    GMimeMessage *message = g_mime_message_new(FALSE);
    assert_text(message, "Content-Type", NULL);
    g_mime_object_append_header(GMIME_OBJECT(message), "X-Added",
                                "Gr\xc3\xbc\xc3\x9f"
                                "e, which GMime encodes, and folds the line "
                                "because it is longer than seventy-eight",
                                "utf-8");
    assert_text(message, "X-Added",
                "Gr\xc3\xbc\xc3\x9f"
                "e, which GMime encodes, and folds the line because it is longer than seventy-eight");
    g_object_unref(message);
}

/* A megabyte of beginnings without end: hours, if each looked for its end in all that follows. */
static void many_beginnings(void **state)
{
    (void)state;
    static const char *const beginnings[] = { "=?a?b?", "=?a?b? ", "=?a?q?",  "=?a?q? ",
                                              "=?",     "=?a",     "=?a?b?=", "=?utf-8?q?a? " };
    for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++) {
        GString *raw = g_string_new(NULL);
        while (raw->len < 1 << 20)
            g_string_append(raw, beginnings[i]);
        g_autofree char *text = host_header_decode(raw->str);
        assert_string_equal(text, g_strchomp(raw->str));
        g_string_free(raw, TRUE);
    }
}

int main(int argc, char **argv)
{
    g_mime_init();
    struct suite *s = suite_new("host/header_text");
    suite_add_rows(s, rows, check_row);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *cut = g_strdup_printf("cut at every octet: %s", rows[i].name);
        suite_add(s, cut, check_row_cut, (void *)&rows[i]);
        g_autofree char *folded = g_strdup_printf("folded at every blank: %s", rows[i].name);
        suite_add(s, folded, check_row_folded, (void *)&rows[i]);
    }
    suite_add(s, "of a message, and of its content", of_a_message, NULL);
    suite_add(s, "of a message without content", of_a_message_without_content, NULL);
    suite_add(s, "a megabyte of beginnings takes no time", many_beginnings, NULL);
    return suite_run(s, argc, argv);
}
