/*
 * delivery/router.h - from an address to mailboxes. A domain is a directory of maildirs: the mailbox alice@
 * is its maildir alice/; tables may add aliases, say which mailboxes there are, and their quotas. The router
 * is filled before it is used and constant from then on but for what its tables hold, so that jobs may read
 * it from any thread. Ownership: the router owns its domains, and borrows their tables, which outlive it.
 */
#pragma once

#include "base/auto.h"
#include "base/diag.h"
#include "base/slice.h"
#include "delivery/mailbox.h"
#include "smtp/address.h"

struct router;
struct table;

struct domain_options {
    const char *maildirs;
    struct table *aliases;   /* NULL: there are none */
    struct table *mailboxes; /* which there are; NULL: a mailbox exists when its maildir does */
    struct table *quotas;    /* of single mailboxes; NULL: all have `quota` */
    const char *catch_all; /* who gets what nobody else does: an address, or a name in this domain; or NULL */
    struct origin catch_all_at; /* where that is written; outlives the router */
    const char *subaddress;     /* the character that ends a mailbox's name in an address; or "" */
    uint64_t quota;             /* octets in a mailbox; 0: as many as it likes */
    bool refuse_over_quota;     /* for good; else the sender shall try again */
    bool create;                /* a missing maildir is made at first delivery */
};

struct domain {
    char *name;                    /* canonical, see smtp_domain_canonical(); "*.example.org"; "*" */
    struct domain_options options; /* its strings are copies */
};

struct router *router_new(void);
void router_free(struct router *r); /* NULL is welcome */
AUTO_PTR_DEFINE(router);

/*
 * `name` is a domain, "*.example.org" for all beneath it that have no section of their own, or "*" for all
 * that nobody else has. -EEXIST when it is there already, -EBADMSG or -E2BIG when it is none. All spellings
 * of a name are one: case, A-labels and U-labels (smtp_domain_canonical). Strings of `options` are copied.
 */
int router_add_domain(struct router *r, const char *name, const struct domain_options *options);

/* For filling in tables, which may want to know all domains first. NULL when there is none of that name. */
struct domain *router_find_domain(struct router *r, const char *name);

/* In the order of their adding. */
void router_for_each_domain(const struct router *r, void (*each)(void *owner, const struct domain *domain),
                            void *owner);

/* Where the route of an address begins. */
struct route_start {
    const struct domain *domain;
    char domain_name[SMTP_DOMAIN_MAX + 1]; /* of the address, canonical */
    char name[MAILBOX_NAME_MAX + 1]; /* of the mailbox that it names; "" when that cannot be one's name */
};

/* False when the address lies in no domain of ours. A bare <postmaster> is in the first one. Never touches
 * the disk: for the loop. */
bool router_start(const struct router *r, const struct smtp_address *address, struct route_start *ret_start);
