/* tests/sim/talker_internal.h - what a talker's honest part (talker.c) shares with its other one
 * (mischief.c). */
#pragma once

#include "talker.h"

struct talker {
    struct talker_terms terms;
    struct pst_random *random;
    struct letter letter;
    GString *said;
    unsigned messages;   /* still to be sent */
    unsigned recipients; /* of this letter, still to be said */
    size_t chunks_said;
    unsigned hellos;
    unsigned mischief; /* how much more of it there will be */
    bool pipelines;
    bool waits;   /* until all is answered */
    bool is_idle; /* it says nothing any more */
};

bool talker_chance(struct talker *t, uint64_t one_in);
const char *talker_pick(struct talker *t, const char *const *texts, size_t count);
void talker_say_mail(struct talker *t, uint64_t declared);
void talker_say_rcpt(struct talker *t);
void talker_say_chunk(struct talker *t);

/* Leaves something that is not as it should be in `said`; or nothing, and then it is to be honest once more.
 */
void talker_do_mischief(struct talker *t, const struct oracle *o);
