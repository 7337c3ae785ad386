#include "disk_contract.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* ---- a name that is taken, by whatever ---- */

static const struct taken {
    const char *name;
    const char *by;
    enum disk_type type;
} taken_rows[] = {
    { "taken name: file", "file", DISK_FILE },
    { "taken name: directory", "directory", DISK_DIRECTORY },
    { "taken name: link to a file", "link", DISK_LINK },
    { "taken name: link to a directory", "directory-link", DISK_LINK },
    { "taken name: dangling link", "dangling", DISK_LINK },
    { "taken name: something else", "special", DISK_OTHER },
};

static void make_one_of_each(int root)
{
    make_file(root, "file", "old");
    disk_close(make_directory(root, "directory"));
    shim_symlink("link", "file");
    shim_symlink("directory-link", "directory");
    shim_symlink("dangling", "nowhere");
    shim_special("special");
}

static void taken_name(int root, const void *row)
{
    const struct taken *taken = row;
    struct disk_stat st;
    make_one_of_each(root);
    make_file(root, "source", "new");
    auto_disk int other = make_directory(root, "other");
    make_file(other, "source", "newer");

    assert_int_equal(disk_create(root, taken->by), -EEXIST);
    assert_int_equal(disk_mkdir(root, taken->by), -EEXIST);
    assert_int_equal(disk_rename(root, "source", root, taken->by), -EEXIST);
    assert_int_equal(disk_rename(other, "source", root, taken->by), -EEXIST);
    assert_int_equal(disk_rename(root, taken->by, root, taken->by), -EEXIST);
    assert_int_equal(disk_rename(root, "missing", root, taken->by), -ENOENT);
    assert_int_equal(disk_link(root, "source", root, taken->by), -EEXIST);
    assert_int_equal(disk_link(root, "missing", root, taken->by), -ENOENT);

    assert_content(root, "source", "new");
    assert_content(other, "source", "newer");
    assert_content(root, "file", "old");
    assert_missing(root, "nowhere");
    assert_int_equal(disk_stat(root, taken->by, &st), 0);
    assert_int_equal(st.type, taken->type);
}

static void run_taken_name(void **state)
{
    contract_run_row(taken_name, *state);
}

static void replaced_name(int root, const void *row)
{
    const struct taken *taken = row;
    bool is_directory = taken->type == DISK_DIRECTORY;
    make_one_of_each(root);
    auto_disk int other = make_directory(root, "other");
    make_file(other, "source", "new");

    assert_int_equal(disk_replace(root, "missing", root, taken->by), -ENOENT);
    assert_int_equal(disk_replace(other, "source", root, taken->by), is_directory ? -EISDIR : 0);
    if (is_directory) {
        assert_content(other, "source", "new");
    } else {
        assert_missing(other, "source");
        assert_content(root, taken->by, "new");
    }
    assert_missing(root, "nowhere"); /* where the dangling link led */
    if (strcmp(taken->by, "file") != 0)
        assert_content(root, "file", "old"); /* where the link led */
}

static void run_replaced_name(void **state)
{
    contract_run_row(replaced_name, *state);
}

/* ---- disk_stat ---- */

static void stat_types(int root)
{
    make_one_of_each(root);
    for (size_t i = 0; i < G_N_ELEMENTS(taken_rows); i++) {
        struct disk_stat st;
        assert_int_equal(disk_stat(root, taken_rows[i].by, &st), 0);
        assert_int_equal(st.type, taken_rows[i].type);
    }
}

static void stat_size_grows(int root)
{
    struct disk_stat st;
    auto_disk int fd = disk_create(root, "file");
    assert_int_equal(disk_stat(root, "file", &st), 0);
    assert_int_equal(st.size, 0);
    struct slice part = slice_str("12345");
    assert_int_equal(disk_append(fd, &part, 1), 0);
    assert_int_equal(disk_stat(root, "file", &st), 0);
    assert_int_equal(st.size, 5);
}

/*
 * The file's clock may tick more coarsely than ours: a minute is far more than that, and far less than a
 * wrong unit.
 */
static void stat_modified(int root)
{
    static const int64_t minute_us = 60 * INT64_C(1000000);
    struct disk_stat st;
    make_file(root, "file", "now");
    assert_int_equal(disk_stat(root, "file", &st), 0);
    assert_true(st.modified_us > shim_now_us() - minute_us);
    assert_true(st.modified_us < shim_now_us() + minute_us);
}

static void now_is_the_time_of_files(int root)
{
    static const int64_t minute_us = 60 * INT64_C(1000000);
    struct disk_stat st;
    make_file(root, "file", "now");
    assert_int_equal(disk_stat(root, "file", &st), 0);
    assert_true(disk_now_us() >= st.modified_us);
    assert_true(disk_now_us() < st.modified_us + minute_us);
}

static void stat_failure_leaves_result(int root)
{
    struct disk_stat st = { .type = DISK_OTHER, .size = 77, .modified_us = 78 };
    assert_int_equal(disk_stat(root, "missing", &st), -ENOENT);
    assert_int_equal(disk_stat(root, "..", &st), -EINVAL);
    assert_int_equal(st.type, DISK_OTHER);
    assert_int_equal(st.size, 77);
    assert_int_equal(st.modified_us, 78);
}

static void assert_same_file(const struct disk_stat *a, const struct disk_stat *b)
{
    assert_int_equal(a->device, b->device);
    assert_int_equal(a->id, b->id);
}

static void stat_tells_files_apart(int root)
{
    struct disk_stat one, two, moved;
    make_file(root, "one", "same");
    make_file(root, "two", "same");
    assert_int_equal(disk_stat(root, "one", &one), 0);
    assert_int_equal(disk_stat(root, "two", &two), 0);
    assert_int_equal(one.device, two.device);
    assert_int_not_equal(one.id, two.id);
    assert_int_equal(disk_rename(root, "one", root, "moved"), 0);
    assert_int_equal(disk_stat(root, "moved", &moved), 0);
    assert_same_file(&one, &moved);
}

static void stat_of_what_is_open(int root)
{
    struct disk_stat named, open;
    auto_disk int fd = make_open_file(root, "file", "12345");
    assert_int_equal(disk_stat(root, "file", &named), 0);
    assert_int_equal(disk_stat_open(fd, &open), 0);
    assert_int_equal(open.type, DISK_FILE);
    assert_int_equal(open.size, 5);
    assert_int_equal(open.modified_us, named.modified_us);
    assert_int_equal(open.changed_us, named.changed_us);
    assert_same_file(&open, &named);
    assert_int_equal(disk_unlink(root, "file"), 0); /* it is still open */
    assert_int_equal(disk_stat_open(fd, &open), 0);
    assert_same_file(&open, &named);
    assert_int_equal(disk_stat_open(root, &open), 0);
    assert_int_equal(open.type, DISK_DIRECTORY);
}

/* What was changed just now may change once more at what the clock calls the same time; later, no more. */
static void stat_settled(int root)
{
    struct disk_stat before, after;
    auto_disk int fd = make_open_file(root, "file", "12345");
    shim_pass_us(3 * DISK_SETTLED_US);
    assert_int_equal(disk_stat_open(fd, &before), 0);
    assert_true(before.settled);
    struct slice part = slice_str("67890");
    assert_int_equal(disk_append(fd, &part, 1), 0);
    assert_int_equal(disk_stat_open(fd, &after), 0);
    assert_true(after.changed_us >= before.changed_us + DISK_SETTLED_US);
    /* On a machine that was busy elsewhere in between, it has settled by now. */
    assert_true(!after.settled || shim_now_us() - after.changed_us > DISK_SETTLED_US);
    shim_pass_us(3 * DISK_SETTLED_US);
    assert_int_equal(disk_stat(root, "file", &after), 0);
    assert_true(after.settled);
}

/* ---- disk_create, disk_mkdir, disk_open_file ---- */

static void longest_name(int root)
{
    g_autofree char *name = g_strnfill(255, 'x');
    make_file(root, name, "content");
    assert_content(root, name, "content");
    assert_int_equal(disk_unlink(root, name), 0);
}

static void odd_names(int root)
{
    static const char *const odd[] = { "...", ".hidden", "-", " ", "\n", "\x01\xff", "a:2,S" };
    for (size_t i = 0; i < G_N_ELEMENTS(odd); i++) {
        make_file(root, odd[i], odd[i]);
        assert_content(root, odd[i], odd[i]);
    }
    assert_int_equal(count_names(root), G_N_ELEMENTS(odd));
}

static void mkdir_is_empty(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    assert_int_equal(count_names(dir), 0);
    make_file(dir, "file", "inside");
    assert_missing(root, "file");
}

static void open_file_refuses_others(int root)
{
    make_one_of_each(root);
    assert_int_equal(disk_open_file(root, "link"), -ELOOP);
    assert_int_equal(disk_open_file(root, "dangling"), -ELOOP);
    assert_int_equal(disk_open_file(root, "directory-link"), -ELOOP);
    assert_int_equal(disk_open_file(root, "directory"), -EISDIR);
    assert_int_equal(disk_open_file(root, "special"), -EINVAL); /* and returns at all */
    assert_int_equal(disk_open_append(root, "link"), -ELOOP);
    assert_int_equal(disk_open_append(root, "dangling"), -ELOOP);
    assert_int_equal(disk_open_append(root, "directory-link"), -ELOOP);
    assert_int_equal(disk_open_append(root, "directory"), -EISDIR);
    assert_int_equal(disk_open_append(root, "special"), -EINVAL);
    assert_missing(root, "nowhere");
}

static void links_are_not_followed(int root)
{
    make_one_of_each(root);
    struct disk_stat st;
    assert_int_equal(disk_rename(root, "link", root, "moved"), 0);
    assert_int_equal(disk_stat(root, "moved", &st), 0);
    assert_int_equal(st.type, DISK_LINK);
    assert_int_equal(disk_unlink(root, "moved"), 0);
    assert_int_equal(disk_unlink(root, "directory-link"), 0);
    assert_int_equal(disk_unlink(root, "dangling"), 0);
    assert_content(root, "file", "old");
    assert_int_equal(disk_stat(root, "directory", &st), 0);
    assert_missing(root, "moved");
}

/* ---- disk_rename, disk_unlink ---- */

static void rename_in_a_directory(int root)
{
    make_file(root, "old", "content");
    assert_int_equal(disk_rename(root, "old", root, "new"), 0);
    assert_missing(root, "old");
    assert_content(root, "new", "content");
    make_file(root, "old", "another"); /* the name is free again */
    assert_content(root, "new", "content");
}

static void rename_between_directories(int root)
{
    auto_disk int tmp = make_directory(root, "tmp");
    auto_disk int new = make_directory(root, "new");
    make_file(tmp, "name", "content");
    assert_int_equal(disk_rename(tmp, "name", new, "name"), 0);
    assert_missing(tmp, "name");
    assert_content(new, "name", "content");
}

static void rename_keeps_descriptors(int root)
{
    auto_disk int fd = make_open_file(root, "old", "first ");
    assert_int_equal(disk_rename(root, "old", root, "new"), 0);
    struct slice part = slice_str("second");
    assert_int_equal(disk_append(fd, &part, 1), 0);
    assert_int_equal(disk_sync(fd), 0);
    assert_content(root, "new", "first second");
}

static void replace_in_a_directory(int root)
{
    make_file(root, "old", "new content");
    make_file(root, "name", "content");
    assert_int_equal(disk_replace(root, "old", root, "name"), 0);
    assert_missing(root, "old");
    assert_content(root, "name", "new content");
    assert_int_equal(count_names(root), 1);
}

static void replace_a_free_name(int root)
{
    make_file(root, "old", "content");
    assert_int_equal(disk_replace(root, "old", root, "new"), 0);
    assert_missing(root, "old");
    assert_content(root, "new", "content");
}

static void replace_by_itself(int root)
{
    make_file(root, "name", "content");
    assert_int_equal(disk_replace(root, "name", root, "name"), 0);
    assert_content(root, "name", "content");
}

static void replace_keeps_descriptors(int root)
{
    auto_disk int fd = make_open_file(root, "name", "content");
    make_file(root, "new", "new content");
    assert_int_equal(disk_replace(root, "new", root, "name"), 0);
    assert_file(fd, "content", 7);
    struct slice part = slice_str("!");
    assert_int_equal(disk_append(fd, &part, 1), 0);
    assert_content(root, "name", "new content");
}

static void unlink_keeps_descriptors(int root)
{
    auto_disk int fd = make_open_file(root, "file", "content");
    assert_int_equal(disk_unlink(root, "file"), 0);
    assert_missing(root, "file");
    assert_file(fd, "content", 7);
    make_file(root, "file", "another");
    assert_file(fd, "content", 7);
}

static void unlink_refuses_directories(int root)
{
    disk_close(make_directory(root, "dir"));
    assert_int_equal(disk_unlink(root, "dir"), -EISDIR);
    assert_int_equal(count_names(root), 1);
}

/* ---- disk_link ---- */

static void link_is_the_same_file(int root)
{
    auto_disk int one = make_directory(root, "one");
    auto_disk int two = make_directory(root, "two");
    auto_disk int fd = make_open_file(one, "name", "first ");
    assert_int_equal(disk_link(one, "name", two, "other"), 0);
    struct slice part = slice_str("second");
    assert_int_equal(disk_append(fd, &part, 1), 0);
    assert_content(one, "name", "first second");
    assert_content(two, "other", "first second");
    assert_int_equal(disk_unlink(one, "name"), 0);
    assert_missing(one, "name");
    assert_content(two, "other", "first second");
    assert_int_equal(disk_link(two, "other", two, "third"), 0);
    assert_int_equal(disk_rename(two, "third", one, "name"), 0);
    assert_content(one, "name", "first second");
    assert_int_equal(count_names(two), 1);
}

static void link_refuses_directories(int root)
{
    disk_close(make_directory(root, "dir"));
    assert_int_equal(disk_link(root, "dir", root, "other"), -EPERM);
    assert_int_equal(count_names(root), 1);
}

/* ---- disk_rmdir ---- */

static void rmdir_only_what_is_empty(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    make_file(dir, "file", "");
    assert_int_equal(disk_rmdir(root, "dir"), -ENOTEMPTY);
    assert_int_equal(disk_unlink(dir, "file"), 0);
    disk_close(make_directory(dir, "sub"));
    assert_int_equal(disk_rmdir(root, "dir"), -ENOTEMPTY);
    assert_int_equal(disk_rmdir(dir, "sub"), 0);
    assert_int_equal(disk_rmdir(root, "dir"), 0);
    assert_missing(root, "dir");
    disk_close(make_directory(root, "dir"));
}

static void rmdir_refuses_others(int root)
{
    make_one_of_each(root);
    static const char *const others[] = { "file", "link", "directory-link", "dangling", "special" };
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        assert_int_equal(disk_rmdir(root, others[i]), -ENOTDIR);
    assert_int_equal(count_names(root), G_N_ELEMENTS(taken_rows));
}

/* Who has it open still sees it, empty, and can put nothing there that would be lost. */
static void a_removed_directory_takes_nothing(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    make_file(root, "file", "content");
    assert_int_equal(disk_rmdir(root, "dir"), 0);
    assert_int_equal(disk_create(dir, "new"), -ENOENT);
    assert_int_equal(disk_mkdir(dir, "new"), -ENOENT);
    assert_int_equal(disk_rename(root, "file", dir, "new"), -ENOENT);
    assert_int_equal(disk_link(root, "file", dir, "new"), -ENOENT);
    assert_content(root, "file", "content");
}

static void names_are_synced(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    make_file(dir, "file", "content");
    assert_int_equal(disk_sync_dir(dir), 0);
    assert_int_equal(disk_sync_dir(root), 0);
    assert_int_equal(disk_sync_dir(root), 0);
}

/* ---- disk_list ---- */

enum { MANY = 600 }; /* more than the system tells at once */

struct listing {
    int dir;
    GHashTable *seen;
    int stop_after;
};

static void make_many(int dir)
{
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("a-name-of-some-length-as-maildirs-have-them-%u", i);
        int fd = disk_create(dir, name);
        assert_true(fd >= 0);
        disk_close(fd);
    }
}

static int note_name(void *owner, const char *name)
{
    struct listing *l = owner;
    assert_true(g_hash_table_add(l->seen, g_strdup(name))); /* none comes twice */
    return l->stop_after > 0 && --l->stop_after == 0 ? 42 : 0;
}

static struct listing listing_of(int dir)
{
    return (struct listing){ .dir = dir,
                             .seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) };
}

static void list_tells_all(int root)
{
    make_one_of_each(root);
    make_file(root, ".hidden", "");
    struct listing l = listing_of(root);
    assert_int_equal(disk_list(root, note_name, &l), 0);
    assert_int_equal(g_hash_table_size(l.seen), G_N_ELEMENTS(taken_rows) + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(taken_rows); i++)
        assert_true(g_hash_table_contains(l.seen, taken_rows[i].by));
    assert_true(g_hash_table_contains(l.seen, ".hidden"));
    g_hash_table_unref(l.seen);
}

static void list_many(int root)
{
    make_many(root);
    struct listing l = listing_of(root);
    assert_int_equal(disk_list(root, note_name, &l), 0);
    assert_int_equal(g_hash_table_size(l.seen), MANY);
    g_hash_table_unref(l.seen);
}

static void list_ends_early(int root)
{
    make_many(root);
    struct listing l = listing_of(root);
    l.stop_after = 3;
    assert_int_equal(disk_list(root, note_name, &l), 42);
    assert_int_equal(g_hash_table_size(l.seen), 3);
    g_hash_table_unref(l.seen);
    assert_int_equal(count_names(root), MANY); /* the next one begins anew */
    assert_int_equal(count_names(root), MANY);
}

static int fail_at_once(void *owner, const char *name)
{
    (void)owner, (void)name;
    return -ECANCELED;
}

static void list_passes_errors_on(int root)
{
    assert_int_equal(disk_list(root, fail_at_once, NULL), 0); /* it is not asked about an empty directory */
    make_file(root, "file", "");
    assert_int_equal(disk_list(root, fail_at_once, NULL), -ECANCELED);
}

static int list_inside(void *owner, const char *name)
{
    struct listing *l = owner;
    assert_int_equal(count_names(l->dir), 2);
    return note_name(owner, name);
}

static void list_in_list(int root)
{
    make_file(root, "one", "");
    make_file(root, "two", "");
    struct listing l = listing_of(root);
    assert_int_equal(disk_list(root, list_inside, &l), 0);
    assert_int_equal(g_hash_table_size(l.seen), 2);
    g_hash_table_unref(l.seen);
}

static int unlink_one(void *owner, const char *name)
{
    struct listing *l = owner;
    (void)note_name(owner, name); /* here it always says: go on */
    return disk_unlink(l->dir, name);
}

static void list_and_unlink(int root)
{
    make_many(root);
    struct listing l = listing_of(root);
    assert_int_equal(disk_list(root, unlink_one, &l), 0);
    assert_int_equal(g_hash_table_size(l.seen), MANY);
    g_hash_table_unref(l.seen);
    assert_int_equal(count_names(root), 0);
}

static const struct contract_case cases[] = {
    { "stat: types", stat_types },
    { "stat: size", stat_size_grows },
    { "stat: time of the last change", stat_modified },
    { "stat: now is later", now_is_the_time_of_files },
    { "stat: a failure leaves the result alone", stat_failure_leaves_result },
    { "stat: which file it is", stat_tells_files_apart },
    { "stat: of what is open", stat_of_what_is_open },
    { "stat: whether it has settled", stat_settled },
    { "names: the longest", longest_name },
    { "names: odd ones", odd_names },
    { "names: links are not followed", links_are_not_followed },
    { "mkdir: empty, and apart", mkdir_is_empty },
    { "open file: refuses what is no file", open_file_refuses_others },
    { "rename: in a directory", rename_in_a_directory },
    { "rename: between directories", rename_between_directories },
    { "rename: descriptors stay", rename_keeps_descriptors },
    { "replace: in a directory", replace_in_a_directory },
    { "replace: a name that is free", replace_a_free_name },
    { "replace: by itself", replace_by_itself },
    { "replace: descriptors stay", replace_keeps_descriptors },
    { "unlink: descriptors stay", unlink_keeps_descriptors },
    { "unlink: refuses a directory", unlink_refuses_directories },
    { "link: the same file", link_is_the_same_file },
    { "link: refuses a directory", link_refuses_directories },
    { "rmdir: only what is empty", rmdir_only_what_is_empty },
    { "rmdir: refuses what is no directory", rmdir_refuses_others },
    { "rmdir: a removed directory takes nothing", a_removed_directory_takes_nothing },
    { "sync dir: with names", names_are_synced },
    { "list: all names", list_tells_all },
    { "list: many names", list_many },
    { "list: ends early", list_ends_early },
    { "list: passes errors on", list_passes_errors_on },
    { "list: in a list", list_in_list },
    { "list: and unlink", list_and_unlink },
};

void contract_add_names(struct suite *s)
{
    suite_add_rows(s, taken_rows, run_taken_name);
    for (size_t i = 0; i < G_N_ELEMENTS(taken_rows); i++) {
        g_autofree char *name = g_strdup_printf("replace: %s", taken_rows[i].name);
        suite_add(s, name, run_replaced_name, (void *)&taken_rows[i]);
    }
    suite_add_rows(s, cases, contract_run);
}
