/*
 * tests/sim/callers.h - the clients of one life of a world: who they are, by the plan, and when they call.
 * All that a client does comes from its own number, so that it is the same whoever else calls.
 *
 * Ownership: the caller's; they borrow what they are made from. They are over when each has called and its
 * connection is closed; only then they may be freed.
 */
#pragma once

#include "net/address.h"
#include "oracle.h"
#include "plan.h"
#include "trace.h"

struct callers;

struct callers_terms {
    const struct plan *plan;
    unsigned life;
    const struct net_address *smtp, *lmtp; /* where they call */
    struct oracle_rules rules;             /* of all of them */
    GPtrArray *promises;
    struct trace_log *trace;
};

struct callers *callers_new(struct reactor *r, const struct callers_terms *terms);
bool callers_are_over(const struct callers *c);
/* The server is gone from one moment to the next. Those who call later find nobody. */
void callers_break(struct callers *c);
size_t callers_free(struct callers *c); /* returns how many have called */
