#include "base/stand_back.h"

#include <glib.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

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
 * Where nobody else wants to run it changes nothing, and where other programs do, this one still gets its
 * part, which with SCHED_IDLE it would not. Who asks for long slices is preempted at once by those who ask
 * for shorter ones, as everybody else does; by lower priority alone it was not. Much longer slices would
 * have one of these processes wait for another one that loops, if only to die.
 */
static void go_last(void)
{
    enum { NICER = 10, NICEST = 19 };
    int nice = MIN(getpriority(PRIO_PROCESS, 0) + NICER, NICEST);
    const struct scheduling s = {
        .size = sizeof s,
        .policy = SCHED_OTHER,
        .nice = nice,
        .slice_ns = 5 * 1000 * 1000,
    };
    if (syscall(SYS_sched_setattr, 0, &s, 0) < 0)
        (void)setpriority(PRIO_PROCESS, 0, nice); /* cannot fail: that is for those who want more */
}

/*
 * Loops on all processors hold up everybody else, and what the kernel does for them: who wakes up beside one
 * may have to wait for the next tick, whatever the priorities are. The last processors are left free, for a
 * disk with a single queue often has its interrupts there.
 */
static void leave_processors(uint64_t count)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return; /* more of them than there is room for in the set: enough for everybody */
    int left = CPU_COUNT(&set);
    bool is_smaller = false; /* else it shall follow when there are more of them one day */
    for (size_t i = CPU_SETSIZE; i > 0 && count > 0 && left > 1; i--) {
        if (CPU_ISSET(i - 1, &set)) {
            CPU_CLR(i - 1, &set);
            is_smaller = true;
            count--;
            left--;
        }
    }
    if (is_smaller)
        (void)sched_setaffinity(0, sizeof set, &set); /* fails only when one has been taken away meanwhile */
}

void stand_back(uint64_t spare_processors)
{
    go_last();
    leave_processors(spare_processors);
}
