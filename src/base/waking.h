/*
 * base/waking.h - threads that shall not take a processor from others when they wake up.
 */
#pragma once

#include <stdbool.h>

/*
 * From now on this thread, and those that it starts, leave a processor to whomever they find there, when they
 * wake up, until he waits or has had his slice: SCHED_BATCH of sched(7). False, and nothing changes, where
 * somebody has chosen another policy than the usual one. System calls only, as for the other one.
 */
bool wake_behind_others(void);
void wake_as_usual(void); /* takes it back */
