#include "delivery/known.h"

#include <glib.h>

/* A mailbox is the key of its own entry: it stands first. */
struct entry {
    struct mailbox mailbox;
    msec_t until;
};

struct known {
    GHashTable *entries; /* struct entry, a set */
};

static void entry_free(void *data)
{
    struct entry *e = data;
    g_free(e->mailbox.name);
    g_free(e->mailbox.folder);
    g_free(e);
}

struct known *known_new(void)
{
    struct known *k = g_new0(struct known, 1);
    k->entries = g_hash_table_new_full(mailbox_hash, mailbox_equal, entry_free, NULL);
    return k;
}

void known_free(struct known *k)
{
    if (k == NULL)
        return;
    g_hash_table_unref(k->entries);
    g_free(k);
}

static struct mailbox mailbox_copy(const struct mailbox *m)
{
    struct mailbox copy = *m;
    copy.name = g_strdup(m->name);
    copy.folder = g_strdup(m->folder);
    return copy;
}

struct mailbox *known_find(const struct known *k, const struct domain *domain,
                           const struct smtp_address *address, msec_t now)
{
    char name[MAILBOX_NAME_MAX + 1];
    if (mailbox_name(slice_of(address->local, address->local_len), name) < 0)
        return NULL;
    const struct mailbox wanted = { .domain = domain, .name = name };
    const struct entry *e = g_hash_table_lookup(k->entries, &wanted);
    if (e == NULL || now >= e->until)
        return NULL;
    struct mailbox *m = g_new0(struct mailbox, 1);
    *m = mailbox_copy(&e->mailbox);
    return m;
}

void known_add(struct known *k, const struct mailbox *mailbox, msec_t now)
{
    if (g_hash_table_size(k->entries) >= KNOWN_MAX)
        g_hash_table_remove_all(k->entries); /* all are old in a second anyway */
    struct entry *e = g_new0(struct entry, 1);
    *e = (struct entry){ .mailbox = mailbox_copy(mailbox), .until = now + KNOWN_MS };
    (void)g_hash_table_add(k->entries, e); /* frees an older entry of the same mailbox */
}
