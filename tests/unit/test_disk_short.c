/*
 * Calls that do a part of what was asked, are interrupted, or fail in the middle: what lies in the file is
 * all there is, in order, or the caller is told. disk_posix.c, with a test's hand in its writing, reading and
 * copying.
 */
#define _FILE_OFFSET_BITS 64 /* as in disk_posix.c: before all headers */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "suite.h"

/* Of one kind of call. */
struct hand {
    size_t most;     /* octets that one call takes; 0: all */
    unsigned good;   /* so many calls, before ... */
    int error;       /* ... each fails so; 0: none does. -1: it does nothing, and calls that success */
    bool interrupts; /* each is interrupted once, before it does anything */
    bool was_interrupted;
};

static struct {
    struct hand write, read, copy;
    int cut; /* a file that the first copy finds empty when it comes to read it; or -1 */
} fake;

/* Whether the call is to be made; else *ret_answer is its. */
static bool goes(struct hand *h, ssize_t *ret_answer)
{
    if (h->interrupts && !h->was_interrupted) {
        h->was_interrupted = true;
        errno = EINTR;
        *ret_answer = -1;
        return false;
    }
    h->was_interrupted = false;
    if (h->error == 0 || h->good-- > 0)
        return true;
    h->good = 0;
    errno = h->error > 0 ? h->error : 0;
    *ret_answer = h->error > 0 ? -1 : 0;
    return false;
}

static ssize_t fake_writev(int fd, const struct iovec *parts, int count)
{
    ssize_t answer;
    if (!goes(&fake.write, &answer))
        return answer;
    size_t most = fake.write.most, done = 0;
    for (int i = 0; i < count && (most == 0 || done < most); i++) {
        size_t len = most == 0 ? parts[i].iov_len : MIN(parts[i].iov_len, most - done);
        assert_int_equal(write(fd, parts[i].iov_base, len), len);
        done += len;
    }
    return (ssize_t)done;
}

static ssize_t fake_pread(int fd, void *to, size_t len, off_t offset)
{
    ssize_t answer;
    if (!goes(&fake.read, &answer))
        return answer;
    return pread(fd, to, fake.read.most > 0 ? MIN(len, fake.read.most) : len, offset);
}

static ssize_t fake_copy(int from, off_t *at, int to, size_t len)
{
    ssize_t answer;
    if (!goes(&fake.copy, &answer)) {
        if (fake.cut >= 0)
            assert_int_equal(ftruncate(fake.cut, 0), 0);
        return answer;
    }
    char octets[64];
    size_t most = fake.copy.most > 0 ? MIN(len, fake.copy.most) : len;
    ssize_t got = pread(from, octets, MIN(most, sizeof octets), *at);
    assert_true(got >= 0);
    assert_int_equal(write(to, octets, (size_t)got), got);
    *at += got;
    return got;
}

#define writev(fd, parts, count)                            fake_writev((fd), (parts), (count))
#define pread(fd, to, len, offset)                          fake_pread((fd), (to), (len), (offset))
#define copy_file_range(from, at, to, position, len, flags) fake_copy((from), (at), (to), (len))

#include "disk/disk_posix.c"

#undef writev
#undef pread
#undef copy_file_range

/* ---- files without names ---- */

static int new_file(const char *content)
{
    memset(&fake, 0, sizeof fake);
    fake.cut = -1;
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)fclose(file);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    return fd;
}

static void assert_content(int fd, const char *wanted)
{
    struct stat st;
    size_t len = strlen(wanted);
    g_autofree char *got = g_malloc0(len + 1);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, len);
    assert_int_equal(pread(fd, got, len, 0), len);
    assert_string_equal(got, wanted);
}

/* ---- writing ---- */

enum { PARTS = 70 }; /* more than go into one call */

/* "", "b", "cc", "", "eeee", ... */
static char *make_parts(struct slice parts[PARTS])
{
    GString *all = g_string_new(NULL);
    size_t lengths[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        lengths[i] = i % 3 == 0 ? 0 : i % 7;
        for (size_t k = 0; k < lengths[i]; k++)
            g_string_append_c(all, (char)('a' + i % 26));
    }
    size_t at = 0;
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = slice_of((const uint8_t *)all->str + at, lengths[i]);
        at += lengths[i];
    }
    return g_string_free(all, FALSE);
}

static void writes_all_of_it(void **state)
{
    (void)state;
    struct slice parts[PARTS];
    g_autofree char *all = make_parts(parts);
    for (size_t most = 0; most <= strlen(all) + 1; most++) {
        auto_disk int fd = new_file("");
        fake.write = (struct hand){ .most = most, .interrupts = most % 2 == 1 };
        assert_int_equal(disk_append(fd, parts, PARTS), 0);
        assert_content(fd, all);
    }
}

/* What had been written stays: the caller gives the file up. */
static void tells_what_fails_behind_a_part(void **state)
{
    (void)state;
    static const struct {
        int error, want;
    } rows[] = { { EIO, -EIO }, { ENOSPC, -ENOSPC }, { EDQUOT, -ENOSPC }, { EFBIG, -EFBIG }, { -1, -EIO } };
    const struct slice part = slice_str("0123456789");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        for (unsigned good = 0; good < 4; good++) {
            auto_disk int fd = new_file("");
            fake.write = (struct hand){ .most = 2, .good = good, .error = rows[i].error };
            assert_int_equal(disk_append(fd, &part, 1), rows[i].want);
            g_autofree char *wanted = g_strndup("0123456789", (gsize)2 * good);
            assert_content(fd, wanted);
        }
}

/* ---- copying ---- */

static const char text[] = "from here: all of this";
enum { FROM = 11 }; /* octets that are not copied */

static void copies_all_of_it(void **state)
{
    (void)state;
    for (size_t most = 0; most < sizeof text; most++) {
        auto_disk int from = new_file(text), to = new_file("to: ");
        fake.copy = (struct hand){ .most = most, .interrupts = most % 2 == 1 };
        assert_int_equal(disk_append_copy(to, from, FROM), 0);
        assert_content(to, "to: all of this");
    }
}

/* Where the kernel cannot, from the beginning or from the middle on, it goes on by reading and writing. */
static void goes_on_by_hand(void **state)
{
    (void)state;
    static const int errors[] = { EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, -1 };
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++)
        for (unsigned good = 0; good < 3; good++) {
            auto_disk int from = new_file(text), to = new_file("to: ");
            fake.copy = (struct hand){ .most = 3, .good = good, .error = errors[i] };
            fake.read = (struct hand){ .most = 2, .interrupts = true };
            fake.write = (struct hand){ .most = 1, .interrupts = true };
            assert_int_equal(disk_append_copy(to, from, FROM), 0);
            assert_content(to, "to: all of this");
        }
}

static void tells_a_copy_that_fails(void **state)
{
    (void)state;
    auto_disk int from = new_file(text), to = new_file("");
    fake.copy = (struct hand){ .most = 3, .good = 1, .error = ENOSPC };
    assert_int_equal(disk_append_copy(to, from, 0), -ENOSPC);
    fake.copy = (struct hand){ .error = EXDEV };
    fake.read = (struct hand){ .most = 2, .good = 1, .error = EIO };
    assert_int_equal(disk_append_copy(to, from, 0), -EIO);
    fake.read = (struct hand){ 0 };
    fake.write = (struct hand){ .most = 2, .good = 1, .error = EDQUOT };
    assert_int_equal(disk_append_copy(to, from, 0), -ENOSPC);
}

/* Half a copy is none. */
static void tells_a_source_that_shrinks(void **state)
{
    (void)state;
    auto_disk int from = new_file(text), to = new_file("");
    fake.copy = (struct hand){ .error = EXDEV };
    fake.cut = from;
    assert_int_equal(disk_append_copy(to, from, 0), -EIO);
}

static void copies_nothing_from_behind_the_end(void **state)
{
    (void)state;
    auto_disk int from = new_file(text), to = new_file("to");
    assert_int_equal(disk_append_copy(to, from, sizeof text - 1), 0);
    assert_int_equal(disk_append_copy(to, from, sizeof text + 9), 0);
    assert_content(to, "to");
    assert_int_equal(disk_append_copy(to, to, 0), -EINVAL);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("disk/short");
    suite_add(s, "each write takes a part", writes_all_of_it, NULL);
    suite_add(s, "a write fails behind a part", tells_what_fails_behind_a_part, NULL);
    suite_add(s, "each copy takes a part", copies_all_of_it, NULL);
    suite_add(s, "the kernel cannot copy, or no more", goes_on_by_hand, NULL);
    suite_add(s, "a copy fails", tells_a_copy_that_fails, NULL);
    suite_add(s, "the source becomes shorter", tells_a_source_that_shrinks, NULL);
    suite_add(s, "there is nothing to copy", copies_nothing_from_behind_the_end, NULL);
    return suite_run(s, argc, argv);
}
