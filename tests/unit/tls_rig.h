/*
 * tests/unit/tls_rig.h - stores of certificates made for a test, and a session of one with a client at its
 * other end.
 */
#pragma once

#include "certificates.h"
#include "net/tls_session.h"
#include "suite.h"
#include "tls_peer.h"

/* A CA, and from it certificates for mx.example.org (EC and RSA), *.example.net and a.example.net (EC), and
 * for the client alice; and one that nobody has signed. */
struct tls_rig {
    char *folder;
    struct certificate *ca, *ec, *rsa, *wildcard, *exact, *alice, *stranger;
    char *ca_pem;
    char *paths[8];           /* certificate and key: of ec, rsa, wildcard, exact */
    struct tls_policy policy; /* with tickets and the CA for clients */
};
struct tls_rig *tls_rig_new(void);
void tls_rig_free(struct tls_rig *r);
AUTO_PTR_DEFINE(tls_rig);

/* As r->policy has it: [tls] with ec and rsa, [tls net] with wildcard, [tls a] with exact. */
struct tls_store *tls_rig_store(const struct tls_rig *r);

/* ---- two that talk ---- */

struct talk {
    struct tls_session *session;
    struct tls_peer *peer;
    GByteArray *out; /* of the session */
    GByteArray *got; /* that the client has said */
    size_t step;     /* octets that come to the session at once; 0: all */
    bool is_open;
    int end; /* -ESHUTDOWN or -EPROTO, when the session has told it */
};

void talk_init(struct talk *t, const struct tls_store *store, enum tls_client_mode mode,
               const struct tls_peer_wish *wish);
void talk_init_at(struct talk *t, const struct tls_store *store, enum tls_client_mode mode,
                  const struct tls_peer_wish *wish, msec_t now);
void talk_clear(struct talk *t);
AUTO_VAL_DEFINE(talk);

void talk_run(struct talk *t);                   /* until neither has anything more to say */
void talk_feed(struct talk *t, struct slice in); /* to the session, from anybody; its answer stays in `out` */

void talk_check_got(const struct talk *t, const char *want); /* what the client has said, and forgets it */
void talk_check_peer_got(const struct talk *t, const char *want); /* what it was told */
