#include "host/limits.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

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
