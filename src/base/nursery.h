/*
 * base/nursery.h - a process that starts processes of one program for another one, its parent, whose children
 * they are all the same (CLONE_PARENT). It leads a session, for where the kernel shares processors between
 * sessions (sched_autogroup(7)) it is the session that stands before or behind others, and what a process
 * asks for itself counts within it only. This one's, with all that are started from it, stands behind all.
 *
 * The two talk over a socket (SOCK_SEQPACKET) that is the nursery's NURSERY_FD, in words, one at a time:
 *
 *     parent    any word, with the descriptors that become 0, 1, 2, ... of the new process
 *     nursery   its number, from itself and before it can have done anything; or -errno
 *     parent    any word: go on
 *     nursery   -errno when the program cannot be had (the process exits with 127)
 *     nursery   0: that is all
 *
 * At the end of the socket, which is the parent's end at the latest, the nursery ends.
 */
#pragma once

#include <stdint.h>

enum { NURSERY_FD = 3, NURSERY_DESCRIPTORS = 8 /* at most */ };

typedef int32_t nursery_word;

/* Of the nursery's own command line, which is NAME nursery PROGRAM. */
#define NURSERY_ARGUMENT "nursery"

/* In a process of one thread. Processes of `program` have `name` as their only argument, and this one's
 * environment. Never returns. */
_Noreturn void nursery_run(const char *name, const char *program);
