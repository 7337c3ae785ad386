/*
 * tests/sim/talker.h - what a client says next, where its oracle says that the conversation is: as the RFCs
 * have it, or, if it is hostile, as nobody should. It knows neither streams nor time. Ownership: borrows the
 * generator.
 */
#pragma once

#include "letter.h"
#include "oracle.h"

struct talker_terms {
    enum smtp_protocol protocol;
    bool is_hostile;
    unsigned messages; /* it tries to send */
    struct letter_terms letter;
};

struct talker;

enum talker_does {
    TALKER_SAYS,   /* what it left in `said` */
    TALKER_WAITS,  /* for what it will hear */
    TALKER_LEAVES, /* without a word */
};

struct talker *talker_new(const struct talker_terms *terms, struct pst_random *random);
void talker_free(struct talker *t); /* NULL is welcome */

/* `said` is good until the next call. */
enum talker_does talker_next(struct talker *t, const struct oracle *o, struct slice *ret_said);
