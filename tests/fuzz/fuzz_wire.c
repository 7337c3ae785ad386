/*
 * Frames between a worker and its hosts (handlers/wire.h), either's: what is understood says the same when it
 * is said again, however much more has come; no frame is understood before all of it has come; the arrays are
 * not much larger than the frame; an obituary is found behind anything; and a verdict in which nothing is
 * wrong (handlers/verdict.h) keeps its bounds.
 */
#include "handlers/wire.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "handlers/verdict.h"

static const struct handler_bounds bounds = {
    .recipients = 2, .handlers = 2, .message_size = 100, .scratch_size = 50
};

static void check_fate(const struct wire_fate *f)
{
    pst_assert(f->decision < WIRE_DECISIONS && f->handler >= -1 && f->handler < 2);
    bool is_refusal = f->decision == WIRE_REJECT || f->decision == WIRE_DEFER;
    pst_assert(!is_refusal || (f->code >= 400 && f->code < 600 && strlen(f->text) < HANDLER_REPLY_MAX));
    pst_assert(!is_refusal || strpbrk(f->text, "\r\n") == NULL);
    pst_assert(f->folder == NULL || strpbrk(f->folder, "\r\n") == NULL);
    pst_assert(f->flags == NULL || strlen(f->flags) <= 6);
}

static void check_verdict(const struct wire_verdict *v)
{
    if (handler_verdict_problem(v, &bounds) != NULL)
        return;
    pst_assert(v->fate_count == 2 && v->skip <= (v->replaced ? 50 : 100));
    for (uint32_t i = 0; i < v->fate_count; i++)
        check_fate(&v->fates[i]);
}

static void check_again(const struct wire_frame *f, struct slice octets)
{
    g_autoptr(GByteArray) again = g_byte_array_new();
    pst_assert(wire_encode(f, again) == 0);
    pst_assert(slice_equal(slice_of(again->data, again->len), octets));
}

/* How many octets of the frame are there; 0 or -EBADMSG. */
static int64_t check_first(struct slice in)
{
    uint8_t *copy = fuzz_copy(in);
    auto_val(wire_frame) f = { .memory = NULL };
    int64_t len = wire_decode(slice_of(copy, in.len), &f);
    pst_assert(len == -EBADMSG || (len >= 0 && (uint64_t)len <= in.len));
    pst_assert((len > 0) == (f.memory != NULL));
    if (len > 0)
        check_again(&f, slice_of(copy, (size_t)len));
    if (len > 0 && f.type == WIRE_VERDICT)
        check_verdict(&f.verdict);
    wire_frame_clear(&f);
    free(copy);
    return len;
}

/* The same answer once it can be given, and none before. */
static void check_cuts(struct slice in, int64_t whole, struct fuzz_cuts *cuts)
{
    for (size_t come = 0, len; (len = fuzz_cut(cuts, in.len - come)) > 0;) {
        come += len;
        int64_t now = check_first(slice_first(in, come));
        pst_assert(now == 0 || now == whole);
        pst_assert(whole <= 0 || (now > 0) == (come >= (size_t)whole));
        if (now != 0)
            return;
    }
}

static void check_obituary(struct slice in)
{
    const struct wire_frame last = { WIRE_OBITUARY, .obituary = { WIRE_PARSING, -1, 11, 0 } };
    g_autoptr(GByteArray) all = g_byte_array_new();
    g_byte_array_append(all, in.data, (guint)in.len);
    struct wire_obituary o = { .stage = WIRE_STAGES };
    if (wire_find_obituary(slice_of(all->data, all->len), &o))
        pst_assert(o.stage < WIRE_STAGES);
    pst_assert(wire_encode(&last, all) == 0);
    pst_assert(wire_find_obituary(slice_of(all->data, all->len), &o));
    pst_assert(o.stage == WIRE_PARSING && o.signal == 11);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct fuzz_cuts cuts = fuzz_choose_cuts(&in);
    check_obituary(in);
    for (int64_t len = 1; len > 0 && in.len > 0; in = slice_skip(in, len > 0 ? (size_t)len : 0)) {
        len = check_first(in);
        check_cuts(in, len, &cuts);
    }
    return 0;
}
