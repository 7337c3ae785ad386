#include "delivery/table.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/number.h"
#include "delivery/table_internal.h"

/*
 * Postfix's socketmap protocol (socketmap_table(5)): the question is the netstring "NAME KEY", the reply one
 * that begins with OK, NOTFOUND, TEMP, TIMEOUT or PERM. The key is the whole address. A connection belongs to
 * one question at a time, and then waits in `idle` for the next one; it is only kept when it answered all
 * that it was asked, and no octet more. None crosses a fork: none is made before the first question.
 */

enum {
    LENGTH_DIGITS = 6, /* of a netstring's length: enough for TABLE_ANSWER_MAX */
    READ_SIZE = 4096,
};

struct socket_table {
    struct table base;
    struct sockaddr_un address;
    char *name; /* of the table there */
    msec_t timeout;
    GAsyncQueue *idle; /* descriptors, plus 1: NULL is none */
};

/* One try to have a question answered. */
struct exchange {
    int fd;
    gint64 deadline_us;
    GByteArray *reply; /* what came of it so far */
};

/* ---- the transport ---- */

static void *pack(int fd)
{
    return GINT_TO_POINTER(fd + 1);
}

static int unpack(void *queued)
{
    return GPOINTER_TO_INT(queued) - 1;
}

static void close_idle(void *queued)
{
    (void)close(unpack(queued)); /* nothing is left to learn from it */
}

/* Milliseconds, rounded up, so that nobody asks again and again in the last one. */
static int time_left(const struct exchange *e)
{
    gint64 us = e->deadline_us - g_get_monotonic_time();
    return us > 0 ? (int)((us + 999) / 1000) : 0;
}

static int wait_for(const struct exchange *e, short events)
{
    struct pollfd p = { .fd = e->fd, .events = events };
    int r;
    do
        r = poll(&p, 1, time_left(e));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return r == 0 ? -ETIMEDOUT : 0;
}

/* poll() cannot wait until there is room in a unix socket's queue of newcomers; connect() can, as long as a
 * send may take. */
static int connect_within(const struct socket_table *s, const struct exchange *e)
{
    int left = time_left(e);
    struct timeval limit = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
    if (left == 0)
        return -ETIMEDOUT;
    if (setsockopt(e->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
        return -errno;
    int r;
    do
        r = connect(e->fd, (const struct sockaddr *)&s->address, sizeof s->address);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

static int send_all(const struct exchange *e, struct slice question)
{
    while (question.len > 0) {
        ssize_t sent = send(e->fd, question.data, question.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            int r = wait_for(e, POLLOUT);
            if (r < 0)
                return r;
        } else if (sent < 0 && errno != EINTR) {
            return -errno;
        } else if (sent > 0) {
            question = slice_skip(question, (size_t)sent);
        }
    }
    return 0;
}

/* Some more of the reply. -ECONNRESET when there is no more. */
static int receive_some(const struct exchange *e)
{
    uint8_t bytes[READ_SIZE];
    for (;;) {
        ssize_t got = recv(e->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) {
            g_byte_array_append(e->reply, bytes, (guint)got);
            return 0;
        }
        if (got == 0)
            return -ECONNRESET;
        if (errno == EAGAIN) {
            int r = wait_for(e, POLLIN);
            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* ---- netstrings: LENGTH ":" OCTETS "," ---- */

/* 1 when `bytes` is one, and nothing behind it; 0 when it may become one; or -EBADMSG. */
static int parse_netstring(struct slice bytes, struct slice *ret_content)
{
    size_t colon = slice_find(bytes, 0, ':');
    if (colon > LENGTH_DIGITS)
        return -EBADMSG;
    uint64_t len;
    if (colon == bytes.len)
        return 0;
    if (pst_parse_u64(slice_first(bytes, colon), TABLE_ANSWER_MAX, &len) < 0)
        return -EBADMSG;
    size_t whole = colon + 1 + (size_t)len + 1;
    if (bytes.len < whole)
        return 0;
    if (bytes.len > whole || bytes.data[whole - 1] != ',')
        return -EBADMSG;
    *ret_content = slice_of(bytes.data + colon + 1, (size_t)len);
    return 1;
}

/* `ret_content` lies in the exchange. */
static int receive_reply(const struct exchange *e, struct slice *ret_content)
{
    int r;
    while ((r = parse_netstring(slice_of(e->reply->data, e->reply->len), ret_content)) == 0) {
        r = receive_some(e);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : 0;
}

/* ---- what replies mean ---- */

/* "OK alice, bob". A value with a NUL in it is not what is meant. */
static int take_values(struct slice list, GPtrArray *values, char **ret_why)
{
    struct slice value;
    size_t before = values->len;
    int found = 0;
    if (memchr(list.data, '\0', list.len) == NULL)
        while ((found = table_next_value(&list, &value)) > 0)
            g_ptr_array_add(values, slice_dup(value));
    if (found == 0 && values->len > before)
        return 0;
    *ret_why = g_strdup("the server says OK, and no list of values");
    return -EBADMSG;
}

static int take_reply(struct slice reply, GPtrArray *values, char **ret_why)
{
    size_t len = slice_find(reply, 0, ' ');
    struct slice word = slice_first(reply, len), rest = slice_skip(reply, len + 1);
    if (slice_equal(word, slice_str("OK")))
        return take_values(rest, values, ret_why);
    if (slice_equal(word, slice_str("NOTFOUND")))
        return -ENOENT;
    bool is_known = slice_equal(word, slice_str("TEMP")) || slice_equal(word, slice_str("TIMEOUT")) ||
                    slice_equal(word, slice_str("PERM"));
    *ret_why = is_known ? g_strdup_printf("the server says %.*s", (int)reply.len, (const char *)reply.data)
                        : g_strdup("the server says what is none of the protocol's replies");
    return is_known ? -EREMOTEIO : -EBADMSG;
}

/* ---- questions ---- */

static GByteArray *make_question(const struct socket_table *s, const char *name, const char *domain)
{
    g_autofree char *text = g_strdup_printf("%s %s@%s", s->name, name, domain);
    char *netstring = g_strdup_printf("%zu:%s,", strlen(text), text);
    return g_byte_array_new_take((guint8 *)netstring, strlen(netstring));
}

/* The descriptor stays the exchange's. */
static int ask(struct exchange *e, const GByteArray *question, struct slice *ret_reply)
{
    g_byte_array_set_size(e->reply, 0);
    int r = send_all(e, slice_of(question->data, question->len));
    return r < 0 ? r : receive_reply(e, ret_reply);
}

/* One that waits for a question and has something to say is closed there, or is behind with its answers:
 * ours would be the answer to another one's question. */
static bool is_quiet(int fd)
{
    uint8_t byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static int take_idle(const struct socket_table *s)
{
    void *queued;
    while ((queued = g_async_queue_try_pop(s->idle)) != NULL) {
        auto_fd int fd = unpack(queued);
        if (is_quiet(fd))
            return steal_fd(&fd);
    }
    return -1;
}

static int ask_anew(const struct socket_table *s, struct exchange *e, const GByteArray *question,
                    struct slice *ret_reply)
{
    e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (e->fd < 0)
        return -errno;
    int r = connect_within(s, e);
    return r < 0 ? r : ask(e, question, ret_reply);
}

static void drop(struct exchange *e)
{
    if (e->fd >= 0)
        (void)close(e->fd); /* nothing is left to learn from it */
    e->fd = -1;
}

/* Closed while it was idle, which need not be seen before the question is sent: the server heard nothing. */
static bool was_closed(const struct exchange *e, int r)
{
    return (r == -ECONNRESET || r == -EPIPE) && e->reply->len == 0;
}

static int ask_somehow(const struct socket_table *s, struct exchange *e, const GByteArray *question,
                       struct slice *ret_reply)
{
    e->fd = take_idle(s);
    if (e->fd < 0)
        return ask_anew(s, e, question, ret_reply);
    int r = ask(e, question, ret_reply);
    if (!was_closed(e, r))
        return r;
    drop(e);
    return ask_anew(s, e, question, ret_reply);
}

static char *explain(int error)
{
    switch (error) {
    case -ETIMEDOUT:
        return g_strdup("the server took too long");
    case -ECONNRESET:
    case -EPIPE:
        return g_strdup("the server closed the connection");
    case -EBADMSG:
        return g_strdup("the server says what is no netstring, or too long");
    default:
        return g_strdup(g_strerror(-error));
    }
}

static int socket_find(struct table *t, const char *name, const char *domain, GPtrArray *values,
                       char **ret_why)
{
    struct socket_table *s = (struct socket_table *)t;
    g_autoptr(GByteArray) question = make_question(s, name, domain);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    struct exchange e = { .fd = -1,
                          .deadline_us = g_get_monotonic_time() + s->timeout * 1000,
                          .reply = bytes };
    struct slice reply;
    int r = ask_somehow(s, &e, question, &reply);
    if (r < 0) {
        drop(&e);
        *ret_why = explain(r);
        return -EHOSTDOWN; /* and never -ENOENT: that there is no socket does not mean that there is no value
                            */
    }
    r = take_reply(reply, values, ret_why);
    if (r == -EBADMSG)
        drop(&e);
    else
        g_async_queue_push_front(s->idle, pack(e.fd));
    return r;
}

/* ---- the table ---- */

static void socket_free(struct table *t)
{
    struct socket_table *s = (struct socket_table *)t;
    g_async_queue_unref(s->idle);
    g_free(s->name);
    g_free(s);
}

static struct table *socket_open(const char *rest, const struct table_rules *rules, struct origin at,
                                 struct diag *problems)
{
    struct socket_table *s = g_new0(struct socket_table, 1);
    auto_ptr(table) t = &s->base;
    s->base.kind = &table_socket_kind;
    s->address.sun_family = AF_UNIX;
    s->timeout = table_timeout(rules);
    s->idle = g_async_queue_new_full(close_idle);
    g_autofree char *path = NULL;
    if (!table_split_spec(rest, &path, &s->name) || strpbrk(s->name, " \t") != NULL) {
        diag_add(problems, at, "socket:%s: expected socket:PATH NAME", rest);
        return NULL;
    }
    if (g_strlcpy(s->address.sun_path, path, sizeof s->address.sun_path) >= sizeof s->address.sun_path) {
        diag_add(problems, at, "socket:%s: expected a path of at most %zu octets", rest,
                 sizeof s->address.sun_path - 1);
        return NULL;
    }
    return g_steal_pointer(&t);
}

const struct table_kind table_socket_kind = {
    .prefix = "socket:",
    .open = socket_open,
    .free = socket_free,
    .find = socket_find,
};
