/*
 * A host that is waited for, in whose place a shell says what a test wrote: frames, rubbish, half of
 * something, or nothing; and what is told of it.
 */
#include "handlers/lone_host.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "suite.h"

enum { PATIENCE_MS = 60 * 1000, SHORT_MS = 100 };

/* ---- what a host says ---- */

static GByteArray *say(GByteArray *bytes, const struct wire_frame *frame)
{
    assert_int_equal(wire_encode(frame, bytes), 0);
    return bytes;
}

static void say_ready(GByteArray *b)
{
    say(b, &(struct wire_frame){ .type = WIRE_READY });
}

static void say_log_and_ready(GByteArray *b)
{
    say(b, &(struct wire_frame){ .type = WIRE_LOG, .log = { .handler = -1, .text = "hello" } });
    say_ready(b);
}

static void say_rubbish(GByteArray *b)
{
    static const char rubbish[] = "hello, I am a handler\n";
    g_byte_array_append(b, (const uint8_t *)rubbish, sizeof rubbish - 1);
}

static void say_half(GByteArray *b)
{
    say_ready(b);
    g_byte_array_set_size(b, b->len - 1);
}

static void say_what_workers_say(GByteArray *b)
{
    say(b, &(struct wire_frame){ .type = WIRE_CONFIG });
}

static void die(GByteArray *b, enum wire_stage stage, int handler, int signal, int status)
{
    const struct wire_obituary how = {
        .stage = stage, .handler = handler, .signal = signal, .status = status
    };
    say(b, &(struct wire_frame){ .type = WIRE_OBITUARY, .obituary = how });
}

static void say_crashed(GByteArray *b)
{
    die(b, WIRE_LOADING, 0, SIGSEGV, 0);
}

static void say_exited(GByteArray *b)
{
    die(b, WIRE_WAITING, -1, 0, 3);
}

static void say_unknown_handler(GByteArray *b)
{
    die(b, WIRE_HANDLING, 7, 0, 1);
}

static void say_half_and_crashed(GByteArray *b)
{
    say_half(b);
    say_crashed(b);
}

static void say_rubbish_and_crashed(GByteArray *b)
{
    say_rubbish(b);
    say_crashed(b);
}

/* ---- the scene: a program, and what it says ---- */

struct scene {
    char *folder, *program, *octets;
    struct wire_handler handler;
    struct handler_settings settings;
};

static void scene_make(struct scene *s, void (*say_it)(GByteArray *b), const char *behind)
{
    *s = (struct scene){ .handler = { .name = "judge", .file = "/judge.so" } };
    s->folder = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(s->folder));
    s->program = g_build_filename(s->folder, "host", NULL);
    s->octets = g_build_filename(s->folder, "octets", NULL);
    g_autoptr(GByteArray) b = g_byte_array_new();
    if (say_it != NULL)
        say_it(b);
    assert_true(g_file_set_contents(s->octets, (const char *)b->data, b->len, NULL));
    g_autofree char *script = g_strdup_printf("#!/bin/sh\ncat '%s' >&3\n%s\n", s->octets, behind);
    assert_true(g_file_set_contents(s->program, script, -1, NULL));
    assert_int_equal(chmod(s->program, 0700), 0);
    s->settings = (struct handler_settings){ .program = s->program,
                                             .config = { .handlers = &s->handler, .handler_count = 1 },
                                             .timeout = PATIENCE_MS };
}

static void scene_clear(struct scene *s)
{
    (void)g_unlink(s->program);
    (void)g_unlink(s->octets);
    (void)g_rmdir(s->folder);
    g_free(s->program);
    g_free(s->octets);
    g_free(s->folder);
}
AUTO_VAL_DEFINE(scene);

static void assert_why(const struct lone_host *h, int error, const char *wanted)
{
    g_autofree char *why = lone_host_why(h, error);
    assert_string_equal(why, wanted);
}

/* ---- hosts that fail before they are ready ---- */

static const struct row {
    const char *name;
    void (*say)(GByteArray *b);
    const char *behind; /* what the shell does then */
    int want;
    const char *why;
} rows[] = {
    { "it says nothing", NULL, "", -ENODATA, "the host ended without a word" },
    { "it says rubbish", say_rubbish, "exec cat <&3 >/dev/null", -EBADMSG,
      "the host said what makes no sense: a handler wrote on its wire" },
    { "it says half a frame", say_half, "", -ENODATA, "the host ended without a word" },
    { "it says what is not for hosts", say_what_workers_say, "exec cat <&3 >/dev/null", -EBADMSG,
      "the host said what makes no sense: a handler wrote on its wire" },
    { "it has crashed", say_crashed, "", -ENODATA,
      "handler judge died of signal 11 (Segmentation fault) while it was loaded" },
    { "it has exited", say_exited, "", -ENODATA, "the host ended with status 3 between messages" },
    { "it has exited in a handler that there is not", say_unknown_handler, "", -ENODATA,
      "the host ended with status 1 while it had the message" },
    { "it has crashed in half a frame", say_half_and_crashed, "", -EBADMSG,
      "the host said what makes no sense: a handler wrote on its wire" },
    { "it has crashed behind rubbish", say_rubbish_and_crashed, "", -EBADMSG,
      "the host said what makes no sense: a handler wrote on its wire" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    auto_val(scene) s;
    scene_make(&s, row->say, row->behind);
    auto_val(lone_host) h = LONE_HOST_NONE;
    assert_int_equal(lone_host_start(&h, &s.settings), 0);
    auto_val(wire_frame) frame = { 0 };
    assert_int_equal(lone_host_hear(&h, &frame), row->want);
    assert_int_equal(h.pid, 0);
    assert_why(&h, row->want, row->why);
}

/* ---- and others ---- */

static void check_no_program(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s, NULL, "");
    assert_int_equal(chmod(s.program, 0600), 0);
    auto_val(lone_host) h = LONE_HOST_NONE;
    assert_int_equal(lone_host_start(&h, &s.settings), -EACCES);
    g_autofree char *wanted = g_strdup_printf("%s cannot be started: Permission denied", s.program);
    assert_why(&h, -EACCES, wanted);
}

static void check_order(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s, say_log_and_ready, "exec cat <&3 >/dev/null");
    auto_val(lone_host) h = LONE_HOST_NONE;
    assert_int_equal(lone_host_start(&h, &s.settings), 0);
    auto_val(wire_frame) frame = { 0 };
    assert_int_equal(lone_host_hear(&h, &frame), 0);
    assert_int_equal(frame.type, WIRE_LOG);
    assert_string_equal(frame.log.text, "hello");
    wire_frame_clear(&frame);
    assert_int_equal(lone_host_hear(&h, &frame), 0);
    assert_int_equal(frame.type, WIRE_READY);
    assert_null(frame.ready.problem);
    assert_int_equal(lone_host_end(&h), 0); /* its wire ends, and so does it */
}

static void check_too_long(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s, NULL, "exec cat <&3 >/dev/null");
    s.settings.timeout = SHORT_MS;
    auto_val(lone_host) h = LONE_HOST_NONE;
    assert_int_equal(lone_host_start(&h, &s.settings), 0);
    auto_val(wire_frame) frame = { 0 };
    assert_int_equal(lone_host_hear(&h, &frame), -ETIMEDOUT);
    assert_why(&h, -ETIMEDOUT, "the host took longer than 0.1 s");
}

/* It would stay for ever: it is ended. */
static void check_no_end(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s, say_ready, "exec sleep 1000");
    s.settings.timeout = PATIENCE_MS;
    auto_val(lone_host) h = LONE_HOST_NONE;
    assert_int_equal(lone_host_start(&h, &s.settings), 0);
    auto_val(wire_frame) frame = { 0 };
    assert_int_equal(lone_host_hear(&h, &frame), 0);
    s.settings.timeout = SHORT_MS;
    pid_t pid = h.pid;
    assert_int_equal(lone_host_end(&h), -ETIMEDOUT);
    assert_int_equal(h.pid, 0);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

/* What is said to one that is gone is no failure: why it has gone comes next. */
static void check_say_to_nobody(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s, say_exited, "exec 3>&-; exec sleep 1000");
    auto_val(lone_host) h = LONE_HOST_NONE;
    assert_int_equal(lone_host_start(&h, &s.settings), 0);
    const struct wire_frame config = { .type = WIRE_CONFIG };
    for (int i = 0; i < 1000; i++)
        assert_int_equal(lone_host_say(&h, &config, -1), 0);
    auto_val(wire_frame) frame = { 0 };
    assert_int_equal(lone_host_hear(&h, &frame), -ENODATA);
    assert_why(&h, -ENODATA, "the host ended with status 3 between messages");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("handlers/lone_host");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "there is no such program", check_no_program, NULL);
    suite_add(s, "frames come one after the other", check_order, NULL);
    suite_add(s, "it takes too long", check_too_long, NULL);
    suite_add(s, "it does not end", check_no_end, NULL);
    suite_add(s, "what is said to one that is gone", check_say_to_nobody, NULL);
    return suite_run(s, argc, argv);
}
