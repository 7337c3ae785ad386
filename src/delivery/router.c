#include "delivery/router.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

struct router {
    GHashTable *domains; /* the domain's name to the domain, which the table owns */
    GPtrArray *in_order; /* they */
    const struct domain *first;
    bool has_patterns;
};

static void domain_free(void *data)
{
    struct domain *d = data;
    g_free(d->name);
    g_free((char *)d->options.maildirs);
    g_free((char *)d->options.catch_all);
    g_free((char *)d->options.subaddress);
    g_free(d);
}

struct router *router_new(void)
{
    struct router *r = g_new0(struct router, 1);
    r->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, domain_free);
    r->in_order = g_ptr_array_new();
    return r;
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    g_ptr_array_unref(r->in_order);
    g_hash_table_unref(r->domains);
    g_free(r);
}

/* ---- names ---- */

enum { PATTERN_MAX = SMTP_DOMAIN_MAX + sizeof "*." };

static bool is_pattern(const char *name)
{
    return *name == '*';
}

static int canonical_name(const char *name, char ret_name[PATTERN_MAX])
{
    if (strcmp(name, "*") == 0) {
        memcpy(ret_name, "*", sizeof "*");
        return 0;
    }
    bool beneath = g_str_has_prefix(name, "*.");
    memcpy(ret_name, "*.", 2);
    return smtp_domain_canonical(slice_str(beneath ? name + 2 : name), ret_name + (beneath ? 2 : 0));
}

/* Without slashes and dots that make no difference: mailboxes are the same if their paths are. */
static char *plain_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    g_autoptr(GString) plain = g_string_new(*path == '/' ? "/" : "");
    for (char **part = parts; *part != NULL; part++) {
        if (**part == '\0' || strcmp(*part, ".") == 0)
            continue;
        if (plain->len > 0 && plain->str[plain->len - 1] != '/')
            g_string_append_c(plain, '/');
        g_string_append(plain, *part);
    }
    return plain->len > 0 ? g_string_free(g_steal_pointer(&plain), FALSE) : g_strdup(".");
}

int router_add_domain(struct router *r, const char *name, const struct domain_options *options)
{
    char canonical[PATTERN_MAX];
    int e = canonical_name(name, canonical);
    if (e < 0)
        return e;
    if (g_hash_table_contains(r->domains, canonical))
        return -EEXIST;
    struct domain *d = g_new0(struct domain, 1);
    d->name = g_strdup(canonical);
    d->options = *options;
    d->options.maildirs = options->maildirs != NULL ? plain_path(options->maildirs) : NULL;
    d->options.catch_all = g_strdup(options->catch_all);
    d->options.subaddress = g_strdup(options->subaddress != NULL ? options->subaddress : "");
    g_hash_table_insert(r->domains, d->name, d);
    g_ptr_array_add(r->in_order, d);
    if (r->first == NULL)
        r->first = d;
    r->has_patterns |= is_pattern(canonical);
    return 0;
}

struct domain *router_find_domain(struct router *r, const char *name)
{
    char canonical[PATTERN_MAX];
    return canonical_name(name, canonical) < 0 ? NULL : g_hash_table_lookup(r->domains, canonical);
}

void router_for_each_domain(const struct router *r, void (*each)(void *owner, const struct domain *domain),
                            void *owner)
{
    for (guint i = 0; i < r->in_order->len; i++)
        each(owner, g_ptr_array_index(r->in_order, i));
}

/* ---- look-up ---- */

/* The nearest one above that takes all beneath it; "*" is above all. A literal is beneath nothing but that.
 */
static const struct domain *find_pattern(const struct router *r, const char *name)
{
    char pattern[PATTERN_MAX] = "*";
    for (const char *dot = *name == '[' ? NULL : strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        (void)g_strlcpy(pattern + 1, dot, sizeof pattern - 1);
        const struct domain *d = g_hash_table_lookup(r->domains, pattern);
        if (d != NULL)
            return d;
    }
    return g_hash_table_lookup(r->domains, "*");
}

/* Of a bare <postmaster> (RFC 5321 4.5.1): that of the first domain, which may be a pattern. */
static void start_at_first(const struct router *r, struct route_start *s)
{
    const char *name = r->first->name;
    s->domain = r->first;
    if (g_str_has_prefix(name, "*."))
        name += 2;
    (void)g_strlcpy(s->domain_name, is_pattern(name) ? "localhost" : name, sizeof s->domain_name);
}

bool router_start(const struct router *r, const struct smtp_address *address, struct route_start *ret_start)
{
    struct route_start *s = ret_start;
    if (smtp_address_is_null(address) || r->first == NULL)
        return false;
    if (address->domain_len == 0) {
        start_at_first(r, s);
    } else {
        if (smtp_domain_canonical(slice_of(address->domain, address->domain_len), s->domain_name) < 0)
            return false;
        s->domain = g_hash_table_lookup(r->domains, s->domain_name);
        if (s->domain == NULL && r->has_patterns)
            s->domain = find_pattern(r, s->domain_name);
    }
    if (s->domain != NULL && mailbox_name(slice_of(address->local, address->local_len), s->name) < 0)
        *s->name = '\0';
    return s->domain != NULL;
}
