#include "worker/counters.h"

const struct counter_row counter_rows[COUNTERS] = {
    [COUNTER_CONNECTIONS] = { "connections_accepted", "Connections that were let in." },
    [COUNTER_MESSAGES] = { "messages_accepted",
                           "Messages that were answered 250 for at least one recipient." },
    [COUNTER_RECIPIENTS] = { "recipients_accepted", "Recipients of these messages." },
    [COUNTER_TLS_HANDSHAKES] = { "tls_handshakes", "TLS handshakes that were completed." },
    [COUNTER_TLS_FAILURES] = { "tls_handshake_failures", "TLS handshakes that failed or took too long." },
    [COUNTER_AUTH_SUCCESSES] = { "auth_successes", "Clients that authenticated themselves." },
    [COUNTER_AUTH_FAILURES] = { "auth_failures",
                                "Attempts of clients to authenticate themselves that failed." },
};

#define US(n) (UINT64_C(1000) * (n))
#define MS(n) (UINT64_C(1000000) * (n))

const uint64_t stall_bounds_ns[STALL_BOUNDS] = {
    US(100), US(250), US(500), MS(1), MS(2), MS(5), MS(10), MS(20), MS(50), MS(100), MS(500), MS(1000),
};

void counters_note_stall(struct counters *c, uint64_t away_ns)
{
    unsigned bucket = 0;
    while (bucket < STALL_BOUNDS && away_ns > stall_bounds_ns[bucket])
        bucket++;
    counters_grow(&c->stalls[bucket], 1);
    counters_grow(&c->stalled_ns, away_ns);
    if (away_ns > atomic_load_explicit(&c->longest_stall_ns, memory_order_relaxed))
        atomic_store_explicit(&c->longest_stall_ns, away_ns, memory_order_relaxed);
}
