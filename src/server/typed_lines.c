#include "server/typed_lines.h"

size_t typed_lines_convert(struct typed_lines *l, struct slice in, uint8_t *to)
{
    size_t len = 0;
    for (size_t at = 0; at < in.len;) {
        size_t lf = slice_find(in, at, '\n');
        if (lf > at) {
            memcpy(to + len, in.data + at, lf - at);
            len += lf - at;
            l->after_cr = in.data[lf - 1] == '\r';
        }
        if (lf == in.len)
            break;
        if (l->kind == TYPED_LINES_UNKNOWN)
            l->kind = l->after_cr ? TYPED_LINES_EXACT : TYPED_LINES_TEXT;
        if (l->kind == TYPED_LINES_TEXT && !l->after_cr)
            to[len++] = '\r';
        to[len++] = '\n';
        l->after_cr = false;
        at = lf + 1;
    }
    return len;
}
