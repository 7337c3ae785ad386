/*
 * delivery/route.h - the way from an address to mailboxes, step by step: alias, mailbox, subaddress,
 * catch-all; and if all fail or lead nowhere, postmaster's home (RFC 5321 4.5.1). What an alias names goes
 * the same way. It asks the disk and the tables: for jobs. Ownership: a route is a value; whoever made it
 * clears it, also after a failure.
 */
#pragma once

#include <glib.h>

#include "base/auto.h"
#include "delivery/router.h"

enum {
    ROUTE_DEPTH = 16,        /* aliases of aliases */
    ROUTE_MAILBOXES = 10000, /* that one address may lead to */
};

struct route {
    GPtrArray *mailboxes; /* struct mailbox, each once; at least one after success */
    char *why;            /* after a failure: what failed, for the log; or NULL */
};

/* Is told of each step: how deep it is in aliases of aliases, what is asked, and what came of it. */
struct route_observer {
    void (*tell)(void *owner, unsigned depth, const char *step, const char *result);
    void *owner;
};

/*
 * 0; -ENOENT: there is no such mailbox. All else is ours to mend, and the sender may try again: -ELOOP:
 * aliases that lead to themselves, or too deep; -EHOSTDOWN: a table cannot be asked; -ENOLINK: an alias leads
 * to no mailbox; -E2BIG: to too many; -ENODEV: what should be a maildir is none; another -errno of the disk,
 * but none of these. `observer` may be NULL.
 */
int route_find(const struct router *r, const struct route_start *start, const struct route_observer *observer,
               struct route *ret_route);
void route_clear(struct route *r);
AUTO_VAL_DEFINE(route);

/*
 * Whether `target` can be one of an alias: an address in a domain of ours, or a local part. For
 * table_rules.accepts, with the router as its owner. Else *ret_expected says what was expected (g_free).
 */
bool route_accepts_target(const void *router, const char *target, char **ret_expected);
