/*
 * tests/dialogue/play_core.h - the protocol core in memory, with a clock of its own; the player is the
 * session's owner. It carries out the effects, answers the questions, and watches that the core keeps its
 * side of smtp/session.h: effects come in a sensible order, their bytes lie where the header says, what is
 * left to be fed again is bounded, nothing comes after the end. What it feeds is a copy that is gone once the
 * effects were pulled, so that a sanitizer sees any later use.
 */
#pragma once

#include "play.h"

/* How what the client sends is cut, and how soon questions are answered. */
enum core_cut {
    CORE_WHOLE,  /* in one piece; answers on the spot */
    CORE_BYTES,  /* octet by octet; answers once the effects are pulled and a try to feed more was made */
    CORE_RANDOM, /* anywhere; answers now or later, with the clock's ticks and useless answers in between */
    CORE_CUTS
};
extern const char *const core_cut_names[]; /* ends in NULL */

struct player *player_core_new(const struct script *script, enum core_cut cut, uint64_t seed);
