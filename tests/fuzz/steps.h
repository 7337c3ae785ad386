/*
 * tests/fuzz/steps.h - the dialogue as a client sees it that counts: from what the session took, and the
 * codes of its replies, in order, it knows where commands end and messages begin, and how many replies are
 * owed. If the session ever lost step with its client, the two would disagree. Ownership: the caller owns it;
 * it copies what it is told.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct steps;

struct steps *steps_new(bool lmtp, uint64_t command_length);
void steps_free(struct steps *s);

void steps_take(struct steps *s, struct slice bytes); /* the session took them */
void steps_reply(struct steps *s, unsigned code);     /* it said that: one whole reply */

/* All that was taken is understood, and every reply that it wants is there. */
bool steps_are_even(const struct steps *s);

/* Replies that nothing asked for: the last words of a session that ends. */
unsigned steps_unasked(const struct steps *s);

/* The message whose end was taken last; and whether a CR or LF stood alone in it where that must not be. */
struct slice steps_message(const struct steps *s);
bool steps_message_is_bad(const struct steps *s);
