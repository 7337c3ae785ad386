/*
 * delivery/known.h - routes that were found a moment ago, so that a burst of mail to one address costs one
 * look at the disk and the tables. What is remembered is only that a mailbox was there: delivery opens it
 * anew, and one that was removed in between fails there for a time. That an address leads nowhere is not
 * remembered: a mailbox that was just made is found at once. For the loop's thread. Ownership: keeps copies;
 * borrows domains, which outlive it. Bounded in number and in time.
 */
#pragma once

#include <glib.h>

#include "base/auto.h"
#include "base/number.h"
#include "delivery/router.h"

enum {
    KNOWN_MAX = 4096, /* mailboxes of all routes together */
    KNOWN_MS = 1000,
};

struct known;

struct known *known_new(void);
void known_free(struct known *k); /* NULL is welcome */

/* The mailboxes (struct mailbox) of a route that was added less than KNOWN_MS ago, or NULL. Borrowed until
 * the next call that changes something. */
const GPtrArray *known_find(const struct known *k, const struct route_start *start, msec_t now);
void known_add(struct known *k, const struct route_start *start, const GPtrArray *mailboxes, msec_t now);
void known_forget(struct known *k); /* all: a table has changed */
AUTO_PTR_DEFINE(known);
