#include "delivery_rig.h"

#include "suite.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "delivery/commit.h"
#include "delivery/quota.h"
#include "disk/disk.h"
#include "maildirs.h"

/* ---- what is delivered ---- */

/* Lines of many lengths, some empty, and now and then a CR where it ends no line. */
static void make_message(const struct rig_plan *plan, GString *body, GString *wire)
{
    size_t size = plan->ends_in_cr ? plan->size - 1 : plan->size;
    const char *line_end = plan->verbatim ? "\n" : "\r\n";
    struct pst_random random;
    pst_random_seed(&random, size);
    while (body->len < size) {
        char line[120];
        size_t len = (size_t)pst_random_below(&random, sizeof line);
        memset(line, 'a' + (int)(body->len % 26), len);
        if (len > 10 && len % 8 == 0)
            line[len - 1 - len % 3] = '\r';
        struct slice text = slice_first(slice_of(line, len), size - body->len);
        g_string_append_len(body, line, (gssize)text.len);
        g_string_append_len(wire, line, (gssize)text.len);
        if (body->len < size) {
            g_string_append_c(body, '\n');
            g_string_append(wire, line_end);
        }
    }
    if (plan->ends_in_cr) {
        g_string_append_c(body, '\r');
        g_string_append_c(wire, '\r');
    }
}

static char *front_of(const struct rig_plan *plan)
{
    GString *front = g_string_new(NULL);
    for (size_t i = 0; i < MAX(plan->front_times, 1) && plan->front != NULL; i++)
        g_string_append(front, plan->front);
    return g_string_free(front, FALSE);
}

/* The file lacks its end, if it is to be found too short. */
static void make_other_body(struct rig *rig, GString *other)
{
    const struct rig_plan *plan = rig->plan;
    for (size_t line = 0; other->len < plan->other; line++)
        g_string_append_printf(other, "another line %zu%s\n", line, line % 3 == 0 ? "\r" : "");
    g_string_truncate(other, plan->other);
    auto_disk int root = disk_open_root(rig->root), file = disk_create(root, "scratch");
    struct slice content = slice_of(other->str, other->len - plan->other_lacks);
    assert_int_equal(disk_append(file, &content, 1), 0);
    rig->other = disk_open_file(root, "scratch");
    assert_true(rig->other >= 0);
}

static void make_stored(struct rig *rig)
{
    const struct rig_plan *plan = rig->plan;
    g_autofree char *front = front_of(plan);
    g_string_append(rig->stored, front);
    if (plan->other > 0) {
        g_autoptr(GString) other = g_string_new(NULL);
        make_other_body(rig, other);
        g_string_append_len(rig->stored, other->str + plan->skip, (gssize)(other->len - plan->skip));
    } else {
        g_string_append_len(rig->stored, rig->body->str + plan->skip, (gssize)(rig->body->len - plan->skip));
    }
}

static char *first_mailbox_of(const struct rig *rig, size_t i)
{
    return rig->plan->mailboxes[i] != NULL ? g_strdup(rig->plan->mailboxes[i]) : g_strdup_printf("box%zu", i);
}

static char *mailbox_of(const struct rig *rig, size_t i)
{
    return rig->is_retargeted ? g_strdup(rig->plan->others[i]) : first_mailbox_of(rig, i);
}

size_t rig_count(const struct rig *rig)
{
    size_t count = 0;
    while (rig->is_retargeted && rig->plan->others[count] != NULL)
        count++;
    return rig->is_retargeted ? count : rig->plan->count;
}

static bool was_there_before(const struct rig *rig, const char *mailbox, size_t *ret_number)
{
    for (size_t i = 0; i < rig->plan->count; i++) {
        g_autofree char *name = first_mailbox_of(rig, i);
        *ret_number = i;
        if (strcmp(name, mailbox) == 0)
            return true;
    }
    return false;
}

/* Of those that it was retargeted to, who was there before keeps its number, and so its head. */
static size_t number_of(const struct rig *rig, size_t i)
{
    size_t number;
    if (!rig->is_retargeted)
        return i;
    for (size_t k = 0; k < i; k++)
        if (strcmp(rig->plan->others[k], rig->plan->others[i]) == 0)
            return 100 + i;
    return was_there_before(rig, rig->plan->others[i], &number) ? number : 100 + i;
}

static char *head_of(const struct rig *rig, size_t i)
{
    if (rig->plan->single)
        return g_strdup("Return-Path: <>\n");
    g_autofree char *mailbox = mailbox_of(rig, i);
    return g_strdup_printf("Delivered-To: %s@example.org\nX-Copy: %zu\n", mailbox, number_of(rig, i));
}

size_t rig_copy_size(const struct rig *rig, size_t i)
{
    g_autofree char *head = head_of(rig, i);
    return strlen(head) + rig->stored->len;
}

/* By its name alone. */
static void fill(const struct rig *rig, const char *mailbox)
{
    g_autofree char *name = g_strdup_printf("message,S=%" G_GUINT64_FORMAT, rig->plan->quota);
    g_autofree char *path = g_build_filename(mailbox, "cur", NULL);
    auto_disk int root = disk_open_root(rig->root), cur = disk_open_beneath(root, path);
    auto_disk int file = disk_create(cur, name);
    assert_true(file >= 0);
    assert_int_equal(disk_sync_dir(cur), 0);
}

static void make_without_cur(const struct rig *rig, const char *name)
{
    maildirs_add_part(rig->root, name, "new");
    maildirs_add_part(rig->root, name, "tmp");
}

static void make_maildir(const struct rig *rig, const char *name)
{
    g_autoptr(GPtrArray) there = maildirs_names(rig->root, name, ".");
    if (there->len > 0 || g_str_has_prefix(name, "missing"))
        return;
    if (g_str_has_prefix(name, "broken") || g_str_has_prefix(name, "half"))
        maildirs_add_part(rig->root, name, "new");
    else if (g_str_has_prefix(name, "nocur"))
        make_without_cur(rig, name);
    else
        maildirs_add(rig->root, name);
    if (strcmp(name, "full") == 0)
        fill(rig, name);
}

void rig_init(struct rig *rig, const struct rig_plan *plan)
{
    *rig = (struct rig){ .plan = plan, .root = maildirs_new(), .router = router_new(), .other = -1 };
    rig->body = g_string_sized_new(plan->size);
    rig->stored = g_string_sized_new(plan->size);
    rig->wire = g_string_sized_new(plan->size + plan->size / 8);
    make_message(plan, rig->body, rig->wire);
    assert_int_equal(
        router_add_domain(rig->router, "example.org", &(struct domain_options){ .maildirs = rig->root }), 0);
    for (size_t i = 0; i < plan->count; i++) {
        g_autofree char *name = first_mailbox_of(rig, i);
        make_maildir(rig, name);
    }
    for (size_t i = 0; i < RIG_MAX && plan->others[i] != NULL; i++)
        make_maildir(rig, plan->others[i]);
    assert_int_equal(reactor_new(2, &rig->reactor), 0);
    rig->commit = commit_new(rig->reactor, true);
    rig->descriptors = maildirs_open_descriptors();
    make_stored(rig);
}

void rig_clear(struct rig *rig)
{
    commit_free(rig->commit);
    assert_int_equal(reactor_free(rig->reactor), 0);
    router_free(rig->router);
    maildirs_free(rig->root);
    g_string_free(rig->wire, TRUE);
    g_string_free(rig->body, TRUE);
    g_string_free(rig->stored, TRUE);
}

/* ---- the delivery's owner ---- */

static struct mailbox *make_mailbox(const struct rig *rig, size_t i);
static struct delivery_way way_of(const char *digits);

static bool any_refused(const struct rig *rig)
{
    for (size_t i = 0; i < rig_count(rig); i++)
        if (rig->plan->refusals[i] != 0)
            return true;
    return false;
}

static void end(struct rig *rig, bool abort)
{
    struct delivery *d = g_steal_pointer(&rig->delivery);
    const struct rig_plan *plan = rig->plan;
    rig->ended = true;
    rig->in_call = true;
    if (abort) {
        delivery_abort(d);
    } else {
        /* A copy that is gone after the call. */
        g_autofree int *refusals = g_memdup2(plan->refusals, rig_count(rig) * sizeof *refusals);
        delivery_finish(d, any_refused(rig) ? refusals : NULL);
    }
    rig->in_call = false;
}

/* ---- its owner looks at what is sealed, and changes it ---- */

static void look_at_body(const struct rig *rig, const struct delivery_body *body)
{
    size_t len = rig->body->len;
    g_autofree char *read = g_malloc(len + 2); /* a NUL, and an octet too much */
    assert_int_equal(body->size, len);
    assert_int_equal(body->file < 0, len <= DELIVERY_SMALL + 1);
    if (body->file < 0)
        assert_true(slice_equal(body->octets, slice_of(rig->body->str, len)));
    else if (!rig->is_blind) {
        assert_int_equal(disk_read(body->file, body->offset, read, len + 1), len);
        assert_memory_equal(read, rig->body->str, len);
        struct slice more = slice_str("more");
        assert_int_equal(disk_append(body->file, &more, 1), -EBADF);
    }
}

static void edit(struct rig *rig)
{
    const struct rig_plan *plan = rig->plan;
    g_autofree char *front = front_of(plan); /* gone after the call */
    rig->in_call = true;
    if (plan->other > 0) {
        assert_int_equal(
            delivery_replace(rig->delivery, rig->other, plan->other, slice_str(front), plan->other + 1),
            -EINVAL);
        assert_int_equal(
            delivery_replace(rig->delivery, rig->other, plan->other, slice_str(front), plan->skip), 0);
    } else if (plan->front != NULL || plan->skip > 0) {
        if (rig->body_error == 0) {
            struct slice nothing = slice_of(NULL, 0);
            assert_int_equal(delivery_set_content(rig->delivery, nothing, rig->body->len + 1), -EINVAL);
        }
        assert_int_equal(delivery_set_content(rig->delivery, slice_str(front), plan->skip), 0);
    }
    rig->in_call = false;
}

static void give_targets(struct rig *rig, struct delivery_target targets[RIG_MAX])
{
    for (size_t i = 0; i < rig_count(rig); i++) {
        targets[i] = (struct delivery_target){ .mailbox = make_mailbox(rig, i), .head = head_of(rig, i) };
        if (rig->plan->flags[i] != NULL)
            assert_int_equal(delivery_flags(rig->plan->flags[i], targets[i].flags), 0);
    }
}

static size_t give_ways(const struct rig *rig, struct delivery_way ways[RIG_WAYS])
{
    size_t count = 0;
    for (; count < RIG_WAYS && rig->plan->ways[count] != NULL; count++)
        ways[count] = way_of(rig->plan->ways[count]);
    return count;
}

static void retarget(struct rig *rig)
{
    struct delivery_target targets[RIG_MAX];
    struct delivery_way ways[RIG_WAYS];
    rig->is_retargeted = true;
    give_targets(rig, targets);
    size_t way_count = give_ways(rig, ways);
    rig->in_call = true;
    delivery_retarget(rig->delivery, targets, rig_count(rig), ways, way_count);
    rig->in_call = false;
}

static void go_on_sealed(struct rig *rig)
{
    struct delivery_body body;
    rig->sealed = true;
    rig->body_error = delivery_body(rig->delivery, &body);
    if (rig->body_error == 0)
        look_at_body(rig, &body);
    if (rig->plan->edits_last && rig->plan->retargets)
        retarget(rig);
    edit(rig);
    if (!rig->plan->edits_last && rig->plan->retargets)
        retarget(rig);
    end(rig, rig->plan->abort);
}

static void on_sealed(void *owner)
{
    struct rig *rig = owner;
    assert_false(rig->in_call);
    assert_false(rig->ended);
    assert_false(rig->sealed);
    assert_true(rig->awaits_sealed);
    go_on_sealed(rig);
}

static void end_or_seal(struct rig *rig)
{
    if (!rig->plan->seals) {
        end(rig, rig->plan->abort);
        return;
    }
    rig->in_call = true;
    rig->awaits_sealed = !delivery_seal(rig->delivery);
    rig->in_call = false;
    if (rig->plan->abort_sealing)
        end(rig, true);
    else if (!rig->awaits_sealed)
        go_on_sealed(rig);
}

/* ---- what comes ---- */

static void feed(struct rig *rig)
{
    while (!rig->held_back) {
        struct slice left = slice_skip(slice_of(rig->wire->str, rig->wire->len), rig->appended);
        if (rig->plan->abort_at > 0 && rig->appended >= rig->plan->abort_at) {
            end(rig, true);
            return;
        }
        if (left.len == 0) {
            end_or_seal(rig);
            return;
        }
        struct slice chunk = slice_first(left, rig->plan->chunk);
        /* A copy that is gone after the call: nothing may be kept of it. */
        g_autofree uint8_t *bytes = g_memdup2(chunk.data, chunk.len);
        rig->in_call = true;
        rig->held_back = !delivery_append(rig->delivery, slice_of(bytes, chunk.len));
        rig->in_call = false;
        rig->appended += chunk.len;
        assert_int_equal(delivery_octets(rig->delivery), rig->appended);
    }
    if (rig->plan->abort_at > 0 && rig->appended >= rig->plan->abort_at)
        end(rig, true); /* while a job is under way */
}

static void on_ready(void *owner)
{
    struct rig *rig = owner;
    assert_false(rig->in_call);
    assert_false(rig->ended);
    assert_true(rig->held_back);
    rig->held_back = false;
    rig->ready++;
    feed(rig);
}

static void on_done(void *owner, const int *results, size_t count)
{
    struct rig *rig = owner;
    assert_false(rig->in_call);
    assert_true(rig->ended);
    assert_int_equal(rig->room.staged, 0);
    assert_int_equal(count, rig_count(rig));
    if (count > 0)
        memcpy(rig->results, results, count * sizeof *results);
    rig->done++;
}

static const struct delivery_events events = { .on_ready = on_ready,
                                               .on_sealed = on_sealed,
                                               .on_done = on_done };

static bool is_made(const char *mailbox)
{
    return g_str_has_prefix(mailbox, "missing") || g_str_has_prefix(mailbox, "half");
}

static bool has_quota(const char *mailbox)
{
    return g_str_has_prefix(mailbox, "full") || g_str_has_prefix(mailbox, "quota");
}

static struct mailbox *make_mailbox(const struct rig *rig, size_t i)
{
    struct mailbox *m = g_new0(struct mailbox, 1);
    m->file_system = 1;
    m->domain = router_find_domain(rig->router, "example.org");
    g_autofree char *path = mailbox_of(rig, i);
    g_auto(GStrv) parts = g_strsplit(path, "/", 2);
    m->name = g_strdup(parts[0]);
    m->folder = g_strdup(parts[1]);
    m->create = is_made(path);
    if (has_quota(path))
        m->quota = rig->plan->quota;
    return m;
}

static struct delivery_way way_of(const char *digits)
{
    return (struct delivery_way){ .recipient = (size_t)(digits[0] - '0'),
                                  .target = (size_t)(digits[1] - '0') };
}

void rig_run(struct rig *rig)
{
    rig->appended = 0;
    rig->ended = rig->sealed = rig->awaits_sealed = rig->is_retargeted = false;
    rig->ready = rig->done = 0;
    rig->room = (struct delivery_room){ .most = rig->plan->no_room ? 0 : 1 };
    struct delivery_target targets[RIG_MAX];
    struct delivery_way ways[RIG_WAYS];
    give_targets(rig, targets);
    size_t way_count = rig->plan->retargets ? 0 : give_ways(rig, ways);
    /* Gone before the first job runs, as a listener's are when a server stops: nothing may be read of them
     * later. */
    struct delivery_settings *settings = g_new0(struct delivery_settings, 1);
    *settings = (struct delivery_settings){
        .sync = rig->plan->sync,
        .each = rig->plan->each,
        .verbatim = rig->plan->verbatim,
        .single_instance = rig->plan->single,
        .hostname = "mx.example.org",
        .commit = rig->commit,
        .room = &rig->room,
    };
    rig->delivery =
        delivery_new(rig->reactor, settings, targets, rig->plan->count, ways, way_count, &events, rig);
    g_free(settings);
    feed(rig);
    reactor_run(rig->reactor);
    assert_true(rig->ended);
    bool aborted = rig->plan->abort || rig->plan->abort_at > 0 || rig->plan->abort_sealing;
    assert_int_equal(rig->done, aborted ? 0 : 1);
    assert_int_equal(rig->room.staged, 0); /* others have it again, however it ended */
    if (rig->other >= 0)
        disk_close(rig->other);
    rig->other = -1;
    if (rig->body_error < 0 && rig->done > 0 && rig_count(rig) > 0)
        assert_int_equal(rig->results[rig_count(rig) - 1] < 0, true);
}

/* ---- what it left ---- */

/* Which recipient's whole copy that is. */
static size_t owner_of(const struct rig *rig, const char *mailbox, const GString *content)
{
    for (size_t i = 0; i < rig_count(rig); i++) {
        g_autofree char *name = mailbox_of(rig, i);
        g_autofree char *head = head_of(rig, i);
        size_t head_len = strlen(head);
        if (strcmp(name, mailbox) == 0 && content->len == head_len + rig->stored->len &&
            memcmp(content->str, head, head_len) == 0 &&
            memcmp(content->str + head_len, rig->stored->str, rig->stored->len) == 0)
            return i;
    }
    fail_msg("not a whole copy in %s: %zu octets", mailbox, content->len);
    return 0;
}

static void check_name(const char *name, const GString *content, const char *flags)
{
    size_t bare = 0;
    for (size_t i = 0; i < content->len; i++)
        bare += content->str[i] == '\n' && (i == 0 || content->str[i - 1] != '\r');
    g_autofree char *want = g_strdup_printf(",S=%zu,W=%zu%s%s", content->len, content->len + bare,
                                            *flags != '\0' ? ":2," : "", flags);
    assert_true(g_str_has_suffix(name, want));
}

/* Flags are given sorted in `plan`; who has some has its copy in cur/, where nobody else's is. */
static void look_into(const struct rig *rig, const char *mailbox, const char *sub, unsigned *copies)
{
    g_autoptr(GPtrArray) names = maildirs_names(rig->root, mailbox, sub);
    for (guint n = 0; n < names->len; n++) {
        const char *name = g_ptr_array_index(names, n);
        if (g_str_has_prefix(name, "message,S=")) /* what fills it */
            continue;
        GString *content = maildirs_read(rig->root, mailbox, sub, name);
        assert_non_null(content);
        size_t owner = owner_of(rig, mailbox, content);
        const char *flags = rig->plan->flags[owner] != NULL ? rig->plan->flags[owner] : "";
        check_name(name, content, flags);
        assert_string_equal(sub, *flags != '\0' ? "cur" : "new");
        copies[owner]++;
        g_string_free(content, TRUE);
    }
}

static bool is_first_with_its_mailbox(const struct rig *rig, size_t i)
{
    g_autofree char *mailbox = mailbox_of(rig, i);
    for (size_t other = 0; other < i; other++) {
        g_autofree char *name = mailbox_of(rig, other);
        if (strcmp(name, mailbox) == 0)
            return false;
    }
    return true;
}

uint64_t rig_quota_use(const struct rig *rig, size_t i)
{
    g_autofree char *mailbox = mailbox_of(rig, i);
    *strchrnul(mailbox, '/') = '\0';
    auto_disk int root = disk_open_root(rig->root), top = disk_open_beneath(root, mailbox);
    struct quota_use use;
    assert_int_equal(quota_read(top, rig->plan->quota, &use), 0);
    return use.octets;
}

/* A maildir that was made for a message is a whole one. */
static void check_maildir(const struct rig *rig, size_t i)
{
    g_autofree char *mailbox = mailbox_of(rig, i);
    g_autoptr(GPtrArray) parts = maildirs_names(rig->root, mailbox, ".");
    if (is_made(mailbox))
        assert_int_equal(parts->len, 3);
}

static bool recipient_failed(const struct rig *rig, size_t recipient)
{
    for (size_t w = 0; w < RIG_WAYS && rig->plan->ways[w] != NULL; w++) {
        struct delivery_way way = way_of(rig->plan->ways[w]);
        if (way.recipient == recipient && rig->results[way.target] < 0)
            return true;
    }
    return false;
}

/* A target has a copy if, and unless something else is wrong with it only if, a recipient that reaches it has
 * not failed. */
static void check_ways(const struct rig *rig)
{
    unsigned wanted[RIG_MAX] = { 0 };
    for (size_t w = 0; w < RIG_WAYS && rig->plan->ways[w] != NULL; w++) {
        struct delivery_way way = way_of(rig->plan->ways[w]);
        wanted[way.target] += !recipient_failed(rig, way.recipient);
    }
    for (size_t i = 0; i < rig_count(rig); i++) {
        if (rig->results[i] == 0)
            assert_true(wanted[i] > 0);
        else
            assert_int_equal(wanted[i], 0);
    }
}

static void check_tmp(const struct rig *rig)
{
    assert_int_equal(maildirs_open_descriptors(), rig->descriptors);
    for (size_t i = 0; i < rig_count(rig); i++) {
        g_autofree char *mailbox = mailbox_of(rig, i);
        assert_int_equal(maildirs_count(rig->root, mailbox, "tmp"), 0);
    }
}

/* Who was to get the message before it went to others: unless it is one of those, it has nothing. */
static void check_former_targets(const struct rig *rig, enum rig_strictness strictness)
{
    unsigned copies[RIG_MAX] = { 0 };
    for (size_t i = 0; rig->is_retargeted && i < rig->plan->count; i++) {
        g_autofree char *mailbox = first_mailbox_of(rig, i);
        look_into(rig, mailbox, "new", copies); /* which fails for another's */
        look_into(rig, mailbox, "cur", copies);
        if (strictness == RIG_EXACT)
            assert_int_equal(maildirs_count(rig->root, mailbox, "tmp"), 0);
    }
}

void rig_check(const struct rig *rig, enum rig_strictness strictness)
{
    unsigned copies[RIG_MAX] = { 0 };
    for (size_t i = 0; i < rig_count(rig); i++) {
        g_autofree char *mailbox = mailbox_of(rig, i);
        if (is_first_with_its_mailbox(rig, i)) {
            look_into(rig, mailbox, "new", copies);
            look_into(rig, mailbox, "cur", copies);
        }
    }
    if (strictness == RIG_EXACT)
        check_tmp(rig);
    check_former_targets(rig, strictness);
    if (rig->plan->ways[0] != NULL && rig->plan->each)
        check_ways(rig);
    for (size_t i = 0; i < rig_count(rig); i++) {
        bool delivered = rig->done > 0 && rig->results[i] == 0;
        if (delivered)
            check_maildir(rig, i);
        assert_true(rig->results[i] <= 0);
        if (strictness == RIG_AT_LEAST)
            assert_in_range(copies[i], delivered, 1);
        else
            assert_int_equal(copies[i], delivered);
        if (!rig->plan->each)
            assert_int_equal(rig->results[i], rig->results[0]);
    }
}
