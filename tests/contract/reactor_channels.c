/* The contract of a child's channel. The child is twin_peer: see there what it does. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "reactor_contract.h"

struct line {
    struct world w;
    struct child *child;
    struct end end;
    unsigned exits;
    int status, signal;
};

static void note_exit(void *owner, int status, int signal)
{
    struct line *l = owner;
    assert_false(l->w.inside);
    l->exits++;
    l->status = status;
    l->signal = signal;
}

static int spawn(struct line *l, const char *file, const char *mode)
{
    const struct child_channel channel = { &end_events, &l->end, &l->end.s };
    const struct child_options options = {
        .file = file,
        .argv = (const char *const[]){ "peer", TWIN_PEER, mode, NULL },
        .fds = (const int[]){ CHILD_NULL, CHILD_NULL, 2, CHILD_CHANNEL },
        .fd_count = 4,
        .channel = &channel,
    };
    int error;
    INSIDE(&l->w, error = child_spawn(l->w.r, &options, note_exit, l, &l->child));
    return error;
}

static void line_begin(struct line *l, const char *mode)
{
    *l = (struct line){ .exits = 0 };
    world_begin(&l->w);
    end_init(&l->end, &l->w);
    assert_int_equal(spawn(l, twin_add_peer(l->w.r), mode), 0);
    assert_non_null(l->end.s);
    INSIDE(&l->w, stream_set_reading(l->end.s, true));
}

static void line_end(struct line *l)
{
    if (l->end.s != NULL)
        end_close(&l->end);
    RUN_UNTIL(&l->w, l->exits == 1);
    child_close(l->child);
    world_end(&l->w);
    assert_int_equal(l->end.connected, 0);
    assert_int_equal(l->end.closed, 1);
    end_clear(&l->end);
}

static int file_with(const char *text)
{
    int fd = memfd_create("contract", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static int write_with(struct line *l, const char *text, int fd)
{
    int error;
    INSIDE(&l->w, error = stream_write_with_descriptor(l->end.s, slice_str(text), fd));
    return error;
}

static void child_answers(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    end_write_text(&l.end, "one ");
    RUN_UNTIL(&l.w, end_got(&l.end, "one "));
    end_write_text(&l.end, "two");
    RUN_UNTIL(&l.w, end_got(&l.end, "one two"));
    assert_int_equal(l.end.ends, 0);
    assert_int_equal(reactor_free(l.w.r), -EBUSY);
    line_end(&l);
    assert_int_equal(l.status, 0);
    assert_int_equal(l.signal, 0);
}

static void child_exits(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    end_write_text(&l.end, "farewell" TWIN_PEER_EXIT);
    RUN_UNTIL(&l.w, l.end.ends == 1 && l.exits == 1);
    assert_true(end_got(&l.end, "farewell"));
    assert_int_equal(l.end.end_error, 0);
    assert_int_equal(l.status, TWIN_PEER_STATUS);
    line_end(&l);
}

static void child_is_killed(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    end_write_text(&l.end, "text");
    RUN_UNTIL(&l.w, end_got(&l.end, "text"));
    assert_int_equal(child_kill(l.child, SIGKILL), 0);
    RUN_UNTIL(&l.w, l.end.ends == 1 && l.exits == 1);
    assert_int_equal(l.end.end_error, 0);
    assert_int_equal(l.signal, SIGKILL);
    auto_fd int fd = file_with("late");
    assert_int_equal(write_with(&l, "late", fd), -EPIPE);
    line_end(&l);
}

/* What it wrote before comes; that it has not read all is told behind that. */
static void child_reads_nothing_and_dies(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "speak");
    end_write_text(&l.end, "unread");
    RUN_UNTIL(&l.w, end_got(&l.end, "spoken"));
    assert_int_equal(child_kill(l.child, SIGKILL), 0);
    RUN_UNTIL(&l.w, l.end.ends == 1);
    assert_int_equal(l.end.end_error, -ECONNRESET);
    assert_true(end_got(&l.end, "spoken"));
    line_end(&l);
}

static void is_let_go(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    end_abort(&l.end);
    RUN_UNTIL(&l.w, l.end.closed == 1 && l.exits == 1);
    assert_int_equal(l.status, 0);
    line_end(&l);
}

static void descriptors_come_along(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    auto_fd int first = file_with("<first>"), second = file_with("<second>");
    assert_int_equal(write_with(&l, "1", first), 0);
    RUN_UNTIL(&l.w, end_got(&l.end, "<first>1"));
    end_write_text(&l.end, "-");
    RUN_UNTIL(&l.w, end_got(&l.end, "<first>1-"));
    assert_int_equal(write_with(&l, "2", second), 0);
    RUN_UNTIL(&l.w, end_got(&l.end, "<first>1-<second>2"));
    assert_int_equal(lseek(first, 0, SEEK_END), 7); /* ours is still open */
    line_end(&l);
}

static void descriptor_before_much(void **state)
{
    enum { MUCH = 3 << 20 };
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    auto_fd int fd = file_with("!");
    g_autofree char *much = g_malloc(MUCH + 1);
    memset(much, 'm', MUCH);
    much[MUCH] = '\0';
    assert_int_equal(write_with(&l, much, fd), 0);
    RUN_UNTIL(&l.w, l.end.got->len == MUCH + 1);
    assert_int_equal(l.end.got->data[0], '!');
    assert_memory_equal(l.end.got->data + 1, much, MUCH);
    line_end(&l);
}

static void descriptor_waits_for_nobody(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "deaf");
    auto_fd int fd = file_with("text");
    (void)end_fill(&l.end);
    size_t unsent = stream_unsent(l.end.s);
    assert_int_equal(write_with(&l, "behind", fd), -EAGAIN);
    assert_int_equal(stream_unsent(l.end.s), unsent);
    assert_int_equal(child_kill(l.child, SIGKILL), 0);
    RUN_UNTIL(&l.w, l.end.ends == 1);
    line_end(&l);
}

static void no_such_program(void **state)
{
    (void)state;
    struct line l = { .exits = 0 };
    world_begin(&l.w);
    end_init(&l.end, &l.w);
    assert_int_equal(spawn(&l, "/nowhere/program", "echo"), -ENOENT);
    assert_null(l.child);
    assert_null(l.end.s);
    assert_int_equal(reactor_free(l.w.r), 0);
    assert_int_equal(l.end.closed, 0);
    end_clear(&l.end);
}

static void child_is_forgotten(void **state)
{
    (void)state;
    struct line l;
    line_begin(&l, "echo");
    child_close(l.child);
    end_write_text(&l.end, "text");
    RUN_UNTIL(&l.w, end_got(&l.end, "text"));
    end_close(&l.end);
    world_end(&l.w);
    assert_int_equal(l.exits, 0);
    end_clear(&l.end);
}

void add_channel_cases(struct suite *suite)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "channel: a child answers", child_answers },
        { "channel: a child exits", child_exits },
        { "channel: a child is killed", child_is_killed },
        { "channel: a child dies without having read", child_reads_nothing_and_dies },
        { "channel: a child is let go", is_let_go },
        { "channel: a child is forgotten", child_is_forgotten },
        { "channel: descriptors come along", descriptors_come_along },
        { "channel: a descriptor before much", descriptor_before_much },
        { "channel: a descriptor waits for nobody", descriptor_waits_for_nobody },
        { "channel: there is no such program", no_such_program },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
}
