/*
 * The decoder against a second one, written for plainness: octet by octet, a state for each place in a line.
 * They must agree on every sequence of what matters around a dot, however it is cut.
 */
#include "suite.h"

#include <glib.h>

#include "smtp/data.h"

struct result {
    GString *body;
    bool ended, bare;
    size_t used; /* octets up to and with the end */
};

static void result_clear(struct result *r)
{
    g_string_free(r->body, TRUE);
}

static void slow_decode(const char *in, size_t len, struct result *r)
{
    *r = (struct result){ .body = g_string_new(NULL) };
    bool line_start = true;
    size_t at = 0;
    while (at < len) {
        if (line_start && in[at] == '.') {
            if (at + 2 < len && in[at + 1] == '\r' && in[at + 2] == '\n') {
                r->ended = true;
                r->used = at + 3;
                return;
            }
            if (at + 1 == len || (in[at + 1] == '\r' && at + 2 == len))
                break; /* not known yet */
            at++;
        }
        line_start = false;
        if (in[at] == '\r' && at + 1 == len)
            break;
        if (in[at] == '\r' && in[at + 1] == '\n') {
            g_string_append(r->body, "\r\n");
            at += 2;
            line_start = true;
            continue;
        }
        if (in[at] == '\r' || in[at] == '\n')
            r->bare = true;
        g_string_append_c(r->body, in[at++]);
    }
    r->used = at;
}

/* Feeds the pieces in[0..cut) and the rest, or from there on octet by octet, as a connection would: what was
 * not taken comes again in front of what follows. */
static void fast_decode(const char *in, size_t len, size_t cut, bool drips, struct result *r)
{
    *r = (struct result){ .body = g_string_new(NULL) };
    struct smtp_data d = { 0 };
    size_t at = 0;
    for (size_t end = cut;; end = drips ? end + 1 : len) {
        for (;;) {
            g_autofree char *piece = end > at ? g_memdup2(in + at, end - at) : NULL;
            struct slice run;
            size_t taken;
            enum smtp_data_found found = smtp_data_take(&d, slice_of(piece, end - at), &run, &taken);
            at += taken;
            if (found == SMTP_DATA_END) {
                r->ended = true;
                r->bare = d.bare_cr_lf;
                r->used = at;
                return;
            }
            if (found == SMTP_DATA_MORE) {
                assert_true(end - at <= 2);
                assert_int_equal(taken, 0);
                break;
            }
            assert_true(run.len > 0);
            g_string_append_len(r->body, (const char *)run.data, (gssize)run.len);
        }
        if (end == len)
            break;
    }
    r->bare = d.bare_cr_lf;
    r->used = at;
}

static void compare_cut(const char *in, size_t len, size_t cut, bool drips, const struct result *want)
{
    struct result got;
    fast_decode(in, len, cut, drips, &got);
    assert_int_equal(got.ended, want->ended);
    assert_int_equal(got.used, want->used);
    /* Of a message without end, whether it is good is not known yet, and the last CR may still be held. */
    if (want->ended)
        assert_int_equal(got.bare, want->bare);
    assert_int_equal(got.body->len, want->body->len);
    assert_memory_equal(got.body->str, want->body->str, want->body->len);
    result_clear(&got);
}

static void compare(const char *in, size_t len)
{
    struct result want;
    slow_decode(in, len, &want);
    for (size_t cut = 0; cut <= len; cut++)
        compare_cut(in, len, cut, false, &want);
    compare_cut(in, len, 0, true, &want);
    result_clear(&want);
}

/* Sequence number `n` of so many letters. */
static void spell(size_t n, char *to, size_t len, const char *letters, size_t letter_count)
{
    for (size_t i = 0; i < len; i++, n /= letter_count)
        to[i] = letters[n % letter_count];
}

static void every_sequence(void **state)
{
    (void)state;
    static const char letters[] = { '\r', '\n', '.', 'x', '\0' };
    enum { LONGEST = 7 };
    for (size_t len = 0; len <= LONGEST; len++) {
        size_t count = 1;
        for (size_t i = 0; i < len; i++)
            count *= sizeof letters;
        for (size_t n = 0; n < count; n++) {
            char text[LONGEST + 5];
            spell(n, text, len, letters, sizeof letters);
            memcpy(text + len, "\r\n.\r\n", 5);
            compare(text, len + 5);
        }
    }
}

/* The decoder looks at blocks of 128 octets, or 64, and of 16: what matters may lie anywhere in one, or
 * across two. */
static void every_place(void **state)
{
    (void)state;
    static const char letters[] = { '\r', '\n', '.', 'x' };
    enum { LEN = 5, SEQUENCES = 4 * 4 * 4 * 4 * 4, LINE = 1 + 128 + 128 + LEN + 16 };
    for (size_t n = 0; n < SEQUENCES; n++) {
        for (size_t place = 0; place <= LINE - LEN; place++) {
            char text[LINE + 5];
            memset(text, 'x', LINE);
            spell(n, text + place, LEN, letters, sizeof letters);
            memcpy(text + LINE, "\r\n.\r\n", 5);
            struct result want;
            slow_decode(text, sizeof text, &want);
            compare_cut(text, sizeof text, 0, false, &want);
            result_clear(&want);
        }
    }
}

/* Lines of all lengths one behind the other, so that their ends and dots meet all edges of blocks and of
 * segments. */
static void lines_of_all_lengths(void **state)
{
    (void)state;
    g_autoptr(GString) in = g_string_new(NULL);
    for (size_t len = 0; len < 70; len += 3) {
        for (size_t i = 0; i < len; i++)
            g_string_append_c(in, "abcdefg"[i % 7]);
        g_string_append(in, len % 4 == 0 ? "\r\n..\r\n" : len % 4 == 1 ? "\r\n.x.\r\n" : "\r\n");
    }
    g_string_append(in, ".\r\n");
    compare(in->str, in->len);
}

static const struct row {
    const char *name, *input, *body;
    bool ended, bare;
} rows[] = {
    { "an empty message", ".\r\n", "", true, false },
    { "one line", "hello\r\n.\r\n", "hello\r\n", true, false },
    { "a dot is unstuffed", "..\r\n.\r\n", ".\r\n", true, false },
    { "a dot before text is removed, as RFC 5321 4.5.2 has it", ".x\r\n.\r\n", "x\r\n", true, false },
    { "dots inside a line stay", "a.b.\r\n.\r\n", "a.b.\r\n", true, false },
    { "a bare LF does not make a line start", "a\n.\r\n.\r\n", "a\n.\r\n", true, true },
    { "a bare CR does not make a line start", "a\r.\r\n.\r\n", "a\r.\r\n", true, true },
    { "LF . LF ends nothing", "a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", true, true },
    { "CR LF . LF ends nothing", "a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", true, true },
    { "LF . CR LF ends nothing", "a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", true, true },
    { "CR . CR ends nothing", "a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", true, true },
    { "CR LF . CR and more ends nothing", "a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true, true },
    { "CR CR LF is a bare CR", "a\r\r\n.\r\n", "a\r\r\n", true, true },
    { "what follows the end is not touched", ".\r\nMAIL FROM:<>\r\n", "", true, false },
    { "no end", "hello\r\nworld", "hello\r\nworld", false, false },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->input);
    compare(row->input, len);
    for (size_t cut = 0; cut <= len; cut++) {
        struct result got;
        fast_decode(row->input, len, cut, false, &got);
        assert_string_equal(got.body->str, row->body);
        assert_int_equal(got.ended, row->ended);
        assert_int_equal(got.bare, row->bare);
        result_clear(&got);
    }
}

/* Whole lines come in one run: the number of runs is what the rest of the path pays for. */
static void runs_are_long(void **state)
{
    (void)state;
    g_autoptr(GString) in = g_string_new(NULL);
    for (int i = 0; i < 1000; i++)
        g_string_append(in, "seventy columns of text and no dot at the beginning of any of its lines..\r\n");
    struct smtp_data d = { 0 };
    struct slice run;
    size_t taken;
    assert_int_equal(smtp_data_take(&d, slice_of(in->str, in->len), &run, &taken), SMTP_DATA_RUN);
    assert_int_equal(run.len, in->len);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/data");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "every sequence of CR LF . x NUL up to seven, before the end, cut at every octet",
              every_sequence, NULL);
    suite_add(s, "every sequence of CR LF . x at every place in long lines", every_place, NULL);
    suite_add(s, "lines of all lengths, cut at every octet", lines_of_all_lengths, NULL);
    suite_add(s, "runs are long", runs_are_long, NULL);
    return suite_run(s, argc, argv);
}
