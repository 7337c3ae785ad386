#include "disk_contract.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/random.h"

enum { LARGE = 3 * 1024 * 1024 + 17 }; /* more than any buffer, and not a whole number of them */

static uint8_t *random_octets(size_t len)
{
    struct pst_random random;
    pst_random_seed(&random, len);
    uint8_t *bytes = g_malloc(len);
    pst_random_fill(&random, bytes, len);
    return bytes;
}

static int make_octets(int dir, const char *name, const uint8_t *bytes, size_t len)
{
    int fd = disk_create(dir, name);
    assert_true(fd >= 0);
    struct slice part = slice_of(bytes, len);
    assert_int_equal(disk_append(fd, &part, 1), 0);
    return fd;
}

static void append_str(int fd, const char *text)
{
    struct slice part = slice_str(text);
    assert_int_equal(disk_append(fd, &part, 1), 0);
}

/* ---- disk_append ---- */

static void append_parts_in_order(int root)
{
    auto_disk int fd = disk_create(root, "file");
    const struct slice parts[] = {
        slice_of(NULL, 0), slice_str("one "),  slice_of("", 0),
        slice_str("two "), slice_str("three"), slice_of(NULL, 0),
    };
    assert_int_equal(disk_append(fd, parts, G_N_ELEMENTS(parts)), 0);
    assert_content(root, "file", "one two three");
}

static void append_nothing(int root)
{
    auto_disk int fd = disk_create(root, "file");
    const struct slice empty[] = { slice_of(NULL, 0), slice_of("", 0) };
    assert_int_equal(disk_append(fd, NULL, 0), 0);
    assert_int_equal(disk_append(fd, empty, 2), 0);
    assert_content(root, "file", "");
}

static void append_after_append(int root)
{
    auto_disk int fd = make_open_file(root, "file", "one ");
    append_str(fd, "two ");
    append_str(fd, "three");
    assert_content(root, "file", "one two three");
}

/* More than one call of the system takes. */
static void append_many_parts(int root)
{
    enum { PARTS = 5000 };
    auto_disk int fd = make_open_file(root, "file", "");
    g_autofree uint8_t *bytes = random_octets(3 * PARTS);
    g_autofree struct slice *parts = g_new(struct slice, PARTS);
    for (size_t i = 0; i < PARTS; i++)
        parts[i] = slice_of(bytes + 3 * i, 3);
    assert_int_equal(disk_append(fd, parts, PARTS), 0);
    assert_file(fd, bytes, 3 * PARTS);
}

static void append_any_octet(int root)
{
    uint8_t all[256];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    auto_disk int fd = make_octets(root, "file", all, sizeof all);
    assert_file(fd, all, sizeof all);
}

static void append_large(int root)
{
    g_autofree uint8_t *bytes = random_octets(LARGE);
    auto_disk int fd = make_octets(root, "file", bytes, LARGE);
    assert_file(fd, bytes, LARGE);
}

static void append_after_read(int root)
{
    auto_disk int fd = make_open_file(root, "file", "0123456789");
    char got[4];
    assert_int_equal(disk_read(fd, 2, got, 4), 4);
    append_str(fd, "end");
    assert_content(root, "file", "0123456789end");
}

static void append_needs_a_created_one(int root)
{
    make_file(root, "file", "content");
    auto_disk int fd = disk_open_file(root, "file");
    struct slice part = slice_str("more");
    assert_int_equal(disk_append(fd, &part, 1), -EBADF);
    assert_content(root, "file", "content");
}

/* ---- disk_open_append ---- */

static void append_side_by_side(int root)
{
    make_file(root, "file", "0 ");
    auto_disk int one = disk_open_append(root, "file");
    auto_disk int two = disk_open_append(root, "file");
    assert_true(one >= 0 && two >= 0);
    append_str(one, "one ");
    append_str(two, "two ");
    char got[4];
    assert_int_equal(disk_read(one, 2, got, 4), 4); /* reading moves nobody */
    assert_memory_equal(got, "one ", 4);
    append_str(one, "three ");
    append_str(two, "four");
    assert_file(one, "0 one two three four", 20);
    assert_content(root, "file", "0 one two three four");
}

static void append_to_no_file(int root)
{
    assert_int_equal(disk_open_append(root, "file"), -ENOENT); /* it makes none */
    assert_int_equal(count_names(root), 0);
}

/* ---- disk_read ---- */

static void read_at_offsets(int root)
{
    char got[16] = "................";
    auto_disk int fd = make_open_file(root, "file", "0123456789");
    assert_int_equal(disk_read(fd, 3, got, 4), 4);
    assert_memory_equal(got, "3456....", 8);
    assert_int_equal(disk_read(fd, 0, got, 2), 2);
    assert_memory_equal(got, "0156....", 8);
    assert_int_equal(disk_read(fd, 8, got, 8), 2);
    assert_memory_equal(got, "8956....", 8);
}

static void read_at_the_end(int root)
{
    char got[4] = "....";
    auto_disk int fd = make_open_file(root, "file", "0123456789");
    assert_int_equal(disk_read(fd, 10, got, 4), 0);
    assert_int_equal(disk_read(fd, 11, got, 4), 0);
    assert_int_equal(disk_read(fd, UINT64_C(1) << 40, got, 4), 0);
    assert_int_equal(disk_read(fd, 0, got, 0), 0);
    assert_int_equal(disk_read(fd, UINT64_MAX, got, 4), -EINVAL);
    assert_memory_equal(got, "....", 4);
}

static void read_what_another_appends(int root)
{
    char got[8];
    auto_disk int writer = make_open_file(root, "file", "one");
    auto_disk int reader = disk_open_file(root, "file");
    assert_int_equal(disk_read(reader, 0, got, 8), 3);
    append_str(writer, "two");
    assert_int_equal(disk_read(reader, 3, got, 8), 3);
    assert_memory_equal(got, "two", 3);
}

static void read_refuses_a_directory(int root)
{
    char got[8];
    assert_int_equal(disk_read(root, 0, got, 8), -EISDIR);
}

/* ---- disk_append_copy ---- */

static const struct copy {
    const char *name;
    const char *before;
    const char *from;
    uint64_t offset;
    const char *want;
} copy_rows[] = {
    { "append copy: all", "", "0123456789", 0, "0123456789" },
    { "append copy: behind what is there", "head ", "0123456789", 0, "head 0123456789" },
    { "append copy: from an offset", "head ", "0123456789", 7, "head 789" },
    { "append copy: nothing from the end", "head ", "0123456789", 10, "head " },
    { "append copy: nothing from behind the end", "head ", "0123456789", 11, "head " },
    { "append copy: nothing from far behind the end", "head ", "0123456789", UINT64_MAX, "head " },
    { "append copy: an empty file", "head ", "", 0, "head " },
};

static void append_copy_row(int root, const void *state)
{
    const struct copy *row = state;
    make_file(root, "from", row->from);
    auto_disk int from = disk_open_file(root, "from");
    auto_disk int to = make_open_file(root, "to", row->before);
    assert_int_equal(disk_append_copy(to, from, row->offset), 0);
    append_str(to, " tail");
    g_autofree char *want = g_strconcat(row->want, " tail", NULL);
    assert_content(root, "to", want);
    assert_content(root, "from", row->from);
}

static void run_append_copy(void **state)
{
    contract_run_row(append_copy_row, *state);
}

static void append_copy_large(int root)
{
    enum { OFFSET = 12345, HEAD = 4001 };
    g_autofree uint8_t *bytes = random_octets(LARGE);
    auto_disk int from = make_octets(root, "from", bytes, LARGE);
    auto_disk int to = make_octets(root, "to", bytes, HEAD);
    assert_int_equal(disk_append_copy(to, from, OFFSET), 0);
    append_str(to, "tail");

    g_autoptr(GByteArray) want = g_byte_array_new();
    g_byte_array_append(want, bytes, HEAD);
    g_byte_array_append(want, bytes + OFFSET, LARGE - OFFSET);
    g_byte_array_append(want, (const uint8_t *)"tail", 4);
    assert_file(to, want->data, want->len);
}

/* It was made, so the position of its descriptor is at its end: that must not matter. */
static void append_copy_from_a_created_one(int root)
{
    auto_disk int from = make_open_file(root, "from", "0123456789");
    auto_disk int to = disk_create(root, "to");
    assert_int_equal(disk_append_copy(to, from, 4), 0);
    assert_int_equal(disk_append_copy(to, from, 8), 0);
    append_str(from, "!");
    assert_content(root, "to", "45678989");
    assert_content(root, "from", "0123456789!");
}

static void append_copy_of_itself(int root)
{
    auto_disk int fd = make_open_file(root, "file", "0123456789");
    assert_int_equal(disk_append_copy(fd, fd, 0), -EINVAL);
    auto_disk int reader = disk_open_file(root, "file");
    assert_int_equal(disk_append_copy(fd, reader, 6), 0); /* what it holds when it is called, and no more */
    assert_content(root, "file", "01234567896789");
}

static void append_copy_needs_a_created_one(int root)
{
    make_file(root, "from", "content");
    make_file(root, "to", "before");
    auto_disk int from = disk_open_file(root, "from");
    auto_disk int to = disk_open_file(root, "to");
    assert_int_equal(disk_append_copy(to, from, 0), -EBADF);
    assert_content(root, "to", "before");
}

/* ---- disk_scratch, disk_truncate ---- */

static void scratch_is_used_again(int root)
{
    auto_disk int fd = disk_scratch();
    assert_true(fd >= 0);
    assert_int_equal(count_names(root), 0);
    assert_file(fd, "", 0);
    append_str(fd, "a long first text");
    assert_file(fd, "a long first text", 17);
    assert_int_equal(disk_truncate(fd), 0);
    assert_file(fd, "", 0);
    assert_int_equal(disk_truncate(fd), 0);
    append_str(fd, "second");
    assert_file(fd, "second", 6);
    struct disk_stat st;
    assert_int_equal(disk_stat_open(fd, &st), 0);
    assert_int_equal(st.type, DISK_FILE);
    assert_int_equal(st.size, 6);
}

static void scratch_is_copied(int root)
{
    g_autofree uint8_t *bytes = random_octets(LARGE);
    const struct slice part = slice_of(bytes, LARGE);
    auto_disk int from = disk_scratch(), other = disk_scratch();
    assert_int_equal(disk_append(from, &part, 1), 0);
    auto_disk int to = make_open_file(root, "to", "head");
    assert_int_equal(disk_append_copy(to, other, 0), 0);
    assert_int_equal(disk_append_copy(to, from, 0), 0);
    append_str(to, "tail");
    g_autoptr(GByteArray) want = g_byte_array_new();
    g_byte_array_append(want, (const uint8_t *)"head", 4);
    g_byte_array_append(want, bytes, LARGE);
    g_byte_array_append(want, (const uint8_t *)"tail", 4);
    assert_file(to, want->data, want->len);
}

static void truncate_needs_one_for_writing(int root)
{
    make_file(root, "file", "content");
    auto_disk int fd = disk_open_file(root, "file");
    assert_int_equal(disk_truncate(fd), -EINVAL);
    assert_content(root, "file", "content");
}

/* ---- disk_sync_all ---- */

static void sync_all(int root)
{
    uint64_t here = 0, there = 0;
    int r = disk_can_sync_all(root, &here);
    if (r == -EOPNOTSUPP)
        return; /* a file system of which it is not known: nothing may be asked of it */
    assert_int_equal(r, 0);
    assert_int_equal(disk_mkdir(root, "below"), 0);
    int below = disk_open_beneath(root, "below");
    assert_true(below >= 0);
    assert_int_equal(disk_can_sync_all(below, &there), 0);
    assert_true(here == there);
    int fd = make_octets(below, "file", (const uint8_t *)"text", 4);
    assert_int_equal(disk_sync_all(below), 0);
    assert_int_equal(disk_sync_all(root), 0);
    disk_close(fd);
    disk_close(below);
    assert_int_equal(disk_sync_all(below), -EBADF);
    assert_int_equal(disk_can_sync_all(below, &there), -EBADF);
}

/* ---- disk_sync ---- */

static void sync_files(int root)
{
    auto_disk int fd = disk_create(root, "file");
    assert_int_equal(disk_sync(fd), 0); /* empty */
    append_str(fd, "one");
    assert_int_equal(disk_sync(fd), 0);
    append_str(fd, "two");
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_sync(fd), 0);
    assert_content(root, "file", "onetwo");
}

/* ---- disk_write_out ---- */

static void write_out_changes_nothing(int root)
{
    auto_disk int fd = disk_create(root, "file");
    disk_write_out(fd, 0, 0);
    append_str(fd, "one");
    disk_write_out(fd, 0, 2);
    append_str(fd, "two"); /* behind what is under way */
    disk_write_out(fd, 2, 6);
    assert_int_equal(disk_check(fd), 0);
    assert_int_equal(disk_sync(fd), 0);
    disk_write_out(fd, 0, 6);
    assert_content(root, "file", "onetwo");
}

/* ---- disk_check ---- */

static void check_files(int root)
{
    auto_disk int fd = disk_create(root, "file");
    assert_int_equal(disk_check(fd), 0); /* empty */
    append_str(fd, "one");
    assert_int_equal(disk_check(fd), 0); /* nothing of it is on the disk yet */
    assert_int_equal(disk_sync(fd), 0);
    assert_int_equal(disk_check(fd), 0);
    auto_disk int reader = disk_open_file(root, "file");
    assert_int_equal(disk_check(reader), 0);
    assert_content(root, "file", "one");
}

static const struct contract_case cases[] = {
    { "append: parts in their order", append_parts_in_order },
    { "append: nothing", append_nothing },
    { "append: after append", append_after_append },
    { "append: many parts", append_many_parts },
    { "append: any octet", append_any_octet },
    { "append: large", append_large },
    { "append: at the end after a read", append_after_read },
    { "append: not to one opened for reading", append_needs_a_created_one },
    { "open append: side by side", append_side_by_side },
    { "open append: makes no file", append_to_no_file },
    { "read: at offsets", read_at_offsets },
    { "read: at the end and behind it", read_at_the_end },
    { "read: what another descriptor appends", read_what_another_appends },
    { "read: refuses a directory", read_refuses_a_directory },
    { "append copy: large", append_copy_large },
    { "append copy: from one just made", append_copy_from_a_created_one },
    { "append copy: of itself", append_copy_of_itself },
    { "append copy: not to one opened for reading", append_copy_needs_a_created_one },
    { "scratch: is used again", scratch_is_used_again },
    { "scratch: is copied", scratch_is_copied },
    { "truncate: not one opened for reading", truncate_needs_one_for_writing },
    { "sync: a file, again and again", sync_files },
    { "sync: all at once", sync_all },
    { "write out: changes nothing that is read", write_out_changes_nothing },
    { "check: a file, written or not", check_files },
};

void contract_add_content(struct suite *s)
{
    suite_add_rows(s, cases, contract_run);
    suite_add_rows(s, copy_rows, run_append_copy);
}
