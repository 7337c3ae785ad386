#include "test_disk_sim.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* Appends "m=content " for each file and "d/ " for a directory. */
static void note_directory(GString *told, const char *path)
{
    g_auto(GStrv) names = disk_sim_names(path);
    for (size_t i = 0; names[i] != NULL; i++) {
        size_t len;
        g_autofree char *file = g_build_filename(path, names[i], NULL);
        g_autofree char *content = disk_sim_read_file(file, &len);
        if (content == NULL) {
            g_string_append_printf(told, "%s/ ", names[i]);
            note_directory(told, file);
            continue;
        }
        for (size_t at = 0; at < len; at++)
            if (content[at] == '\0')
                content[at] = '0';
        g_string_append_printf(told, "%s=%s ", names[i], content);
    }
}

static void note_world(void *told)
{
    note_directory(told, "/mail/tmp");
    note_directory(told, "/mail/new");
    g_string_append(told, "; ");
}

static void assert_worlds(uint64_t most, uint64_t count, const char *want)
{
    GString *told = g_string_new(NULL);
    assert_int_equal(disk_sim_worlds(most, note_world, told), count);
    assert_string_equal(told->str, want);
    g_string_free(told, TRUE);
}

static void with_all_synced_there_is_one_world(void)
{
    create_synced(tmp, "m", "one");
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_worlds(8, 1, "m=one ; ");
}

static void each_combination_of_names_is_a_world(void)
{
    create_synced(tmp, "m", "");
    create_synced(new, "n", "");
    assert_worlds(4, 4, "; n= ; m= ; m= n= ; ");
}

static void a_rename_between_directories_is_two_changes(void)
{
    create_synced(tmp, "m", "");
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_int_equal(disk_rename(tmp, "m", new, "n"), 0);
    assert_worlds(4, 4, "m= ; m= n= ; ; n= ; ");
}

static void content_is_lost_cut_zeroed_and_kept(void)
{
    int fd = create_with(tmp, "m", "a");
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    assert_int_equal(append(fd, "bc"), 0);
    disk_close(fd);
    GString *told = g_string_new(NULL);
    assert_int_equal(disk_sim_worlds(1, note_world, told), 4);
    assert_true(g_str_has_prefix(told->str, "m=a ; m=a"));
    assert_true(g_str_has_suffix(told->str, "; m=a00 ; m=abc ; "));
    g_string_free(told, TRUE);
}

static void what_a_sync_has_forgotten_is_in_no_world(void)
{
    int fd = create_with(tmp, "m", "a");
    FAULT(.kind = DISK_SIM_SYNC, .nth = 1, .error = EIO, .forgets = true);
    assert_int_equal(disk_sync(fd), -EIO);
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_close(fd);
    assert_worlds(1, 4, "m= ; m= ; m= ; m= ; ");
}

static void a_new_directory_is_in_some(void)
{
    assert_int_equal(disk_mkdir(tmp, "d"), 0);
    int d = disk_open_beneath(tmp, "d");
    create_synced(d, "m", "");
    disk_close(d);
    assert_worlds(4, 4, "; d/ ; ; d/ m= ; ");
}

static void afterwards_all_is_as_it_was(void)
{
    int fd = create_with(tmp, "m", "content");
    GString *told = g_string_new(NULL);
    (void)disk_sim_worlds(8, note_world, told);
    g_string_free(told, TRUE);
    assert_content("/mail/tmp/m", "content");
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_sync_dir(tmp), 0);
    disk_close(fd);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
}

static void where_there_are_too_many_some_are_drawn(void)
{
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    GString *all = g_string_new("; ");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        create_synced(tmp, names[i], "");
        g_string_insert(all, (gssize)(3 * i), "x= ");
        all->str[3 * i] = *names[i];
    }
    GString *told = g_string_new(NULL);
    assert_int_equal(disk_sim_worlds(63, note_world, told), 63);
    assert_true(g_str_has_prefix(told->str, "; "));
    assert_true(g_str_has_suffix(told->str, all->str));
    g_string_free(told, TRUE);
    g_string_free(all, TRUE);
}

/* ---- several file systems ---- */

static int mount_open(const char *path, bool syncs_all)
{
    disk_sim_mount(path, syncs_all);
    int dir = disk_open_root(path);
    assert_true(dir >= 0);
    return dir;
}

static void nothing_moves_between_file_systems(void)
{
    auto_disk int other = mount_open("/other", true);
    create_synced(tmp, "m", "content");
    assert_int_equal(disk_rename(tmp, "m", other, "m"), -EXDEV);
    assert_content("/mail/tmp/m", "content");
}

static void file_systems_are_told_apart(void)
{
    auto_disk int other = mount_open("/other", true), third = mount_open("/third", false);
    uint64_t a, b;
    assert_int_equal(disk_can_sync_all(tmp, &a), 0);
    assert_int_equal(disk_can_sync_all(new, &b), 0);
    assert_int_equal(a, b);
    assert_int_equal(disk_can_sync_all(other, &b), 0);
    assert_int_not_equal(a, b);
    assert_int_equal(disk_can_sync_all(third, &b), -EOPNOTSUPP);
}

static void syncing_all_ends_at_the_edge(void)
{
    auto_disk int other = mount_open("/mail/tmp/other", true);
    disk_close(create_with(tmp, "m", "content"));
    disk_close(create_with(other, "n", "content"));
    assert_int_equal(disk_sync_all(tmp), 0);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_content("/mail/tmp/m", "content");
    assert_false(exists("/mail/tmp/other/n"));
}

static void an_error_of_one_is_not_told_of_another(void)
{
    auto_disk int other = mount_open("/other", true);
    disk_close(create_with(tmp, "m", "content"));
    disk_close(create_with(other, "n", "content"));
    FAULT(.kind = DISK_SIM_SYNC_ALL, .nth = 1, .error = EIO, .forgets = true);
    assert_int_equal(disk_sync_all(tmp), -EIO);
    assert_int_equal(disk_sync_all(other), 0);
    assert_int_equal(disk_sync_all(new), -EIO);
    disk_sim_crash(DISK_SIM_KEEP);
    assert_false(exists("/mail/tmp/m"));
    assert_content("/other/n", "content");
}

/* ---- branches ---- */

static void deliver_in_each(void *told)
{
    int r = disk_sync(tmp);
    assert_int_equal(r, -EBADF); /* a descriptor from before */
    auto_disk int dir = disk_open_root("/mail/tmp");
    disk_close(create_with(dir, "late", "late"));
    disk_sim_crash(DISK_SIM_LOSE);
    assert_false(exists("/mail/tmp/late")); /* but what was there is durable */
    note_world(told);
}

static void branch(void *told)
{
    disk_sim_branch(deliver_in_each, told);
}

static void a_branch_is_durable_and_may_be_called(void)
{
    create_synced(tmp, "m", "a");
    GString *told = g_string_new(NULL);
    assert_int_equal(disk_sim_worlds(8, branch, told), 2);
    assert_string_equal(told->str, "; m=a ; ");
    g_string_free(told, TRUE);
}

static void after_a_branch_all_is_as_it_was(void)
{
    int fd = create_with(tmp, "m", "a");
    FAULT(.kind = DISK_SIM_MKDIR, .nth = 1, .error = EIO);
    GString *told = g_string_new(NULL);
    branch(told);
    assert_string_equal(told->str, "m=a ; ");
    g_string_free(told, TRUE);
    assert_int_equal(append(fd, "b"), 0);
    assert_content("/mail/tmp/m", "ab");
    assert_int_equal(disk_mkdir(tmp, "d"), -EIO);
    disk_close(fd);
    disk_sim_crash(DISK_SIM_LOSE);
    assert_false(exists("/mail/tmp/m"));
}

/* Names of one file stay that, and file systems keep their edges. */
static void links_and_mounts_are_copied(void *unused)
{
    (void)unused;
    auto_disk int dir = disk_open_root("/mail/tmp");
    auto_disk int mounted = disk_open_root("/other");
    struct disk_stat first, second;
    assert_int_equal(disk_stat(dir, "m", &first), 0);
    assert_int_equal(disk_stat(dir, "n", &second), 0);
    assert_int_equal(first.id, second.id);
    assert_int_equal(disk_rename(dir, "m", mounted, "m"), -EXDEV);
    uint64_t number;
    assert_int_equal(disk_can_sync_all(mounted, &number), -EOPNOTSUPP);
    assert_int_equal(disk_sync_all(dir), 0);
}

static void a_branch_has_the_same_links_and_file_systems(void)
{
    disk_close(mount_open("/other", false));
    create_synced(tmp, "m", "a");
    assert_int_equal(disk_link(tmp, "m", tmp, "n"), 0);
    disk_sim_branch(links_and_mounts_are_copied, NULL);
}

static const struct sim_case cases[] = {
    { "worlds: with all synced there is one", with_all_synced_there_is_one_world },
    { "worlds: each combination of names", each_combination_of_names_is_a_world },
    { "worlds: a rename between directories is two changes", a_rename_between_directories_is_two_changes },
    { "worlds: content is lost, cut, zeroed and kept", content_is_lost_cut_zeroed_and_kept },
    { "worlds: what a sync has forgotten is in none", what_a_sync_has_forgotten_is_in_no_world },
    { "worlds: a new directory is in some", a_new_directory_is_in_some },
    { "worlds: afterwards all is as it was", afterwards_all_is_as_it_was },
    { "worlds: where there are too many, some are drawn", where_there_are_too_many_some_are_drawn },
    { "branches: one is durable and may be called", a_branch_is_durable_and_may_be_called },
    { "branches: afterwards all is as it was", after_a_branch_all_is_as_it_was },
    { "branches: the same links and file systems", a_branch_has_the_same_links_and_file_systems },
    { "file systems: nothing moves between them", nothing_moves_between_file_systems },
    { "file systems: they are told apart", file_systems_are_told_apart },
    { "file systems: syncing all ends at the edge", syncing_all_ends_at_the_edge },
    { "file systems: an error of one is not told of another", an_error_of_one_is_not_told_of_another },
};

void add_world_cases(struct suite *s)
{
    suite_add_rows(s, cases, run_case);
}
