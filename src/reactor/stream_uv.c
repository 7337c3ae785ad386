#include "reactor/reactor.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "reactor/reactor_uv.h"

enum { STREAM_MAGIC = 0x73747265, KEPT_FIRST = 512, LINGER_MS = 2000 };

/* Bytes that the kernel did not take at once. One is being written; in a second one more gathers. */
struct kept {
    uv_write_t uv;
    size_t len, space;
    uint8_t bytes[];
};

static const struct stream_events silent = { .on_read = NULL };

static struct stream *stream_of(uv_stream_t *handle)
{
    return PAST_MAGIC(stream, handle->data, STREAM_MAGIC);
}

/* ---- making and unmaking ---- */

static struct stream *stream_new(struct reactor *r, int family, const struct stream_events *events,
                                 void *owner)
{
    struct stream *s = g_new(struct stream, 1);
    *s = (struct stream){ .magic = STREAM_MAGIC, .events = events, .owner = owner };
    /* Neither fails: they make no socket yet. */
    if (family == AF_UNIX)
        (void)uv_pipe_init(&r->loop, &s->uv.pipe, 0);
    else
        (void)uv_tcp_init(&r->loop, &s->uv.tcp);
    s->uv.handle.data = s;
    return s;
}

static void stream_on_uv_closed(uv_handle_t *handle)
{
    struct stream *s = PAST_MAGIC(stream, handle->data, STREAM_MAGIC);
    struct reactor *r = reactor_of(handle->loop);
    g_clear_pointer(&s->waiting, g_free);
    if (s->error != 0)
        g_queue_remove(&r->broken, s);
    if (s->events->on_closed != NULL)
        s->events->on_closed(s->owner);
    if (s->counted)
        reactor_release(r);
    s->magic = 0;
    g_free(s);
}

static void linger_on_uv_closed(uv_handle_t *timer)
{
    g_free(timer);
}

/* Now, and with what the kernel holds, as it likes. */
static void stream_end(struct stream *s)
{
    if (s->linger != NULL)
        uv_close((uv_handle_t *)g_steal_pointer(&s->linger), linger_on_uv_closed);
    uv_close(&s->uv.handle, stream_on_uv_closed);
}

void stream_discard(struct stream *s)
{
    s->events = &silent;
    if (s->counted)
        reactor_release(reactor_of(s->uv.handle.loop));
    s->counted = false;
    stream_end(s);
}

static void stream_count(struct stream *s)
{
    s->counted = true;
    reactor_hold(reactor_of(s->uv.handle.loop));
}

static void remember_peer(struct stream *s, const struct sockaddr *peer, socklen_t len)
{
    if (peer->sa_family != AF_UNIX && len <= sizeof s->peer)
        memcpy(&s->peer, peer, len);
}

int stream_adopt(struct reactor *r, int take_fd, const struct sockaddr *peer, socklen_t len,
                 const struct stream_events *events, void *owner, struct stream **ret_stream)
{
    struct stream *s = stream_new(r, peer->sa_family, events, owner);
    int error =
        peer->sa_family == AF_UNIX ? uv_pipe_open(&s->uv.pipe, take_fd) : uv_tcp_open(&s->uv.tcp, take_fd);
    if (error < 0) {
        close(take_fd);
        stream_discard(s);
        return error;
    }
    remember_peer(s, peer, len);
    stream_count(s);
    *ret_stream = s;
    return 0;
}

int stream_peer(const struct stream *s, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    if (s->peer.any.sa_family != AF_UNSPEC) { /* known, even if the peer is gone */
        socklen_t len = s->peer.any.sa_family == AF_INET ? sizeof s->peer.v4 : sizeof s->peer.v6;
        memcpy(ret_address, &s->peer, len);
        *ret_len = len;
        return 0;
    }
    uv_os_fd_t fd;
    int error = uv_fileno(&s->uv.handle, &fd);
    if (error < 0)
        return error;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    memcpy(ret_address, &address, len);
    *ret_len = len;
    return 0;
}

/* ---- the end ---- */

/* Says once that nothing more will be read; or, if it was said before, that what was kept is gone. */
static void tell_end(struct stream *s, int error, bool had_kept)
{
    bool first = !s->ended;
    s->ended = true;
    if (s->polled)
        uv_read_stop(&s->uv.stream);
    s->polled = false;
    if (error < 0) {
        s->broken = true;
        g_clear_pointer(&s->waiting, g_free);
    }
    if (first && s->events->on_end != NULL)
        s->events->on_end(s->owner, error);
    else if (!first && had_kept && s->events->on_drained != NULL)
        s->events->on_drained(s->owner);
}

void stream_tell_break(struct stream *s)
{
    int error = s->error;
    s->error = 0;
    if (!s->closing)
        tell_end(s, error, false);
}

/* For the calls of the owner, who is not called back inside. */
static void break_later(struct stream *s, int error)
{
    s->broken = true;
    g_clear_pointer(&s->waiting, g_free);
    if (s->connecting || s->error != 0)
        return; /* on_connected will tell, or it is about to be told */
    s->error = error;
    reactor_call_later(reactor_of(s->uv.handle.loop), s);
}

/* ---- reading ---- */

/*
 * Turning reading off only clears a flag; libuv stops when bytes come that nobody wants now. So a dialogue in
 * which the peer awaits each answer does not pay system calls for every time that the owner is busy with one.
 */
static void stream_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    const struct stream *s = PAST_MAGIC(stream, handle->data, STREAM_MAGIC);
    struct reactor *r = reactor_of(handle->loop);
    reactor_is_away(r); /* to read takes time, too */
    bool wanted = s->reading || s->linger != NULL;
    *ret_buffer = wanted ? uv_buf_init(r->read_buffer, sizeof r->read_buffer) : uv_buf_init(NULL, 0);
}

/* When the kernel says that both sides are over, libuv tells of an end, without a buffer, even of a reset. */
static int end_error(const struct stream *s, const uv_buf_t *buffer)
{
    uv_os_fd_t fd;
    int error = 0;
    socklen_t len = sizeof error;
    if (buffer->base == NULL && uv_fileno(&s->uv.handle, &fd) == 0)
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len); /* cannot fail for a socket */
    return -error;
}

static void stream_on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
    reactor_of(handle->loop)->is_busy = true;
    struct stream *s = stream_of(handle);
    if (s->linger != NULL) {
        if (count < 0)
            stream_end(s);
    } else if (count > 0) {
        if (s->events->on_read != NULL)
            s->events->on_read(s->owner, slice_of(buffer->base, (size_t)count));
    } else if (!s->reading) { /* no buffer was given; or it is an end, which libuv will tell again */
        uv_read_stop(handle);
        s->polled = false;
    } else if (count < 0) {
        tell_end(s, count == UV_EOF ? end_error(s, buffer) : (int)count, false);
    } /* 0: a wake-up for nothing */
}

static int poll_stream(struct stream *s)
{
    if (s->polled)
        return 0;
    int error = uv_read_start(&s->uv.stream, stream_on_alloc, stream_on_read);
    s->polled = error == 0;
    return error;
}

static void poll_reading(struct stream *s)
{
    if (!s->reading || s->ended || s->connecting)
        return;
    int error = poll_stream(s);
    if (error < 0)
        break_later(s, error);
}

void stream_set_reading(struct stream *s, bool on)
{
    pst_assert(!s->closing);
    s->reading = on;
    poll_reading(s);
}

/* ---- the end of a stream that its owner has closed ---- */

static void linger_on_uv_timer(uv_timer_t *timer)
{
    stream_end(PAST_MAGIC(stream, timer->data, STREAM_MAGIC));
}

/* False if it cannot. */
static bool begin_linger(struct stream *s)
{
    uv_os_fd_t fd;
    if (uv_fileno(&s->uv.handle, &fd) < 0 || shutdown(fd, SHUT_WR) < 0 || poll_stream(s) < 0)
        return false;
    s->linger = g_new(uv_timer_t, 1);
    (void)uv_timer_init(s->uv.handle.loop, s->linger); /* cannot fail */
    s->linger->data = s;
    uv_timer_start(s->linger, linger_on_uv_timer, LINGER_MS, 0);
    return true;
}

static bool has_unread(const struct stream *s)
{
    uv_os_fd_t fd;
    int unread = 0;
    return uv_fileno(&s->uv.handle, &fd) == 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

/*
 * Nothing is kept any more. If we closed now and the peer had sent what nobody has read, the kernel would
 * answer with a reset, which throws away what is on its way: just the reply that says why we hang up.
 */
static void stream_finish(struct stream *s)
{
    bool may_lose = !s->ended && !s->broken && !s->connecting && has_unread(s);
    if (!may_lose || !begin_linger(s))
        stream_end(s);
}

/* ---- writing ---- */

static void stream_on_written(uv_write_t *request, int status);

static void write_kept(struct stream *s, struct kept *take_kept)
{
    uv_buf_t buffer = { .base = (char *)take_kept->bytes, .len = take_kept->len };
    int error = uv_write(&take_kept->uv, &s->uv.stream, &buffer, 1, stream_on_written);
    if (error < 0) {
        g_free(take_kept);
        break_later(s, error);
        return;
    }
    s->writing = true;
}

/* Never inside stream_write: libuv calls it from the loop, or with UV_ECANCELED when the stream is closed. */
static void stream_on_written(uv_write_t *request, int status)
{
    struct stream *s = stream_of(request->handle);
    reactor_is_away(reactor_of(request->handle->loop));
    struct kept *kept = (struct kept *)(void *)((char *)request - offsetof(struct kept, uv));
    g_free(kept);
    s->writing = false;
    if (uv_is_closing(&s->uv.handle))
        return;
    if (status == 0 && !s->broken && s->waiting != NULL)
        write_kept(s, g_steal_pointer(&s->waiting));
    if (s->writing)
        return;
    if (s->closing && (status < 0 || s->broken))
        stream_end(s);
    else if (s->closing)
        stream_finish(s);
    else if (!s->broken && status < 0)
        tell_end(s, status, true);
    else if (!s->broken && s->events->on_drained != NULL)
        s->events->on_drained(s->owner);
}

static struct kept *kept_append(struct kept *kept, struct slice bytes, size_t space)
{
    size_t len = kept != NULL ? kept->len : 0;
    if (kept == NULL || kept->space - len < bytes.len) {
        kept = g_realloc(kept, sizeof *kept + len + MAX(bytes.len, space));
        kept->space = len + MAX(bytes.len, space);
    }
    memcpy(kept->bytes + len, bytes.data, bytes.len);
    kept->len = len + bytes.len;
    return kept;
}

void stream_write(struct stream *s, struct slice bytes)
{
    pst_assert(!s->closing);
    if (bytes.len == 0 || s->broken)
        return;
    if (s->writing) { /* behind what is kept; growing by half, so that short replies cost few copies */
        size_t space = s->waiting != NULL ? s->waiting->len / 2 : KEPT_FIRST;
        s->waiting = kept_append(s->waiting, bytes, space);
        return;
    }
    uv_buf_t buffer = { .base = (char *)bytes.data, .len = bytes.len };
    int taken = uv_try_write(&s->uv.stream, &buffer, 1);
    if (taken == UV_EAGAIN)
        taken = 0;
    if (taken < 0)
        break_later(s, taken);
    else if ((size_t)taken < bytes.len)
        write_kept(s, kept_append(NULL, slice_skip(bytes, (size_t)taken), 0));
}

static ssize_t send_with_descriptor(int to, struct slice bytes, int fd)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof fd)];
    } control = { .head = {
                      .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    struct iovec part = { .iov_base = (void *)bytes.data, .iov_len = bytes.len };
    const struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t sent;
    do
        sent = sendmsg(to, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* libuv sends descriptors of handles only. */
int stream_write_with_descriptor(struct stream *s, struct slice bytes, int fd)
{
    pst_assert(!s->closing && bytes.len > 0);
    uv_os_fd_t to;
    if (s->broken)
        return -EPIPE;
    if (s->connecting || stream_unsent(s) > 0)
        return -EAGAIN;
    int error = uv_fileno(&s->uv.handle, &to);
    if (error < 0)
        return error;
    ssize_t sent = send_with_descriptor(to, bytes, fd);
    if (sent < 0)
        return (int)sent;
    stream_write(s, slice_skip(bytes, (size_t)sent));
    return 0;
}

size_t stream_unsent(const struct stream *s)
{
    if (s->broken)
        return 0;
    return uv_stream_get_write_queue_size(&s->uv.stream) + (s->waiting != NULL ? s->waiting->len : 0);
}

/* ---- connecting ---- */

static void stream_on_connected(uv_connect_t *request, int status)
{
    struct stream *s = stream_of(request->handle);
    reactor_is_away(reactor_of(request->handle->loop));
    g_free(request);
    s->connecting = false;
    if (uv_is_closing(&s->uv.handle))
        return;
    if (status < 0) {
        s->ended = s->broken = true; /* on_connected is all that is told; libuv now cancels what is kept */
        g_clear_pointer(&s->waiting, g_free);
    }
    if (s->closing) {
        if (status < 0)
            stream_end(s);
        return;
    }
    if (s->events->on_connected != NULL)
        s->events->on_connected(s->owner, status);
    if (!s->closing)
        poll_reading(s);
}

static int connect_unix(struct stream *s, const struct sockaddr *address, socklen_t len,
                        uv_connect_t *request)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    if (len > sizeof un)
        return -EINVAL;
    memcpy(&un, address, len);
    if (un.sun_path[0] == '\0')
        return -EINVAL;
    if (memchr(un.sun_path, '\0', sizeof un.sun_path) == NULL)
        return -ENAMETOOLONG; /* libuv would quietly cut it */
    uv_pipe_connect(request, &s->uv.pipe, un.sun_path, stream_on_connected);
    return 0;
}

static int connect_tcp(struct stream *s, const struct sockaddr *address, socklen_t len, uv_connect_t *request)
{
    if (len < (address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)))
        return -EINVAL;
    (void)uv_tcp_nodelay(&s->uv.tcp, 1); /* takes effect when the socket is made */
    return uv_tcp_connect(request, &s->uv.tcp, address, stream_on_connected);
}

int stream_connect(struct reactor *r, const struct sockaddr *address, socklen_t len,
                   const struct stream_events *events, void *owner, struct stream **ret_stream)
{
    int family = address->sa_family;
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    g_autofree uv_connect_t *request = g_new(uv_connect_t, 1);
    struct stream *s = stream_new(r, family, events, owner);
    int error =
        family == AF_UNIX ? connect_unix(s, address, len, request) : connect_tcp(s, address, len, request);
    if (error < 0) {
        stream_discard(s);
        return error;
    }
    (void)g_steal_pointer(&request); /* stream_on_connected's */
    s->connecting = true;
    remember_peer(s, address, len);
    stream_count(s);
    *ret_stream = s;
    return 0;
}

/* ---- closing ---- */

void stream_cork(struct stream *s)
{
    pst_assert(!s->closing);
    uv_os_fd_t fd;
    if (s->uv.handle.type == UV_TCP && uv_fileno(&s->uv.handle, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){ 1 }, sizeof(int)); /* else in two packets */
}

void stream_close(struct stream *s)
{
    if (s == NULL)
        return;
    pst_assert(!s->closing);
    s->closing = true;
    s->reading = false;
    if (!s->writing || s->broken)
        stream_finish(s);
}

void stream_abort(struct stream *s)
{
    if (s == NULL)
        return;
    s->closing = true;
    s->reading = false;
    if (uv_is_closing(&s->uv.handle))
        return;
    /* What the kernel still holds would live on for minutes if the peer does not read. */
    bool reset = s->writing && !s->connecting && s->uv.handle.type == UV_TCP;
    if (!reset || uv_tcp_close_reset(&s->uv.tcp, stream_on_uv_closed) < 0)
        stream_end(s);
}
