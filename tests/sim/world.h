/*
 * tests/sim/world.h - a world: the production code from `worker` downward on the simulated reactor and disk,
 * with clients, hosts and faults, in one life after the other, as its plan has it. What must always hold is
 * checked on the way and at the end: by the clients' oracles, by the checker of mail, and that nothing is
 * left of a life. What does not hold fails (sim.h).
 */
#pragma once

#include <stdint.h>

#include "plan.h"
#include "trace.h"

/* Of all worlds so far. */
struct figures {
    uint64_t worlds, lives, drained, killed, power_cuts;
    uint64_t connections, events, virtual_ms;
    uint64_t calls, failures, looks;
    uint64_t promises, kept, refused;
};

/* Adds to the figures. `trace` may be NULL. */
void world_run(const struct plan *plan, struct trace_log *trace, struct figures *figures);
