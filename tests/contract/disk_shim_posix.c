#include "disk_contract.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_shim_filter.h"

static char *root_path;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static void remove_root(void)
{
    if (root_path != NULL)
        (void)nftw(root_path, remove_one, 16,
                   FTW_DEPTH | FTW_PHYS); /* what it leaves, a person has to look at */
    g_clear_pointer(&root_path, g_free);
}

const char *shim_start(void)
{
    if (atexit(remove_root) != 0)
        return "no atexit";
    return filter_install();
}

void shim_make_root(void)
{
    const char *tmp = getenv("TMPDIR");
    remove_root();
    char *path = g_build_filename(tmp != NULL ? tmp : "/tmp", "postern-disk-XXXXXX", NULL);
    assert_non_null(mkdtemp(path));
    root_path = path;
}

const char *shim_root(void)
{
    return root_path;
}

void shim_symlink(const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(root_path, name, NULL);
    assert_int_equal(symlink(target, path), 0);
}

void shim_special(const char *name)
{
    g_autofree char *path = g_build_filename(root_path, name, NULL);
    assert_int_equal(mkfifo(path, 0600), 0);
}

size_t shim_open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count; /* "." and ".." and its own are in it every time */
}

int64_t shim_now_us(void)
{
    return g_get_real_time();
}

void shim_pass_us(int64_t us)
{
    g_usleep((gulong)us);
}

/* ---- what only a real system has ---- */

static mode_t mode_of(int dir, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

static void modes(int root)
{
    mode_t before = umask(0);
    disk_close(disk_create(root, "file"));
    disk_close(make_directory(root, "dir"));
    umask(before);
    assert_int_equal(mode_of(root, "file"), 0600);
    assert_int_equal(mode_of(root, "dir"), 0700);
}

static void assert_closed_on_exec(int fd)
{
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    disk_close(fd);
}

static void closed_on_exec(int root)
{
    disk_close(make_directory(root, "dir"));
    disk_close(make_directory(root, "dir2"));
    assert_closed_on_exec(disk_open_root(root_path));
    assert_closed_on_exec(disk_open_beneath(root, "dir"));
    assert_closed_on_exec(disk_open_beneath(root, "dir/."));
    assert_closed_on_exec(disk_create(root, "file"));
    assert_closed_on_exec(disk_open_file(root, "file"));
    assert_closed_on_exec(disk_open_append(root, "file"));
    g_autofree char *path = g_build_filename(root_path, "file", NULL);
    assert_closed_on_exec(disk_open_path(path));
}

/* They look like links, and lead wherever the process has something open. */
static void magic_links(int root)
{
    (void)root;
    auto_disk int self = disk_open_root("/proc/self");
    assert_true(self >= 0);
    int fd = disk_open_beneath(self, "cwd");
    assert_true(fd == -ELOOP || fd == -EXDEV || fd == -ENOTDIR);
}

/*
 * Passing through a directory needs the right to search it, not that to read it. (Root may do both anyway.)
 */
static void unreadable_on_the_way(int root)
{
    auto_disk int dir = make_directory(root, "dir");
    disk_close(make_directory(dir, "sub"));
    assert_int_equal(fchmodat(root, "dir", 0100, 0), 0);
    int fd = disk_open_beneath(root, "dir/sub");
    assert_int_equal(fchmodat(root, "dir", 0700, 0), 0);
    assert_true(fd >= 0);
    disk_close(fd);
}

static void socket_is_no_file(int root)
{
    g_autofree char *path = g_build_filename(root_path, "socket", NULL);
    assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
    assert_int_equal(disk_open_file(root, "socket"), -EINVAL);
    assert_int_equal(disk_open_append(root, "socket"), -EINVAL);
    assert_int_equal(disk_open_path(path), -EINVAL);
    struct disk_stat st;
    assert_int_equal(disk_stat(root, "socket", &st), 0);
    assert_int_equal(st.type, DISK_OTHER);
}

enum { RACES = 200 };

struct racer {
    int root;
    const char *to;
    pthread_barrier_t *start;
    int results[RACES];
};

static void *race(void *owner)
{
    struct racer *r = owner;
    for (int i = 0; i < RACES; i++) {
        char from[16];
        g_autofree char *to = g_strdup_printf("%s-%d", r->to, i);
        (void)g_snprintf(from, sizeof from, "from-%d", i);
        pthread_barrier_wait(r->start);
        r->results[i] = disk_rename(r->root, from, r->root, to);
    }
    return NULL;
}

/* Two move the same file at the same time: one of them does, and the other is told that it is gone. */
static void rename_has_one_winner(int root)
{
    for (int i = 0; i < RACES; i++) {
        g_autofree char *name = g_strdup_printf("from-%d", i);
        make_file(root, name, "");
    }
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, 2);
    struct racer a = { .root = root, .to = "a", .start = &start },
                 b = { .root = root, .to = "b", .start = &start };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, race, &a), 0);
    (void)race(&b); /* in this thread it has nothing to return */
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < RACES; i++) {
        assert_true(a.results[i] == 0 || b.results[i] == 0);
        assert_int_equal(a.results[i] + b.results[i], -ENOENT);
    }
    assert_int_equal(count_names(root), RACES);
}

static const struct contract_case cases[] = {
    { "posix: modes", modes },
    { "posix: descriptors are closed on exec", closed_on_exec },
    { "posix: magic links lead nowhere", magic_links },
    { "posix: an unreadable directory on the way", unreadable_on_the_way },
    { "posix: a socket is no file", socket_is_no_file },
    { "posix: of two renames one wins", rename_has_one_winner },
};

void shim_add(struct suite *s)
{
    suite_add_rows(s, cases, contract_run);
}
