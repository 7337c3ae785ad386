/* A table's file that changes, fails and comes back, on the simulated disk; and many who ask meanwhile. */
#include "table_rig.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "disk/disk.h"
#include "disk/disk_sim.h"

#define PATH "/etc/aliases"
static const int64_t settled_us = DISK_SETTLED_US + 1;

static int64_t now_us;

static void pass(int64_t us)
{
    now_us += us;
    disk_sim_set_time(now_us);
}

static int open_etc(void)
{
    int fd = disk_open_root("/etc");
    assert_true(fd >= 0);
    return fd;
}

/* Another file takes the name; it is left alone from then on. */
static void put(const char *content)
{
    auto_disk int dir = open_etc();
    (void)disk_unlink(dir, "aliases"); /* it need not be there */
    auto_disk int fd = disk_create(dir, "aliases");
    struct slice part = slice_str(content);
    assert_int_equal(disk_append(fd, &part, 1), 0);
}

static void put_settled(const char *content)
{
    put(content);
    pass(settled_us);
}

static void start(void)
{
    disk_sim_reset(1);
    disk_sim_mkdir_all("/etc");
    now_us = 0;
    pass(INT64_C(1795296824) * 1000000);
}

static struct table *start_with(const char *content)
{
    start();
    put_settled(content);
    return rig_open(PATH, &rig_aliases);
}

/* ---- opening ---- */

static void a_file_is_in_memory(void **state)
{
    (void)state;
    auto_ptr(table) t = start_with("alice: bob, carol\n");
    assert_true(table_is_in_memory(t));
    uint64_t calls = disk_sim_calls();
    rig_check(t, "alice", "bob, carol");
    rig_check(t, "bob", "none");
    assert_int_equal(disk_sim_calls(), calls);
    assert_int_equal(disk_sim_open_descriptors(), 0);
}

static void a_link_is_followed(void **state)
{
    (void)state;
    start();
    disk_sim_mkdir_all("/srv");
    disk_sim_write_file("/srv/real", slice_str("alice: bob\n"));
    disk_sim_symlink(PATH, "../srv/real");
    auto_ptr(table) t = rig_open(PATH, &rig_aliases);
    rig_check(t, "alice", "bob");
}

static void check_refusal(const char *want)
{
    g_autofree char *got = rig_refusal(PATH, &rig_aliases);
    assert_string_equal(got, want);
    assert_int_equal(disk_sim_open_descriptors(), 0);
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    start();
    check_refusal(
        "postern.conf:7: /etc/aliases: No such file or directory; expected a file of lines NAME: VALUE");
    disk_sim_mkdir_all(PATH);
    check_refusal(
        "postern.conf:7: /etc/aliases: it is no regular file; expected a file of lines NAME: VALUE");
    start();
    disk_sim_special(PATH);
    check_refusal(
        "postern.conf:7: /etc/aliases: it is no regular file; expected a file of lines NAME: VALUE");
    start();
    put_settled("alice: bob@example.net\n");
    check_refusal("/etc/aliases:1: bob@example.net: expected an address of ours");
}

/* Whatever fails, it is told, and nothing is left open. */
static void any_call_may_fail(void **state)
{
    (void)state;
    uint64_t failed = 0;
    do {
        start();
        put_settled("alice: bob\n");
        uint64_t before = disk_sim_failures();
        disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_ANY, .nth = ++failed, .error = EIO });
        auto_val(diag) problems = { NULL };
        auto_ptr(table) t = table_open(PATH, &rig_aliases, (struct origin){ "c", 1 }, &problems);
        if (disk_sim_failures() == before) {
            assert_non_null(t);
            break;
        }
        assert_null(t);
        g_autofree char *text = rig_problems(&problems);
        assert_string_equal(text,
                            "c:1: /etc/aliases: Input/output error; expected a file of lines NAME: VALUE");
        assert_int_equal(disk_sim_open_descriptors(), 0);
    } while (failed < 100);
    assert_int_equal(failed, 5); /* open, stat, read and stat were made to fail */
}

/* ---- refreshing ---- */

static void nothing_new_costs_two_calls(void **state)
{
    (void)state;
    auto_ptr(table) t = start_with("alice: bob\n");
    uint64_t calls = disk_sim_calls();
    rig_check_refresh(t, "0");
    assert_int_equal(disk_sim_calls() - calls, 2);
}

static void a_new_file_is_used_once_it_is_left_alone(void **state)
{
    (void)state;
    auto_ptr(table) t = start_with("alice: bob\n");
    put("alice: carol\n");
    rig_check_refresh(t, "0");
    pass(DISK_SETTLED_US);
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "bob");
    pass(1);
    rig_check_refresh(t, "1");
    rig_check(t, "alice", "carol");
    rig_check_refresh(t, "0");
    assert_int_equal(disk_sim_open_descriptors(), 0);
}

static void a_longer_file_is_used(void **state)
{
    (void)state;
    start();
    auto_disk int dir = open_etc();
    auto_disk int fd = disk_create(dir, "aliases");
    pass(settled_us);
    auto_ptr(table) t = rig_open(PATH, &rig_aliases);
    rig_check(t, "alice", "none");
    struct slice part = slice_str("alice: bob\n");
    assert_int_equal(disk_append(fd, &part, 1), 0);
    pass(settled_us);
    rig_check_refresh(t, "1");
    rig_check(t, "alice", "bob");
}

/* Of the same size, and as far as clocks tell of the same time; another one all the same. */
static void a_file_of_the_same_looks_is_used(void **state)
{
    (void)state;
    auto_ptr(table) t = start_with("alice: bob\n");
    disk_sim_set_time(now_us - settled_us);
    put("alice: eve\n");
    disk_sim_set_time(now_us);
    rig_check_refresh(t, "1");
    rig_check(t, "alice", "eve");
}

/* What was opened just after a change may have changed once more without showing it. */
static void what_was_not_left_alone_is_read_again(void **state)
{
    (void)state;
    start();
    put("alice: bob\n");
    auto_ptr(table) t = rig_open(PATH, &rig_aliases);
    rig_check(t, "alice", "bob");
    rig_check_refresh(t, "0");
    pass(settled_us);
    rig_check_refresh(t, "1");
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "bob");
}

static void a_broken_file_changes_nothing(void **state)
{
    (void)state;
    auto_ptr(table) t = start_with("alice: bob\n");
    put_settled("alice: carol\nbob\n|x\n");
    rig_check_refresh(t, "-74\n"
                         "/etc/aliases:2: bob: expected NAME: TARGET, TARGET\n"
                         "/etc/aliases:3: |x: expected NAME: TARGET, TARGET");
    rig_check(t, "alice", "bob");
    rig_check_refresh(t, "0"); /* told once */
    put_settled("alice: carol\nbob\n");
    rig_check_refresh(t, "-74\n/etc/aliases:2: bob: expected NAME: TARGET, TARGET");
    rig_check(t, "alice", "bob");
    put_settled("alice: carol\n");
    rig_check_refresh(t, "1");
    rig_check(t, "alice", "carol");
}

static void a_missing_file_changes_nothing(void **state)
{
    (void)state;
    static const char gone[] =
        "-2\n/etc/aliases: No such file or directory; what it held before stays in use";
    auto_ptr(table) t = start_with("alice: bob\n");
    auto_disk int dir = open_etc();
    assert_int_equal(disk_unlink(dir, "aliases"), 0);
    rig_check_refresh(t, gone);
    rig_check_refresh(t, "0"); /* told once */
    rig_check(t, "alice", "bob");
    put_settled("alice: carol\n");
    rig_check_refresh(t, "1");
    rig_check(t, "alice", "carol");
    assert_int_equal(disk_unlink(dir, "aliases"), 0);
    rig_check_refresh(t, gone); /* and once more for each time */
}

/* To a process that has the table from another one. */
static void what_is_not_in_use_is_told_again(void **state)
{
    (void)state;
    static const char broken[] = "-74\n/etc/aliases:1: bob: expected NAME: TARGET, TARGET";
    static const char gone[] =
        "-2\n/etc/aliases: No such file or directory; what it held before stays in use";
    auto_ptr(table) t = start_with("alice: bob\n");
    table_tell_again(t);
    rig_check_refresh(t, "0"); /* all is well */
    put_settled("bob\n");
    rig_check_refresh(t, broken);
    rig_check_refresh(t, "0");
    table_tell_again(t);
    rig_check_refresh(t, broken);
    rig_check_refresh(t, "0");
    auto_disk int dir = open_etc();
    assert_int_equal(disk_unlink(dir, "aliases"), 0);
    rig_check_refresh(t, gone);
    table_tell_again(t);
    rig_check_refresh(t, gone);
    rig_check(t, "alice", "bob");
    put_settled("alice: carol\n");
    auto_val(diag) problems = { NULL };
    assert_int_equal(table_look(t, &problems), 1);
    table_refuse(t);
    rig_check_refresh(t, "0");
    table_tell_again(t);
    rig_check_refresh(t, "1");
    table_tell_again(t);
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "carol");
}

static void a_directory_in_its_place_changes_nothing(void **state)
{
    (void)state;
    auto_ptr(table) t = start_with("alice: bob\n");
    auto_disk int dir = open_etc();
    assert_int_equal(disk_unlink(dir, "aliases"), 0);
    disk_sim_mkdir_all(PATH);
    rig_check_refresh(t, "-21\n/etc/aliases: it is no regular file; what it held before stays in use");
    rig_check(t, "alice", "bob");
}

static void any_call_of_a_refresh_may_fail(void **state)
{
    (void)state;
    unsigned failures = 0;
    for (uint64_t nth = 1; nth < 100; nth++) {
        auto_ptr(table) t = start_with("alice: bob\n");
        put_settled("alice: carol\n");
        uint64_t before = disk_sim_failures();
        disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_ANY, .nth = nth, .error = EIO });
        g_autofree char *got = rig_refresh(t);
        if (disk_sim_failures() == before)
            break;
        failures++;
        assert_string_equal(got, "-5\n/etc/aliases: Input/output error; what it held before stays in use");
        rig_check(t, "alice", "bob");
        assert_int_equal(disk_sim_open_descriptors(), 0);
        rig_check_refresh(t, "1"); /* the next time it works */
        rig_check(t, "alice", "carol");
    }
    assert_int_equal(failures, 4);
}

/* ---- changes while the file is read ---- */

struct writer {
    int fd;
    const char *part;
    unsigned times; /* how often it writes; at reads */
    bool busy;
};

static void write_at_read(void *owner, const struct disk_sim_call *call)
{
    struct writer *w = owner;
    if (w->busy || w->times == 0 || call->kind != DISK_SIM_READ)
        return;
    w->busy = true;
    w->times--;
    struct slice part = slice_str(w->part);
    assert_int_equal(disk_append(w->fd, &part, 1), 0);
    w->busy = false;
}

static struct writer start_writer(const char *content, const char *part, unsigned times)
{
    start();
    auto_disk int dir = open_etc();
    struct writer w = { .fd = disk_create(dir, "aliases"), .part = part, .times = times };
    struct slice all = slice_str(content);
    assert_int_equal(disk_append(w.fd, &all, 1), 0);
    pass(settled_us);
    return w;
}

static void open_reads_again(void **state)
{
    (void)state;
    struct writer w = start_writer("alice: bob", ", carol", 1);
    disk_sim_set_hook(write_at_read, &w);
    auto_ptr(table) t = rig_open(PATH, &rig_aliases);
    rig_check(t, "alice", "bob, carol");
    disk_close(w.fd);
}

static void open_gives_up(void **state)
{
    (void)state;
    struct writer w = start_writer("alice: bob", ", carol", 1000);
    disk_sim_set_hook(write_at_read, &w);
    g_autofree char *got = rig_refusal(PATH, &rig_aliases);
    assert_string_equal(got,
                        "postern.conf:7: /etc/aliases: it changes while it is read; expected a file of lines "
                        "NAME: VALUE");
    disk_close(w.fd);
}

static void refresh_waits_for_an_end(void **state)
{
    (void)state;
    struct writer w = start_writer("alice: bob", ", carol", 0);
    auto_ptr(table) t = rig_open(PATH, &rig_aliases);
    struct slice part = slice_str(", dave");
    assert_int_equal(disk_append(w.fd, &part, 1), 0);
    pass(settled_us);
    disk_sim_set_hook(write_at_read, &w);
    w.times = 1; /* read whole at the second try, but written to just now */
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "bob");
    w.times = 1000;
    pass(settled_us);
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "bob");
    w.times = 0;
    pass(settled_us);
    rig_check_refresh(t, "1");
    g_autofree char *got = rig_find(t, "alice");
    assert_true(g_str_has_prefix(got, "bob, dave, carol, carol"));
    disk_close(w.fd);
}

/* ---- threads: each question is answered from one version, and no version is freed under it ---- */

enum { THREADS = 4, VERSIONS = 200 };

struct asking {
    struct table *table;
    gint ended;
    gint answered; /* questions, so far */
};

static void *ask_on(void *owner)
{
    struct asking *a = owner;
    while (!g_atomic_int_get(&a->ended)) {
        g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
        char *why = NULL;
        if (table_find(a->table, "all", "example.org", values, &why) != 0 || values->len != 3)
            return (void *)"a question has no answer";
        const char *first = g_ptr_array_index(values, 0);
        for (guint i = 1; i < values->len; i++)
            if (strcmp(first, g_ptr_array_index(values, i)) != 0)
                return (void *)"an answer is of two versions";
        g_atomic_int_inc(&a->answered);
    }
    return NULL;
}

static void put_version(unsigned i)
{
    g_autofree char *text = g_strdup_printf("all: v%u, v%u,\n v%u\n", i, i, i);
    put_settled(text);
}

static void many_ask_while_it_changes(void **state)
{
    (void)state;
    GThread *threads[THREADS];
    auto_ptr(table) t = start_with("all: v, v, v\n");
    struct asking a = { .table = t };
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("ask", ask_on, &a);
    for (unsigned i = 0; i < VERSIONS || g_atomic_int_get(&a.answered) < 10 * THREADS; i++) {
        put_version(i);
        rig_check_refresh(t, "1");
    }
    g_atomic_int_set(&a.ended, 1);
    for (unsigned i = 0; i < THREADS; i++)
        assert_null(g_thread_join(threads[i]));
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
    { "a file is in memory", a_file_is_in_memory },
    { "a link is followed", a_link_is_followed },
    { "what cannot be opened", what_cannot_be_opened },
    { "any call may fail", any_call_may_fail },
    { "refresh: nothing new costs two calls", nothing_new_costs_two_calls },
    { "refresh: a new file is used once it is left alone", a_new_file_is_used_once_it_is_left_alone },
    { "refresh: a longer file is used", a_longer_file_is_used },
    { "refresh: a file of the same looks is used", a_file_of_the_same_looks_is_used },
    { "refresh: what was not left alone is read again", what_was_not_left_alone_is_read_again },
    { "refresh: a broken file changes nothing", a_broken_file_changes_nothing },
    { "refresh: a missing file changes nothing", a_missing_file_changes_nothing },
    { "refresh: what is not in use is told again", what_is_not_in_use_is_told_again },
    { "refresh: a directory in its place changes nothing", a_directory_in_its_place_changes_nothing },
    { "refresh: any call may fail", any_call_of_a_refresh_may_fail },
    { "changes while it is read: open reads again", open_reads_again },
    { "changes while it is read: open gives up", open_gives_up },
    { "changes while it is read: refresh waits for an end", refresh_waits_for_an_end },
    { "many ask while it changes", many_ask_while_it_changes },
};

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery/table_file");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(s, cases[i].name, cases[i].run, NULL);
    return suite_run(s, argc, argv);
}
