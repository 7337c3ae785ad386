/*
 * net/tls_context.h - an SSL_CTX by the policy: versions, ciphers, curves, tickets, and what memory a session
 * may take. Failure: options that OpenSSL does not know are told as problems by tls_policy_check; a context
 * that is made all the same has the defaults in their place.
 */
#pragma once

#include "net/tls_openssl.h"
#include "net/tls_store.h"

void tls_policy_check(const struct tls_policy *policy, struct diag *problems);

/* `client_ca`: of policy->client_ca, or NULL. */
SSL_CTX *tls_context_new(const struct tls_policy *policy, const x509_stack *client_ca);
