#include "delivery/copies.h"

#include <errno.h>
#include <glib.h>

#include "base/assert.h"
#include "disk/disk.h"

static bool is_staged(const struct copies *c)
{
    return c->staged < c->count;
}

static bool has_source(const struct copies *c)
{
    return c->source.state == MAILDIR_STAGED;
}

bool copies_are_on_disk(const struct copies *c)
{
    return is_staged(c) || has_source(c) || c->reader >= 0;
}

/* A message with very many targets takes each copy through each step by itself, so that it needs few
 * descriptors. */
static bool keeps_open(const struct copies *c)
{
    return c->count <= COPIES_OPEN_MAX;
}

/* ---- staging ---- */

static const char *unique_name(const struct copies *c, size_t i, char text[MAILDIR_UNIQUE_SIZE])
{
    return maildir_unique(&c->stamp, c->first_number + i, text);
}

/* NULL: each copy opens its own. */
static int shared_maildir(struct copies *c, size_t i, struct maildir **ret_maildir)
{
    *ret_maildir = NULL;
    return c->open != NULL && keeps_open(c)
               ? open_maildirs_get(c->open, c->list[i].target.mailbox, ret_maildir)
               : 0;
}

static struct slice behind_skipped(const struct copies *c, struct slice body)
{
    return slice_skip(body, (size_t)MIN(c->skip, body.len));
}

/* A new copy in tmp/: the head and what there is of the body. */
static int write_copy(struct copies *c, size_t i, struct slice body)
{
    struct target_copy *of = &c->list[i];
    char unique[MAILDIR_UNIQUE_SIZE];
    struct maildir *maildir;
    of->source = i;
    int r = shared_maildir(c, i, &maildir);
    if (r < 0)
        return r;
    r = maildir_copy_begin(&of->copy, of->target.mailbox, maildir, unique_name(c, i, unique));
    if (r < 0)
        return r;
    const struct slice parts[] = { slice_str(of->target.head), c->front, behind_skipped(c, body) };
    return maildir_copy_append(&of->copy, parts, sizeof parts / sizeof *parts);
}

/* The first part is still in memory: when one target's copy cannot take it, another's may. */
static int begin_staging(struct copies *c, struct slice body)
{
    int r = 0;
    for (size_t i = 0; i < c->count; i++) {
        r = write_copy(c, i, body);
        if (r >= 0) {
            c->staged = i;
            return 0;
        }
        c->results[i] = r;
        maildir_copy_clear(&c->list[i].copy);
        if (!c->settings.each)
            break;
    }
    return r;
}

static int take_over(struct copies *c, size_t i, const struct target_copy *from, struct slice part)
{
    int r = write_copy(c, i, slice_of(NULL, 0));
    if (r >= 0)
        r = maildir_copy_append_written(&c->list[i].copy, &from->copy, strlen(from->target.head));
    return r < 0 ? r : maildir_copy_append(&c->list[i].copy, &part, 1);
}

/* A disk that is full keeps what was written before: another target's copy may go on with it. Returns what
 * came of the last one that was tried. As with a source that goes unsynced, the file has to be asked whether
 * what was read is what had been written; else the body is lost. */
static int move_on(struct copies *c, int why, struct slice part)
{
    struct target_copy *full = &c->list[c->staged];
    int r = why;
    c->results[c->staged] = why;
    for (size_t i = c->staged + 1; i < c->count && r < 0; i++) {
        if (c->results[i] < 0)
            continue;
        r = take_over(c, i, full, part);
        int lost = r >= 0 ? maildir_copy_check(&full->copy) : 0;
        if (lost < 0) {
            maildir_copy_clear(&c->list[i].copy);
            return lost;
        }
        if (r >= 0) {
            c->staged = i;
            maildir_copy_clear(&full->copy);
        } else {
            c->results[i] = r;
            maildir_copy_clear(&c->list[i].copy);
        }
    }
    return r;
}

/* The next part of the body, or its last. 0 if it is staged; then c->staged may be another one. */
static int stage_on(struct copies *c, struct slice part)
{
    int r = maildir_copy_append(&c->list[c->staged].copy, &part, 1);
    bool is_full = r == -ENOSPC || r == -EDQUOT;
    return is_full && c->settings.each ? move_on(c, r, part) : r;
}

void copies_stage(struct copies *c, struct slice body)
{
    pst_assert(c->error == 0);
    c->error = is_staged(c) ? stage_on(c, body) : begin_staging(c, body);
    if (c->error < 0)
        copies_clear(c);
}

/* ---- a body that is whole ---- */

void copies_seal(struct copies *c, struct slice rest)
{
    pst_assert(is_staged(c));
    if (rest.len > 0)
        copies_stage(c, rest);
    if (c->error < 0)
        return;
    c->reader = maildir_copy_open_reader(&c->list[c->staged].copy);
    if (c->reader < 0) {
        c->error = c->reader;
        copies_clear(c);
    }
}

const struct maildir_copy *copies_find_body(const struct copies *c, uint64_t *ret_offset)
{
    if (!is_staged(c) && !has_source(c))
        return NULL;
    *ret_offset = is_staged(c) ? strlen(c->list[c->staged].target.head) : c->source_head;
    return is_staged(c) ? &c->list[c->staged].copy : &c->source;
}

/* Its name stays taken until it is cleared, so that those who are made from it have other numbers. */
static void make_source(struct copies *c)
{
    if (!is_staged(c))
        return;
    struct target_copy *from = &c->list[c->staged];
    c->source = from->copy;
    c->source_head = strlen(from->target.head);
    from->copy = (struct maildir_copy)MAILDIR_COPY_INIT;
    c->staged = c->count;
    c->first_number += c->count;
}

void copies_edit(struct copies *c, struct slice front, uint64_t skip)
{
    make_source(c);
    c->front = front;
    c->skip = skip;
}

static bool is_same_maildir(const struct mailbox *a, const struct mailbox *b)
{
    return mailbox_equal(a, b) && g_strcmp0(a->folder, b->folder) == 0;
}

static bool is_same_target(const struct delivery_target *a, const struct delivery_target *b)
{
    return is_same_maildir(a->mailbox, b->mailbox) && strcmp(a->head, b->head) == 0;
}

static size_t find_target(const struct target_copy *list, size_t count, const struct delivery_target *target)
{
    size_t i = 0;
    while (i < count && !is_same_target(&list[i].target, target))
        i++;
    return i;
}

void copies_retarget(struct copies *c, struct target_copy *list, int *results, size_t count)
{
    size_t stays = is_staged(c) ? find_target(list, count, &c->list[c->staged].target) : count;
    if (stays < count) {
        list[stays].copy = c->list[c->staged].copy;
        list[stays].source = stays;
        c->list[c->staged].copy = (struct maildir_copy)MAILDIR_COPY_INIT;
    } else {
        make_source(c);
    }
    c->first_number += c->count;
    c->list = list;
    c->results = results;
    c->count = count;
    c->staged = stays;
}

static void close_reader(struct copies *c)
{
    if (c->reader >= 0)
        disk_close(c->reader);
    c->reader = -1;
}

void copies_restart(struct copies *c)
{
    copies_clear(c);
    c->first_number += c->count;
}

/* ---- who has failed ---- */

static void fail_one(struct copies *c, size_t i, int error)
{
    if (c->results[i] == 0)
        c->results[i] = error;
    if (!c->settings.each)
        copies_fail(c, error);
}

static bool any_failed(const struct copies *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->results[i] < 0)
            return true;
    return false;
}

static bool all_failed(const struct copies *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->results[i] == 0)
            return false;
    return true;
}

void copies_fail(struct copies *c, int error)
{
    if (c->error == 0)
        c->error = error;
}

static size_t recipient_count(const struct copies *c)
{
    size_t count = 0;
    for (size_t w = 0; w < c->way_count; w++)
        count = MAX(count, c->ways[w].recipient + 1);
    return count;
}

/* So that none is taken to a target for which its sender will come again anyway. One pass is enough: a target
 * is only given up when all recipients that reach it have failed before. */
static void give_up_the_unwanted(struct copies *c)
{
    if (c->way_count == 0 || !c->settings.each || !any_failed(c))
        return;
    g_autofree bool *has_failed = g_new0(bool, recipient_count(c));
    g_autofree bool *is_wanted = g_new0(bool, c->count);
    for (size_t w = 0; w < c->way_count; w++)
        if (c->results[c->ways[w].target] < 0)
            has_failed[c->ways[w].recipient] = true;
    for (size_t w = 0; w < c->way_count; w++)
        if (!has_failed[c->ways[w].recipient])
            is_wanted[c->ways[w].target] = true;
    for (size_t i = 0; i < c->count; i++)
        if (!is_wanted[i] && c->results[i] == 0)
            c->results[i] = -ECANCELED;
}

void copies_refuse(struct copies *c, const int *refusals)
{
    for (size_t i = 0; i < c->count; i++)
        if (refusals[i] < 0)
            fail_one(c, i, refusals[i]);
    give_up_the_unwanted(c);
    if (all_failed(c))
        copies_fail(c, c->results[0]); /* nothing need be written any more */
}

/* ---- the steps of a commit, each for one copy ---- */

static int copy_from(struct copies *c, size_t i, const struct maildir_copy *from,
                     const struct maildir_tail *tail)
{
    int r = write_copy(c, i, slice_of(NULL, 0));
    return r < 0 ? r : maildir_copy_append_tail(&c->list[i].copy, from, tail);
}

static int copy_from_staged(struct copies *c, size_t i)
{
    const struct target_copy *from = &c->list[c->staged];
    const struct maildir_tail tail = maildir_copy_tail_behind(&from->copy, slice_str(from->target.head));
    return copy_from(c, i, &from->copy, &tail);
}

static bool can_be_twin(const struct copies *c, size_t i, size_t twin)
{
    const struct target_copy *t = &c->list[twin];
    bool is_whole = twin == c->staged || (c->results[twin] == 0 && t->copy.state == MAILDIR_STAGED);
    return is_whole && t->target.mailbox->file_system == c->list[i].target.mailbox->file_system;
}

/* The nearest copy before it that is whole, in the same file system as far as anybody knows; or the staged
 * one; or its own. */
static size_t find_twin(const struct copies *c, size_t i)
{
    for (size_t twin = i; twin-- > 0;)
        if (can_be_twin(c, i, twin))
            return twin;
    return is_staged(c) && can_be_twin(c, i, c->staged) ? c->staged : i;
}

static int link_copy(struct copies *c, size_t i, size_t twin)
{
    struct target_copy *of = &c->list[i], *from = &c->list[twin];
    char unique[MAILDIR_UNIQUE_SIZE];
    struct maildir *maildir;
    int r = shared_maildir(c, i, &maildir);
    if (r == 0)
        r = maildir_copy_link(&of->copy, of->target.mailbox, maildir, unique_name(c, i, unique), &from->copy);
    if (!keeps_open(c) && twin != c->staged)
        maildir_copy_rest(&from->copy);
    if (r < 0)
        maildir_copy_clear(&of->copy);
    else
        of->source = from->source;
    return r;
}

/* Once it is there, the others have it from there. */
static int write_rest(struct copies *c, size_t i)
{
    int r = c->rest.len > 0 ? stage_on(c, c->rest) : 0;
    if (r == 0)
        c->rest = slice_of(NULL, 0);
    return r < 0 || i == c->staged ? r : c->results[i];
}

static int write_whole(struct copies *c, size_t i)
{
    if (i == c->staged)
        return write_rest(c, i);
    size_t twin = c->settings.single_instance ? find_twin(c, i) : i;
    if (twin != i) {
        int r = link_copy(c, i, twin);
        if (r != -EXDEV && r != -EMLINK && r != -EPERM)
            return r;
    }
    if (is_staged(c))
        return copy_from_staged(c, i);
    return has_source(c) ? copy_from(c, i, &c->source, &c->tail) : write_copy(c, i, c->rest);
}

/*
 * The staged copy is the first of those that could be. Once it failed, even if only to be synced, nobody
 * knows what was or would be read from it: then no other is made.
 */
static int judge(struct copies *c, size_t i, int result)
{
    if (result < 0 && i == c->staged)
        c->error = result;
    return result;
}

static int sync_one(struct copies *c, size_t i)
{
    size_t source = c->list[i].source;
    if (source != i) /* it has its source's fate; a staged one's failure would have ended all */
        return source != c->staged ? c->results[source] : 0;
    return judge(c, i, maildir_copy_sync(&c->list[i].copy));
}

static int write_one(struct copies *c, size_t i)
{
    int r = judge(c, i, write_whole(c, i));
    if (r >= 0 && c->settings.sync != DELIVERY_SYNC_NONE && !keeps_open(c))
        r = sync_one(c, i); /* before its descriptor is closed */
    return r;
}

static int reserve_one(struct copies *c, size_t i)
{
    return maildir_copy_reserve(&c->list[i].copy);
}

static int settle_one(struct copies *c, size_t i)
{
    int r = maildir_copy_settle(&c->list[i].copy);
    c->lost = MIN(c->lost, c->list[i].copy.lost);
    return r;
}

/* A directory that is closed before it is synced, and opened again, may have lost the name in between: only
 * who had it open is told. */
static int publish_one(struct copies *c, size_t i)
{
    int r = maildir_copy_publish(&c->list[i].copy, c->list[i].target.flags);
    if (r >= 0 && c->settings.sync != DELIVERY_SYNC_NONE && !keeps_open(c))
        r = settle_one(c, i);
    c->lost = MIN(c->lost, c->list[i].copy.lost);
    return r;
}

/* A step, for each copy that can still be, or, if it holds the body for others, that cannot. */
static void for_all(struct copies *c, int (*step)(struct copies *c, size_t i), bool also_staged)
{
    for (size_t i = 0; i < c->count && c->error == 0; i++) {
        if (c->results[i] < 0 && !(also_staged && i == c->staged))
            continue;
        int r = step(c, i);
        if (r < 0)
            fail_one(c, i, r);
        if (!keeps_open(c) && i != c->staged)
            maildir_copy_rest(&c->list[i].copy);
    }
}

static void fail_all(struct copies *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->settings.each || c->results[i] == 0)
            c->results[i] = c->error;
}

static void open_source(struct copies *c)
{
    int r = has_source(c) && c->error == 0
                ? maildir_copy_find_tail(&c->source, c->source_head + c->skip, &c->tail)
                : 0;
    if (r < 0)
        copies_fail(c, r);
}

/* It is not synced, as it goes now; so it has to be asked whether all that was read from it was what had been
 * written. Going before the sync, it may never have to be brought to the disk. */
static void close_source(struct copies *c)
{
    int r = has_source(c) && c->error == 0 ? maildir_copy_check(&c->source) : 0;
    if (r < 0)
        copies_fail(c, r);
    maildir_copy_clear(&c->source);
}

/* All are durable in tmp/ before the first is seen in new/, as nothing fails as easily as writing. */
void copies_write(struct copies *c, struct slice rest, struct open_maildirs *open)
{
    c->rest = rest;
    c->open = open;
    close_reader(c);
    open_source(c);
    for_all(c, write_one, true);
    close_source(c);
}

void copies_sync(struct copies *c)
{
    if (c->settings.sync != DELIVERY_SYNC_NONE && keeps_open(c))
        for_all(c, sync_one, true);
}

void copies_publish(struct copies *c)
{
    for_all(c, reserve_one, false);
    give_up_the_unwanted(c);
    for_all(c, publish_one, false);
}

void copies_settle(struct copies *c)
{
    if (c->settings.sync != DELIVERY_SYNC_NONE && keeps_open(c))
        for_all(c, settle_one, false);
}

/* Whether `b` has its name where `a` had one. */
static bool is_same_directory(const struct maildir_copy *a, const struct maildir_copy *b)
{
    return b->state == MAILDIR_PUBLISHED && a->in_cur == b->in_cur && is_same_maildir(a->mailbox, b->mailbox);
}

void copies_fail_with(struct copies *c, const struct copies *lost)
{
    for (size_t k = 0; k < lost->count; k++) {
        const struct maildir_copy *one = &lost->list[k].copy;
        for (size_t i = 0; one->lost < 0 && i < c->count; i++)
            if (c->results[i] == 0 && is_same_directory(one, &c->list[i].copy))
                fail_one(c, i, one->lost);
    }
}

/* To senders, -ENOENT means that there is no such mailbox. There was one when the router looked: what is
 * missing since, its owner may bring back, and nobody's mail shall bounce for it. */
static void tell_from_no_such_mailbox(struct copies *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->results[i] == -ENOENT)
            c->results[i] = -ENODEV;
}

void copies_end(struct copies *c)
{
    if (c->error < 0)
        fail_all(c);
    tell_from_no_such_mailbox(c);
    give_up_the_unwanted(c);
    for (size_t i = 0; i < c->count; i++)
        if (c->results[i] < 0 && c->list[i].copy.state == MAILDIR_PUBLISHED)
            maildir_copy_withdraw(&c->list[i].copy);
    copies_clear(c);
    c->open = NULL;
}

void copies_clear(struct copies *c)
{
    for (size_t i = 0; i < c->count; i++)
        maildir_copy_clear(&c->list[i].copy);
    maildir_copy_clear(&c->source);
    close_reader(c);
    c->staged = c->count;
}
