/*
 * tests/fuzz/talk.h - talks with a session and checks, at each of its effects and after each call, what must
 * hold of any session whatever its peer sends: see talk.c. What does not hold is a crash. Ownership: the
 * caller owns the talk; it copies what it is given, but for the service.
 */
#pragma once

#include <glib.h>

#include "base/slice.h"
#include "smtp/session.h"

#define TALK_MECHANISMS "PLAIN X-LONG" /* inside TLS */

struct talk_options {
    const struct smtp_service *service;
    struct smtp_client client;
    bool answers_late;   /* questions wait for talk_answer */
    unsigned answers[4]; /* what they are answered, in turns */
};

struct talk;

struct talk *talk_new(const struct talk_options *options);
void talk_free(struct talk *t); /* in any phase */

void talk_hear(struct talk *t, struct slice bytes); /* the peer sent them */
void talk_answer(struct talk *t);                   /* the open question, if there is one */
void talk_answer_stale(struct talk *t);             /* one that is not asked */
void talk_wait(struct talk *t, msec_t time, bool ticks);
void talk_pause(struct talk *t, bool paused);
void talk_shut(struct talk *t);

/* Answers whatever is open, and checks that nothing is left over. */
void talk_settle(struct talk *t);

unsigned talk_last_code(const struct talk *t); /* of the last reply; 0: none came */

/* All that the session wanted, in a form that does not depend on how its bytes were cut. */
const GString *talk_transcript(const struct talk *t);
