/*
 * worker/transaction_internal.h - what a transaction is, for the two files that it is made of: transaction.c
 * carries out what the session asks, and handling.c brings a message through the handlers.
 */
#pragma once

#include "message/guard.h"
#include "message/hops.h"
#include "message/trace.h"
#include "worker/envelope.h"
#include "worker/transaction.h"

struct handling;

struct transaction {
    struct conn *conn;
    struct smtp_address reverse_path;
    struct smtp_mail_parameters parameters; /* its slices are in `envid` */
    char *envid;                            /* NULL: none was given */
    struct envelope envelope;               /* those that were accepted */
    struct hops hops;
    struct delivery *delivery;
    struct handling *handling; /* NULL: no handler is asked */
    uint64_t ticket;           /* finishing */
    uint64_t octets;
    char id[CONN_ID_SIZE + 11]; /* SESSION.N */
};

/* RFC 3461 4.1, "success,failure"; "" for none. */
enum { NOTIFY_TEXT = 32 };
void transaction_notify_text(unsigned notify, char text[NOTIFY_TEXT]);

bool transaction_is_lmtp(const struct transaction *t);

/* The header fields that go in front of a target's copy; g_free them. */
char *transaction_head(const struct transaction *t, const struct trace *trace, const struct target *target);

/* Makes the copies durable and answers. From now on the transaction is its own. */
void transaction_commit(struct transaction *t);

/* Nothing is stored: each recipient is answered as it was refused, or else with `outcome`. The transaction is
 * gone. */
void transaction_end_without(struct transaction *t, enum smtp_outcome outcome);
