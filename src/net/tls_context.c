#include "net/tls_context.h"

#include <string.h>

#include "base/assert.h"
#include "net/tls_tickets.h"

/* What each mail server of the last ten years speaks: forward secrecy and authenticated encryption only.
   AES-128 is first, as it costs least with its SHA-256; with TLS 1.3, too, unlike in OpenSSL's order. */
static const char default_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char default_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char default_curves[] = "X25519:P-256:P-384";

enum {
    CLIENT_CHAIN_MAX = 32 * 1024, /* octets of a client's certificates, held while it shakes hands */
    CLIENT_CHAIN_DEPTH = 8,       /* and how many of them are verified */
    TICKETS_EACH = 1              /* mail clients come back with one connection, not with several at once */
};

static int set_ciphers(SSL_CTX *ctx, const char *text)
{
    return SSL_CTX_set_cipher_list(ctx, text);
}

static int set_suites(SSL_CTX *ctx, const char *text)
{
    return SSL_CTX_set_ciphersuites(ctx, text);
}

static int set_curves(SSL_CTX *ctx, const char *text)
{
    return (int)SSL_CTX_set1_groups_list(ctx, text);
}

/* Options that are lists of names, for which OpenSSL itself knows best what is right. */
static const struct list_kind {
    const char *name;
    size_t at; /* in struct tls_policy */
    int (*set)(SSL_CTX *ctx, const char *text);
    const char *separators;
    const char *fallback;
    const char *expected;
} lists[] = {
    { "ciphers", offsetof(struct tls_policy, ciphers), set_ciphers, ": ,;", default_ciphers,
      "names as `openssl ciphers -s -tls1_2` lists them, with \":\" between them" },
    { "ciphersuites", offsetof(struct tls_policy, suites), set_suites, ":", default_suites,
      "names as `openssl ciphers -s -tls1_3` lists them, with \":\" between them" },
    { "curves", offsetof(struct tls_policy, curves), set_curves, ":", default_curves,
      "names like X25519:P-256:P-384" },
};

static const struct tls_option *option_of(const struct tls_policy *policy, const struct list_kind *kind)
{
    return &G_STRUCT_MEMBER(const struct tls_option, policy, kind->at);
}

static bool can_set(SSL_CTX *ctx, const struct list_kind *kind, const char *text)
{
    bool can = kind->set(ctx, text) == 1;
    ERR_clear_error();
    return can;
}

/* Whether OpenSSL's level of security, and who has which keys, leave any cipher of TLS 1.2. */
static bool has_ciphers(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    STACK_OF(SSL_CIPHER) *offer = SSL_get1_supported_ciphers(ssl);
    bool has = false;
    for (int i = 0; !has && i < sk_SSL_CIPHER_num(offer); i++)
        has = strcmp(SSL_CIPHER_get_version(sk_SSL_CIPHER_value(offer, i)), "TLSv1.3") != 0;
    sk_SSL_CIPHER_free(offer);
    SSL_free(ssl);
    return has;
}

/* Words for ciphers that OpenSSL 3 does not have, or not as Debian builds it. Lists that are handed around
 * among operators exclude them, and so they are. */
static bool is_gone(const char *name)
{
    static const char *const gone[] = { "RC2",    "RC4",    "DES",   "3DES",     "IDEA",     "SEED",
                                        "EXP",    "EXPORT", "LOW",   "EXPORT40", "EXPORT56", "KRB5",
                                        "MEDIUM", "SSLv2",  "aECDH", "kECDH",    "kECDHe",   "kECDHr",
                                        "aDH",    "kDH",    "kDHd",  "kDHr",     NULL };
    g_auto(GStrv) parts = g_strsplit_set(name, "+-@", -1); /* "RSA+3DES", "EDH-RSA-DES-CBC3-SHA" */
    bool is = false;
    for (char **part = parts; !is && *part != NULL; part++)
        is = g_strv_contains(gone, *part);
    return is;
}

/* Of a list of ciphers with its operators; "@SECLEVEL=1" is no name at all. */
static bool is_cipher_word(SSL_CTX *ctx, const struct list_kind *kind, const char *word)
{
    const char *name = word + strspn(word, "!-+");
    bool is_excluded = *word == '!' || *word == '-';
    return *name == '\0' || *name == '@' || can_set(ctx, kind, name) || (is_excluded && is_gone(name));
}

/* OpenSSL ignores names that it does not know next to ones that it knows: so each is tried alone. */
static void check_list(SSL_CTX *ctx, const struct list_kind *kind, const struct tls_option *option,
                       struct diag *problems)
{
    g_auto(GStrv) words = g_strsplit_set(option->value, kind->separators, -1);
    for (char **word = words; *word != NULL; word++) {
        bool is_known = kind->set == set_ciphers ? is_cipher_word(ctx, kind, *word)
                                                 : **word == '\0' || can_set(ctx, kind, *word);
        if (is_known)
            continue;
        diag_add(problems, option->origin, "%s = %s: \"%s\" is not known; expected: %s", kind->name,
                 option->value, *word + strspn(*word, "!-+"), kind->expected);
        return;
    }
    if (!can_set(ctx, kind, option->value) || (kind->set == set_ciphers && !has_ciphers(ctx)))
        diag_add(problems, option->origin, "%s = %s: leaves nothing to offer; expected: %s", kind->name,
                 option->value, kind->expected);
}

void tls_policy_check(const struct tls_policy *policy, struct diag *problems)
{
    g_autoptr(SSL_CTX) ctx = SSL_CTX_new(TLS_server_method());
    pst_assert(ctx != NULL);
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION); /* whatever openssl.cnf has */
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        const struct tls_option *option = option_of(policy, &lists[i]);
        if (option->value != NULL)
            check_list(ctx, &lists[i], option, problems);
    }
}

static void set_tickets(SSL_CTX *ctx, bool tickets)
{
    /* What a session is resumed by lies with the client, encrypted, and costs no memory here. */
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, tickets ? TICKETS_EACH : 0);
    (void)SSL_CTX_set_timeout(ctx, TLS_TICKETS_TURN_S);
    if (!tickets)
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

static void set_client_ca(SSL_CTX *ctx, const x509_stack *client_ca)
{
    X509_STORE *trusted = SSL_CTX_get_cert_store(ctx);
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int i = 0; i < sk_X509_num(client_ca); i++) {
        X509 *ca = sk_X509_value(client_ca, i);
        (void)X509_STORE_add_cert(trusted, ca);
        (void)sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(ca)));
    }
    /* Who is in the file is trusted as such, whether it is a root or not. */
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify_depth(ctx, CLIENT_CHAIN_DEPTH);
    SSL_CTX_set_client_CA_list(ctx,
                               names); /* so that a client with several certificates finds the right one */
}

SSL_CTX *tls_context_new(const struct tls_policy *policy, const x509_stack *client_ca)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    pst_assert(ctx != NULL);
    (void)SSL_CTX_set_min_proto_version(ctx,
                                        policy->minimum_version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    /* Renegotiation would let a client make us calculate for nothing, and change who it is in the middle. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* 16 KiB and more for each idle session */
    (void)SSL_CTX_set_dh_auto(ctx, 1);                     /* if an operator's list has ciphers with DHE */
    SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        const struct tls_option *option = option_of(policy, &lists[i]);
        (void)can_set(ctx, &lists[i], option->value != NULL ? option->value : lists[i].fallback);
    }
    set_tickets(ctx, policy->tickets);
    if (client_ca != NULL)
        set_client_ca(ctx, client_ca);
    ERR_clear_error();
    return ctx;
}
