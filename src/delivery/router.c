#include "delivery/router.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "base/assert.h"
#include "disk/disk.h"

struct domain {
    char *name; /* lower case */
    char *maildirs;
};

struct router {
    GHashTable *domains;  /* the domain's name to the domain, which the table owns */
    struct domain *first; /* NULL while there is none */
};

static void domain_free(void *data)
{
    struct domain *d = data;
    g_free(d->name);
    g_free(d->maildirs);
    g_free(d);
}

struct router *router_new(void)
{
    struct router *r = g_new0(struct router, 1);
    r->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, domain_free);
    return r;
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    g_hash_table_unref(r->domains);
    g_free(r);
}

int router_add_domain(struct router *r, const char *name, const char *maildirs)
{
    g_autofree char *lower = g_ascii_strdown(name, -1);
    if (g_hash_table_contains(r->domains, lower))
        return -EEXIST;
    struct domain *d = g_new0(struct domain, 1);
    d->name = g_steal_pointer(&lower);
    d->maildirs = g_strdup(maildirs);
    g_hash_table_insert(r->domains, d->name, d);
    if (r->first == NULL)
        r->first = d;
    return 0;
}

const struct domain *router_domain(const struct router *r, const struct smtp_address *address)
{
    if (smtp_address_is_null(address))
        return NULL;
    if (address->domain_len == 0)
        return r->first;
    char name[SMTP_DOMAIN_MAX + 1];
    for (size_t i = 0; i < address->domain_len; i++)
        name[i] = g_ascii_tolower(address->domain[i]);
    name[address->domain_len] = '\0';
    return g_hash_table_lookup(r->domains, name);
}

const char *domain_name(const struct domain *d)
{
    return d->name;
}

const char *domain_maildirs(const struct domain *d)
{
    return d->maildirs;
}

/* atext of RFC 5322 3.2.3 and the dot, but no slash: closed, so that what it does not name cannot reach a
 * path. */
static bool is_name_character(uint8_t c)
{
    return g_ascii_isalnum((char)c) || (c != '\0' && strchr("!#$%&'*+-=?^_`{|}~.", c) != NULL);
}

int mailbox_name(struct slice local_part, char ret_name[MAILBOX_NAME_MAX + 1])
{
    if (local_part.len == 0 || local_part.len > MAILBOX_NAME_MAX || local_part.data[0] == '.')
        return -ENOENT;
    for (size_t i = 0; i < local_part.len; i++)
        if (!is_name_character(local_part.data[i]))
            return -ENOENT;
    for (size_t i = 0; i < local_part.len; i++)
        ret_name[i] = g_ascii_tolower((char)local_part.data[i]);
    ret_name[local_part.len] = '\0';
    return 0;
}

/*
 * What is there but is no maildir yet, or no more: half made, or a link to what is not mounted. That is the
 * operator's to mend, and nobody's mail may bounce for it. A file has never been a maildir.
 */
static int judge_missing(int root, const char *name)
{
    struct disk_stat st;
    int r = disk_stat(root, name, &st);
    if (r < 0)
        return r;
    return st.type == DISK_DIRECTORY || st.type == DISK_LINK ? -ENODEV : -ENOENT;
}

/* When the whole domain's directory is missing, it is more likely not mounted yet. */
static int look_for(const struct domain *d, const char *name, uint64_t *ret_file_system)
{
    auto_disk int root = disk_open_root(d->maildirs);
    if (root < 0)
        return root == -ENOENT ? -ENODEV : root;
    char path[MAILBOX_NAME_MAX + sizeof "/new"];
    (void)snprintf(path, sizeof path, "%s/new", name);
    auto_disk int new = disk_open_beneath(root, path);
    if (new < 0)
        return new == -ENOENT || new == -ENOTDIR ? judge_missing(root, name) : new;
    uint64_t id = 0;
    int r = disk_can_sync_all(new, &id);
    if (r < 0 && r != -EOPNOTSUPP)
        return r;
    *ret_file_system = id;
    return 0;
}

int domain_find_mailbox(const struct domain *d, const struct smtp_address *address,
                        struct mailbox **ret_mailbox)
{
    char name[MAILBOX_NAME_MAX + 1];
    int r = mailbox_name(slice_of(address->local, address->local_len), name);
    if (r < 0)
        return r;
    uint64_t file_system;
    r = look_for(d, name, &file_system);
    if (r < 0)
        return r;
    struct mailbox *m = g_new0(struct mailbox, 1);
    m->domain = d;
    m->name = g_strdup(name);
    m->file_system = file_system;
    *ret_mailbox = m;
    return 0;
}

unsigned mailbox_hash(const void *mailbox)
{
    const struct mailbox *m = mailbox;
    return g_str_hash(m->name) ^ g_direct_hash(m->domain);
}

int mailbox_equal(const void *left, const void *right)
{
    const struct mailbox *a = left, *b = right;
    return a->domain == b->domain && strcmp(a->name, b->name) == 0;
}

void mailbox_free(struct mailbox *m)
{
    if (m == NULL)
        return;
    g_free(m->name);
    g_free(m);
}
