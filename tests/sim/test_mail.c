/*
 * The checker of mail: what it must find, and what it must let pass. Each row is a disk and promises by hand;
 * what fails does so in a process of its own.
 */
#include "suite.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/disk.h"
#include "mail.h"
#include "sim.h"

#define CONTENT "Subject: hello\n\nhello\n"
#define HEAD    "Return-Path: <sender@example.net>\nReceived: from x\n\tby y; Thu, 1 Jan 2026 00:00:00 +0000\n"
enum { HEAD_LINES = 3 };

struct scene {
    GPtrArray *promises;
    struct mail *mail;
    int tmp, new;
};

static void on_call(void *owner, const struct disk_sim_call *call)
{
    mail_on_call(((struct scene *)owner)->mail, call);
}

static void scene_init(struct scene *s)
{
    static const char *const dirs[] = { "tmp", "new", "cur" };
    disk_sim_reset(1);
    for (size_t i = 0; i < SIM_BOXES * G_N_ELEMENTS(dirs); i++) {
        g_autofree char *path = g_strdup_printf("/mail/%s/%s", sim_boxes[i / 3], dirs[i % 3]);
        disk_sim_mkdir_all(path);
    }
    s->promises = g_ptr_array_new_with_free_func(promise_free);
    s->mail = mail_new(s->promises);
    s->tmp = disk_open_root("/mail/alice/tmp");
    s->new = disk_open_root("/mail/alice/new");
    disk_sim_set_hook(on_call, s);
}

static void scene_clear(struct scene *s)
{
    mail_free(s->mail);
    g_ptr_array_unref(s->promises);
    disk_sim_reset(0);
}

static struct promise *promise(struct scene *s, const char *content)
{
    g_autoptr(GBytes) bytes = g_bytes_new(content, strlen(content));
    struct promise *p = promise_new(sim_boxes[0], bytes, "<sender@example.net>", true, 0);
    g_ptr_array_add(s->promises, p);
    return p;
}

static size_t lines_of(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* "m,S=...,W=..." of a file that holds HEAD and the content. */
static char *name_for(const char *unique, const char *content)
{
    size_t len = strlen(HEAD) + strlen(content);
    return g_strdup_printf("%s,S=%zu,W=%zu", unique, len, len + HEAD_LINES + lines_of(content));
}

static void stage(struct scene *s, const char *content, bool syncs)
{
    int fd = disk_create(s->tmp, "m");
    const struct slice parts[] = { slice_str(HEAD), slice_str(content) };
    assert_int_equal(disk_append(fd, parts, G_N_ELEMENTS(parts)), 0);
    if (syncs)
        assert_int_equal(disk_sync(fd), 0);
    disk_close(fd);
}

static void publish_as(struct scene *s, const char *name, bool syncs)
{
    assert_int_equal(disk_rename(s->tmp, "m", s->new, name), 0);
    if (syncs)
        assert_int_equal(disk_sync_dir(s->new), 0);
    mail_on_event(s->mail);
}

static void deliver(struct scene *s, const char *unique, const char *content)
{
    g_autofree char *name = name_for(unique, content);
    stage(s, content, true);
    publish_as(s, name, true);
}

static void answer(struct scene *s, struct promise *p, enum promise_fate fate)
{
    p->fate = fate;
    mail_on_event(s->mail);
}

static void end(struct scene *s)
{
    mail_on_drained(s->mail);
}

/* ---- what is right ---- */

static void kept(struct scene *s)
{
    struct promise *p = promise(s, CONTENT);
    deliver(s, "m1", CONTENT);
    answer(s, p, PROMISE_KEPT);
    disk_sim_crash(DISK_SIM_LOSE);
    mail_on_crash(s->mail, 1);
    end(s);
}

static void open_and_there(struct scene *s)
{
    (void)promise(s, CONTENT);
    deliver(s, "m1", CONTENT);
    end(s);
}

static void kept_twice(struct scene *s)
{
    struct promise *p = promise(s, CONTENT), *q = promise(s, CONTENT);
    deliver(s, "m1", CONTENT);
    answer(s, p, PROMISE_KEPT);
    deliver(s, "m2", CONTENT);
    answer(s, q, PROMISE_KEPT);
    end(s);
}

static void begins_with_a_blank(struct scene *s)
{
    (void)promise(s, " as if it were more of Received\n");
    deliver(s, "m1", " as if it were more of Received\n");
    end(s);
}

static void edited(struct scene *s)
{
    struct promise *p = promise(s, "X-Act: edit\n\nhello\n");
    deliver(s, "m1", SIM_EDITED "X-Act: edit\n\nhello\n");
    answer(s, p, PROMISE_KEPT);
    end(s);
}

static void discarded(struct scene *s)
{
    answer(s, promise(s, "X-Act: discard\n\nhello\n"), PROMISE_KEPT);
    end(s);
}

static void refused_and_withdrawn(struct scene *s)
{
    struct promise *p = promise(s, CONTENT);
    g_autofree char *name = name_for("m1", CONTENT);
    deliver(s, "m1", CONTENT);
    assert_int_equal(disk_unlink(s->new, name), 0);
    answer(s, p, PROMISE_REFUSED);
    disk_sim_crash(DISK_SIM_LOSE); /* brings it back */
    mail_on_crash(s->mail, 1);
    end(s);
}

static void staged_before_a_crash(struct scene *s)
{
    stage(s, CONTENT, true);
    disk_sim_kill();
    mail_on_crash(s->mail, 1);
    end(s);
}

static void staged_and_swept(struct scene *s)
{
    staged_before_a_crash(s);
    s->tmp = disk_open_root("/mail/alice/tmp");
    assert_int_equal(disk_unlink(s->tmp, "m"), 0);
    mail_on_swept(s->mail, 2);
}

/* ---- what is wrong ---- */

static void partial(struct scene *s)
{
    (void)promise(s, CONTENT);
    deliver(s, "m1", "Subject: hello\n\nhel");
}

static void partial_for_a_moment(struct scene *s)
{
    (void)promise(s, CONTENT);
    g_autofree char *name = name_for("m1", CONTENT);
    int fd = disk_create(s->new, name);
    const struct slice parts[] = { slice_str(HEAD), slice_str(CONTENT) };
    assert_int_equal(disk_append(fd, parts, G_N_ELEMENTS(parts)), 0);
    disk_close(fd);
    mail_on_event(s->mail);
}

static void of_another_sender(struct scene *s)
{
    struct promise *p = promise(s, CONTENT);
    p->sender = g_intern_string("<other@example.net>");
    deliver(s, "m1", CONTENT);
}

static void delivered_to(struct scene *s, const char *whom)
{
    (void)promise(s, CONTENT);
    g_autofree char *file = g_strdup_printf("Return-Path: <sender@example.net>\nDelivered-To: %s\n"
                                            "Received: by y; Thu, 1 Jan 2026 00:00:00 +0000\n" CONTENT,
                                            whom);
    const struct slice all = slice_str(file);
    int fd = disk_create(s->tmp, "m");
    assert_int_equal(disk_append(fd, &all, 1), 0);
    assert_int_equal(disk_sync(fd), 0);
    disk_close(fd);
    g_autofree char *name = g_strdup_printf("m1,S=%zu,W=%zu", all.len, all.len + lines_of(file));
    publish_as(s, name, true);
}

static void delivered_to_whom_it_is_for(struct scene *s)
{
    delivered_to(s, "alice@example.org");
    end(s);
}

static void delivered_to_another(struct scene *s)
{
    delivered_to(s, "bob@example.org");
}

static void without_a_header(struct scene *s)
{
    (void)promise(s, CONTENT);
    int fd = disk_create(s->tmp, "m");
    const struct slice content = slice_str(CONTENT);
    assert_int_equal(disk_append(fd, &content, 1), 0);
    disk_close(fd);
    publish_as(s, "m1,S=1,W=1", true);
}

static void unedited(struct scene *s)
{
    (void)promise(s, "X-Act: edit\n\nhello\n");
    deliver(s, "m1", "X-Act: edit\n\nhello\n");
}

static void edited_unasked(struct scene *s)
{
    (void)promise(s, CONTENT);
    deliver(s, "m1", SIM_EDITED CONTENT);
}

static void discarded_and_there(struct scene *s)
{
    (void)promise(s, "X-Act: discard\n\nhello\n");
    deliver(s, "m1", "X-Act: discard\n\nhello\n");
}

static void kept_in_spite_of_a_handler(struct scene *s)
{
    answer(s, promise(s, "X-Act: hang\n\nhello\n"), PROMISE_KEPT);
}

static void of_another_size(struct scene *s)
{
    (void)promise(s, CONTENT);
    stage(s, CONTENT, true);
    publish_as(s, "m1,S=7,W=8", true);
}

static void twice(struct scene *s)
{
    (void)promise(s, CONTENT);
    deliver(s, "m1", CONTENT);
    deliver(s, "m2", CONTENT);
}

static void kept_and_not_there(struct scene *s)
{
    answer(s, promise(s, CONTENT), PROMISE_KEPT);
}

static void seen_before_sync(struct scene *s)
{
    (void)promise(s, CONTENT);
    g_autofree char *name = name_for("m1", CONTENT);
    stage(s, CONTENT, false);
    publish_as(s, name, true);
}

static void kept_without_directory_sync(struct scene *s)
{
    struct promise *p = promise(s, CONTENT);
    g_autofree char *name = name_for("m1", CONTENT);
    stage(s, CONTENT, true);
    publish_as(s, name, false);
    answer(s, p, PROMISE_KEPT);
}

static void kept_and_removed(struct scene *s)
{
    g_autofree char *name = name_for("m1", CONTENT);
    kept(s);
    s->new = disk_open_root("/mail/alice/new");
    assert_int_equal(disk_unlink(s->new, name), 0);
    end(s);
}

static void refused_and_there(struct scene *s)
{
    struct promise *p = promise(s, CONTENT);
    deliver(s, "m1", CONTENT);
    answer(s, p, PROMISE_REFUSED);
}

static void torn_by_a_crash(struct scene *s)
{
    (void)promise(s, CONTENT);
    g_autofree char *name = name_for("m1", CONTENT);
    stage(s, CONTENT, false);
    disk_sim_set_hook(NULL, NULL); /* it is not seen before */
    publish_as(s, name, true);
    disk_sim_crash(DISK_SIM_LOSE);
    mail_on_crash(s->mail, 1);
}

static void left_staged(struct scene *s)
{
    stage(s, CONTENT, true);
    end(s);
}

static void not_swept(struct scene *s)
{
    staged_before_a_crash(s);
    mail_on_swept(s->mail, 2);
}

static const struct row {
    const char *name;
    void (*run)(struct scene *s);
    const char *failure; /* what is told first; NULL: nothing is */
} rows[] = {
    { "right: kept", kept, NULL },
    { "right: unanswered, and there", open_and_there, NULL },
    { "right: the same content twice, kept twice", kept_twice, NULL },
    { "right: what begins with a blank", begins_with_a_blank, NULL },
    { "right: edited", edited, NULL },
    { "right: discarded", discarded, NULL },
    { "excused: refused, and back after a crash", refused_and_withdrawn, NULL },
    { "excused: staged before a crash", staged_before_a_crash, NULL },
    { "right: staged before a crash, and swept", staged_and_swept, NULL },
    { "wrong: partial", partial, "partial, or nobody's" },
    { "wrong: partial for a moment", partial_for_a_moment, "partial, or nobody's" },
    { "right: its head names the mailbox", delivered_to_whom_it_is_for, NULL },
    { "wrong: its head names another mailbox", delivered_to_another, "partial, or nobody's" },
    { "wrong: from another sender", of_another_sender, "partial, or nobody's" },
    { "wrong: without a header", without_a_header, "partial, or nobody's" },
    { "wrong: not edited", unedited, "partial, or nobody's" },
    { "wrong: edited, and nobody asked for it", edited_unasked, "partial, or nobody's" },
    { "wrong: discarded, and there", discarded_and_there, "partial, or nobody's" },
    { "wrong: kept, though a handler hangs", kept_in_spite_of_a_handler, "250 for what a handler" },
    { "wrong: of another size", of_another_size, "not the size" },
    { "wrong: twice", twice, "there more often than promised" },
    { "wrong: kept, and not there", kept_and_not_there, "promised and not durable" },
    { "wrong: seen before it was synced", seen_before_sync, "seen before its content is durable" },
    { "wrong: kept, and the directory was not synced", kept_without_directory_sync,
      "promised and not durable" },
    { "wrong: kept, and removed later", kept_and_removed, "promised and not durable" },
    { "wrong: refused, and there", refused_and_there, "there more often than promised" },
    { "wrong: torn by a crash", torn_by_a_crash, "partial, or nobody's" },
    { "wrong: left in tmp/", left_staged, "left in tmp/" },
    { "wrong: not swept", not_swept, "not swept" },
};

static _Noreturn void run_in_child(const struct row *row, int out)
{
    struct scene s;
    (void)dup2(out, STDERR_FILENO);
    scene_init(&s);
    row->run(&s);
    scene_clear(&s);
    _exit(0);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    int ends[2], status;
    char told[256] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_in_child(row, ends[1]);
    (void)close(ends[1]);
    ssize_t len = read(ends[0], told, sizeof told - 1);
    (void)close(ends[0]);
    assert_true(len >= 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (row->failure == NULL) {
        assert_string_equal(told, "");
        assert_int_equal(status, 0);
    } else {
        assert_true(WIFSIGNALED(status));
        assert_true(g_str_has_prefix(told, "FAILED: ") && strstr(told, row->failure) != NULL);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("mail");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
