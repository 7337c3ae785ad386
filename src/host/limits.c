#include "host/limits.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define HAS_SHADOW_MEMORY true /* terabytes of address space */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW_MEMORY true
#endif
#endif
#ifndef HAS_SHADOW_MEMORY
#define HAS_SHADOW_MEMORY false
#endif

static int confine(unsigned resource, uint64_t value)
{
    struct rlimit limit = { .rlim_cur = value, .rlim_max = value };
    return setrlimit(resource, &limit) == 0 ? 0 : -errno;
}

/* A limit that is already lower stays: it cannot be raised without privilege, and need not be. */
static int confine_to(unsigned resource, uint64_t value)
{
    struct rlimit now;
    if (value == 0 || (getrlimit(resource, &now) == 0 && now.rlim_max <= value))
        return 0;
    return confine(resource, value);
}

int limits_enter(struct limits *l, const struct wire_config *config, char **ret_problem)
{
    *l = (struct limits){ .cpu_seconds = config->cpu_seconds };
    int r = confine(RLIMIT_CORE, 0); /* a core would hold a message */
    if (r == 0)
        r = confine_to(RLIMIT_FSIZE, config->file_size);
    if (r == 0)
        r = confine_to(RLIMIT_STACK, config->stack);
    if (r == 0 && !HAS_SHADOW_MEMORY)
        r = confine_to(RLIMIT_AS, config->memory);
    if (r < 0)
        *ret_problem = g_strdup_printf("limits: %s", g_strerror(-r));
    /* So that a file that grows too long is an error to the function that writes, and not the end. */
    (void)signal(SIGXFSZ, SIG_IGN);
    return r;
}

/*
 * The limit is on the process's time, so it is moved on: by whole seconds, for that is how it is told, and
 * hardly ever for short messages. The hard limit stays where it is, or the soft one could not follow.
 */
void limits_renew(struct limits *l)
{
    struct timespec used;
    if (l->cpu_seconds == 0 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
        return;
    uint64_t until = (uint64_t)used.tv_sec + 1 + l->cpu_seconds;
    struct rlimit limit;
    if (until == l->granted_until || getrlimit(RLIMIT_CPU, &limit) < 0)
        return;
    limit.rlim_cur = until < limit.rlim_max ? until : limit.rlim_max;
    if (setrlimit(RLIMIT_CPU, &limit) == 0)
        l->granted_until = until;
}

/* ---- the processor, which others want, too ---- */

/* sched_setattr(2), in its first version; glibc 2.36 has no function for it. */
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns; /* "runtime". For SCHED_OTHER since Linux 6.12; ignored before */
    uint64_t deadline;
    uint64_t period;
};

/*
 * A handler that loops beside every worker takes less from what the daemon does for others. Where nobody else
 * wants to run it changes nothing, and where other programs do, hosts still get their part, which with
 * SCHED_IDLE they would not, to the end of their time. What asks for long slices is preempted at once by
 * those who ask for shorter ones, as everybody else does; by lower priority alone it was not.
 */
void limits_stand_back(void)
{
    enum { NICER = 10, NICEST = 19 };
    int nice = MIN(getpriority(PRIO_PROCESS, 0) + NICER, NICEST);
    const struct scheduling s = {
        .size = sizeof s,
        .policy = SCHED_OTHER,
        .nice = nice,
        .slice_ns = 100 * 1000 * 1000, /* the longest */
    };
    if (syscall(SYS_sched_setattr, 0, &s, 0) < 0)
        (void)setpriority(PRIO_PROCESS, 0, nice); /* cannot fail: that is for those who want more */
}
