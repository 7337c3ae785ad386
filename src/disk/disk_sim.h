/*
 * disk/disk_sim.h - the simulated file system beneath disk.h: what a test does to it, and sees of it, that no
 * program could.
 *
 * There is one in a process, because the seam names none; disk_sim_reset makes it anew. It is used from one
 * thread. Given the same seed and the same calls it does the same. Paths are absolute; relative ones count
 * from "/".
 *
 * What survives a crash:
 *   - Of a file, what a successful disk_sync found in it. Files only grow, so that is always a prefix.
 *     disk_sync_all syncs every file and every directory of the file system.
 *   - Of a directory, the names that a successful disk_sync_dir of just this directory found in it. Syncing a
 *     file saves none of its names; syncing one directory saves no name in another.
 *   - What is not synced may survive or not; the crash's policy decides. Each change of names is kept or lost
 *     for itself: a name made, a name removed, a rename within one directory (as a whole). A rename from one
 *     directory to another is two changes, one in each: afterwards the file may have both names, either, or
 *     none. That is less than most journals give (they keep changes in order, and renames whole), and no more
 *     than POSIX promises.
 *
 * To crash at the k-th call: let it and all after it fail (disk_sim_fail, `for_ever` and `clean`), let the
 * program run to its end, which no longer reaches the disk, then disk_sim_heal and disk_sim_crash. Or call
 * disk_sim_crash from the hook: all descriptors are gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* An empty file system without faults, limits, hook and descriptors; all that was is freed. */
void disk_sim_reset(uint64_t seed);

/* ---- crashes ---- */
enum disk_sim_policy {
    DISK_SIM_LOSE,   /* all that is not synced is lost */
    DISK_SIM_KEEP,   /* all survives, but for what a sync has forgotten */
    DISK_SIM_SEEDED, /* each change of names lost or kept; each file's unsynced end lost, cut or kept */
};

/*
 * The power fails and comes back. Descriptors from before are -EBADF and may be closed; faults, limits and
 * the hook stay.
 */
void disk_sim_crash(enum disk_sim_policy policy);

/*
 * The program is killed, and the system runs on: its descriptors are gone, and all that it did stays, durable
 * or not yet.
 */
void disk_sim_kill(void);

/*
 * What each crash at this moment could leave, without one: `look` is called in one such world after the
 * other, where it finds what would be found (by the checkers below: it makes no calls); then all is as it
 * was. The worlds are all combinations of changes of names kept and lost, if there are at most `most` of
 * them, else so many, drawn, with that which loses all and that which keeps all among them; each with the
 * unsynced ends of all files lost, cut, zeroed (their sizes were written, not their octets) and kept. Returns
 * how many there were.
 */
uint64_t disk_sim_worlds(uint64_t most, void (*look)(void *owner), void *owner);

/*
 * To go on in such a world, and what is there otherwise, too: while `live` runs there is only a copy of what
 * would be found now, all of it durable, without descriptors, faults, limits and hook. It may be called,
 * fail and crash. Then all is as it was.
 */
void disk_sim_branch(void (*live)(void *owner), void *owner);

/* ---- calls, faults and limits ---- */
enum disk_sim_kind {
    DISK_SIM_ANY, /* only in a fault */
    DISK_SIM_OPEN_ROOT,
    DISK_SIM_OPEN_PATH,
    DISK_SIM_OPEN_BENEATH,
    DISK_SIM_STAT,
    DISK_SIM_STAT_OPEN,
    DISK_SIM_CREATE,
    DISK_SIM_OPEN_FILE,
    DISK_SIM_OPEN_APPEND,
    DISK_SIM_MKDIR,
    DISK_SIM_RMDIR,
    DISK_SIM_APPEND,
    DISK_SIM_READ,
    DISK_SIM_APPEND_COPY,
    DISK_SIM_SCRATCH,
    DISK_SIM_TRUNCATE,
    DISK_SIM_WRITE_OUT,
    DISK_SIM_SYNC,
    DISK_SIM_CHECK,
    DISK_SIM_SYNC_DIR,
    DISK_SIM_CAN_SYNC_ALL,
    DISK_SIM_SYNC_ALL,
    DISK_SIM_RENAME,
    DISK_SIM_LINK,
    DISK_SIM_REPLACE,
    DISK_SIM_UNLINK,
    DISK_SIM_LIST,
};
const char *disk_sim_kind_name(enum disk_sim_kind kind); /* "open-root" */

struct disk_sim_fault {
    enum disk_sim_kind kind;
    uint64_t nth; /* 1: the next such call */
    int error;    /* positive: EIO */
    bool for_ever;
    /*
     * Of syncs, and of what begins to write out: as Linux does it. What was to be written counts as written from then on, and the next sync
     * succeeds, but no crash leaves it, not even DISK_SIM_KEEP; a file ends where its first forgotten octet
     * was. Without it, all stays unsynced.
     * A sync of all that failed so is told once more to each descriptor that was open then: by the next sync
     * of a file or directory that lost something, and by the next sync of all.
     */
    bool forgets;
    bool clean; /* of appends: not one octet is written */
    /* Of renames, as a network may have it: the deed is done, and the answer is lost. */
    bool happens;
};

/* One more fault. The call fails and has no effect but those above, and that appends may write some octets.
 */
void disk_sim_fail(struct disk_sim_fault fault);
uint64_t disk_sim_failures(void); /* calls that failed so since the last reset */
void disk_sim_heal(void);         /* no more faults, and no limits */

/*
 * The system writes by itself, as it does all the time, and fails: what is not durable in the file system of
 * the directory is forgotten, as above. No call fails; but each descriptor that is open now is told once, by
 * a sync of a file or directory that lost something, and by a sync of all. One that is opened later is told
 * nothing: whoever asks that one takes for durable what is lost.
 */
void disk_sim_lose_writes(const char *path);

/*
 * Room for the content of all files with a name; when it is full, appends write what fits and fail with
 * `error` (ENOSPC, EDQUOT).
 */
void disk_sim_set_capacity(uint64_t octets, int error);
/* -EMFILE for what needs one more, disk_list included. */
void disk_sim_set_descriptor_limit(size_t count);
size_t disk_sim_open_descriptors(void); /* now; 0 after a crash */

/* Every call counts, failing ones too, but disk_close and disk_now_us, which cannot fail, and the helpers
 * below. */
uint64_t disk_sim_calls(void);

struct disk_sim_call {
    enum disk_sim_kind kind;
    uint64_t number;  /* from 1 since the last reset */
    const char *path; /* what it is about; of a descriptor, by which it was opened ("?": not open) */
    const char *to;   /* of moves and links the new path, of disk_append_copy that of the copy; else NULL */
};

/* Called before each call, which then does what the hook leaves possible. NULL: none. */
void disk_sim_set_hook(void (*hook)(void *owner, const struct disk_sim_call *call), void *owner);

/* The clock: what disk_now_us tells, and disk_stat of all that is made or written from now on. It stands
 * still (at 0, at first) but for this call: nothing is ever `settled` unless it is made to go on. */
void disk_sim_set_time(int64_t wall_us);

/* ---- what was there before, durably: no calls, and no faults ---- */
void disk_sim_mkdir_all(const char *path);
/*
 * Makes the directory, which is empty, the top of a file system of its own: names do not move across its edge
 * (-EXDEV), and a sync of all ends there; or it cannot be synced as a whole (-EOPNOTSUPP). Crashes and
 * capacity are those of the whole tree.
 */
void disk_sim_mount(const char *path, bool syncs_all);
void disk_sim_write_file(const char *path, struct slice content); /* new */
void disk_sim_symlink(const char *path, const char *target);
void disk_sim_special(const char *path); /* a FIFO, say: DISK_OTHER */

/* ---- for checkers; links are followed ---- */
/* The content and a NUL, to g_free; NULL: there is no such file. `ret_len` may be NULL. */
char *disk_sim_read_file(const char *path, size_t *ret_len);
/* The names in a directory, sorted, to g_strfreev; NULL: there is no such directory. */
char **disk_sim_names(const char *path);
/* Whether it would be there after any crash: its names on the way, and a file's octets, are durable. `path`
 * begins with "/", and no link is followed. */
bool disk_sim_is_durable(const char *path);
/* Whether all octets of that file are durable, whatever becomes of its names. */
bool disk_sim_is_synced(const char *path);
