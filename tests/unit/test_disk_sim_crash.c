#include "test_disk_sim.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* ---- crash: content ---- */

static void synced_file_and_name_survive(void)
{
    create_synced(tmp, "m", "content");
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
}

static void unsynced_content_is_lost(void)
{
    disk_close(create_with(tmp, "m", "content"));
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "");
}

static void content_survives_up_to_the_last_sync(void)
{
    auto_disk int fd = create_with(tmp, "m", "one ");
    assert_int_equal(append(fd, "two"), 0);
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(append(fd, " three"), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_content("/mail/tmp/m", "one two three");
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "one two");
}

static void copied_content_is_like_any(void)
{
    create_synced(tmp, "from", "content");
    auto_disk int from = disk_open_file(tmp, "from");
    auto_disk int to = create_with(new, "to", "head ");
    assert_int_equal(disk_sync(to), 0);
    assert_int_equal(disk_append_copy(to, from, 0), 0);
    assert_int_equal(disk_sync_dir(new), 0);
    assert_content("/mail/new/to", "head content");
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/new/to", "head ");
}

static void syncing_all_saves_content_and_names_everywhere(void)
{
    disk_close(create_with(tmp, "m", "content"));
    disk_close(create_with(new, "n", "other"));
    assert_int_equal(disk_sync_all(tmp), 0);
    disk_close(create_with(new, "late", "text"));
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
    assert_content("/mail/new/n", "other");
    assert_names("/mail/new", "n");
}

static void a_failed_sync_of_all_saves_nothing(void)
{
    disk_close(create_with(tmp, "m", "content"));
    FAULT(.kind = DISK_SIM_SYNC_ALL, .nth = 1, .error = EIO, .forgets = true);
    assert_int_equal(disk_sync_all(tmp), -EIO);
    assert_int_equal(disk_sync_all(tmp), 0);
    disk_sim_crash(DISK_SIM_KEEP);
    assert_false(exists("/mail/tmp/m"));
}

static void a_failed_sync_of_all_is_told_to_whoever_had_something_open(void)
{
    auto_disk int fd = create_with(tmp, "m", "content");
    auto_disk int untouched = create_with(new, "n", "");
    assert_int_equal(disk_sync(untouched), 0);
    FAULT(.kind = DISK_SIM_SYNC_ALL, .nth = 1, .error = EIO, .forgets = true);
    assert_int_equal(disk_sync_all(tmp), -EIO);
    assert_int_equal(disk_sync_all(new), -EIO);
    assert_int_equal(disk_sync_all(new), 0);
    assert_int_equal(disk_sync(fd), -EIO);
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_sync(untouched), 0); /* it has lost nothing */
}

/* Each descriptor is told by itself, as each open file of the kernel's is. */
static void writes_that_are_lost_are_told_to_whoever_had_something_open(void)
{
    auto_disk int before = create_with(tmp, "m", "content");
    assert_int_equal(disk_sync_all(tmp), 0);
    assert_int_equal(append(before, " and more"), 0);
    uint64_t calls = disk_sim_calls();
    disk_sim_lose_writes("/mail");
    assert_int_equal(disk_sim_calls(), calls);
    auto_disk int after = disk_open_file(tmp, "m");
    auto_disk int root_after = disk_open_root("/mail");
    assert_int_equal(disk_sync(after), 0); /* a lie */
    assert_int_equal(disk_sync_all(root_after), 0);
    assert_int_equal(disk_sync(before), -EIO);
    assert_int_equal(disk_sync_all(new), -EIO);
    assert_int_equal(disk_sync_all(tmp), -EIO);
    assert_int_equal(disk_sync_all(tmp), 0);
    disk_sim_crash(DISK_SIM_KEEP);
    assert_content("/mail/tmp/m", "content");
}

static void kept_content_is_durable_from_then_on(void)
{
    disk_close(create_with(tmp, "m", "content"));
    disk_sim_crash(DISK_SIM_KEEP);
    assert_content("/mail/tmp/m", "content");
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
}

static void seeded_content_is_lost_torn_or_kept(void)
{
    unsigned lost = 0, torn = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        start(seed);
        create_synced(tmp, "m", "durable");
        int fd = create_with(tmp, "n", "durable");
        assert_int_equal(disk_sync(fd), 0);
        assert_int_equal(append(fd, " and not"), 0);
        assert_int_equal(disk_sync_dir(tmp), 0);
        disk_sim_crash(DISK_SIM_SEEDED);
        disk_close(fd);
        assert_content("/mail/tmp/m", "durable");
        g_autofree char *got = disk_sim_read_file("/mail/tmp/n", NULL);
        assert_true(g_str_has_prefix(got, "durable") && g_str_has_prefix("durable and not", got));
        size_t len = strlen(got);
        *(len == 7 ? &lost : len == 15 ? &kept : &torn) += 1;
    }
    assert_true(lost > SEEDS / 10 && torn > SEEDS / 10 && kept > SEEDS / 10);
}

static void a_kill_loses_only_descriptors(void)
{
    int fd = create_with(tmp, "m", "content");
    disk_sim_kill();
    assert_int_equal(append(fd, " and more"), -EBADF);
    disk_close(fd);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    assert_content("/mail/tmp/m", "content");
    disk_sim_crash(DISK_SIM_LOSE); /* it was not made durable either */
    assert_false(exists("/mail/tmp/m"));
}

static void durable_is_what_no_crash_takes_away(void)
{
    auto_disk int fd = create_with(tmp, "m", "content");
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_false(disk_sim_is_durable("/mail/tmp/m")); /* its name alone is */
    assert_int_equal(disk_sync(fd), 0);
    assert_true(disk_sim_is_durable("/mail/tmp/m"));
    assert_int_equal(disk_rename(tmp, "m", new, "m"), 0);
    assert_false(disk_sim_is_durable("/mail/new/m"));
    assert_false(disk_sim_is_durable("/mail/tmp/m")); /* it is not there now */
    assert_int_equal(disk_sync_dir(new), 0);
    assert_true(disk_sim_is_durable("/mail/new/m"));
    assert_int_equal(append(fd, " and more"), 0);
    assert_false(disk_sim_is_durable("/mail/new/m"));
}

/* ---- crash: names ---- */

static void file_sync_saves_no_name(void)
{
    create_synced(tmp, "m", "content");
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "");
}

static void directory_sync_saves_no_name_elsewhere(void)
{
    create_synced(tmp, "m", "content");
    create_synced(new, "m", "content");
    assert_int_equal(disk_sync_dir(new), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "");
    assert_names("/mail/new", "m");
}

static void directory_needs_a_sync_of_its_parent(void)
{
    assert_int_equal(disk_mkdir(tmp, "sub"), 0);
    auto_disk int sub = disk_open_beneath(tmp, "sub");
    create_synced(sub, "m", "content");
    assert_int_equal(disk_sync_dir(sub), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "");
}

static void directory_survives_without_its_names(void)
{
    assert_int_equal(disk_mkdir(tmp, "sub"), 0);
    auto_disk int sub = disk_open_beneath(tmp, "sub");
    create_synced(sub, "m", "content");
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp/sub", "");
}

static void unsynced_unlink_is_undone(void)
{
    disk_sim_write_file("/mail/tmp/m", slice_str("content"));
    assert_int_equal(disk_unlink(tmp, "m"), 0);
    assert_names("/mail/tmp", "");
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
}

static void synced_unlink_stays(void)
{
    disk_sim_write_file("/mail/tmp/m", slice_str("content"));
    assert_int_equal(disk_unlink(tmp, "m"), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "");
}

static void replaced_file_comes_back(void)
{
    disk_sim_write_file("/mail/tmp/m", slice_str("old"));
    assert_int_equal(disk_unlink(tmp, "m"), 0);
    create_synced(tmp, "m", "new");
    assert_content("/mail/tmp/m", "new");
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "old");
}

static void seeded_names_are_independent(void)
{
    bool seen[8] = { false };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        start(seed);
        create_synced(tmp, "a", "content");
        create_synced(tmp, "b", "content");
        create_synced(new, "c", "content");
        disk_sim_crash(DISK_SIM_SEEDED);
        seen[exists("/mail/tmp/a") | exists("/mail/tmp/b") << 1 | exists("/mail/new/c") << 2] = true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(seen); i++)
        assert_true(seen[i]);
}

/* ---- crash: renames ---- */

static void prepare_rename(uint64_t seed, int to_dir)
{
    start(seed);
    disk_sim_write_file("/mail/tmp/old", slice_str("content"));
    assert_int_equal(disk_rename(tmp, "old", to_dir == -1 ? tmp : new, "new"), 0);
}

static void rename_in_a_directory_is_lost_whole(void)
{
    prepare_rename(1, -1);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "old");
    assert_content("/mail/tmp/old", "content");
}

static void rename_in_a_directory_is_kept_whole(void)
{
    unsigned olds = 0, news = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        prepare_rename(seed, -1);
        disk_sim_crash(DISK_SIM_SEEDED);
        g_auto(GStrv) names = disk_sim_names("/mail/tmp");
        assert_int_equal(g_strv_length(names), 1);
        *(strcmp(names[0], "old") == 0 ? &olds : &news) += 1;
    }
    assert_true(olds > SEEDS / 10 && news > SEEDS / 10);
}

static const struct move {
    const char *name;
    bool sync_source, sync_target;
    const char *source, *target; /* the names there after the crash */
} moves[] = {
    { "crash: rename between directories, none synced", false, false, "old", "" },
    { "crash: rename between directories, both synced", true, true, "", "new" },
    { "crash: rename between directories, only the source synced, loses the file", true, false, "", "" },
    { "crash: rename between directories, only the target synced, leaves two names", false, true, "old",
      "new" },
};

static void rename_between_directories(void **state)
{
    const struct move *m = *state;
    prepare_rename(1, 0);
    if (m->sync_source)
        assert_int_equal(disk_sync_dir(tmp), 0);
    if (m->sync_target)
        assert_int_equal(disk_sync_dir(new), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", m->source);
    assert_names("/mail/new", m->target);
    if (*m->target != '\0')
        assert_content("/mail/new/new", "content");
}

static void rename_between_directories_seeded(void)
{
    bool seen[4] = { false };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        prepare_rename(seed, 0);
        disk_sim_crash(DISK_SIM_SEEDED);
        seen[exists("/mail/tmp/old") | exists("/mail/new/new") << 1] = true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(seen); i++)
        assert_true(seen[i]);
}

/* Two names of one file, as after such a crash: it is one file still, and goes on as one. */
static void two_names_of_one_file(void)
{
    prepare_rename(1, 0);
    assert_int_equal(disk_sync_dir(new), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    int dir = disk_open_root("/mail/tmp");
    assert_int_equal(disk_unlink(dir, "old"), 0);
    disk_close(dir);
    disk_sim_crash(DISK_SIM_KEEP);
    assert_names("/mail/tmp", "");
    assert_content("/mail/new/new", "content");
}

static void a_link_survives_with_its_directory(void)
{
    create_synced(tmp, "m", "content");
    assert_int_equal(disk_link(tmp, "m", new, "m"), 0);
    assert_int_equal(disk_link(tmp, "m", tmp, "lost"), 0);
    assert_int_equal(disk_sync_dir(new), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "");
    assert_content("/mail/new/m", "content");
}

static void a_removed_directory_comes_back(void)
{
    disk_sim_mkdir_all("/mail/tmp/sub");
    assert_int_equal(disk_rmdir(tmp, "sub"), 0);
    assert_names("/mail/tmp", "");
    disk_sim_crash(DISK_SIM_LOSE);
    auto_disk int sub = disk_open_root("/mail/tmp/sub");
    create_synced(sub, "m", "content"); /* as good as ever */
    assert_content("/mail/tmp/sub/../sub/m", "content");
}

static void a_synced_rmdir_stays(void)
{
    disk_sim_mkdir_all("/mail/tmp/sub");
    assert_int_equal(disk_rmdir(tmp, "sub"), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_names("/mail/tmp", "");
}

/* The old one or the new one, but always one. */
static void a_replaced_name_stands_for_either(void)
{
    unsigned olds = 0, news = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        start(seed);
        disk_sim_write_file("/mail/tmp/next", slice_str("new"));
        disk_sim_write_file("/mail/new/name", slice_str("old"));
        assert_int_equal(disk_replace(tmp, "next", new, "name"), 0);
        disk_sim_crash(DISK_SIM_SEEDED);
        g_autofree char *content = disk_sim_read_file("/mail/new/name", NULL);
        assert_non_null(content);
        *(strcmp(content, "old") == 0 ? &olds : &news) += 1;
    }
    assert_true(olds > SEEDS / 10 && news > SEEDS / 10);
}

/* ---- crash: the whole ---- */

static void crash_with_all_synced_changes_nothing(void)
{
    static const enum disk_sim_policy policies[] = { DISK_SIM_LOSE, DISK_SIM_KEEP, DISK_SIM_SEEDED };
    start(1);
    create_synced(tmp, "m", "content");
    assert_int_equal(disk_rename(tmp, "m", new, "m"), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_int_equal(disk_sync_dir(new), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(policies); i++) {
        disk_sim_crash(policies[i]);
        assert_names("/mail/tmp", "");
        assert_names("/mail/new", "m");
        assert_content("/mail/new/m", "content");
    }
}

static void crash_takes_all_descriptors(void)
{
    auto_disk int fd = create_with(tmp, "m", "content");
    char byte;
    assert_int_equal(disk_sim_open_descriptors(), 3);
    disk_sim_crash(DISK_SIM_KEEP);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    assert_int_equal(append(fd, "more"), -EBADF);
    assert_int_equal(disk_read(fd, 0, &byte, 1), -EBADF);
    assert_int_equal(disk_sync(fd), -EBADF);
    assert_int_equal(disk_sync_dir(tmp), -EBADF);
    assert_int_equal(disk_unlink(tmp, "m"), -EBADF);
    disk_close(tmp); /* their owners do not know yet */
    disk_close(new);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    assert_content("/mail/tmp/m", "content");
}

static char *outcome_of(uint64_t seed)
{
    start(seed);
    GString *outcome = g_string_new(NULL);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree char *name = g_strdup_printf("m%u", i);
        disk_close(create_with(i % 2 == 0 ? tmp : new, name, "some content"));
    }
    disk_sim_crash(DISK_SIM_SEEDED);
    for (unsigned i = 0; i < 20; i++) {
        g_autofree char *path = g_strdup_printf("/mail/%s/m%u", i % 2 == 0 ? "tmp" : "new", i);
        g_autofree char *content = disk_sim_read_file(path, NULL);
        g_string_append_printf(outcome, "%s;", content != NULL ? content : "-");
    }
    return g_string_free(outcome, FALSE);
}

static void same_seed_same_outcome(void)
{
    g_autofree char *first = outcome_of(7);
    g_autofree char *other = outcome_of(8);
    g_autofree char *again = outcome_of(7);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
}

/* ---- the way it is meant to be used: crash at each call of a delivery, and look ---- */

static int deliver(void)
{
    auto_disk int to_tmp = disk_open_root("/mail/tmp");
    if (to_tmp < 0)
        return to_tmp;
    auto_disk int to_new = disk_open_root("/mail/new");
    if (to_new < 0)
        return to_new;
    auto_disk int fd = disk_create(to_tmp, "m");
    int r = fd < 0 ? fd : append(fd, "content");
    if (r == 0)
        r = disk_sync(fd);
    if (r == 0)
        r = disk_rename(to_tmp, "m", to_new, "m");
    return r != 0 ? r : disk_sync_dir(to_new);
}

/* Power fails before the k-th call. True: the delivery was over before. */
static bool deliver_until(uint64_t k, uint64_t seed, enum disk_sim_policy policy)
{
    disk_sim_reset(seed);
    disk_sim_mkdir_all("/mail/tmp");
    disk_sim_mkdir_all("/mail/new");
    FAULT(.nth = k, .error = EIO, .for_ever = true);
    int r = deliver();
    bool over = disk_sim_failures() == 0;
    assert_int_equal(r, over ? 0 : -EIO);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    disk_sim_heal();
    disk_sim_crash(policy);
    g_autofree char *content = disk_sim_read_file("/mail/new/m", NULL);
    if (r == 0)
        assert_non_null(content);
    if (content != NULL)
        assert_string_equal(content, "content");
    return over;
}

static const struct by_policy {
    const char *name;
    enum disk_sim_policy policy;
} by_policy_rows[] = {
    { "crash: at each call of a delivery: lose", DISK_SIM_LOSE },
    { "crash: at each call of a delivery: keep", DISK_SIM_KEEP },
    { "crash: at each call of a delivery: seeded", DISK_SIM_SEEDED },
};

static void crash_at_each_call(void **state)
{
    const struct by_policy *row = *state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t k = 1;
        while (!deliver_until(k, seed, row->policy))
            k++;
        assert_int_equal(k, 8); /* seven calls */
    }
}

static const struct sim_case cases[] = {
    { "a kill loses only descriptors", a_kill_loses_only_descriptors },
    { "durable is what no crash takes away", durable_is_what_no_crash_takes_away },
    { "syncing all saves content and names everywhere", syncing_all_saves_content_and_names_everywhere },
    { "a failed sync of all saves nothing", a_failed_sync_of_all_saves_nothing },
    { "a failed sync of all is told to whoever had something open",
      a_failed_sync_of_all_is_told_to_whoever_had_something_open },
    { "writes that are lost are told to whoever had something open",
      writes_that_are_lost_are_told_to_whoever_had_something_open },
    { "crash: a link survives with its directory", a_link_survives_with_its_directory },
    { "crash: a removed directory comes back", a_removed_directory_comes_back },
    { "crash: a synced rmdir stays", a_synced_rmdir_stays },
    { "crash: synced file and synced name survive", synced_file_and_name_survive },
    { "crash: unsynced content is lost", unsynced_content_is_lost },
    { "crash: content survives up to the last sync", content_survives_up_to_the_last_sync },
    { "crash: copied content is like any", copied_content_is_like_any },
    { "crash: what was kept is durable", kept_content_is_durable_from_then_on },
    { "crash: seeded content is lost, torn or kept", seeded_content_is_lost_torn_or_kept },
    { "crash: a file's sync saves no name", file_sync_saves_no_name },
    { "crash: a directory's sync saves no name elsewhere", directory_sync_saves_no_name_elsewhere },
    { "crash: a directory needs a sync of its parent", directory_needs_a_sync_of_its_parent },
    { "crash: a directory survives without its names", directory_survives_without_its_names },
    { "crash: an unsynced unlink is undone", unsynced_unlink_is_undone },
    { "crash: a synced unlink stays", synced_unlink_stays },
    { "crash: a replaced file comes back", replaced_file_comes_back },
    { "crash: seeded names are independent", seeded_names_are_independent },
    { "crash: rename in a directory is lost whole", rename_in_a_directory_is_lost_whole },
    { "crash: rename in a directory is lost or kept whole", rename_in_a_directory_is_kept_whole },
    { "crash: rename between directories, seeded, four ways", rename_between_directories_seeded },
    { "crash: two names of one file", two_names_of_one_file },
    { "crash: a replaced name stands for the old one or for the new one", a_replaced_name_stands_for_either },
    { "crash: with all synced changes nothing", crash_with_all_synced_changes_nothing },
    { "crash: takes all descriptors", crash_takes_all_descriptors },
    { "crash: same seed, same outcome", same_seed_same_outcome },
};

void add_crash_cases(struct suite *s)
{
    suite_add_rows(s, cases, run_case);
    suite_add_rows(s, moves, rename_between_directories);
    suite_add_rows(s, by_policy_rows, crash_at_each_call);
}
