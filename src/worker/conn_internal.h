/*
 * worker/conn_internal.h - what a connection is, for the files that it is made of: conn.c pumps octets and
 * effects, conn_client.c learns who is at the other end, conn_tls.c stands between the wire and the session,
 * conn_auth.c asks who the client is for the session.
 */
#pragma once

#include "auth/auth.h"
#include "base/assert.h"
#include "net/tls_session.h"
#include "worker/conn.h"

enum { CONN_MAGIC = 0x636f6e6e };

struct conn {
    uint32_t magic;
    uint8_t holds; /* the stream, and those who will still call back */
    bool paused;   /* the delivery takes no more */
    bool reading;
    bool peer_ended; /* the peer will send nothing more */
    bool closing;    /* the stream was told to close */
    bool pumping;    /* feed() is on the stack: what is answered or resumed now, it will see */
    bool shaking;    /* a handshake is under way: what comes, and what is kept, is its */
    bool in_turn;    /* the pool goes on with the handshake: the TLS session is the pool's */
    bool shut;       /* behind the handshake, the server shuts down */
    unsigned messages;
    struct crowd_member place;
    const struct conn_host *host;
    struct stream *stream;
    struct timer *timer;
    struct smtp_session *session; /* NULL until the PROXY header has come, and the first handshake is done */
    struct transaction *transaction;
    uint8_t *kept; /* read, but not taken yet */
    size_t kept_len;
    msec_t armed; /* when the timer fires; MSEC_NEVER: not */
    msec_t due;   /* the session's deadline, as it was at the last sign of life */
    msec_t limit; /* closing, or waiting for the PROXY header or a handshake: when it is over */
    struct smtp_client terms;
    char *client_name;           /* as XCLIENT told; NULL: nobody has */
    char *met_as;                /* the client's address before XCLIENT named another; NULL: it has not */
    struct tls_session *tls;     /* NULL: without */
    GList turn;                  /* while it awaits its turn for a handshake */
    GByteArray *flight;          /* in its turn: what the handshake sends */
    uint8_t *came;               /* and what it goes on with */
    int shaken;                  /* and what tls_session_handshake said */
    struct auth_exchange *login; /* under way, or NULL */
    uint64_t login_ticket;       /* what the session asked about it */
    char *user;                  /* who has authenticated; NULL: nobody has */
    char client[CONN_CLIENT_SIZE];
    char id[CONN_ID_SIZE];
};

static inline struct conn *conn_of(void *owner)
{
    struct conn *c = owner;
    pst_assert(c->magic == CONN_MAGIC);
    return c;
}

/* ---- conn.c ---- */

/* Takes octets of the protocol, as far as the session does, and carries out what follows. */
void conn_run(struct conn *c, struct slice fresh);

/* Something has changed: a question was answered, a pause ended, a time is over. */
void conn_resume(struct conn *c);

/* Octets of the protocol, to the peer; the last ones may leave with conn_close, which comes at once. */
void conn_write(struct conn *c, struct slice bytes, bool is_last);

void conn_keep(struct conn *c, struct slice rest);

/* After a change by who called neither conn_run nor conn_resume. */
void conn_settle(struct conn *c);

/* Logs and ends it; what was written leaves first. */
void conn_close(struct conn *c, const char *reason);

/* ---- conn_client.c ---- */

/* Somebody has connected: the session begins, or what comes before it does. */
void conn_meet(struct conn *c);

/* The session begins: all is known about the client that can be. */
void conn_begin(struct conn *c);

/* Feeds what is there of the PROXY header; the octets taken. */
size_t conn_feed_proxy(struct conn *c, struct slice in);
void conn_refuse_proxy(struct conn *c, const char *reason);

void conn_take_client(struct conn *c, const struct smtp_facts *facts); /* XCLIENT */
void conn_forget_client(struct conn *c);                               /* what it has said so */

/* ---- conn_tls.c ---- */

/* The peer's handshake comes next; what is kept is the start of it. */
void conn_start_tls(struct conn *c);

/* Octets of the wire, of a connection with TLS. */
void conn_take_wire(struct conn *c, struct slice bytes);

/* While shaking: the handshake goes on when it is this connection's turn. */
void conn_await_turn(struct conn *c);
void conn_leave_row(struct conn *c);

void conn_fail_tls(struct conn *c, const char *reason);

/* Says that no more comes. */
void conn_end_tls(struct conn *c);

/* ---- conn_auth.c ---- */

/* What EHLO is to offer now, for as long as the process lives; NULL: nothing. */
const char *conn_mechanisms(const struct conn *c);

void conn_begin_login(struct conn *c, const struct smtp_effect *e);
void conn_go_on_with_login(struct conn *c, const struct smtp_effect *e);
void conn_cancel_login(struct conn *c);
void conn_log_out(struct conn *c); /* nobody has authenticated any more */
