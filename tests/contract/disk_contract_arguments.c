#include "disk_contract.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>

/* Each call, with descriptors and names that are none. */

static int each_never(void *owner, const char *name)
{
    (void)owner, (void)name;
    fail_msg("there is nothing to list");
    return 0;
}

/*
 * Each call with `fd` as its descriptor and `name` as its name, for what it does not take the other. `root`
 * holds "file".
 */
static int call_open_beneath(int root, int fd, const char *name)
{
    (void)root;
    return disk_open_beneath(fd, name);
}

static int call_stat(int root, int fd, const char *name)
{
    (void)root;
    return disk_stat(fd, name, &(struct disk_stat){ 0 });
}

static int call_create(int root, int fd, const char *name)
{
    (void)root;
    return disk_create(fd, name);
}

static int call_open_file(int root, int fd, const char *name)
{
    (void)root;
    return disk_open_file(fd, name);
}

static int call_open_append(int root, int fd, const char *name)
{
    (void)root;
    return disk_open_append(fd, name);
}

static int call_mkdir(int root, int fd, const char *name)
{
    (void)root;
    return disk_mkdir(fd, name);
}

static int call_rmdir(int root, int fd, const char *name)
{
    (void)root;
    return disk_rmdir(fd, name);
}

static int call_link_from(int root, int fd, const char *name)
{
    return disk_link(fd, name, root, "new");
}

static int call_link_to(int root, int fd, const char *name)
{
    return disk_link(root, "file", fd, name);
}

static int call_unlink(int root, int fd, const char *name)
{
    (void)root;
    return disk_unlink(fd, name);
}

static int call_rename_from(int root, int fd, const char *name)
{
    return disk_rename(fd, name, root, "new");
}

static int call_rename_to(int root, int fd, const char *name)
{
    return disk_rename(root, "file", fd, name);
}

static int call_replace_from(int root, int fd, const char *name)
{
    return disk_replace(fd, name, root, "new");
}

static int call_replace_to(int root, int fd, const char *name)
{
    return disk_replace(root, "file", fd, name);
}

static int call_list(int root, int fd, const char *name)
{
    (void)root, (void)name;
    return disk_list(fd, each_never, NULL);
}

static int call_sync_dir(int root, int fd, const char *name)
{
    (void)root, (void)name;
    return disk_sync_dir(fd);
}

static int call_check(int root, int fd, const char *name)
{
    (void)root, (void)name;
    return disk_check(fd);
}

static int call_sync(int root, int fd, const char *name)
{
    (void)root, (void)name;
    return disk_sync(fd);
}

static int call_stat_open(int root, int fd, const char *name)
{
    (void)root, (void)name;
    return disk_stat_open(fd, &(struct disk_stat){ 0 });
}

static int call_append(int root, int fd, const char *name)
{
    (void)root;
    struct slice part = slice_str(name);
    return disk_append(fd, &part, 1);
}

static int call_read(int root, int fd, const char *name)
{
    (void)root, (void)name;
    uint8_t byte;
    return (int)disk_read(fd, 0, &byte, 1);
}

static int call_truncate(int root, int fd, const char *name)
{
    (void)root, (void)name;
    return disk_truncate(fd);
}

static int call_append_copy_to(int root, int fd, const char *name)
{
    (void)name;
    auto_disk int from = disk_open_file(root, "file");
    return disk_append_copy(fd, from, 0);
}

static int call_append_copy_from(int root, int fd, const char *name)
{
    (void)name;
    auto_disk int to = disk_create(root, "to");
    int r = disk_append_copy(to, fd, 0);
    assert_int_equal(disk_unlink(root, "to"), 0);
    return r;
}

enum takes {
    ANY = 0,
    DIRECTORY = 1 << 0, /* the descriptor */
    NAME = 1 << 1,
    EXISTING = 1 << 2, /* the name */
};

static const struct call {
    const char *name;
    int (*call)(int root, int fd, const char *name);
    unsigned takes;
} calls[] = {
    { "bad arguments: open beneath", call_open_beneath, DIRECTORY },
    { "bad arguments: stat", call_stat, DIRECTORY | NAME | EXISTING },
    { "bad arguments: stat open", call_stat_open, ANY },
    { "bad arguments: create", call_create, DIRECTORY | NAME },
    { "bad arguments: open file", call_open_file, DIRECTORY | NAME | EXISTING },
    { "bad arguments: open append", call_open_append, DIRECTORY | NAME | EXISTING },
    { "bad arguments: mkdir", call_mkdir, DIRECTORY | NAME },
    { "bad arguments: rmdir", call_rmdir, DIRECTORY | NAME | EXISTING },
    { "bad arguments: link from", call_link_from, DIRECTORY | NAME | EXISTING },
    { "bad arguments: link to", call_link_to, DIRECTORY | NAME },
    { "bad arguments: unlink", call_unlink, DIRECTORY | NAME | EXISTING },
    { "bad arguments: rename from", call_rename_from, DIRECTORY | NAME | EXISTING },
    { "bad arguments: rename to", call_rename_to, DIRECTORY | NAME },
    { "bad arguments: replace from", call_replace_from, DIRECTORY | NAME | EXISTING },
    { "bad arguments: replace to", call_replace_to, DIRECTORY | NAME },
    { "bad arguments: list", call_list, DIRECTORY },
    { "bad arguments: sync dir", call_sync_dir, ANY },
    { "bad arguments: sync", call_sync, ANY },
    { "bad arguments: check", call_check, ANY },
    { "bad arguments: append", call_append, ANY },
    { "bad arguments: read", call_read, ANY },
    { "bad arguments: truncate", call_truncate, ANY },
    { "bad arguments: append copy to", call_append_copy_to, ANY },
    { "bad arguments: append copy from", call_append_copy_from, ANY },
};

static void assert_bad_descriptors(int root, const struct call *c)
{
    int closed = disk_open_root(shim_root());
    assert_true(closed >= 0);
    disk_close(closed);
    assert_int_equal(c->call(root, -1, "name"), -EBADF);
    assert_int_equal(c->call(root, AT_FDCWD, "name"), -EBADF); /* -100 means a directory only to the system */
    /* The next to be opened may get the same number, so it is of use only to who opens none before. */
    if (c->call != call_append_copy_to && c->call != call_append_copy_from)
        assert_int_equal(c->call(root, closed, "name"), -EBADF);
}

static void assert_no_directory(int root, const struct call *c)
{
    auto_disk int file = disk_open_file(root, "file");
    assert_int_equal(c->call(root, file, "name"), -ENOTDIR);
}

static void assert_bad_names(int root, const struct call *c)
{
    static const char *const bad[] = { "", ".", "..", "/", "sub/file", "file/", "/file", "../file" };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_int_equal(c->call(root, root, bad[i]), -EINVAL);
    g_autofree char *too_long = g_strnfill(256, 'x');
    assert_int_equal(c->call(root, root, too_long), -ENAMETOOLONG);
}

static void bad_arguments(int root, const void *row)
{
    const struct call *c = row;
    make_file(root, "file", "content");
    disk_close(make_directory(root, "sub"));
    assert_bad_descriptors(root, c);
    if (c->takes & DIRECTORY)
        assert_no_directory(root, c);
    if (c->takes & NAME)
        assert_bad_names(root, c);
    if (c->takes & EXISTING)
        assert_int_equal(c->call(root, root, "missing"), -ENOENT);
    assert_content(root, "file", "content");
    assert_int_equal(count_names(root), 2);
}

static void run_bad_arguments(void **state)
{
    contract_run_row(bad_arguments, *state);
}

void contract_add_arguments(struct suite *s)
{
    suite_add_rows(s, calls, run_bad_arguments);
}
