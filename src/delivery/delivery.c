#include "delivery/delivery.h"

#include <errno.h>
#include <glib.h>

#include "base/assert.h"
#include "delivery/block.h"
#include "delivery/commit.h"
#include "delivery/copies.h"
#include "disk/disk.h"
#include "message/lines.h"

const char *const delivery_sync_names[] = { "group", "each", "none", NULL };

int delivery_flags(const char *letters, char ret_flags[DELIVERY_FLAGS_SIZE])
{
    static const char all[] = "DFPRST";
    if (letters[strspn(letters, all)] != '\0')
        return -EINVAL;
    size_t count = 0;
    for (const char *flag = all; *flag != '\0'; flag++)
        if (strchr(letters, *flag) != NULL)
            ret_flags[count++] = *flag;
    ret_flags[count] = '\0';
    return 0;
}

/*
 * One job at a time. While it is under way it owns `writing` and `copies`, and the loop `gathering`; the two
 * blocks trade places when it is submitted. A block is due when it holds more than DELIVERY_SMALL. While
 * it has to wait it goes on growing, up to DELIVERY_HELD_BACK, so that a loop and a job that take turns on
 * one message need not wake each other for each read.
 *
 *    OPEN --finish--> FINISHED --replace job, if the body was replaced--> --commit job--> on_done, gone
 *      `---seal--> SEALING --seal job, if something was staged--> SEALED --finish--> FINISHED
 *    all but FINISHED --abort--> ABORTED --clear job, if something was staged--> gone
 */
struct delivery {
    struct reactor *reactor;
    struct delivery_events events;
    void *owner;
    enum { OPEN, SEALING, SEALED, FINISHED, ABORTED } phase;
    bool is_busy;      /* a job is under way */
    bool is_lost;      /* staging failed: what still comes is dropped */
    bool is_held_back; /* the owner waits for on_ready */
    bool has_room;     /* it is one of those that may be staged */
    uint64_t octets;
    struct line_ends line_ends;
    struct block gathering;
    struct block writing;
    struct copies copies;
    int *refusals;  /* NULL: none */
    uint8_t *front; /* of an edited body; or NULL */
    struct {
        int file; /* of a body that takes the place of ours, borrowed; or -1 */
        uint64_t offset, size;
    } other;
    struct commit_item item;
    size_t count;              /* of the list that it was begun with */
    struct target_copy list[]; /* of copies, unless they got another; ways and results are behind it */
};

/* ---- the jobs ---- */

static bool block_is_due(const struct block *b)
{
    return b->len > DELIVERY_SMALL;
}

static void free_targets(const struct target_copy *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mailbox_free(list[i].target.mailbox);
        g_free(list[i].target.head);
    }
}

static void clear_blocks(struct delivery *d)
{
    block_clear(&d->gathering);
    block_clear(&d->writing);
}

static void delivery_free(struct delivery *d)
{
    free_targets(d->list, d->count);
    if (d->copies.list != d->list) {
        free_targets(d->copies.list, d->copies.count);
        g_free(d->copies.list);
    }
    clear_blocks(d);
    g_free(d->front);
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
    if (copies_are_on_disk(&d->copies))
        submit(d, run_clear, on_cleared);
    else
        delivery_free(d);
}

/* While the loop still has its room: what is aborted may end after its owner. */
static void leave_room(struct delivery *d)
{
    if (d->has_room)
        d->copies.settings.room->staged--;
    d->has_room = false;
}

static void on_committed(void *arg)
{
    struct delivery *d = arg;
    leave_room(d);
    d->events.on_done(d->owner, d->copies.results, d->copies.count);
    delivery_free(d);
}

/*
 * The file system whose batches it joins, or 0: it goes alone. A message that waits for several disks shall
 * hold up nobody who waits for one of them, nor one that has much to copy those that have little.
 */
static uint64_t common_file_system(const struct copies *c)
{
    uint64_t unused;
    bool is_on_disk = copies_find_body(c, &unused) != NULL, is_staged = c->staged < c->count;
    size_t most = !is_on_disk || (is_staged && c->settings.single_instance) ? COPIES_OPEN_MAX : is_staged;
    if (c->count > most)
        return 0;
    uint64_t common = c->list[0].target.mailbox->file_system;
    for (size_t i = 1; i < c->count; i++)
        if (c->list[i].target.mailbox->file_system != common)
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
        .file_system = common_file_system(&d->copies),
        .on_done = on_committed,
        .owner = d,
    };
    commit_add(d->copies.settings.commit, &d->item);
}

/* ---- what a job writes ---- */

/* While more comes, the disk has begun: the commit would have to wait for all of it at the end. */
static void write_block(struct delivery *d, const struct block *b)
{
    struct copies *c = &d->copies;
    copies_stage(c, block_slice(b));
    if (c->error == 0 && c->settings.sync != DELIVERY_SYNC_NONE)
        copies_fail(c, maildir_copy_write_out(&c->list[c->staged].copy));
}

/* ---- a body in place of ours ---- */

/* In one piece, as far as the block has room for it. */
static int read_other(struct delivery *d)
{
    size_t len = (size_t)MIN(d->other.size - d->other.offset, DELIVERY_SMALL);
    int64_t got = disk_read(d->other.file, d->other.offset, block_reserve(&d->gathering, len), len);
    if (got <= 0)
        return got < 0 ? (int)got : -EIO;
    d->gathering.len += (size_t)got;
    d->other.offset += (uint64_t)got;
    return 0;
}

/* It is gathered and staged as ours was. So it is read just once, whoever may write to the file meanwhile. */
static void run_replace(void *arg)
{
    struct delivery *d = arg;
    copies_restart(&d->copies);
    while (d->copies.error == 0) {
        if (block_is_due(&d->gathering)) {
            write_block(d, &d->gathering);
            d->gathering.len = 0;
        } else if (d->other.offset < d->other.size) {
            copies_fail(&d->copies, read_other(d));
        } else {
            break;
        }
    }
}

static void on_replaced(void *arg)
{
    struct delivery *d = arg;
    d->is_busy = false;
    commit(d);
}

/* What is discarded takes a job, too, so that on_done comes on the loop. */
static void finish(struct delivery *d)
{
    if (d->copies.count == 0)
        submit(d, run_clear, on_committed);
    else if (d->other.file >= 0 && !d->is_lost)
        submit(d, run_replace, on_replaced);
    else
        commit(d);
}

/* ---- sealing ---- */

static void run_seal(void *arg)
{
    struct delivery *d = arg;
    copies_seal(&d->copies, block_slice(&d->gathering));
}

/* What is on disk, or was lost, need not be in memory any more. */
static void be_sealed(struct delivery *d)
{
    d->phase = SEALED;
    d->is_lost = d->copies.error < 0;
    clear_blocks(d);
    d->events.on_sealed(d->owner); /* which may end it */
}

static void on_seal_done(void *arg)
{
    struct delivery *d = arg;
    d->is_busy = false;
    if (d->phase == ABORTED)
        clear(d);
    else
        be_sealed(d);
}

static void seal(struct delivery *d)
{
    if (d->copies.error < 0)
        be_sealed(d);
    else
        submit(d, run_seal, on_seal_done);
}

/* ---- staging ---- */

static void run_stage(void *arg)
{
    struct delivery *d = arg;
    write_block(d, &d->writing);
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

/* What still comes is dropped; the commit tells why. */
static void lose(struct delivery *d)
{
    d->is_lost = true;
    clear_blocks(d);
}

static void go_on(struct delivery *d)
{
    if (d->copies.error < 0) {
        lose(d);
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
        finish(d);
    else if (d->phase == SEALING)
        seal(d);
    else
        go_on(d);
}

static bool take_room(struct delivery *d)
{
    struct delivery_room *room = d->copies.settings.room;
    if (room == NULL || d->has_room)
        return true;
    d->has_room = room->staged < room->most;
    room->staged += d->has_room;
    return d->has_room;
}

/* ---- for the owner ---- */

/* Behind its owner, or by itself: one piece of memory for the list of targets, the ways and the results. */
struct layout {
    size_t ways, results, size;
};

static struct layout lay_out(size_t count, size_t way_count)
{
    size_t list = count * sizeof(struct target_copy), ways = way_count * sizeof(struct delivery_way);
    return (struct layout){ .ways = list,
                            .results = list + ways,
                            .size = list + ways + MAX(count, 1) * sizeof(int) };
}

static void fill_in(struct target_copy *list, const struct delivery_target *take_targets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list[i] = (struct target_copy){ .target = take_targets[i], .copy = MAILDIR_COPY_INIT };
}

static void set_ways(struct delivery *d, const struct delivery_way *ways, size_t way_count)
{
    struct layout layout = lay_out(d->copies.count, way_count);
    d->copies.ways = (struct delivery_way *)(void *)((char *)d->copies.list + layout.ways);
    d->copies.way_count = way_count;
    for (size_t i = 0; i < way_count; i++) {
        pst_assert(ways[i].target < d->copies.count);
        d->copies.ways[i] = ways[i];
    }
}

struct delivery *delivery_new(struct reactor *r, const struct delivery_settings *settings,
                              const struct delivery_target *take_targets, size_t count,
                              const struct delivery_way *ways, size_t way_count,
                              const struct delivery_events *events, void *owner)
{
    pst_assert(count > 0);
    struct layout layout = lay_out(count, way_count);
    struct delivery *d = g_malloc0(sizeof *d + layout.size);
    d->reactor = r;
    d->events = *events;
    d->owner = owner;
    d->other.file = -1;
    d->count = count;
    fill_in(d->list, take_targets, count);
    d->copies = (struct copies){ .settings = *settings,
                                 .list = d->list,
                                 .results = (int *)(void *)((char *)d->list + layout.results),
                                 .count = count,
                                 .staged = count,
                                 .source = MAILDIR_COPY_INIT,
                                 .reader = -1 };
    set_ways(d, ways, way_count);
    struct maildir_stamp *stamp = &d->copies.stamp;
    stamp->wall_us = reactor_wall_us(r);
    stamp->process = reactor_process(r);
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
        d->is_held_back = d->gathering.len > DELIVERY_HELD_BACK;
        return !d->is_held_back;
    }
    if (take_room(d)) {
        stage(d);
    } else {
        copies_fail(&d->copies, -EMFILE);
        lose(d);
    }
    return true;
}

static void end_lines(struct delivery *d)
{
    if (!d->is_lost)
        d->gathering.len += line_ends_finish(&d->line_ends, block_reserve(&d->gathering, 1));
}

bool delivery_seal(struct delivery *d)
{
    pst_assert(d->phase == OPEN);
    end_lines(d);
    bool in_memory = !d->is_busy && (d->is_lost || !copies_are_on_disk(&d->copies));
    d->phase = in_memory ? SEALED : SEALING;
    if (!in_memory && !d->is_busy)
        seal(d);
    return in_memory;
}

int delivery_body(const struct delivery *d, struct delivery_body *ret_body)
{
    pst_assert(d->phase == SEALED);
    if (d->is_lost)
        return d->copies.error;
    struct delivery_body body = { .octets = block_slice(&d->gathering), .file = -1 };
    const struct maildir_copy *copy = copies_find_body(&d->copies, &body.offset);
    if (copy != NULL)
        body.file = d->copies.reader;
    body.size = copy != NULL ? copy->size - body.offset : body.octets.len;
    *ret_body = body;
    return 0;
}

int delivery_set_content(struct delivery *d, struct slice front, uint64_t skip)
{
    struct delivery_body body;
    pst_assert(d->phase == SEALED && d->front == NULL && d->other.file < 0);
    if (delivery_body(d, &body) < 0)
        return 0; /* finish tells */
    if (skip > body.size)
        return -EINVAL;
    d->front = g_memdup2(front.data, front.len);
    copies_edit(&d->copies, slice_of(d->front, front.len), skip);
    return 0;
}

int delivery_replace(struct delivery *d, int file, uint64_t size, struct slice front, uint64_t skip)
{
    pst_assert(d->phase == SEALED && d->front == NULL && d->other.file < 0);
    if (skip > size)
        return -EINVAL;
    d->other.file = file;
    d->other.offset = skip;
    d->other.size = size;
    if (d->is_lost)
        return 0;
    d->gathering.len = 0;
    if (front.len > 0)
        memcpy(block_reserve(&d->gathering, front.len), front.data, front.len);
    d->gathering.len = front.len;
    return 0;
}

void delivery_retarget(struct delivery *d, const struct delivery_target *take_targets, size_t count,
                       const struct delivery_way *ways, size_t way_count)
{
    pst_assert(d->phase == SEALED && d->copies.list == d->list);
    struct layout layout = lay_out(count, way_count);
    struct target_copy *list = g_malloc0(layout.size);
    fill_in(list, take_targets, count);
    copies_retarget(&d->copies, list, (int *)(void *)((char *)list + layout.results), count);
    set_ways(d, ways, way_count);
}

void delivery_finish(struct delivery *d, const int *refusals)
{
    pst_assert(d->phase == OPEN || d->phase == SEALED);
    if (d->phase == OPEN)
        end_lines(d);
    d->phase = FINISHED;
    if (refusals != NULL)
        d->refusals = g_memdup2(refusals, d->copies.count * sizeof *refusals); /* a job may own the copies */
    if (!d->is_busy)
        finish(d);
}

void delivery_abort(struct delivery *d)
{
    if (d == NULL)
        return;
    pst_assert(d->phase == OPEN || d->phase == SEALING || d->phase == SEALED);
    d->phase = ABORTED;
    leave_room(d);
    if (!d->is_busy)
        clear(d);
}

uint64_t delivery_octets(const struct delivery *d)
{
    return d->octets;
}
