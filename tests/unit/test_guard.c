/*
 * The structure guard: rows of messages with what is counted in them, each with LF and with CR LF, and each
 * whole, cut in two at every octet, and octet by octet.
 */
#include "suite.h"

#include <glib.h>
#include <malloc.h>

#include "base/random.h"
#include "message/guard.h"

#define REPEAT_10(text)  text text text text text text text text text text
#define REPEAT_100(text) REPEAT_10(REPEAT_10(text))
#define MIXED(boundary)  "Content-Type: multipart/mixed; boundary=" boundary "\n"
#define RFC822           "Content-Type: message/rfc822\n"

static const struct guard_limits small = {
    .parts = 6, .depth = 4, .header_octets = 1000, .header_fields = 20, .list_items = 10, .between = 400
};

static const struct row {
    const char *name;
    const char *message; /* with LF */
    unsigned parts;
    const char *exceeded;
} rows[] = {
    { "no message", "", 1, NULL },
    { "a plain one", "Subject: x\n\nhello\n", 1, NULL },
    { "without fields", "\nhello\n", 1, NULL },
    { "without a body", "Subject: x\n", 1, NULL },
    { "hyphens in a body", "Subject: x\n\n-- \n--\n---\n--a\n--a--\n", 1, NULL },
    { "a body that looks like a multipart", "Subject: x\n\n" MIXED("a") "\n--a\n\n--a\n\n--a--\n", 1, NULL },

    /* ---- parts ---- */
    { "two parts", MIXED("a") "\n--a\n\nx\n--a\n\ny\n--a--\n", 3, NULL },
    { "parts without a multipart's end", MIXED("a") "\n--a\n\nx\n--a\n\ny\n", 3, NULL },
    { "parts without header fields and bodies", MIXED("a") "\n--a\n--a\n--a\n", 4, NULL },
    { "a part too many", MIXED("a") "\n--a\n\n--a\n\n--a\n\n--a\n\n--a\n\n--a\n\n--a\n", 7, "mime-parts" },
    { "no part behind the end", MIXED("a") "\n--a\n\n--a--\n--a\n--a\n", 2, NULL },
    { "another boundary is text", MIXED("a") "\n--a\n\n--b\n--aa\n-a\n --a\n--A\n--a x\n--a--x\n--a-\n", 2,
      NULL },
    { "blanks behind a boundary", MIXED("a") "\n--a \t\n\n--a-- \n--a\n", 2, NULL },
    { "very many blanks behind a boundary",
      MIXED("a") "\n--a\n\nx\n--a" REPEAT_100("   ") "\n\nx\n--a" REPEAT_100("  \t") "\n", 4, NULL },
    { "a boundary as the last line is seen when it ends", MIXED("a") "\n--a", 1, NULL },
    { "a part that has a boundary and no header end", MIXED("a") "\n--a\nX: y\n--a\n", 3, NULL },
    { "a boundary that nothing has opened yet is a field", MIXED("a") "--a\n\n--a\n", 2, NULL },
    { "a boundary instead of a blank line, within", MIXED("a") "\n--a\n" MIXED("a") "--a\n\nx\n--a--\n--a\n",
      4, NULL },
    { "a boundary in quotes", "Content-Type: multipart/mixed; boundary=\"a b\"\n\n--a b\n\n--a b\n", 3,
      NULL },
    { "a boundary in quotes, with quoted octets",
      "Content-Type: multipart/mixed; boundary=\"a\\\"\\\\\"\n\n--a\"\\\n", 2, NULL },
    { "a quoted boundary that has no end", "Content-Type: multipart/mixed; boundary=\"a\n\n--a\n--\"a\n", 2,
      NULL },
    { "an empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\n-- \n\n----\n", 3, NULL },
    { "a boundary that looks like an end", MIXED("a--") "\n--a\n--a--\n\n--a----\n--a--\n", 2, NULL },
    { "comments", "Content-Type: (x) multipart (\\)/(y)) / (z;) mixed (;) ; (q) boundary = (b) a\n\n--a\n", 2,
      NULL },
    { "a comment behind a boundary belongs to it", MIXED("a (x)") "\n--a\n--a (x)\n", 2, NULL },
    { "a comment that has no end", "Content-Type: multipart/mixed; (x boundary=a\n\n--a\n", 1, NULL },
    { "folded", "Content-Type:\n multipart/mixed;\n\tcharset=x;\n boundary=a\n\n--a\n", 2, NULL },
    { "the name in other case, blanks behind it", "CONTENT-type \t: MULTIPART/x; BOUNDARY=a\n\n--a\n", 2,
      NULL },
    { "a blank in front of the name is a folded line",
      "X: y\n Content-Type: multipart/mixed; boundary=a\n\n--a\n", 1, NULL },
    { "a blank within the name", "Content Type: multipart/mixed; boundary=a\n\n--a\n", 1, NULL },
    { "a line end within the name", "Content-Type\n : multipart/mixed; boundary=a\n\n--a\n", 1, NULL },
    { "a name that goes on",
      "Content-Types: multipart/mixed; boundary=a\nContent-Typ: multipart/mixed; boundary=a\n\n--a\n", 1,
      NULL },
    { "of several types the last counts", MIXED("a") MIXED("b") "\n--a\n--b\n", 2, NULL },
    { "of several types the last counts, also as a type", MIXED("a") "Content-Type: text/plain\n\n--a\n", 1,
      NULL },
    { "of several boundaries the first counts", MIXED("a; boundary=b") "\n--b\n--a\n", 2, NULL },
    { "behind what is no parameter, nothing counts",
      "Content-Type: multipart/mixed; x y; boundary=a\n\n--a\n", 1, NULL },
    { "empty parameters", "Content-Type: multipart/mixed;; ; boundary=a\n\n--a\n", 2, NULL },
    { "a type without a subtype", "Content-Type: multipart; boundary=a\n\n--a\n", 1, NULL },
    { "an empty subtype", "Content-Type: multipart/; boundary=a\n\n--a\n", 1, NULL },

    /* ---- nesting ---- */
    { "a multipart in a multipart",
      MIXED("a") "\n--a\n" MIXED("b") "\n--b\n\nx\n--b--\n--a\n\nx\n--b\n--a--\n", 4, NULL },
    { "a multipart's end ends those within", MIXED("a") "\n--a\n" MIXED("b") "\n--b\n\nx\n--a\n\n--b\n--b\n",
      4, NULL },
    { "the same boundary within", MIXED("a") "\n--a\n" MIXED("a") "\n--a\n\n--a--\n--a\n\n", 4, NULL },
    { "a message in a message", RFC822 "\n" RFC822 "\n" RFC822 "\nX: y\n\n", 4, NULL },
    { "five messages in each other", RFC822 "\n" RFC822 "\n" RFC822 "\n" RFC822 "\n" RFC822 "\n", 6,
      "mime-depth" },
    { "five multiparts in each other",
      MIXED("a") "\n--a\n" MIXED("b") "\n--b\n" MIXED("c") "\n--c\n" MIXED("d") "\n--d\n" MIXED(
          "e") "\n--e\n",
      5, "mime-depth" },
    { "five multiparts behind each other",
      MIXED("a") "\n--a\n" MIXED("b") "\n--a\n" MIXED("c") "\n--a\n" MIXED("d") "\n--a\n" MIXED(
          "e") "\n--e\n",
      6, NULL },
    { "a multipart in a message", RFC822 "\n" MIXED("a") "\n--a\n\n--a--\n", 3, NULL },
    { "other messages",
      "Content-Type: message/global\n\nContent-type: Message/RFC2822\n\nContent-type: message/news\n\n", 4,
      NULL },
    { "what is no message", "Content-Type: message/partial\n\n" MIXED("a") "\n--a\n", 1, NULL },
    { "an encoded message is none", RFC822 "Content-Transfer-Encoding: base64\n\n" MIXED("a") "\n--a\n", 1,
      NULL },
    { "an encoding folded",
      RFC822 "Content-Transfer-Encoding:\n \tQuoted-Printable \n\n" MIXED("a") "\n--a\n", 1, NULL },
    { "of several encodings the first counts",
      RFC822 "Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64\n\n" MIXED("a") "\n--a\n", 3,
      NULL },
    { "an encoding of another name", RFC822 "Content-Transfer-Encoding: base64x\n\n" MIXED("a") "\n--a\n", 3,
      NULL },
    { "a digest's parts are messages",
      "Content-Type: multipart/digest; boundary=a\n\n--a\n\n" MIXED(
          "b") "\n--b\n\nx\n--a\nContent-Type: text/plain\n\n--b\n",
      5, NULL },
    { "in a digest's messages parts are none",
      "Content-Type: multipart/digest; boundary=a\n\n--a\n\nX: y\n\n" MIXED("b") "\n--b\n", 3, NULL },

    /* ---- sizes ---- */
    { "a hundred fields", REPEAT_100("X: 4567\n") "\n\n", 1, "mime-header-fields" },
    { "a long field", "X: " REPEAT_100("123456789") "\n\n", 1, NULL },
    { "a field too long", "X: " REPEAT_100("1234567890") "\n\n", 1, "mime-header-size" },
    { "fields too long of parts",
      MIXED("a") "\n--a\nX: " REPEAT_10(REPEAT_10("12345")) "\n\n--a\nX: " REPEAT_10(
          REPEAT_10("12345")) "\n\n",
      3, "mime-header-size" },
    { "20 fields", REPEAT_10("X: y\nZ: z\n") "\n", 1, NULL },
    { "21 fields", REPEAT_10("X: y\nZ: z\n") "\tw\nX:y\n\n", 1, "mime-header-fields" },
    { "lines of a body are no fields", "X: y\n\n" REPEAT_100("Z: z\n"), 1, NULL },
    { "text in front of parts", MIXED("a") "\n" REPEAT_100("abcd\n"), 1, "mime-between" },
    { "some text in front of parts", MIXED("a") "\n" REPEAT_10("0123456789\n") "--a\n\n" REPEAT_100("abcd\n"),
      2, NULL },
    { "text in front of and behind parts",
      MIXED("a") "\n" REPEAT_10("0123456789012345678\n") "--a\n\n--a--\n" REPEAT_10("0123456789012345678\n"),
      2, "mime-between" },
    { "text behind a multipart's end", MIXED("a") "\n--a\n\n--a--\n--a\n" REPEAT_100("abcd\n"), 2,
      "mime-between" },
    { "a multipart without a boundary", "Content-Type: multipart/mixed\n\n" REPEAT_100("abcd\n"), 1,
      "mime-between" },

    /* ---- addresses ---- */
    { "ten commas", "To: " REPEAT_10("a@b,") "\n\n", 1, NULL },
    { "eleven commas", "To: " REPEAT_10("a@b,") "\nCc: a, b\n\n", 1, "mime-addresses" },
    { "in a message within", RFC822 "\nBcc:" REPEAT_10("a;") "\n :\n\n", 2, "mime-addresses" },
    { "in other fields", "Subject: " REPEAT_100("a,") "\n\n", 1, NULL },
    { "in a body", "Subject: x\n\nTo: " REPEAT_100("a,") "\n", 1, NULL },
    { "parameters", "Content-Disposition: x" REPEAT_10(";a=b") ";a=b\n\n", 1, "mime-addresses" },

    /* ---- what GMime may read otherwise ---- */
    { "a boundary of several pieces", "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n",
      1, "mime-type" },
    { "an encoded boundary", "Content-Type: multipart/mixed; boundary*=us-ascii''%61\n\n--a\n", 1,
      "mime-type" },
    { "a boundary in an encoded word", MIXED("\"=?us-ascii?q?a?=\"") "\n--a\n", 1, "mime-type" },
    { "a parameter in an encoded word", "Content-Type: multipart/mixed; =?x?Q?boundary=3Da?=\n\n--a\n", 1,
      "mime-type" },
    { "a boundary that looks a bit like an encoded word", MIXED("\"a=?b?=\"") "\n--a=?b?=\n", 2, NULL },
    { "a boundary that is no ASCII", MIXED("\xc3\xa4") "\n", 1, "mime-type" },
    { "a boundary of 250 octets",
      MIXED(REPEAT_10("0123456789012345678901234")) "\n--" REPEAT_10("0123456789012345678901234") "\n", 2,
      NULL },
    { "a boundary of 251 octets", MIXED(REPEAT_10("0123456789012345678901234") "5") "\n", 1, "mime-type" },
    { "a name that is encoded",
      "Content-Type: text/plain; name=\"=?utf-8?q?=c3=a4?=\"; name*=utf-8''%c3%a4\n\n", 1, NULL },
    { "a name that is no ASCII", "Content-Type: text/plain; name=\xc3\xa4\n\n", 1, NULL },
    { "a boundary at a header line's end", MIXED("a") "\n--a\nX: --a\n\n", 2, "mime-boundary" },
    { "a boundary at a folded line's end", MIXED("a") "\n--a\nX:\n ---a-- \n\n", 2, "mime-boundary" },
    { "a boundary in a header line", MIXED("a") "\n--a\nX: --a b --ab\nY:--b\n\n", 2, NULL },
    { "a boundary in a short line", MIXED("a") "\n--a\n\nX: --a\n", 2, NULL },
    { "a boundary at a long line's end", MIXED("a") "\n--a\n\n" REPEAT_100("12") "--a\n", 2,
      "mime-boundary" },
    { "a boundary at a very long line's end", MIXED("a") "\n--a\n\n" REPEAT_100("-- - ab--cd--ef") "--a\n", 2,
      "mime-boundary" },
    { "a boundary and blanks in a long line", MIXED("a") "\n--a\n\n" REPEAT_100("12") "--a--   x\n", 2,
      "mime-boundary" },
    { "a boundary and blanks in a very long line",
      MIXED("a") "\n--a\n\n" REPEAT_100("12") "--a   " REPEAT_100("-x---") "\n", 2, "mime-boundary" },
    { "a boundary and blanks in front of text", MIXED("a") "\n--a\n\n--a   x\n", 2, "mime-boundary" },
    { "a boundary and text in a long line", MIXED("a") "\n--a\n\n" REPEAT_100("12") "--a b --ab x--a-- y -\n",
      2, NULL },
    { "hyphens in a long line", MIXED("a") "\n--a\n\n" REPEAT_100("--") "\n" REPEAT_100("-- ") "\n", 2,
      NULL },
    { "a type behind a line that is no field", MIXED("a") "\n--a\njunk\n" MIXED("b") "\n", 2, "mime-type" },
    { "an encoding behind a line that is no field",
      MIXED("a") "\n--a\njunk\nContent-Transfer-Encoding: base64\n" RFC822 "\n", 2, "mime-type" },
    { "a type behind such a line of the part before", MIXED("a") "\n--a\njunk\n--a\n" RFC822 "\n", 4,
      "mime-type" },
    { "a plain type behind a line that is no field", MIXED("a") "\n--a\njunk\nContent-Type: text/plain\n\n",
      2, NULL },
    { "a plain type behind such a line in a digest",
      "Content-Type: multipart/digest; boundary=a\n\n--a\njunk\nContent-Type: text/plain\n\n", 2,
      "mime-type" },
    { "another field between", ">From x\nX: y\n" MIXED("a") "\n--a\n", 2, NULL },
    { "such a line behind a field", "X: y\njunk\n" MIXED("a") "\n--a\n", 2, NULL },
    { "a boundary with a CR in a header section", MIXED("a") "\n--a\n--a\r \n", 3, "mime-boundary" },
    { "a very long boundary in a header section", MIXED("a") "\n--a\n--a" REPEAT_100("   ") "\n", 3,
      "mime-boundary" },
    { "a long line of no multipart", "X: y\n\n" REPEAT_100("12") "--a\n", 1, NULL },
};

static void give(struct guard *g, struct slice piece)
{
    g_autofree uint8_t *copy = g_memdup2(piece.data, piece.len);
    guard_take(g, slice_of(copy, piece.len));
}

static void check_end(const struct guard *g, const struct row *row)
{
    if (row->exceeded == NULL)
        assert_null(guard_exceeded(g));
    else
        assert_string_equal(guard_exceeded(g), row->exceeded);
    assert_int_equal(guard_parts(g), row->parts);
}

static void check_cut(const struct row *row, struct slice message, size_t cut)
{
    auto_ptr(guard) g = guard_new(&small, false);
    give(g, slice_first(message, cut));
    give(g, slice_skip(message, cut));
    check_end(g, row);
}

static void check_octets(const struct row *row, struct slice message)
{
    auto_ptr(guard) g = guard_new(&small, false);
    for (size_t i = 0; i < message.len; i++)
        give(g, slice_of(message.data + i, 1));
    check_end(g, row);
}

static void check_message(const struct row *row, const char *message)
{
    struct slice all = slice_str(message);
    for (size_t cut = 0; cut <= all.len; cut++)
        check_cut(row, all, cut);
    check_octets(row, all);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    g_auto(GStrv) lines = g_strsplit(row->message, "\n", -1);
    g_autofree char *wire = g_strjoinv("\r\n", lines);
    check_message(row, row->message);
    check_message(row, wire);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new(argv[0]);
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
