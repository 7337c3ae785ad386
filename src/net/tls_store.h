/*
 * net/tls_store.h - what we offer in TLS: certificates with their keys, chosen by the name that a client asks
 * for (SNI, RFC 6066 section 3), and versions, ciphers, curves, tickets. On OpenSSL, of which nothing shows.
 *
 * Ownership: a store copies what it is made of, does not change once it is made, and outlives its sessions.
 * It is made before the workers are forked: they have the keys without being able to read the files, and
 * one resumes the sessions of another, as the keys of tickets are the store's: see tls_tickets.h.
 * Failure: everything that is wrong with files and options is told as problems, and then there is no store.
 * That a certificate has expired is not a problem here, for a caller who wants to serve mail all the same:
 * tls_certificate_dates() tells it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/diag.h"
#include "base/number.h"

/* A file or list as an operator wrote it, and where. */
struct tls_option {
    const char *value; /* NULL: not written, and then there is a default */
    struct origin origin;
};

/* PEM files: a certificate, behind it those that have signed it, each after the one that it signed; and the
 * key of the first. */
struct tls_pair {
    struct tls_option certificate, private_key;
};

/* Those are offered side by side, as ECDSA and RSA, and chosen by the names in the certificates. */
struct tls_host {
    const char *name; /* of its section; NULL: the one without */
    const struct tls_pair *pairs;
    size_t pair_count;
};

enum tls_version { TLS_1_2, TLS_1_3 };

struct tls_policy {
    enum tls_version minimum_version;
    struct tls_option ciphers;   /* of TLS 1.2, as OpenSSL writes them */
    struct tls_option suites;    /* of TLS 1.3 */
    struct tls_option curves;    /* "X25519:P-256:P-384" */
    struct tls_option client_ca; /* PEM file: whoever has signed the clients' certificates that are good */
    bool tickets;                /* sessions can be resumed */
};

struct tls_store;

/*
 * NULL: there are problems. The first host is for clients that name none, or one that nobody has; a name that
 * several have is the first one's. At least one host, each with at least one pair.
 */
struct tls_store *tls_store_new(const struct tls_policy *policy, const struct tls_host *hosts, size_t count,
                                struct diag *problems);
void tls_store_free(struct tls_store *s); /* NULL is welcome */
AUTO_PTR_DEFINE(tls_store);

bool tls_store_has_client_ca(const struct tls_store *s);

/* For who forks workers by it every now and then, and has no sessions of its own: old ticket keys are
 * forgotten. `now` is that of the machine's monotonic clock, as of sessions. */
void tls_store_turn_keys(const struct tls_store *s, msec_t now);

/* ---- the certificates that there are, for who tells about them ---- */

enum { TLS_SHA256 = 32, TLS_EXPIRES_SOON_S = 14 * 24 * 3600 };

/* Borrowed from the store. */
struct tls_certificate {
    const char *path;
    const char *host;         /* as in tls_host */
    const char *subject;      /* RFC 2253, printable ASCII */
    const char *kind;         /* "RSA 2048", "EC 256", "ED25519" */
    const char *const *names; /* what clients can ask for, ends with NULL */
    int64_t not_before_s,
        not_after_s;                /* since 1970, of the whole chain: the last to begin, the first to end */
    uint8_t key_sha256[TLS_SHA256]; /* of its public key: TLSA 3 1 1 */
    bool has_issuer;                /* the chain has who signed it */
    uint8_t issuer_key_sha256[TLS_SHA256]; /* of the public key of the last in the chain: TLSA 2 1 1 */
};

size_t tls_store_count(const struct tls_store *s);
const struct tls_certificate *tls_store_certificate(const struct tls_store *s, size_t index);

enum tls_dates { TLS_DATES_GOOD, TLS_DATES_END_SOON, TLS_DATES_OVER, TLS_DATES_TO_COME };

/* At that time. *ret_text, which is g_free'd, says it in words ("expires on 2026-12-01 10:00:00 UTC, in 9
 * days"); NULL with TLS_DATES_GOOD. ret_text: NULL is welcome. */
enum tls_dates tls_certificate_dates(const struct tls_certificate *c, int64_t now_s, char **ret_text);
