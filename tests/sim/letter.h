/*
 * tests/sim/letter.h - a message that a simulated client sends: how it is declared in MAIL, and what goes
 * over the wire. Everything is drawn from the generator that it is given. One letter is drawn again for each
 * message, so that its memory is made once.
 */
#pragma once

#include <glib.h>

#include "base/auto.h"
#include "base/random.h"
#include "base/slice.h"

enum { LETTER_CHUNKS_MAX = 4 };

enum { LETTER_SENDERS = 8 };

struct letter_terms {
    bool has_handlers; /* it tells them what to do */
    bool is_hostile;
    size_t size_max; /* octets of the largest; few are */
};

struct letter {
    bool is_chunked;  /* by BDAT, in chunks as they are; else by DATA, with dots and its end */
    bool is_binary;   /* BODY=BINARYMIME */
    bool has_utf8;    /* declared SMTPUTF8 */
    bool is_utf8;     /* its sender is beyond ASCII */
    unsigned sender;  /* which one; 0: nobody, to whom nothing is returned */
    bool is_smuggler; /* there are whole commands in it, for who mistakes what ends a message */
    GString *wire;
    size_t octets;                        /* as SIZE has them */
    size_t chunk_ends[LETTER_CHUNKS_MAX]; /* in `wire`, ascending; the last one is its end */
    size_t chunks;
};

void letter_init(struct letter *l);
void letter_clear(struct letter *l);
AUTO_VAL_DEFINE(letter);

void letter_draw(struct letter *l, struct pst_random *random, const struct letter_terms *terms);

struct slice letter_chunk(const struct letter *l, size_t number);
