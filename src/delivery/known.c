#include "delivery/known.h"

#include <string.h>

struct entry {
    struct route_start start;
    GPtrArray *mailboxes; /* struct mailbox */
    msec_t until;
};

struct known {
    GHashTable *entries; /* struct entry by its own `start` */
    guint mailboxes;     /* in all entries */
};

static guint start_hash(gconstpointer key)
{
    const struct route_start *s = key;
    return g_str_hash(s->name) ^ g_str_hash(s->domain_name);
}

static gboolean start_equal(gconstpointer left, gconstpointer right)
{
    const struct route_start *a = left, *b = right;
    return strcmp(a->name, b->name) == 0 && strcmp(a->domain_name, b->domain_name) == 0;
}

static void entry_free(void *data)
{
    struct entry *e = data;
    g_ptr_array_unref(e->mailboxes);
    g_free(e);
}

struct known *known_new(void)
{
    struct known *k = g_new0(struct known, 1);
    k->entries = g_hash_table_new_full(start_hash, start_equal, NULL, entry_free);
    return k;
}

void known_free(struct known *k)
{
    if (k == NULL)
        return;
    g_hash_table_unref(k->entries);
    g_free(k);
}

const GPtrArray *known_find(const struct known *k, const struct route_start *start, msec_t now)
{
    const struct entry *e = g_hash_table_lookup(k->entries, start);
    return e != NULL && now < e->until ? e->mailboxes : NULL;
}

void known_forget(struct known *k)
{
    g_hash_table_remove_all(k->entries);
    k->mailboxes = 0;
}

static void *copy(const void *mailbox, void *unused)
{
    (void)unused;
    return mailbox_copy(mailbox);
}

static void free_mailbox(void *mailbox)
{
    mailbox_free(mailbox);
}

void known_add(struct known *k, const struct route_start *start, const GPtrArray *mailboxes, msec_t now)
{
    if (*start->name == '\0' || mailboxes->len > KNOWN_MAX / 4)
        return; /* one without a name stands for many; a large one would drive out all others */
    const struct entry *old = g_hash_table_lookup(k->entries, start);
    if (old != NULL)
        k->mailboxes -= old->mailboxes->len;
    if (k->mailboxes + mailboxes->len > KNOWN_MAX)
        known_forget(k); /* all are old in a second anyway */
    struct entry *e = g_new(struct entry, 1);
    *e = (struct entry){ .start = *start,
                         .mailboxes = g_ptr_array_copy((GPtrArray *)mailboxes, (GCopyFunc)copy, NULL),
                         .until = now + KNOWN_MS };
    g_ptr_array_set_free_func(e->mailboxes, free_mailbox);
    k->mailboxes += mailboxes->len;
    (void)g_hash_table_replace(k->entries, &e->start, e); /* frees an older one */
}
