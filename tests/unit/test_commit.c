/*
 * Group commit: several messages that finish at once share the work, and each keeps its own promise. On the
 * simulated twins: every disk call of a batch fails once, and the power fails at every one.
 */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "delivery/commit.h"
#include "delivery/delivery.h"
#include "disk/disk_sim.h"
#include "maildirs.h"
#include "reactor/reactor_sim.h"

enum { MESSAGES_MAX = 100, COPIES_MAX = 3, ALL_LARGE = MESSAGES_MAX, PENDING = 1 };

static const struct plan {
    const char *name;
    size_t messages;
    size_t boxes;     /* they take turns */
    size_t large_one; /* the index of a message that is staged first; SIZE_MAX: none */
    enum delivery_sync sync;
    size_t late; /* so many, the last, are complete only when the others are being synced */
} plans[] = {
    { "five messages, a mailbox each", 5, 5, SIZE_MAX, DELIVERY_SYNC_GROUP },
    { "five messages to one mailbox", 5, 1, SIZE_MAX, DELIVERY_SYNC_GROUP },
    { "five messages to two mailboxes, one of them large", 5, 2, 3, DELIVERY_SYNC_GROUP },
    { "two messages to one mailbox", 2, 1, SIZE_MAX, DELIVERY_SYNC_GROUP },
    { "five messages, each for itself", 5, 2, SIZE_MAX, DELIVERY_SYNC_EACH },
    { "three messages, and then three more", 6, 2, SIZE_MAX, DELIVERY_SYNC_GROUP, 3 },
    { "three messages, and then one more", 4, 2, SIZE_MAX, DELIVERY_SYNC_GROUP, 1 },
    { "three messages, and then eight beside them", 11, 2, SIZE_MAX, DELIVERY_SYNC_GROUP, 8 },
    { "three messages to one mailbox, and then three more", 6, 1, SIZE_MAX, DELIVERY_SYNC_GROUP, 3 },
    { "five messages to one mailbox, the first large", 5, 1, 0, DELIVERY_SYNC_GROUP },
    { "five messages to one mailbox, the last large", 5, 1, 4, DELIVERY_SYNC_GROUP },
    { "five messages to two mailboxes, the first large", 5, 2, 0, DELIVERY_SYNC_GROUP },
    { "five messages to one mailbox, all large", 5, 1, ALL_LARGE, DELIVERY_SYNC_GROUP },
};

struct world {
    const struct plan *plan;
    size_t copies; /* of each message */
    char *root;
    struct reactor *reactor;
    struct router *router;
    struct delivery_settings settings;
    size_t descriptors;
    size_t most_open;          /* descriptors, at any call */
    size_t syncs, whole_syncs; /* of a file, a directory, or a file system; of the last */
    uint64_t dies_at;          /* calls behind one that failed, the power fails; 0: it does not */
    bool has_died;
    size_t told, most_told; /* messages, in one turn of the loop */
    struct message {
        struct world *world;
        char *box, *body;
        uint64_t file_system;
        struct delivery *delivery;
        int result;
    } messages[MESSAGES_MAX];
};

static void on_turn_of_others(void *world)
{
    ((struct world *)world)->told = 0;
}

static void on_done(void *owner, const int *results, size_t count)
{
    struct message *m = owner;
    struct world *w = m->world;
    if (w->told++ == 0)
        reactor_defer(w->reactor, 1, on_turn_of_others, w);
    w->most_told = MAX(w->most_told, w->told);
    assert_int_equal(count, w->copies);
    assert_int_equal(m->result, PENDING);
    m->result = results[0];
}

static void on_ready(void *owner)
{
    fail_msg("message %p was never held back", owner);
}

static void begin(struct world *w, size_t i)
{
    static const struct delivery_events events = { .on_ready = on_ready, .on_done = on_done };
    struct message *m = &w->messages[i];
    struct delivery_target targets[COPIES_MAX];
    for (size_t k = 0; k < w->copies; k++) {
        struct mailbox *mailbox = g_new0(struct mailbox, 1);
        mailbox->domain = router_find_domain(w->router, "example.org");
        mailbox->name = k == 0 ? g_strdup(m->box) : g_strdup_printf("box%zu", (i + k) % w->plan->boxes);
        mailbox->file_system = m->file_system;
        targets[k] = (struct delivery_target){ .mailbox = mailbox, .head = g_strdup("Head: 1\n") };
    }
    m->delivery = delivery_new(w->reactor, &w->settings, targets, w->copies, NULL, 0, &events, m);
    assert_true(delivery_append(m->delivery, slice_str(m->body)));
}

static bool is_large(const struct plan *plan, size_t i)
{
    return plan->large_one == ALL_LARGE || i == plan->large_one;
}

static void world_init(struct world *w, const struct plan *plan)
{
    *w = (struct world){ .plan = plan, .copies = 1, .root = maildirs_new(), .router = router_new() };
    assert_int_equal(
        router_add_domain(w->router, "example.org", &(struct domain_options){ .maildirs = w->root }), 0);
    assert_int_equal(reactor_new(1, &w->reactor), 0);
    w->settings = (struct delivery_settings){
        .sync = plan->sync,
        .hostname = "mx.example.org",
        .commit = commit_new(w->reactor, plan->sync == DELIVERY_SYNC_GROUP),
    };
    for (size_t i = 0; i < plan->messages; i++) {
        g_autofree char *filling = g_strnfill(is_large(plan, i) ? DELIVERY_SMALL : 10, 'x');
        w->messages[i] = (struct message){
            .world = w,
            .box = g_strdup_printf("box%zu", i % plan->boxes),
            .body = g_strdup_printf("message %zu %s\n", i, filling),
            .file_system = 1,
            .result = PENDING,
        };
        if (i < plan->boxes)
            maildirs_add(w->root, w->messages[i].box);
    }
    w->descriptors = maildirs_open_descriptors();
}

static void on_call(void *owner, const struct disk_sim_call *call)
{
    struct world *w = owner;
    w->most_open = MAX(w->most_open, disk_sim_open_descriptors());
    if (call->kind == DISK_SIM_RENAME) /* else a crash could leave the name alone */
        assert_true(disk_sim_is_synced(call->path));
    w->whole_syncs += call->kind == DISK_SIM_SYNC_ALL;
    w->syncs +=
        call->kind == DISK_SIM_SYNC_ALL || call->kind == DISK_SIM_SYNC || call->kind == DISK_SIM_SYNC_DIR;
    if (w->dies_at > 0 && disk_sim_failures() > 0 && --w->dies_at == 0) {
        w->has_died = true;
        disk_sim_fail((struct disk_sim_fault){ .nth = 1, .error = EIO, .for_ever = true });
    }
}

static void world_run(struct world *w)
{
    disk_sim_set_hook(on_call, w);
    for (size_t i = 0; i < w->plan->messages; i++)
        begin(w, i);
    size_t late = w->plan->late, early = w->plan->messages - late;
    while (w->plan->large_one != SIZE_MAX && reactor_sim_step(w->reactor))
        ; /* what is large is staged before anything is complete */
    for (size_t i = 0; i < early; i++)
        delivery_finish(w->messages[i].delivery, NULL);
    while (late > 0 && w->whole_syncs == 0 && reactor_sim_step(w->reactor))
        ;
    for (size_t i = early; i < w->plan->messages; i++)
        delivery_finish(w->messages[i].delivery, NULL);
    reactor_run(w->reactor);
    disk_sim_set_hook(NULL, NULL);
    for (size_t i = 0; i < w->plan->messages; i++)
        assert_true(w->messages[i].result <= 0);
}

static void world_clear(struct world *w)
{
    commit_free(w->settings.commit);
    assert_int_equal(reactor_free(w->reactor), 0);
    for (size_t i = 0; i < w->plan->messages; i++) {
        g_free(w->messages[i].box);
        g_free(w->messages[i].body);
    }
    router_free(w->router);
    maildirs_free(w->root);
}

/* How often the message's whole copy lies in its mailbox. */
static size_t times_there(const struct world *w, const struct message *m)
{
    g_autofree char *want = g_strconcat("Head: 1\n", m->body, NULL);
    g_autoptr(GPtrArray) names = maildirs_names(w->root, m->box, "new");
    size_t times = 0;
    for (guint i = 0; i < names->len; i++) {
        GString *content = maildirs_read(w->root, m->box, "new", g_ptr_array_index(names, i));
        times += strcmp(content->str, want) == 0;
        g_string_free(content, TRUE);
    }
    return times;
}

static void check(const struct world *w, bool crashed)
{
    size_t there = 0, visible = 0;
    for (size_t i = 0; i < w->plan->messages; i++) {
        size_t times = times_there(w, &w->messages[i]);
        there += times;
        if (w->messages[i].result == 0)
            assert_int_equal(times, 1);
        else
            assert_true(times <=
                        (crashed ? 1 : 0)); /* a power loss may bring back what could not be taken back */
    }
    for (size_t i = 0; i < w->plan->boxes; i++)
        visible += maildirs_count(w->root, w->messages[i].box, "new");
    assert_int_equal(visible, there); /* nothing partial, nothing strange */
    for (size_t i = 0; i < w->plan->boxes && !crashed; i++)
        assert_int_equal(maildirs_count(w->root, w->messages[i].box, "tmp"), 0);
    if (!crashed)
        assert_int_equal(maildirs_open_descriptors(), w->descriptors);
}

static void all_arrive(void **state)
{
    struct world w;
    world_init(&w, *state);
    world_run(&w);
    for (size_t i = 0; i < w.plan->messages; i++)
        assert_int_equal(w.messages[i].result, 0);
    check(&w, false);
    disk_sim_crash(DISK_SIM_LOSE);
    check(&w, true);
    world_clear(&w);
}

static bool any_failed(const struct world *w)
{
    for (size_t i = 0; i < w->plan->messages; i++)
        if (w->messages[i].result < 0)
            return true;
    return false;
}

static void every_call_fails_once(void **state)
{
    for (int forgets = 0; forgets < 2; forgets++) {
        bool struck = true;
        for (uint64_t nth = 1; struck; nth++) {
            struct world w;
            world_init(&w, *state);
            disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EIO, .forgets = forgets });
            world_run(&w);
            struck = disk_sim_failures() > 0;
            disk_sim_heal();
            assert_int_equal(any_failed(&w), struck);
            check(&w, false);
            disk_sim_crash(DISK_SIM_LOSE);
            check(&w, true);
            world_clear(&w);
        }
    }
}

static void the_power_fails_at_every_call(void **state)
{
    static const enum disk_sim_policy policies[] = { DISK_SIM_LOSE, DISK_SIM_KEEP, DISK_SIM_SEEDED };
    for (size_t p = 0; p < G_N_ELEMENTS(policies); p++) {
        bool struck = true;
        for (uint64_t nth = 1; struck; nth++) {
            struct world w;
            world_init(&w, *state);
            disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EIO, .for_ever = true });
            world_run(&w);
            struck = disk_sim_failures() > 0;
            disk_sim_heal();
            disk_sim_crash(policies[p]);
            check(&w, true);
            world_clear(&w);
        }
    }
}

/*
 * A name that could not be given is taken back, durably; the sync for that fails, and has forgotten what
 * others of the batch had in that directory.
 */
static void a_name_is_taken_back_and_others_are_lost(void **state)
{
    bool struck = true;
    for (uint64_t nth = 1; struck; nth++) {
        struct world w;
        world_init(&w, *state);
        disk_sim_fail(
            (struct disk_sim_fault){ .kind = DISK_SIM_RENAME, .nth = nth, .error = EIO, .happens = true });
        disk_sim_fail(
            (struct disk_sim_fault){ .kind = DISK_SIM_SYNC_DIR, .nth = 1, .error = EIO, .forgets = true });
        world_run(&w);
        struck = disk_sim_failures() > 1;
        disk_sim_heal();
        check(&w, false);
        disk_sim_crash(DISK_SIM_KEEP); /* all but what was forgotten */
        check(&w, true);
        world_clear(&w);
    }
}

/* What a sync has forgotten must not be under a name in new/, be it for a moment only: then the power fails.
 */
static void a_sync_fails_and_then_the_power(void **state)
{
    bool has_failed = true;
    for (uint64_t sync = 1; has_failed; sync++) {
        bool has_died = true;
        for (uint64_t later = 1; has_died; later++) {
            struct world w;
            world_init(&w, *state);
            disk_sim_fail((struct disk_sim_fault){
                .kind = DISK_SIM_SYNC_ALL, .nth = sync, .error = EIO, .forgets = true });
            w.dies_at = later;
            world_run(&w);
            has_failed = disk_sim_failures() > 0;
            has_died = w.has_died;
            disk_sim_heal();
            disk_sim_crash(DISK_SIM_KEEP);
            check(&w, true);
            world_clear(&w);
        }
    }
}

static size_t syncs_of(size_t messages, size_t boxes, size_t whole_syncs)
{
    struct world w;
    world_init(&w, &(struct plan){ "", messages, boxes, SIZE_MAX, DELIVERY_SYNC_GROUP });
    world_run(&w);
    check(&w, false);
    assert_int_equal(w.whole_syncs, whole_syncs);
    world_clear(&w);
    return w.syncs;
}

/* What the grouping is for. Messages that are complete at the same time make a batch. */
static void a_batch_syncs_twice(void **state)
{
    (void)state;
    assert_int_equal(syncs_of(6, 3, 2), 2);
}

/* One directory is synced faster than all of a file system. */
static void a_batch_for_one_mailbox_syncs_its_directory(void **state)
{
    (void)state;
    assert_int_equal(syncs_of(6, 1, 1), 2);
}

/* Each copy of a batch has a descriptor open, each of its maildirs two. */
static void a_batch_has_a_limit(void **state)
{
    enum { COPIES = 64, OF_BOXES = 2 * 2, FEW = 4 };
    (void)state;
    struct world w;
    world_init(&w, &(struct plan){ "", MESSAGES_MAX, 2, SIZE_MAX, DELIVERY_SYNC_GROUP });
    world_run(&w);
    check(&w, false);
    assert_in_range(w.most_open, COPIES, COPIES + OF_BOXES + FEW);
    world_clear(&w);
}

/* Each answer takes its time, and other clients wait while they are given. */
static void a_batch_is_told_in_portions(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, &(struct plan){ "", MESSAGES_MAX, 2, SIZE_MAX, DELIVERY_SYNC_GROUP });
    world_run(&w);
    check(&w, false);
    assert_int_equal(w.most_told, 16);
    world_clear(&w);
}

/* Where another disk was mounted since the router looked: the sync of the one is not that of the other. */
static void a_disk_that_was_mounted_meanwhile(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, &(struct plan){ "", 4, 1, SIZE_MAX, DELIVERY_SYNC_GROUP, 2 });
    g_autofree char *path = g_strdup_printf("%s/elsewhere", w.root);
    disk_sim_mkdir_all(path);
    disk_sim_mount(path, true);
    maildirs_add(w.root, "elsewhere");
    g_free(w.messages[3].box); /* one of the second batch */
    w.messages[3].box = g_strdup("elsewhere");
    world_run(&w);
    disk_sim_crash(DISK_SIM_LOSE);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(w.messages[i].result, 0);
        assert_int_equal(times_there(&w, &w.messages[i]), 1);
    }
    world_clear(&w);
}

/* Of one batch, since the router knew of one file system only. */
static void a_disk_that_fails_harms_no_other(void **state)
{
    enum { MESSAGES = 4, SYNCS = 4 };
    (void)state;
    for (uint64_t nth = 1; nth <= SYNCS; nth++) {
        struct world w;
        world_init(&w, &(struct plan){ "", MESSAGES, 1, SIZE_MAX, DELIVERY_SYNC_GROUP });
        g_autofree char *path = g_strdup_printf("%s/elsewhere", w.root);
        disk_sim_mkdir_all(path);
        disk_sim_mount(path, true);
        maildirs_add(w.root, "elsewhere");
        for (size_t i = 1; i < MESSAGES; i += 2) {
            g_free(w.messages[i].box);
            w.messages[i].box = g_strdup("elsewhere");
        }
        disk_sim_fail(
            (struct disk_sim_fault){ .kind = DISK_SIM_SYNC_ALL, .nth = nth, .error = EIO, .forgets = true });
        world_run(&w);
        assert_int_equal(disk_sim_failures(), 1);
        disk_sim_crash(DISK_SIM_LOSE);
        size_t failed = w.messages[0].result < 0 ? 0 : 1;
        for (size_t i = 0; i < MESSAGES; i++) {
            bool is_lost = i % 2 == failed;
            assert_int_equal(w.messages[i].result, is_lost ? -EIO : 0);
            assert_int_equal(times_there(&w, &w.messages[i]), is_lost ? 0 : 1);
        }
        world_clear(&w);
    }
}

/* Jobs that are under way when all messages have just ended. */
static size_t jobs_at_once(const uint64_t *file_systems, size_t count, enum delivery_sync sync)
{
    struct world w;
    world_init(&w, &(struct plan){ "", count, 2, SIZE_MAX, sync });
    for (size_t i = 0; i < count; i++) {
        w.messages[i].file_system = file_systems[i];
        begin(&w, i);
    }
    for (size_t i = 0; i < count; i++)
        delivery_finish(w.messages[i].delivery, NULL);
    for (size_t lanes = reactor_sim_open(w.reactor); lanes > 0; lanes--)
        assert_true(reactor_sim_step(w.reactor)); /* each starts what it can */
    size_t jobs = reactor_sim_open(w.reactor);
    reactor_run(w.reactor);
    check(&w, false);
    world_clear(&w);
    return jobs;
}

/* P4: one slow disk does not delay the others. */
static void each_file_system_has_its_own_batches(void **state)
{
    (void)state;
    assert_int_equal(jobs_at_once((uint64_t[]){ 1, 1, 1, 1 }, 4, DELIVERY_SYNC_GROUP), 1);
    assert_int_equal(jobs_at_once((uint64_t[]){ 1, 2, 1, 2 }, 4, DELIVERY_SYNC_GROUP), 2);
}

/* While one message is being committed, so many more are complete, each for so many mailboxes. */
static size_t jobs_beside_one_of(size_t others, size_t copies)
{
    static const struct reactor_sim_span slow = { 1000000, 1000000 };
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.job = slow;
    struct world w;
    world_init(&w, &(struct plan){ "", 1 + others, COPIES_MAX, SIZE_MAX, DELIVERY_SYNC_GROUP });
    w.copies = copies;
    reactor_sim_configure(w.reactor, &settings);
    for (size_t i = 0; i < 1 + others; i++)
        begin(&w, i);
    delivery_finish(w.messages[0].delivery, NULL);
    reactor_sim_run_until(w.reactor, reactor_now(w.reactor) + 1);
    for (size_t i = 0; i < others; i++)
        delivery_finish(w.messages[1 + i].delivery, NULL);
    reactor_sim_run_until(w.reactor, reactor_now(w.reactor) + 1);
    size_t jobs = reactor_sim_open(w.reactor);
    reactor_run(w.reactor);
    for (size_t i = 0; i < 1 + others; i++)
        assert_int_equal(w.messages[i].result, 0);
    world_clear(&w);
    return jobs;
}

static size_t jobs_beside_one(size_t others)
{
    return jobs_beside_one_of(others, 1);
}

/* The disk is not left to wait while a batch's names are given; but what is too small to be worth a batch of
 * its own gathers. */
static void two_batches_go_side_by_side(void **state)
{
    (void)state;
    assert_int_equal(jobs_beside_one(7), 1);
    assert_int_equal(jobs_beside_one(8), 2);
    assert_int_equal(jobs_beside_one(90), 2);
}

/* Three messages for three mailboxes are nine copies to write. */
static void what_counts_is_how_many_copies_wait(void **state)
{
    (void)state;
    assert_int_equal(jobs_beside_one_of(2, 3), 1);
    assert_int_equal(jobs_beside_one_of(3, 3), 2);
}

/* One that cannot be synced as a whole has nothing to share: syncing one file after the other would only be
 * slow. */
static void where_nothing_is_shared_nobody_waits(void **state)
{
    (void)state;
    assert_int_equal(jobs_at_once((uint64_t[]){ 0, 0, 0, 1, 1 }, 5, DELIVERY_SYNC_GROUP), 4);
    assert_int_equal(jobs_at_once((uint64_t[]){ 1, 1, 1, 1 }, 4, DELIVERY_SYNC_EACH), 4);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        CMUnitTestFunction run;
    } checks[] = {
        { "all arrive", all_arrive },
        { "every call fails once", every_call_fails_once },
        { "the power fails at every call", the_power_fails_at_every_call },
        { "a sync fails, and then the power", a_sync_fails_and_then_the_power },
        { "a name is taken back, and others are lost", a_name_is_taken_back_and_others_are_lost },
    };
    struct suite *s = suite_new("commit");
    for (size_t c = 0; c < G_N_ELEMENTS(checks); c++)
        for (size_t i = 0; i < G_N_ELEMENTS(plans); i++) {
            g_autofree char *name = g_strdup_printf("%s: %s", checks[c].what, plans[i].name);
            suite_add(s, name, checks[c].run, (void *)&plans[i]);
        }
    suite_add(s, "each file system has its own batches", each_file_system_has_its_own_batches, NULL);
    suite_add(s, "where nothing is shared nobody waits", where_nothing_is_shared_nobody_waits, NULL);
    suite_add(s, "a batch has a limit", a_batch_has_a_limit, NULL);
    suite_add(s, "a batch is told in portions", a_batch_is_told_in_portions, NULL);
    suite_add(s, "a disk that was mounted meanwhile", a_disk_that_was_mounted_meanwhile, NULL);
    suite_add(s, "a disk that fails harms no other", a_disk_that_fails_harms_no_other, NULL);
    suite_add(s, "a batch syncs twice", a_batch_syncs_twice, NULL);
    suite_add(s, "a batch for one mailbox syncs its directory", a_batch_for_one_mailbox_syncs_its_directory,
              NULL);
    suite_add(s, "two batches go side by side", two_batches_go_side_by_side, NULL);
    suite_add(s, "what counts is how many copies wait", what_counts_is_how_many_copies_wait, NULL);
    return suite_run(s, argc, argv);
}
