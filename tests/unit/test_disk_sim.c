/*
 * What the simulated file system alone can do: crash, fail, run full. That it is a file system is
 * tests/contract's business.
 */
#include "test_disk_sim.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

int tmp, new;

void start(uint64_t seed)
{
    disk_sim_reset(seed);
    disk_sim_mkdir_all("/mail/tmp");
    disk_sim_mkdir_all("/mail/new");
    tmp = disk_open_root("/mail/tmp");
    new = disk_open_root("/mail/new");
    assert_true(tmp >= 0 && new >= 0);
}

int append(int fd, const char *text)
{
    struct slice part = slice_str(text);
    return disk_append(fd, &part, 1);
}

int create_with(int dir, const char *name, const char *content)
{
    int fd = disk_create(dir, name);
    assert_true(fd >= 0);
    assert_int_equal(append(fd, content), 0);
    return fd;
}

void create_synced(int dir, const char *name, const char *content)
{
    auto_disk int fd = create_with(dir, name, content);
    assert_int_equal(disk_sync(fd), 0);
}

void assert_content(const char *path, const char *want)
{
    g_autofree char *got = disk_sim_read_file(path, NULL);
    if (want == NULL)
        assert_null(got);
    else
        assert_non_null(got);
    if (want != NULL)
        assert_string_equal(got, want);
}

bool exists(const char *path)
{
    g_autofree char *content = disk_sim_read_file(path, NULL);
    return content != NULL;
}

void assert_names(const char *path, const char *want)
{
    g_auto(GStrv) names = disk_sim_names(path);
    assert_non_null(names);
    g_autofree char *got = g_strjoinv(" ", names);
    assert_string_equal(got, want);
}

void run_case(void **state)
{
    const struct sim_case *c = *state;
    start(1);
    c->run();
}

/* ---- hook, time, helpers ---- */

static void note_call(void *owner, const struct disk_sim_call *call)
{
    g_string_append_printf(owner, "%d %s %s%s%s\n", (int)call->number, disk_sim_kind_name(call->kind),
                           call->path, call->to != NULL ? " -> " : "", call->to != NULL ? call->to : "");
}

static void hook_sees_each_call(void)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    start(1);
    disk_sim_set_hook(note_call, trace);
    auto_disk int mail = disk_open_root("/mail");
    auto_disk int dir = disk_open_beneath(mail, "tmp");
    auto_disk int fd = create_with(dir, "m", "content");
    auto_disk int copy = disk_create(new, "copy");
    assert_int_equal(disk_append_copy(copy, fd, 0), 0);
    assert_int_equal(disk_sync(fd), 0);
    FAULT(.nth = 1, .error = EIO);
    assert_int_equal(disk_rename(dir, "m", new, "n"), -EIO);
    assert_int_equal(disk_sync_dir(-1), -EBADF);
    disk_sim_write_file("/mail/helper", slice_str(""));
    assert_content("/mail/helper", "");
    assert_string_equal(trace->str, "3 open-root /mail\n"
                                    "4 open-beneath /mail/tmp\n"
                                    "5 create /mail/tmp/m\n"
                                    "6 append /mail/tmp/m\n"
                                    "7 create /mail/new/copy\n"
                                    "8 append-copy /mail/tmp/m -> /mail/new/copy\n"
                                    "9 sync /mail/tmp/m\n"
                                    "10 rename /mail/tmp/m -> /mail/new/n\n"
                                    "11 sync-dir ?\n");
    assert_int_equal(disk_sim_calls(), 11);
    disk_sim_set_hook(NULL, NULL);
    assert_int_equal(disk_mkdir(tmp, "unseen"), 0);
    assert_int_equal(disk_sim_calls(), 12);
}

static void crash_at_rename(void *owner, const struct disk_sim_call *call)
{
    (void)owner;
    if (call->kind == DISK_SIM_RENAME)
        disk_sim_crash(DISK_SIM_KEEP);
}

static void hook_may_crash(void)
{
    create_synced(tmp, "m", "content");
    disk_sim_set_hook(crash_at_rename, NULL);
    assert_int_equal(disk_rename(tmp, "m", new, "m"), -EBADF);
    assert_names("/mail/tmp", "m");
    assert_names("/mail/new", "");
}

static void time_is_what_the_test_says(void)
{
    struct disk_stat st;
    start(1);
    disk_sim_set_time(1000);
    auto_disk int fd = disk_create(tmp, "m");
    assert_int_equal(disk_stat(tmp, "m", &st), 0);
    assert_int_equal(st.modified_us, 1000);
    disk_sim_set_time(2000);
    assert_int_equal(append(fd, "content"), 0);
    disk_sim_set_time(3000);
    assert_int_equal(disk_rename(tmp, "m", tmp, "n"), 0);
    assert_int_equal(disk_stat(tmp, "n", &st), 0);
    assert_int_equal(st.modified_us, 2000); /* the file's name is not the file's */
}

static void helpers_make_durable_things(void)
{
    disk_sim_mkdir_all("/a/b/c");
    disk_sim_mkdir_all("/a/b/d/");
    disk_sim_write_file("/a/b/c/file", slice_of("with\0nul", 8));
    disk_sim_symlink("/a/link", "b/c");
    disk_sim_special("/a/special");
    disk_sim_crash(DISK_SIM_LOSE);
    size_t len = 0;
    g_autofree char *content = disk_sim_read_file("/a/link/file", &len);
    assert_int_equal(len, 8);
    assert_memory_equal(content, "with\0nul", 9);
    assert_names("/a", "b link special");
    assert_names("/a/b", "c d");
    assert_null(disk_sim_names("/a/missing"));
    assert_null(disk_sim_names("/a/b/c/file"));
    assert_null(disk_sim_read_file("/a/b", NULL));
}

static void reset_forgets_all(void)
{
    disk_close(create_with(tmp, "m", "content"));
    FAULT(.nth = 1, .error = EIO, .for_ever = true);
    disk_sim_set_descriptor_limit(0);
    disk_sim_set_capacity(0, ENOSPC);
    start(1);
    assert_int_equal(disk_sim_calls(), 2);
    assert_int_equal(disk_sim_failures(), 0);
    assert_int_equal(disk_sim_open_descriptors(), 2);
    assert_names("/mail/tmp", "");
    disk_close(create_with(tmp, "m", "content"));
}

static const struct sim_case cases[] = {
    { "hook: sees each call", hook_sees_each_call },
    { "hook: may crash", hook_may_crash },
    { "time: is what the test says", time_is_what_the_test_says },
    { "helpers: make durable things", helpers_make_durable_things },
    { "reset: forgets all", reset_forgets_all },
};

int main(int argc, char **argv)
{
    struct suite *s = suite_new("disk sim");
    add_crash_cases(s);
    add_fault_cases(s);
    add_world_cases(s);
    suite_add_rows(s, cases, run_case);
    return suite_run(s, argc, argv);
}
