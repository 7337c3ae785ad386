/* When workers sweep: a minute after the start and then once a day, by the first of all. Time is virtual. */
#include "suite.h"

#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "rig.h"

#define LEFT "/mail/alice/tmp/left"

static const msec_t minute = 60 * 1000, day = 24 * 60 * 60 * 1000;

/* In 1970, so that it is stale. */
static void leave_something(void)
{
    disk_sim_write_file(LEFT, slice_str(""));
}

static void take_away(void)
{
    auto_disk int tmp = disk_open_root("/mail/alice/tmp");
    assert_int_equal(disk_unlink(tmp, "left"), 0);
}

static bool is_left(void)
{
    g_autofree char *content = disk_sim_read_file(LEFT, NULL);
    return content != NULL;
}

static struct rig *start(void)
{
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    disk_sim_set_time(reactor_wall_us(rig->reactor));
    leave_something();
    return rig;
}

/* How often it was told since the last time. */
static unsigned sweeps(struct rig *rig)
{
    unsigned count = 0;
    for (const char *at = rig->told->str; (at = strstr(at, " event=swept ")) != NULL; at++)
        count++;
    g_string_truncate(rig->told, 0);
    return count;
}

static void a_minute_after_the_start_and_each_day(void **state)
{
    (void)state;
    struct rig *rig = start();
    rig_run_for(rig, minute - 1);
    assert_true(is_left());
    rig_run_for(rig, minute);
    assert_false(is_left());
    assert_non_null(strstr(rig->told->str, " event=swept mailboxes=1 removed=1 failed=0\n"));
    assert_int_equal(sweeps(rig), 1);
    leave_something();
    rig_run_for(rig, day - 2 * minute);
    assert_true(is_left());
    rig_run_for(rig, 2 * minute);
    assert_false(is_left());
    assert_int_equal(sweeps(rig), 1);
    rig_run_for(rig, 9 * day);
    assert_int_equal(sweeps(rig), 9);
    rig_end(rig);
}

static void by_one_for_all(void **state)
{
    (void)state;
    struct rig *rig = start();
    rig_add_worker(rig, 10);
    rig_run_for(rig, 2 * minute);
    assert_false(is_left());
    assert_int_equal(sweeps(rig), 1);
    worker_drain(rig->workers[0], 1000);
    leave_something();
    rig_run_for(rig, 2 * day); /* the other one alone */
    assert_true(is_left());
    assert_int_equal(sweeps(rig), 0);
    worker_drain(rig->workers[1], 1000);
    take_away();
    rig_clear(rig);
}

/* It does not hold up the drain, and the job that is under way ends after the worker. */
static void a_worker_that_drains_does_not_sweep_on(void **state)
{
    (void)state;
    struct reactor_sim_settings slow = reactor_sim_defaults;
    slow.job.min_us = slow.job.max_us = minute * 1000;
    struct rig *rig = start();
    reactor_sim_configure(rig->reactor, &slow);
    rig_run_for(rig, minute + 1);
    worker_drain(rig->workers[0], 1000);
    assert_int_equal(rig->drained, 1);
    reactor_run(rig->reactor);
    assert_true(is_left()); /* the job had just listed the directory */
    assert_int_equal(sweeps(rig), 0);
    take_away();
    rig_clear(rig);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("swept");
    suite_add(s, "a minute after the start, and each day", a_minute_after_the_start_and_each_day, NULL);
    suite_add(s, "by one for all", by_one_for_all, NULL);
    suite_add(s, "a worker that drains does not sweep on", a_worker_that_drains_does_not_sweep_on, NULL);
    return suite_run(s, argc, argv);
}
