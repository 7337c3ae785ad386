#include "server/show_tlsa.h"

#include <netinet/in.h>

#include "delivery/router.h"

enum { MAX_AGE_S = 7 * 24 * 60 * 60 }; /* RFC 8461 3.2: weeks, if the policy does not change more often */

/* What is shown: the certificates that a client gets who asks for the host. */
struct show {
    const struct settings *settings;
    const char *host;  /* in lower case */
    GPtrArray *chosen; /* const struct tls_certificate * */
    GPtrArray *names;  /* const char *, that all of them have, each once, the host first */
    GArray *ports;     /* unsigned, each once */
};

/* ---- which certificates ---- */

/* RFC 6125 6.4.3: a wildcard is one label. */
static bool name_covers(const char *name, const char *host)
{
    const char *dot = strchr(host, '.');
    return strcmp(name, host) == 0 ||
           (g_str_has_prefix(name, "*.") && dot != NULL && dot != host && strcmp(name + 1, dot) == 0);
}

static bool certificate_covers(const struct tls_certificate *c, const char *host, bool with_wildcards)
{
    for (const char *const *name = c->names; *name != NULL; name++)
        if (strcmp(*name, host) == 0 || (with_wildcards && name_covers(*name, host)))
            return true;
    return false;
}

/* As the store chooses: who has the very name, else who has it by a wildcard, else the first of all. */
static const struct tls_certificate *find_certificate(const struct tls_store *store, const char *host)
{
    for (int with_wildcards = 0; with_wildcards <= 1; with_wildcards++)
        for (size_t i = 0; i < tls_store_count(store); i++)
            if (certificate_covers(tls_store_certificate(store, i), host, with_wildcards))
                return tls_store_certificate(store, i);
    return tls_store_certificate(store, 0);
}

static void choose(struct show *s)
{
    const struct tls_store *store = s->settings->tls.store;
    const char *section = find_certificate(store, s->host)->host;
    for (size_t i = 0; i < tls_store_count(store); i++) {
        const struct tls_certificate *c = tls_store_certificate(store, i);
        if (g_strcmp0(c->host, section) == 0)
            g_ptr_array_add(s->chosen, (void *)c);
    }
}

/* ---- what they have ---- */

static void add_name(struct show *s, const char *name)
{
    if (!g_ptr_array_find_with_equal_func(s->names, name, g_str_equal, NULL))
        g_ptr_array_add(s->names, (void *)name);
}

/* Whether each of them has the name. Notes tell which ones lack it, and what follows from that. */
static bool all_have(const struct show *s, const char *name, const char *consequence, struct diag *notes)
{
    bool all = true;
    for (guint i = 0; i < s->chosen->len; i++) {
        const struct tls_certificate *c = g_ptr_array_index(s->chosen, i);
        if (certificate_covers(c, name, true))
            continue;
        all = false;
        g_autofree char *names = g_strjoinv(", ", (char **)c->names);
        diag_add(notes, (struct origin){ c->path, 0 }, "%s is not among its names (%s); %s", name,
                 *names != '\0' ? names : "there are none", consequence);
    }
    return all;
}

/* RFC 8461 4.2: the certificate must have the name of the MX. Which one of them a client is shown depends on
 * the client, so a name that one of them lacks is in no policy. False: the host is such a name. */
static bool gather_names(struct show *s, struct diag *notes)
{
    if (!all_have(s, s->host, "who checks names (MTA-STS, TLSA 2 1 1) will not take it", notes))
        return false;
    add_name(s, s->host);
    for (guint i = 0; i < s->chosen->len; i++) {
        const struct tls_certificate *c = g_ptr_array_index(s->chosen, i);
        for (const char *const *name = c->names; *name != NULL; name++)
            add_name(s, *name);
    }
    for (guint i = 0; i < s->names->len;) {
        const char *name = g_ptr_array_index(s->names, i);
        if (all_have(s, name, "the MTA-STS policy leaves that out, as a client may be shown this certificate",
                     notes))
            i++;
        else
            g_ptr_array_remove_index(s->names, i);
    }
    return true;
}

static unsigned port_of(const struct net_address *a)
{
    if (a->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&a->storage)->sin_port);
    if (a->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&a->storage)->sin6_port);
    return 0;
}

static void add_port(GArray *ports, unsigned port)
{
    for (guint i = 0; i < ports->len; i++)
        if (g_array_index(ports, unsigned, i) == port)
            return;
    if (port != 0)
        g_array_append_val(ports, port);
}

static void gather_ports(struct show *s, unsigned wanted)
{
    add_port(s->ports, wanted);
    for (size_t i = 0; wanted == 0 && i < s->settings->listener_count; i++) {
        const struct worker_listener *l = &s->settings->listeners[i].listener;
        if (l->tls != WORKER_TLS_OFF && l->protocol == SMTP_PROTOCOL_SMTP)
            add_port(s->ports, port_of(&l->address));
    }
}

/* ---- DANE ---- */

static void print_digest(const struct show *s, const char *usage, const uint8_t digest[TLS_SHA256], FILE *to)
{
    char hex[2 * TLS_SHA256 + 1];
    for (size_t i = 0; i < TLS_SHA256; i++)
        (void)g_snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    for (guint i = 0; i < s->ports->len; i++)
        (void)fprintf(to, "_%u._tcp.%s. IN TLSA %s %s\n", g_array_index(s->ports, unsigned, i), s->host,
                      usage, hex);
}

/* RFC 7672 3.1.2: by who signed it a client takes it only with the right name; its own key needs none
 * (3.1.1). */
static bool counts_by_issuer(const struct show *s, const struct tls_certificate *c)
{
    return c->has_issuer && certificate_covers(c, s->host, true);
}

/* RFC 7672 3.1: usages 3 and 2 are those that there are in SMTP. */
static void print_tlsa(const struct show *s, FILE *to)
{
    for (guint i = 0; i < s->chosen->len; i++) {
        const struct tls_certificate *c = g_ptr_array_index(s->chosen, i);
        (void)fprintf(to, "; %s (%s)\n", c->path, c->kind);
        print_digest(s, "3 1 1", c->key_sha256, to);
        bool is_told = !counts_by_issuer(s, c);
        for (guint k = 0; k < i; k++) {
            const struct tls_certificate *other = g_ptr_array_index(s->chosen, k);
            is_told |= counts_by_issuer(s, other) &&
                       memcmp(other->issuer_key_sha256, c->issuer_key_sha256, TLS_SHA256) == 0;
        }
        if (is_told)
            continue;
        (void)fprintf(
            to, "; who signed it: enough by itself, and stays when the key of the certificate changes\n");
        print_digest(s, "2 1 1", c->issuer_key_sha256, to);
    }
}

/* ---- MTA-STS ---- */

static char *policy_text(const struct show *s)
{
    GString *text = g_string_new("version: STSv1\nmode: enforce\n");
    for (guint i = 0; i < s->names->len; i++)
        g_string_append_printf(text, "mx: %s\n", (const char *)g_ptr_array_index(s->names, i));
    g_string_append_printf(text, "max_age: %d\n", MAX_AGE_S);
    return g_string_free(text, FALSE);
}

struct records {
    const char *id;
    FILE *to;
};

/* In DNS there are A-labels alone. A pattern stands for domains that only their owner can list. */
static void print_record(void *owner, const struct domain *domain)
{
    const struct records *r = owner;
    g_autofree char *name = g_hostname_to_ascii(domain->name);
    if (name != NULL && strchr(name, '*') == NULL)
        (void)fprintf(r->to, "_mta-sts.%s. IN TXT \"v=STSv1; id=%s;\"\n", name, r->id);
}

/* RFC 8461 3.1: the id is another one when the policy is. */
static void print_sts(const struct show *s, bool policy_only, FILE *to)
{
    enum { ID_LEN = 16 };
    g_autofree char *policy = policy_text(s);
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, policy, -1);
    digest[ID_LEN] = '\0';
    struct records records = { digest, to };
    if (!policy_only) {
        (void)fprintf(to, "\n; MTA-STS: tells that there is a policy\n");
        router_for_each_domain(s->settings->router, print_record, &records);
        (void)fprintf(to, "\n; the policy: https://mta-sts.DOMAIN/.well-known/mta-sts.txt of each of them\n");
    }
    (void)fprintf(to, "%s", policy);
}

/* ---- the whole ---- */

static void show_clear(struct show *s)
{
    g_ptr_array_unref(s->chosen);
    g_ptr_array_unref(s->names);
    g_array_unref(s->ports);
}
AUTO_VAL_DEFINE(show);

void show_tlsa(const struct settings *s, const struct tlsa_request *request, FILE *to, struct diag *problems,
               struct diag *notes)
{
    struct origin at = config_section_origin(config_next(s->config, "tls", NULL));
    if (s->tls.store == NULL) {
        diag_add(problems, at, "there is no certificate; expected certificate and private-key in [tls]");
        return;
    }
    const char *given = request->host != NULL ? request->host : s->worker.hostname;
    g_autofree char *host = g_ascii_strdown(given, -1);
    auto_val(show) show = { .settings = s,
                            .host = host,
                            .chosen = g_ptr_array_new(),
                            .names = g_ptr_array_new(),
                            .ports = g_array_new(FALSE, FALSE, sizeof(unsigned)) };
    choose(&show);
    bool is_covered = gather_names(&show, notes);
    gather_ports(&show, request->port);
    if (!request->policy_only && show.ports->len == 0) {
        diag_add(problems, config_origin(s->config),
                 "no listener of SMTP offers TLS at a port that is known; expected tls = optional in a "
                 "[listen NAME], or --port N");
        return;
    }
    if (!request->policy_only)
        print_tlsa(&show, to);
    if (is_covered)
        print_sts(&show, request->policy_only, to);
    else if (request->policy_only)
        diag_add(problems, at, "no policy fits: %s is not among the names of each certificate", host);
    else
        (void)fprintf(to, "\n; no MTA-STS policy fits: %s is not among the names of each certificate\n",
                      host);
}
