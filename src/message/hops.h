/*
 * message/hops.h - where a message was before, as its header section says while it streams: how many servers
 * it went through (RFC 5321 6.3), and into which mailboxes it was delivered. An address may be folded, stand
 * in angle brackets, and have comments beside it; a byte order mark in front of the message does not hide its
 * first field. Bounded: of very many Delivered-To fields only the first HOPS_DELIVERED are kept. Ownership: a
 * value, zeroed at the start of a message; whoever fed it clears it.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/auto.h"
#include "base/slice.h"
#include "smtp/address.h"

enum { HOPS_DELIVERED = 100, HOPS_LINE = 320 };

struct hops {
    unsigned received; /* fields of that name */
    GArray *delivered; /* struct smtp_address of Delivered-To fields, in their order; NULL: none */
    bool begun;        /* the first line was seen */
    bool ended;        /* the header section is over */
    bool is_cut;       /* `kept` has the start of a line whose end has not come */
    size_t len;        /* of it */
    struct {
        bool is_open;       /* it is a Delivered-To, and may go on in the next line */
        bool is_taken;      /* what there is of it is the last one of `delivered` */
        size_t len;         /* HOPS_LINE: it is too long for an address */
    } value;                /* of the field that was seen last, unfolded: in `kept` */
    struct hops_kept *kept; /* NULL: nothing yet, as of most messages */
};

void hops_look(struct hops *h, struct slice bytes);

/* The next octets of the message, cut anywhere. Lines end in LF, with or without a CR before it. */
static inline void hops_take(struct hops *h, struct slice bytes)
{
    if (!h->ended)
        hops_look(h, bytes);
}

void hops_clear(struct hops *h);
AUTO_VAL_DEFINE(hops);
