#include "disk_contract.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* ---- disk_open_root ---- */

static char *in_root(const char *name)
{
    return g_build_filename(shim_root(), name, NULL);
}

static int open_root_at(const char *name)
{
    g_autofree char *path = in_root(name);
    return disk_open_root(path);
}

static void assert_opens_marked(int fd, const char *mark)
{
    assert_true(fd >= 0);
    assert_content(fd, mark, mark);
    disk_close(fd);
}

static void root_is_a_directory(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    make_file(dir, "mark", "mark");
    assert_opens_marked(open_root_at("dir"), "mark");
    assert_opens_marked(open_root_at("dir/"), "mark");
}

static void root_links_are_followed(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    auto_disk int sub = make_directory(dir, "sub");
    make_file(sub, "mark", "mark");
    g_autofree char *absolute = in_root("dir/sub");
    shim_symlink("at-the-end", absolute);
    shim_symlink("on-the-way", "dir");
    assert_opens_marked(open_root_at("at-the-end"), "mark");
    assert_opens_marked(open_root_at("on-the-way/sub"), "mark");
    assert_opens_marked(open_root_at("on-the-way/sub/../sub"), "mark");
}

static void root_is_no_directory(int root)
{
    make_file(root, "file", "");
    shim_symlink("dangling", "nowhere");
    shim_symlink("loop", "loop");
    assert_int_equal(open_root_at("missing"), -ENOENT);
    assert_int_equal(open_root_at("file"), -ENOTDIR);
    assert_int_equal(open_root_at("file/sub"), -ENOTDIR);
    assert_int_equal(open_root_at("dangling"), -ENOENT);
    assert_int_equal(open_root_at("loop"), -ELOOP);
    assert_int_equal(disk_open_root(""), -ENOENT);
}

static const struct contract_case root_cases[] = {
    { "open root: a directory", root_is_a_directory },
    { "open root: links are followed", root_links_are_followed },
    { "open root: refuses what is no directory", root_is_no_directory },
};

/* ---- disk_open_path ---- */

static int open_path_at(const char *name)
{
    g_autofree char *path = in_root(name);
    return disk_open_path(path);
}

static void assert_opens_file(int fd, const char *content)
{
    assert_true(fd >= 0);
    assert_file(fd, content, strlen(content));
    disk_close(fd);
}

static void path_is_a_file(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    make_file(dir, "file", "content");
    make_file(root, "empty", "");
    assert_opens_file(open_path_at("dir/file"), "content");
    assert_opens_file(open_path_at("dir//../dir/file"), "content");
    assert_opens_file(open_path_at("empty"), "");
}

static void path_links_are_followed(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    make_file(dir, "file", "content");
    g_autofree char *absolute = in_root("dir/file");
    shim_symlink("at-the-end", absolute);
    shim_symlink("on-the-way", "dir");
    assert_opens_file(open_path_at("at-the-end"), "content");
    assert_opens_file(open_path_at("on-the-way/file"), "content");
}

static void path_is_no_file(int root)
{
    disk_close(make_directory(root, "dir"));
    make_file(root, "file", "content");
    shim_special("special");
    shim_symlink("to-special", "special");
    shim_symlink("dangling", "nowhere");
    shim_symlink("loop", "loop");
    assert_int_equal(open_path_at("missing"), -ENOENT);
    assert_int_equal(open_path_at("missing/file"), -ENOENT);
    assert_int_equal(open_path_at("file/file"), -ENOTDIR);
    assert_int_equal(open_path_at("dir"), -EISDIR);
    assert_int_equal(open_path_at("special"), -EINVAL); /* and returns at all */
    assert_int_equal(open_path_at("to-special"), -EINVAL);
    assert_int_equal(open_path_at("dangling"), -ENOENT);
    assert_int_equal(open_path_at("loop"), -ELOOP);
    assert_int_equal(disk_open_path(""), -ENOENT);
}

static void path_is_only_read(int root)
{
    make_file(root, "file", "content");
    auto_disk int fd = open_path_at("file");
    struct slice part = slice_str("more");
    assert_int_equal(disk_append(fd, &part, 1), -EBADF);
    assert_content(root, "file", "content");
}

static const struct contract_case path_cases[] = {
    { "open path: a file", path_is_a_file },
    { "open path: links are followed", path_links_are_followed },
    { "open path: refuses what is no file", path_is_no_file },
    { "open path: only for reading", path_is_only_read },
};

/* ---- disk_open_beneath ---- */

/*
 *   root/
 *     outside/outside             each directory holds a file of its own name
 *     base/base                   the boundary
 *       alice/alice
 *         tmp/tmp
 *       bob/bob
 *       file
 *       links, see below
 */
static int make_base(int root)
{
    auto_disk int outside = make_directory(root, "outside");
    make_file(outside, "outside", "outside");
    auto_disk int base = make_directory(root, "base");
    make_file(base, "base", "base");
    make_file(base, "file", "");
    auto_disk int alice = make_directory(base, "alice");
    make_file(alice, "alice", "alice");
    auto_disk int tmp = make_directory(alice, "tmp");
    make_file(tmp, "tmp", "tmp");
    auto_disk int bob = make_directory(base, "bob");
    make_file(bob, "bob", "bob");

    g_autofree char *absolute_inside = in_root("base/alice");
    g_autofree char *absolute_outside = in_root("outside");
    shim_symlink("base/inside", "alice");
    shim_symlink("base/inside-deep", "bob/../alice/tmp");
    shim_symlink("base/alice/up-inside", "../bob");
    shim_symlink("base/chain", "inside");
    shim_symlink("base/absolute-inside", absolute_inside);
    shim_symlink("base/absolute-outside", absolute_outside);
    shim_symlink("base/dotdot", "..");
    shim_symlink("base/dotdot-outside", "../outside");
    shim_symlink("base/alice/dotdot-outside", "../../outside");
    shim_symlink("base/out-and-in", "../base/alice");
    shim_symlink("base/chain-outside", "dotdot-outside");
    shim_symlink("base/to-file", "file");
    shim_symlink("base/dangling", "nowhere");
    shim_symlink("base/loop", "loop");
    return disk_open_beneath(root, "base");
}

/* What it opens is told by the file in it. Without openat2, each link is refused, and each "..". */
static const struct beneath {
    const char *name;
    const char *path;
    const char *opens; /* NULL: fails with `error` */
    int error;
    enum { PLAIN, LINK, DOTS } with;
} beneath_rows[] = {
    { "open beneath: a directory", "alice", "alice" },
    { "open beneath: two components", "alice/tmp", "tmp" },
    { "open beneath: slashes at the end", "alice/tmp//", "tmp" },
    { "open beneath: empty components and dots", "./alice//./tmp/.", "tmp" },
    { "open beneath: itself", ".", "base" },
    { "open beneath: up and down again inside", "alice/../bob", "bob", .with = DOTS },
    { "open beneath: up to itself", "alice/..", "base", .with = DOTS },
    { "open beneath: empty path", "", NULL, -ENOENT },
    { "open beneath: missing", "missing", NULL, -ENOENT },
    { "open beneath: missing on the way", "missing/tmp", NULL, -ENOENT },
    { "open beneath: a file", "file", NULL, -ENOTDIR },
    { "open beneath: a file on the way", "file/tmp", NULL, -ENOTDIR },
    { "open beneath: parent", "..", NULL, -EXDEV },
    { "open beneath: out by parent", "../outside", NULL, -EXDEV },
    { "open beneath: out by parent from below", "alice/../../outside", NULL, -EXDEV },
    { "open beneath: out and in again", "../base/alice", NULL, -EXDEV },
    { "open beneath: absolute path", "/", NULL, -EXDEV },
    { "open beneath: absolute path with more slashes", "//tmp", NULL, -EXDEV },
    { "open beneath: link inside", "inside/.", "alice", .with = LINK },
    { "open beneath: link on the way", "inside/tmp", "tmp", .with = LINK },
    { "open beneath: link with a parent in it", "inside-deep/.", "tmp", .with = LINK },
    { "open beneath: link up from below", "alice/up-inside/.", "bob", .with = LINK },
    { "open beneath: link to a link", "chain/.", "alice", .with = LINK },
    { "open beneath: link by absolute path, even inside", "absolute-inside/.", NULL, -EXDEV, LINK },
    { "open beneath: link out by absolute path", "absolute-outside/.", NULL, -EXDEV, LINK },
    { "open beneath: link to the parent", "dotdot/.", NULL, -EXDEV, LINK },
    { "open beneath: link out by parent", "dotdot-outside/.", NULL, -EXDEV, LINK },
    { "open beneath: link out by parents from below", "alice/dotdot-outside/.", NULL, -EXDEV, LINK },
    { "open beneath: link out and in again", "out-and-in/.", NULL, -EXDEV, LINK },
    { "open beneath: link to a link out", "chain-outside/.", NULL, -EXDEV, LINK },
    { "open beneath: link out on the way", "dotdot/outside", NULL, -EXDEV, LINK },
    { "open beneath: link to a file", "to-file/.", NULL, -ENOTDIR, LINK },
    { "open beneath: dangling link", "dangling/.", NULL, -ENOENT, LINK },
    { "open beneath: link inside at the end", "inside", NULL, -ENOTDIR, LINK },
    { "open beneath: link inside at the end, and a slash", "inside/", "alice", .with = LINK },
    { "open beneath: link out at the end", "dotdot-outside", NULL, -ENOTDIR, LINK },
    { "open beneath: link to itself at the end", "loop", NULL, -ENOTDIR, LINK },
    { "open beneath: dangling link at the end", "dangling", NULL, -ENOTDIR, LINK },
    { "open beneath: link to itself", "loop/.", NULL, -ELOOP, LINK },
};

static void check_beneath(const struct beneath *row, int fd)
{
    if (row->with == LINK && !shim_has_beneath)
        assert_true(fd == -ELOOP || fd == -ENOTDIR);
    else if (row->with == DOTS && !shim_has_beneath)
        assert_int_equal(fd, -EXDEV);
    else if (row->opens != NULL)
        assert_opens_marked(fd, row->opens);
    else
        assert_int_equal(fd, row->error);
}

static void open_beneath_row(int root, const void *state)
{
    const struct beneath *row = state;
    auto_disk int base = make_base(root);
    assert_true(base >= 0);
    check_beneath(row, disk_open_beneath(base, row->path));
}

static void run_beneath(void **state)
{
    contract_run_row(open_beneath_row, *state);
}

static void beneath_long_names(int root)
{
    g_autofree char *longest = g_strnfill(255, 'x');
    g_autofree char *too_long = g_strnfill(256, 'x');
    disk_close(make_directory(root, longest));
    assert_int_equal(disk_open_beneath(root, too_long), -ENAMETOOLONG);
    g_autofree char *below = g_strconcat(too_long, "/tmp", NULL);
    assert_int_equal(disk_open_beneath(root, below), -ENAMETOOLONG);
}

static void beneath_twice(int root)
{
    auto_disk int base = make_base(root);
    auto_disk int first = disk_open_beneath(base, "alice/tmp");
    make_file(first, "later", "seen");
    auto_disk int second = disk_open_beneath(base, "alice/tmp");
    assert_content(second, "later", "seen");
}

static const struct contract_case beneath_cases[] = {
    { "open beneath: long names", beneath_long_names },
    { "open beneath: twice is the same directory", beneath_twice },
};

void contract_add_paths(struct suite *s)
{
    suite_add_rows(s, root_cases, contract_run);
    suite_add_rows(s, path_cases, contract_run);
    suite_add_rows(s, beneath_rows, run_beneath);
    suite_add_rows(s, beneath_cases, contract_run);
}
