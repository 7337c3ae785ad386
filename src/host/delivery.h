/*
 * host/delivery.h - one message's way through the handlers, and the verdict that it comes to.
 * A handler sees those recipients of its turn that still are to get the message: the numbers that it uses
 * count these. What it says of a recipient is final there when it is not to deliver; where none is left, the
 * next handlers are not called.
 * Ownership: one struct serves one message after the other; the verdict borrows from it until the next.
 */
#pragma once

#include <postern/handler.h>

#include "handlers/wire.h"
#include "host/channel.h"
#include "host/load.h"
#include "host/message.h"
#include "host/stage.h"

struct delivery { /* behind postern_delivery */
    postern_delivery face;
    struct handlers *handlers;
    struct channel *channel;
    struct stage *stage;
    struct message message;
    GByteArray *front;

    GArray *fates;        /* of struct wire_fate, one for each recipient of the message */
    GArray *targets;      /* of struct target, the same */
    GArray *recipients;   /* of postern_recipient, the same */
    GPtrArray *mailboxes; /* what these point to */
    GStringChunk *texts;  /* what fates point to */

    const struct handler *handler; /* whose turn it is */
    postern_envelope envelope;     /* as it sees it */
    GArray *seen;                  /* of postern_recipient: what it sees */
    GArray *numbers;               /* of uint32_t: which they are among all */
    struct wire_fate for_all;      /* what it said of all; DELIVER: nothing */
};

void delivery_init(struct delivery *d, struct handlers *handlers);

/* 0, or -EBADMSG: the frame cannot be. `take_fd` came with it, or -1. */
int delivery_run(struct delivery *d, const struct wire_message *message, int take_fd,
                 struct wire_verdict *ret_verdict);
/* The verdict cannot be told, so that it is another: all come again. */
void delivery_fail(struct delivery *d, struct wire_verdict *verdict);
void delivery_end(struct delivery *d); /* the verdict has been used */

/* What a verdict is that comes with no reply of its own. */
struct wire_fate delivery_fate(postern_verdict verdict);

/* ---- for the functions of functions.c: 0, or -EINVAL, and why ---- */

int delivery_set_verdict(struct delivery *d, size_t recipient, const struct wire_fate *fate,
                         const char **ret_why);
int delivery_set_folder(struct delivery *d, size_t recipient, const char *folder, const char **ret_why);
int delivery_set_flags(struct delivery *d, size_t recipient, const char *flags, const char **ret_why);
int delivery_redirect(struct delivery *d, size_t recipient, const char *address, const char **ret_why);
