/*
 * net/tls_openssl.h - what net/tls_*.c share about OpenSSL: release by attribute, and its errors.
 * OpenSSL keeps errors in a queue for the thread; whatever fails here empties it, so that none is taken for
 * that of another call or another session.
 */
#pragma once

#include <glib.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline void tls_x509_stack_free(STACK_OF(X509) * stack)
{
    sk_X509_pop_free(stack, X509_free);
}

typedef STACK_OF(X509) x509_stack; /* for g_autoptr, which wants a name of one word */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GENERAL_NAMES, GENERAL_NAMES_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SSL_CTX, SSL_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(x509_stack, tls_x509_stack_free)

/* The reason of the latest error, as OpenSSL words it, and the queue is empty. Constant, or in `text`. */
enum { TLS_ERROR_TEXT = 256 };
const char *tls_error_take(char text[TLS_ERROR_TEXT]);
