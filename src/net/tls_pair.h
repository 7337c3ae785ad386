/*
 * net/tls_pair.h - a certificate, its chain and its key, read from files and fitting each other.
 * Ownership: a pair belongs to who loaded it. Failure: what is wrong is told as problems, for all files.
 */
#pragma once

#include "net/tls_openssl.h"
#include "net/tls_store.h"

struct tls_keys {
    x509_stack *chain; /* the certificate first, behind it who signed it */
    EVP_PKEY *key;
};
void tls_keys_clear(struct tls_keys *k);
AUTO_VAL_DEFINE(tls_keys);

/* False, and nothing is in *ret_keys: there are problems. */
bool tls_keys_load(const struct tls_pair *pair, struct tls_keys *ret_keys, struct diag *problems);

/* All certificates of a file, at least one; `name` is the option's. NULL: a problem was told. */
x509_stack *tls_certificates_load(const struct tls_option *file, const char *name, struct diag *problems);
