/*
 * delivery/copies.h - all copies of one message, one for each target: staged, then committed together.
 * Every call may block: for jobs. This is where "all or none" and "each by itself" are decided; delivery.h
 * adds the loop.
 *
 * A body that does not fit into memory is staged in one target's copy, from which the others are copied at
 * the end; so when that one cannot be written or synced, the body is lost for all. As long as nothing of it
 * is lost, which a full disk does not do, the next target's copy takes it over, where recipients succeed by
 * themselves. Ownership: embedded in
 * a delivery, which outlives it; it borrows mailboxes, heads and fronts. Failure: -errno, and in `results`.
 *
 * Whose body is whole on disk may still get another front, and other targets. A copy that was staged and is
 * nobody's any more stays as the source of the others until they are written.
 */
#pragma once

#include "delivery/delivery.h"
#include "delivery/maildir.h"
#include "delivery/open_maildirs.h"

struct target_copy {
    struct delivery_target target;
    struct maildir_copy copy;
    size_t source; /* the index of the copy whose file it is: its own, or, of a link, another's */
};

enum {
    COPIES_OPEN_MAX = 32, /* copies that keep their descriptors open from one step to the next; more would use
                             up the process's */
};

struct copies {
    struct delivery_settings settings; /* a copy: jobs outlive the one that they came from */
    struct maildir_stamp stamp;
    struct target_copy *list;
    int *results; /* 0, or why that target's copy cannot be */
    size_t count; /* of both */
    struct delivery_way *ways;
    size_t way_count;           /* 0: each target is a recipient's own */
    size_t staged;              /* the index of the copy that holds the body so far, or count: none does */
    size_t first_number;        /* of the copies' names: those of lists before this one are taken */
    struct maildir_copy source; /* what was staged, if it is no target's copy */
    struct maildir_tail tail;   /* of the source, which all copies end in */
    uint64_t source_head;       /* octets in front of the body in the source */
    struct slice front;         /* stands for the first `skip` octets of the body */
    uint64_t skip;
    int reader;                 /* of the file with the whole body, a descriptor; or -1 */
    struct slice rest;          /* of the body, while it is committed */
    struct open_maildirs *open; /* while it is committed */
    int error;                  /* what ended it for all, or 0 */
    int lost;                   /* a sync by itself failed (-errno): so may have names of the same batch */
};

/*
 * Before the commit, and not in a job: refusals[i] is why that target's copy must not be, or 0. The copy
 * that holds the body so far serves the others all the same.
 */
void copies_refuse(struct copies *c, const int *refusals);

/* The next part of a body that is too large for memory. Not after `error`: then nothing is staged, and the
 * body is lost. */
void copies_stage(struct copies *c, struct slice body);

/* The last part of one that is staged, and `reader`. */
void copies_seal(struct copies *c, struct slice rest);
bool copies_are_on_disk(const struct copies *c); /* what is to be cleared is */

/* Of a body that is whole on disk: in which file it lies behind which offset; or NULL. */
const struct maildir_copy *copies_find_body(const struct copies *c, uint64_t *ret_offset);

/* Not in a job, and only when the body is whole: its first `skip` octets are to be `front`, which stays. */
void copies_edit(struct copies *c, struct slice front, uint64_t skip);
/* The same, with a new list, and its results, in place of the old one, which stays, but for what it has
 * staged.
 */
void copies_retarget(struct copies *c, struct target_copy *list, int *results, size_t count);
/* In a job: what is staged is forgotten, so that another body may be staged. */
void copies_restart(struct copies *c);

/*
 * The commit, in steps, so that messages which are committed together take each step together. `copies_write`
 * writes what is not on disk yet: the last part of the body, or all of it. Then all are synced, published,
 * and settled. `copies_end` takes back what must not stay, fills `results`, and leaves nothing open. `open`
 * are maildirs that this batch has open, to be shared.
 */
void copies_write(struct copies *c, struct slice rest, struct open_maildirs *open);
void copies_sync(struct copies *c);
void copies_publish(struct copies *c);
void copies_settle(struct copies *c);
/* Whose names are in a directory whose sync has failed for the others', has lost them, too. */
void copies_fail_with(struct copies *c, const struct copies *lost);
void copies_fail(struct copies *c, int error); /* between any two steps: for all that have not failed yet */
void copies_end(struct copies *c);

/* Without commit: nothing is left. */
void copies_clear(struct copies *c);
