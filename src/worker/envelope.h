/*
 * worker/envelope.h - who a message goes to: the recipients that RCPT named, the mailboxes (targets) that
 * they lead to, and the ways between them. A mailbox is one target, however many ways lead to it. Ownership:
 * a value; whoever began it clears it. It owns recipients and, until envelope_give(), its targets' mailboxes.
 */
#pragma once

#include <glib.h>

#include "delivery/delivery.h"
#include "smtp/address.h"
#include "smtp/outcome.h"

struct recipient {
    struct smtp_address address;
    unsigned notify;             /* SMTP_NOTIFY_, or 0 */
    char *orcpt;                 /* as it was sent; NULL: none was */
    const struct domain *domain; /* that the address lies in */
    unsigned *ways;              /* the indices of the targets that it leads to */
    size_t way_count;            /* one at least, unless a handler said otherwise */
    enum smtp_outcome refusal;   /* what a handler decided; else SMTP_DELIVERED */
    char *reply;                 /* with it: all of it, or NULL */
};
void recipient_free(struct recipient *r);

struct target {
    struct mailbox *mailbox;
    unsigned first;  /* the index of the recipient that led to it first */
    bool is_renamed; /* that one has another name */
    char flags[DELIVERY_FLAGS_SIZE];
};

struct envelope {
    GPtrArray *recipients; /* in the order of RCPT */
    GArray *targets;
    size_t ways;       /* of all recipients */
    GHashTable *index; /* of the targets' mailboxes, to their index; NULL while there are few */
    bool is_given;
};

void envelope_init(struct envelope *e);
void envelope_clear(struct envelope *e);

const struct recipient *envelope_recipient(const struct envelope *e, size_t i);
struct target *envelope_target(const struct envelope *e, size_t i);
bool envelope_find(const struct envelope *e, const struct mailbox *m, unsigned *ret_target);

/* Takes the recipient, which `start` and then `mailboxes` (one at least; copied) are of. Unless it `counts`
 * in any case, one that leads to nothing new is dropped. */
void envelope_add(struct envelope *e, struct recipient *take_recipient, const struct route_start *start,
                  const GPtrArray *mailboxes, bool counts);

/*
 * For what handlers change: takes the recipient, which leads to `mailboxes` (struct mailbox; none is welcome;
 * copied), whatever it led to before. `start` is where its route began, or NULL: they have other names in any
 * case. Flags are for those that nobody else led to before.
 */
void envelope_add_changed(struct envelope *e, struct recipient *take_recipient,
                          const struct route_start *start, const GPtrArray *mailboxes, const char *flags);

/* All `ways` of it, recipient by recipient; g_free them. */
struct delivery_way *envelope_ways(const struct envelope *e);

/* From here on the mailboxes are borrowed from the delivery that got them. */
void envelope_give(struct envelope *e);
