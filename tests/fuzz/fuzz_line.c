/*
 * The message's lines, in pieces: the decoder of DATA (smtp/data.h) and the line ends of the file
 * (message/lines.h) against slow ones, and the bounds of the header section (smtp/header.h) against the same
 * on all of it at once.
 */
#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "message/lines.h"
#include "slow_data.h"
#include "smtp/data.h"
#include "smtp/header.h"

/* Feeds piece after piece as a connection does: what was not taken comes again in front of what follows. */
static bool decode(struct smtp_data *d, struct slice in, struct fuzz_cuts *cuts, GString *body,
                   size_t *ret_used)
{
    size_t taken = 0, come = 0;
    bool ended = false;
    while (!ended && come < in.len) {
        come += fuzz_cut(cuts, in.len - come);
        uint8_t *copy = fuzz_copy(slice_of(in.data + taken, come - taken));
        struct slice rest = slice_of(copy, come - taken), run;
        size_t count;
        enum smtp_data_found found;
        while ((found = smtp_data_take(d, rest, &run, &count)) == SMTP_DATA_RUN) {
            pst_assert(run.len > 0 && count >= run.len && count <= rest.len);
            g_string_append_len(body, (const char *)run.data, (gssize)run.len);
            rest = slice_skip(rest, count);
        }
        pst_assert(found == SMTP_DATA_END || (count == 0 && rest.len <= 2));
        taken = come - rest.len + count;
        ended = found == SMTP_DATA_END;
        free(copy);
    }
    *ret_used = taken;
    return ended;
}

static void compare_data(struct slice in, struct fuzz_cuts *cuts)
{
    g_autoptr(GString) want = g_string_new(NULL);
    struct slow_data slow = { .body = want };
    size_t want_used = 0;
    while (want_used < in.len && !slow_data_put(&slow, (char)in.data[want_used]))
        want_used++;
    bool ends = want_used < in.len;

    g_autoptr(GString) got = g_string_new(NULL);
    struct smtp_data d = { 0 };
    size_t used;
    pst_assert(decode(&d, in, cuts, got, &used) == ends);
    pst_assert(g_string_equal(got, want));
    if (ends) {
        pst_assert(used == want_used + 1);
        pst_assert(d.bare_cr_lf == slow.bare_cr_lf);
    }
}

static void compare_lines(struct slice in, struct fuzz_cuts *cuts)
{
    g_autoptr(GString) want = g_string_new(NULL);
    for (size_t i = 0; i < in.len; i++)
        if (in.data[i] != '\r' || i + 1 == in.len || in.data[i + 1] != '\n')
            g_string_append_c(want, (char)in.data[i]);

    g_autoptr(GString) got = g_string_new(NULL);
    struct line_ends state = { 0 };
    for (size_t at = 0, len; (len = fuzz_cut(cuts, in.len - at)) > 0; at += len) {
        uint8_t *piece = fuzz_copy(slice_of(in.data + at, len));
        uint8_t *to = malloc(len + 1);
        g_string_append_len(got, (const char *)to,
                            (gssize)line_ends_convert(&state, slice_of(piece, len), to));
        free(to);
        free(piece);
    }
    uint8_t last;
    g_string_append_len(got, (const char *)&last, (gssize)line_ends_finish(&state, &last));
    pst_assert(g_string_equal(got, want));
}

static void compare_headers(struct slice in, struct fuzz_cuts *cuts, unsigned limits)
{
    static const uint64_t octets[] = { 1 << 20, 0, 1, 30 };
    static const uint64_t fields[] = { 1000, 0, 1, 3 };
    uint64_t max_octets = octets[limits & 3], max_fields = fields[limits >> 2 & 3];
    struct smtp_header whole = { 0 }, h = { 0 };
    enum smtp_header_verdict want = smtp_header_take(&whole, in, max_octets, max_fields),
                             got = SMTP_HEADER_WITHIN;
    for (size_t at = 0, len; (len = fuzz_cut(cuts, in.len - at)) > 0; at += len) {
        uint8_t *piece = fuzz_copy(slice_of(in.data + at, len));
        got = smtp_header_take(&h, slice_of(piece, len), max_octets, max_fields);
        free(piece);
    }
    pst_assert(got == want);
    if (got != SMTP_HEADER_WITHIN)
        return;
    pst_assert(h.octets == whole.octets && h.fields == whole.fields && h.ended == whole.ended);
    pst_assert(h.octets <= max_octets && h.octets <= in.len && h.fields <= max_fields);
}

/* 0xFE and an octet stand for so many octets of plain text: the decoder passes over blocks of it. */
static GString *expand(struct slice in)
{
    enum { ESCAPE = 0xfe };
    GString *out = g_string_new(NULL);
    while (in.len > 0) {
        struct slice text = slice_first(in, slice_find(in, 0, ESCAPE));
        in = slice_skip(in, text.len + 1);
        unsigned count = fuzz_choose(&in, 256);
        g_string_append_len(out, (const char *)text.data, (gssize)text.len);
        g_string_set_size(out, out->len + count);
        memset(out->str + out->len - count, 'x', count);
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice script = slice_of(data, size);
    struct fuzz_cuts cuts = fuzz_choose_cuts(&script);
    unsigned limits = fuzz_choose(&script, 16);
    g_autoptr(GString) text = expand(script);
    struct slice in = slice_of(text->str, text->len);
    compare_data(in, &cuts);
    compare_lines(in, &cuts);
    compare_headers(in, &cuts, limits);
    return 0;
}
