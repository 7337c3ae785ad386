/*
 * handlers/pool.h - a worker's hosts: processes that run the user's handlers, one message at a time each.
 * They are started ahead, and replaced as soon as one has died; messages wait in the order of their asking.
 * Whatever a host does (it crashes, hangs, exits, writes rubbish, dies at any octet), each question gets one
 * answer, and no answer comes from a host that is past the time limit.
 *
 * Ownership: settings and log outlive the pool. What a question points to, the descriptor included, stays as
 * it is until it was answered. An answer belongs to who asked. Failure: an answer like any other. Memory: for
 * each host, what it has said of a frame that is not complete, WIRE_FRAME_MAX at most.
 *
 * Log events: handler-host-started, handler-host-refused (its handlers cannot serve), handler-host-failed
 * (without a message), handler-host-replaced, handler-failed, handler-choked, and handler-log, which is what
 * handlers say.
 */
#pragma once

#include "base/log.h"
#include "handlers/handlers.h"
#include "reactor/reactor.h"

struct handler_pool;

enum handler_outcome {
    HANDLER_DECIDED, /* `verdict` */
    HANDLER_FAILED,  /* `failure`: it is not the message's fault */
    /* GMime has died of the message, before a handler saw it, in a fresh host: in another one it may have
     * been a handler's doing, and the message was tried once more. */
    HANDLER_CHOKED,
};

enum handler_failure {
    HANDLER_TIMEOUT,   /* a host had it for too long */
    HANDLER_CRASHED,   /* `signal` has ended the host; 0: nobody knows what has */
    HANDLER_EXITED,    /* the host has ended, with `status` */
    HANDLER_RUBBISH,   /* what the host said makes no sense */
    HANDLER_NO_HOST,   /* it has waited for too long */
    HANDLER_TOO_LARGE, /* the envelope */
    HANDLER_FAILURES
};
extern const char *const handler_failure_names[]; /* as in the log; ends in NULL */

struct handler_answer {
    enum handler_outcome outcome;
    enum handler_failure failure; /* FAILED */
    int handler;                  /* FAILED: that was running, an index of the configuration; or -1 */
    int signal, status;           /* FAILED and CHOKED */
    bool was_fresh;  /* FAILED and CHOKED: in a host in which no handler had seen a message before */
    bool was_unread; /* FAILED: the host has died before it began with the message, again: it was tried twice
                      */
    /*
     * DECIDED: it has a fate for each recipient; codes, texts and indices are within their bounds (see
     * handlers/verdict.h), and `skip` and `replaced_size` within the files that they are of.
     */
    const struct wire_verdict *verdict;
    int scratch; /* where a message that is replaced lies, for disk_append_copy from 0 on; else -1 */
};

/* The answer, its verdict and its scratch file, which the host then uses again. NULL is welcome. */
void handler_answer_free(struct handler_answer *answer);
AUTO_PTR_DEFINE(handler_answer);

/* Never inside handler_pool_ask. May ask again, and close the pool. */
typedef void (*handler_on_answer)(void *owner, struct handler_answer *take_answer);

/* Starts the hosts. */
struct handler_pool *handler_pool_new(struct reactor *r, const struct handler_settings *settings,
                                      const struct pst_log *log);

/*
 * `fd`: what the message lies in, if it is not in the frame, else -1. A host gets a copy of it: one that was
 * opened for reading only, or handlers could change what is stored.
 */
void handler_pool_ask(struct handler_pool *p, const struct wire_message *message, int fd,
                      handler_on_answer on_answer, void *owner);

/*
 * Nothing may be asked any more. What was asked is still answered; then the hosts end in good order, those
 * that do not by force, and the pool is gone with on_closed. Answers may be freed later.
 */
void handler_pool_close(struct handler_pool *p, void (*on_closed)(void *owner), void *owner);
