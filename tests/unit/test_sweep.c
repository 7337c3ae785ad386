/* Sweeping, on the simulated disk. Files that were there before are as old as 1970: what counts is the clock.
 */
#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>

#include "delivery/sweep.h"
#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "reactor/reactor_sim.h"

#define BOX "/mail/alice"

static const int64_t STALE_US = INT64_C(36) * 3600 * 1000000;

struct world {
    struct reactor *reactor;
    struct router *router;
    struct sweep *sweep;
    bool done;
    struct sweep_result result;
};

static void on_done(void *owner, const struct sweep_result *result)
{
    struct world *w = owner;
    assert_false(w->done);
    w->done = true;
    w->sweep = NULL;
    w->result = *result;
}

static void write_file(const char *path)
{
    disk_sim_write_file(path, slice_str("left behind"));
}

static void add_box(const char *path)
{
    static const char *const subs[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(subs); i++) {
        g_autofree char *sub = g_build_filename(path, subs[i], NULL);
        disk_sim_mkdir_all(sub);
    }
}

static void add_box_with_file(const char *path)
{
    g_autofree char *file = g_build_filename(path, "tmp/x", NULL);
    add_box(path);
    write_file(file);
}

/* One domain with one mailbox, and all that was left is stale. */
static void world_init(struct world *w)
{
    *w = (struct world){ 0 };
    disk_sim_reset(1);
    disk_sim_set_time(STALE_US);
    add_box(BOX);
    w->reactor = reactor_sim_new(1);
    w->router = router_new();
    assert_int_equal(
        router_add_domain(w->router, "example.org", &(struct domain_options){ .maildirs = "/mail" }), 0);
}

static void run(struct world *w)
{
    w->done = false;
    w->sweep = sweep_start(w->reactor, w->router, on_done, w);
    assert_false(w->done);
    reactor_run(w->reactor);
    assert_true(w->done);
}

static void world_end(struct world *w)
{
    assert_int_equal(reactor_free(w->reactor), 0);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    router_free(w->router);
}

static bool exists(const char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_auto(GStrv) names = disk_sim_names(dir);
    return names != NULL && g_strv_contains((const char *const *)names, name);
}

/* ---- what goes, and what stays ---- */

static const struct row {
    const char *name;
    const char *path;
    bool goes;
    const char *link, *target; /* or NULL */
} rows[] = {
    { "tmp/", BOX "/tmp/x", true, NULL, NULL },
    { "tmp/, hidden", BOX "/tmp/.x", true, NULL, NULL },
    { "a folder's tmp/", BOX "/.lists/tmp/x", true, NULL, NULL },
    { "a folder's folder's tmp/", BOX "/.lists.c/tmp/x", true, NULL, NULL },
    { "new/", BOX "/new/x", false, NULL, NULL },
    { "cur/", BOX "/cur/x", false, NULL, NULL },
    { "a folder's new/", BOX "/.lists/new/x", false, NULL, NULL },
    { "the maildir itself", BOX "/maildirsize", false, NULL, NULL },
    { "a directory in tmp/", BOX "/tmp/dir/x", false, NULL, NULL },
    { "no folder's name", BOX "/lists/tmp/x", false, NULL, NULL },
    { "a folder without new/ and cur/", BOX "/.cache/tmp/x", false, NULL, NULL },
    { "a mailbox without new/ and cur/", "/mail/bob/tmp/x", false, NULL, NULL },
    { "no mailbox's name", "/mail/.not-a-mailbox/tmp/x", false, NULL, NULL },
    { "a file where a mailbox could be", "/mail/bob", false, NULL, NULL },
    { "elsewhere", "/elsewhere/tmp/x", false, NULL, NULL },
    { "elsewhere, where a mailbox leads", "/elsewhere/tmp/x", false, "/mail/bob", "../elsewhere" },
    { "elsewhere, where a folder leads", "/mail/.not-a-mailbox/tmp/x", false, BOX "/.bob",
      "../.not-a-mailbox" },
    { "elsewhere, where a tmp leads", "/mail/.not-a-mailbox/x", false, BOX "/.a/tmp",
      "../../.not-a-mailbox" },
    { "new/, where a tmp leads", BOX "/new/x", false, BOX "/.a/tmp", "../new" },
    { "new/, where a link in tmp/ leads", BOX "/new/x", false, BOX "/tmp/link", "../new/x" },
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct world w;
    world_init(&w);
    add_box(BOX "/.lists");
    add_box(BOX "/.lists.c");
    add_box("/mail/.not-a-mailbox");
    add_box("/elsewhere");
    disk_sim_mkdir_all(BOX "/.a/new"); /* has no tmp/ of its own */
    disk_sim_mkdir_all(BOX "/.a/cur");
    write_file(row->path);
    if (row->link != NULL)
        disk_sim_symlink(row->link, row->target);
    run(&w);
    assert_int_equal(exists(row->path), !row->goes);
    assert_true(row->link == NULL || exists(row->link));
    assert_int_equal(w.result.removed, row->goes ? 1 : 0);
    assert_int_equal(w.result.mailboxes, 1);
    assert_int_equal(w.result.failed, 0);
    world_end(&w);
}

static void what_is_no_file_stays(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    disk_sim_special(BOX "/tmp/fifo");
    disk_sim_mkdir_all(BOX "/.a/new");
    disk_sim_mkdir_all(BOX "/.a/cur");
    disk_sim_special(BOX "/.a/tmp");
    disk_sim_special("/mail/fifo");
    run(&w);
    assert_true(exists(BOX "/tmp/fifo"));
    assert_int_equal(w.result.removed, 0);
    world_end(&w);
}

static void what_is_younger_stays(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    write_file(BOX "/tmp/x");
    disk_sim_set_time(STALE_US - 1);
    run(&w);
    assert_int_equal(w.result.removed, 0);
    disk_sim_set_time(-STALE_US); /* made in the future */
    run(&w);
    assert_int_equal(w.result.removed, 0);
    assert_true(exists(BOX "/tmp/x"));
    disk_sim_set_time(STALE_US);
    run(&w);
    assert_int_equal(w.result.removed, 1);
    world_end(&w);
}

/* ---- many ---- */

static void watch_jobs(void *owner, int64_t now_us, const char *what, uint64_t object, int64_t amount)
{
    (void)now_us, (void)object, (void)amount;
    *(unsigned *)owner += strcmp(what, "job-done") == 0;
}

static void all_domains_in_jobs_of_bounded_length(void **state)
{
    (void)state;
    enum { DOMAINS = 3, BOXES = 200 };
    unsigned jobs = 0;
    struct world w;
    world_init(&w);
    for (int d = 0; d < DOMAINS; d++) {
        g_autofree char *domain = g_strdup_printf("d%d.example", d);
        g_autofree char *dir = g_strdup_printf("/domains/%d", d);
        assert_int_equal(router_add_domain(w.router, domain, &(struct domain_options){ .maildirs = dir }), 0);
        for (int i = 0; i < BOXES; i++) {
            g_autofree char *path = g_strdup_printf("%s/box%d", dir, i);
            add_box_with_file(path);
        }
    }
    /* A directory by a second name, and one that is missing. */
    assert_int_equal(
        router_add_domain(w.router, "second.example", &(struct domain_options){ .maildirs = "/domains/0" }),
        0);
    assert_int_equal(router_add_domain(w.router, "missing.example",
                                       &(struct domain_options){ .maildirs = "/domains/missing" }),
                     0);
    reactor_sim_watch(w.reactor, watch_jobs, &jobs);
    run(&w);
    assert_int_equal(w.result.mailboxes, 1 + DOMAINS * BOXES);
    assert_int_equal(w.result.removed, DOMAINS * BOXES);
    assert_int_equal(w.result.failed, 0);
    assert_int_equal(jobs,
                     1 + 2 + DOMAINS * (1 + 4)); /* each list is one; 200 are four times 64 at the most */
    world_end(&w);
}

static void one_job_at_a_time(void *owner, int64_t now_us, const char *what, uint64_t object, int64_t amount)
{
    (void)now_us, (void)what, (void)object, (void)amount;
    assert_true(reactor_sim_open(*(struct reactor **)owner) <= 1);
}

static void jobs_come_one_by_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (int i = 0; i < 200; i++) {
        g_autofree char *path = g_strdup_printf("/mail/box%d", i);
        add_box_with_file(path);
    }
    reactor_sim_watch(w.reactor, one_job_at_a_time, &w.reactor);
    run(&w);
    assert_int_equal(w.result.removed, 200);
    world_end(&w);
}

static void without_domains(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    router_free(w.router);
    w.router = router_new();
    run(&w);
    assert_int_equal(w.result.mailboxes, 0);
    world_end(&w);
}

/* ---- the end of it ---- */

static void aborted_after_any_event(void **state)
{
    (void)state;
    bool ended = false;
    for (unsigned events = 0; !ended; events++) {
        struct world w;
        world_init(&w);
        write_file(BOX "/tmp/x");
        w.sweep = sweep_start(w.reactor, w.router, on_done, &w);
        for (unsigned i = 0; i < events && !w.done; i++)
            assert_true(reactor_sim_step(w.reactor));
        ended = w.done;
        sweep_abort(w.sweep);
        router_free(g_steal_pointer(&w.router));
        reactor_run(w.reactor);
        assert_int_equal(w.done, ended);
        world_end(&w);
    }
}

/* What fails is passed over; all else is swept, the next time at the latest. */
static void every_call_fails_once(void **state)
{
    (void)state;
    bool struck = true;
    for (uint64_t nth = 1; struck; nth++) {
        struct world w;
        world_init(&w);
        add_box("/mail/bob");
        add_box(BOX "/.lists");
        write_file(BOX "/tmp/x");
        write_file(BOX "/.lists/tmp/y");
        write_file("/mail/bob/tmp/z");
        disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EIO });
        run(&w);
        struck = disk_sim_failures() > 0;
        disk_sim_heal();
        assert_int_equal(w.result.failed, struck ? 1 : 0);
        uint64_t removed = w.result.removed;
        assert_true(struck || removed == 3);
        run(&w);
        assert_int_equal(removed + w.result.removed, 3);
        assert_int_equal(w.result.failed, 0);
        world_end(&w);
    }
}

static void what_a_delivery_takes_away_is_no_failure(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    write_file(BOX "/tmp/x");
    disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_UNLINK, .nth = 1, .error = ENOENT });
    run(&w);
    assert_int_equal(w.result.failed, 0);
    assert_int_equal(w.result.removed, 0);
    world_end(&w);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "what is no file stays", what_is_no_file_stays },
        { "what is younger stays", what_is_younger_stays },
        { "all domains, in jobs of bounded length", all_domains_in_jobs_of_bounded_length },
        { "jobs come one by one", jobs_come_one_by_one },
        { "without domains", without_domains },
        { "aborted after any event", aborted_after_any_event },
        { "every call fails once", every_call_fails_once },
        { "what a delivery takes away is no failure", what_a_delivery_takes_away_is_no_failure },
    };
    struct suite *s = suite_new("sweep");
    suite_add_rows(s, rows, run_row);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(s, cases[i].name, cases[i].run, NULL);
    return suite_run(s, argc, argv);
}
