#include "worker/crowd.h"

#include "base/assert.h"

/* How long a member of that rank is silent before it gives way. */
static const msec_t patience_ms[CROWD_RANKS] = {
    [CROWD_LEAVING] = CROWD_SILENT_MS,  [CROWD_STRANGER] = 0,      [CROWD_IDLE] = CROWD_SILENT_MS,
    [CROWD_SENDING] = CROWD_STALLED_MS, [CROWD_OWED] = MSEC_NEVER,
};

static struct crowd_member *member_of(GList *link)
{
    return (struct crowd_member *)(void *)((char *)link - offsetof(struct crowd_member, link));
}

void crowd_init(struct crowd *c)
{
    for (size_t rank = 0; rank < CROWD_RANKS; rank++)
        g_queue_init(&c->ranks[rank]);
}

size_t crowd_count(const struct crowd *c, enum crowd_rank rank)
{
    return c->ranks[rank].length;
}

size_t crowd_size(const struct crowd *c)
{
    size_t size = 0;
    for (size_t rank = 0; rank < CROWD_RANKS; rank++)
        size += c->ranks[rank].length;
    return size;
}

static void enter(struct crowd *c, struct crowd_member *m, enum crowd_rank rank, msec_t now)
{
    m->rank = rank;
    m->heard = now;
    g_queue_push_tail_link(&c->ranks[rank], &m->link);
}

void crowd_join(struct crowd *c, struct crowd_member *m, void *who, msec_t now)
{
    *m = (struct crowd_member){ .link.data = who };
    enter(c, m, CROWD_STRANGER, now);
}

void crowd_leave(struct crowd *c, struct crowd_member *m)
{
    g_queue_unlink(&c->ranks[m->rank], &m->link);
}

void crowd_hear(struct crowd *c, struct crowd_member *m, enum crowd_rank rank, msec_t now)
{
    crowd_leave(c, m);
    enter(c, m, rank, now);
}

void *crowd_victim(const struct crowd *c, msec_t now)
{
    for (enum crowd_rank rank = CROWD_LEAVING; rank < CROWD_OWED; rank++) {
        GList *head = c->ranks[rank].head;
        if (head != NULL && now - member_of(head)->heard >= patience_ms[rank])
            return head->data;
    }
    return NULL;
}

/* By a list of its own, for who is told may move to where it would be met again. */
void crowd_for_each(struct crowd *c, void (*tell)(void *who))
{
    g_autoptr(GPtrArray) all = g_ptr_array_sized_new((guint)crowd_size(c));
    for (enum crowd_rank rank = CROWD_LEAVING; rank < CROWD_RANKS; rank++)
        for (const GList *at = c->ranks[rank].head; at != NULL; at = at->next)
            g_ptr_array_add(all, at->data);
    for (guint i = 0; i < all->len; i++)
        tell(g_ptr_array_index(all, i));
}
