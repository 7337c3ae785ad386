#include "worker/envelope.h"

#include <string.h>

#include "base/assert.h"

enum { FEW_TARGETS = 16 }; /* which are found by looking at each */

void recipient_free(struct recipient *r)
{
    g_free(r->orcpt);
    g_free(r->ways);
    g_free(r->reply);
    g_free(r);
}

static void free_recipient(void *recipient)
{
    recipient_free(recipient);
}

void envelope_init(struct envelope *e)
{
    *e = (struct envelope){ .recipients = g_ptr_array_new_with_free_func(free_recipient),
                            .targets = g_array_new(FALSE, FALSE, sizeof(struct target)) };
}

void envelope_clear(struct envelope *e)
{
    for (guint i = 0; i < e->targets->len && !e->is_given; i++)
        mailbox_free(envelope_target(e, i)->mailbox);
    g_clear_pointer(&e->index, g_hash_table_unref);
    g_array_unref(e->targets);
    g_ptr_array_unref(e->recipients);
}

const struct recipient *envelope_recipient(const struct envelope *e, size_t i)
{
    return g_ptr_array_index(e->recipients, i);
}

struct target *envelope_target(const struct envelope *e, size_t i)
{
    return &g_array_index(e->targets, struct target, i);
}

bool envelope_find(const struct envelope *e, const struct mailbox *m, unsigned *ret_target)
{
    if (e->index != NULL) {
        void *found;
        bool there = g_hash_table_lookup_extended(e->index, m, NULL, &found);
        if (there)
            *ret_target = GPOINTER_TO_UINT(found);
        return there;
    }
    for (unsigned i = 0; i < e->targets->len; i++) {
        if (mailbox_equal(envelope_target(e, i)->mailbox, m)) {
            *ret_target = i;
            return true;
        }
    }
    return false;
}

static unsigned add_target(struct envelope *e, const struct target *take_target)
{
    unsigned at = e->targets->len;
    g_array_append_val(e->targets, *take_target);
    if (at + 1 == FEW_TARGETS) {
        e->index = g_hash_table_new(mailbox_hash, mailbox_equal);
        for (unsigned i = 0; i < at; i++)
            g_hash_table_insert(e->index, envelope_target(e, i)->mailbox, GUINT_TO_POINTER(i));
    }
    if (e->index != NULL)
        g_hash_table_insert(e->index, take_target->mailbox, GUINT_TO_POINTER(at));
    return at;
}

static bool is_renamed(const struct mailbox *m, const struct route_start *start)
{
    return strcmp(m->name, start->name) != 0 || m->domain != start->domain;
}

/* `start`: where its route began, to tell which mailboxes have another name; NULL: all do. */
static void lead(struct envelope *e, struct recipient *r, const struct route_start *start,
                 const GPtrArray *mailboxes, const char *flags)
{
    r->ways = g_new(unsigned, mailboxes->len);
    r->way_count = mailboxes->len;
    for (guint i = 0; i < mailboxes->len; i++) {
        const struct mailbox *m = g_ptr_array_index(mailboxes, i);
        if (envelope_find(e, m, &r->ways[i]))
            continue;
        struct target target = { .mailbox = mailbox_copy(m),
                                 .is_renamed = start == NULL || is_renamed(m, start),
                                 .first = e->recipients->len };
        (void)g_strlcpy(target.flags, flags, sizeof target.flags);
        r->ways[i] = add_target(e, &target);
    }
}

void envelope_add(struct envelope *e, struct recipient *take_recipient, const struct route_start *start,
                  const GPtrArray *mailboxes, bool counts)
{
    struct recipient *r = take_recipient;
    guint before = e->targets->len;
    lead(e, r, start, mailboxes, "");
    r->domain = start->domain;
    if (!counts && e->targets->len == before) {
        recipient_free(r);
        return;
    }
    e->ways += r->way_count;
    g_ptr_array_add(e->recipients, r);
}

void envelope_add_changed(struct envelope *e, struct recipient *take_recipient,
                          const struct route_start *start, const GPtrArray *mailboxes, const char *flags)
{
    struct recipient *r = take_recipient;
    g_clear_pointer(&r->ways, g_free);
    lead(e, r, start, mailboxes, flags);
    e->ways += r->way_count;
    g_ptr_array_add(e->recipients, r);
}

struct delivery_way *envelope_ways(const struct envelope *e)
{
    struct delivery_way *ways = g_new(struct delivery_way, e->ways);
    size_t count = 0;
    for (guint i = 0; i < e->recipients->len; i++) {
        const struct recipient *r = envelope_recipient(e, i);
        pst_assert(r->way_count <= e->ways - count);
        for (size_t k = 0; k < r->way_count; k++)
            ways[count++] = (struct delivery_way){ .recipient = i, .target = r->ways[k] };
    }
    pst_assert(count == e->ways);
    return ways;
}

void envelope_give(struct envelope *e)
{
    e->is_given = true;
}
