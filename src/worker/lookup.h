/*
 * worker/lookup.h - RCPT's question, off the loop: which mailboxes an address leads to, and whether they have
 * room. So many are asked at once; the others wait, so that a table that is slow to answer does not keep the
 * pool from delivering; nor does it keep domains waiting that have none such. What was found is remembered
 * for a moment (delivery/known.h). And while there are tables that are files, looks every now and then
 * whether one has changed.
 *
 * One for each loop. Ownership: borrows router, log and tables. Whoever asks stays until it is told.
 */
#pragma once

#include <glib.h>

#include "base/log.h"
#include "delivery/router.h"
#include "reactor/reactor.h"

enum {
    LOOKUPS_AT_ONCE = 16,            /* in domains with tables that may be slow; and in those without */
    LOOKUPS_PATIENCE_MS = 10 * 1000, /* who waits longer for its turn is not asked for any more */
    LOOKUPS_REFRESH_MS = 250,        /* between two looks at the tables */
};

struct lookups;

struct lookup_answer {
    int result;                 /* 0; -ENOENT: leads nowhere; -EDQUOT: one has no room; or see route_find() */
    const GPtrArray *mailboxes; /* struct mailbox, after success: one at least */
    const struct mailbox *full; /* after -EDQUOT: which one */
    const char *why;            /* after a failure that is ours: for the log; or NULL */
};

struct lookup_events {
    bool (*is_wanted)(
        void *owner); /* whether anybody still waits for the answer; asked when its turn comes */
    void (*on_done)(void *owner, const struct lookup_answer *answer);
};

/* `tables`: struct table, those that may change; NULL: none. */
struct lookups *lookups_new(struct reactor *r, const struct router *router, const GPtrArray *tables,
                            const struct pst_log *log);
/* With nothing under way but a look at the tables: the rest goes when that is done. NULL is welcome. */
void lookups_free(struct lookups *l);

/* `octets` are what the client declared, or 0. Calls back on the loop; at once, if it is known. What nobody
 * wants any more is -ECANCELED, and what had to wait too long for its turn -EHOSTDOWN. */
void lookups_ask(struct lookups *l, const struct route_start *start, uint64_t octets,
                 const struct lookup_events *events, void *owner);
