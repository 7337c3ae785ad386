/*
 * worker/handling.h - a message's way through the handlers: which of them are asked, what they are told, and
 * what becomes of their verdict. A part of its transaction, with whose delivery it seals the message before
 * handlers see it, and changes content and targets before it is committed. Ownership: the transaction's.
 */
#pragma once

#include "worker/transaction_internal.h"

/* Whether a handler shall see the message: then it is the transaction's `handling`, else that stays NULL.
 * Borrows what `trace` points to for this call. */
void handling_begin(struct transaction *t, const struct trace *trace);
void handling_free(struct handling *h); /* NULL is welcome */

void handling_take(struct handling *h, struct slice bytes); /* of the message, as they come */

/* All bytes are there. It goes on by itself, and ends in transaction_commit or transaction_end_without. */
void handling_go(struct transaction *t);
void handling_on_sealed(struct transaction *t);
