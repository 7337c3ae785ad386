/*
 * host/children.h - an end to the child processes that user code left behind. A process that is a subreaper
 * gets its children's orphans, too, so that all descendants come by in time.
 */
#pragma once

#include <stdbool.h>

/* The list of this thread's children in /proc, to be opened before a sandbox is entered; -errno: the kernel
 * does not tell. */
int children_open(void);

/*
 * Kills and reaps until there are none: true. Without any that is one system call. Those of other threads are
 * reaped, but cannot be found to be killed: false, some are left.
 */
bool children_end(int list);
