#include "delivery/known.h"

#include <glib.h>

/* The key, and what is looked up with: the name's memory is the entry's own in the table, the caller's in a
 * look-up. */
struct entry {
    const struct domain *domain;
    const char *name;
    uint64_t file_system;
    msec_t until;
};

struct known {
    GHashTable *entries; /* struct entry, a set */
};

static guint entry_hash(gconstpointer key)
{
    const struct entry *e = key;
    return g_str_hash(e->name) ^ g_direct_hash(e->domain);
}

static gboolean entry_equal(gconstpointer left, gconstpointer right)
{
    const struct entry *a = left, *b = right;
    return a->domain == b->domain && strcmp(a->name, b->name) == 0;
}

static void entry_free(void *data)
{
    struct entry *e = data;
    g_free((char *)e->name);
    g_free(e);
}

struct known *known_new(void)
{
    struct known *k = g_new0(struct known, 1);
    k->entries = g_hash_table_new_full(entry_hash, entry_equal, entry_free, NULL);
    return k;
}

void known_free(struct known *k)
{
    if (k == NULL)
        return;
    g_hash_table_unref(k->entries);
    g_free(k);
}

struct mailbox *known_find(const struct known *k, const struct domain *domain,
                           const struct smtp_address *address, msec_t now)
{
    char name[MAILBOX_NAME_MAX + 1];
    if (mailbox_name(slice_of(address->local, address->local_len), name) < 0)
        return NULL;
    const struct entry *e =
        g_hash_table_lookup(k->entries, &(struct entry){ .domain = domain, .name = name });
    if (e == NULL || now >= e->until)
        return NULL;
    struct mailbox *m = g_new0(struct mailbox, 1);
    m->domain = domain;
    m->name = g_strdup(name);
    m->file_system = e->file_system;
    return m;
}

void known_add(struct known *k, const struct mailbox *mailbox, msec_t now)
{
    if (g_hash_table_size(k->entries) >= KNOWN_MAX)
        g_hash_table_remove_all(k->entries); /* all are old in a second anyway */
    struct entry *e = g_new0(struct entry, 1);
    e->domain = mailbox->domain;
    e->name = g_strdup(mailbox->name);
    e->file_system = mailbox->file_system;
    e->until = now + KNOWN_MS;
    g_hash_table_replace(k->entries, e, e);
}
