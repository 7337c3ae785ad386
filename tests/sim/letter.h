/*
 * tests/sim/letter.h - a message that a simulated client sends: how it is declared in MAIL, what goes over
 * the wire, and what must be stored of it. Everything is drawn from the generator that it is given.
 */
#pragma once

#include <glib.h>

#include "base/random.h"
#include "base/slice.h"

enum { LETTER_CHUNKS_MAX = 4 };

struct letter {
    bool chunked;     /* by BDAT: in chunks as they are; else by DATA: with dot-stuffing and its end */
    bool utf8;        /* declared SMTPUTF8 */
    const char *mail; /* parameters of MAIL, each with a blank in front */
    const char *rcpt; /* and of RCPT */
    GString *wire, *body;
    size_t chunk_ends[LETTER_CHUNKS_MAX]; /* in `wire`, ascending; the last one is its end */
    size_t chunks;
};

void letter_init(struct letter *l, struct pst_random *random);
void letter_clear(struct letter *l); /* one that is all 0 is welcome */

struct slice letter_chunk(const struct letter *l, size_t number);
