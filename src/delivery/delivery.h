/*
 * delivery/delivery.h - a message on its way into maildirs: durable copies, one for each target, made by
 * jobs. Bytes are appended as they come. A small message is kept in memory and written by one job at the end;
 * a larger one is staged in the first target's tmp/ as it streams, with a fixed number of octets in
 * flight. `finish` makes all copies durable and visible and then tells the outcome.
 *
 * Who wants to see the whole message first, and perhaps change it or where it goes, seals it before that:
 *
 *     OPEN --seal--> SEALED --finish--> on_done
 *       `--------finish-------'            abort in any phase before `finish`
 *
 * Recipients that succeed by themselves (`each`) share one fate when the body cannot be kept: see copies.h.
 *
 * Ownership: the delivery belongs to itself from `new` on: the owner may use it until on_done or `abort`, and
 * nothing of it is left behind in any case. Callbacks come on the loop, never inside a call.
 */
#pragma once

#include "base/slice.h"
#include "delivery/router.h"
#include "reactor/reactor.h"

enum delivery_sync {
    DELIVERY_SYNC_GROUP, /* messages that wait at the same time share the work */
    DELIVERY_SYNC_EACH,  /* every file and directory is synced before its completion */
    DELIVERY_SYNC_NONE,  /* nothing is: for tests and measurements */
};
extern const char *const delivery_sync_names[]; /* ends in NULL */

enum {
    DELIVERY_SMALL = 64 * 1024, /* octets of a message that are kept in memory rather than staged */
    /* Octets of a larger one that may wait for the job that writes; and what has room for these and for one
     * more read from a socket. Two such blocks may be in flight. */
    DELIVERY_HELD_BACK = 256 * 1024,
    DELIVERY_BLOCK = DELIVERY_HELD_BACK + 68 * 1024,
};

struct commit;

/* How many messages of a loop may be staged at the same time: each keeps a file and its maildir open, until
 * it is over, and others need descriptors as well. One more is lost (-EMFILE). */
struct delivery_room {
    uint64_t staged, most;
};
enum { DELIVERY_DESCRIPTORS = 3 }; /* of a staged message */

struct delivery_settings {
    enum delivery_sync sync;
    bool each;     /* recipients succeed or fail by themselves (LMTP); else all or none (SMTP) */
    bool verbatim; /* octets are stored as they come; else CR LF ends a line, which LF ends in the file */
    /* Copies in one file system are one file with several names. Whoever sets it gives all targets the same
     * head. */
    bool single_instance;
    const char *hostname;  /* for unique names */
    struct commit *commit; /* of this loop: see commit.h */
    struct delivery_room
        *room; /* the same; NULL: there is no limit. It outlives all but deliveries that were aborted */
};

/* Maildir flags: letters of "DFPRST", sorted, each once. */
enum { DELIVERY_FLAGS_SIZE = sizeof "DFPRST" };

/* From letters in any order. -EINVAL for any other letter. */
int delivery_flags(const char *letters, char ret_flags[DELIVERY_FLAGS_SIZE]);

struct delivery_target {
    struct mailbox *mailbox;
    char *head; /* header fields that go in front of this recipient's copy; lines end in LF; g_free */
    char flags[DELIVERY_FLAGS_SIZE]; /* "": the copy goes to new/; else to cur/, with these */
};

/*
 * A recipient reaches one target or more (an alias), and a target may be reached by several. Where recipients
 * succeed by themselves, one whose targets did not all succeed has failed. Its sender will come again for all
 * of them, so a target that is reached by such recipients only is not delivered to: -ECANCELED.
 */
struct delivery_way {
    size_t recipient, target; /* numbers from 0 */
};

struct delivery_events {
    void (*on_ready)(void *owner);  /* after a `delivery_append` that returned false: append again */
    void (*on_sealed)(void *owner); /* after a `delivery_seal` that returned false */
    /* results[i] of target i: 0, durable and visible; or -errno, and nothing is left; -ECANCELED if only for
     * the sake of others, -ENODEV if the maildir or a part of it is gone, but never -ENOENT. The delivery is
     * gone after this call. */
    void (*on_done)(void *owner, const int *results, size_t count);
};

struct delivery;

/*
 * Takes the targets (count > 0) over, but not the array. `ways` are copied; none: each target is reached by a
 * recipient of its own. `settings` are copied, but not what they point to, which outlives all jobs.
 */
struct delivery *delivery_new(struct reactor *r, const struct delivery_settings *settings,
                              const struct delivery_target *take_targets, size_t count,
                              const struct delivery_way *ways, size_t way_count,
                              const struct delivery_events *events, void *owner);

/* Takes all bytes. False: enough is in flight; wait for on_ready before appending more.
 * An error is told at the end. */
bool delivery_append(struct delivery *d, struct slice bytes);

/*
 * No more bytes come, and what there is shall be looked at before it is finished. True: it is sealed. False:
 * a job writes the rest; wait for on_sealed before anything but `abort`.
 */
bool delivery_seal(struct delivery *d);

/*
 * The body as it will be stored: lines end in LF unless it is verbatim. The descriptor is an open file of its
 * own, for reading only, which may be sent to other processes. It and the octets are the delivery's: borrowed
 * until `replace`, `finish` or `abort`.
 */
struct delivery_body {
    struct slice octets; /* of a small message */
    int file;            /* of a large one, which begins at `offset` and ends with the file; or -1 */
    uint64_t offset;
    uint64_t size; /* octets of the body */
};
/* Once it is sealed. -errno: it could not be kept, and on_done will tell the same. */
int delivery_body(const struct delivery *d, struct delivery_body *ret_body);

/*
 * Once it is sealed, and one of the two, once: `front` (copied) takes the place of the first `skip` octets of
 * the body. -EINVAL, and nothing is changed, when there are not so many.
 */
int delivery_set_content(struct delivery *d, struct slice front, uint64_t skip);
/*
 * The same of another body, which takes the place of this one: the first `size` octets of a file, such as a
 * scratch file (disk.h), stored as they are. The descriptor stays its owner's, and the file as it is, until
 * on_done: it is read once. One that turns out to be shorter fails all with -EIO.
 */
int delivery_replace(struct delivery *d, int file, uint64_t size, struct slice front, uint64_t skip);

/*
 * Once it is sealed, and once: other targets and ways in place of those that `new` was given. None is
 * welcome: then nothing is delivered, and on_done has no results. What is staged already for a target that
 * stays (the same mailbox, folder and head) is used as it is, unless the content is changed. The former
 * targets' mailboxes stay as long as the delivery.
 */
void delivery_retarget(struct delivery *d, const struct delivery_target *take_targets, size_t count,
                       const struct delivery_way *ways, size_t way_count);

/* on_done tells the outcome. `refusals`: for each target 0, or the -errno that its owner has decided on, and
 * which becomes its result; all or none of them are delivered to, unless recipients succeed by themselves.
 * NULL: none is refused. */
void delivery_finish(struct delivery *d, const int *refusals);

/* The message will not come: nothing of it is left behind, and no callback comes. NULL is welcome. Not after
 * `finish`. */
void delivery_abort(struct delivery *d);

uint64_t delivery_octets(const struct delivery *d); /* appended so far, as they were on the wire */
