/*
 * base/nursery.h - a process that starts processes of one program for another one, its parent, whose children
 * they are all the same (CLONE_PARENT). It leads a session, for where the kernel shares processors between
 * sessions (sched_autogroup(7)) it is the session that stands before or behind others, and what a process
 * asks for itself counts within it only. This one's, with all that are started from it, stands behind all.
 *
 * It gets its orders over a socket (SOCK_SEQPACKET) that is its NURSERY_FD: messages of one octet, each with
 * descriptors. The first is a socket of the same kind, for this birth alone; the others become 0, 1, 2, ...
 * of the new process. On that socket come words: the number of the new process, which waits for a word before
 * it goes on, or for the socket's end, and then it exits; or -errno, when there is none, or when it does not
 * get its program (and exits with 127). The socket ends when all is said.
 *
 * The nursery ends with its orders, or with the thread that began it.
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
