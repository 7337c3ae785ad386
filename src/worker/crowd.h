/*
 * worker/crowd.h - a worker's connections, by what is to be had of them and by how long they have been
 * silent: when there is no room for a newcomer, it tells who gives way. Every operation but crowd_for_each
 * takes the same short time, however many there are.
 *
 * The one that has been silent longest goes first, so that whoever gets on with it is safe. Who has said HELO
 * and was just heard of is spared, for a moment's silence is the network's, and who is in the middle of a
 * message for longer, as more would be lost. Who awaits something of ours never goes, unless that is whether
 * its password is right.
 *
 * Ownership: a member lies in its connection, and leaves before that goes.
 */
#pragma once

#include <glib.h>

#include "base/number.h"

enum {
    CROWD_SILENT_MS = 250, /* more than a round trip and a client's thoughts; less than anybody's patience */
    CROWD_STALLED_MS =
        10 * 1000, /* in a message: more than a network's hiccups and a disk's at the other end */
};

enum crowd_rank {
    CROWD_LEAVING,  /* it was told goodbye, and keeps a descriptor until it has taken that */
    CROWD_STRANGER, /* it has not said yet who it is: any newcomer is as good */
    CROWD_IDLE,     /* the peer may say something, and no message is on its way */
    CROWD_SENDING,  /* it is sending a message */
    CROWD_OWED,     /* it awaits an answer or is held back; or nothing of it is left that would make room */
    CROWD_RANKS,
};

struct crowd {
    GQueue ranks[CROWD_RANKS]; /* of members; who was heard of last is the tail */
};

struct crowd_member {
    GList link;
    enum crowd_rank rank;
    msec_t heard;
};

void crowd_init(struct crowd *c);
size_t crowd_size(const struct crowd *c);
size_t crowd_count(const struct crowd *c, enum crowd_rank rank);

void crowd_join(struct crowd *c, struct crowd_member *m, void *who,
                msec_t now); /* a stranger, heard of now */
void crowd_leave(struct crowd *c, struct crowd_member *m);

/* A sign of life, or another rank. */
void crowd_hear(struct crowd *c, struct crowd_member *m, enum crowd_rank rank, msec_t now);

/* Who gives way; NULL when nobody does. */
void *crowd_victim(const struct crowd *c, msec_t now);

/* Calls `tell` once for all who are there. Who is told may change its rank, or leave; the others stay. */
void crowd_for_each(struct crowd *c, void (*tell)(void *who));
