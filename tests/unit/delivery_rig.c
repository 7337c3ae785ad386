#include "delivery_rig.h"

#include "suite.h"

#include <stdlib.h>

#include "base/random.h"
#include "delivery/commit.h"
#include "delivery/quota.h"
#include "disk/disk.h"
#include "maildirs.h"

/* ---- what is delivered ---- */

/* Lines of many lengths, some empty, and now and then a CR where it ends no line. */
static void make_message(const struct rig_plan *plan, GString *stored, GString *wire)
{
    size_t size = plan->ends_in_cr ? plan->size - 1 : plan->size;
    struct pst_random random;
    pst_random_seed(&random, size);
    while (stored->len < size) {
        char line[120];
        size_t len = (size_t)pst_random_below(&random, sizeof line);
        memset(line, 'a' + (int)(stored->len % 26), len);
        if (len > 10 && len % 8 == 0)
            line[len - 1 - len % 3] = '\r';
        struct slice text = slice_first(slice_of(line, len), size - stored->len);
        g_string_append_len(stored, line, (gssize)text.len);
        g_string_append_len(wire, line, (gssize)text.len);
        if (stored->len < size) {
            g_string_append_c(stored, '\n');
            g_string_append(wire, "\r\n");
        }
    }
    if (plan->ends_in_cr) {
        g_string_append_c(stored, '\r');
        g_string_append_c(wire, '\r');
    }
}

static char *mailbox_of(const struct rig *rig, size_t i)
{
    return rig->plan->mailboxes[i] != NULL ? g_strdup(rig->plan->mailboxes[i]) : g_strdup_printf("box%zu", i);
}

static char *head_of(const struct rig *rig, size_t i)
{
    if (rig->plan->single)
        return g_strdup("Return-Path: <>\n");
    g_autofree char *mailbox = mailbox_of(rig, i);
    return g_strdup_printf("Delivered-To: %s@example.org\nX-Copy: %zu\n", mailbox, i);
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

void rig_init(struct rig *rig, const struct rig_plan *plan)
{
    *rig = (struct rig){ .plan = plan, .root = maildirs_new(), .router = router_new() };
    rig->stored = g_string_sized_new(plan->size);
    rig->wire = g_string_sized_new(plan->size + plan->size / 8);
    make_message(plan, rig->stored, rig->wire);
    assert_int_equal(
        router_add_domain(rig->router, "example.org", &(struct domain_options){ .maildirs = rig->root }), 0);
    for (size_t i = 0; i < plan->count; i++) {
        g_autofree char *name = mailbox_of(rig, i);
        g_autoptr(GPtrArray) there = maildirs_names(rig->root, name, ".");
        if (there->len > 0 || g_str_has_prefix(name, "missing"))
            continue;
        if (g_str_has_prefix(name, "broken") || g_str_has_prefix(name, "half"))
            maildirs_add_part(rig->root, name, "new");
        else
            maildirs_add(rig->root, name);
        if (strcmp(name, "full") == 0)
            fill(rig, name);
    }
    assert_int_equal(reactor_new(2, &rig->reactor), 0);
    rig->commit = commit_new(rig->reactor, true);
    rig->descriptors = maildirs_open_descriptors();
}

void rig_clear(struct rig *rig)
{
    commit_free(rig->commit);
    assert_int_equal(reactor_free(rig->reactor), 0);
    router_free(rig->router);
    maildirs_free(rig->root);
    g_string_free(rig->wire, TRUE);
    g_string_free(rig->stored, TRUE);
}

/* ---- the delivery's owner ---- */

static bool any_refused(const struct rig_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->refusals[i] != 0)
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
        g_autofree int *refusals = g_memdup2(plan->refusals, plan->count * sizeof *refusals);
        delivery_finish(d, any_refused(plan) ? refusals : NULL);
    }
    rig->in_call = false;
}

static void feed(struct rig *rig)
{
    while (!rig->held_back) {
        struct slice left = slice_skip(slice_of(rig->wire->str, rig->wire->len), rig->appended);
        if (rig->plan->abort_at > 0 && rig->appended >= rig->plan->abort_at) {
            end(rig, true);
            return;
        }
        if (left.len == 0) {
            end(rig, rig->plan->abort);
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
    assert_int_equal(count, rig->plan->count);
    memcpy(rig->results, results, count * sizeof *results);
    rig->done++;
}

static const struct delivery_events events = { .on_ready = on_ready, .on_done = on_done };

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
    rig->ended = false;
    rig->ready = rig->done = 0;
    struct delivery_target targets[RIG_MAX];
    for (size_t i = 0; i < rig->plan->count; i++)
        targets[i] = (struct delivery_target){ .mailbox = make_mailbox(rig, i), .head = head_of(rig, i) };
    size_t way_count = 0;
    while (way_count < RIG_WAYS && rig->plan->ways[way_count] != NULL)
        way_count++;
    g_autofree struct delivery_way *ways = g_new(struct delivery_way, way_count);
    for (size_t i = 0; i < way_count; i++)
        ways[i] = way_of(rig->plan->ways[i]);
    /* Gone before the first job runs, as a listener's are when a server stops: nothing may be read of them
     * later. */
    struct delivery_settings *settings = g_new0(struct delivery_settings, 1);
    *settings = (struct delivery_settings){
        .sync = rig->plan->sync,
        .each = rig->plan->each,
        .single_instance = rig->plan->single,
        .hostname = "mx.example.org",
        .commit = rig->commit,
    };
    rig->delivery =
        delivery_new(rig->reactor, settings, targets, rig->plan->count, ways, way_count, &events, rig);
    g_free(settings);
    feed(rig);
    reactor_run(rig->reactor);
    assert_true(rig->ended);
    bool aborted = rig->plan->abort || rig->plan->abort_at > 0;
    assert_int_equal(rig->done, aborted ? 0 : 1);
}

/* ---- what it left ---- */

/* Which recipient's whole copy that is. */
static size_t owner_of(const struct rig *rig, const char *mailbox, const GString *content)
{
    for (size_t i = 0; i < rig->plan->count; i++) {
        g_autofree char *name = mailbox_of(rig, i);
        g_autofree char *head = head_of(rig, i);
        size_t head_len = strlen(head);
        if (strcmp(name, mailbox) == 0 && content->len == head_len + rig->stored->len &&
            memcmp(content->str, head, head_len) == 0 &&
            memcmp(content->str + head_len, rig->stored->str, rig->stored->len) == 0)
            return i;
    }
    fail_msg("not a whole copy in %s/new: %zu octets", mailbox, content->len);
    return 0;
}

static void check_sizes(const char *name, const GString *content)
{
    size_t bare = 0;
    for (size_t i = 0; i < content->len; i++)
        bare += content->str[i] == '\n' && (i == 0 || content->str[i - 1] != '\r');
    g_autofree char *want = g_strdup_printf(",S=%zu,W=%zu", content->len, content->len + bare);
    assert_true(g_str_has_suffix(name, want));
}

static void look_into_mailbox(const struct rig *rig, const char *mailbox, unsigned *copies)
{
    g_autoptr(GPtrArray) names = maildirs_names(rig->root, mailbox, "new");
    for (guint n = 0; n < names->len; n++) {
        const char *name = g_ptr_array_index(names, n);
        GString *content = maildirs_read(rig->root, mailbox, "new", name);
        assert_non_null(content);
        copies[owner_of(rig, mailbox, content)]++;
        check_sizes(name, content);
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
    for (size_t i = 0; i < rig->plan->count; i++) {
        if (rig->results[i] == 0)
            assert_true(wanted[i] > 0);
        else
            assert_int_equal(wanted[i], 0);
    }
}

void rig_check(const struct rig *rig, enum rig_strictness strictness)
{
    unsigned copies[RIG_MAX] = { 0 };
    for (size_t i = 0; i < rig->plan->count; i++) {
        g_autofree char *mailbox = mailbox_of(rig, i);
        if (is_first_with_its_mailbox(rig, i))
            look_into_mailbox(rig, mailbox, copies);
        if (strictness == RIG_EXACT) {
            assert_int_equal(maildirs_count(rig->root, mailbox, "tmp"), 0);
            assert_int_equal(maildirs_open_descriptors(), rig->descriptors);
        }
    }
    if (rig->plan->ways[0] != NULL && rig->plan->each)
        check_ways(rig);
    for (size_t i = 0; i < rig->plan->count; i++) {
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
