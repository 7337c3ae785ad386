#include "net/tls_store.h"

#include <string.h>

#include "base/assert.h"
#include "net/tls_context.h"
#include "net/tls_internal.h"
#include "net/tls_pair.h"
#include "net/tls_tickets.h"
#include "net/tls_x509.h"

/* A certificate and the strings that it tells. */
struct entry {
    struct tls_certificate told;
    char *path, *host, *subject, *kind;
    GPtrArray *names; /* ends with NULL */
};

struct tls_store {
    GPtrArray *contexts; /* SSL_CTX, one for each host */
    GHashTable *hosts;   /* name in lower case, "*.example.org" included, to SSL_CTX of contexts */
    GPtrArray *entries;  /* struct entry */
    BIO_METHOD *wire;
    struct tls_tickets *tickets;
    bool has_client_ca;
};

static void entry_free(void *data)
{
    struct entry *e = data;
    g_free(e->path);
    g_free(e->host);
    g_free(e->subject);
    g_free(e->kind);
    g_ptr_array_unref(e->names);
    g_free(e);
}

/* A chain is good as long as everyone in it. */
static void tell_dates(struct tls_certificate *c, const x509_stack *chain)
{
    c->not_before_s = INT64_MIN;
    c->not_after_s = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *x = sk_X509_value(chain, i);
        c->not_before_s = MAX(c->not_before_s, tls_x509_seconds(X509_get0_notBefore(x)));
        c->not_after_s = MIN(c->not_after_s, tls_x509_seconds(X509_get0_notAfter(x)));
    }
}

static struct entry *entry_new(const struct tls_pair *pair, const struct tls_host *host,
                               const x509_stack *chain)
{
    const X509 *leaf = sk_X509_value(chain, 0);
    struct entry *e = g_new0(struct entry, 1);
    e->path = g_strdup(pair->certificate.value);
    e->host = g_strdup(host->name);
    e->subject = tls_x509_subject(leaf);
    e->kind = tls_x509_kind(leaf);
    e->names = g_ptr_array_new_with_free_func(g_free);
    tls_x509_hosts(leaf, e->names);
    g_ptr_array_add(e->names, NULL);
    e->told = (struct tls_certificate){ .path = e->path,
                                        .host = e->host,
                                        .subject = e->subject,
                                        .kind = e->kind,
                                        .names = (const char *const *)e->names->pdata,
                                        .has_issuer = sk_X509_num(chain) > 1 };
    tell_dates(&e->told, chain);
    tls_x509_key_sha256(leaf, e->told.key_sha256);
    if (e->told.has_issuer)
        tls_x509_key_sha256(sk_X509_value(chain, sk_X509_num(chain) - 1), e->told.issuer_key_sha256);
    return e;
}

/* ---- making one ---- */

/* OpenSSL has a place for each kind of key: a second one would push out the first without a word. */
static const struct entry *same_kind(const struct tls_store *s, unsigned from, const struct entry *e)
{
    size_t len = strcspn(e->kind, " ");
    for (unsigned i = from; i < s->entries->len; i++) {
        const struct entry *other = g_ptr_array_index(s->entries, i);
        if (strcspn(other->kind, " ") == len && strncmp(other->kind, e->kind, len) == 0)
            return other;
    }
    return NULL;
}

static bool use_keys(SSL_CTX *ctx, const struct tls_keys *k, const char **ret_reason,
                     char text[TLS_ERROR_TEXT])
{
    g_autoptr(x509_stack) above = X509_chain_up_ref(k->chain);
    pst_assert(above != NULL);
    X509 *leaf = sk_X509_shift(above);
    bool good = SSL_CTX_use_cert_and_key(ctx, leaf, k->key, above, 0) == 1;
    X509_free(leaf);
    if (!good)
        *ret_reason = tls_error_take(text);
    ERR_clear_error();
    return good;
}

/* `first`: of the host's entries. */
static void add_pair(struct tls_store *s, SSL_CTX *ctx, const struct tls_host *host,
                     const struct tls_pair *pair, unsigned first, struct diag *problems)
{
    auto_val(tls_keys) k = { 0 };
    if (!tls_keys_load(pair, &k, problems))
        return;
    struct entry *e = entry_new(pair, host, k.chain);
    const struct entry *other = same_kind(s, first, e);
    g_ptr_array_add(s->entries, e);
    struct origin at = pair->certificate.origin;
    char text[TLS_ERROR_TEXT];
    const char *reason;
    if (other != NULL)
        diag_add(problems, at,
                 "certificate = %s: is %s, and %s is %s; expected: one of each kind, the others in "
                 "[tls NAME] sections",
                 e->path, e->kind, other->path, other->kind);
    else if (!use_keys(ctx, &k, &reason, text))
        diag_add(problems, at, "certificate = %s: is %s and cannot be used: %s", e->path, e->kind, reason);
    /* The host of those who name none needs no name itself. */
    if (e->names->len == 1 && s->contexts->len > 1)
        diag_add(problems, at, "certificate = %s: has no name of a host in it, and so nobody can ask for it",
                 e->path);
}

static void add_host(struct tls_store *s, SSL_CTX *ctx, const struct tls_host *host, struct diag *problems)
{
    g_ptr_array_add(s->contexts, ctx);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, tls_session_on_server_name);
    unsigned first = s->entries->len;
    for (size_t i = 0; i < host->pair_count; i++)
        add_pair(s, ctx, host, &host->pairs[i], first, problems);
    for (unsigned i = first; i < s->entries->len; i++) {
        const struct entry *e = g_ptr_array_index(s->entries, i);
        for (const char *const *name = e->told.names; *name != NULL; name++) {
            if (!g_hash_table_contains(s->hosts, *name))
                g_hash_table_insert(s->hosts, (void *)*name, ctx);
        }
    }
}

struct tls_store *tls_store_new(const struct tls_policy *policy, const struct tls_host *hosts, size_t count,
                                struct diag *problems)
{
    pst_assert(count > 0);
    unsigned before = diag_count(problems);
    auto_ptr(tls_store) s = g_new0(struct tls_store, 1);
    s->contexts = g_ptr_array_new_with_free_func((GDestroyNotify)SSL_CTX_free);
    s->hosts = g_hash_table_new(g_str_hash, g_str_equal);
    s->entries = g_ptr_array_new_with_free_func(entry_free);
    s->wire = tls_wire_new();
    s->tickets = tls_tickets_new();
    tls_policy_check(policy, problems);
    g_autoptr(x509_stack) client_ca = NULL;
    if (policy->client_ca.value != NULL)
        client_ca = tls_certificates_load(&policy->client_ca, "client-ca", problems);
    s->has_client_ca = client_ca != NULL;
    for (size_t i = 0; i < count; i++) {
        pst_assert(hosts[i].pair_count > 0);
        add_host(s, tls_context_new(policy, client_ca), &hosts[i], problems);
    }
    /* That is where OpenSSL looks, whichever host the client asks for. */
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(tls_store_default(s), tls_session_on_ticket);
    return diag_count(problems) == before ? g_steal_pointer(&s) : NULL;
}

void tls_store_free(struct tls_store *s)
{
    if (s == NULL)
        return;
    g_hash_table_unref(s->hosts);
    g_ptr_array_unref(s->entries);
    g_ptr_array_unref(s->contexts);
    BIO_meth_free(s->wire);
    tls_tickets_free(s->tickets);
    g_free(s);
}

/* ---- asking it ---- */

bool tls_store_has_client_ca(const struct tls_store *s)
{
    return s->has_client_ca;
}

SSL_CTX *tls_store_default(const struct tls_store *s)
{
    return g_ptr_array_index(s->contexts, 0);
}

struct tls_tickets *tls_store_tickets(const struct tls_store *s)
{
    return s->tickets;
}

void tls_store_turn_keys(const struct tls_store *s, msec_t now)
{
    tls_tickets_turn(s->tickets, now);
}

const BIO_METHOD *tls_store_wire(const struct tls_store *s)
{
    return s->wire;
}

SSL_CTX *tls_store_find(const struct tls_store *s, const char *name)
{
    SSL_CTX *ctx = g_hash_table_lookup(s->hosts, name);
    const char *dot = strchr(name, '.');
    if (ctx != NULL || dot == NULL || dot == name)
        return ctx;
    /* RFC 6125 section 6.4.3: the wildcard is the left-most label as a whole, and no more than that one. */
    char wildcard[TLS_HOST_MAX + 2] = "*";
    if (g_strlcpy(wildcard + 1, dot, sizeof wildcard - 1) >= sizeof wildcard - 1)
        return NULL;
    return g_hash_table_lookup(s->hosts, wildcard);
}

size_t tls_store_count(const struct tls_store *s)
{
    return s->entries->len;
}

const struct tls_certificate *tls_store_certificate(const struct tls_store *s, size_t index)
{
    const struct entry *e = g_ptr_array_index(s->entries, index);
    return &e->told;
}

static char *date_text(int64_t at_s)
{
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(at_s);
    return at != NULL ? g_date_time_format(at, "%Y-%m-%d %H:%M:%S UTC")
                      : g_strdup_printf("%" G_GINT64_FORMAT " s since 1970", at_s);
}

enum tls_dates tls_certificate_dates(const struct tls_certificate *c, int64_t now_s, char **ret_text)
{
    enum tls_dates dates = now_s < c->not_before_s                        ? TLS_DATES_TO_COME
                           : now_s > c->not_after_s                       ? TLS_DATES_OVER
                           : c->not_after_s - now_s <= TLS_EXPIRES_SOON_S ? TLS_DATES_END_SOON
                                                                          : TLS_DATES_GOOD;
    if (ret_text == NULL)
        return dates;
    g_autofree char *date = date_text(dates == TLS_DATES_TO_COME ? c->not_before_s : c->not_after_s);
    switch (dates) {
    case TLS_DATES_GOOD:
        *ret_text = NULL;
        break;
    case TLS_DATES_END_SOON:
        *ret_text =
            g_strdup_printf("expires on %s, in %d days", date, (int)((c->not_after_s - now_s) / 86400));
        break;
    case TLS_DATES_OVER:
        *ret_text = g_strdup_printf("has expired on %s", date);
        break;
    case TLS_DATES_TO_COME:
        *ret_text = g_strdup_printf("is not valid before %s", date);
        break;
    }
    return dates;
}
