#include "delivery/commit.h"

#include <glib.h>

#include "base/assert.h"
#include "delivery/copies.h"

enum {
    BATCH_COPIES = 64, /* of one batch, or one message: each has a descriptor open, and its maildir two */
    SINGLES = 16,      /* messages that are committed side by side, where they share nothing */
};

/* What waits for one file system, or, with file_system 0, for those of which none can be synced as a whole.
 */
struct lane {
    struct commit *commit;
    uint64_t file_system;
    unsigned jobs;
    struct commit_item *first, **last;
    struct lane *next;
};

struct commit {
    struct reactor *reactor;
    bool grouping;
    struct lane *lanes; /* only those in use */
};

struct batch {
    struct lane *lane;
    struct commit_item *items;
};

struct commit *commit_new(struct reactor *r, bool grouping)
{
    struct commit *c = g_new0(struct commit, 1);
    c->reactor = r;
    c->grouping = grouping;
    return c;
}

void commit_free(struct commit *c)
{
    pst_assert(c == NULL || c->lanes == NULL);
    g_free(c);
}

/* ---- lanes ---- */

static struct lane *lane_for(struct commit *c, uint64_t file_system)
{
    struct lane *lane = c->lanes;
    while (lane != NULL && lane->file_system != file_system)
        lane = lane->next;
    if (lane == NULL) {
        lane = g_new0(struct lane, 1);
        *lane =
            (struct lane){ .commit = c, .file_system = file_system, .last = &lane->first, .next = c->lanes };
        c->lanes = lane;
    }
    return lane;
}

static void lane_drop_if_idle(struct lane *lane)
{
    if (lane->jobs > 0 || lane->first != NULL)
        return;
    struct lane **at = &lane->commit->lanes;
    while (*at != lane)
        at = &(*at)->next;
    *at = lane->next;
    g_free(lane);
}

static bool lane_is_grouping(const struct lane *lane)
{
    return lane->file_system != 0;
}

/* Off the queue: as many messages as make a batch. */
static struct commit_item *lane_take(struct lane *lane)
{
    struct commit_item *items = lane->first, *last = items;
    size_t copies = last->copies->count;
    while (lane_is_grouping(lane) && last->next != NULL &&
           copies + last->next->copies->count <= BATCH_COPIES) {
        last = last->next;
        copies += last->copies->count;
    }
    lane->first = last->next;
    if (lane->first == NULL)
        lane->last = &lane->first;
    last->next = NULL;
    return items;
}

/* ---- a batch: on the pool ---- */

/* One sync of the file system costs less than those of two files and their directories. */
static bool batch_syncs_all(const struct batch *b)
{
    bool several = b->items->next != NULL || b->items->copies->count > 1;
    return several && b->items->copies->settings.sync == DELIVERY_SYNC_GROUP;
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

/* ---- on the loop ---- */

static void start(struct lane *lane);

static void batch_done(void *arg)
{
    struct batch *b = arg;
    struct commit_item *item = b->items;
    b->lane->jobs--;
    start(b->lane); /* first the disk's work, then ours */
    lane_drop_if_idle(b->lane);
    g_free(b);
    while (item != NULL) {
        struct commit_item *next = item->next; /* on_done may free the item */
        item->on_done(item->owner);
        item = next;
    }
}

static void start(struct lane *lane)
{
    if (lane->first == NULL || lane->jobs == (lane_is_grouping(lane) ? 1 : SINGLES))
        return;
    struct batch *b = g_new0(struct batch, 1);
    b->lane = lane;
    b->items = lane_take(lane);
    lane->jobs++;
    reactor_submit(lane->commit->reactor, batch_run, batch_done, b);
}

void commit_add(struct commit *c, struct commit_item *item)
{
    struct lane *lane = lane_for(c, c->grouping ? item->file_system : 0);
    item->next = NULL;
    *lane->last = item;
    lane->last = &item->next;
    start(lane);
}
