#include "delivery/commit.h"

#include <glib.h>

#include "base/assert.h"
#include "delivery/copies.h"

enum {
    BATCH_COPIES = 64, /* of one batch, or one message: each has a descriptor open, and its maildir two */
    BATCHES = 2,       /* of one file system side by side: while one waits for the disk, the other works */
    BATCH_WORTH = 8, /* copies that begin a batch beside another one: fewer would cost more than they gain */
    SINGLES = 16,    /* messages that are committed side by side, where they share nothing */
    TOLD_AT_ONCE = 16,    /* messages of a batch, of which each is answered: others wait meanwhile */
    GATHERING_TURNS = 64, /* of a busy loop, for which a batch may wait for more */
};

/* What waits for one file system, or, with file_system 0, for those of which none can be synced as a whole.
 */
struct lane {
    struct commit *commit;
    uint64_t file_system;
    unsigned jobs;
    size_t waiting; /* copies */
    struct commit_item *first, **last;
    bool is_due; /* it is about to start what it can */
    struct lane *next;
};

/* Messages that take each step together; a job. */
struct batch {
    struct reactor *reactor;
    struct lane *lane; /* NULL: it has left it */
    struct commit_item *items;
    struct open_maildirs *open;
};

struct commit {
    struct reactor *reactor;
    bool grouping;
    struct lane *lanes; /* only those in use */
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
    if (lane->jobs > 0 || lane->first != NULL || lane->is_due)
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
    lane->waiting -= copies;
    lane->first = last->next;
    if (lane->first == NULL)
        lane->last = &lane->first;
    last->next = NULL;
    return items;
}

/* ---- a batch: on the pool ---- */

/* A copy that comes alone is synced by itself: that costs less than to sync all of its file system. */
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

static void batch_write(struct batch *b)
{
    b->open = open_maildirs_new(batch_syncs_all(b));
    for (struct commit_item *i = b->items; i != NULL; i = i->next)
        copies_write(i->copies, i->rest, b->open);
}

/* A sync of a directory that failed for one of them, or for a name that had to be taken back, has lost what
 * others had in it, and no later sync need tell them, be it by another descriptor. */
static void batch_settle(struct batch *b)
{
    for_all(b, copies_settle);
    for (const struct commit_item *i = b->items; i != NULL; i = i->next)
        for (struct commit_item *other = i->copies->lost < 0 ? b->items : NULL; other != NULL;
             other = other->next)
            copies_fail_with(other->copies, i->copies);
}

/*
 * A sync that failed is never tried again as if it could work: all that took part in it is lost, and its
 * senders will come again. Copies in other file systems are none the worse.
 */
static void batch_run(void *arg)
{
    struct batch *b = arg;
    batch_write(b);
    open_maildirs_sync_data(b->open);
    for_all(b, copies_sync);
    for_all(b, copies_publish);
    open_maildirs_sync_names(b->open);
    batch_settle(b);
    for_all(b, copies_end);
    g_clear_pointer(&b->open, open_maildirs_free);
}

/* ---- on the loop ---- */

static bool has_to_do(const struct lane *lane)
{
    if (lane->first == NULL || lane->jobs == 0)
        return lane->first != NULL;
    return lane_is_grouping(lane) ? lane->jobs < BATCHES && lane->waiting >= BATCH_WORTH
                                  : lane->jobs < SINGLES;
}

static void batch_done(void *arg);

static void start(struct lane *lane)
{
    struct batch *b = g_new0(struct batch, 1);
    b->reactor = lane->commit->reactor;
    b->lane = lane;
    b->items = lane_take(lane);
    lane->jobs++;
    reactor_submit(b->reactor, batch_run, batch_done, b);
}

static void lane_on_turn(void *arg)
{
    struct lane *lane = arg;
    lane->is_due = false;
    while (has_to_do(lane))
        start(lane);
    lane_drop_if_idle(lane);
}

/* When the loop has nothing else to do: other messages may be complete by then, too. */
static void lane_go_on(struct lane *lane)
{
    if (lane->is_due || !has_to_do(lane))
        return;
    lane->is_due = true;
    reactor_defer(lane->commit->reactor, GATHERING_TURNS, lane_on_turn, lane);
}

/* After the last one the commit may be freed. */
static void batch_tell(void *arg)
{
    struct batch *b = arg;
    for (int i = 0; i < TOLD_AT_ONCE && b->items != NULL; i++) {
        struct commit_item *item = b->items;
        b->items = item->next; /* on_done may free the item */
        item->on_done(item->owner);
    }
    if (b->items != NULL)
        reactor_defer(b->reactor, 1, batch_tell, b);
    else
        g_free(b);
}

static void batch_done(void *arg)
{
    struct batch *b = arg;
    struct lane *lane = g_steal_pointer(&b->lane);
    lane->jobs--;
    lane_go_on(lane);
    lane_drop_if_idle(lane);
    batch_tell(b);
}

void commit_add(struct commit *c, struct commit_item *item)
{
    struct lane *lane = lane_for(c, c->grouping ? item->file_system : 0);
    item->next = NULL;
    *lane->last = item;
    lane->last = &item->next;
    lane->waiting += item->copies->count;
    lane_go_on(lane);
}
