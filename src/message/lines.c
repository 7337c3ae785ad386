#include "message/lines.h"

#include <string.h>

/*
 * Whole messages pass here, so what lies between two CRs is copied at once; libc finds and copies faster than
 * a loop of our own would. The LF of a line's end is not looked at as such: it begins the next run.
 */
size_t line_ends_convert(struct line_ends *state, struct slice in, uint8_t *to)
{
    if (in.len == 0)
        return 0;
    const uint8_t *at = in.data;
    const uint8_t *const end = in.data + in.len;
    uint8_t *next = to;
    if (state->held_cr && *at != '\n')
        *next++ = '\r';
    state->held_cr = false;
    while (at < end) {
        const uint8_t *cr = memchr(at, '\r', (size_t)(end - at));
        size_t run = (size_t)((cr != NULL ? cr : end) - at);
        memcpy(next, at, run);
        next += run;
        if (cr == NULL)
            break;
        at = cr + 1;
        if (at == end)
            state->held_cr = true;
        else if (*at != '\n')
            *next++ = '\r';
    }
    return (size_t)(next - to);
}

/*
 * Every stored message passes here once more, so it shall cost next to nothing: a piece has a fixed length
 * and its count fits into an octet, which the compiler turns into a few operations on 16 octets at a time or
 * more.
 */
enum { PIECE = 128 };

/* In the PIECE octets behind `before`. */
static uint8_t bare_in_piece(const uint8_t *before)
{
    uint8_t count = 0;
    for (size_t i = 0; i < PIECE; i++)
        count = (uint8_t)(count + ((before[i + 1] == '\n') & (before[i] != '\r')));
    return count;
}

uint64_t line_ends_bare(struct slice run, bool *after_cr)
{
    if (run.len == 0)
        return 0;
    const uint8_t *at = run.data;
    const uint8_t *const end = run.data + run.len;
    uint64_t count = *at == '\n' && !*after_cr;
    for (at++; end - at >= PIECE; at += PIECE)
        count += bare_in_piece(at - 1);
    for (; at < end; at++)
        count += at[0] == '\n' && at[-1] != '\r';
    *after_cr = end[-1] == '\r';
    return count;
}

size_t line_ends_finish(struct line_ends *state, uint8_t *to)
{
    if (!state->held_cr)
        return 0;
    state->held_cr = false;
    *to = '\r';
    return 1;
}
