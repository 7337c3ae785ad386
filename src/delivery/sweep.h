/*
 * delivery/sweep.h - removes what deliveries that were cut short have left: regular files in tmp/ to which
 * nobody has written for 36 hours, as maildirs have always been kept, in all maildirs of all domains and
 * their Maildir++ folders. In jobs of bounded length, one at a time: a job lists a domain's directory, or
 * sweeps some maildirs.
 *
 * No link is followed out of a maildir, and no link named tmp at all: what is in new/ and cur/ is never
 * touched, and neither is what somebody else's tmp/ holds.
 *
 * Ownership: a sweep belongs to itself until its callback, which comes on the loop, or until it is aborted.
 * Failure: what cannot be swept is counted and passed over.
 */
#pragma once

#include <stdint.h>

#include "delivery/router.h"
#include "reactor/reactor.h"

struct sweep_result {
    uint64_t mailboxes; /* that were swept */
    uint64_t removed;   /* files */
    uint64_t failed;    /* files and directories that could not be looked at, or not removed */
};

struct sweep;

/* The router may go once this has returned. */
struct sweep *sweep_start(struct reactor *r, const struct router *router,
                          void (*on_done)(void *owner, const struct sweep_result *result), void *owner);

/* Ends after the job that is under way; on_done does not come. NULL is welcome. */
void sweep_abort(struct sweep *s);
