/*
 * tests/support/tls_peer.h - the client's side of a TLS connection, by OpenSSL, without I/O: for tests of a
 * server that has none either, and for those that have a socket.
 * Ownership: the peer has its arrays and `session`; what the wish points to is only used while it is made.
 */
#pragma once

#include <glib.h>
#include <openssl/ssl.h>

#include "base/slice.h"
#include "certificates.h"

struct tls_peer_wish {
    int version;                           /* TLS1_2_VERSION; 0: the best */
    const char *server_name;               /* NULL: none is named */
    const char *ciphers, *curves;          /* NULL: the usual */
    const struct certificate *trusted;     /* who must have signed the server's; NULL: anyone */
    const struct certificate *certificate; /* its own; NULL: none */
    SSL_SESSION *session;                  /* to be resumed; NULL: none */
};

struct tls_peer {
    SSL *ssl;
    GByteArray *out;      /* for the wire; whoever sends it empties it */
    GByteArray *got;      /* what the server's application has said */
    SSL_SESSION *session; /* the latest that it may resume; NULL: none */
    bool is_open, is_ended, has_failed;
};

struct tls_peer *tls_peer_new(const struct tls_peer_wish *wish);
void tls_peer_free(struct tls_peer *p);

/* Octets of the wire, of which it makes what it can; none at first, for it to begin. */
void tls_peer_feed(struct tls_peer *p, struct slice in);
void tls_peer_write(struct tls_peer *p, struct slice plain);
void tls_peer_close(struct tls_peer *p); /* close_notify */
