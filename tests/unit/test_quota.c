/* Quota on the simulated disk, whose clock and faults a test has in its hand. */
#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>

#include "base/auto.h"
#include "delivery/maildirsize.h"
#include "delivery/quota.h"
#include "disk/disk.h"
#include "disk/disk_sim.h"

#define BOX       "/mail/alice"
#define SIZE_FILE BOX "/maildirsize"

enum { LIMIT = 1000, COUNTED = 150, SECONDS = 1000000, QUIET = 60, FRESH = 15 * 60 };

static int box;

static void write_file(const char *path, const char *content)
{
    disk_sim_write_file(path, slice_str(content));
}

static void write_octets(const char *path, size_t count)
{
    g_autofree char *content = g_strnfill(count, 'x');
    write_file(path, content);
}

/* Two messages of COUNTED octets. The time is what files are made at: 0. */
static void start(void)
{
    disk_sim_reset(1);
    disk_sim_mkdir_all(BOX "/tmp");
    write_octets(BOX "/cur/1.a,S=100:2,S", 3); /* the name counts */
    write_octets(BOX "/new/2.b", 50);
    box = disk_open_root(BOX);
    assert_true(box >= 0);
}

static void end(void)
{
    disk_sim_set_hook(NULL, NULL);
    disk_close(box);
    assert_int_equal(disk_sim_open_descriptors(), 0);
}

static void assert_litter(unsigned files)
{
    g_auto(GStrv) left = disk_sim_names(BOX "/tmp");
    assert_int_equal(g_strv_length(left), files);
}

static void assert_file(const char *want)
{
    g_autofree char *content = disk_sim_read_file(SIZE_FILE, NULL);
    assert_non_null(content);
    assert_string_equal(content, want);
}

static void assert_use(uint64_t octets, uint64_t messages)
{
    struct quota_use use;
    assert_int_equal(quota_read(box, LIMIT, &use), 0);
    assert_int_equal(use.octets, octets);
    assert_int_equal(use.messages, messages);
}

/* ---- what is believed ---- */

#define COUNTED_FILE "1000S\n150 2\n"

static const struct sheet_row {
    const char *name;
    const char *file;
    int64_t age; /* seconds */
    uint64_t octets, messages;
    const char *after;
} sheet_rows[] = {
    { "missing: counted", NULL, 0, COUNTED, 2, COUNTED_FILE },
    { "good: believed", "1000S\n500 5\n", 0, 500, 5, "1000S\n500 5\n" },
    { "good: believed for ever", "1000S\n500 5\n10 1\n", 1000000, 510, 6, "1000S\n500 5\n10 1\n" },
    { "good: just full", "1000S\n1000 5\n", FRESH, 1000, 5, "1000S\n1000 5\n" },
    { "good: a limit of messages is another program's", "1000S,7C\n500 5\n", QUIET, 500, 5,
      "1000S,7C\n500 5\n" },
    { "another limit: summed up", "999S\n500 5\n-1 -1\n", QUIET - 1, 499, 4, "1000S\n499 4\n" },
    { "another limit, left alone: counted", "999S\n500 5\n", QUIET, COUNTED, 2, COUNTED_FILE },
    { "no limit: summed up", "0S\n500 5\n", 0, 500, 5, "1000S\n500 5\n" },
    { "another limit, and over it", "999S\n5000 5\n", 0, 5000, 5, "1000S\n5000 5\n" },
    { "over: believed while it changes", "1000S\n500 5\n600 1\n", QUIET - 1, 1100, 6,
      "1000S\n500 5\n600 1\n" },
    { "over, left alone: counted", "1000S\n500 5\n600 1\n", QUIET, COUNTED, 2, COUNTED_FILE },
    { "over, by a fresh count: believed", "1000S\n1100 6\n", FRESH - 1, 1100, 6, "1000S\n1100 6\n" },
    { "over, by an old count: counted", "1000S\n1100 6\n", FRESH, COUNTED, 2, COUNTED_FILE },
    { "over, in the future: counted", "1000S\n1100 6\n", -FRESH, COUNTED, 2, COUNTED_FILE },
    { "over, a moment in the future: believed", "1000S\n1100 6\n1 1\n", -1, 1101, 7, "1000S\n1100 6\n1 1\n" },
    { "empty: counted", "", 0, COUNTED, 2, COUNTED_FILE },
    { "no numbers: counted", "1000S\nlots\n", 0, COUNTED, 2, COUNTED_FILE },
    { "half a line: counted", "1000S\n500 5\n10", 0, COUNTED, 2, COUNTED_FILE },
    { "below zero: counted", "1000S\n-500 5\n", 0, COUNTED, 2, COUNTED_FILE },
    { "beyond all measure: counted", "1000S\n9223372036854775807 5\n1 1\n", 0, COUNTED, 2, COUNTED_FILE },
};

static void run_sheet(void **state)
{
    const struct sheet_row *row = *state;
    start();
    if (row->file != NULL)
        write_file(SIZE_FILE, row->file);
    disk_sim_set_time(row->age * SECONDS);
    assert_use(row->octets, row->messages);
    assert_file(row->after);
    end();
}

/* One message of one octet, told in so many octets. */
static char *long_file(size_t len)
{
    size_t rest = len - strlen("1000S\n"
                               "1 1\n");
    GString *text = g_string_new(NULL);
    g_string_printf(text, "1000S\n%*s1 1\n", (int)(rest % 4), "");
    for (size_t i = 0; i < rest / 4; i++)
        g_string_append(text, "0 0\n");
    assert_int_equal(text->len, len);
    return g_string_free(text, FALSE);
}

static const struct long_row {
    const char *name;
    size_t len;
    int64_t age;
    uint64_t octets, messages;
    bool stays;
} long_rows[] = {
    { "long: a line still fits", MAILDIRSIZE_MAX - MAILDIRSIZE_CHANGE_SIZE, QUIET, 1, 1, true },
    { "long: summed up", MAILDIRSIZE_MAX - MAILDIRSIZE_CHANGE_SIZE + 1, QUIET - 1, 1, 1, false },
    { "long: left alone: counted", MAILDIRSIZE_MAX - MAILDIRSIZE_CHANGE_SIZE + 1, QUIET, COUNTED, 2, false },
    { "long: by many at once", 8191, 0, 1, 1, false },
    { "long: too long to be read", 8192, 0, COUNTED, 2, false },
    { "long: beyond all measure", 1000000, 0, COUNTED, 2, false },
};

static void run_long(void **state)
{
    const struct long_row *row = *state;
    start();
    g_autofree char *text = long_file(row->len);
    write_file(SIZE_FILE, text);
    disk_sim_set_time(row->age * SECONDS);
    assert_use(row->octets, row->messages);
    g_autofree char *anew = g_strdup_printf("1000S\n%" PRIu64 " %" PRIu64 "\n", row->octets, row->messages);
    assert_file(row->stays ? text : anew);
    end();
}

/* ---- what is no file ---- */

static void a_link_is_replaced(void **state)
{
    (void)state;
    start();
    write_file(BOX "/other", "1000S\n1 1\n");
    disk_sim_symlink(SIZE_FILE, "other");
    assert_use(COUNTED, 2);
    struct disk_stat st;
    assert_int_equal(disk_stat(box, "maildirsize", &st), 0);
    assert_int_equal(st.type, DISK_FILE);
    g_autofree char *other = disk_sim_read_file(BOX "/other", NULL);
    assert_string_equal(other, "1000S\n1 1\n");
    assert_int_equal(quota_reserve(box, LIMIT, 5), 0);
    assert_file("1000S\n150 2\n5 1\n");
    end();
}

static void a_dangling_link_is_replaced(void **state)
{
    (void)state;
    start();
    disk_sim_symlink(SIZE_FILE, "../../etc/passwd");
    assert_int_equal(quota_reserve(box, LIMIT, 5), 0);
    assert_file("1000S\n150 2\n5 1\n");
    end();
}

static void a_fifo_is_replaced(void **state)
{
    (void)state;
    start();
    disk_sim_special(SIZE_FILE);
    assert_int_equal(quota_reserve(box, LIMIT, 5), 0);
    assert_file("1000S\n150 2\n5 1\n");
    end();
}

static void a_directory_is_told(void **state)
{
    (void)state;
    struct quota_use use;
    start();
    disk_sim_mkdir_all(SIZE_FILE);
    assert_int_equal(quota_read(box, LIMIT, &use), -EISDIR);
    assert_int_equal(quota_check(box, LIMIT, 1), -EISDIR);
    assert_int_equal(quota_reserve(box, LIMIT, 1), -EISDIR);
    quota_release(box, 1);
    end();
}

static void a_missing_tmp_is_no_missing_mailbox(void **state)
{
    (void)state;
    disk_sim_reset(1);
    disk_sim_mkdir_all(BOX "/new");
    box = disk_open_root(BOX);
    assert_int_equal(quota_check(box, LIMIT, 1), -ENODEV);
    assert_int_equal(quota_reserve(box, LIMIT, 1), -ENODEV);
    end();
}

static void names_in_tmp_are_taken(void **state)
{
    (void)state;
    start();
    write_file(BOX "/tmp/maildirsize.0", "of one who died");
    write_file(BOX "/tmp/maildirsize.1", "");
    assert_use(COUNTED, 2);
    assert_litter(2);
    end();
}

/* ---- counting: the figures are what Dovecot 2.3 makes of the same maildir, but where it says ours ---- */

static const struct count_row {
    const char *name;
    const char *path; /* of a file of 10 octets, in the maildir */
    uint64_t octets, messages;
    const char *link; /* instead */
} count_rows[] = {
    { "count: nothing more", NULL, 0, 0 },
    { "count: the file's size", "cur/x", 10, 1 },
    { "count: the size in its name", "cur/x,S=7:2,S", 7, 1 },
    { "count: without flags", "new/x,S=7", 7, 1 },
    { "count: both sizes", "new/x,S=7,W=8", 7, 1 },
    { "count: both sizes, the other way", "cur/x,W=8,S=7:2,", 7, 1 },
    { "count: the first size", "cur/x,S=7,S=9", 7, 1 },
    { "count: a size that is none", "cur/x,S=7x:2,", 10, 1 },
    { "count: a size that is empty (ours)", "cur/x,S=:2,", 10, 1 },
    { "count: a size beyond all measure (ours)", "cur/x,S=99999999999999999999", 10, 1 },
    { "count: the largest size", "cur/x,S=9223372036854775807", INT64_MAX - COUNTED, 1 },
    { "count: a hidden one", "cur/.x", 10, 1 },
    { "count: one that begins with two dots", "cur/..x", 0, 0 },
    { "count: tmp", "tmp/x", 0, 0 },
    { "count: a folder", ".lists/cur/x", 10, 1 },
    { "count: a folder's new", ".lists/new/x", 10, 1 },
    { "count: a folder's tmp", ".lists/tmp/x", 0, 0 },
    { "count: a folder of a folder", ".lists.c/cur/x", 10, 1 },
    { "count: a directory that is no folder", "lists/cur/x", 0, 0 },
    { "count: no folder's name (ours)", "..lists/cur/x", 0, 0 },
    { "count: a file like a folder", ".x", 0, 0 },
    { "count: a directory among the messages (ours)", "cur/d/x", 0, 0 },
    { "count: a link among the messages (ours)", "cur/l", 0, 0, "1.a,S=100:2,S" },
    { "count: a link's name says enough", "cur/l,S=7", 7, 1, "nowhere" },
    { "count: a folder that is a link to what is none", ".other", 15, 1, "linked" },
    { "count: a folder that lies elsewhere (ours)", ".other", 0, 0, "../bob" },
    { "count: a folder that is missing", ".other", 0, 0, "nowhere" },
    { "count: a folder that is a ring", ".other", 0, 0, ".other" },
};

static void run_count(void **state)
{
    const struct count_row *row = *state;
    start();
    write_octets("/mail/bob/cur/x", 10);
    write_octets(BOX "/linked/cur/x,S=15", 3); /* which by this name is no folder */
    g_autofree char *path = g_strconcat(BOX "/", row->path, NULL);
    if (row->link != NULL)
        disk_sim_symlink(path, row->link);
    else if (row->path != NULL)
        write_octets(path, 10);
    assert_use(COUNTED + row->octets, 2 + row->messages);
    end();
}

static void what_cannot_be_read_cannot_be_counted(void **state)
{
    (void)state;
    struct quota_use use;
    start();
    disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_LIST, .nth = 2, .error = EACCES });
    assert_int_equal(quota_read(box, LIMIT, &use), -EACCES);
    assert_use(COUNTED, 2);
    assert_litter(0);
    end();
}

static void read_what_is_new(void *owner, const struct disk_sim_call *call)
{
    bool *done = owner;
    if (*done || call->kind != DISK_SIM_STAT || !g_str_has_suffix(call->path, "2.b"))
        return;
    *done = true;
    auto_disk int new = disk_open_beneath(box, "new");
    auto_disk int cur = disk_open_beneath(box, "cur");
    assert_int_equal(disk_rename(new, "2.b", cur, "2.b:2,"), 0);
}

/* It was listed in new/, is not there when its size is asked for, and comes by again in cur/. */
static void what_a_reader_moves_is_counted_once(void **state)
{
    (void)state;
    bool done = false;
    start();
    disk_sim_set_hook(read_what_is_new, &done);
    assert_use(COUNTED, 2);
    assert_true(done);
    end();
}

/* ---- whether it fits ---- */

static const struct check_row {
    const char *name;
    const char *file;
    uint64_t declared;
    int check, reserve;
} check_rows[] = {
    { "fits", "1000S\n990 5\n", 10, 0, 0 },
    { "one octet too much", "1000S\n990 5\n", 11, -EDQUOT, -EDQUOT },
    { "one octet", "1000S\n999 5\n", 1, 0, 0 },
    { "not known, and there is room", "1000S\n999 5\n", 0, 0, 0 },
    { "not known, and it is full", "1000S\n1000 5\n", 0, -EDQUOT, 0 },
    { "over already", "1000S\n1001 5\n", 1, -EDQUOT, -EDQUOT },
    { "over already, and nothing more", "1000S\n1001 5\n", 0, -EDQUOT, -EDQUOT },
    { "the limit itself", "1000S\n0 0\n", 1000, 0, 0 },
    { "more than the limit", "1000S\n0 0\n", 1001, -EDQUOT, -EDQUOT },
    { "beyond all measure", "1000S\n999 5\n", UINT64_MAX, -EDQUOT, -EDQUOT },
    { "missing, and fits the count", NULL, LIMIT - COUNTED, 0, 0 },
    { "missing, and does not fit the count", NULL, LIMIT - COUNTED + 1, -EDQUOT, -EDQUOT },
    { "another limit: ours is the one", "5000S\n990 5\n", 11, -EDQUOT, -EDQUOT },
    { "another limit: ours is larger", "990S\n990 5\n", 10, 0, 0 },
};

static void run_check(void **state)
{
    const struct check_row *row = *state;
    start();
    if (row->file != NULL)
        write_file(SIZE_FILE, row->file);
    assert_int_equal(quota_check(box, LIMIT, row->declared), row->check);
    g_autofree char *before = disk_sim_read_file(SIZE_FILE, NULL);
    assert_int_equal(quota_reserve(box, LIMIT, row->declared), row->reserve);
    g_autofree char *line = g_strdup_printf("%" PRIu64 " 1\n", row->declared);
    g_autofree char *after = g_strconcat(before, line, NULL);
    g_autofree char *got = disk_sim_read_file(SIZE_FILE, NULL);
    assert_int_equal(before != NULL, got != NULL);
    if (got != NULL)
        assert_string_equal(got, row->reserve == 0 ? after : before); /* who is refused leaves no trace */
    end();
}

static void a_full_mailbox_that_was_emptied_takes_mail(void **state)
{
    (void)state;
    start();
    write_file(SIZE_FILE, "1000S\n500 5\n500 5\n");
    assert_int_equal(quota_check(box, LIMIT, 100), -EDQUOT);
    assert_int_equal(quota_reserve(box, LIMIT, 100), -EDQUOT);
    disk_sim_set_time((int64_t)QUIET * SECONDS);
    assert_int_equal(quota_check(box, LIMIT, 100), 0);
    assert_file(COUNTED_FILE);
    assert_int_equal(quota_reserve(box, LIMIT, 100), 0);
    end();
}

static void what_is_reserved_can_be_released(void **state)
{
    (void)state;
    start();
    assert_int_equal(quota_reserve(box, LIMIT, 850), 0);
    assert_int_equal(quota_reserve(box, LIMIT, 1), -EDQUOT);
    quota_release(box, 850);
    assert_use(COUNTED, 2);
    assert_int_equal(quota_reserve(box, LIMIT, 850), 0);
    assert_file("1000S\n150 2\n850 1\n-850 -1\n850 1\n");
    end();
}

static void releasing_what_nobody_keeps_does_nothing(void **state)
{
    (void)state;
    start();
    quota_release(box, 10);
    struct disk_stat st;
    assert_int_equal(disk_stat(box, "maildirsize", &st), -ENOENT);
    end();
}

/* Ten thousand messages come and go: the file never becomes longer than readers like. */
static void the_file_stays_short(void **state)
{
    (void)state;
    start();
    for (int i = 0; i < 10000; i++) {
        size_t len;
        assert_int_equal(quota_reserve(box, LIMIT, 7), 0);
        quota_release(box, 7);
        g_free(disk_sim_read_file(SIZE_FILE, &len));
        assert_true(len <= MAILDIRSIZE_MAX);
    }
    assert_use(COUNTED, 2);
    assert_litter(0);
    end();
}

/* ---- side by side ---- */

static const struct side_row {
    const char *name;
    const char *file;
    uint64_t octets; /* of each of both */
    unsigned fit;    /* how many of them */
} side_rows[] = {
    { "side by side: room for two", "1000S\n150 2\n", 100, 2 },
    { "side by side: room for one", "1000S\n150 2\n", 500, 1 },
    { "side by side: room for none", "1000S\n950 2\n", 100, 0 },
    { "side by side: no file, room for two", NULL, 100, 2 },
    { "side by side: no file, room for one", NULL, 500, 1 },
    { "side by side: another limit, room for two", "999S\n150 2\n", 100, 2 },
    { "side by side: another limit, room for one", "999S\n150 2\n", 500, 1 },
    { "side by side: a broken file, room for two", "x", 100, 2 },
    { "side by side: a broken file, room for one", "x", 500, 1 },
};

struct other {
    uint64_t at; /* the call of ours before which the other one has its turn */
    uint64_t octets;
    bool writes_anew, came, busy;
    int result;
};

/*
 * Between its last look at the old file and its replacing it, one that writes the file anew loses what
 * another one appends. That is a read and a rename, once in some hundred messages, and a count finds it.
 */
static bool is_the_gap(struct other *o, const struct disk_sim_call *call)
{
    bool moves = call->kind == DISK_SIM_REPLACE || call->kind == DISK_SIM_RENAME;
    bool gap = o->writes_anew && (call->kind == DISK_SIM_READ || call->kind == DISK_SIM_REPLACE);
    o->writes_anew = !moves && (o->writes_anew || call->kind == DISK_SIM_CREATE);
    return gap;
}

static void let_the_other_one(void *owner, const struct disk_sim_call *call)
{
    struct other *o = owner;
    if (o->busy || o->came)
        return;
    bool gap = is_the_gap(o, call);
    if (--o->at > 0)
        return;
    o->came = true;
    if (gap)
        return;
    o->busy = true;
    o->result = quota_reserve(box, LIMIT, o->octets);
    o->busy = false;
}

static void run_side_by_side(void **state)
{
    const struct side_row *row = *state;
    bool came = true;
    for (uint64_t at = 1; came; at++) {
        start();
        if (row->file != NULL)
            write_file(SIZE_FILE, row->file);
        struct other other = { .at = at, .octets = row->octets, .result = -ECANCELED };
        disk_sim_set_hook(let_the_other_one, &other);
        int result = quota_reserve(box, LIMIT, row->octets);
        disk_sim_set_hook(NULL, NULL);
        came = other.came;
        if (other.result == -ECANCELED)
            other.result = quota_reserve(box, LIMIT, row->octets);
        unsigned successes = (result == 0) + (other.result == 0);
        assert_true(result == 0 || result == -EDQUOT);
        assert_true(other.result == 0 || other.result == -EDQUOT);
        assert_true(successes <= row->fit);
        assert_true(successes == row->fit || row->fit == 1); /* both may lose a race for the last room */
        uint64_t before = row->fit > 0 ? COUNTED : 950;
        assert_use(before + successes * row->octets, 2 + successes);
        assert_litter(0);
        end();
    }
}

/* ---- faults ---- */

static const struct fault_row {
    const char *name;
    const char *file; /* says what a count would say, so that in the end it does not matter which it was */
} fault_rows[] = {
    { "every call fails once: a good file", "1000S\n100 1\n50 1\n" },
    { "every call fails once: no file", NULL },
    { "every call fails once: a broken file", "x" },
    { "every call fails once: another limit", "999S\n150 2\n" },
};

static bool reserve_with_fault(const struct fault_row *row, uint64_t nth, int error)
{
    start();
    disk_sim_mkdir_all(BOX "/.lists/cur"); /* a folder to be counted */
    if (row->file != NULL)
        write_file(SIZE_FILE, row->file);
    disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = error });
    int r = quota_reserve(box, LIMIT, 100);
    bool struck = disk_sim_failures() > 0;
    disk_sim_heal();
    assert_true(r == 0 || (struck && r == -error));
    assert_litter(0);
    assert_use(COUNTED + (r == 0 ? 100 : 0), r == 0 ? 3 : 2);
    return struck;
}

static void run_faults(void **state)
{
    static const int errors[] = { EIO, ENOSPC, EACCES };
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++)
        for (uint64_t nth = 1; reserve_with_fault(*state, nth, errors[i]); nth++)
            disk_close(box);
}

static void a_full_disk(void **state)
{
    (void)state;
    start();
    disk_sim_set_capacity(10, ENOSPC);
    assert_int_equal(quota_check(box, LIMIT, 10), -ENOSPC);
    assert_int_equal(quota_reserve(box, LIMIT, 10), -ENOSPC);
    assert_litter(0);
    disk_sim_heal();
    write_file(SIZE_FILE, "1000S\n500 5\n");
    disk_sim_set_capacity(0, ENOSPC);
    assert_int_equal(quota_check(box, LIMIT, 10), 0);
    assert_int_equal(quota_reserve(box, LIMIT, 10), -ENOSPC);
    disk_sim_heal();
    assert_use(COUNTED, 2); /* half a line may be in it: it is gone */
    end();
}

/* The file is not synced. What a crash leaves of it is believed or counted, but never a hindrance. */
static void after_a_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        disk_sim_reset(seed);
        disk_sim_mkdir_all(BOX "/tmp");
        box = disk_open_root(BOX);
        for (int i = 0; i < 3; i++)
            assert_int_equal(quota_reserve(box, LIMIT, 100), 0);
        disk_close(box);
        disk_sim_crash(DISK_SIM_SEEDED);
        box = disk_open_root(BOX);
        assert_int_equal(quota_reserve(box, LIMIT, 100), 0);
        struct quota_use use;
        assert_int_equal(quota_read(box, LIMIT, &use), 0);
        assert_true(use.octets % 100 == 0 && use.octets <= 400 && use.octets == use.messages * 100);
        end();
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "a link in its place is replaced", a_link_is_replaced },
        { "a dangling link in its place is replaced", a_dangling_link_is_replaced },
        { "a FIFO in its place is replaced", a_fifo_is_replaced },
        { "a directory in its place is an error", a_directory_is_told },
        { "without tmp/ it is no missing mailbox", a_missing_tmp_is_no_missing_mailbox },
        { "names in tmp/ are taken", names_in_tmp_are_taken },
        { "what cannot be read cannot be counted", what_cannot_be_read_cannot_be_counted },
        { "what a reader moves is counted once", what_a_reader_moves_is_counted_once },
        { "a full mailbox that was emptied takes mail", a_full_mailbox_that_was_emptied_takes_mail },
        { "what is reserved can be released", what_is_reserved_can_be_released },
        { "releasing what nobody keeps does nothing", releasing_what_nobody_keeps_does_nothing },
        { "the file stays short", the_file_stays_short },
        { "a full disk", a_full_disk },
        { "after a crash", after_a_crash },
    };
    struct suite *s = suite_new("quota");
    suite_add_rows(s, sheet_rows, run_sheet);
    suite_add_rows(s, long_rows, run_long);
    suite_add_rows(s, count_rows, run_count);
    suite_add_rows(s, check_rows, run_check);
    suite_add_rows(s, side_rows, run_side_by_side);
    suite_add_rows(s, fault_rows, run_faults);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(s, cases[i].name, cases[i].run, NULL);
    return suite_run(s, argc, argv);
}
