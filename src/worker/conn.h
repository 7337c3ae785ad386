/*
 * worker/conn.h - one connection: pumps bytes from the stream into the session and the session's effects out
 * of it. Behind a proxy, the session begins once the proxy's header has come. It stops reading while the
 * session waits for an answer, the delivery has enough in flight, or the peer does not read its replies; what
 * was read and cannot be taken yet stays here. So its memory is bounded by one read. Ownership: a connection
 * belongs to itself; it tells its host when it is gone. It outlives its stream while a job of its transaction
 * is under way.
 */
#pragma once

#include <glib.h>

#include "base/log.h"
#include "delivery/delivery.h"
#include "handlers/handlers.h"
#include "message/guard.h"
#include "net/network.h"
#include "net/tls_session.h"
#include "reactor/reactor.h"
#include "smtp/session.h"
#include "worker/counters.h"
#include "worker/crowd.h"
#include "worker/worker.h"

/* What all connections of a listener share; outlives them. */
struct conn_host {
    struct reactor *reactor;
    const struct pst_log *log;
    const struct router *router;
    struct lookups *lookups;
    struct handler_pool *pool;               /* NULL: there are no handlers */
    const struct handler_settings *handlers; /* the pool's */
    const struct guard_limits *guard;        /* of messages that handlers see */
    struct smtp_service service;
    struct delivery_settings delivery;
    unsigned received_max;               /* Received fields that a message may have */
    const char *listener;                /* its name, for the log */
    const struct net_networks *proxy;    /* who must begin with a PROXY header; NULL: nobody does */
    const struct net_networks *xclient;  /* who may say XCLIENT; NULL: nobody may */
    const struct net_networks *xforward; /* the same of XFORWARD */
    msec_t greeting_delay;               /* or GREETING_DELAY_AUTO */
    enum worker_tls tls_mode;
    enum tls_client_mode tls_client;
    const struct tls_store *tls; /* NULL: without TLS */
    msec_t handshake_timeout;
    struct handshakes *handshakes;
    GByteArray *wire; /* what TLS has to send; like `replies` */
    enum worker_auth auth_mode;
    bool auth_without_tls;
    struct authenticator *authenticator; /* NULL: nobody can authenticate */
    GByteArray
        *replies; /* what is about to be written; used by one connection at a time, empty between two */
    struct counters *counters;    /* of the worker */
    struct crowd *crowd;          /* where its connections are, from accept until they are gone */
    void (*on_gone)(void *owner); /* the connection is out of the crowd, and freed right after */
    void *owner;
};

struct conn;

/* Accepts from the listener into the crowd. 0, or -errno and nothing is kept. */
int conn_accept(const struct conn_host *host, struct listener *listener);

void conn_shut(struct conn *c);  /* ends it as soon as its handshake or its transaction allows */
void conn_abort(struct conn *c); /* at once */

/* Its turn for its handshake has come: it takes what the peer has sent, goes on with that on a thread of the
 * pool, where nothing else of it is touched, and carries out what follows. It stays until then. */
void conn_begin_turn(struct conn *c);
void conn_shake(struct conn *c); /* on the pool */
void conn_end_turn(struct conn *c);

/*
 * It gives way to another, who has more to say: 421 and goodbye, or just the end, when the peer does not take
 * even that, or must not linger.
 */
void conn_shed(struct conn *c, bool may_linger);

/* For its transaction. */
bool conn_is_open(const struct conn *c); /* false: the peer is gone, or was told goodbye */
const struct conn_host *conn_host(const struct conn *c);
const struct smtp_session *conn_session(const struct conn *c);
enum { CONN_CLIENT_SIZE = 46 };                         /* INET6_ADDRSTRLEN */
const char *conn_client(const struct conn *c);          /* "192.0.2.1", "2001:db8::1", "unix" */
const char *conn_client_name(const struct conn *c);     /* or NULL */
const struct tls_facts *conn_tls(const struct conn *c); /* NULL: without TLS, or not yet */
/* By XCLIENT: TLS, and a certificate in it, are those of whoever said that, and not the client's. */
bool conn_is_spoken_for(const struct conn *c);
const char *conn_user(const struct conn *c); /* who has authenticated; NULL: nobody has */

enum { CONN_ID_SIZE = 13 };
const char *conn_id(const struct conn *c);  /* of the session: 12 hexadecimal digits */
unsigned conn_next_message(struct conn *c); /* 1, 2, ... */

/* A hold keeps the connection's memory while somebody else will still call back. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);

/* Answers to the session's questions; what follows from them is carried out at once. Ignored when it is not
 * open. `more`: before the caller returns to the loop, it answers again. */
void conn_answer(struct conn *c, uint64_t ticket, struct smtp_verdict verdict, bool more);
void conn_set_paused(struct conn *c, bool paused); /* the delivery takes no more for now */
