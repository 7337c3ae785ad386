/*
 * tests/unit/delivery_rig.h - one delivery from its first octet to on_done, and what it must have left in the
 * maildirs. On whichever twins of disk and reactor are linked. What an owner must never see (a callback
 * inside a call, a second on_done, on_ready that nobody waits for) fails the test at once.
 */
#pragma once

#include <glib.h>

#include "delivery/delivery.h"

enum { RIG_MAX = 40, RIG_WAYS = 8 };

struct rig_plan {
    size_t size;  /* octets of the body, as it is stored */
    size_t chunk; /* octets that are appended at once */
    size_t count; /* recipients */
    /*
     * A maildir each; NULL: "box0", "box1", ... "a/.f" is a folder. Of "broken" and "half" only new/ is
     * there, of "missing" nothing; but the latter two are made when they are needed. "nocur" has no cur/.
     */
    const char *mailboxes[RIG_MAX];
    bool each;
    const char *ways[RIG_WAYS]; /* "12" leads from recipient 1 to target 2 */
    bool single;
    bool no_room;   /* for a message that has to be staged */
    uint64_t quota; /* of each mailbox whose name begins with "full" or "quota"; "full" holds as much */
    int refusals[RIG_MAX]; /* given at the end, if any is not 0 */
    enum delivery_sync sync;
    bool ends_in_cr; /* and so in no line's end */
    bool verbatim;
    bool abort;         /* instead of finish, or: */
    size_t abort_at;    /* once so many octets have been appended, unless 0 */
    bool abort_sealing; /* while a job seals it */

    bool seals;         /* before it finishes or aborts; and then: */
    const char *front;  /* NULL: the content stays */
    size_t front_times; /* so often, one after the other; 0: once */
    size_t skip;
    size_t other;                /* octets of a body that takes its place, unless 0 */
    size_t other_lacks;          /* as many are not in its file */
    bool retargets;              /* to those: */
    const char *others[RIG_MAX]; /* mailboxes as above, until NULL */
    bool edits_last;             /* after it was retargeted, rather than before */
    const char *flags[RIG_MAX];  /* of targets, at last */
};

struct rig {
    const struct rig_plan *plan;
    char *root;
    struct reactor *reactor;
    struct router *router;
    struct commit *commit;
    GString *wire, *body; /* as it is sent, and as it would be stored */
    GString *stored;      /* what is stored behind the head */
    int other;            /* a descriptor; or -1 */
    bool is_blind;        /* leaves out looking at what is sealed, which takes calls of the disk */
    bool is_retargeted;
    int body_error; /* what delivery_body told */
    struct delivery_room room;
    size_t appended;
    size_t descriptors;
    struct delivery *delivery;
    bool in_call;
    bool held_back;
    bool awaits_sealed, sealed;
    bool ended; /* finished or aborted */
    unsigned ready, done;
    int results[RIG_MAX];
};

/* The maildirs, empty, and the message; nothing has begun. */
void rig_init(struct rig *rig, const struct rig_plan *plan);
/* The delivery, to its end; called again, once more, as when a sender comes back. */
void rig_run(struct rig *rig);
void rig_clear(struct rig *rig);

/* How much may be left behind. In any case every file in a new/ is one recipient's whole copy, with its sizes
 * in its name. */
enum rig_strictness {
    RIG_EXACT,    /* each whose result is 0 has one, no other has, and nothing stays in a tmp/ or open */
    RIG_DURABLE,  /* after a crash: as exact, but for what is in a tmp/ */
    RIG_AT_LEAST, /* after a crash in the midst: each whose result is 0 has one; another may have one, too */
};
size_t rig_count(const struct rig *rig); /* of targets, at last */
size_t rig_copy_size(const struct rig *rig, size_t i);
uint64_t rig_quota_use(const struct rig *rig, size_t i); /* octets, of target i's mailbox */
void rig_check(const struct rig *rig, enum rig_strictness strictness);
