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

size_t line_ends_finish(struct line_ends *state, uint8_t *to)
{
    if (!state->held_cr)
        return 0;
    state->held_cr = false;
    *to = '\r';
    return 1;
}
