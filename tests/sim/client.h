/*
 * tests/sim/client.h - a simulated client: connects, sends messages, by DATA or BDAT, remembers what it was
 * told of each. It may pipeline, and it may vanish or fall silent at any octet, also in a proxy's header.
 * Everything that it decides comes from the generator that it is given.
 */
#pragma once

#include <glib.h>

#include "base/random.h"
#include "net/address.h"
#include "reactor/reactor.h"

enum { CLIENT_BOXES = 3 };
extern const char
    *const client_boxes[CLIENT_BOXES]; /* mailboxes that exist; the last one's name is beyond ASCII */

#define CLIENT_PROXIED "192.0.2.7" /* where a client behind a proxy is */

enum sent_outcome {
    SENT_UNKNOWN, /* no answer came: it may be there or not */
    SENT_KEPT,    /* answered 250: it must be there */
    SENT_REFUSED, /* answered otherwise: it must not */
};

/* One message to one mailbox. */
struct sent {
    const char *box;
    bool utf8;    /* its sender is beyond ASCII */
    GBytes *body; /* as it must be stored, behind the trace header */
    enum sent_outcome outcome;
};

struct client;

/* Connects at once. What becomes of each message is added to `sent` (struct sent *), which outlives the
 * client. */
struct client *client_new(struct reactor *r, const struct net_address *server, bool lmtp, bool proxied,
                          struct pst_random *random, GPtrArray *sent);
bool client_is_done(const struct client *c); /* its stream is closed */
void client_free(struct client *c);
