#include "test_disk_sim.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* ---- faults ---- */

static void fault_strikes_the_nth_of_its_kind_once(void)
{
    FAULT(.kind = DISK_SIM_MKDIR, .nth = 2, .error = EIO);
    assert_int_equal(disk_mkdir(tmp, "a"), 0);
    disk_close(create_with(tmp, "file", ""));
    assert_int_equal(disk_mkdir(tmp, "b"), -EIO);
    assert_int_equal(disk_mkdir(tmp, "b"), 0);
    assert_int_equal(disk_sim_failures(), 1);
    assert_names("/mail/tmp", "a b file");
}

static void fault_strikes_the_nth_of_any_kind(void)
{
    FAULT(.nth = 3, .error = EROFS);
    assert_int_equal(disk_mkdir(tmp, "a"), 0);
    assert_int_equal(disk_unlink(tmp, "missing"), -ENOENT); /* counts */
    assert_int_equal(disk_sync_dir(tmp), -EROFS);
    assert_int_equal(disk_sync_dir(tmp), 0);
}

static void fault_strikes_for_ever(void)
{
    FAULT(.kind = DISK_SIM_MKDIR, .nth = 2, .error = EIO, .for_ever = true);
    assert_int_equal(disk_mkdir(tmp, "a"), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(disk_mkdir(tmp, "b"), -EIO);
    assert_int_equal(disk_sim_failures(), 5);
    disk_sim_heal();
    assert_int_equal(disk_mkdir(tmp, "b"), 0);
}

static void faults_count_side_by_side(void)
{
    FAULT(.kind = DISK_SIM_MKDIR, .nth = 1, .error = EIO);
    FAULT(.kind = DISK_SIM_MKDIR, .nth = 3, .error = ENOSPC);
    FAULT(.kind = DISK_SIM_UNLINK, .nth = 1, .error = EACCES);
    assert_int_equal(disk_mkdir(tmp, "a"), -EIO);
    assert_int_equal(disk_mkdir(tmp, "a"), 0);
    assert_int_equal(disk_unlink(tmp, "missing"), -EACCES);
    assert_int_equal(disk_mkdir(tmp, "b"), -ENOSPC);
    assert_int_equal(disk_mkdir(tmp, "b"), 0);
}

static int call_open_root(int fd)
{
    (void)fd;
    return disk_open_root("/mail/tmp");
}

static int call_open_path(int fd)
{
    (void)fd;
    return disk_open_path("/mail/tmp/empty");
}

static int call_open_beneath(int fd)
{
    (void)fd;
    return disk_open_beneath(tmp, ".");
}

static int call_stat(int fd)
{
    (void)fd;
    return disk_stat(tmp, "m", &(struct disk_stat){ 0 });
}

static int call_create(int fd)
{
    (void)fd;
    return disk_create(tmp, "created");
}

static int call_open_file(int fd)
{
    (void)fd;
    return disk_open_file(tmp, "m");
}

static int call_mkdir(int fd)
{
    (void)fd;
    return disk_mkdir(tmp, "made");
}

static int call_read(int fd)
{
    char byte;
    return (int)disk_read(fd, 0, &byte, 1);
}

static int call_check(int fd)
{
    return disk_check(fd);
}

static int call_rename(int fd)
{
    (void)fd;
    return disk_rename(tmp, "m", new, "m");
}

static int call_rmdir(int fd)
{
    (void)fd;
    return disk_rmdir(new, "sub");
}

static int call_link(int fd)
{
    (void)fd;
    return disk_link(tmp, "m", new, "m");
}

static int call_unlink(int fd)
{
    (void)fd;
    return disk_unlink(tmp, "m");
}

static int each_never(void *owner, const char *name)
{
    (void)owner, (void)name;
    fail_msg("listed");
    return 0;
}

static int call_list(int fd)
{
    (void)fd;
    return disk_list(tmp, each_never, NULL);
}

static int call_append(int fd)
{
    return append(fd, "");
}

static int call_stat_open(int fd)
{
    return disk_stat_open(fd, &(struct disk_stat){ 0 });
}

static int call_append_copy(int fd)
{
    auto_disk int from = disk_open_file(tmp, "empty");
    return disk_append_copy(fd, from, 0);
}

static int call_scratch(int fd)
{
    (void)fd;
    return disk_scratch();
}

static int call_truncate(int fd)
{
    return disk_truncate(fd);
}

static const struct failing {
    const char *name;
    enum disk_sim_kind kind;
    int (*call)(int fd);
} failing_rows[] = {
    { "fault: without effect: open root", DISK_SIM_OPEN_ROOT, call_open_root },
    { "fault: without effect: open path", DISK_SIM_OPEN_PATH, call_open_path },
    { "fault: without effect: open beneath", DISK_SIM_OPEN_BENEATH, call_open_beneath },
    { "fault: without effect: stat", DISK_SIM_STAT, call_stat },
    { "fault: without effect: stat open", DISK_SIM_STAT_OPEN, call_stat_open },
    { "fault: without effect: create", DISK_SIM_CREATE, call_create },
    { "fault: without effect: open file", DISK_SIM_OPEN_FILE, call_open_file },
    { "fault: without effect: mkdir", DISK_SIM_MKDIR, call_mkdir },
    { "fault: without effect: rmdir", DISK_SIM_RMDIR, call_rmdir },
    { "fault: without effect: append", DISK_SIM_APPEND, call_append },
    { "fault: without effect: read", DISK_SIM_READ, call_read },
    { "fault: without effect: append copy", DISK_SIM_APPEND_COPY, call_append_copy },
    { "fault: without effect: check", DISK_SIM_CHECK, call_check },
    { "fault: without effect: scratch", DISK_SIM_SCRATCH, call_scratch },
    { "fault: without effect: truncate", DISK_SIM_TRUNCATE, call_truncate },
    { "fault: without effect: rename", DISK_SIM_RENAME, call_rename },
    { "fault: without effect: link", DISK_SIM_LINK, call_link },
    { "fault: without effect: unlink", DISK_SIM_UNLINK, call_unlink },
    { "fault: without effect: list", DISK_SIM_LIST, call_list },
};

static void failing_call_has_no_effect(void **state)
{
    const struct failing *row = *state;
    start(1);
    disk_sim_write_file("/mail/tmp/empty", slice_str(""));
    disk_sim_mkdir_all("/mail/new/sub");
    auto_disk int fd = create_with(tmp, "m", "content");
    size_t open = disk_sim_open_descriptors();
    FAULT(.kind = row->kind, .nth = 1, .error = EIO);
    assert_int_equal(row->call(fd), -EIO);
    assert_int_equal(disk_sim_failures(), 1);
    assert_int_equal(disk_sim_open_descriptors(), open);
    assert_names("/mail/tmp", "empty m");
    assert_names("/mail/new", "sub");
    assert_content("/mail/tmp/m", "content");
}

static void failed_append_leaves_some(void)
{
    bool seen[5] = { false };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        start(seed);
        auto_disk int fd = create_with(tmp, "m", "head");
        FAULT(.kind = DISK_SIM_APPEND, .nth = 1, .error = EIO);
        const struct slice parts[] = { slice_str("12"), slice_str("34") };
        assert_int_equal(disk_append(fd, parts, 2), -EIO);
        g_autofree char *got = disk_sim_read_file("/mail/tmp/m", NULL);
        assert_true(g_str_has_prefix("head1234", got) && strlen(got) >= 4);
        seen[strlen(got) - 4] = true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(seen); i++)
        assert_true(seen[i]);
}

static void a_failed_rename_may_have_happened(void)
{
    create_synced(tmp, "m", "content");
    FAULT(.kind = DISK_SIM_RENAME, .nth = 1, .error = EIO, .happens = true);
    assert_int_equal(disk_rename(tmp, "m", new, "n"), -EIO);
    assert_names("/mail/tmp", "");
    assert_content("/mail/new/n", "content");
    FAULT(.kind = DISK_SIM_RENAME, .nth = 1, .error = EIO, .happens = true);
    assert_int_equal(disk_rename(tmp, "m", new, "o"), -EIO); /* what could not happen has not */
    assert_names("/mail/new", "n");
}

/* ---- faults: syncs ---- */

static void failed_sync_leaves_content_unsynced(void)
{
    auto_disk int fd = create_with(tmp, "m", "content");
    assert_int_equal(disk_sync_dir(tmp), 0);
    FAULT(.kind = DISK_SIM_SYNC, .nth = 1, .error = EIO);
    assert_int_equal(disk_sync(fd), -EIO);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "");
}

static void failed_sync_may_be_repeated(void)
{
    auto_disk int fd = create_with(tmp, "m", "content");
    assert_int_equal(disk_sync_dir(tmp), 0);
    FAULT(.kind = DISK_SIM_SYNC, .nth = 1, .error = EIO);
    assert_int_equal(disk_sync(fd), -EIO);
    assert_int_equal(disk_sync(fd), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
}

static const struct disk_sim_fault forgetful_sync = {
    .kind = DISK_SIM_SYNC, .nth = 1, .error = EIO, .forgets = true
};

static const struct by_policy {
    const char *name;
    enum disk_sim_policy policy;
} content_rows[] = {
    { "fault: forgotten content is gone: lose", DISK_SIM_LOSE },
    { "fault: forgotten content is gone: keep", DISK_SIM_KEEP },
    { "fault: forgotten content is gone: seeded", DISK_SIM_SEEDED },
}, names_rows[] = {
    { "fault: forgotten names are gone: lose", DISK_SIM_LOSE },
    { "fault: forgotten names are gone: keep", DISK_SIM_KEEP },
    { "fault: forgotten names are gone: seeded", DISK_SIM_SEEDED },
};

static void forgotten_content_is_gone_whatever_follows(void **state)
{
    const struct by_policy *row = *state;
    start(1);
    auto_disk int fd = create_with(tmp, "m", "one");
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_int_equal(append(fd, " two"), 0);
    disk_sim_fail(forgetful_sync);
    assert_int_equal(disk_sync(fd), -EIO);
    assert_int_equal(disk_sync(fd), 0); /* a lie */
    assert_int_equal(append(fd, " three"), 0);
    assert_int_equal(disk_sync(fd), 0);
    assert_content("/mail/tmp/m", "one two three"); /* the cache has it */
    disk_sim_crash(row->policy);
    assert_content("/mail/tmp/m", "one");
}

static void forgetting_needs_something_unsynced(void)
{
    auto_disk int fd = create_with(tmp, "m", "one");
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_fail(forgetful_sync);
    assert_int_equal(disk_sync(fd), -EIO);
    assert_int_equal(append(fd, " two"), 0);
    assert_int_equal(disk_sync(fd), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "one two");
}

static void forgotten_names_are_gone_whatever_follows(void **state)
{
    const struct by_policy *row = *state;
    start(1);
    create_synced(tmp, "forgotten", "content");
    FAULT(.kind = DISK_SIM_SYNC_DIR, .nth = 1, .error = EIO, .forgets = true);
    assert_int_equal(disk_sync_dir(tmp), -EIO);
    create_synced(tmp, "later", "content");
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_names("/mail/tmp", "forgotten later");
    disk_sim_crash(row->policy);
    assert_names("/mail/tmp", "later");
}

static void failed_directory_sync_may_be_repeated(void)
{
    create_synced(tmp, "m", "content");
    FAULT(.kind = DISK_SIM_SYNC_DIR, .nth = 1, .error = EIO);
    assert_int_equal(disk_sync_dir(tmp), -EIO);
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "m");
}

/* ---- limits ---- */

static void full_disk_takes_what_fits(void)
{
    auto_disk int first = create_with(tmp, "first", "12345");
    disk_sim_set_capacity(8, ENOSPC);
    assert_int_equal(disk_link(tmp, "first", new, "first"), 0); /* one more name needs no room */
    auto_disk int second = create_with(tmp, "second", "");
    assert_int_equal(append(second, "123"), 0);
    assert_int_equal(append(first, ""), 0);
    assert_int_equal(append(first, "6"), -ENOSPC);
    assert_content("/mail/tmp/first", "12345");
    assert_int_equal(disk_unlink(tmp, "second"), 0);
    assert_int_equal(append(first, "6789"), -ENOSPC);
    assert_content("/mail/tmp/first", "12345678");
    disk_sim_heal();
    assert_int_equal(append(first, "9"), 0);
}

static void full_disk_stops_copies(void)
{
    create_synced(tmp, "from", "12345");
    disk_sim_set_capacity(7, EDQUOT);
    auto_disk int from = disk_open_file(tmp, "from");
    auto_disk int to = create_with(tmp, "to", "");
    assert_int_equal(disk_append_copy(to, from, 0), -EDQUOT);
    assert_content("/mail/tmp/to", "12");
}

static void descriptors_run_out(void)
{
    disk_sim_write_file("/mail/tmp/m", slice_str("content"));
    disk_sim_set_descriptor_limit(3);
    int fd = disk_open_file(tmp, "m");
    assert_true(fd >= 0);
    assert_int_equal(disk_open_root("/mail"), -EMFILE);
    assert_int_equal(disk_open_beneath(tmp, "."), -EMFILE);
    assert_int_equal(disk_open_file(tmp, "m"), -EMFILE);
    assert_int_equal(disk_create(tmp, "n"), -EMFILE);
    assert_int_equal(disk_list(tmp, each_never, NULL), -EMFILE);
    assert_names("/mail/tmp", "m");
    disk_close(fd);
    disk_close(create_with(tmp, "n", ""));
    assert_int_equal(disk_sim_open_descriptors(), 2);
}

static void a_clean_fault_writes_nothing(void)
{
    disk_sim_write_file("/mail/tmp/from", slice_str("text"));
    auto_disk int fd = create_with(tmp, "m", "content"), from = disk_open_file(tmp, "from");
    FAULT(.nth = 1, .error = EIO, .for_ever = true, .clean = true);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(append(fd, " and more"), -EIO);
        assert_int_equal(disk_append_copy(fd, from, 0), -EIO);
    }
    assert_content("/mail/tmp/m", "content");
}

static const struct sim_case cases[] = {
    { "fault: the nth of its kind, once", fault_strikes_the_nth_of_its_kind_once },
    { "fault: the nth of any kind", fault_strikes_the_nth_of_any_kind },
    { "fault: for ever", fault_strikes_for_ever },
    { "fault: several count side by side", faults_count_side_by_side },
    { "fault: a failed append leaves some", failed_append_leaves_some },
    { "fault: a clean one writes nothing", a_clean_fault_writes_nothing },
    { "fault: a failed rename may have happened", a_failed_rename_may_have_happened },
    { "fault: a failed sync leaves content unsynced", failed_sync_leaves_content_unsynced },
    { "fault: a failed sync may be repeated", failed_sync_may_be_repeated },
    { "fault: forgetting needs something unsynced", forgetting_needs_something_unsynced },
    { "fault: a failed directory sync may be repeated", failed_directory_sync_may_be_repeated },
    { "limit: a full disk takes what fits", full_disk_takes_what_fits },
    { "limit: a full disk stops copies", full_disk_stops_copies },
    { "limit: descriptors run out", descriptors_run_out },
};

void add_fault_cases(struct suite *s)
{
    suite_add_rows(s, cases, run_case);
    suite_add_rows(s, failing_rows, failing_call_has_no_effect);
    suite_add_rows(s, content_rows, forgotten_content_is_gone_whatever_follows);
    suite_add_rows(s, names_rows, forgotten_names_are_gone_whatever_follows);
}
