/*
 * net/tls_session.h - the server's side of one TLS connection (RFC 8446, 5246), without I/O: octets of the
 * wire on one side, octets of the application on the other.
 *
 *     tls_session_feed(t, what_came);
 *     r = tls_session_handshake(t);                  until it is 1, then
 *     n = tls_session_read(t, buffer, sizeof buffer);  until it is 0
 *     send what `out` has now, and empty it
 *
 * `out` is for everything that is to be sent. It is the caller's and borrowed until the session has another
 * one; several sessions may have the same one, as it is empty again whenever the caller is done with one of
 * them.
 * A session may be used by any thread, by one at a time. Several sessions of one store may be used at once.
 * Ownership: a session belongs to its connection, may be freed at any time, and keeps nothing of what it was
 * fed but the start of an unfinished record.
 * Failure: what a peer does wrong ends its session: -EPROTO, then and from then on, with an alert in `out`
 * that is still to be sent, and words for the log. Nothing of it reaches another session.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "base/auto.h"
#include "base/slice.h"
#include "net/tls_store.h"

/* Whether a client is asked for a certificate. Requested: whatever it has, or has not, is accepted, and told
 * by the facts. Required: it must have one, by who is in the store's client_ca. */
enum tls_client_mode { TLS_CLIENT_OFF, TLS_CLIENT_REQUEST, TLS_CLIENT_REQUIRE };

struct tls_session;

/* It is `now` by the machine's monotonic clock (reactor_now), which ticket keys go by. */
struct tls_session *tls_session_new(const struct tls_store *store, enum tls_client_mode mode, msec_t now,
                                    GByteArray *out);
void tls_session_free(struct tls_session *t); /* NULL is welcome */
AUTO_PTR_DEFINE(tls_session);

void tls_session_set_out(struct tls_session *t, GByteArray *out);

/* Octets that came by the wire. Nothing is done with them yet: they are borrowed until handshake or read have
 * returned 0 or failed, which must have happened before more is fed. */
void tls_session_feed(struct tls_session *t, struct slice in);

/* 1: done, from now on. 0: more octets are needed. -EPROTO. */
int tls_session_handshake(struct tls_session *t);

/* Whether all that the handshake still lacks is the peer's Finished (RFC 8446 4.4.4, RFC 5246 7.4.9): its
 * next step is cheap. */
bool tls_session_awaits_finished(const struct tls_session *t);

/*
 * After the handshake: octets of the application into `to`; 0: all that was fed is used. -ESHUTDOWN: the peer
 * said that no more comes (close_notify); it may still be written to. -EPROTO.
 * If the wire ends without -ESHUTDOWN before, somebody may have cut off what the peer was saying.
 */
ssize_t tls_session_read(struct tls_session *t, void *to, size_t size);

/* After the handshake: all of it, into `out`. 0, or -EPROTO. */
int tls_session_write(struct tls_session *t, struct slice plain);

/* We say that no more comes, once; into `out`. Nothing, if the handshake is not done or it failed. */
void tls_session_close(struct tls_session *t);

/* After -EPROTO: why, as words for the log of letters, digits and "-": "not-tls", "unsupported-protocol",
 * "no-shared-cipher", "no-client-certificate", "peer-alert-unknown-ca". Else NULL. */
const char *tls_session_problem(const struct tls_session *t);

/* After the handshake; borrowed from the session. All strings are printable ASCII. */
struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384", as OpenSSL names them */
    /* What the client asked for, in lower case, without a dot behind it; NULL: nothing, or what no host can
     * be called. */
    const char *server_name;
    /* Of its certificate: RFC 2253; NULL: it has none. */
    const char *client_subject;
    /* Of its certificate, if that is verified: the first mail address, or else the common name; or NULL. */
    const char *client_identity;
    bool client_is_verified;
    bool is_resumed;
};
const struct tls_facts *tls_session_facts(const struct tls_session *t);

/*
 * What ties an authentication to this very connection. `type`: "tls-exporter" (RFC 9266) or "tls-unique"
 * (RFC 5929, TLS 1.2 only). -EOPNOTSUPP: not with this session, or not known at all. `to` has the length in
 * *ret_len, at most TLS_BINDING_MAX.
 */
enum { TLS_BINDING_MAX = 64 };
int tls_session_channel_binding(const struct tls_session *t, const char *type, uint8_t to[TLS_BINDING_MAX],
                                size_t *ret_len);
