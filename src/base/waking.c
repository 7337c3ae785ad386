#include "base/waking.h"

#include <sched.h>

static bool change_policy(int from, int to)
{
    const struct sched_param no_priority = { 0 };
    return sched_getscheduler(0) == from && sched_setscheduler(0, to, &no_priority) == 0;
}

bool wake_behind_others(void)
{
    return change_policy(SCHED_OTHER, SCHED_BATCH);
}

void wake_as_usual(void)
{
    (void)change_policy(SCHED_BATCH, SCHED_OTHER); /* which everybody may */
}
