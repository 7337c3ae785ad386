#define _FILE_OFFSET_BITS 64 /* before all headers: messages and offsets have 64 bits on any machine */
#include "disk/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "disk/disk_name.h"

enum {
    OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
    RACES_MAX = 100,         /* how often openat2 may lose against a rename before we give up */
    APPEND_BATCH = 64,       /* parts in one writev; messages have a handful */
    COPY_CHUNK = 1 << 30,    /* octets of one copy_file_range; below every kernel's limit */
    COPY_BUFFER = 64 * 1024, /* where a copy has to go through memory */
    LIST_BUFFER = 16 * 1024,
};

/* Most calls here cannot be interrupted on a local disk; on a network's or FUSE's they can. */
#define RETRY(call)                                                                                          \
    ({                                                                                                       \
        __typeof__(call) retry_result;                                                                       \
        do                                                                                                   \
            retry_result = (call);                                                                           \
        while (retry_result < 0 && errno == EINTR);                                                          \
        retry_result;                                                                                        \
    })

/* A quota of the system's is a disk that is full for us: -EDQUOT is for those of mailboxes. */
static int failure(void)
{
    return errno == EDQUOT ? -ENOSPC : -errno;
}

static int result(int r)
{
    return r < 0 ? failure() : r;
}

/*
 * O_NONBLOCK: a FIFO that someone put there must not hold up the job. To a regular file it means nothing.
 */
static int open_regular(int dir, const char *path, int flags)
{
    auto_disk int fd = result(RETRY(openat(dir, path, O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags)));
    if (fd < 0)
        return fd == -ENXIO ? -EINVAL : fd; /* a socket */
    struct stat st;
    if (RETRY(fstat(fd, &st)) < 0)
        return failure();
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    return steal_fd(&fd);
}

int disk_open_root(const char *path)
{
    return result(RETRY(open(path, OPEN_DIRECTORY)));
}

int disk_open_path(const char *path)
{
    return open_regular(AT_FDCWD, path, O_RDONLY);
}

/*
 * The one mutable global: whether this kernel, or a filter in front of it, lacks openat2. It is found out
 * once for the process, and only ever goes from false to true: a thread that reads it late makes one failing
 * call more.
 */
static atomic_bool openat2_missing;

/*
 * A kernel that has the call refuses, before all else, too small a struct with EINVAL; no filter would say
 * so.
 */
static bool openat2_exists(void)
{
    return syscall(SYS_openat2, -1, NULL, NULL, 0) < 0 && errno == EINVAL;
}

static int open_by_kernel(int dir, const char *path)
{
    const struct open_how how = {
        .flags = OPEN_DIRECTORY | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (int races = 0;;) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        /* EAGAIN: something, somewhere, was renamed while ".." was looked up: it may have led anywhere. */
        if (errno != EINTR && (errno != EAGAIN || ++races >= RACES_MAX))
            return failure();
    }
}

static int open_component(int at, const char *text, size_t len, bool last)
{
    char name[NAME_MAX + 1];
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, text, len);
    name[len] = '\0';
    if (strcmp(name, "..") == 0)
        return -EXDEV; /* also where it seems to stay inside: what we entered may have been moved since */
    int mode = last ? O_RDONLY : O_PATH; /* passing through needs no right to read */
    return result(RETRY(openat(at, name, mode | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
}

static int open_by_component(int dir, const char *path)
{
    if (*path == '\0')
        return -ENOENT;
    if (*path == '/')
        return -EXDEV;
    int at = dir;
    do {
        size_t len = strcspn(path, "/");
        const char *rest = path + len + strspn(path + len, "/");
        int next = open_component(at, path, len, *rest == '\0');
        if (at != dir)
            disk_close(at);
        at = next;
        path = rest;
    } while (at >= 0 && *path != '\0');
    return at;
}

int disk_open_beneath(int dir, const char *path)
{
    if (dir < 0)
        return -EBADF;
    if (!atomic_load_explicit(&openat2_missing, memory_order_relaxed)) {
        int fd = open_by_kernel(dir, path);
        bool may_be_missing = fd == -ENOSYS || fd == -EPERM; /* a filter's word; but a file system's, too */
        if (!may_be_missing || openat2_exists())
            return fd;
        atomic_store_explicit(&openat2_missing, true, memory_order_relaxed);
    }
    return open_by_component(dir, path);
}

static enum disk_type type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return DISK_FILE;
    case S_IFDIR:
        return DISK_DIRECTORY;
    case S_IFLNK:
        return DISK_LINK;
    default:
        return DISK_OTHER;
    }
}

static int64_t microseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* By the clock that the kernel takes files' times from. A time that lies in the future is settled: the clock
 * was set back, and will not come by there again soon. */
static bool is_settled(int64_t changed_us)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0)
        return false;
    return llabs(microseconds(now) - changed_us) > DISK_SETTLED_US;
}

static struct disk_stat stat_of(const struct stat *st)
{
    int64_t changed_us = microseconds(st->st_ctim);
    return (struct disk_stat){
        .type = type_of(st->st_mode),
        .size = (uint64_t)st->st_size,
        .modified_us = microseconds(st->st_mtim),
        .changed_us = changed_us,
        .device = st->st_dev,
        .id = st->st_ino,
        .settled = is_settled(changed_us),
    };
}

int disk_stat(int dir, const char *name, struct disk_stat *ret_stat)
{
    int r = disk_name_check(dir, name);
    if (r < 0)
        return r;
    struct stat st;
    if (RETRY(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) < 0)
        return failure();
    *ret_stat = stat_of(&st);
    return 0;
}

int disk_stat_open(int fd, struct disk_stat *ret_stat)
{
    struct stat st;
    if (RETRY(fstat(fd, &st)) < 0)
        return failure();
    *ret_stat = stat_of(&st);
    return 0;
}

int64_t disk_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* it cannot fail: the clock exists, and `now`, too */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*
 * Without O_APPEND, which copy_file_range refuses. The position is at the end all the same: only this
 * descriptor writes to the file (what disk_open_append opens is another one's), it only ever appends, and
 * reads bring their own offset.
 */
int disk_create(int dir, const char *name)
{
    int r = disk_name_check(dir, name);
    if (r < 0)
        return r;
    return result(RETRY(openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600)));
}

int disk_open_file(int dir, const char *name)
{
    int r = disk_name_check(dir, name);
    return r < 0 ? r : open_regular(dir, name, O_RDONLY | O_NOFOLLOW);
}

int disk_open_append(int dir, const char *name)
{
    int r = disk_name_check(dir, name);
    return r < 0 ? r : open_regular(dir, name, O_RDWR | O_APPEND | O_NOFOLLOW);
}

int disk_mkdir(int dir, const char *name)
{
    int r = disk_name_check(dir, name);
    return r < 0 ? r : result(RETRY(mkdirat(dir, name, 0700)));
}

int disk_rmdir(int dir, const char *name)
{
    int r = disk_name_check(dir, name);
    return r < 0 ? r : result(RETRY(unlinkat(dir, name, AT_REMOVEDIR)));
}

static int write_all(int fd, struct iovec *at, size_t count)
{
    for (;;) {
        for (; count > 0 && at->iov_len == 0; count--)
            at++;
        if (count == 0)
            return 0;
        ssize_t written = RETRY(writev(fd, at, (int)count));
        if (written < 0)
            return failure();
        if (written == 0)
            return -EIO; /* no file takes nothing; if one did, we would ask it for ever */
        size_t left = (size_t)written;
        for (; count > 0 && left >= at->iov_len; count--)
            left -= at++->iov_len;
        if (count > 0) {
            at->iov_base = (uint8_t *)at->iov_base + left;
            at->iov_len -= left;
        }
    }
}

int disk_append(int fd, const struct slice *parts, size_t count)
{
    while (count > 0) {
        struct iovec batch[APPEND_BATCH];
        size_t taken = count < APPEND_BATCH ? count : APPEND_BATCH;
        for (size_t i = 0; i < taken; i++)
            batch[i] = (struct iovec){ .iov_base = (void *)parts[i].data, .iov_len = parts[i].len };
        int r = write_all(fd, batch, taken);
        if (r < 0)
            return r;
        parts += taken;
        count -= taken;
    }
    return 0;
}

int64_t disk_read(int fd, uint64_t offset, void *ret_bytes, size_t len)
{
    ssize_t got = RETRY(pread(fd, ret_bytes, len, (off_t)offset));
    return got < 0 ? failure() : got;
}

static int copy_through_memory(int to, int from, off_t offset, off_t end)
{
    g_autofree uint8_t *buffer = g_malloc(COPY_BUFFER);
    while (offset < end) {
        size_t want = end - offset < COPY_BUFFER ? (size_t)(end - offset) : COPY_BUFFER;
        int64_t got = disk_read(from, (uint64_t)offset, buffer, want);
        if (got <= 0)
            return got < 0 ? (int)got : -EIO; /* it became shorter under our hands: half a copy is none */
        struct slice part = slice_of(buffer, (size_t)got);
        int r = disk_append(to, &part, 1);
        if (r < 0)
            return r;
        offset += got;
    }
    return 0;
}

static bool cannot_in_kernel(int error)
{
    return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
}

/*
 * The size is asked for first: that costs no more than a last copy_file_range, which would find nothing left.
 */
int disk_append_copy(int to, int from, uint64_t offset)
{
    struct stat st;
    if (to == from)
        return -EINVAL;
    if (RETRY(fstat(from, &st)) < 0)
        return failure();
    if (offset >= (uint64_t)st.st_size)
        return 0;
    off_t at = (off_t)offset;
    while (at < st.st_size) {
        size_t chunk = st.st_size - at < COPY_CHUNK ? (size_t)(st.st_size - at) : COPY_CHUNK;
        ssize_t copied = RETRY(copy_file_range(from, &at, to, NULL, chunk, 0));
        if (copied < 0 && !cannot_in_kernel(errno))
            return failure();
        if (copied <= 0) /* some file systems copy nothing and call that success; reading tells */
            return copy_through_memory(to, from, at, st.st_size);
    }
    return 0;
}

int disk_scratch(void)
{
    return result(memfd_create("postern-scratch", MFD_CLOEXEC));
}

/* Copies of a descriptor share the position, which else would stay behind the end. */
int disk_truncate(int fd)
{
    if (RETRY(ftruncate(fd, 0)) < 0)
        return failure();
    return lseek(fd, 0, SEEK_SET) < 0 ? failure() : 0;
}

/*
 * fdatasync leaves out only what reading does not need, such as the times. A new file's size and blocks it
 * does need, so Linux writes them, too: the inode with its size goes through the journal before the call
 * returns. What it does not promise is the file's name: disk_sync_dir does.
 */
int disk_sync(int fd)
{
    return result(RETRY(fdatasync(fd)));
}

int disk_write_out(int fd, uint64_t from, uint64_t to)
{
    if (from == to)
        return 0; /* to the kernel 0 octets are all that follow */
    int r = result(RETRY(sync_file_range(fd, (off_t)from, (off_t)(to - from), SYNC_FILE_RANGE_WRITE)));
    return r == -ENOSYS ? 0 : r; /* then the sync does it all */
}

/* It waits for what is on its way already, and tells of what failed since the descriptor was opened. */
int disk_check(int fd)
{
    return result(RETRY(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE)));
}

/*
 * A journal's commit that fails is told to whoever waited for it. When that was another, or nobody, a sync
 * that comes later has nothing left to do and succeeds; but what the commit held is lost, and the journal
 * takes nothing more. So something is asked for that has to be in it: a file without a name.
 */
static int check_journal(int dir)
{
    int file = RETRY(openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (file < 0)
        return errno == EROFS || errno == EIO ? -EIO
                                              : 0; /* or it cannot be asked so: then there is no journal */
    disk_close(file);
    return 0;
}

int disk_sync_dir(int dir)
{
    int r = result(RETRY(fsync(dir)));
    return r < 0 ? r : check_journal(dir);
}

/*
 * syncfs tells of an error since Linux 5.8, to every descriptor that was open when it happened, and of one in
 * writing the file system's own since 5.17. What it
 * promises is the file system's to keep: FUSE does not even ask its server. These do keep it: they write all
 * dirty inodes, commit their journal or tree, and flush the disk's cache.
 */
static bool syncs_all(const struct statfs *fs)
{
    switch ((uint32_t)fs->f_type) {
    case EXT4_SUPER_MAGIC: /* ext2 and ext3, too */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC: /* which promises nothing, and so keeps it */
        return true;
    default:
        return false;
    }
}

/*
 * What has no journal (ext2, and ext4 if one made it so) writes its inodes after it has flushed the disk's
 * cache. The kernel shows a journal's thread beside the file system's name, which is the device's.
 */
static bool has_journal(dev_t device)
{
    g_autofree char *path = g_strdup_printf("/sys/dev/block/%u:%u", major(device), minor(device));
    g_autofree char *target = g_file_read_link(path, NULL);
    if (target == NULL)
        return false;
    g_autofree char *name = g_path_get_basename(target);
    g_autofree char *task = g_strconcat("/sys/fs/ext4/", name, "/journal_task", NULL);
    return access(task, F_OK) == 0;
}

static bool kernel_tells_errors(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_int found = UNKNOWN;
    int known = atomic_load_explicit(&found, memory_order_relaxed);
    if (known == UNKNOWN) {
        struct utsname name;
        unsigned major, minor;
        bool yes = uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
                   (major > 5 || (major == 5 && minor >= 17));
        known = yes ? YES : NO;
        atomic_store_explicit(&found, known, memory_order_relaxed);
    }
    return known == YES;
}

int disk_can_sync_all(int dir, uint64_t *ret_file_system)
{
    struct statfs fs;
    struct stat st;
    if (RETRY(fstatfs(dir, &fs)) < 0 || RETRY(fstat(dir, &st)) < 0)
        return failure();
    if (!syncs_all(&fs) || !kernel_tells_errors())
        return -EOPNOTSUPP;
    if ((uint32_t)fs.f_type == EXT4_SUPER_MAGIC && !has_journal(st.st_dev))
        return -EOPNOTSUPP;
    *ret_file_system = st.st_dev;
    return 0;
}

int disk_sync_all(int dir)
{
    int r = result(RETRY(syncfs(dir)));
    return r < 0 ? r : check_journal(dir);
}

/*
 * Over a network a call may be sent again whose answer was lost, and then find its own deed (EEXIST). It is
 * ours if the file has one name more than before, and that name is the new one.
 */
static int make_link(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat before, made;
    if (RETRY(fstatat(from_dir, from, &before, AT_SYMLINK_NOFOLLOW)) < 0)
        return failure();
    if (RETRY(linkat(from_dir, from, to_dir, to, 0)) == 0)
        return 0;
    int error = failure();
    if (error != -EEXIST || RETRY(fstatat(to_dir, to, &made, AT_SYMLINK_NOFOLLOW)) < 0)
        return error;
    bool is_ours = made.st_dev == before.st_dev && made.st_ino == before.st_ino;
    return is_ours && made.st_nlink > before.st_nlink ? 0 : error;
}

/*
 * The old name was not there to be removed. If the new one is the only one that the file has, nobody has
 * moved it elsewhere: we removed the old one ourselves, by a call that was sent again.
 */
static bool is_only_name(int dir, const char *name)
{
    struct stat st;
    return RETRY(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) == 0 && st.st_nlink == 1;
}

/*
 * For file systems that have no RENAME_NOREPLACE (NFS, for one). The new name appears at once and never in
 * another's place; the old one goes a moment later. When two move the same file, one finds the old name gone
 * and takes its new one back.
 */
static int rename_by_link(int from_dir, const char *from, int to_dir, const char *to)
{
    int r = make_link(from_dir, from, to_dir, to);
    if (r < 0 || RETRY(unlinkat(from_dir, from, 0)) == 0)
        return r;
    int error = errno;
    if (error == ENOENT && is_only_name(to_dir, to))
        return 0;
    (void)unlinkat(to_dir, to, 0); /* the first failure is the one to tell */
    return -error;
}

int disk_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    int r = disk_name_check(from_dir, from);
    if (r == 0)
        r = disk_name_check(to_dir, to);
    if (r < 0)
        return r;
    if (RETRY(renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE)) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? rename_by_link(from_dir, from, to_dir, to) : failure();
}

int disk_replace(int from_dir, const char *from, int to_dir, const char *to)
{
    int r = disk_name_check(from_dir, from);
    if (r == 0)
        r = disk_name_check(to_dir, to);
    return r < 0 ? r : result(RETRY(renameat(from_dir, from, to_dir, to)));
}

int disk_link(int from_dir, const char *from, int to_dir, const char *to)
{
    int r = disk_name_check(from_dir, from);
    if (r == 0)
        r = disk_name_check(to_dir, to);
    if (r == 0)
        r = result(RETRY(linkat(from_dir, from, to_dir, to, 0)));
    return r == -ENOSYS || r == -EOPNOTSUPP ? -EPERM : r; /* what FUSE and CIFS say where links cannot be */
}

int disk_unlink(int dir, const char *name)
{
    int r = disk_name_check(dir, name);
    return r < 0 ? r : result(RETRY(unlinkat(dir, name, 0)));
}

/* getdents64 itself rather than readdir, which would ask for the descriptor's flags and type first. */
int disk_list(int dir, int (*each)(void *owner, const char *name), void *owner)
{
    if (dir < 0)
        return -EBADF;
    /* Opened anew, for a position of its own: that of `dir` is shared by all threads. */
    auto_disk int list = result(RETRY(openat(dir, ".", OPEN_DIRECTORY)));
    if (list < 0)
        return list;
    for (;;) {
        _Alignas(struct dirent64) char buffer[LIST_BUFFER];
        ssize_t len = RETRY(getdents64(list, buffer, sizeof buffer));
        if (len <= 0)
            return len < 0 ? failure() : 0;
        for (ssize_t at = 0; at < len;) {
            const struct dirent64 *entry = (const void *)(buffer + at);
            int r = disk_name_is_dots(entry->d_name) ? 0 : each(owner, entry->d_name);
            if (r != 0)
                return r;
            at += entry->d_reclen;
        }
    }
}

void disk_close(int fd)
{
    (void)close(fd); /* an error would tell of writes that failed; who cares for them has synced */
}
