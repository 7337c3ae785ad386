/*
 * worker/worker.h - one event loop's share of the service: listeners, their connections, limits, and the way
 * to stop. Ownership: the worker borrows settings, router and log, which outlive it, and owns its listeners
 * and connections. It frees itself once it is drained. Failure: -errno when a listener cannot be opened.
 */
#pragma once

#include <glib.h>
#include <stdatomic.h>

#include "base/log.h"
#include "delivery/delivery.h"
#include "handlers/handlers.h"
#include "message/guard.h"
#include "net/address.h"
#include "net/network.h"
#include "net/tls_session.h"
#include "reactor/reactor.h"
#include "smtp/session.h"
#include "worker/counters.h"

/* What a listener does about TLS and about AUTH: the keys `tls` and `auth` of [listen NAME]. */
enum worker_tls {
    WORKER_TLS_OFF,
    WORKER_TLS_OPTIONAL, /* STARTTLS is offered */
    WORKER_TLS_REQUIRED, /* and before it nothing is done */
    WORKER_TLS_IMPLICIT, /* from the first octet, or the first one behind a PROXY header */
};
extern const char *const worker_tls_names[];            /* "off", ..., NULL: as the configuration has them */
enum smtp_tls worker_tls_at_start(enum worker_tls tls); /* of a session */

enum worker_auth { WORKER_AUTH_OFF, WORKER_AUTH_OPTIONAL, WORKER_AUTH_REQUIRED };
extern const char *const worker_auth_names[];

struct worker_listener {
    const char *name; /* of the [listen NAME] section */
    enum smtp_protocol protocol;
    struct net_address address;          /* where it listens; used when fd is -1 */
    int fd;                              /* bound by the master, or -1 */
    const struct net_networks *proxy;    /* who may connect, with a PROXY header; NULL: anybody, without */
    const struct net_networks *xclient;  /* which clients may say XCLIENT; NULL: none */
    const struct net_networks *xforward; /* and XFORWARD */
    msec_t greeting_delay;               /* or GREETING_DELAY_AUTO */
    enum worker_tls tls;                 /* OFF where the settings have no store */
    enum tls_client_mode tls_client;     /* OFF where it has no client_ca */
    enum worker_auth auth;               /* OFF where there are no settings of it */
    bool auth_without_tls;               /* it is offered outside TLS, too */
};

struct worker_limits {
    uint64_t connections; /* of all workers, at once */
    uint64_t received_fields;
    msec_t handshake_timeout;
};
extern const struct option_row worker_limit_rows[];
extern const size_t worker_limit_row_count;

/*
 * What workers know of each other: a row each, in memory that the master shares between them. A worker writes
 * its own row and reads the others'; the master clears the row of one that died, but for the counters.
 */
struct worker_share {
    _Alignas(64) _Atomic uint64_t connections; /* a cache line of its own */
    _Atomic bool
        has_silent; /* it has more than its part of all connections, and one of them could give way */
    struct counters counters;
};

/* More than so many need not linger: whoever is one too many goes without a word. */
enum { WORKER_LEAVING_MAX = 64 };

struct worker_settings {
    const char *hostname;
    struct smtp_limits smtp;
    struct worker_limits limits;
    struct guard_limits guard;
    enum delivery_sync sync;
    bool single_instance;
    const struct router *router;
    const GPtrArray *tables; /* struct table, those of the router's that may change; NULL: none */
    const struct handler_settings *handlers; /* NULL: there are none */
    const struct tls_store *tls;             /* NULL: there are no certificates */
    const struct auth_settings *auth;        /* NULL: there is no authentication */
    const struct worker_listener *listeners;
    size_t listener_count;
    struct worker_share *shares; /* of all workers, those that are about to end, too; this one's is
                                    shares[share] */
    size_t share_count;
    size_t share;
    size_t workers;            /* that serve side by side */
    size_t number;             /* of this one among them, from 0 */
    uint64_t connections_here; /* the most of this one worker: what its descriptors allow */
    uint64_t leaving_here;     /* besides them: who was told goodbye, and must take that before it goes */
    uint64_t staged_here;      /* large messages that may be on their way to this worker; 0: any number */
};

struct worker;

int worker_new(struct reactor *r, const struct worker_settings *settings, const struct pst_log *log,
               void (*on_drained)(void *owner), void *owner, struct worker **ret_worker);

/*
 * Stops accepting; sessions without a transaction get 421 4.3.2, transactions in flight may finish within
 * `patience_ms`, after which they are cut off. on_drained is called when nothing is left, and the worker is
 * gone.
 */
void worker_drain(struct worker *w, msec_t patience_ms);
