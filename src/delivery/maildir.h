/*
 * delivery/maildir.h - one copy of a message in one maildir, step by step; every call may block: for jobs.
 * A copy is begun in tmp/, appended to, made durable, published into new/, or, with flags, cur/ (renamed,
 * which makes it visible), and settled (the name durable). Cleared before it is published, it leaves nothing
 * behind; `maildir_copy_withdraw` takes a published one back. A step that failed leaves the copy to be
 * withdrawn or cleared, and nothing else. Ownership: the copy borrows its mailbox; whoever began it clears
 * it, also when that failed. Failure: -errno.
 */
#pragma once

#include "base/auto.h"
#include "base/slice.h"
#include "delivery/router.h"

/*
 * What makes a file name that no other message has: SECONDS.M<microseconds>P<process>Q<copy>R<random>.HOST,
 * as maildir readers know it. The random number alone would do; the rest is for people. `copy` tells the
 * copies of one message apart, also in one mailbox.
 */
struct maildir_stamp {
    int64_t wall_us; /* since 1970 UTC */
    uint64_t process;
    uint64_t random;
    const char *hostname; /* whatever is in it; only letters, digits, ".", "-" and "_" reach the name */
};
enum { MAILDIR_UNIQUE_SIZE = 192 };
const char *maildir_unique(const struct maildir_stamp *stamp, size_t copy, char text[MAILDIR_UNIQUE_SIZE]);

/* A directory that messages are published into, and how durable the names in it are. */
struct maildir_names {
    int dir; /* or -1: not open */
    enum { MAILDIR_CHANGED, MAILDIR_SYNCED, MAILDIR_FAILED } state;
    int error; /* MAILDIR_FAILED: why */
};

/*
 * A mailbox's directories, open; it borrows the mailbox. Copies that are made together in one mailbox share
 * them, and with them the sync of new/ or cur/. Counts its references without locks: those who share it
 * belong to one job.
 */
struct maildir {
    const struct mailbox *mailbox;
    int tmp;
    struct maildir_names new, cur; /* cur/ is opened for the first message that has flags */
    int top;                       /* the mailbox's own, or -1: opened when its quota is asked for */
    unsigned references;
    /* NULL, or its file system is synced as a whole by whoever shares it, so that no copy need be synced by
     * itself; then what came of that, 0 or -errno. */
    const int *synced_as_a_whole;
};

int maildir_open(const struct mailbox *mailbox, struct maildir **ret_maildir); /* what is there */
/*
 * The same, but a maildir that is missing or only half there is made if the mailbox says so, and its names
 * are durable then. A folder is never made: that is for those who read it to do.
 */
int maildir_open_or_make(const struct mailbox *mailbox, struct maildir **ret_maildir);
/*
 * Sets the mailbox's folder to the one of that directory (mailbox_folder()), if it is there: 1. Else to none:
 * 0; so that a message is never lost for a folder. Or -errno, and nothing is changed.
 */
int maildir_choose_folder(struct mailbox *mailbox, const char *folder);
/* Whether a message of so many octets (0: not known) may come for it: 0, -EDQUOT, or another -errno; never
 * -ELOOP, which would be one of aliases (route.h). */
int maildir_has_room(const struct mailbox *mailbox, uint64_t octets);
struct maildir *maildir_ref(struct maildir *m);
void maildir_unref(struct maildir *m); /* NULL is welcome */

struct maildir_copy {
    const struct mailbox *mailbox;
    struct maildir *maildir; /* or NULL: opened when a step needs it */
    int file;                /* or -1 */
    uint64_t size;
    uint64_t begun; /* so many octets are on their way to the disk, or there */
    uint64_t bare;  /* of its LFs, those without a CR: readers count a line's end as two octets */
    bool after_cr;  /* its last octet is one */
    char *name;     /* in tmp/; published, in new/ or cur/ */
    bool in_cur;    /* published there */
    enum { MAILDIR_NOTHING, MAILDIR_STAGED, MAILDIR_PUBLISHED } state;
    bool is_reserved; /* it counts for the mailbox's quota */
    int lost; /* -errno of a sync of its directory that failed, and with which others' names may be lost */
};
#define MAILDIR_COPY_INIT                                                                                    \
    {                                                                                                        \
        .file = -1                                                                                           \
    }

/* `unique` is a file name that no other message has: maildir_unique(). `maildir` is the mailbox's, or NULL:
 * it is opened. */
int maildir_copy_begin(struct maildir_copy *c, const struct mailbox *mailbox, struct maildir *maildir,
                       const char *unique);
/*
 * The same, but its file is that of `from`, which is only staged so far, and whole; nothing is appended to
 * either any more, and syncing one is syncing both. -EXDEV, -EMLINK or -EPERM where that cannot be.
 */
int maildir_copy_link(struct maildir_copy *c, const struct mailbox *mailbox, struct maildir *maildir,
                      const char *unique, struct maildir_copy *from);
int maildir_copy_append(struct maildir_copy *c, const struct slice *parts, size_t count);
/* Of a large one, what was appended begins its way to the disk, so that syncing it has less to wait for.
 * After a failure the copy is lost, and no sync may tell. */
int maildir_copy_write_out(struct maildir_copy *c);

/*
 * The end of a copy's content, from an offset on; with what must be known of it to tell the size of a copy
 * that it is appended to, without reading it.
 */
struct maildir_tail {
    uint64_t offset;
    uint64_t bare; /* as in the copy, if no CR comes before it */
    bool begins_with_lf;
};
/* From the file itself, of which it reads what lies in front of the offset, and one octet more. -EINVAL:
 * there is not so much in it. */
int maildir_copy_find_tail(const struct maildir_copy *c, uint64_t offset, struct maildir_tail *ret_tail);
/* All behind `head`, with which it begins, and which ends where a line does. */
struct maildir_tail maildir_copy_tail_behind(const struct maildir_copy *c, struct slice head);
int maildir_copy_append_tail(struct maildir_copy *c, const struct maildir_copy *from,
                             const struct maildir_tail *tail);
/* What has been appended to `from` so far, behind that offset, though an append has failed since. */
int maildir_copy_append_written(struct maildir_copy *c, const struct maildir_copy *from, uint64_t offset);

/* Its file as it is in tmp/, once more, for reading: a descriptor. */
int maildir_copy_open_reader(const struct maildir_copy *c);
/* Whether what was read from it so far is what was appended: -errno if the disk lost some of it. */
int maildir_copy_check(const struct maildir_copy *c);
/*
 * Where the mailbox has a quota, what the copy holds counts from now on, until it is withdrawn or cleared.
 * Before it is published, so that workers side by side never exceed a quota together. -EDQUOT: there is no
 * room.
 */
int maildir_copy_reserve(struct maildir_copy *c);
int maildir_copy_sync(struct maildir_copy *c); /* what it holds survives power loss */
/* As new/UNIQUE,S=SIZE,W=SIZE WITH CR LF, or, with flags (not ""), as cur/...:2,FLAGS; closes its file. */
int maildir_copy_publish(struct maildir_copy *c, const char *flags);
/* Its name there survives power loss. Of copies that share a maildir, the first one syncs for all that were
 * published before. */
int maildir_copy_settle(struct maildir_copy *c);
/* Takes a published one out of there again, and durably so if it can be: the sender will try once more, and a
 * power loss must not bring the first try back. */
void maildir_copy_withdraw(struct maildir_copy *c);
void maildir_copy_clear(struct maildir_copy *c); /* removes what is only staged; closes */
AUTO_VAL_DEFINE(maildir_copy);

/* Closes its descriptors, which the next step but append and sync opens again: so that many copies need few
 * descriptors. */
void maildir_copy_rest(struct maildir_copy *c);
