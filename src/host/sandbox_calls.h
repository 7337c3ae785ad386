/*
 * host/sandbox_calls.h - which system calls user code has: all but those that reach beyond its own process,
 * and those by which Landlock is walked around. A part of sandbox.h, which alone calls this.
 *
 * What is refused gets an error (EPERM; EACCES for sockets), as from a kernel that does not permit it, and
 * the code goes on: most of it asks for such things by the way, and does without. It is a list of what is
 * refused, not of what is granted: user code is any code. -errno on failure.
 */
#pragma once

#include <stdbool.h>

/* This build, and this kernel. */
bool sandbox_calls_can_be_limited(void);

/* `landlock`: the version of what is there beside it, and need not be done here; 0: nothing. */
int sandbox_calls_limit(bool network, int landlock);
