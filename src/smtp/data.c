#include "smtp/data.h"

/* Sixteen octets that are looked at together; the compiler makes of it what the processor has. */
typedef uint8_t octets __attribute__((vector_size(16)));

/* What is passed over at once while there is nothing to do in it. Only what is left is read octet by octet.
 */
enum { LARGE_BLOCK = 4 * sizeof(octets), SMALL_BLOCK = sizeof(octets) };

static inline octets load(const uint8_t *at)
{
    octets o;
    memcpy(&o, at, sizeof o);
    return o;
}

/*
 * True when in a block each LF stands behind a CR, behind each CR stands an LF, and no dot behind an LF:
 * nearly all of a message is such. `at` has an octet in front of it.
 */
static inline bool is_plain(const uint8_t *at, size_t block)
{
    octets odd = { 0 };
#pragma GCC unroll 4 /* gcc -O2 would not */
    for (size_t i = 0; i < block; i += sizeof odd) {
        octets now = load(at + i), before = load(at + i - 1);
        octets unpaired = (octets)(now == '\n') ^ (octets)(before == '\r');
        octets dotted = (octets)(now == '.') & (octets)(before == '\n');
        odd |= unpaired | dotted;
    }
    uint64_t halves[2];
    memcpy(halves, &odd, sizeof odd);
    return (halves[0] | halves[1]) == 0;
}

/* The octets from `at` on that are plain, as far as whole blocks can tell. */
static size_t plain_blocks(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *next = at;
    while (end - next >= LARGE_BLOCK && is_plain(next, LARGE_BLOCK))
        next += LARGE_BLOCK;
    while (end - next >= SMALL_BLOCK && is_plain(next, SMALL_BLOCK))
        next += SMALL_BLOCK;
    return (size_t)(next - at);
}

/*
 * Where a run ends that begins at `start` and may go on to `end`, which lies behind it: there, or at a dot
 * behind an LF. Whether a line begins with that dot, the next call tells: not if the LF is a bare one.
 */
static size_t find_run_end(struct smtp_data *d, struct slice in, size_t start, size_t end)
{
    size_t at = start;
    if (at == 0 && in.data[at++] == '\n')
        d->bare_cr_lf = true;
    while (at < end) {
        at += plain_blocks(in.data + at, in.data + end);
        size_t stop = end - at < SMALL_BLOCK ? end : at + SMALL_BLOCK;
        for (; at < stop; at++) {
            uint8_t before = in.data[at - 1], now = in.data[at];
            if ((now == '\n') != (before == '\r'))
                d->bare_cr_lf = true;
            else if (now == '.' && before == '\n')
                return at;
        }
    }
    return end;
}

enum smtp_data_found smtp_data_take(struct smtp_data *d, struct slice in, struct slice *ret_run,
                                    size_t *ret_taken)
{
    *ret_taken = 0;
    size_t start = 0;
    if (!d->mid_line && in.len > 0 && in.data[0] == '.') {
        if (in.len == 1 || (in.len == 2 && in.data[1] == '\r'))
            return SMTP_DATA_MORE; /* the end, or a line that begins with a dot */
        if (in.data[1] == '\r' && in.data[2] == '\n') {
            *ret_taken = 3;
            return SMTP_DATA_END;
        }
        start = 1;
    }
    /* A CR that is the very last octet is not judged yet: LF may follow in the next segment. */
    size_t end = in.len > 0 && in.data[in.len - 1] == '\r' ? in.len - 1 : in.len;
    if (start == end)
        return SMTP_DATA_MORE;
    end = find_run_end(d, in, start, end);
    const uint8_t *last = &in.data[end - 1];
    if (*last == '\r')
        d->bare_cr_lf = true; /* no LF follows it, or it would be in the run */
    d->mid_line = end < 2 || last[0] != '\n' || last[-1] != '\r';
    *ret_taken = end;
    *ret_run = slice_of(in.data + start, end - start);
    return SMTP_DATA_RUN;
}
