#include "delivery/commit.h"

#include <glib.h>

#include "base/assert.h"
#include "delivery/copies.h"

struct commit {
    struct reactor *reactor;
    unsigned jobs_max;
    size_t copies_max; /* so that the descriptors of a batch are bounded */
    unsigned jobs;
    struct commit_item *first, **last; /* what gathers */
};

struct batch {
    struct commit *commit;
    struct commit_item *items;
};

struct commit *commit_new(struct reactor *r, unsigned jobs, size_t copies)
{
    struct commit *c = g_new0(struct commit, 1);
    c->reactor = r;
    c->jobs_max = jobs;
    c->copies_max = copies;
    c->last = &c->first;
    return c;
}

void commit_free(struct commit *c)
{
    pst_assert(c == NULL || (c->jobs == 0 && c->first == NULL));
    g_free(c);
}

/* One sync of the file system costs less than those of two files and their directories. */
static bool batch_syncs_all(const struct batch *b)
{
    bool several = b->items->next != NULL || b->items->copies->count > 1;
    return several && b->items->copies->settings->sync == DELIVERY_SYNC_GROUP;
}

static void for_all(struct batch *b, void (*step)(struct copies *c))
{
    for (struct commit_item *i = b->items; i != NULL; i = i->next)
        step(i->copies);
}

/* A sync that failed is never tried again as if it could work: the whole batch is lost, and its senders will
 * come again. */
static void sync_file_systems(struct batch *b, struct open_maildirs *open)
{
    int r = open_maildirs_sync(open);
    for (struct commit_item *i = b->items; i != NULL && r < 0; i = i->next)
        copies_fail(i->copies, r);
}

static void batch_run(void *arg)
{
    struct batch *b = arg;
    auto_ptr(open_maildirs) open = open_maildirs_new(batch_syncs_all(b));
    for (struct commit_item *i = b->items; i != NULL; i = i->next)
        copies_write(i->copies, i->rest, open);
    sync_file_systems(b, open);
    for_all(b, copies_sync);
    for_all(b, copies_publish);
    sync_file_systems(b, open);
    for_all(b, copies_settle);
    for_all(b, copies_end);
}

static void start(struct commit *c);

static void batch_done(void *arg)
{
    struct batch *b = arg;
    struct commit_item *item = b->items;
    b->commit->jobs--;
    start(b->commit); /* first the disk's work, then ours */
    g_free(b);
    while (item != NULL) {
        struct commit_item *next = item->next; /* on_done may free the item */
        item->on_done(item->owner);
        item = next;
    }
}

/* Off the queue: as many messages as make a batch. */
static struct commit_item *take_items(struct commit *c)
{
    struct commit_item *items = c->first, *last = items;
    size_t copies = last->copies->count;
    while (last->next != NULL && copies + last->next->copies->count <= c->copies_max) {
        last = last->next;
        copies += last->copies->count;
    }
    c->first = last->next;
    if (c->first == NULL)
        c->last = &c->first;
    last->next = NULL;
    return items;
}

static void start(struct commit *c)
{
    if (c->first == NULL || c->jobs == c->jobs_max)
        return;
    struct batch *b = g_new0(struct batch, 1);
    b->commit = c;
    b->items = take_items(c);
    c->jobs++;
    reactor_submit(c->reactor, batch_run, batch_done, b);
}

void commit_add(struct commit *c, struct commit_item *item)
{
    item->next = NULL;
    *c->last = item;
    c->last = &item->next;
    start(c);
}
