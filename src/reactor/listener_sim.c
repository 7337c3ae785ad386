#include "reactor/reactor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "reactor/sim_loop.h"

enum { LISTENER_MAGIC = 0x53696d4c, PAUSE_US = 100000 };

struct listener {
    uint32_t magic;
    uint64_t object;
    struct reactor *r;
    struct sim_place place;
    size_t backlog;
    bool told;      /* on_connection has come, listener_accept not yet */
    GQueue waiting; /* struct stream, whose client believes to be connected */
    listener_on_connection on_connection;
    void *owner;
    struct sim_event notice;
};

/* ---- places ---- */

/* Only the path counts: callers may tell more behind it, or not the NUL. */
static int unix_place(struct sim_place *place)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    char *path = (char *)&place->address + head;
    size_t path_len = strnlen(path, sizeof(struct sockaddr_un) - head);
    if (path_len == 0)
        return -EINVAL;
    if (head + path_len == sizeof(struct sockaddr_un))
        return -ENAMETOOLONG;
    memset(path + path_len, 0, sizeof place->address - head - path_len);
    place->len = (socklen_t)(head + path_len + 1);
    return 0;
}

static int inet_place(struct sim_place *place, socklen_t len)
{
    if (place->len < len)
        return -EINVAL;
    memset((char *)&place->address + len, 0, sizeof place->address - len);
    place->len = len;
    return 0;
}

int sim_place_of(const struct sockaddr *address, socklen_t len, struct sim_place *ret_place)
{
    struct sim_place place = { .len = len };
    if (len > sizeof place.address || len < sizeof(sa_family_t))
        return -EINVAL;
    memcpy(&place.address, address, len);
    int error = -EAFNOSUPPORT;
    if (place.address.ss_family == AF_UNIX)
        error = unix_place(&place);
    else if (place.address.ss_family == AF_INET)
        error = inet_place(&place, sizeof(struct sockaddr_in));
    else if (place.address.ss_family == AF_INET6)
        error = inet_place(&place, sizeof(struct sockaddr_in6));
    if (error == 0)
        *ret_place = place;
    return error;
}

guint sim_place_hash(gconstpointer place)
{
    const struct sim_place *p = place;
    const uint8_t *bytes = (const uint8_t *)&p->address;
    guint hash = 5381;
    for (socklen_t i = 0; i < p->len; i++)
        hash = hash * 33 + bytes[i];
    return hash;
}

gboolean sim_place_equal(gconstpointer a, gconstpointer b)
{
    const struct sim_place *left = a, *right = b;
    return left->len == right->len && memcmp(&left->address, &right->address, left->len) == 0;
}

/* An internet address's port, where it lies. */
static in_port_t *port_of(struct sim_place *place)
{
    void *address = &place->address;
    switch (place->address.ss_family) {
    case AF_INET:
        return &((struct sockaddr_in *)address)->sin_port;
    case AF_INET6:
        return &((struct sockaddr_in6 *)address)->sin6_port;
    default:
        return NULL;
    }
}

static void give_port(struct reactor *r, struct sim_place *place)
{
    in_port_t *port = port_of(place);
    if (port == NULL || *port != 0)
        return;
    do {
        *port = htons(r->next_port++);
        if (r->next_port == 0)
            r->next_port = SIM_FIRST_PORT;
    } while (g_hash_table_contains(r->listeners, place));
}

/* ---- listening ---- */

static void listener_happen_notice(void *object)
{
    struct listener *l = PAST_MAGIC(listener, object, LISTENER_MAGIC);
    sim_note(l->r, "connection", l->object, g_queue_get_length(&l->waiting));
    l->told = true;
    l->on_connection(l->owner);
}

static void listener_poke(struct listener *l)
{
    if (!l->told && !sim_is_scheduled(&l->notice) && !g_queue_is_empty(&l->waiting))
        sim_schedule_in(l->r, &l->notice, &l->r->settings.connect);
}

int listener_open(struct reactor *r, const struct sockaddr *address, socklen_t len, int backlog,
                  listener_on_connection on_connection, void *owner, struct listener **ret_listener)
{
    struct sim_place place;
    int error = sim_place_of(address, len, &place);
    if (error < 0)
        return error;
    give_port(r, &place);
    if (g_hash_table_contains(r->listeners, &place) || g_hash_table_contains(r->files, &place))
        return -EADDRINUSE;
    struct listener *l = g_new0(struct listener, 1);
    l->magic = LISTENER_MAGIC;
    l->object = sim_next_object(r);
    l->r = r;
    l->place = place;
    l->backlog = (size_t)MAX(backlog, 1);
    l->on_connection = on_connection;
    l->owner = owner;
    l->notice = sim_event_of(listener_happen_notice, l);
    g_queue_init(&l->waiting);
    g_hash_table_insert(r->listeners, &l->place, l);
    if (place.address.ss_family == AF_UNIX) {
        struct sim_place *file = g_new(struct sim_place, 1);
        *file = place;
        g_hash_table_add(r->files, file);
    }
    sim_hold(r);
    *ret_listener = l;
    return 0;
}

int listener_adopt(struct reactor *r, int take_fd, int backlog, listener_on_connection on_connection,
                   void *owner, struct listener **ret_listener)
{
    auto_fd int fd = take_fd;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return -errno;
    return listener_open(r, (struct sockaddr *)&address, len, backlog, on_connection, owner, ret_listener);
}

int listener_address(const struct listener *l, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    *ret_address = l->place.address;
    *ret_len = l->place.len;
    return 0;
}

/* Who waits; the listener is told of the next one. */
static struct stream *next_waiting(struct listener *l)
{
    struct stream *s = g_queue_pop_head(&l->waiting);
    l->told = false;
    listener_poke(l);
    return s;
}

int listener_accept(struct listener *l, const struct stream_events *events, void *owner,
                    struct stream **ret_stream)
{
    if (l->r->shortage && !g_queue_is_empty(&l->waiting)) {
        l->told = false;
        sim_schedule(l->r, &l->notice, l->r->now_us + PAUSE_US);
        return -EMFILE;
    }
    struct stream *s = next_waiting(l);
    if (s == NULL)
        return -EAGAIN;
    s->events = events;
    s->owner = owner;
    sim_stream_adopt(s);
    sim_stream_count(s);
    *ret_stream = s;
    return 0;
}

int listener_turn_away(struct listener *l, struct slice farewell)
{
    static const struct stream_events silent = { .on_read = NULL };
    sim_cancel(l->r, &l->notice); /* a pause is over: the spare descriptor is never lost here */
    struct stream *s = next_waiting(l);
    if (s == NULL)
        return -EAGAIN;
    s->events = &silent;
    s->link.short_writes = 0;
    sim_stream_count(s);
    stream_write(s, farewell);
    sim_octets_cut(&s->in, 0);
    stream_abort(s);
    return 0;
}

void listener_close(struct listener *l)
{
    if (l == NULL)
        return;
    pst_assert(l->magic == LISTENER_MAGIC);
    struct stream *s;
    while ((s = g_queue_pop_head(&l->waiting)) != NULL) {
        if (s->peer != NULL)
            sim_stream_cut(s->peer, -ECONNRESET);
        sim_stream_free(s);
    }
    sim_cancel(l->r, &l->notice);
    g_hash_table_remove(l->r->listeners, &l->place);
    sim_release(l->r);
    l->magic = 0;
    g_free(l);
}

void reactor_sim_unlink(struct reactor *r, const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    g_strlcpy(un.sun_path, path, sizeof un.sun_path);
    struct sim_place place;
    if (sim_place_of((struct sockaddr *)&un, sizeof un, &place) == 0)
        g_hash_table_remove(r->files, &place);
}

/* ---- callers ---- */

/* Where a caller seems to come from: the host that it calls, a port of its own; on a unix socket nowhere. */
static struct sim_place caller_place(struct reactor *r, const struct sim_place *called)
{
    struct sim_place place = *called;
    in_port_t *port = port_of(&place);
    if (port == NULL)
        return (struct sim_place){ .address.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
    *port = 0;
    give_port(r, &place);
    return place;
}

int sim_listener_admit(struct reactor *r, struct stream *client)
{
    const struct sim_place *called = &client->peer_place;
    struct listener *l = g_hash_table_lookup(r->listeners, called);
    if (l == NULL)
        return sim_stream_is_unix(client) && !g_hash_table_contains(r->files, called) ? -ENOENT
                                                                                      : -ECONNREFUSED;
    if (g_queue_get_length(&l->waiting) >= l->backlog)
        return -EAGAIN;
    struct sim_place caller = caller_place(r, called);
    struct stream *server = sim_stream_new(r, &caller);
    server->peer = client;
    client->peer = server;
    g_queue_push_tail(&l->waiting, server);
    listener_poke(l);
    return 0;
}
