#include "worker/worker.h"

#include <errno.h>
#include <glib.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "base/assert.h"
#include "delivery/commit.h"
#include "delivery/sweep.h"
#include "handlers/pool.h"
#include "worker/conn.h"
#include "worker/handshakes.h"
#include "worker/lookup.h"
#include "worker/session_log.h"

const char *const worker_tls_names[] = {
    [WORKER_TLS_OFF] = "off",
    [WORKER_TLS_OPTIONAL] = "optional",
    [WORKER_TLS_REQUIRED] = "required",
    [WORKER_TLS_IMPLICIT] = "implicit",
    NULL,
};
const char *const worker_auth_names[] = {
    [WORKER_AUTH_OFF] = "off",
    [WORKER_AUTH_OPTIONAL] = "optional",
    [WORKER_AUTH_REQUIRED] = "required",
    NULL,
};

enum smtp_tls worker_tls_at_start(enum worker_tls tls)
{
    switch (tls) {
    case WORKER_TLS_OPTIONAL:
        return SMTP_TLS_OFFERED;
    case WORKER_TLS_REQUIRED:
        return SMTP_TLS_REQUIRED;
    case WORKER_TLS_IMPLICIT:
        return SMTP_TLS_ACTIVE;
    default:
        return SMTP_TLS_NONE;
    }
}

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(worker_limits, field), __VA_ARGS__                                           \
    }

const struct option_row worker_limit_rows[] = {
    ROW(connections, .name = "connections", .kind = OPTION_COUNT, .fallback = "10000", .min = 1,
        .max = 1000000,
        .sentence =
            "The most connections at once, over all workers together. For a further client the one gives "
            "way that has been silent longest, if it has been for a moment and awaits nothing; "
            "whoever cannot be let in is told 421."),
    ROW(received_fields, .name = "received-fields", .kind = OPTION_COUNT, .fallback = "100", .min = 1,
        .max = 10000,
        .sentence = "The most Received header fields of a message, one for each server on its way. One "
                    "with more goes round in a loop, and is refused."),
    ROW(handshake_timeout, .name = "handshake-timeout", .kind = OPTION_DURATION, .fallback = "30s",
        .min = 100, .max = 600 * 1000, .sentence = "How long a client may take for the handshake of TLS."),
};
const size_t worker_limit_row_count = G_N_ELEMENTS(worker_limit_rows);

enum {
    WORKER_BACKLOG = 4096,
    RELIEF_MS = 100,     /* how often a worker with more than its part looks whether others lack room */
    TELL_EACH_MS = 1000, /* `overload` in the log */
    FIRST_SWEEP_MS = 60 * 1000, /* not in the midst of a start, when there is much to do */
    SWEEP_EACH_MS = 24 * 60 * 60 * 1000,
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
    struct crowd crowd; /* of struct conn */
    struct {
        uint64_t shed, refused, no_descriptor; /* since the log was told last */
        msec_t tell_again;                     /* from then on; if there is something to tell, just then */
    } overload;
    GByteArray *replies, *wire;
    struct handshakes *handshakes;
    struct authenticator *authenticator; /* NULL: nobody can authenticate */
    struct lookups *lookups;
    struct commit *commit;
    struct handler_pool *pool; /* NULL: there are no handlers; or it is being closed */
    bool pool_is_closing;
    struct delivery_room room;
    struct timer *patience; /* while draining */
    struct timer *telling;  /* while there is something to tell of an overload */
    struct timer *relief;   /* while there are more connections than this worker's part */
    bool relief_due;
    struct timer *broom; /* of the one worker that sweeps for all, until the next sweep; else NULL */
    struct sweep *sweep; /* under way, or NULL */
    bool draining;
    void (*on_drained)(void *owner);
    void *owner;
};

static void worker_free(struct worker *w)
{
    reactor_watch_turns(w->reactor, NULL, NULL);
    timer_close(w->patience);
    timer_close(w->telling);
    timer_close(w->relief);
    timer_close(w->broom);
    handshakes_free(w->handshakes);
    authenticator_close(w->authenticator);
    g_byte_array_unref(w->replies);
    g_byte_array_unref(w->wire);
    lookups_free(w->lookups);
    commit_free(w->commit);
    g_free(w->ports);
    g_free(w);
}

/* ---- how many there are ---- */

static struct worker_share *share_of(const struct worker *w)
{
    return &w->settings->shares[w->settings->share];
}

static void count_connections(struct worker *w, int64_t change)
{
    atomic_fetch_add_explicit(&share_of(w)->connections, (uint64_t)change, memory_order_relaxed);
}

static void on_login_missed(void *owner, const char *session, const char *client,
                            const struct auth_step *failure)
{
    struct worker *w = owner;
    counters_add(&share_of(w)->counters, COUNTER_AUTH_FAILURES, 1);
    session_log_auth(w->log, session, client != NULL ? client : "unix", failure);
}

static void on_turn(void *owner, uint64_t away_ns)
{
    counters_note_stall(&share_of(owner)->counters, away_ns);
}

static uint64_t connections_of_all(const struct worker *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->settings->share_count; i++)
        sum += atomic_load_explicit(&w->settings->shares[i].connections, memory_order_relaxed);
    return sum;
}

/* What each worker would have if they all had the same. */
static uint64_t part(const struct worker *w)
{
    return w->settings->limits.connections / w->settings->workers;
}

static bool another_has_silent(const struct worker *w)
{
    for (size_t i = 0; i < w->settings->share_count; i++)
        if (i != w->settings->share &&
            atomic_load_explicit(&w->settings->shares[i].has_silent, memory_order_relaxed))
            return true;
    return false;
}

/*
 * The kernel chooses the worker, who may have few connections while another has all that are permitted, in
 * silence: so up to its part it lets newcomers in, and the other one pays, a moment later (see on_relief).
 */
static bool has_room(const struct worker *w)
{
    size_t here = crowd_size(&w->crowd);
    if (here >= w->settings->connections_here)
        return false;
    return connections_of_all(w) < w->settings->limits.connections ||
           (here < part(w) && another_has_silent(w));
}

/* ---- too many ---- */

static bool has_something_to_tell(const struct worker *w)
{
    return w->overload.shed + w->overload.refused + w->overload.no_descriptor > 0;
}

static void tell_overload(void *owner)
{
    struct worker *w = owner;
    if (!has_something_to_tell(w))
        return;
    pst_log(w->log, PST_LOG_WARNING, "overload", PST_UINT("connections", connections_of_all(w)),
            PST_UINT("here", crowd_size(&w->crowd)), PST_UINT("shed", w->overload.shed),
            PST_UINT("refused", w->overload.refused), PST_UINT("no_descriptor", w->overload.no_descriptor));
    memset(&w->overload, 0, sizeof w->overload);
    w->overload.tell_again = reactor_now(w->reactor) + TELL_EACH_MS;
}

/* At once, if nothing was told for a while; or at the end of the interval. */
static void note_overload(struct worker *w, uint64_t *counter)
{
    bool is_first = !has_something_to_tell(w);
    (*counter)++;
    if (reactor_now(w->reactor) >= w->overload.tell_again)
        tell_overload(w);
    else if (is_first)
        timer_start(w->telling, w->overload.tell_again);
}

/* Who is leaving already, and is now cut off, was counted when it was told so. */
static bool shed_one(struct worker *w, bool *ret_was_staying)
{
    struct conn *victim = crowd_victim(&w->crowd, reactor_now(w->reactor));
    if (victim == NULL)
        return false;
    *ret_was_staying = conn_is_open(victim);
    conn_shed(victim, crowd_count(&w->crowd, CROWD_LEAVING) < w->settings->leaving_here);
    if (*ret_was_staying)
        note_overload(w, &w->overload.shed);
    return true;
}

/* One that is due already is not put off by those who come and go meanwhile. */
static void plan_relief(struct worker *w)
{
    if (w->relief_due)
        return;
    w->relief_due = true;
    timer_start(w->relief, reactor_now(w->reactor) + RELIEF_MS);
}

/* Looks after those workers who have let somebody in beyond what is permitted to all. */
static void on_relief(void *owner)
{
    struct worker *w = owner;
    w->relief_due = false;
    size_t leaving = crowd_count(&w->crowd, CROWD_LEAVING), here = crowd_size(&w->crowd) - leaving;
    uint64_t all = connections_of_all(w) - leaving, limit = w->settings->limits.connections;
    bool was_staying;
    while (all > limit && here > part(w) && shed_one(w, &was_staying)) {
        all -= was_staying;
        here -= was_staying;
    }
    bool has_more = crowd_size(&w->crowd) > part(w);
    bool has_silent = here > part(w) && crowd_victim(&w->crowd, reactor_now(w->reactor)) != NULL;
    atomic_store_explicit(&share_of(w)->has_silent, has_silent, memory_order_relaxed);
    if (has_more)
        plan_relief(w);
}

/* ---- connections ---- */

static void on_pool_closed(void *owner);

static void finish_if_drained(struct worker *w)
{
    if (!w->draining || crowd_size(&w->crowd) > 0 || w->pool_is_closing)
        return;
    if (w->pool != NULL) {
        w->pool_is_closing = true;
        handler_pool_close(g_steal_pointer(&w->pool), on_pool_closed, w);
        return;
    }
    tell_overload(w);
    void (*on_drained)(void *owner) = w->on_drained;
    void *owner = w->owner;
    worker_free(w);
    on_drained(owner);
}

static void on_pool_closed(void *owner)
{
    struct worker *w = owner;
    w->pool_is_closing = false;
    finish_if_drained(w);
}

static void on_conn_gone(void *owner)
{
    struct worker *w = owner;
    count_connections(w, -1);
    finish_if_drained(w);
}

static int turn_away(struct port *p, uint64_t *counter)
{
    char text[SMTP_REPLY_MAX];
    size_t len = smtp_outcome_format(SMTP_TOO_MANY_CONNECTIONS, NULL, text, sizeof text);
    int r = listener_turn_away(p->listener, slice_of(text, len));
    if (r == 0)
        note_overload(p->worker, counter);
    return r;
}

static int let_in(struct port *p)
{
    struct worker *w = p->worker;
    int r = conn_accept(&p->host, p->listener);
    if (r < 0)
        return r;
    count_connections(w, 1);
    counters_add(&share_of(w)->counters, COUNTER_CONNECTIONS, 1);
    if (crowd_size(&w->crowd) > part(w) && w->settings->workers > 1)
        plan_relief(w);
    return 0;
}

static void on_connection(void *owner)
{
    struct port *p = owner;
    struct worker *w = p->worker;
    bool was_staying;
    int r = has_room(w) || shed_one(w, &was_staying) ? let_in(p) : turn_away(p, &w->overload.refused);
    if (r == -EMFILE || r == -ENFILE) /* a line now is better than to wait for nobody knows how long */
        r = turn_away(p, &w->overload.no_descriptor);
    if (r < 0 && r != -EAGAIN)
        pst_log(w->log, PST_LOG_ERROR, "accept-failed", PST_STR("listener", p->host.listener),
                PST_STR("error", g_strerror(-r)));
}

/* ---- what deliveries that died have left ---- */

static void on_swept(void *owner, const struct sweep_result *result)
{
    struct worker *w = owner;
    w->sweep = NULL;
    pst_log(w->log, PST_LOG_INFO, "swept", PST_UINT("mailboxes", result->mailboxes),
            PST_UINT("removed", result->removed), PST_UINT("failed", result->failed));
    timer_start(w->broom, reactor_now(w->reactor) + SWEEP_EACH_MS);
}

static void on_sweep_due(void *owner)
{
    struct worker *w = owner;
    w->sweep = sweep_start(w->reactor, w->settings->router, on_swept, w);
}

static void plan_sweeps(struct worker *w)
{
    if (w->settings->number > 0)
        return; /* one is enough, and this one is always there */
    w->broom = timer_new(w->reactor, on_sweep_due, w);
    timer_start(w->broom, reactor_now(w->reactor) + FIRST_SWEEP_MS);
}

static void end_sweeps(struct worker *w)
{
    timer_close(g_steal_pointer(&w->broom));
    sweep_abort(g_steal_pointer(&w->sweep));
}

/* ---- the worker ---- */

static int port_open(struct port *p, struct worker *w, const struct worker_listener *l)
{
    p->worker = w;
    p->host = (struct conn_host){
        .reactor = w->reactor,
        .log = w->log,
        .router = w->settings->router,
        .lookups = w->lookups,
        .pool = w->pool,
        .handlers = w->settings->handlers,
        .guard = &w->settings->guard,
        .service = { .protocol = l->protocol,
                     .hostname = w->settings->hostname,
                     .limits = w->settings->smtp },
        .delivery = { .sync = w->settings->sync,
                      .each = l->protocol == SMTP_PROTOCOL_LMTP,
                      .single_instance = w->settings->single_instance,
                      .hostname = w->settings->hostname,
                      .commit = w->commit,
                      .room = &w->room },
        .received_max = (unsigned)w->settings->limits.received_fields,
        .listener = l->name,
        .proxy = l->proxy,
        .xclient = l->xclient,
        .xforward = l->xforward,
        .greeting_delay = l->greeting_delay,
        .tls_mode = l->tls,
        .tls_client = l->tls_client,
        .tls = w->settings->tls,
        .handshake_timeout = w->settings->limits.handshake_timeout,
        .handshakes = w->handshakes,
        .wire = w->wire,
        .auth_mode = l->auth,
        .auth_without_tls = l->auth_without_tls,
        .authenticator = w->authenticator,
        .replies = w->replies,
        .counters = &share_of(w)->counters,
        .crowd = &w->crowd,
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

/* Of one that could not begin: its hosts end by themselves, a little later. */
static void give_up(struct worker *w)
{
    close_listeners(w);
    if (w->pool != NULL)
        handler_pool_close(g_steal_pointer(&w->pool), NULL, NULL);
    worker_free(w);
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
    w->room.most = settings->staged_here > 0 ? settings->staged_here : UINT64_MAX;
    w->replies = g_byte_array_new();
    w->wire = g_byte_array_new();
    w->handshakes = handshakes_new(r);
    w->lookups = lookups_new(r, settings->router, settings->tables, log);
    w->commit = commit_new(r, settings->sync == DELIVERY_SYNC_GROUP);
    w->ports = g_new0(struct port, settings->listener_count);
    w->telling = timer_new(r, tell_overload, w);
    w->relief = timer_new(r, on_relief, w);
    crowd_init(&w->crowd);
    if (settings->handlers != NULL && settings->handlers->config.handler_count > 0)
        w->pool = handler_pool_new(r, settings->handlers, log);
    plan_sweeps(w);
    reactor_watch_turns(r, on_turn, w);
    int error = settings->auth != NULL ? authenticator_new(r, settings->auth, log, &w->authenticator) : 0;
    if (w->authenticator != NULL)
        authenticator_watch_missed(w->authenticator, on_login_missed, w);
    for (; error == 0 && w->port_count < settings->listener_count; w->port_count++)
        error = port_open(&w->ports[w->port_count], w, &settings->listeners[w->port_count]);
    if (error < 0) {
        give_up(w);
        return error;
    }
    *ret_worker = w;
    return 0;
}

static void shut(void *who)
{
    conn_shut(who);
}

static void cut_off(void *who)
{
    conn_abort(who);
}

static void on_patience_over(void *owner)
{
    struct worker *w = owner;
    pst_log(w->log, PST_LOG_WARNING, "drain-cut-short", PST_UINT("connections", crowd_size(&w->crowd)));
    crowd_for_each(&w->crowd, cut_off);
}

void worker_drain(struct worker *w, msec_t patience_ms)
{
    if (w->draining)
        return;
    pst_log(w->log, PST_LOG_INFO, "draining", PST_UINT("connections", crowd_size(&w->crowd)));
    close_listeners(w);
    end_sweeps(w);
    w->patience = timer_new(w->reactor, on_patience_over, w);
    timer_start(w->patience, reactor_now(w->reactor) + patience_ms);
    crowd_for_each(&w->crowd, shut);
    w->draining = true; /* not before: the last one to go frees the worker */
    finish_if_drained(w);
}
