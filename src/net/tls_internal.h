/*
 * net/tls_internal.h - what sessions and the store need of each other. An SSL_CTX counts who uses it, in
 * itself, and tickets their turns: that is why they are not constant in a store that is.
 */
#pragma once

#include "net/tls_openssl.h"
#include "net/tls_store.h"

/* For who names no host, or one that is nobody's. */
SSL_CTX *tls_store_default(const struct tls_store *s);

/* Of the host with that name, in lower case, or with the wildcard for it; NULL: nobody's. Looks it up, and
 * keeps nothing. */
SSL_CTX *tls_store_find(const struct tls_store *s, const char *name);

/* What sessions read and write by. */
const BIO_METHOD *tls_store_wire(const struct tls_store *s);
BIO_METHOD *tls_wire_new(void); /* BIO_meth_free */

/* Those of all sessions, whoever their host is. */
struct tls_tickets *tls_store_tickets(const struct tls_store *s);

/* For SSL_CTX_set_tlsext_servername_callback, and SSL_CTX_set_tlsext_ticket_key_evp_cb of the default. */
int tls_session_on_server_name(SSL *ssl, int *alert, void *unused);
int tls_session_on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                          int is_new);
