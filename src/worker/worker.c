#include "worker/worker.h"

#include <errno.h>
#include <glib.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "delivery/commit.h"
#include "worker/conn.h"

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(worker_limits, field), __VA_ARGS__                                           \
    }

const struct option_row worker_limit_rows[] = {
    ROW(connections, .name = "connections", .kind = OPTION_COUNT, .fallback = "10000", .min = 1,
        .max = 1000000,
        .sentence = "The most connections at once, over all workers together; a further client is told 421."),
};
const size_t worker_limit_row_count = G_N_ELEMENTS(worker_limit_rows);

enum {
    WORKER_BACKLOG = 4096,
};

/* One address that is listened on. */
struct port {
    struct worker *worker;
    struct listener *listener;
    struct conn_host host;
};

struct worker {
    struct reactor *reactor;
    const struct worker_settings *settings;
    const struct pst_log *log;
    struct port *ports;
    size_t port_count;
    GQueue conns;       /* struct conn, by their links */
    size_t turned_away; /* streams that were refused and are not closed yet */
    GByteArray *replies;
    struct known *known;
    struct commit *commit;
    struct timer *patience; /* while draining */
    bool draining;
    void (*on_drained)(void *owner);
    void *owner;
};

static void worker_free(struct worker *w)
{
    timer_close(w->patience);
    g_byte_array_unref(w->replies);
    known_free(w->known);
    commit_free(w->commit);
    g_free(w->ports);
    g_free(w);
}

static void finish_if_drained(struct worker *w)
{
    if (!w->draining || w->conns.length > 0 || w->turned_away > 0)
        return;
    void (*on_drained)(void *owner) = w->on_drained;
    void *owner = w->owner;
    worker_free(w);
    on_drained(owner);
}

/* ---- connections ---- */

static void count_connections(struct worker *w, int64_t change)
{
    atomic_fetch_add_explicit(&w->settings->shares[w->settings->share].connections, (uint64_t)change,
                              memory_order_relaxed);
}

static uint64_t connections_of_all(const struct worker *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->settings->share_count; i++)
        sum += atomic_load_explicit(&w->settings->shares[i].connections, memory_order_relaxed);
    return sum;
}

static void on_conn_gone(void *owner, GList *link)
{
    struct worker *w = owner;
    g_queue_unlink(&w->conns, link);
    count_connections(w, -1);
    finish_if_drained(w);
}

static void on_turned_away_closed(void *owner)
{
    struct worker *w = owner;
    w->turned_away--;
    finish_if_drained(w);
}

/* One connection too many: it is told so, and costs nothing more. */
static int turn_away(struct port *p)
{
    static const struct stream_events events = { .on_closed = on_turned_away_closed };
    struct worker *w = p->worker;
    struct stream *stream;
    int r = listener_accept(p->listener, &events, w, &stream);
    if (r < 0)
        return r;
    char text[SMTP_REPLY_MAX];
    size_t len = smtp_outcome_format(SMTP_TOO_MANY_CONNECTIONS, NULL, text, sizeof text);
    pst_log(w->log, PST_LOG_WARNING, "connection-refused", PST_STR("listener", p->host.listener),
            PST_STR("reason", smtp_outcome_name(SMTP_TOO_MANY_CONNECTIONS)),
            PST_UINT("connections", connections_of_all(w)));
    w->turned_away++;
    stream_write(stream, slice_of(text, len));
    stream_close(stream); /* a fresh socket takes one line at once: there is nothing to wait for */
    return 0;
}

static void on_connection(void *owner)
{
    struct port *p = owner;
    struct worker *w = p->worker;
    GList *link;
    int r;
    if (connections_of_all(w) >= w->settings->limits.connections) {
        r = turn_away(p);
    } else if ((r = conn_accept(&p->host, p->listener, &link)) == 0) {
        g_queue_push_tail_link(&w->conns, link);
        count_connections(w, 1);
    }
    if (r < 0 && r != -EAGAIN)
        pst_log(w->log, PST_LOG_ERROR, "accept-failed", PST_STR("listener", p->host.listener),
                PST_STR("error", g_strerror(-r)));
}

/* ---- the worker ---- */

static int port_open(struct port *p, struct worker *w, const struct worker_listener *l)
{
    p->worker = w;
    p->host = (struct conn_host){
        .reactor = w->reactor,
        .log = w->log,
        .router = w->settings->router,
        .known = w->known,
        .service = { .protocol = l->protocol,
                     .hostname = w->settings->hostname,
                     .limits = w->settings->smtp },
        .delivery = { .sync = w->settings->sync,
                      .each = l->protocol == SMTP_PROTOCOL_LMTP,
                      .hostname = w->settings->hostname,
                      .commit = w->commit },
        .listener = l->name,
        .replies = w->replies,
        .on_gone = on_conn_gone,
        .owner = w,
    };
    const struct sockaddr *address = (const struct sockaddr *)&l->address.storage;
    return l->fd >= 0 ? listener_adopt(w->reactor, l->fd, WORKER_BACKLOG, on_connection, p, &p->listener)
                      : listener_open(w->reactor, address, l->address.len, WORKER_BACKLOG, on_connection, p,
                                      &p->listener);
}

static void close_listeners(struct worker *w)
{
    for (size_t i = 0; i < w->port_count; i++)
        listener_close(g_steal_pointer(&w->ports[i].listener));
}

int worker_new(struct reactor *r, const struct worker_settings *settings, const struct pst_log *log,
               void (*on_drained)(void *owner), void *owner, struct worker **ret_worker)
{
    struct worker *w = g_new0(struct worker, 1);
    w->reactor = r;
    w->settings = settings;
    w->log = log;
    w->on_drained = on_drained;
    w->owner = owner;
    w->replies = g_byte_array_new();
    w->known = known_new();
    w->commit = commit_new(r, settings->sync == DELIVERY_SYNC_GROUP);
    w->ports = g_new0(struct port, settings->listener_count);
    g_queue_init(&w->conns);
    for (; w->port_count < settings->listener_count; w->port_count++) {
        int error = port_open(&w->ports[w->port_count], w, &settings->listeners[w->port_count]);
        if (error < 0) {
            close_listeners(w);
            worker_free(w);
            return error;
        }
    }
    *ret_worker = w;
    return 0;
}

int worker_address(const struct worker *w, size_t listener, struct net_address *ret_address)
{
    pst_assert(listener < w->port_count);
    return listener_address(w->ports[listener].listener, &ret_address->storage, &ret_address->len);
}

/* A connection may leave the list while it is told: the next one is taken before. */
static void for_each_conn(struct worker *w, void (*tell)(struct conn *c))
{
    for (GList *at = w->conns.head, *next; at != NULL; at = next) {
        next = at->next;
        tell(at->data);
    }
}

static void shut(struct conn *c)
{
    conn_shut(c, SMTP_SHUTTING_DOWN);
}

static void on_patience_over(void *owner)
{
    struct worker *w = owner;
    pst_log(w->log, PST_LOG_WARNING, "drain-cut-short", PST_UINT("connections", w->conns.length));
    for_each_conn(w, conn_abort);
}

void worker_drain(struct worker *w, msec_t patience_ms)
{
    if (w->draining)
        return;
    pst_log(w->log, PST_LOG_INFO, "draining", PST_UINT("connections", w->conns.length));
    close_listeners(w);
    w->patience = timer_new(w->reactor, on_patience_over, w);
    timer_start(w->patience, reactor_now(w->reactor) + patience_ms);
    for_each_conn(w, shut);
    w->draining = true; /* not before: the last one to go frees the worker */
    finish_if_drained(w);
}
