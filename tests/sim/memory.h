/*
 * tests/sim/memory.h - how much memory the program under test holds in a simulated world: every block that is
 * allocated while its code runs (enum reactor_sim_party), until that is freed, by whomever. What the
 * simulated disk and network, speakers and checkers hold is not among it. Counted as an allocator would, with
 * what it needs for itself.
 *
 * It is exact, since malloc and its kin are ours (memory.c), and so are the calls into the simulated disk
 * (sim_memory_ldflags in sim.mk). Sanitizers bring a malloc of their own: then, and where the C library is
 * not GNU's, nothing is counted. GLib before 2.76 hands out pieces of what it has allocated before, unless
 * G_SLICE=always-malloc is in its environment from the start: without that nothing is counted, either.
 *
 * One world at a time, in one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "delivery/delivery.h"

/* Once in main: runs the program anew, should it need another environment to count. */
void memory_init(char **argv);

/* NULL, or why nothing is counted: then the figures below are 0. */
const char *memory_uncounted(void);

size_t memory_held(void);
size_t memory_peak(void); /* the most since the last call of this: */
void memory_reset(void);

/* Since all calls of the disk pass here: what each returns is told, for a trace. NULL: no more. */
typedef void (*memory_on_result)(void *owner, int64_t result);
void memory_watch_disk(memory_on_result on_result, void *owner);

/*
 * What a session may hold at most (P3), as the code's own limits add up:
 *   - 648 KiB: two blocks of a message on its way to the disk (DELIVERY_BLOCK). A small message has less,
 *     also where handlers get it in a frame.
 *   - 64 KiB: one read of which nothing was taken yet.
 *   - 64 KiB: replies that the peer does not read: 16, a batch of 8, and one more, in an array that doubles.
 *   - 32 KiB: a command or a challenge, counts of a header section, a stream, timers.
 * With TLS its state besides: 45 KiB in the middle of a record or a handshake, and what is to be encrypted.
 * For each recipient: its address, its mailbox with its copy, its trace header, its places in lists. And for
 * the worker itself one read, one batch of replies, and what it has with nobody connected.
 */
enum {
    MEMORY_WORKER = 128 * 1024,
    MEMORY_SESSION = 808 * 1024,
    MEMORY_TLS = 64 * 1024,
    MEMORY_RECIPIENT = 2 * 1024,
};
_Static_assert(2 * DELIVERY_BLOCK + (64 + 64 + 32) * 1024 == MEMORY_SESSION, "what a session may hold");
