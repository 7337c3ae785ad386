/* One copy in one maildir, step by step, on both twins of the disk: this source is linked twice. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "delivery/maildir.h"
#include "disk/disk.h"
#include "maildirs.h"

/* ---- names ---- */

static const struct name_row {
    const char *name, *host;
    size_t copy;
    const char *want;
} name_rows[] = {
    { "a host", "mx.example.org", 0, "1795296824.M123456P42Q0R00000000deadbeef.mx.example.org" },
    { "another copy of it", "mx.example.org", 17,
      "1795296824.M123456P42Q17R00000000deadbeef.mx.example.org" },
    { "what would end a name or be taken for a field", "a/b:c,d", 0,
      "1795296824.M123456P42Q0R00000000deadbeef.a_b_c_d" },
    { "whatever else is in a host", "\xc3\xa4 \n..", 0, "1795296824.M123456P42Q0R00000000deadbeef.____.." },
    { "no host", "", 0, "1795296824.M123456P42Q0R00000000deadbeef.localhost" },
};

static void check_name(void **state)
{
    const struct name_row *row = *state;
    const struct maildir_stamp stamp = {
        .wall_us = INT64_C(1795296824123456), .process = 42, .random = 0xdeadbeef, .hostname = row->host
    };
    char text[MAILDIR_UNIQUE_SIZE];
    assert_string_equal(maildir_unique(&stamp, row->copy, text), row->want);
}

static void a_name_leaves_room_for_flags(void **state)
{
    (void)state;
    g_autofree char *host = g_strnfill(1000, 'h');
    const struct maildir_stamp stamp = {
        .wall_us = INT64_MAX, .process = UINT64_MAX, .random = UINT64_MAX, .hostname = host
    };
    char text[MAILDIR_UNIQUE_SIZE];
    assert_true(strlen(maildir_unique(&stamp, SIZE_MAX, text)) +
                    strlen(",S=18446744073709551615,W=18446744073709551615:2,DFPRST") <
                255);
}

/* ---- copies ---- */

struct box {
    char *root;
    struct router *router;
    struct mailbox mailbox;
    char name[8]; /* of the mailbox */
    size_t descriptors;
};

static void setup(struct box *box)
{
    *box = (struct box){ .root = maildirs_new(), .router = router_new() };
    assert_int_equal(
        router_add_domain(box->router, "example.org", &(struct domain_options){ .maildirs = box->root }), 0);
    box->mailbox.domain = router_find_domain(box->router, "example.org");
    (void)g_strlcpy(box->name, "alice", sizeof box->name);
    box->mailbox.name = box->name;
    maildirs_add(box->root, box->name);
    box->descriptors = maildirs_open_descriptors();
}

static void teardown(struct box *box)
{
    assert_int_equal(maildirs_open_descriptors(), box->descriptors);
    router_free(box->router);
    maildirs_free(box->root);
}

static size_t count(const struct box *box, const char *sub)
{
    return maildirs_count(box->root, "alice", sub);
}

static void write_text(struct maildir_copy *c, const char *one, const char *two)
{
    const struct slice parts[] = { slice_str(one), slice_str(two) };
    assert_int_equal(maildir_copy_append(c, parts, 2), 0);
}

static void check_published(const struct box *box, const char *file, const char *content)
{
    g_autoptr(GPtrArray) names = maildirs_names(box->root, "alice", "new");
    assert_int_equal(names->len, 1);
    assert_string_equal(g_ptr_array_index(names, 0), file);
    GString *got = maildirs_read(box->root, "alice", "new", file);
    assert_non_null(got);
    assert_string_equal(got->str, content);
    g_string_free(got, TRUE);
}

static void a_message_s_way(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
    write_text(&c, "X: 1\n", "");
    write_text(&c, "\n", "body\n");
    assert_int_equal(maildir_copy_sync(&c), 0);
    assert_int_equal(count(&box, "tmp"), 1);
    assert_int_equal(count(&box, "new"), 0);
    assert_int_equal(maildir_copy_publish(&c, ""), 0);
    assert_int_equal(count(&box, "tmp"), 0);
    assert_int_equal(maildir_copy_settle(&c), 0);
    check_published(&box, "unique,S=11,W=14", "X: 1\n\nbody\n");
    assert_string_equal(c.name, "unique,S=11,W=14");
    maildir_copy_clear(&c);
    check_published(&box, "unique,S=11,W=14", "X: 1\n\nbody\n");
    teardown(&box);
}

static void what_is_only_staged_goes_when_it_is_cleared(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    {
        auto_val(maildir_copy) c = MAILDIR_COPY_INIT;
        assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
        write_text(&c, "a", "b");
        assert_int_equal(count(&box, "tmp"), 1);
    }
    assert_int_equal(count(&box, "tmp"), 0);
    assert_int_equal(count(&box, "new"), 0);
    teardown(&box);
}

static void a_cleared_copy_may_be_begun_again(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy c = MAILDIR_COPY_INIT;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
        write_text(&c, "a", "b");
        assert_int_equal(c.size, 2);
        maildir_copy_clear(&c);
    }
    maildir_copy_clear(&c);
    teardown(&box);
}

static void a_published_one_is_taken_back(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
    assert_int_equal(maildir_copy_publish(&c, ""), 0);
    assert_int_equal(count(&box, "new"), 1);
    maildir_copy_withdraw(&c);
    assert_int_equal(count(&box, "new"), 0);
    maildir_copy_clear(&c);
    teardown(&box);
}

static void a_resting_copy_goes_on(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
    write_text(&c, "a", "b");
    maildir_copy_rest(&c);
    assert_int_equal(maildirs_open_descriptors(), box.descriptors);
    assert_int_equal(maildir_copy_publish(&c, ""), 0);
    maildir_copy_rest(&c);
    assert_int_equal(maildir_copy_settle(&c), 0);
    check_published(&box, "unique,S=2,W=2", "ab");
    maildir_copy_rest(&c);
    maildir_copy_withdraw(&c);
    assert_int_equal(count(&box, "new"), 0);
    maildir_copy_clear(&c);
    teardown(&box);
}

static void a_resting_copy_is_cleared(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
    maildir_copy_rest(&c);
    maildir_copy_clear(&c);
    assert_int_equal(count(&box, "tmp"), 0);
    teardown(&box);
}

static void a_copy_of_a_copy(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy from = MAILDIR_COPY_INIT, to = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&from, &box.mailbox, NULL, "from"), 0);
    write_text(&from, "the\nhead\n", "body\nof\r\nit\r");
    assert_int_equal(maildir_copy_begin(&to, &box.mailbox, NULL, "to"), 0);
    write_text(&to, "another head\n", "");
    const struct maildir_tail tail = maildir_copy_tail_behind(&from, slice_str("the\nhead\n"));
    assert_int_equal(maildir_copy_append_tail(&to, &from, &tail), 0);
    write_text(&to, "\n", "\n");
    assert_int_equal(maildir_copy_publish(&to, ""), 0);
    check_published(&box, "to,S=27,W=30", "another head\nbody\nof\r\nit\r\n\n");
    maildir_copy_clear(&to);
    maildir_copy_clear(&from);
    teardown(&box);
}

static const struct tail_row {
    const char *name, *content;
    size_t offset;
    const char *front;
    const char *want; /* what is stored, and under which name */
    const char *file;
} tail_rows[] = {
    { "a tail: all of it", "a\nb\r\n", 0, "", "a\nb\r\n", "to,S=5,W=6" },
    { "a tail: behind a line's end", "a\nb\r\nc\n", 2, "x\n", "x\nb\r\nc\n", "to,S=7,W=9" },
    { "a tail: from an LF on, behind its CR", "a\r\nb\n", 2, "", "\nb\n", "to,S=3,W=5" },
    { "a tail: from an LF on, behind another CR", "a\r\nb\n", 2, "x\r", "x\r\nb\n", "to,S=5,W=6" },
    { "a tail: a bare LF behind a CR", "a\nb\n", 1, "x\r", "x\r\nb\n", "to,S=5,W=6" },
    { "a tail: an LF and nothing else", "a\r\n", 2, "x", "x\n", "to,S=2,W=3" },
    { "a tail: nothing of it", "a\r\nb\r", 5, "x\n", "x\n", "to,S=2,W=3" },
    { "a tail: of nothing", "", 0, "x\n", "x\n", "to,S=2,W=3" },
};

static void check_tail(void **state)
{
    const struct tail_row *row = *state;
    struct box box;
    setup(&box);
    struct maildir_copy from = MAILDIR_COPY_INIT, to = MAILDIR_COPY_INIT;
    struct maildir_tail tail;
    assert_int_equal(maildir_copy_begin(&from, &box.mailbox, NULL, "from"), 0);
    write_text(&from, row->content, "");
    assert_int_equal(maildir_copy_find_tail(&from, strlen(row->content) + 1, &tail), -EINVAL);
    assert_int_equal(maildir_copy_find_tail(&from, row->offset, &tail), 0);
    assert_int_equal(maildir_copy_begin(&to, &box.mailbox, NULL, "to"), 0);
    write_text(&to, row->front, "");
    assert_int_equal(maildir_copy_append_tail(&to, &from, &tail), 0);
    assert_int_equal(maildir_copy_check(&from), 0);
    maildir_copy_clear(&from);
    assert_int_equal(maildir_copy_publish(&to, ""), 0);
    check_published(&box, row->file, row->want);
    maildir_copy_clear(&to);
    teardown(&box);
}

static void a_tail_knows_of_its_last_cr(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy from = MAILDIR_COPY_INIT, to = MAILDIR_COPY_INIT;
    struct maildir_tail tail;
    assert_int_equal(maildir_copy_begin(&from, &box.mailbox, NULL, "from"), 0);
    write_text(&from, "ab\r", "");
    assert_int_equal(maildir_copy_find_tail(&from, 1, &tail), 0);
    assert_int_equal(maildir_copy_begin(&to, &box.mailbox, NULL, "to"), 0);
    assert_int_equal(maildir_copy_append_tail(&to, &from, &tail), 0);
    write_text(&to, "\n", "");
    assert_int_equal(maildir_copy_publish(&to, ""), 0);
    check_published(&box, "to,S=3,W=3", "b\r\n");
    maildir_copy_clear(&to);
    maildir_copy_clear(&from);
    teardown(&box);
}

static void flags_take_it_to_cur(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy c = MAILDIR_COPY_INIT;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
        write_text(&c, "X: 1\n", "");
        assert_int_equal(maildir_copy_publish(&c, "DFPRST"), 0);
        maildir_copy_rest(&c);
        assert_int_equal(maildir_copy_settle(&c), 0);
        assert_int_equal(count(&box, "new"), 0);
        GString *got = maildirs_read(box.root, "alice", "cur", "unique,S=5,W=6:2,DFPRST");
        assert_non_null(got);
        g_string_free(got, TRUE);
        maildir_copy_rest(&c);
        maildir_copy_withdraw(&c);
        assert_int_equal(count(&box, "cur"), 0);
        maildir_copy_clear(&c);
    }
    teardown(&box);
}

static void it_is_read_while_it_is_written(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    auto_val(maildir_copy) c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, &box.mailbox, NULL, "unique"), 0);
    write_text(&c, "one", "");
    {
        char text[8];
        auto_disk int reader = maildir_copy_open_reader(&c);
        write_text(&c, "two", "");
        assert_int_equal(disk_read(reader, 1, text, sizeof text), 5);
        assert_memory_equal(text, "netwo", 5);
        assert_int_equal(disk_append(reader, &(struct slice){ (const uint8_t *)"x", 1 }, 1), -EBADF);
    }
    maildir_copy_clear(&c);
    teardown(&box);
}

static void a_name_that_is_taken_stays_whose_it_is(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    struct maildir_copy one = MAILDIR_COPY_INIT, two = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&one, &box.mailbox, NULL, "unique"), 0);
    assert_int_equal(maildir_copy_begin(&two, &box.mailbox, NULL, "unique"), -EEXIST);
    maildir_copy_clear(&two);
    assert_int_equal(count(&box, "tmp"), 1);
    assert_int_equal(maildir_copy_publish(&one, ""), 0);
    assert_int_equal(maildir_copy_begin(&two, &box.mailbox, NULL, "unique"), 0);
    assert_int_equal(maildir_copy_publish(&two, ""), -EEXIST);
    maildir_copy_clear(&two);
    check_published(&box, "unique,S=0,W=0", "");
    assert_int_equal(count(&box, "tmp"), 0);
    maildir_copy_clear(&one);
    teardown(&box);
}

static const struct begin_row {
    const char *name, *mailbox;
    int want;
} begin_rows[] = {
    { "a maildir without tmp/", "no-tmp", -ENOENT },
    { "a maildir without new/", "no-new", -ENOENT },
    { "no maildir", "nobody", -ENOENT },
};

static void check_begin(void **state)
{
    const struct begin_row *row = *state;
    struct box box;
    setup(&box);
    maildirs_add_part(box.root, "no-tmp", "new");
    maildirs_add_part(box.root, "no-new", "tmp");
    struct mailbox mailbox = { .domain = box.mailbox.domain, .name = (char *)row->mailbox };
    auto_val(maildir_copy) c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, &mailbox, NULL, "unique"), row->want);
    maildir_copy_clear(&c);
    assert_int_equal(maildirs_count(box.root, row->mailbox, "tmp"), 0);
    assert_int_equal(maildirs_count(box.root, row->mailbox, "new"), 0);
    teardown(&box);
}

/* ---- where it goes ---- */

static void deliver(const struct mailbox *mailbox, int want)
{
    auto_val(maildir_copy) c = MAILDIR_COPY_INIT;
    assert_int_equal(maildir_copy_begin(&c, mailbox, NULL, "unique"), want);
    if (want == 0) {
        assert_int_equal(maildir_copy_publish(&c, ""), 0);
        assert_int_equal(maildir_copy_settle(&c), 0);
    }
}

static void a_folder(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    maildirs_add(box.root, "alice/.lists");
    box.mailbox.folder = (char[]){ ".lists" };
    deliver(&box.mailbox, 0);
    assert_int_equal(maildirs_count(box.root, "alice/.lists", "new"), 1);
    assert_int_equal(maildirs_count(box.root, "alice/.lists", "tmp"), 0);
    assert_int_equal(count(&box, "new"), 0);
    teardown(&box);
}

static const struct folder_row {
    const char *name, *folder;
    int want;
} folder_rows[] = {
    { "a folder that is missing", ".none", -ENOENT },     { "a folder named by nothing", "", -EINVAL },
    { "a folder without a dot", "cur", -EINVAL },         { "the mailbox itself as a folder", ".", -EINVAL },
    { "another mailbox as a folder", "../bob", -EINVAL }, { "out of the mailbox", "..", -EINVAL },
    { "out of it behind a folder", "./../bob", -EINVAL }, { "a folder in a folder", ".a/.b", -EINVAL },
};

static void check_folder(void **state)
{
    const struct folder_row *row = *state;
    struct box box;
    setup(&box);
    maildirs_add(box.root, "bob");
    maildirs_add(box.root, "alice/.a/.b");
    box.mailbox.create = true;
    box.mailbox.folder = (char *)row->folder;
    deliver(&box.mailbox, row->want);
    assert_int_equal(maildirs_count(box.root, "bob", "new"), 0);
    assert_int_equal(maildirs_count(box.root, "alice", "."), 4); /* with .a: none was made */
    teardown(&box);
}

/* ---- the folder that a handler chose ---- */

static const struct choose_row {
    const char *name, *mailbox, *folder;
    int want;
    const char *want_folder; /* or NULL */
} choose_rows[] = {
    { "choose: a folder that is there", "alice", ".a", 1, ".a" },
    { "choose: one that is not", "alice", ".b", 0, NULL },
    { "choose: one that is half there", "alice", ".half", 0, NULL },
    { "choose: the mailbox itself", "alice", "", 1, NULL },
    { "choose: of a mailbox that is not there yet", "nobody", ".a", 0, NULL },
    { "choose: what is no folder's name", "alice", "..", -EINVAL, ".was" },
    { "choose: another's", "alice", ".a/../../bob", -EINVAL, ".was" },
};

static void check_choose(void **state)
{
    const struct choose_row *row = *state;
    struct box box;
    setup(&box);
    maildirs_add(box.root, "bob");
    maildirs_add(box.root, "alice/.a");
    maildirs_add_part(box.root, "alice/.half", "new");
    const struct mailbox m = { .domain = box.mailbox.domain,
                               .name = (char *)row->mailbox,
                               .folder = (char[]){ ".was" } };
    auto_ptr(mailbox) chosen = mailbox_copy(&m);
    assert_int_equal(maildir_choose_folder(chosen, row->folder), row->want);
    if (row->want_folder == NULL)
        assert_null(chosen->folder);
    else
        assert_string_equal(chosen->folder, row->want_folder);
    teardown(&box);
}

static void the_longest_folder(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    char folder[FOLDER_MAX + 2], name[MAILBOX_NAME_MAX + 1];
    memset(name, 'n', MAILBOX_NAME_MAX);
    name[MAILBOX_NAME_MAX] = '\0';
    memset(folder, '.', FOLDER_MAX);
    folder[FOLDER_MAX] = '\0';
    g_autofree char *path = g_strconcat(name, "/", folder, NULL);
    maildirs_add(box.root, path);
    const struct mailbox mailbox = { .domain = box.mailbox.domain, .name = name, .folder = folder };
    deliver(&mailbox, 0);
    assert_int_equal(maildirs_count(box.root, path, "new"), 1);
    memcpy(folder + FOLDER_MAX, ".", 2);
    deliver(&mailbox, -ENAMETOOLONG);
    teardown(&box);
}

/* ---- a maildir that is made ---- */

static const struct make_row {
    const char *name, *mailbox;
    int want;
    size_t parts; /* in it afterwards */
} make_rows[] = {
    { "made: none was there", "carol", 0, 3 },
    { "made: an empty directory was there", "empty", 0, 3 },
    { "made: only new/ was there", "no-tmp", 0, 3 },
    { "made: only tmp/ was there", "no-new", 0, 3 },
    { "made: not where a file is", "file", -ENOTDIR, 0 },
    { "made: not where its tmp/ is a file", "tmp-file", -ENOTDIR, 1 },
};

static void check_make(void **state)
{
    const struct make_row *row = *state;
    struct box box;
    setup(&box);
    maildirs_add_part(box.root, "no-tmp", "new");
    maildirs_add_part(box.root, "no-new", "tmp");
    maildirs_add_part(box.root, "empty", ".");
    maildirs_add_part(box.root, "tmp-file", ".");
    {
        auto_disk int root = disk_open_root(box.root), dir = disk_open_beneath(root, "tmp-file");
        disk_close(disk_create(root, "file"));
        disk_close(disk_create(dir, "tmp"));
    }
    const struct mailbox mailbox = { .domain = box.mailbox.domain,
                                     .name = (char *)row->mailbox,
                                     .create = true };
    deliver(&mailbox, row->want);
    assert_int_equal(maildirs_count(box.root, row->mailbox, "new"), row->want == 0);
    assert_int_equal(maildirs_count(box.root, row->mailbox, "tmp"), 0);
    assert_int_equal(maildirs_count(box.root, row->mailbox, "."), row->parts);
    teardown(&box);
}

static void none_is_made_unless_the_mailbox_says_so(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    const struct mailbox carol = { .domain = box.mailbox.domain, .name = (char[]){ "carol" } };
    deliver(&carol, -ENOENT);
    assert_int_equal(maildirs_count(box.root, ".", "."), 1);
    struct maildir *m;
    const struct mailbox made = { .domain = box.mailbox.domain, .name = (char[]){ "carol" }, .create = true };
    assert_int_equal(maildir_open(&made, &m), -ENOENT); /* that is for who only looks */
    assert_int_equal(maildirs_count(box.root, ".", "."), 1);
    teardown(&box);
}

/* As a worker leaves it that dies while it makes one: until it is whole, nothing can be counted in it. */
static void half_a_maildir_that_will_be_made_has_room(void **state)
{
    (void)state;
    static const char *const parts[] = { ".", "cur", "tmp", "new" };
    struct box box;
    setup(&box);
    box.mailbox.name = (char *)"half";
    box.mailbox.quota = 1000;
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        maildirs_add_part(box.root, "half", parts[i]);
        box.mailbox.create = true;
        assert_int_equal(maildir_has_room(&box.mailbox, 0), 0);
        assert_int_equal(maildir_has_room(&box.mailbox, 1000), 0);
        assert_int_equal(maildir_has_room(&box.mailbox, 1001), -EDQUOT);
    }
    teardown(&box);
}

static void half_a_maildir_that_nobody_makes_is_an_error(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    box.mailbox.name = (char *)"half";
    box.mailbox.quota = 1000;
    maildirs_add_part(box.root, "half", "new");
    assert_int_equal(maildir_has_room(&box.mailbox, 0), -ENODEV);
    teardown(&box);
}

/* Linked to itself since it was found. -ELOOP is what aliases do (route.h). */
static void a_link_to_itself_is_an_error_of_the_disk(void **state)
{
    (void)state;
    struct box box;
    setup(&box);
    box.mailbox.name = (char *)"round";
    box.mailbox.quota = 1000;
    maildirs_link(box.root, "round", "round");
    assert_int_equal(maildir_has_room(&box.mailbox, 0), -ENODEV);
    teardown(&box);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("maildir");
    suite_add_rows(s, name_rows, check_name);
    suite_add(s, "a name leaves room for flags", a_name_leaves_room_for_flags, NULL);
    suite_add(s, "a message's way", a_message_s_way, NULL);
    suite_add(s, "what is only staged goes when it is cleared", what_is_only_staged_goes_when_it_is_cleared,
              NULL);
    suite_add(s, "a cleared copy may be begun again", a_cleared_copy_may_be_begun_again, NULL);
    suite_add(s, "a published one is taken back", a_published_one_is_taken_back, NULL);
    suite_add(s, "a resting copy goes on", a_resting_copy_goes_on, NULL);
    suite_add(s, "a resting copy is cleared", a_resting_copy_is_cleared, NULL);
    suite_add(s, "a copy of a copy", a_copy_of_a_copy, NULL);
    suite_add(s, "a name that is taken stays whose it is", a_name_that_is_taken_stays_whose_it_is, NULL);
    suite_add_rows(s, begin_rows, check_begin);
    suite_add(s, "a folder", a_folder, NULL);
    suite_add_rows(s, folder_rows, check_folder);
    suite_add_rows(s, choose_rows, check_choose);
    suite_add_rows(s, tail_rows, check_tail);
    suite_add(s, "a tail knows of its last CR", a_tail_knows_of_its_last_cr, NULL);
    suite_add(s, "flags take it to cur/", flags_take_it_to_cur, NULL);
    suite_add(s, "it is read while it is written", it_is_read_while_it_is_written, NULL);
    suite_add(s, "the longest folder", the_longest_folder, NULL);
    suite_add_rows(s, make_rows, check_make);
    suite_add(s, "none is made unless the mailbox says so", none_is_made_unless_the_mailbox_says_so, NULL);
    suite_add(s, "room: half a maildir that will be made has it", half_a_maildir_that_will_be_made_has_room,
              NULL);
    suite_add(s, "room: half a maildir that nobody makes is an error",
              half_a_maildir_that_nobody_makes_is_an_error, NULL);
    suite_add(s, "room: a link to itself is an error of the disk", a_link_to_itself_is_an_error_of_the_disk,
              NULL);
    return suite_run(s, argc, argv);
}
