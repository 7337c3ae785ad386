/* Line ends: each row whole, cut in two at every octet, and octet by octet; then random runs against the
 * obvious conversion. */
#include "suite.h"

#include <glib.h>

#include "base/random.h"
#include "message/lines.h"

static const struct row {
    const char *name, *input, *want;
} rows[] = {
    { "nothing", "", "" },
    { "text without a line's end", "abc", "abc" },
    { "one line", "abc\r\n", "abc\n" },
    { "lines", "Subject: x\r\n\r\nhello\r\nworld\r\n", "Subject: x\n\nhello\nworld\n" },
    { "empty lines", "\r\n\r\n\r\n", "\n\n\n" },
    { "a CR alone stays", "a\rb\r\n", "a\rb\n" },
    { "an LF alone stays", "a\nb\r\n", "a\nb\n" },
    { "of two CRs before LF one stays", "a\r\r\n", "a\r\n" },
    { "three CRs", "\r\r\r", "\r\r\r" },
    { "LF CR is no line's end", "a\n\rb", "a\n\rb" },
    { "LF CR LF", "\n\r\n", "\n\n" },
    { "a CR ends the message", "a\r\nb\r", "a\nb\r" },
    { "only a CR", "\r", "\r" },
    { "octets with the high bit", "\xc3\xa9\x8d\x8a\r\n\xff\r", "\xc3\xa9\x8d\x8a\n\xff\r" },
};

/* A heap block of just the promised room for each run, so that a sanitizer sees an octet too many. */
static void convert(struct line_ends *state, struct slice run, GString *to)
{
    g_autofree uint8_t *room = g_malloc(run.len + 1);
    size_t len = line_ends_convert(state, run, room);
    assert_true(len <= run.len + 1);
    g_string_append_len(to, (const char *)room, (gssize)len);
}

static void finish(struct line_ends *state, GString *to)
{
    uint8_t last;
    if (line_ends_finish(state, &last) > 0)
        g_string_append_c(to, (char)last);
    assert_int_equal(line_ends_finish(state, &last), 0);
}

static void check_cut(struct slice input, size_t cut, struct slice want)
{
    struct line_ends state = { 0 };
    g_autoptr(GString) got = g_string_new(NULL);
    convert(&state, slice_first(input, cut), got);
    convert(&state, slice_skip(input, cut), got);
    finish(&state, got);
    assert_true(slice_equal(slice_of(got->str, got->len), want));
}

static void check_octets(struct slice input, struct slice want)
{
    struct line_ends state = { 0 };
    g_autoptr(GString) got = g_string_new(NULL);
    for (size_t i = 0; i < input.len; i++)
        convert(&state, slice_first(slice_skip(input, i), 1), got);
    finish(&state, got);
    assert_true(slice_equal(slice_of(got->str, got->len), want));
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct slice input = slice_str(row->input);
    for (size_t cut = 0; cut <= input.len; cut++)
        check_cut(input, cut, slice_str(row->want));
    check_octets(input, slice_str(row->want));
}

static void nul_is_an_octet_like_others(void **state)
{
    (void)state;
    check_octets(slice_of("a\0\r\n\0\r\0\n", 8), slice_of("a\0\n\0\r\0\n", 7));
    check_cut(slice_of("a\0\r\n\0\r\0\n", 8), 8, slice_of("a\0\n\0\r\0\n", 7));
}

static void a_state_is_clean_after_finish(void **unused)
{
    (void)unused;
    struct line_ends state = { 0 };
    g_autoptr(GString) got = g_string_new(NULL);
    convert(&state, slice_str("a\r"), got);
    finish(&state, got);
    convert(&state, slice_str("\nb"), got);
    finish(&state, got);
    assert_string_equal(got->str, "a\r\nb");
}

/* The same, as one would write it who need not be fast. */
static void convert_slowly(struct slice in, GString *to)
{
    for (size_t i = 0; i < in.len; i++)
        if (in.data[i] != '\r' || i + 1 == in.len || in.data[i + 1] != '\n')
            g_string_append_c(to, (char)in.data[i]);
}

/* Mostly ends of lines; some; or few, as in text. */
static uint8_t letter_of(struct pst_random *random, int round)
{
    static const uint64_t kinds[] = { 4, 11, 80 };
    uint64_t letter = pst_random_below(random, kinds[round % 3]);
    return (uint8_t) "\r\n\rabcdefgh"[MIN(letter, 10)];
}

static void random_runs(void **unused)
{
    (void)unused;
    struct pst_random random;
    pst_random_seed(&random, 1);
    for (int round = 0; round < 4000; round++) {
        uint8_t bytes[1000];
        struct slice input = slice_of(bytes, (size_t)pst_random_below(&random, sizeof bytes));
        for (size_t i = 0; i < input.len; i++)
            bytes[i] = letter_of(&random, round);
        g_autoptr(GString) want = g_string_new(NULL);
        convert_slowly(input, want);
        struct line_ends state = { 0 };
        g_autoptr(GString) got = g_string_new(NULL);
        for (size_t at = 0; at < input.len;) {
            uint32_t longest = round % 4 < 2 ? 40 : 700;
            struct slice run = slice_first(slice_skip(input, at), (size_t)pst_random_below(&random, longest));
            convert(&state, run, got);
            at += run.len;
        }
        finish(&state, got);
        assert_true(g_string_equal(got, want));
    }
}

/* ---- the LFs without a CR ---- */

static const struct bare_row {
    const char *name, *input;
    uint64_t want;
} bare_rows[] = {
    { "bare: nothing", "", 0 },
    { "bare: lines", "a\nb\n", 2 },
    { "bare: one at the beginning", "\na", 1 },
    { "bare: CR LF is none", "a\r\nb\r\n", 0 },
    { "bare: CR CR LF is none", "a\r\r\n", 0 },
    { "bare: LF LF is two", "\n\n", 2 },
    { "bare: only the first of LF CR LF", "\n\r\n", 1 },
    { "bare: a last CR", "a\n\r", 1 },
};

static uint64_t count_slowly(struct slice in)
{
    uint64_t count = 0;
    for (size_t i = 0; i < in.len; i++)
        count += in.data[i] == '\n' && (i == 0 || in.data[i - 1] != '\r');
    return count;
}

static void check_bare(void **state)
{
    const struct bare_row *row = *state;
    struct slice input = slice_str(row->input);
    for (size_t cut = 0; cut <= input.len; cut++) {
        bool after_cr = false;
        uint64_t count = line_ends_bare(slice_first(input, cut), &after_cr);
        count += line_ends_bare(slice_skip(input, cut), &after_cr);
        assert_int_equal(count, row->want);
        assert_int_equal(after_cr, input.len > 0 && input.data[input.len - 1] == '\r');
    }
}

/* Long ones, as they are counted many octets at once; on the heap, so that a sanitizer sees one too many. */
static void random_bare(void **unused)
{
    (void)unused;
    struct pst_random random;
    pst_random_seed(&random, 2);
    for (int round = 0; round < 500; round++) {
        size_t len = (size_t)pst_random_below(&random, 2000);
        g_autofree uint8_t *bytes = g_malloc(len + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t) "\n\n\r\nabcd"[pst_random_below(&random, round % 2 == 0 ? 4 : 8)];
        bool after_cr = false;
        uint64_t count = 0;
        for (size_t at = 0; at < len;) {
            struct slice run =
                slice_first(slice_of(bytes + at, len - at), (size_t)pst_random_below(&random, 600));
            g_autofree uint8_t *copy = g_memdup2(run.data, run.len);
            count += line_ends_bare(slice_of(copy, run.len), &after_cr);
            at += run.len;
        }
        assert_int_equal(count, count_slowly(slice_of(bytes, len)));
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("lines");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "NUL is an octet like others", nul_is_an_octet_like_others, NULL);
    suite_add(s, "a state is clean after finish", a_state_is_clean_after_finish, NULL);
    suite_add(s, "random runs are converted as the obvious code does", random_runs, NULL);
    suite_add_rows(s, bare_rows, check_bare);
    suite_add(s, "bare: random runs", random_bare, NULL);
    return suite_run(s, argc, argv);
}
