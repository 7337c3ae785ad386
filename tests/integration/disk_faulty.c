/*
 * disk/disk_posix.c, with a test's hand in each system call that it makes: the seam's real twin in
 * postern_faulty, which is postern but for this file. test_faults.py maps the file that POSTERN_FAULTS names
 * and says in it which call fails, is cut short, waits or kills the process; all processes of the daemon have
 * mapped it since before they were forked. Neither a tracer nor a preloaded library would work wherever the
 * daemon does, in a container without privileges as well as under sanitizers.
 */
#define _FILE_OFFSET_BITS 64 /* as in disk_posix.c: before all headers */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { CALLS_MAX = 1024, NAME_SIZE = 20, LACKS_SIZE = 64, HOLD_US = 500 };
enum action { ACTION_NONE, ACTION_FAIL, ACTION_SHORT, ACTION_KILL };

/* test_faults.py knows this layout. */
struct control {
    _Atomic uint64_t calls; /* so many were made since the test said 0 */
    uint64_t strike;        /* what happens to this one: */
    uint32_t action;
    int32_t error;
    _Atomic uint64_t hold;           /* this one waits until it is another number */
    _Atomic uint64_t held;           /* the one that waits */
    char lacks[LACKS_SIZE];          /* calls that this system does not have, each between blanks */
    char made[CALLS_MAX][NAME_SIZE]; /* the calls' names */
    _Atomic uint32_t full;           /* there is no room left */
};
static struct control *control;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("POSTERN_FAULTS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED)
        abort();
    control = at;
}

static bool is_lacking(const char *name)
{
    char word[NAME_SIZE + 2];
    (void)snprintf(word, sizeof word, " %s ", name);
    return strstr(control->lacks, word) != NULL;
}

static bool needs_room(const char *name)
{
    static const char *const names[] = { "writev", "copy_file_range", "mkdirat" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum action next_action(const char *name)
{
    if (control == NULL)
        return ACTION_NONE;
    uint64_t number = atomic_fetch_add(&control->calls, 1) + 1;
    if (number < CALLS_MAX)
        (void)snprintf(control->made[number], NAME_SIZE, "%s", name);
    while (atomic_load(&control->hold) == number) {
        atomic_store(&control->held, number);
        (void)usleep(HOLD_US);
    }
    return number == control->strike ? (enum action)control->action : ACTION_NONE;
}

/* Whether the call of that name fails now. */
static bool fails(const char *name)
{
    switch (next_action(name)) {
    case ACTION_FAIL:
        errno = control->error;
        return true;
    case ACTION_KILL:
        (void)kill(getpid(), SIGKILL);
        return true;
    default:
        break;
    }
    if (control == NULL)
        return false;
    if (atomic_load(&control->full) && needs_room(name)) {
        errno = ENOSPC;
        return true;
    }
    if (!is_lacking(name))
        return false;
    errno = ENOSYS;
    return true;
}

/* Of a call that may do less than it was told to, how much it does. */
static size_t shortened(size_t octets)
{
    bool strikes =
        control != NULL && control->action == ACTION_SHORT && atomic_load(&control->calls) == control->strike;
    return strikes ? (octets + 1) / 2 : octets;
}

/* One part alone, where there are several. */
static ssize_t short_writev(int fd, const struct iovec *parts, int count)
{
    struct iovec first = parts[0];
    size_t len = shortened(first.iov_len);
    if (len == first.iov_len)
        return writev(fd, parts, count);
    first.iov_len = len;
    return writev(fd, &first, 1);
}

/* It closes in any case. */
static int failing_close(int fd)
{
    bool failed = fails("close");
    int error = errno;
    int r = close(fd);
    errno = failed ? error : errno;
    return failed ? -1 : r;
}

#define TURN(name, call) (fails(name) ? -1 : (call))
#define open(...)        TURN("open", open(__VA_ARGS__))
#define openat(...)      TURN("openat", openat(__VA_ARGS__))
#define syscall(number, ...)                                                                                 \
    TURN((number) == SYS_openat2 ? "openat2" : "syscall", syscall(number, __VA_ARGS__))
#define fstatat(...)           TURN("fstatat", fstatat(__VA_ARGS__))
#define fstat(...)             TURN("fstat", fstat(__VA_ARGS__))
#define fstatfs(...)           TURN("fstatfs", fstatfs(__VA_ARGS__))
#define mkdirat(...)           TURN("mkdirat", mkdirat(__VA_ARGS__))
#define writev(...)            TURN("writev", short_writev(__VA_ARGS__))
#define pread(fd, to, len, at) TURN("pread", pread(fd, to, shortened(len), at))
#define copy_file_range(from, at, to, to_at, len, flags)                                                     \
    TURN("copy_file_range", copy_file_range(from, at, to, to_at, shortened(len), flags))
#define memfd_create(...)    TURN("memfd_create", memfd_create(__VA_ARGS__))
#define ftruncate(...)       TURN("ftruncate", ftruncate(__VA_ARGS__))
#define sync_file_range(...) TURN("sync_file_range", sync_file_range(__VA_ARGS__))
#define fdatasync(...)       TURN("fdatasync", fdatasync(__VA_ARGS__))
#define fsync(...)           TURN("fsync", fsync(__VA_ARGS__))
#define syncfs(...)          TURN("syncfs", syncfs(__VA_ARGS__))
#define renameat2(...)       TURN("renameat2", renameat2(__VA_ARGS__))
#define renameat(...)        TURN("renameat", renameat(__VA_ARGS__))
#define linkat(...)          TURN("linkat", linkat(__VA_ARGS__))
#define unlinkat(...)        TURN("unlinkat", unlinkat(__VA_ARGS__))
#define getdents64(...)      TURN("getdents64", getdents64(__VA_ARGS__))
#define close(fd)            failing_close(fd)

#include "disk/disk_posix.c"
