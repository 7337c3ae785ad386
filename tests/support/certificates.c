#include "certificates.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

static EVP_PKEY *key_new(enum key_kind kind)
{
    switch (kind) {
    case KEY_EC:
        return EVP_EC_gen("P-256");
    case KEY_EC_384:
        return EVP_EC_gen("P-384");
    case KEY_RSA:
        return EVP_RSA_gen(2048);
    case KEY_RSA_WEAK:
        return EVP_RSA_gen(512);
    case KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    return NULL;
}

static void add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    g_assert(extension != NULL);
    g_assert(X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void name(X509 *x509, const struct certificate_wish *wish)
{
    static gint serial; /* tells apart what has the same name */
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x509), g_atomic_int_add(&serial, 1) + 1);
    X509_NAME *subject = X509_get_subject_name(x509);
    (void)X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Test", -1, -1, 0);
    if (wish->common_name != NULL)
        (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                         (const unsigned char *)wish->common_name, -1, -1, 0);
    if (wish->names != NULL)
        add_extension(x509, NID_subject_alt_name, wish->names);
}

struct certificate *certificate_new(const struct certificate_wish *wish)
{
    struct certificate *c = g_new0(struct certificate, 1);
    c->key = key_new(wish->kind);
    c->x509 = X509_new();
    g_assert(c->key != NULL && c->x509 != NULL);
    (void)X509_set_version(c->x509, X509_VERSION_3);
    (void)X509_set_pubkey(c->x509, c->key);
    bool is_usual = wish->from_days == 0 && wish->to_days == 0;
    (void)X509_gmtime_adj(X509_getm_notBefore(c->x509), (is_usual ? -1 : wish->from_days) * 86400L);
    (void)X509_gmtime_adj(X509_getm_notAfter(c->x509), (is_usual ? 90 : wish->to_days) * 86400L);
    name(c->x509, wish);
    add_extension(c->x509, NID_basic_constraints, wish->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    const struct certificate *issuer = wish->issuer != NULL ? wish->issuer : c;
    (void)X509_set_issuer_name(c->x509, X509_get_subject_name(issuer->x509));
    const EVP_MD *digest = EVP_PKEY_is_a(issuer->key, "ED25519") ? NULL : EVP_sha256();
    g_assert(X509_sign(c->x509, issuer->key, digest) > 0);
    return c;
}

void certificate_free(struct certificate *c)
{
    if (c == NULL)
        return;
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    g_free(c);
}

static char *take_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = g_strndup(data, (gsize)len);
    BIO_free(bio);
    return text;
}

char *certificate_pem(const struct certificate *c)
{
    BIO *bio = BIO_new(BIO_s_mem());
    g_assert(PEM_write_bio_X509(bio, c->x509) == 1);
    return take_text(bio);
}

char *certificate_key_pem(const struct certificate *c, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_128_cbc() : NULL;
    g_assert(PEM_write_bio_PrivateKey(bio, c->key, cipher, (const unsigned char *)passphrase,
                                      passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);
    return take_text(bio);
}

char *certificate_folder(void)
{
    char *folder = g_dir_make_tmp("postern-tls-XXXXXX", NULL);
    g_assert(folder != NULL);
    return folder;
}

char *certificate_file(const char *folder, const char *name, const char *content, unsigned mode)
{
    char *path = g_build_filename(folder, name, NULL);
    g_assert(g_file_set_contents(path, content, -1, NULL));
    g_assert(g_chmod(path, (int)mode) == 0);
    return path;
}

void certificate_folder_remove(char *take_folder)
{
    GDir *dir = g_dir_open(take_folder, 0, NULL);
    for (const char *entry; dir != NULL && (entry = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(take_folder, entry, NULL);
        (void)g_remove(path);
    }
    if (dir != NULL)
        g_dir_close(dir);
    (void)g_rmdir(take_folder);
    g_free(take_folder);
}
