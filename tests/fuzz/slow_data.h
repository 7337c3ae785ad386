/*
 * tests/fuzz/slow_data.h - the message behind DATA, octet by octet: a decoder to compare others with, written
 * for plainness.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct slow_data {
    enum {
        SLOW_LINE_START,
        SLOW_DOT,    /* a dot at a line's start */
        SLOW_DOT_CR, /* and a CR behind it */
        SLOW_IN_LINE,
        SLOW_CR, /* somewhere in a line */
        SLOW_ENDED,
    } place;
    bool bare_cr_lf; /* a CR or LF alone was seen */
    GString *body;   /* of the caller; a CR is put into it once it is known what follows */
};

/* True: this octet was the last of the data. */
bool slow_data_put(struct slow_data *d, char octet);
