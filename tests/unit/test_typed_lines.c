/* Typed line ends: each row whole, cut in two at every octet, and octet by octet. */
#include "suite.h"

#include <glib.h>

#include "server/typed_lines.h"

static const struct row {
    const char *name;
    enum typed_lines_kind kind; /* at the beginning */
    const char *input, *want;
} rows[] = {
    { "nothing", TYPED_LINES_UNKNOWN, "", "" },
    { "half a line", TYPED_LINES_UNKNOWN, "QUI", "QUI" },
    { "typed lines", TYPED_LINES_UNKNOWN, "NOOP\n\nQUIT\n", "NOOP\r\n\r\nQUIT\r\n" },
    { "only a line's end", TYPED_LINES_UNKNOWN, "\n\n", "\r\n\r\n" },
    { "typed lines may have CR LF among them", TYPED_LINES_UNKNOWN, "NOOP\nNOOP\r\nQUIT\n",
      "NOOP\r\nNOOP\r\nQUIT\r\n" },
    { "a CR alone is never touched", TYPED_LINES_UNKNOWN, "a\rb\nc\rd\n\r", "a\rb\r\nc\rd\r\n\r" },
    { "of two CRs none is added", TYPED_LINES_UNKNOWN, "a\nb\r\r\n", "a\r\nb\r\r\n" },
    { "LF CR LF", TYPED_LINES_UNKNOWN, "\n\r\n\n", "\r\n\r\n\r\n" },
    { "exact lines", TYPED_LINES_UNKNOWN, "NOOP\r\nQUIT\r\n", "NOOP\r\nQUIT\r\n" },
    { "among exact lines a bare LF stays", TYPED_LINES_UNKNOWN, "NOOP\r\na\nb\n.\r\n",
      "NOOP\r\na\nb\n.\r\n" },
    { "the first line ends in CR CR LF", TYPED_LINES_UNKNOWN, "NOOP\r\r\na\n", "NOOP\r\r\na\n" },
    { "at a terminal the first line does not decide", TYPED_LINES_TEXT, "NOOP\r\nQUIT\n",
      "NOOP\r\nQUIT\r\n" },
};

/* A heap block of just the promised room, so that a sanitizer sees an octet too many. */
static void convert(struct typed_lines *state, struct slice in, GString *to)
{
    g_autofree uint8_t *room = g_malloc(2 * in.len + 1);
    size_t len = typed_lines_convert(state, in, room);
    assert_true(len <= 2 * in.len);
    g_string_append_len(to, (const char *)room, (gssize)len);
}

static void check_pieces(const struct row *row, size_t first, size_t each)
{
    struct typed_lines state = { .kind = row->kind };
    g_autoptr(GString) got = g_string_new(NULL);
    struct slice rest = slice_str(row->input);
    convert(&state, slice_first(rest, first), got);
    for (rest = slice_skip(rest, first); rest.len > 0; rest = slice_skip(rest, each))
        convert(&state, slice_first(rest, each), got);
    assert_string_equal(got->str, row->want);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->input);
    for (size_t cut = 0; cut <= len; cut++)
        check_pieces(row, cut, len + 1);
    check_pieces(row, 0, 1);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("server/typed_lines");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
