/*
 * handlers/host.h - one host of a pool: a process, the channel to it, and what it says, as far as that makes
 * sense. It is started, becomes ready, has one message at a time, and is ended, or fails, at any time; then
 * it is a process to be got rid of, and nothing that it says is believed but how it died.
 *
 * Ownership: it frees itself after on_gone; what it is asked stays as it is until the answer. Failure: what a
 * host does wrong ends it, and is told as an answer and in the log.
 */
#pragma once

#include "handlers/pool.h"

struct handler_host;

/* Never inside the calls below. */
struct host_events {
    void (*on_ready)(void *owner); /* one may be asked: after the start, or when its scratch file came back */
    /* It takes no message any more. `failed_start`: it never had one. Then on_answer may come, and on_gone.
     */
    void (*on_lost)(void *owner, bool failed_start);
    void (*on_gone)(void *owner, struct handler_host *h); /* the process has ended */
};

/* Settings, log and events outlive it. -errno when it cannot be started. */
int host_start(struct reactor *r, const struct handler_settings *settings, const struct pst_log *log,
               const struct host_events *events, void *owner, struct handler_host **ret_host);
int host_pid(const struct handler_host *h);

/*
 * Of one that is ready (once it has answered, it is again, mostly). -EMSGSIZE, and it stays ready, when the
 * envelope is too large.
 */
bool host_is_ready(const struct handler_host *h);
bool host_is_fresh(const struct handler_host *h); /* no handler has had a message in it yet */
int host_ask(struct handler_host *h, const struct wire_message *message, int fd, handler_on_answer on_answer,
             void *owner);

/* It has a message, which it did not answer yet. */
bool host_is_busy(const struct handler_host *h);

/* In good order, of one that is not busy; of one that is ended already nothing. No on_lost comes. */
void host_end(struct handler_host *h);

/* An answer without a host. */
struct handler_answer *handler_answer_of_failure(enum handler_failure failure);
