/*
 * tests/sim/mail.h - the checker of the maildirs of a world: compares them with what was promised, at every
 * instant. It knows no worker and no dialogue, only calls of the disk, and promises.
 *
 *   - What has a name in new/ or cur/ is whole, some promise's, and not there more often than it was promised
 *     (P2): looked at behind each change of names, and after each crash. And its content is durable by then:
 * else a crash could leave the name alone.
 *   - What is promised for good (PROMISE_KEPT) is there, once, and no crash would take it away (P1): looked
 * at when that is heard, after each crash, and at the end.
 *   - What was refused is not there.
 *   - Nothing is left in tmp/ but what a crash left, until a sweep 36 hours later.
 *
 * Excused is what no program can help:
 *   - a file whose removal was tried, and that failed, or was not made durable before the power was;
 *   - a maildir that was made and never became durable, because that was lost when its maker was killed
 * before it could be told, or because it was told and could not remove it: nothing tells who finds it.
 *
 * Ownership: it borrows the array of promises, which only grows. What is wrong fails (sim.h).
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "disk/disk_sim.h"

struct mail;

struct mail *mail_new(const GPtrArray *promises /* of struct promise */);
void mail_free(struct mail *m); /* NULL is welcome */

/* To be called before each call of the disk, */
void mail_on_call(struct mail *m, const struct disk_sim_call *call);
/* and when an event is through, */
void mail_on_event(struct mail *m);
/* when a worker has ended without failing to, */
void mail_on_drained(struct mail *m);
/* when one is gone, and the disk is what the next one will find, */
void mail_on_crash(struct mail *m, int64_t wall_us);
/* when the system has lost what it was to write, */
void mail_on_loss(struct mail *m);
/* and when all that is older has been swept from tmp/. */
void mail_on_swept(const struct mail *m, int64_t before_wall_us);

/* How many files it has looked at. */
uint64_t mail_looks(const struct mail *m);
