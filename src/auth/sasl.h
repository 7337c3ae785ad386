/*
 * auth/sasl.h - one SASL exchange, the server's side of it, driven by GNU SASL against a file of passwords.
 * Without loop and jobs: a step hashes, so that it belongs into a job. An exchange is in one thread at a
 * time; a context is shared by all of them and does not change.
 */
#pragma once

#include <gsasl.h>

#include "auth/auth.h"
#include "auth/credentials.h"
#include "auth/mechanism.h"

/* 0 or -ENOMEM. gsasl_done() it. */
int sasl_context_new(Gsasl **ret_context);

/* Which of the bits a library of this version has for servers. */
unsigned sasl_mechanisms(Gsasl *context);

struct sasl;

/* What is offered besides, of the bits: a client that was offered channel binding must not say that it was
 * not. The facts are copied as far as they are needed. */
struct sasl *sasl_new(Gsasl *context, struct credentials *credentials, enum mechanism m, unsigned offered,
                      const struct auth_facts *facts);
void sasl_free(struct sasl *s); /* NULL is welcome */

struct sasl_answer {
    enum auth_kind kind;
    char *challenge;    /* g_free: base64; CHALLENGE */
    const char *user;   /* the exchange's; as in struct auth_step */
    const char *reason; /* the same */
};

/* What the client said, in base64; NULL: nothing yet. After any answer but a challenge the exchange is only
 * freed. */
struct sasl_answer sasl_step(struct sasl *s, const char *response);
