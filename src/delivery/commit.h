/*
 * delivery/commit.h - group commit: all messages that wait to become durable share the work.
 * The order holds for every message: data durable, then visible (renamed into new/), then its name durable,
 * then the answer. While a batch is being synced, the next one gathers; there is no timer, and a message that
 * comes alone waits for nobody: its file is synced, and its directory. The data of messages that come
 * together is synced by a sync of their file system, and their names by another one, or, if all of them are
 * in one directory, by its own.
 *
 * Each file system has its own batches, so that a disk that is slow or stuck holds up no other one's; two at
 * a time when enough messages wait. Where a file system cannot be synced as a whole (see disk.h), there is
 * nothing to share: there, messages are committed one by one, many at a time.
 *
 * One for each loop. Ownership: an item belongs to whoever adds it and stays where it is until its on_done,
 * which comes on the loop.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"
#include "reactor/reactor.h"

struct copies;
struct commit;

struct commit_item {
    struct copies *copies; /* whose results tell the outcome; the batch owns them until on_done */
    struct slice rest;     /* of the body: what is not staged */
    uint64_t file_system;  /* of all its mailboxes (struct mailbox), or 0 */
    void (*on_done)(void *owner);
    void *owner;
    struct commit_item *next; /* the queue's */
};

/* Without `grouping`, every message is a batch of its own. */
struct commit *commit_new(struct reactor *r, bool grouping);
void commit_free(struct commit *c); /* with nothing under way; NULL is welcome */
void commit_add(struct commit *c, struct commit_item *item);
