/*
 * tests/sim/leftovers.h - what lies in tmp/ of mailboxes, for the checker of mail: nothing, once a worker has
 * ended in order, but what crashes have left, and what it tried to remove. And that goes when it is swept.
 */
#pragma once

#include <stdint.h>

struct leftovers;

struct leftovers *leftovers_new(void);
void leftovers_free(struct leftovers *l); /* NULL is welcome */

void leftovers_on_removal(struct leftovers *l, const char *path); /* it is tried */
void leftovers_on_drained(const struct leftovers *l);
void leftovers_on_crash(struct leftovers *l, int64_t wall_us);
void leftovers_on_swept(const struct leftovers *l, int64_t before_wall_us);
