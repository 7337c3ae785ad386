/*
 * net/tls_x509.h - what a certificate says, as text that is safe to log: printable ASCII, or nothing at all.
 * Strings are g_free'd by the caller. What a certificate does not say, or says in octets that no text has, is
 * NULL.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/tls_openssl.h"
#include "net/tls_store.h"

/* RFC 2253, at most some 500 octets of it: other characters are escaped. Never NULL. */
char *tls_x509_subject(const X509 *certificate);

/* The first mail address among its names, or else its common name, if it has exactly one. */
char *tls_x509_identity(const X509 *certificate);

/* In lower case, only what can be a host's name, "*.example.org" included: its DNS names, or, if it has none,
 * its common name. Adds char *. */
void tls_x509_hosts(const X509 *certificate, GPtrArray *to);

char *tls_x509_kind(const X509 *certificate); /* "RSA 2048", "EC 256", "ED25519" */
void tls_x509_key_sha256(const X509 *certificate, uint8_t ret_digest[TLS_SHA256]);
int64_t tls_x509_seconds(const ASN1_TIME *time);

/* "mx.example.org": letters, digits, "-", "_" and ".", not too long. */
enum { TLS_HOST_MAX = 253 };
bool tls_host_is_plain(const char *name);
