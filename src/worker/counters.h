/*
 * worker/counters.h - what workers count, for whoever watches the service. A counter is a row: its name and a
 * sentence. The values lie in a worker's row of the memory that all workers share (struct worker_share); one
 * worker writes them, from its loop, and anybody may read them at any time. They only grow: a worker that
 * succeeds a dead one in its row goes on where that one was.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum counter {
    COUNTER_CONNECTIONS,
    COUNTER_MESSAGES,
    COUNTER_RECIPIENTS,
    COUNTER_TLS_HANDSHAKES,
    COUNTER_TLS_FAILURES,
    COUNTER_AUTH_SUCCESSES,
    COUNTER_AUTH_FAILURES,
    COUNTERS,
};

struct counter_row {
    const char *name;     /* without the program's, and without "_total" */
    const char *sentence; /* what is counted */
};
extern const struct counter_row counter_rows[COUNTERS];

/* Stalls: how long the loop was away from waiting for events. The last bucket has no bound. */
enum { STALL_BOUNDS = 12, STALL_BUCKETS };
extern const uint64_t stall_bounds_ns[STALL_BOUNDS]; /* each belongs to its own bucket */

struct counters {
    _Alignas(64) _Atomic uint64_t value[COUNTERS]; /* cache lines of its own */
    _Atomic uint64_t stalls[STALL_BUCKETS];        /* those of each bucket alone */
    _Atomic uint64_t stalled_ns;                   /* of all stalls together */
    _Atomic uint64_t longest_stall_ns;
};

/* As nobody else writes it, this need not be one step: no lock on the bus. */
static inline void counters_grow(_Atomic uint64_t *value, uint64_t by)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static inline void counters_add(struct counters *c, enum counter which, uint64_t count)
{
    counters_grow(&c->value[which], count);
}

void counters_note_stall(struct counters *c, uint64_t away_ns);
