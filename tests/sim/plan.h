/*
 * tests/sim/plan.h - all that a world consists of, as named numbers (knobs). Each is drawn from the world's
 * seed by a generator of its own, so that one which is given otherwise changes no other: "4711 clients=0x5
 * lives=1" is the world 4711 with two clients of its, and without restarts. Nothing but the plan decides what
 * happens in a world.
 *
 * Ownership: a plan is a value. Failure: what cannot be read is told.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_CLIENTS = 8, PLAN_LIVES = 3, PLAN_FAULTS = 4 };

/* How a worker's life ends. The last one's too: then it is the disk alone that is looked at. */
enum plan_end {
    PLAN_DRAIN, /* it is told to stop, and does */
    PLAN_KILL,  /* it is gone from one moment to the next, and its descriptors with it */
    PLAN_POWER, /* and what was not synced, as the policy has it */
};

struct plan_life {
    uint64_t end;   /* enum plan_end */
    uint64_t event; /* it ends behind so many events, if its clients have not all left before; 0: then only */
    uint64_t call;  /* or in front of that disk call; 0: none (drained it is only behind an event) */
    uint64_t policy; /* enum disk_sim_policy */
    uint64_t gap_s;  /* until the next one begins */
};

struct plan {
    uint64_t seed;
    uint64_t clients;  /* bits: those that take part in each life */
    uint64_t manners;  /* bits of enum speaker_manner, which they may have */
    uint64_t leavers;  /* one client in so many vanishes, and one falls silent; 0: none */
    uint64_t messages; /* of a client, at most */
    uint64_t size;     /* octets of a message, about, at most */
    uint64_t proxied;
    uint64_t segment; /* octets read at once, at most */
    uint64_t delay_us, window;
    uint64_t job_us;
    uint64_t faults; /* bits: those of the disk that happen */
    uint64_t lost;   /* the system fails to write back in front of that disk call of each life; 0: never */
    uint64_t room;   /* octets on the disk; 0: enough */
    uint64_t descriptors; /* that a worker may have for files; 0: any number */
    uint64_t shortage; /* of descriptors for connections, from that event on until twice as many; 0: none */
    uint64_t disks;    /* enum plan_disks */
    uint64_t sync;     /* enum delivery_sync */
    uint64_t single;   /* single-instance */
    uint64_t create;   /* a maildir is not there at first */
    uint64_t quota;    /* octets; 0: none */
    uint64_t limit;    /* message-size; 0: as usual */
    uint64_t strict;   /* bits: limits of the protocol that are so low that they are met */
    uint64_t connections; /* that are permitted */
    uint64_t handlers;    /* enum plan_handlers */
    uint64_t lives;
    struct plan_life life[PLAN_LIVES];
};

enum plan_disks {
    PLAN_ONE_DISK,
    PLAN_DISK_BY_FILE, /* which cannot be synced as a whole */
    PLAN_DISK_EACH,    /* one for each mailbox */
};

enum plan_handlers {
    PLAN_NO_HANDLERS,
    PLAN_HANDLERS,
    PLAN_HANDLERS_IN_TROUBLE, /* their hosts fail by themselves, too */
};

void plan_draw(struct plan *p, uint64_t seed);

/* "KNOB=VALUE". False, and a line on standard error, when there is no such knob or that is no number. */
bool plan_set(struct plan *p, const char *text);

/* The world's command line: its seed, and what differs from what that draws. g_free it. */
char *plan_arguments(const struct plan *p);

/* A generator's seed for an actor of the world, by its kind (a word) and number. */
uint64_t plan_seed(const struct plan *p, const char *kind, uint64_t number);

/* ---- for the shrinker and --help ---- */

struct draw;

struct plan_knob {
    const char *name;
    size_t offset; /* of a uint64_t in struct plan */
    bool is_mask;
    uint64_t least; /* the value of which a world is simplest */
    uint64_t (*draw)(struct draw *d);
    const char *sentence;
};
extern const struct plan_knob plan_knobs[];
extern const size_t plan_knob_count;

uint64_t *plan_knob_value(struct plan *p, const struct plan_knob *knob);
