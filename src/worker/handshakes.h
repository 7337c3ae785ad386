/*
 * worker/handshakes.h - connections whose handshake can go on wait in a row here for a job of the pool:
 * hundreds who come at once delay nobody else. Ownership: a link lies in its connection, which leaves the row
 * before it goes, and which the row holds while it has its turn.
 */
#pragma once

#include <glib.h>

#include "reactor/reactor.h"

struct conn;
struct handshakes;

struct handshakes *handshakes_new(struct reactor *r);
void handshakes_free(struct handshakes *h); /* nobody waits; NULL is welcome */

/* When it is that connection's turn, conn_begin_turn, conn_shake and conn_end_turn are called, never from
 * here; once, however often it joins before. */
void handshakes_join(struct handshakes *h, GList *link, struct conn *c);
void handshakes_leave(struct handshakes *h, GList *link); /* also of one that is not in it */
