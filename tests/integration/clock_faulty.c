/*
 * The clocks of postern_faulty: the system's, and what a test adds to them. faults.py maps the file that
 * POSTERN_CLOCK names and says in it how far the clocks have been set; all processes of the daemon have
 * mapped it since before they were forked. Defined in the program, they are also what libuv, GLib and OpenSSL
 * find. (libfaketime would have to be preloaded, which sanitizers do not like, and to read its file again
 * from processes that may not.) Files have the kernel's times, as if they had come from another machine.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { US_PER_S = 1000000, NS_PER_US = 1000 };

/* faults.py knows this layout. */
struct clocks {
    _Atomic int64_t wall_us;      /* since it was set, or the network has set it */
    _Atomic int64_t monotonic_us; /* since the machine stood still */
};
static struct clocks *clocks;

__attribute__((constructor)) static void map_clocks(void)
{
    const char *path = getenv("POSTERN_CLOCK");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *clocks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED)
        abort();
    clocks = at;
}

static int64_t ahead_us(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return atomic_load(&clocks->wall_us);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return atomic_load(&clocks->monotonic_us);
    default:
        return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    long r = syscall(SYS_clock_gettime, clock, ret_now);
    if (r < 0 || clocks == NULL)
        return (int)r;
    int64_t us = ahead_us(clock) + ret_now->tv_nsec / NS_PER_US; /* 0 <= rest < US_PER_S, whatever the sign */
    int64_t rest = (us % US_PER_S + US_PER_S) % US_PER_S;
    ret_now->tv_sec += (time_t)((us - rest) / US_PER_S);
    ret_now->tv_nsec = rest * NS_PER_US + ret_now->tv_nsec % NS_PER_US;
    return 0;
}

int gettimeofday(struct timeval *restrict ret_now, void *restrict unused)
{
    (void)unused;
    struct timespec now;
    int r = clock_gettime(CLOCK_REALTIME, &now);
    *ret_now = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / NS_PER_US };
    return r;
}

time_t time(time_t *ret_now)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* the clock exists */
    if (ret_now != NULL)
        *ret_now = now.tv_sec;
    return now.tv_sec;
}
