/*
 * smtp/data.h - the message behind DATA (RFC 5321 4.5.2): finds its end, removes dot-stuffing, sees line ends
 * that are none. Only CR LF ends a line, and only CR LF . CR LF the data (the first CR LF may be the one that
 * ended the DATA command). The decoder is a value; it keeps two bits between calls, holds no bytes and cannot
 * fail.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

struct smtp_data {
    bool mid_line;   /* what was taken so far does not end in CR LF */
    bool bare_cr_lf; /* a CR without LF or an LF without CR was taken: the message must be refused after its
                        end */
};

enum smtp_data_found {
    SMTP_DATA_RUN,  /* *ret_run is the message's next bytes, not empty */
    SMTP_DATA_MORE, /* nothing more can be said: feed again what was not taken, with what follows it (at most
                       2 octets) */
    SMTP_DATA_END,  /* the end was taken; bytes behind it are the next command */
};

/*
 * Takes from the front of `in` as much as makes one run, a slice of `in`: whole lines where it can.
 * *ret_taken is how many octets were taken.
 */
enum smtp_data_found smtp_data_take(struct smtp_data *d, struct slice in, struct slice *ret_run,
                                    size_t *ret_taken);
