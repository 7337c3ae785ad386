#include "delivery/delivery.h"

#include <glib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "delivery/commit.h"
#include "delivery/copies.h"
#include "message/lines.h"

const char *const delivery_sync_names[] = { "group", "each", "none", NULL };

/* Octets of the message as they will be stored. Grows with them, so that a small message costs little. */
struct block {
    uint8_t *bytes;
    size_t len, room;
};

/*
 * One job at a time. While it is under way it owns `writing` and `copies`, and the loop `gathering`; the two
 * blocks trade places when it is submitted. A block is due when it holds more than DELIVERY_SMALL, so that
 * DELIVERY_BLOCK has room for it and for what one more read from a socket brings.
 *
 *    OPEN --finish--> FINISHED --commit job--> on_done, gone
 *      `----abort---> ABORTED --clear job, if something was staged--> gone
 */
struct delivery {
    struct reactor *reactor;
    struct delivery_events events;
    void *owner;
    enum { OPEN, FINISHED, ABORTED } phase;
    bool is_busy;      /* a job is under way */
    bool is_lost;      /* staging failed: what still comes is dropped */
    bool is_held_back; /* the owner waits for on_ready */
    uint64_t octets;
    struct line_ends line_ends;
    struct block gathering;
    struct block writing;
    struct copies copies;
    int *refusals; /* NULL: none */
    struct commit_item item;
    struct target_copy list[]; /* of copies; its ways and results are behind it */
};

/* ---- blocks ---- */

/*
 * A block that is larger than DELIVERY_SMALL is mapped, so that its memory goes back to the system with the
 * message. malloc would keep some of it: the most that were ever in use at once, in holes of its heap.
 */
static bool block_is_mapped(const struct block *b)
{
    return b->room > DELIVERY_SMALL;
}

static void block_clear(struct block *b)
{
    if (block_is_mapped(b))
        (void)munmap(b->bytes, b->room); /* of what mmap gave, it cannot fail */
    else
        g_free(b->bytes);
    *b = (struct block){ .bytes = NULL };
}

static void block_map(struct block *b, size_t room)
{
    void *bytes = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pst_assert(bytes != MAP_FAILED); /* out of memory, which ends the process as it does in malloc */
    if (b->len > 0)
        memcpy(bytes, b->bytes, b->len);
    size_t len = b->len;
    block_clear(b);
    *b = (struct block){ .bytes = bytes, .len = len, .room = room };
}

static uint8_t *block_reserve(struct block *b, size_t more)
{
    size_t need = b->len + more;
    if (need > DELIVERY_SMALL && need > b->room) {
        block_map(b, MAX(need, DELIVERY_BLOCK));
    } else if (need > b->room) {
        b->room = MIN(MAX(need, 2 * b->room), DELIVERY_SMALL);
        b->bytes = g_realloc(b->bytes, b->room);
    }
    return b->bytes + b->len;
}

static struct slice block_slice(const struct block *b)
{
    return slice_of(b->bytes, b->len);
}

static bool block_is_due(const struct block *b)
{
    return b->len > DELIVERY_SMALL;
}

/* ---- the jobs ---- */

static void delivery_free(struct delivery *d)
{
    for (size_t i = 0; i < d->copies.count; i++) {
        mailbox_free(d->list[i].target.mailbox);
        g_free(d->list[i].target.head);
    }
    block_clear(&d->gathering);
    block_clear(&d->writing);
    g_free(d->refusals);
    g_free(d);
}

static void submit(struct delivery *d, void (*run)(void *arg), void (*done)(void *arg))
{
    pst_assert(!d->is_busy);
    d->is_busy = true;
    reactor_submit(d->reactor, run, done, d);
}

static void run_clear(void *arg)
{
    struct delivery *d = arg;
    copies_clear(&d->copies);
}

static void on_cleared(void *arg)
{
    delivery_free(arg);
}

/* Without the disk, if nothing was staged. */
static void clear(struct delivery *d)
{
    if (d->copies.staged < d->copies.count)
        submit(d, run_clear, on_cleared);
    else
        delivery_free(d);
}

static void on_committed(void *arg)
{
    struct delivery *d = arg;
    d->events.on_done(d->owner, d->copies.results, d->copies.count);
    delivery_free(d);
}

/*
 * The file system whose batches it joins, or 0: it goes alone. A message that waits for several disks shall
 * hold up nobody who waits for one of them, nor one that has much to copy those that have little.
 */
static uint64_t common_file_system(const struct delivery *d)
{
    bool is_staged = d->copies.staged < d->copies.count;
    bool has_much_to_copy = is_staged && !d->copies.settings.single_instance;
    if (d->copies.count > (has_much_to_copy ? 1 : COPIES_OPEN_MAX))
        return 0;
    uint64_t common = d->list[0].target.mailbox->file_system;
    for (size_t i = 1; i < d->copies.count; i++)
        if (d->list[i].target.mailbox->file_system != common)
            return 0;
    return common;
}

static void commit(struct delivery *d)
{
    d->is_busy = true;
    if (d->refusals != NULL)
        copies_refuse(&d->copies, d->refusals);
    d->item = (struct commit_item){
        .copies = &d->copies,
        .rest = block_slice(&d->gathering),
        .file_system = common_file_system(d),
        .on_done = on_committed,
        .owner = d,
    };
    commit_add(d->copies.settings.commit, &d->item);
}

static void run_stage(void *arg)
{
    struct delivery *d = arg;
    copies_stage(&d->copies, block_slice(&d->writing));
}

static void on_staged(void *arg);

static void stage(struct delivery *d)
{
    struct block full = d->gathering;
    d->gathering = d->writing;
    d->gathering.len = 0;
    d->writing = full;
    submit(d, run_stage, on_staged);
}

static void go_on(struct delivery *d)
{
    d->is_lost = d->copies.error < 0;
    if (d->is_lost) {
        block_clear(&d->gathering);
        block_clear(&d->writing);
    } else if (block_is_due(&d->gathering)) {
        stage(d);
    }
    if (d->is_held_back) {
        d->is_held_back = false;
        d->events.on_ready(d->owner); /* which may end it */
    }
}

static void on_staged(void *arg)
{
    struct delivery *d = arg;
    d->is_busy = false;
    if (d->phase == ABORTED)
        clear(d);
    else if (d->phase == FINISHED)
        commit(d);
    else
        go_on(d);
}

/* ---- for the owner ---- */

/* One piece of memory for all that lives as long as the delivery. */
static struct delivery *allocate(size_t count, size_t way_count)
{
    size_t list_size = count * sizeof(struct target_copy);
    size_t ways_size = way_count * sizeof(struct delivery_way);
    struct delivery *d = g_malloc0(sizeof *d + list_size + ways_size + count * sizeof(int));
    d->copies.list = d->list;
    d->copies.ways = (struct delivery_way *)(void *)((char *)d->list + list_size);
    d->copies.way_count = way_count;
    d->copies.results = (int *)(void *)((char *)d->list + list_size + ways_size);
    d->copies.count = count;
    d->copies.staged = count;
    return d;
}

struct delivery *delivery_new(struct reactor *r, const struct delivery_settings *settings,
                              const struct delivery_target *take_targets, size_t count,
                              const struct delivery_way *ways, size_t way_count,
                              const struct delivery_events *events, void *owner)
{
    pst_assert(count > 0);
    struct delivery *d = allocate(count, way_count);
    for (size_t i = 0; i < way_count; i++) {
        pst_assert(ways[i].target < count);
        d->copies.ways[i] = ways[i];
    }
    d->reactor = r;
    d->events = *events;
    d->owner = owner;
    d->copies.settings = *settings;
    for (size_t i = 0; i < count; i++)
        d->list[i] = (struct target_copy){ .target = take_targets[i], .copy = MAILDIR_COPY_INIT };
    struct maildir_stamp *stamp = &d->copies.stamp;
    stamp->wall_us = reactor_wall_us(r);
    stamp->process = (uint64_t)getpid();
    stamp->hostname = settings->hostname;
    reactor_random(r, &stamp->random, sizeof stamp->random);
    return d;
}

bool delivery_append(struct delivery *d, struct slice bytes)
{
    pst_assert(d->phase == OPEN);
    d->octets += bytes.len;
    if (d->is_lost)
        return true;
    uint8_t *to = block_reserve(&d->gathering, bytes.len + 1); /* a CR may have been held */
    if (d->copies.settings.verbatim) {
        memcpy(to, bytes.data, bytes.len);
        d->gathering.len += bytes.len;
    } else {
        d->gathering.len += line_ends_convert(&d->line_ends, bytes, to);
    }
    if (!block_is_due(&d->gathering))
        return true;
    if (d->is_busy) {
        d->is_held_back = true;
        return false;
    }
    stage(d);
    return true;
}

void delivery_finish(struct delivery *d, const int *refusals)
{
    pst_assert(d->phase == OPEN);
    d->phase = FINISHED;
    if (refusals != NULL)
        d->refusals = g_memdup2(refusals, d->copies.count * sizeof *refusals); /* a job may own the copies */
    if (!d->is_lost)
        d->gathering.len += line_ends_finish(&d->line_ends, block_reserve(&d->gathering, 1));
    if (!d->is_busy)
        commit(d);
}

void delivery_abort(struct delivery *d)
{
    if (d == NULL)
        return;
    pst_assert(d->phase == OPEN);
    d->phase = ABORTED;
    if (!d->is_busy)
        clear(d);
}

uint64_t delivery_octets(const struct delivery *d)
{
    return d->octets;
}
