/*
 * net/tls_tickets.h - the keys that session tickets are encrypted with (RFC 5077 section 4), which change.
 * Who has the key of a ticket can read what was recorded of its session, if that was in TLS 1.2: so "ticket
 * keys MUST be changed regularly" (RFC 9325 section 3.4), and must not stay in memory for as long as a server
 * runs. Each is derived from a secret, and then the next secret, from which there is no way back.
 *
 * All processes that have a copy from before a fork have the same keys at the same time, without a word
 * between them, as they count turns by the machine's monotonic clock. One that is neither asked for a key nor
 * told the time keeps what it has.
 *
 * Ownership: a store's. Any thread may use it. Failure: none but that of randomness, which ends the process.
 */
#pragma once

#include <stdbool.h>

#include "base/auto.h"
#include "base/number.h"
#include "net/tls_openssl.h"

/* A ticket is good for as long as a turn takes at the most, so that it is for its own turn and the next. */
enum { TLS_TICKETS_TURN_S = 2 * 3600, TLS_TICKET_NAME = 16 };

struct tls_tickets;

struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets *t); /* NULL is welcome */
AUTO_PTR_DEFINE(tls_tickets);

/* It is that time: older keys are forgotten. A time before the latest one changes nothing. */
void tls_tickets_turn(struct tls_tickets *t, msec_t now);

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it: sets both contexts up for a new ticket, whose name and
 * IV are filled in, or for one with that name. 1; 0: there is no such key any more; -1: OpenSSL failed. */
int tls_tickets_set_up(struct tls_tickets *t, msec_t now, uint8_t name[TLS_TICKET_NAME], uint8_t *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new);
