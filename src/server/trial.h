/*
 * server/trial.h - one session on a pair of descriptors, as some client would have it at one of the
 * listeners, with the same protocol, limits and mailboxes, that delivers nothing: messages are counted and
 * thrown away, and nothing is ever written into a maildir, not even into tmp/. It waits with poll(2), and looks
 * at mailboxes on the spot; a loop runs for AUTH only. TLS is left out: there is no handshake, and the
 * session goes on as inside it. Memory is bounded as in a worker.
 *
 * Ownership: it borrows everything. It ignores SIGPIPE from then on. Failure: -errno when reading or writing
 * failed; how the session ended otherwise is no error.
 */
#pragma once

#include "server/settings.h"

struct trial {
    const struct settings *settings;
    const struct worker_listener *listener; /* of the settings */
    struct net_address client;              /* who calls; its port does not count */
    bool quiet;                             /* log nothing */
    int in, out;
};

/* Until the session ended or `in` did, which is a client that hangs up. It logs to standard error, in the
 * configured format. */
int trial_run(const struct trial *trial);
