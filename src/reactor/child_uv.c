#include "reactor/reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "reactor/reactor_uv.h"

enum { CHILD_MAGIC = 0x6368696c, WATCH_MAGIC = 0x7369676e };

/* ---- child processes ---- */

struct child {
    uint32_t magic;
    bool ended;
    bool forgotten;
    child_on_exit on_exit;
    void *owner;
    uv_process_t uv;
};

void child_on_uv_closed(uv_handle_t *handle)
{
    struct child *c = PAST_MAGIC(child, handle->data, CHILD_MAGIC);
    c->magic = 0;
    g_free(c);
}

static void child_on_uv_exit(uv_process_t *process, int64_t status, int signal)
{
    struct child *c = PAST_MAGIC(child, process->data, CHILD_MAGIC);
    c->ended = true;
    if (c->forgotten)
        uv_close((uv_handle_t *)process, child_on_uv_closed);
    else
        c->on_exit(c->owner, (int)status, signal);
}

/* What lacks of 0, 1 and 2 libuv makes /dev/null. */
static uv_stdio_container_t *inherited(const struct child_options *options, int null_fd, int channel_fd)
{
    uv_stdio_container_t *stdio = g_new0(uv_stdio_container_t, options->fd_count);
    for (size_t i = 0; i < options->fd_count; i++) {
        int fd = options->fds[i];
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = fd >= 0 ? fd : fd == CHILD_CHANNEL ? channel_fd : null_fd;
    }
    return stdio;
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
    auto_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return -errno;
    /* libuv closes nothing in the child; exec does. All should be so anyway, but not all are opened here. */
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -errno;
    g_autofree uv_stdio_container_t *stdio = inherited(options, null_fd, channel_fd);
    uv_process_options_t process = {
        .exit_cb = child_on_uv_exit,
        .file = options->file,
        .args = (char **)options->argv,
        .env = (char **)options->env,
        .stdio = stdio,
        .stdio_count = (int)options->fd_count,
    };
    struct child *c = g_new0(struct child, 1);
    c->magic = CHILD_MAGIC;
    c->on_exit = on_exit;
    c->owner = owner;
    c->uv.data = c;
    int error = uv_spawn(&r->loop, &c->uv, &process);
    if (error < 0) {
        uv_close((uv_handle_t *)&c->uv, child_on_uv_closed);
        return error;
    }
    reactor_hold(r);
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
    return uv_process_get_pid(&c->uv);
}

int child_kill(struct child *c, int signal)
{
    return c->ended ? -ESRCH : uv_process_kill(&c->uv, signal); /* its number may be another's by then */
}

void child_close(struct child *c)
{
    if (c == NULL)
        return;
    reactor_release(reactor_of(c->uv.loop));
    if (c->ended) {
        uv_close((uv_handle_t *)&c->uv, child_on_uv_closed);
        return;
    }
    c->forgotten = true; /* but libuv must still wait for it, or it would stay a zombie */
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
