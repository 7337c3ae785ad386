#include "reactor/reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/auto.h"
#include "reactor/reactor_uv.h"

/*
 * Not on uv_listen, for three reasons. When descriptors have run out, libuv accepts and drops whoever waits,
 * and turns in circles once another thread has taken its spare descriptor; here the owner decides what a
 * caller is told, or everybody waits in the backlog. It removes a unix socket's file. And it loses the
 * address that accept(2) tells.
 */

enum {
    LISTENER_MAGIC = 0x6c697374,
    PAUSE_MS = 100,
    THROWN_AWAY = 16 * 1024, /* octets of one who is turned away: what an early talker says, and no flood */
};

struct listener {
    uint32_t magic;
    int fd;
    bool asked; /* listener_accept was called since on_connection */
    unsigned handles_open;
    listener_on_connection on_connection;
    void *owner;
    uv_poll_t poll;
    uv_timer_t pause; /* runs while descriptors are short */
};

static void listener_on_uv_closed(uv_handle_t *handle)
{
    struct listener *l = PAST_MAGIC(listener, handle->data, LISTENER_MAGIC);
    if (--l->handles_open > 0)
        return;
    l->magic = 0;
    g_free(l);
}

static void listener_pause(struct listener *l);

static void listener_on_readable(uv_poll_t *handle, int status, int events)
{
    struct reactor *r = reactor_of(handle->loop);
    reactor_is_away(r);
    r->is_busy = true;
    (void)events;
    struct listener *l = PAST_MAGIC(listener, handle->data, LISTENER_MAGIC);
    if (status < 0) {
        listener_pause(l);
        return;
    }
    l->asked = false;
    l->on_connection(l->owner);
    if (!l->asked && !uv_is_closing((uv_handle_t *)handle))
        uv_poll_stop(handle); /* until listener_accept */
}

static void listener_wait(struct listener *l)
{
    if (!uv_is_active((uv_handle_t *)&l->poll) && !uv_is_active((uv_handle_t *)&l->pause))
        uv_poll_start(&l->poll, UV_READABLE, listener_on_readable);
}

static void listener_on_pause_over(uv_timer_t *handle)
{
    reactor_refill_spare(reactor_of(handle->loop));
    listener_wait(PAST_MAGIC(listener, handle->data, LISTENER_MAGIC));
}

static void listener_pause(struct listener *l)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, listener_on_pause_over, PAUSE_MS, 0);
}

int listener_adopt(struct reactor *r, int take_fd, int backlog, listener_on_connection on_connection,
                   void *owner, struct listener **ret_listener)
{
    auto_fd int fd = take_fd;
    /* Accepted sockets have it from here, which saves a call for each. A unix socket has no such thing. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || listen(fd, backlog) < 0)
        return -errno;
    g_autofree struct listener *l = g_new0(struct listener, 1);
    int error = uv_poll_init(&r->loop, &l->poll, fd); /* makes it non-blocking */
    if (error < 0)
        return error;
    (void)uv_timer_init(&r->loop, &l->pause); /* cannot fail */
    l->poll.data = l->pause.data = l;
    l->handles_open = 2;
    l->magic = LISTENER_MAGIC;
    l->fd = steal_fd(&fd);
    l->on_connection = on_connection;
    l->owner = owner;
    listener_wait(l);
    reactor_hold(r);
    *ret_listener = g_steal_pointer(&l);
    return 0;
}

int listener_open(struct reactor *r, const struct sockaddr *address, socklen_t len, int backlog,
                  listener_on_connection on_connection, void *owner, struct listener **ret_listener)
{
    auto_fd int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const int on = 1;
    if (address->sa_family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return -errno;
    if (bind(fd, address, len) < 0)
        return -errno;
    return listener_adopt(r, steal_fd(&fd), backlog, on_connection, owner, ret_listener);
}

int listener_address(const struct listener *l, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(l->fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    *ret_address = address;
    *ret_len = len;
    return 0;
}

/* What accept(2) tells of a single caller, who is gone again. */
static bool lost_caller(int error)
{
    return error == ECONNABORTED || error == EPROTO || error == ENETDOWN || error == ENOPROTOOPT ||
           error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH || error == EOPNOTSUPP ||
           error == ENETUNREACH || error == EPERM;
}

/* The descriptor; -EAGAIN: nobody waits; or -errno. */
static int accept_one(struct listener *l, struct sockaddr_storage *ret_peer, socklen_t *ret_len)
{
    int fd;
    do {
        *ret_len = sizeof *ret_peer;
        fd = accept4(l->fd, (struct sockaddr *)ret_peer, ret_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return fd;
    return lost_caller(errno) ? -EAGAIN : -errno; /* if somebody else waits, on_connection comes again */
}

/* `result` of an accept, once the listener waits for the next caller, or pauses because there was no accept.
 */
static int go_on(struct listener *l, int result)
{
    l->asked = true;
    if (result < 0 && result != -EAGAIN)
        listener_pause(l);
    else
        listener_wait(l);
    return result;
}

int listener_accept(struct listener *l, const struct stream_events *events, void *owner,
                    struct stream **ret_stream)
{
    struct sockaddr_storage peer;
    socklen_t len;
    int fd = go_on(l, accept_one(l, &peer, &len));
    if (fd < 0)
        return fd;
    return stream_adopt(reactor_of(l->poll.loop), fd, (struct sockaddr *)&peer, len, events, owner,
                        ret_stream);
}

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE;
}

/* A fresh socket takes a line at once: what it does not take is not worth waiting for. */
static void say_farewell(struct reactor *r, int fd, struct slice farewell)
{
    (void)send(fd, farewell.data, farewell.len, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR); /* the end comes right behind, and no reset before it */
    for (ssize_t got = 1, left = THROWN_AWAY; got > 0 && left > 0; left -= got)
        got = recv(fd, r->read_buffer, sizeof r->read_buffer, 0);
}

int listener_turn_away(struct listener *l, struct slice farewell)
{
    struct reactor *r = reactor_of(l->poll.loop);
    struct sockaddr_storage peer;
    socklen_t len;
    int fd = accept_one(l, &peer, &len);
    if (is_shortage(fd) && r->spare >= 0) {
        close(r->spare);
        r->spare = -1;
        fd = accept_one(l, &peer, &len); /* a job's thread may have been quicker */
    }
    if (fd >= 0) {
        say_farewell(r, fd, farewell);
        close(fd);
        uv_timer_stop(&l->pause);
    }
    reactor_refill_spare(r);
    int result = go_on(l, fd);
    return MIN(result, 0);
}

void listener_close(struct listener *l)
{
    if (l == NULL)
        return;
    reactor_release(reactor_of(l->poll.loop));
    uv_close((uv_handle_t *)&l->poll, listener_on_uv_closed);
    uv_close((uv_handle_t *)&l->pause, listener_on_uv_closed);
    close(l->fd);
    l->fd = -1;
}
