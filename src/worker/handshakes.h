/*
 * worker/handshakes.h - connections whose handshake can go on wait in a row here, and a few have their turn
 * each time the loop comes round: hundreds who come at once delay nobody else for long. Ownership: a link
 * lies in its connection, which leaves the row before it goes.
 */
#pragma once

#include <glib.h>

#include "reactor/reactor.h"

struct conn;
struct handshakes;

struct handshakes *handshakes_new(struct reactor *r);
void handshakes_free(struct handshakes *h); /* nobody waits; NULL is welcome */

/* conn_shake is called when it is that connection's turn, never from here; once, however often it joins
 * before. */
void handshakes_join(struct handshakes *h, GList *link, struct conn *c);
void handshakes_leave(struct handshakes *h, GList *link); /* also of one that is not in it */
