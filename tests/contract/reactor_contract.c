#include "reactor_contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the world ---- */

void world_begin(struct world *w)
{
    *w = (struct world){ .r = twin_new(4) };
}

void world_end(struct world *w)
{
    reactor_run(w->r);
    assert_int_equal(reactor_free(w->r), 0);
}

static void note_fired(void *owner)
{
    *(bool *)owner = true;
}

void world_settle(struct world *w)
{
    bool over = false;
    struct timer *t = timer_new(w->r, note_fired, &over);
    timer_start(t, reactor_now(w->r) + 30);
    RUN_UNTIL(w, over);
    timer_close(t);
}

/* ---- ends of connections ---- */

static struct end *end_told(void *owner)
{
    struct end *e = owner;
    assert_false(e->w->inside);
    assert_int_equal(e->closed, 0);
    return e;
}

static struct end *end_open(void *owner)
{
    struct end *e = end_told(owner);
    assert_false(e->let_go);
    return e;
}

static void then(struct end *e, enum told told)
{
    if (e->then != NULL)
        e->then(e, told);
}

static void end_on_connected(void *owner, int error)
{
    struct end *e = end_open(owner);
    e->connected++;
    e->connect_error = error;
    if (e->read_at_once && error == 0)
        stream_set_reading(e->s, true);
    then(e, TOLD_CONNECTED);
}

static void end_on_read(void *owner, struct slice bytes)
{
    struct end *e = end_open(owner);
    assert_true(bytes.len > 0);
    assert_int_equal(e->ends, 0);
    g_byte_array_append(e->got, bytes.data, (guint)bytes.len);
    e->reads++;
    then(e, TOLD_READ);
}

static void end_on_end(void *owner, int error)
{
    struct end *e = end_open(owner);
    e->ends++;
    e->end_error = error;
    then(e, TOLD_END);
}

static void end_on_drained(void *owner)
{
    struct end *e = end_open(owner);
    e->drained++;
    then(e, TOLD_DRAINED);
}

static void end_on_closed(void *owner)
{
    struct end *e = end_told(owner);
    e->closed++;
    e->s = NULL;
    then(e, TOLD_CLOSED);
}

const struct stream_events end_events = {
    .on_connected = end_on_connected,
    .on_read = end_on_read,
    .on_end = end_on_end,
    .on_drained = end_on_drained,
    .on_closed = end_on_closed,
};

void end_init(struct end *e, struct world *w)
{
    *e = (struct end){ .w = w, .got = g_byte_array_new() };
}

void end_clear(struct end *e)
{
    assert_null(e->s);
    g_byte_array_unref(e->got);
}

void end_begin_close(struct end *e)
{
    e->let_go = true;
    INSIDE(e->w, stream_close(e->s));
}

void end_close(struct end *e)
{
    end_begin_close(e);
    RUN_UNTIL(e->w, e->closed == 1);
}

void end_abort(struct end *e)
{
    e->let_go = true;
    INSIDE(e->w, stream_abort(e->s));
}

void end_write(struct end *e, const void *bytes, size_t len)
{
    INSIDE(e->w, stream_write(e->s, slice_of(bytes, len)));
}

void end_write_text(struct end *e, const char *text)
{
    end_write(e, text, strlen(text));
}

bool end_got(const struct end *e, const char *text)
{
    return e->got->len == strlen(text) && memcmp(e->got->data, text, e->got->len) == 0;
}

static uint8_t numbered(size_t place)
{
    return (uint8_t)(place ^ (place >> 8) ^ (place >> 16));
}

size_t end_fill(struct end *e)
{
    enum { CHUNK = 64 * 1024, ENOUGH = 256 * 1024, FAR_TOO_MUCH = 256 * 1024 * 1024 };
    g_autofree uint8_t *chunk = g_malloc(CHUNK);
    size_t written = 0;
    while (stream_unsent(e->s) < ENOUGH) {
        assert_true(written < FAR_TOO_MUCH);
        for (size_t i = 0; i < CHUNK; i++)
            chunk[i] = numbered(written + i);
        end_write(e, chunk, CHUNK);
        written += CHUNK;
    }
    return written;
}

bool end_numbered(const struct end *e, size_t len)
{
    if (e->got->len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (e->got->data[i] != numbered(i))
            return false;
    return true;
}

/* ---- addresses ---- */

/* Of unix sockets, also for the simulated twin: a socket that is adopted was bound in earnest. */
static char folder[80];
static unsigned sockets;

static void socket_path(unsigned number, char *path, size_t size)
{
    snprintf(path, size, "%s/%u", folder, number);
}

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/reactor-XXXXXX", base != NULL && strlen(base) < 60 ? base : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(99);
    }
}

static void remove_folder(void)
{
    char path[108];
    for (unsigned i = 0; i < sockets; i++) {
        socket_path(i, path, sizeof path);
        (void)unlink(path); /* not all were made */
    }
    if (rmdir(folder) < 0)
        perror(folder);
}

struct address local_address(int family)
{
    struct address a = { .len = 0 };
    if (family == AF_UNIX) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        socket_path(sockets++, un.sun_path, sizeof un.sun_path);
        a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un.sun_path) + 1);
        memcpy(&a.storage, &un, a.len);
    } else {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        a.len = sizeof in;
        memcpy(&a.storage, &in, sizeof in);
    }
    return a;
}

struct listener *open_listener(struct world *w, int family, listener_on_connection on_connection, void *owner,
                               struct address *ret_address)
{
    struct address a = local_address(family);
    struct listener *l;
    int error;
    INSIDE(w, error = listener_open(w->r, SOCKADDR(&a), a.len, 16, on_connection, owner, &l));
    assert_int_equal(error, 0);
    assert_int_equal(listener_address(l, &ret_address->storage, &ret_address->len), 0);
    return l;
}

/* ---- a listener and two ends ---- */

static void pair_on_connection(void *owner)
{
    struct pair *p = owner;
    assert_false(p->w.inside);
    assert_null(p->server.s);
    int error;
    INSIDE(&p->w, error = listener_accept(p->listener, &end_events, &p->server, &p->server.s));
    assert_int_equal(error, 0);
}

void pair_begin(struct pair *p, int family)
{
    world_begin(&p->w);
    end_init(&p->client, &p->w);
    end_init(&p->server, &p->w);
    p->listener = open_listener(&p->w, family, pair_on_connection, p, &p->address);
    int error;
    INSIDE(&p->w, error = stream_connect(p->w.r, SOCKADDR(&p->address), p->address.len, &end_events,
                                         &p->client, &p->client.s));
    assert_int_equal(error, 0);
    RUN_UNTIL(&p->w, p->client.connected == 1 && p->server.s != NULL);
    assert_int_equal(p->client.connect_error, 0);
}

void pair_end(struct pair *p)
{
    INSIDE(&p->w, listener_close(p->listener));
    end_abort(&p->client);
    end_abort(&p->server);
    world_end(&p->w);
    assert_int_equal(p->client.closed, 1);
    assert_int_equal(p->server.closed, 1);
    assert_int_equal(p->server.connected, 0);
    end_clear(&p->client);
    end_clear(&p->server);
}

static const struct family families[] = { { "TCP", AF_INET }, { "unix", AF_UNIX } };

int family_of(void **state)
{
    const struct family *f = *state;
    return f->family;
}

void add_for_both(struct suite *suite, const char *name, CMUnitTestFunction run)
{
    for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
        g_autofree char *text = g_strdup_printf("%s (%s)", name, families[i].name);
        suite_add(suite, g_intern_string(text), run, (void *)&families[i]);
    }
}

int main(int argc, char **argv)
{
    alarm(120); /* a case that hangs ends all */
    if (argc == 3 && strcmp(argv[1], TWIN_PEER) == 0)
        return twin_peer(argv[2]);
    make_folder();
    struct suite *suite = suite_new("reactor contract");
    add_loop_cases(suite);
    add_timer_cases(suite);
    add_stream_cases(suite);
    add_break_cases(suite);
    add_listener_cases(suite);
    add_child_cases(suite);
    add_channel_cases(suite);
    twin_add_cases(suite);
    int result = suite_run(suite, argc, argv);
    remove_folder();
    return result;
}
