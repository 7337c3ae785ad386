#include "net/tls_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "net/tls_x509.h"

enum { FILE_MAX = 1024 * 1024 };

void tls_keys_clear(struct tls_keys *k)
{
    tls_x509_stack_free(k->chain);
    EVP_PKEY_free(k->key);
    *k = (struct tls_keys){ 0 };
}

G_GNUC_PRINTF(4, 5)
static void tell(struct diag *problems, const struct tls_option *file, const char *name, const char *format,
                 ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    diag_add(problems, file->origin, "%s = %s: %s", name, file->value, text);
}

/* What is wrong with the file as such; g_free it. */
static char *file_problem(int fd, bool is_secret)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return g_strdup_printf("cannot be read: %s", g_strerror(errno));
    if (!S_ISREG(st.st_mode))
        return g_strdup("is not a regular file");
    if (st.st_size > FILE_MAX)
        return g_strdup_printf("is larger than %d octets, and so no file of keys or certificates", FILE_MAX);
    /* A group may have it, as Debian's ssl-cert: to whom that is given is the operator's choice. */
    if (is_secret && (st.st_mode & S_IRWXO) != 0)
        return g_strdup_printf(
            "is open to every user (mode %04o); expected: owner and group only, chmod o-rwx",
            st.st_mode & 07777U);
    return NULL;
}

static BIO *open_file(const struct tls_option *file, const char *name, bool is_secret, struct diag *problems)
{
    /* Not to wait for the other end of what may be a pipe. */
    auto_fd int fd = open(file->value, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    g_autofree char *problem = file_problem(fd, is_secret);
    if (problem != NULL) {
        tell(problems, file, name, "%s", problem);
        return NULL;
    }
    FILE *stream = fdopen(fd, "r");
    pst_assert(stream != NULL);
    (void)steal_fd(&fd);
    return BIO_new_fp(stream, BIO_CLOSE);
}

/* A daemon has nobody to ask. `asked` is a bool. */
static int no_passphrase(char *text, int size, int is_for_writing, void *asked)
{
    (void)text;
    (void)size;
    (void)is_for_writing;
    *(bool *)asked = true;
    return -1;
}

x509_stack *tls_certificates_load(const struct tls_option *file, const char *name, struct diag *problems)
{
    g_autoptr(BIO) bio = open_file(file, name, false, problems);
    if (bio == NULL)
        return NULL;
    g_autoptr(x509_stack) all = sk_X509_new_null();
    bool asked;
    for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked)) != NULL;)
        (void)sk_X509_push(all, x);
    unsigned long error = ERR_peek_last_error();
    char text[TLS_ERROR_TEXT];
    const char *reason = tls_error_take(text);
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
        tell(problems, file, name, "certificate %d in it cannot be read: %s", sk_X509_num(all) + 1, reason);
        return NULL;
    }
    if (sk_X509_num(all) == 0) {
        tell(problems, file, name,
             "has no certificate in it; expected: PEM, \"-----BEGIN CERTIFICATE-----\"");
        return NULL;
    }
    return g_steal_pointer(&all);
}

static EVP_PKEY *load_key(const struct tls_option *file, struct diag *problems)
{
    static const char name[] = "private-key";
    g_autoptr(BIO) bio = open_file(file, name, true, problems);
    if (bio == NULL)
        return NULL;
    bool asked = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    ERR_clear_error(); /* what it tried in vain, too; its reasons are about decoders and help nobody */
    if (key == NULL && asked)
        tell(problems, file, name, "is encrypted; expected: a key without a passphrase");
    else if (key == NULL)
        tell(problems, file, name,
             "has no private key in it; expected: PEM, \"-----BEGIN PRIVATE KEY-----\"");
    return key;
}

static bool has_signed(X509 *issuer, X509 *certificate)
{
    bool has = X509_check_issued(issuer, certificate) == X509_V_OK &&
               X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return has;
}

static bool check_chain(const x509_stack *chain, const struct tls_option *file, struct diag *problems)
{
    for (int i = 1; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i - 1), *issuer = sk_X509_value(chain, i);
        if (has_signed(issuer, certificate))
            continue;
        g_autofree char *subject = tls_x509_subject(certificate);
        g_autofree char *above = tls_x509_subject(issuer);
        tell(problems, file, "certificate",
             "certificate %d in it (%s) has not signed number %d (%s); "
             "expected: the server's first, each one behind the one that it has signed",
             i + 1, above, i, subject);
        return false;
    }
    return true;
}

static bool check_key(const struct tls_keys *k, const struct tls_pair *pair, struct diag *problems)
{
    bool fits = X509_check_private_key(sk_X509_value(k->chain, 0), k->key) == 1;
    ERR_clear_error();
    if (!fits)
        tell(problems, &pair->private_key, "private-key", "does not fit certificate = %s",
             pair->certificate.value);
    return fits;
}

bool tls_keys_load(const struct tls_pair *pair, struct tls_keys *ret_keys, struct diag *problems)
{
    auto_val(tls_keys) k = { .chain = tls_certificates_load(&pair->certificate, "certificate", problems),
                             .key = load_key(&pair->private_key, problems) };
    bool good = k.chain != NULL && k.key != NULL;
    if (k.chain != NULL)
        good = check_chain(k.chain, &pair->certificate, problems) && good;
    if (k.chain != NULL && k.key != NULL)
        good = check_key(&k, pair, problems) && good;
    if (!good)
        return false;
    *ret_keys = k;
    k = (struct tls_keys){ 0 };
    return true;
}
