/*
 * worker/transaction.h - one mail transaction: the envelope, each recipient's way to a mailbox, the message's
 * way to the disk. It carries out what the session asks and answers through the connection. Ownership: the
 * connection's, until `transaction_finish` or `transaction_abandon`; from then on its own.
 */
#pragma once

#include "smtp/session.h"
#include "worker/conn.h"

struct transaction;

struct transaction *transaction_new(struct conn *c, const struct smtp_effect *mail);
void transaction_route(struct transaction *t, const struct smtp_effect *rcpt);
void transaction_open(struct transaction *t);
bool transaction_is_open(const struct transaction *t);
void transaction_log_refusal(const struct transaction *t,
                             enum smtp_outcome outcome); /* of the open message */
void transaction_append(struct transaction *t, struct slice bytes);
void transaction_finish(struct transaction *t, uint64_t ticket); /* takes the transaction */
void transaction_abandon(struct transaction *t); /* takes it too; nothing of it is left. NULL is welcome */
