#include "reactor/reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "reactor/birth_uv.h"
#include "reactor/reactor_uv.h"

enum {
    CHILD_MAGIC = 0x6368696c,
    WATCH_MAGIC = 0x7369676e,
    EXIT_NEVER_THERE = 127, /* as of one that could not become its program */
};

/* ---- child processes ---- */

/*
 * A child is made by a job, and with vfork: that waits until the child has its program, but it is a thread of
 * the pool that waits. uv_spawn and posix_spawn would have the loop wait for it. fork does not wait, but
 * copies tables, the longer the more memory there is, and afterwards each page that the loop writes to:
 * together milliseconds.
 */
struct child {
    uint32_t magic;
    bool born; /* the job is through */
    bool ended;
    bool forgotten;
    int signal;          /* that was sent before it was born; 0: none */
    _Atomic int error;   /* -errno of its birth */
    _Atomic pid_t pid;   /* 0: it is not there yet, or never was */
    int pidfd;           /* readable when it has ended; or negative: there is none */
    struct birth *birth; /* until it is born */
    child_on_exit on_exit;
    void *owner;
    struct reactor *r;
    uv_poll_t uv; /* once it is there */
};

void child_on_uv_closed(uv_handle_t *handle)
{
    struct child *c = PAST_MAGIC(child, handle->data, CHILD_MAGIC);
    (void)close(c->pidfd);
    c->magic = 0;
    g_free(c);
}

static void child_on_uv_poll(uv_poll_t *poll, int error, int events)
{
    (void)error; /* whatever it is, the question is the same */
    (void)events;
    struct child *c = PAST_MAGIC(child, poll->data, CHILD_MAGIC);
    reactor_is_away(reactor_of(poll->loop));
    siginfo_t end = { .si_pid = 0 };
    if (waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG) == 0 && end.si_pid == 0)
        return; /* woken for nothing */
    (void)uv_poll_stop(poll);
    reactor_is_away(reactor_of(poll->loop));
    c->ended = true;
    bool exited = end.si_code == CLD_EXITED;
    if (c->forgotten)
        uv_close((uv_handle_t *)poll, child_on_uv_closed);
    else
        c->on_exit(c->owner, exited ? end.si_status : 0, exited ? 0 : end.si_status);
}

/* A descriptor that tells of its end, or -errno, and then there is no such process. */
static int open_pidfd(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* glibc 2.36 has no header for it that C can use */
    int error = errno;
    if (pidfd >= 0)
        return pidfd;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return -error;
}

static void birth_run(void *arg)
{
    struct child *c = PAST_MAGIC(child, arg, CHILD_MAGIC);
    pid_t pid = birth_give(c->birth);
    if (pid > 0)
        atomic_store(&c->pid, pid); /* it may have died before it could */
    c->pidfd = pid > 0 ? open_pidfd(pid) : -1;
    if (pid > 0 && c->pidfd < 0)
        atomic_store(&c->error, c->pidfd);
}

static void child_free(struct child *c)
{
    c->magic = 0;
    g_free(c);
}

static void birth_done(void *arg);

static void birth_submit(struct child *c)
{
    reactor_submit(c->r, birth_run, birth_done, c);
}

/* A nursery has one at a time: more threads than that would only wait for it. */
static void birth_queue(struct child *c)
{
    if (c->birth->nursery == NULL || g_queue_is_empty(&c->r->nursed))
        birth_submit(c);
    if (c->birth->nursery != NULL)
        g_queue_push_tail(&c->r->nursed, c);
}

/* Of the first in the queue, if it is one of those. */
static void birth_queue_next(struct reactor *r, const struct birth *b)
{
    if (b->nursery == NULL)
        return;
    (void)g_queue_pop_head(&r->nursed);
    if (!g_queue_is_empty(&r->nursed))
        birth_submit(g_queue_peek_head(&r->nursed));
}

static void birth_done(void *arg)
{
    struct child *c = PAST_MAGIC(child, arg, CHILD_MAGIC);
    birth_queue_next(c->r, c->birth);
    birth_free(g_steal_pointer(&c->birth));
    c->born = true;
    if (c->pidfd < 0) {
        c->ended = true;
        if (c->forgotten)
            child_free(c);
        else
            c->on_exit(c->owner, EXIT_NEVER_THERE, 0);
        return;
    }
    int error = uv_poll_init(&c->r->loop, &c->uv, c->pidfd);
    pst_assert(error == 0); /* it can be polled, and is no other handle's */
    (void)uv_poll_start(&c->uv, UV_READABLE, child_on_uv_poll);
    if (c->signal != 0)
        (void)kill(c->pid, c->signal);
    if (c->forgotten)
        uv_unref((uv_handle_t *)&c->uv);
}

/* The child's end, or -errno; ours is a stream. */
static int open_channel(struct reactor *r, const struct child_channel *channel, struct stream **ret_stream)
{
    const struct sockaddr peer = { .sa_family = AF_UNIX };
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    auto_fd int child_end = ends[1];
    int error = stream_adopt(r, ends[0], &peer, sizeof peer, channel->events, channel->owner, ret_stream);
    return error < 0 ? error : steal_fd(&child_end);
}

static int spawn(struct reactor *r, const struct child_options *options, int channel_fd,
                 child_on_exit on_exit, void *owner, struct child **ret_child)
{
    if (access(options->file, X_OK) < 0)
        return -errno;
    int error;
    struct birth *b = birth_new(options, channel_fd, &error);
    if (b == NULL)
        return error;
    if (options->is_nursed && r->nursery == NULL)
        r->nursery = nursery_new();
    struct child *c = g_new0(struct child, 1);
    c->magic = CHILD_MAGIC;
    c->birth = b;
    b->nursery = options->is_nursed ? r->nursery : NULL;
    b->pid = &c->pid;
    b->error = &c->error;
    c->on_exit = on_exit;
    c->owner = owner;
    c->r = r;
    c->uv.data = c;
    reactor_hold(r);
    birth_queue(c);
    *ret_child = c;
    return 0;
}

int child_spawn(struct reactor *r, const struct child_options *options, child_on_exit on_exit, void *owner,
                struct child **ret_child)
{
    struct stream *channel = NULL;
    auto_fd int channel_fd = -1;
    if (options->channel != NULL) {
        channel_fd = open_channel(r, options->channel, &channel);
        if (channel_fd < 0)
            return channel_fd;
    }
    int error = spawn(r, options, channel_fd, on_exit, owner, ret_child);
    if (channel != NULL && error < 0)
        stream_discard(channel);
    else if (channel != NULL)
        *options->channel->ret_stream = channel;
    return error;
}

int child_pid(const struct child *c)
{
    return c->pid;
}

int child_error(const struct child *c)
{
    return c->error;
}

int child_kill(struct child *c, int signal)
{
    if (c->ended) /* its number may be another's by now */
        return -ESRCH;
    if (!c->born) {
        c->signal = signal;
        return 0;
    }
    return kill(c->pid, signal) == 0 ? 0 : -errno;
}

void child_close(struct child *c)
{
    if (c == NULL)
        return;
    reactor_release(c->r);
    c->forgotten = true; /* but its end must still be awaited, or it would stay a zombie */
    if (c->ended && c->pidfd < 0)
        child_free(c);
    else if (c->ended)
        uv_close((uv_handle_t *)&c->uv, child_on_uv_closed);
    else if (c->born)
        uv_unref((uv_handle_t *)&c->uv);
}

/* ---- signals ---- */

struct signal_watch {
    uint32_t magic;
    signal_on_raise on_raise;
    void *owner;
    uv_signal_t uv;
};

static void watch_on_uv_signal(uv_signal_t *handle, int signal)
{
    (void)signal;
    struct signal_watch *w = PAST_MAGIC(signal_watch, handle->data, WATCH_MAGIC);
    reactor_is_away(reactor_of(handle->loop));
    w->on_raise(w->owner);
}

static void watch_on_uv_closed(uv_handle_t *handle)
{
    struct signal_watch *w = PAST_MAGIC(signal_watch, handle->data, WATCH_MAGIC);
    w->magic = 0;
    g_free(w);
}

int signal_watch_open(struct reactor *r, int signal, signal_on_raise on_raise, void *owner,
                      struct signal_watch **ret_watch)
{
    struct signal_watch *w = g_new0(struct signal_watch, 1);
    w->magic = WATCH_MAGIC;
    w->on_raise = on_raise;
    w->owner = owner;
    int error = uv_signal_init(&r->loop, &w->uv);
    if (error < 0) {
        g_free(w);
        return error;
    }
    w->uv.data = w;
    error = uv_signal_start(&w->uv, watch_on_uv_signal, signal);
    if (error < 0) {
        uv_close((uv_handle_t *)&w->uv, watch_on_uv_closed);
        return error;
    }
    reactor_hold(r);
    *ret_watch = w;
    return 0;
}

void signal_watch_close(struct signal_watch *w)
{
    if (w == NULL)
        return;
    reactor_release(reactor_of(w->uv.loop));
    uv_close((uv_handle_t *)&w->uv, watch_on_uv_closed);
}
