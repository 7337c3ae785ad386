/*
 * disk/disk.h - the seam to the file system: what durable delivery needs of it, and no more.
 * Two implementations, chosen at link time: disk_posix.c for the daemon, disk_sim.c for the simulator, a file
 * system in memory that forgets what was not synced when it is told to crash, and can fail any call.
 * tests/contract runs one suite on both.
 *
 * All calls may block: they belong into jobs. They may be made from several threads at once. A descriptor is
 * closed by the one who opened it (auto_disk). Names are single path components relative to a directory's
 * descriptor, never followed when they are symbolic links, unless told otherwise; -EINVAL for what is no such
 * name: "", ".", "..", or one with a slash.
 * Failure: -errno (-EBADF for a descriptor that is not open); EINTR is dealt with here, and a quota of the
 * system's (EDQUOT) is -ENOSPC.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* The directory at a path that the operator configured: symbolic links in it are followed. A descriptor. */
int disk_open_root(const char *path);

/* The regular file at a path that the operator configured, for reading: links are followed. Else, and without
 * waiting, -EISDIR or -EINVAL. */
int disk_open_path(const char *path);

/*
 * The directory at `path` ("alice", "alice/tmp") beneath `dir`. Whatever the path or the links in it say, the
 * result lies beneath `dir`: -EXDEV for a way out. A link at its end is no directory: -ENOTDIR; "alice/." is
 * what a link leads to. (Where the kernel has no openat2, links are not followed at all: -ELOOP or -ENOTDIR;
 * and any ".." is taken for a way out.)
 */
int disk_open_beneath(int dir, const char *path);

enum disk_type { DISK_FILE, DISK_DIRECTORY, DISK_LINK, DISK_OTHER };

struct disk_stat {
    enum disk_type type;
    uint64_t size;       /* octets */
    int64_t modified_us; /* since 1970 UTC */
    int64_t changed_us;  /* the same; of the content, or of what else is told here. Nobody can set it */
    uint64_t device, id; /* which file it is, also by another name */
    bool settled;        /* changed so long ago that the next change cannot have the same time */
};
int disk_stat(int dir, const char *name, struct disk_stat *ret_stat);
int64_t disk_now_us(void); /* by the clock of those times */
int disk_stat_open(int fd, struct disk_stat *ret_stat);

/* Ago. File systems' clocks tick every 10 ms at the most; the rest is for one that another machine keeps. */
enum { DISK_SETTLED_US = 50 * 1000 };

/* A new file for writing and reading, mode 0600; -EEXIST when the name is taken, by whatever. */
int disk_create(int dir, const char *name);
/* An existing regular file, for reading. Else, and without waiting, -ELOOP (a link), -EISDIR or -EINVAL. */
int disk_open_file(int dir, const char *name);
/*
 * The same, for reading and appending, side by side with others who append: what one call appends stays
 * together. Not to be copied to by disk_append_copy.
 */
int disk_open_append(int dir, const char *name);
int disk_mkdir(int dir, const char *name); /* mode 0700 */
int disk_rmdir(int dir, const char *name); /* -ENOTDIR for what is none, -ENOTEMPTY when it holds anything */

/* Writes all parts at the end, or fails: how much then arrived is unknown. */
int disk_append(int fd, const struct slice *parts, size_t count);
/* Up to `len` octets from `offset`; 0 at the end of the file. */
int64_t disk_read(int fd, uint64_t offset, void *ret_bytes, size_t len);
/* Appends to `to` what `from`, another descriptor, holds from `offset` on; in the kernel where it can. */
int disk_append_copy(int to, int from, uint64_t offset);

/*
 * A file without a name, in memory, for writing and reading: for what another process shall write, which gets
 * a copy of the descriptor. Its content goes with the last one. These two do not block for long.
 */
int disk_scratch(void);
/* Such a file is empty again, and what is written next, by whoever has it, is at its beginning. */
int disk_truncate(int fd);

/* After 0, the file's content and size survive power loss. After a failure they are unknown: never retry. */
int disk_sync(int fd);
/*
 * These octets of a file begin their way to the disk, and nobody waits for it, unless the disk is too busy to
 * take more: disk_sync has less to do then. After a failure the content is unknown, and a sync that comes
 * later may not tell.
 */
int disk_write_out(int fd, uint64_t from, uint64_t to);
/*
 * Whether the file can still be read as it was written: -errno if some of it, when it was being brought to
 * the disk, could not be, since the file was made. Brings nothing there itself: for what will not stay.
 */
int disk_check(int fd);
/* When it returns 0, all names that were made, moved or removed in it before the call survive power loss. */
int disk_sync_dir(int dir);

/*
 * For many at once: when disk_sync_all returns 0, all content and names that were written in the file system
 * of `dir` since that descriptor was opened survive power loss. It also waits for what other programs wrote
 * there. Only where disk_can_sync_all says 0 and which file system that is: elsewhere (-EOPNOTSUPP) the
 * system does not promise it, or does not tell of errors.
 */
int disk_can_sync_all(int dir, uint64_t *ret_file_system);
int disk_sync_all(int dir);

/*
 * Atomic; -EEXIST, and nothing happens, when the new name is taken. For files and links: not every file
 * system can move a directory so (-EPERM). Where it has no such call, both names may be seen for a moment,
 * and after a crash.
 */
int disk_rename(int from_dir, const char *from, int to_dir, const char *to);
/* One more name for a file; -EEXIST when it is taken. -EXDEV into another file system, -EMLINK when it has
 * too many names, -EPERM where that is not possible at all, and for a directory. */
int disk_link(int from_dir, const char *from, int to_dir, const char *to);
/* The same, but what has the new name is replaced, if it is no directory (-EISDIR): at any time, also after a
 * crash, the new name stands for the one or for the other. */
int disk_replace(int from_dir, const char *from, int to_dir, const char *to);
int disk_unlink(int dir, const char *name); /* -EISDIR for a directory */

/*
 * Calls `each` with the name of each entry but "." and ".."; a result other than 0 ends it and is returned.
 * In no order. `each` may unlink what it was called with.
 */
int disk_list(int dir, int (*each)(void *owner, const char *name), void *owner);

void disk_close(int fd);

static inline void auto_disk_close(const int *at)
{
    if (*at >= 0)
        disk_close(*at);
}
#define auto_disk __attribute__((cleanup(auto_disk_close)))
