#include "smtp/data.h"

/* The end of the line that begins at `at`: the index behind its CR LF, or 0 when there is none in `in`. */
static size_t line_end(struct smtp_data *d, struct slice in, size_t at)
{
    for (size_t from = at;;) {
        size_t lf = slice_find(in, from, '\n');
        size_t end = lf < in.len ? lf : in.len;
        bool ends = lf < in.len && lf > at && in.data[lf - 1] == '\r';
        /* A CR that is the very last octet is not judged yet: LF may follow in the next segment. */
        size_t judged = ends                                   ? lf - 1
                        : lf < in.len                          ? lf
                        : end > at && in.data[end - 1] == '\r' ? end - 1
                                                               : end;
        if (judged > from && memchr(in.data + from, '\r', judged - from) != NULL)
            d->bare_cr_lf = true;
        if (lf == in.len)
            return 0;
        if (ends)
            return lf + 1;
        d->bare_cr_lf = true;
        from = lf + 1;
    }
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

    /* Whole lines, up to one that begins with a dot. */
    size_t at = start;
    while (at < in.len && (at == start || in.data[at] != '.')) {
        size_t end = line_end(d, in, at);
        if (end == 0)
            break;
        at = end;
    }

    bool mid_line = at == start && d->mid_line;

    /* No line end in the rest: a piece of a line, all but a CR that may be half of its end. */
    if (at < in.len && (at == start || in.data[at] != '.')) {
        size_t rest = in.data[in.len - 1] == '\r' ? in.len - 1 : in.len;
        mid_line = mid_line || rest > at;
        at = rest;
    }
    d->mid_line = mid_line;
    if (at == start)
        return SMTP_DATA_MORE;
    *ret_taken = at;
    *ret_run = slice_of(in.data + start, at - start);
    return SMTP_DATA_RUN;
}
