/*
 * tests/support/certificates.h - certificates and keys for a test, made when it runs.
 * Ownership: free what is made, and g_free text. Failure: the process ends.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

enum key_kind { KEY_EC, KEY_EC_384, KEY_RSA, KEY_RSA_WEAK, KEY_ED25519 };

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
};

struct certificate_wish {
    const char *common_name; /* NULL: without */
    const char *names;       /* "DNS:mx.example.org,email:alice@example.org"; NULL: without */
    enum key_kind kind;
    bool is_ca;
    int from_days, to_days;           /* both 0: since yesterday, for 90 days */
    const struct certificate *issuer; /* NULL: itself */
};
struct certificate *certificate_new(const struct certificate_wish *wish);
void certificate_free(struct certificate *c);

char *certificate_pem(const struct certificate *c);
char *certificate_key_pem(const struct certificate *c, const char *passphrase); /* NULL: not encrypted */

/* A folder for files, which only its owner can enter; and a file in it, whose path is returned. */
char *certificate_folder(void);
char *certificate_file(const char *folder, const char *name, const char *content, unsigned mode);
void certificate_folder_remove(char *take_folder);
