/*
 * What no test can make a real disk do: a network that loses the answer and not the deed, and a journal that
 * died while another was told. disk_posix.c, with a test's hand in the calls that this takes.
 */
#define _FILE_OFFSET_BITS 64 /* as in disk_posix.c: before all headers */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <glib.h>

#include "suite.h"

/* What happens to a call of the kind: one error after the other, the first of them behind the deed. */
struct answers {
    const int *errors; /* 0: none, and the deed is done once more; ends in it */
    bool happens;
};

static struct {
    struct answers link, unlink;
    int journal; /* what a new file in it is refused with; 0: it is alive */
    int sync;
    unsigned journal_asked;
    size_t writes_most; /* octets that one call writes at most; 0: all that it was given */
} fake;

static int next_error(struct answers *a, bool *ret_happens)
{
    *ret_happens = a->happens;
    a->happens = false;
    return a->errors != NULL && *a->errors != 0 ? *a->errors++ : 0;
}

static int answered(int error, int r)
{
    errno = error != 0 ? error : errno;
    return error != 0 ? -1 : r;
}

static int fake_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    bool happens;
    int error = next_error(&fake.link, &happens);
    int r = error == 0 || happens ? linkat(from_dir, from, to_dir, to, flags) : 0;
    return answered(error, r);
}

static int fake_unlinkat(int dir, const char *name, int flags)
{
    bool happens;
    int error = next_error(&fake.unlink, &happens);
    int r = error == 0 || happens ? unlinkat(dir, name, flags) : 0;
    return answered(error, r);
}

static int fake_openat(int dir, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
    va_end(args);
    bool asks_journal = (flags & O_TMPFILE) == O_TMPFILE;
    fake.journal_asked += asks_journal;
    return asks_journal && fake.journal != 0 ? answered(fake.journal, 0) : openat(dir, name, flags, mode);
}

/* Of a disk that is nearly full, or a call that a signal cut short. */
static ssize_t fake_writev(int fd, const struct iovec *parts, int count)
{
    if (fake.writes_most == 0)
        return writev(fd, parts, count);
    while (count > 1 && parts->iov_len == 0) {
        parts++;
        count--;
    }
    return write(fd, parts->iov_base, MIN(parts->iov_len, fake.writes_most));
}

#define openat(...)    fake_openat(__VA_ARGS__)
#define linkat(...)    fake_linkat(__VA_ARGS__)
#define unlinkat(...)  fake_unlinkat(__VA_ARGS__)
#define renameat2(...) (errno = EINVAL, -1)
#define syncfs(dir)    answered(fake.sync, syncfs(dir))
#define writev(...)    fake_writev(__VA_ARGS__)

#include "disk/disk_posix.c"

#undef openat
#undef linkat
#undef unlinkat
#undef writev

/* ---- a folder ---- */

struct folder {
    char path[32];
    int fd;
};

static int folder_setup(void **state)
{
    static struct folder f;
    memset(&fake, 0, sizeof fake);
    strcpy(f.path, "/tmp/postern-disk-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    *state = &f;
    return 0;
}

static void put(int dir, const char *name, const char *content)
{
    int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    (void)close(fd);
}

/* What is under the name; "" when nothing is. */
static const char *content(int dir, const char *name)
{
    static char text[32];
    memset(text, 0, sizeof text);
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        assert_true(read(fd, text, sizeof text - 1) >= 0);
    if (fd >= 0)
        (void)close(fd);
    return text;
}

static void folder_clear(struct folder *f, const char *const *names)
{
    for (; *names != NULL; names++)
        (void)unlinkat(f->fd, *names, 0);
    (void)close(f->fd);
    assert_int_equal(rmdir(f->path), 0);
}

/* ---- names, where there is no RENAME_NOREPLACE ---- */

static const int exists[] = { EEXIST, 0 }, interrupted[] = { EINTR, EEXIST, 0 }, missing[] = { ENOENT, 0 },
                 interrupted_missing[] = { EINTR, ENOENT, 0 }, io[] = { EIO, 0 };

static const struct row {
    const char *name;
    struct answers link, unlink;
    const char *taken; /* what has the new name before; NULL: nothing */
    const char *also;  /* one more name that the file has, in the moment in which the old one is removed */
    int want;
    const char *old_content, *new_content;
} rows[] = {
    { "rename: nothing is lost on the way", .want = 0, .old_content = "", .new_content = "mail" },
    { "rename: the new name was made, and the call was sent again", .link = { exists, true }, .want = 0,
      .old_content = "", .new_content = "mail" },
    { "rename: the new name was made, and the call interrupted", .link = { interrupted, true }, .want = 0,
      .old_content = "", .new_content = "mail" },
    { "rename: the new name is another's", .taken = "other", .want = -EEXIST, .old_content = "mail",
      .new_content = "other" },
    { "rename: the new name is another's, and the call interrupted", .link = { interrupted, false },
      .taken = "other", .want = -EEXIST, .old_content = "mail", .new_content = "other" },
    { "rename: the new name cannot be made", .link = { io, false }, .want = -EIO, .old_content = "mail",
      .new_content = "" },
    { "rename: the old name was removed, and the call was sent again", .unlink = { missing, true }, .want = 0,
      .old_content = "", .new_content = "mail" },
    { "rename: the old name was removed, and the call interrupted", .unlink = { interrupted_missing, true },
      .want = 0, .old_content = "", .new_content = "mail" },
    { "rename: another has moved it elsewhere", .unlink = { missing, true }, .also = "elsewhere",
      .want = -ENOENT, .old_content = "", .new_content = "" },
    { "rename: the old name cannot be removed", .unlink = { io, false }, .want = -EIO, .old_content = "mail",
      .new_content = "" },
};

static void check_rename(void **state)
{
    const struct row *row = *state;
    void *at;
    folder_setup(&at);
    struct folder *f = at;
    put(f->fd, "old", "mail");
    if (row->taken != NULL)
        put(f->fd, "new", row->taken);
    if (row->also != NULL)
        assert_int_equal(linkat(f->fd, "old", f->fd, row->also, 0), 0);
    fake.link = row->link;
    fake.unlink = row->unlink;
    assert_int_equal(disk_rename(f->fd, "old", f->fd, "new"), row->want);
    assert_string_equal(content(f->fd, "old"), row->old_content);
    assert_string_equal(content(f->fd, "new"), row->new_content);
    if (row->also != NULL)
        assert_string_equal(content(f->fd, row->also), "mail");
    folder_clear(f, (const char *const[]){ "old", "new", "elsewhere", NULL });
}

/* Another name of the same file is no trace of a call of ours. */
static void a_name_of_the_file_itself_is_taken(void **state)
{
    (void)state;
    void *at;
    folder_setup(&at);
    struct folder *f = at;
    put(f->fd, "old", "mail");
    assert_int_equal(linkat(f->fd, "old", f->fd, "new", 0), 0);
    assert_int_equal(disk_rename(f->fd, "old", f->fd, "new"), -EEXIST);
    assert_int_equal(disk_rename(f->fd, "old", f->fd, "old"), -EEXIST);
    assert_string_equal(content(f->fd, "old"), "mail");
    assert_string_equal(content(f->fd, "new"), "mail");
    folder_clear(f, (const char *const[]){ "old", "new", NULL });
}

/* ---- calls that write less than they were given ---- */

static void what_is_left_of_a_write_follows(void **state)
{
    (void)state;
    void *at;
    folder_setup(&at);
    struct folder *f = at;
    for (fake.writes_most = 1; fake.writes_most <= 6; fake.writes_most++) {
        const struct slice parts[] = { slice_str("From: "), slice_str(""), slice_str("a\n"),
                                       slice_str("\nbody\n") };
        int fd = disk_create(f->fd, "file");
        assert_true(fd >= 0);
        assert_int_equal(disk_append(fd, parts, G_N_ELEMENTS(parts)), 0);
        assert_string_equal(content(f->fd, "file"), "From: a\n\nbody\n");
        disk_close(fd);
        assert_int_equal(disk_unlink(f->fd, "file"), 0);
    }
    folder_clear(f, (const char *const[]){ NULL });
}

/* ---- a journal that died: the sync itself has nothing left to do, and succeeds ---- */

static const struct journal_row {
    const char *name;
    int journal, sync;
    int want;
} journal_rows[] = {
    { "journal: it is alive", .want = 0 },
    { "journal: the file system became read-only", .journal = EROFS, .want = -EIO },
    { "journal: it takes nothing more", .journal = EIO, .want = -EIO },
    { "journal: there are no files without names", .journal = EOPNOTSUPP, .want = 0 },
    { "journal: no more descriptors say nothing of it", .journal = EMFILE, .want = 0 },
};

static void check_journal_row(void **state)
{
    const struct journal_row *row = *state;
    void *at;
    folder_setup(&at);
    struct folder *f = at;
    fake.journal = row->journal;
    assert_int_equal(disk_sync_dir(f->fd), row->want);
    assert_int_equal(disk_sync_all(f->fd), row->want);
    assert_int_equal(fake.journal_asked, 2);
    folder_clear(f, (const char *const[]){ NULL });
}

static void a_sync_that_fails_is_told(void **state)
{
    (void)state;
    void *at;
    folder_setup(&at);
    struct folder *f = at;
    fake.sync = EIO;
    assert_int_equal(disk_sync_all(f->fd), -EIO);
    assert_int_equal(fake.journal_asked, 0);
    folder_clear(f, (const char *const[]){ NULL });
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("disk/disk_posix");
    suite_add_rows(s, rows, check_rename);
    suite_add(s, "rename: a name of the file itself is taken", a_name_of_the_file_itself_is_taken, NULL);
    suite_add(s, "write: what is left of one follows", what_is_left_of_a_write_follows, NULL);
    suite_add_rows(s, journal_rows, check_journal_row);
    suite_add(s, "journal: a sync that fails is told", a_sync_that_fails_is_told, NULL);
    return suite_run(s, argc, argv);
}
