#include "delivery/commit.h"

#include <glib.h>

#include "base/assert.h"
#include "delivery/copies.h"

enum {
    BATCH_COPIES = 64, /* of one batch, or one message: each has a descriptor open, and its maildir two */
    SINGLES = 16,      /* messages that are committed side by side, where they share nothing */
};

/*
 * Messages that take each step together. A batch that shares takes two jobs, so that the sync which makes its
 * names durable serves the next batch's data, too: a sync a batch, under load, and not two.
 */
struct batch {
    struct commit_item *items;
    struct open_maildirs *open;
    bool is_sharing;
};

/* What waits for one file system, or, with file_system 0, for those of which none can be synced as a whole.
 */
struct lane {
    struct commit *commit;
    uint64_t file_system;
    unsigned jobs;
    struct commit_item *first, **last;
    bool is_due;             /* it is about to start what it can */
    struct batch *published; /* while no job is under way that settles it; only of a lane that groups */
    struct lane *next;
};

struct commit {
    struct reactor *reactor;
    bool grouping;
    struct lane *lanes; /* only those in use */
};

/* A job. One of the two may be NULL. */
struct round {
    struct lane *lane;
    struct batch *older; /* published by the round before this: to be settled */
    struct batch *newer; /* to be written and published, and, unless it shares, settled */
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
static struct commit_item *lane_take_items(struct lane *lane)
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

/* A message that comes alone is synced by itself: that costs less than to sync all of its file system. */
static struct batch *lane_take(struct lane *lane)
{
    if (lane->first == NULL)
        return NULL;
    struct batch *b = g_new0(struct batch, 1);
    b->items = lane_take_items(lane);
    b->is_sharing = lane_is_grouping(lane) && (lane->published != NULL || b->items->next != NULL);
    return b;
}

/* ---- a round: on the pool ---- */

static bool batch_syncs_all(const struct batch *b)
{
    bool several = b->is_sharing || b->items->copies->count > 1;
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

static void batch_settle(struct batch *b)
{
    for_all(b, copies_settle);
    for_all(b, copies_end);
    g_clear_pointer(&b->open, open_maildirs_free);
}

static void batch_fail(struct batch *b, int error)
{
    for (struct commit_item *i = b->items; i != NULL; i = i->next)
        copies_fail(i->copies, error);
}

/* A sync that failed for one of them, because it had to take a name back, has lost what others had in that
 * directory, and no later sync would tell. */
static void batch_publish(struct batch *b)
{
    for_all(b, copies_publish);
    for (const struct commit_item *i = b->items; i != NULL; i = i->next)
        if (i->copies->lost < 0)
            batch_fail(b, i->copies->lost);
}

/*
 * A sync that failed is never tried again as if it could work: all that took part in it is lost, and its
 * senders will come again.
 */
static void sync_file_systems(struct batch *older, struct batch *newer)
{
    int r = open_maildirs_sync(older->open, newer != NULL ? newer->open : NULL);
    if (r == 0)
        return;
    batch_fail(older, r);
    if (newer != NULL)
        batch_fail(newer, r);
}

/* All steps that are left, of a batch that is written. */
static void batch_finish_alone(struct batch *b)
{
    sync_file_systems(b, NULL);
    for_all(b, copies_sync);
    batch_publish(b);
    sync_file_systems(b, NULL);
    batch_settle(b);
}

static void round_run(void *arg)
{
    struct round *round = arg;
    struct batch *older = round->older, *newer = round->newer;
    if (newer != NULL)
        batch_write(newer);
    if (older != NULL) {
        sync_file_systems(older, newer);
        batch_settle(older);
    }
    if (newer == NULL)
        return;
    if (!newer->is_sharing) {
        batch_finish_alone(newer);
        return;
    }
    if (older == NULL)
        sync_file_systems(newer, NULL);
    for_all(newer, copies_sync);
    batch_publish(newer);
}

/* ---- on the loop ---- */

static void batch_tell(struct batch *take_batch)
{
    for (struct commit_item *item = take_batch->items, *next; item != NULL; item = next) {
        next = item->next; /* on_done may free the item */
        item->on_done(item->owner);
    }
    g_free(take_batch);
}

static void round_done(void *arg);

static bool has_to_do(const struct lane *lane)
{
    return (lane->first != NULL || lane->published != NULL) &&
           lane->jobs < (lane_is_grouping(lane) ? 1 : SINGLES);
}

static void start(struct lane *lane)
{
    struct round *round = g_new0(struct round, 1);
    round->lane = lane;
    round->newer = lane_take(lane);
    round->older = g_steal_pointer(&lane->published);
    lane->jobs++;
    reactor_submit(lane->commit->reactor, round_run, round_done, round);
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
    if (lane->is_due)
        return;
    lane->is_due = true;
    reactor_defer(lane->commit->reactor, lane_on_turn, lane);
}

static void round_done(void *arg)
{
    g_autofree struct round *round = arg;
    struct lane *lane = round->lane;
    struct batch *older = round->older, *newer = round->newer;
    if (newer != NULL && newer->is_sharing)
        lane->published = g_steal_pointer(&newer);
    lane->jobs--;
    if (has_to_do(lane))
        lane_go_on(lane);
    lane_drop_if_idle(lane); /* before the last one is told, after whom the commit may be freed */
    if (older != NULL)
        batch_tell(older);
    if (newer != NULL)
        batch_tell(newer);
}

void commit_add(struct commit *c, struct commit_item *item)
{
    struct lane *lane = lane_for(c, c->grouping ? item->file_system : 0);
    item->next = NULL;
    *lane->last = item;
    lane->last = &item->next;
    lane_go_on(lane);
}
