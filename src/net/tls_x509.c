#include "net/tls_x509.h"

#include <openssl/sha.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

enum { SUBJECT_MAX = 500 };

char *tls_x509_subject(const X509 *certificate)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
    pst_assert(bio != NULL);
    /* XN_FLAG_RFC2253 has the flags that escape all but printable ASCII. */
    (void)X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char *text;
    long len = BIO_get_mem_data(bio, &text);
    GString *subject = g_string_new_len(text, CLAMP(len, 0, SUBJECT_MAX));
    for (size_t i = 0; i < subject->len; i++) {
        if (!g_ascii_isprint(subject->str[i]))
            subject->str[i] = '?'; /* none is known; but nobody checks what is told here */
    }
    return g_string_free(subject, FALSE);
}

/* The text, if it is printable ASCII. */
static char *printable(const ASN1_STRING *string)
{
    unsigned char *utf8;
    int len = ASN1_STRING_to_UTF8(&utf8, string);
    if (len < 0) {
        ERR_clear_error();
        return NULL;
    }
    bool good = len > 0;
    for (int i = 0; i < len; i++)
        good = good && g_ascii_isprint((char)utf8[i]); /* nor is NUL */
    char *text = good ? g_strndup((const char *)utf8, (size_t)len) : NULL;
    OPENSSL_free(utf8);
    return text;
}

static char *common_name(const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    /* With two, it is anybody's guess which one was looked at by who signed it. */
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return NULL;
    return printable(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static GENERAL_NAMES *alternative_names(const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error(); /* an extension that cannot be read is like none: it names nobody */
    return names;
}

char *tls_x509_identity(const X509 *certificate)
{
    g_autoptr(GENERAL_NAMES) names = alternative_names(certificate);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_EMAIL)
            return printable(name->d.rfc822Name);
    }
    return common_name(certificate);
}

bool tls_host_is_plain(const char *name)
{
    size_t len = 0;
    for (; name[len] != '\0'; len++) {
        if (len == TLS_HOST_MAX || (!g_ascii_isalnum(name[len]) && strchr("-_.", name[len]) == NULL))
            return false;
    }
    return len > 0;
}

static void add_host(const ASN1_STRING *string, GPtrArray *to)
{
    g_autofree char *text = printable(string);
    if (text == NULL)
        return;
    size_t star = g_str_has_prefix(text, "*.") ? strlen("*.") : 0;
    if (tls_host_is_plain(text + star))
        g_ptr_array_add(to, g_ascii_strdown(text, -1));
}

void tls_x509_hosts(const X509 *certificate, GPtrArray *to)
{
    g_autoptr(GENERAL_NAMES) names = alternative_names(certificate);
    unsigned before = to->len;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            add_host(name->d.dNSName, to);
    }
    if (to->len > before)
        return;
    g_autofree char *common = common_name(certificate);
    if (common != NULL && tls_host_is_plain(common) && strchr(common, '.') != NULL)
        g_ptr_array_add(to, g_ascii_strdown(common, -1));
}

char *tls_x509_kind(const X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *name = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
    if (name == NULL)
        return g_strdup("of an unknown kind");
    if (strcmp(name, "RSA") != 0 && strcmp(name, "EC") != 0)
        return g_strdup(name);
    return g_strdup_printf("%s %d", name, EVP_PKEY_get_bits(key));
}

/* RFC 6698 section 2.1.2: of the SubjectPublicKeyInfo as it stands in the certificate. */
void tls_x509_key_sha256(const X509 *certificate, uint8_t ret_digest[TLS_SHA256])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    pst_assert(len > 0); /* it was parsed from it */
    (void)SHA256(der, (size_t)len, ret_digest);
    OPENSSL_free(der);
}

int64_t tls_x509_seconds(const ASN1_TIME *time)
{
    struct tm tm = { 0 };
    if (ASN1_TIME_to_tm(time, &tm) != 1) {
        ERR_clear_error();
        return 0;
    }
    return timegm(&tm);
}
