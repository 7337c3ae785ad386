/*
 * delivery/known.h - mailboxes that were found a moment ago, so that a burst of mail to one costs one look at
 * the disk. What is remembered is only that a mailbox was there: delivery opens it anew, and one that was
 * removed in between fails there for a time. That a mailbox is missing is not remembered: one that was just
 * made is found at once. For the loop's thread. Ownership: keeps copies of names; borrows domains, which
 * outlive it. Bounded in number and in time.
 */
#pragma once

#include "base/auto.h"
#include "base/number.h"
#include "delivery/router.h"

enum { KNOWN_MAX = 4096, KNOWN_MS = 1000 };

struct known;

struct known *known_new(void);
void known_free(struct known *k); /* NULL is welcome */

/* A new mailbox (mailbox_free it) if it was added less than KNOWN_MS ago, or NULL. */
struct mailbox *known_find(const struct known *k, const struct domain *domain,
                           const struct smtp_address *address, msec_t now);
void known_add(struct known *k, const struct mailbox *mailbox, msec_t now);
AUTO_PTR_DEFINE(known);
