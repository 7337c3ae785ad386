/*
 * tests/model/model.h - what a server has to answer and to store, said as plainly as the RFCs say it: 5321
 * (SMTP), 2033 (LMTP), 3030 (BDAT), 6531 (SMTPUTF8), 3207 (STARTTLS), 4954 (AUTH), 8689 (REQUIRETLS). It is
 * told what each command means, never its octets, knows nothing of segments, and takes each message whole.
 * Ownership: the caller frees it; it borrows the rules and the recipients, and copies what acts hold. Nothing
 * fails.
 */
#pragma once

#include "act.h"

enum { REPLY_CHOICES = 5 };

/* One reply: code and enhanced code, or the code alone where no more is certain. */
struct expectation {
    const char *any[REPLY_CHOICES]; /* one of these; ends in NULL */
    const char *extensions;         /* the list that EHLO gets; or NULL */
    unsigned act;                   /* the act that it answers, counted from 0 */
};

enum model_place {
    MODEL_START,      /* before HELO */
    MODEL_IDLE,       /* no transaction */
    MODEL_ENVELOPE,   /* MAIL was taken */
    MODEL_MESSAGE,    /* behind 354 */
    MODEL_CHUNKS,     /* between two BDATs */
    MODEL_BROKEN,     /* a chunk was refused, or DATA came instead: only RSET or a new greeting mends it */
    MODEL_SECURING,   /* behind STARTTLS */
    MODEL_CHALLENGED, /* AUTH wants a response */
    MODEL_OVER,
};

struct model {
    const struct rules *rules;
    enum model_place place;
    bool utf8, binary, secure, authenticated;
    unsigned acts;
    uint64_t errors, commands, messages, strangers, auth_failures;
    GString *mail;    /* the transaction's note */
    GPtrArray *to;    /* const struct recipient *, accepted, in order */
    GPtrArray *notes; /* char *, of each of them */
    GString *content; /* of chunks that were taken */
    GArray *expected; /* struct expectation */
    GString *stored;  /* notes of what was stored, in order */
};

struct model *model_new(const struct rules *r);
void model_free(struct model *m);
void model_act(struct model *m, const struct act *act);
const char *model_mechanisms(const struct model *m); /* what it offers now; or NULL */
