/*
 * tests/model/talk.h - a session whose owner takes everything: each recipient is good, each message is
 * stored. For tests that are about the octets of a message and how they are cut. Ownership: embedded; the
 * service is borrowed. Failure: a session that breaks off in the middle fails the test.
 */
#pragma once

#include <glib.h>

#include "smtp/session.h"

struct talk {
    struct smtp_session *session;
    struct smtp_effect *effect;
    GString *kept;     /* what the session did not take */
    GString *codes;    /* of the replies: "250 354 250 " */
    GPtrArray *stored; /* GString *, each message; NULL: they are only counted */
    GString *open;     /* the message that comes */
    uint64_t messages; /* stored */
    uint64_t octets;   /* of the last message, or so far */
    uint64_t declared; /* by the last MAIL */
};

void talk_begin(struct talk *t, const struct smtp_service *service, bool stores);
void talk_end(struct talk *t);

/* The octets arrive together, behind what was kept. */
void talk_send(struct talk *t, const void *bytes, size_t len);
void talk_say(struct talk *t, const char *text);
/* One by one. */
void talk_drip(struct talk *t, const void *bytes, size_t len);

/* Forgets what was said and stored. */
void talk_clear(struct talk *t);
