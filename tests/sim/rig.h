/*
 * tests/sim/rig.h - workers on the simulated seams, and callers whose every word is the test's. There is one
 * mailbox, alice@example.org. What goes wrong fails the running test.
 */
#pragma once

#include <glib.h>

#include "reactor/reactor_sim.h"
#include "worker/worker.h"

enum { RIG_CALLERS = 16, RIG_WORKERS = 2, SOON_MS = 50, LATER_MS = 1000, RIG_HANDSHAKE_MS = 60 * 1000 };

struct caller {
    struct stream *stream;
    GString *got; /* since it said something */
    bool ended, reset;
};

struct rig {
    struct reactor *reactor;
    struct router *router;
    struct worker *workers[RIG_WORKERS];
    struct worker_settings settings[RIG_WORKERS];
    struct worker_listener listeners[RIG_WORKERS];
    struct worker_share shares[RIG_WORKERS];
    struct pst_log log;
    enum smtp_protocol protocol;
    const struct handler_settings *handlers; /* of workers that are added from now on; NULL: none */
    const struct tls_store *tls;             /* the same; NULL: there is none */
    const struct auth_settings *auth;        /* the same */
    struct worker_listener like;             /* what their listeners are, besides name, protocol and address */
    size_t worker_count, drained;
    struct caller callers[RIG_CALLERS];
    size_t writes; /* by whomever, since a caller said something */
    GString *told; /* the log */
};

struct rig *rig_begin(enum smtp_protocol protocol, uint64_t seed); /* without a worker */
/* `connections` is what it permits. */
void rig_add_worker(struct rig *rig, uint64_t connections);
struct rig *rig_new(enum smtp_protocol protocol, uint64_t connections); /* both, seed 1 */
void rig_end(struct rig *rig);   /* everybody hangs up; asserts that nothing is left */
void rig_clear(struct rig *rig); /* the same, where the test has drained its workers itself */

void rig_run_for(struct rig *rig, msec_t time);

/* Whatever is answered soon has been when these return. */
struct caller *rig_call(struct rig *rig, size_t number, size_t worker);
void rig_say(struct rig *rig, struct caller *c, const char *text);

#define assert_said(c, code) assert_true(g_str_has_prefix((c)->got->str, code))
