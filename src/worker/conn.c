#include "worker/conn.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "net/proxy.h"
#include "worker/greeting.h"
#include "worker/session_log.h"
#include "worker/transaction.h"

enum {
    CONN_MAGIC = 0x636f6e6e,
    CONN_REPLIES_FLUSH = 8 * 1024, /* replies that gather before they are written */
    CONN_UNSENT_MAX = 16 * 1024,   /* beyond it, a peer that does not read is not listened to */
    CONN_LINGER_MS = 30 * 1000,    /* how long the last reply may take to leave */
    CONN_PROXY_MS = 5 * 1000,      /* how long a proxy may take to send its header */
};

struct conn {
    uint32_t magic;
    uint8_t holds; /* the stream, and those who will still call back */
    bool paused;   /* the delivery takes no more */
    bool reading;
    bool peer_ended; /* the peer will send nothing more */
    bool closing;    /* the stream was told to close */
    bool pumping;    /* feed() is on the stack: what is answered or resumed now, it will see */
    unsigned messages;
    struct crowd_member place;
    const struct conn_host *host;
    struct stream *stream;
    struct timer *timer;
    struct smtp_session *session; /* NULL until the PROXY header has come */
    struct transaction *transaction;
    uint8_t *kept; /* read, but not taken yet */
    size_t kept_len;
    msec_t armed;      /* when the timer fires; MSEC_NEVER: not */
    msec_t due;        /* the session's deadline, as it was at the last sign of life */
    msec_t limit;      /* closing, or waiting for the PROXY header: when it is over */
    char *client_name; /* as XCLIENT told; NULL: nobody has */
    char client[46];   /* INET6_ADDRSTRLEN */
    char id[CONN_ID_SIZE];
};

static struct conn *conn_of(void *owner)
{
    struct conn *c = owner;
    pst_assert(c->magic == CONN_MAGIC);
    return c;
}

/* ---- lifetime ---- */

void conn_hold(struct conn *c)
{
    pst_assert(c->holds < UINT8_MAX);
    c->holds++;
}

void conn_release(struct conn *c)
{
    pst_assert(c->holds > 0);
    if (--c->holds > 0)
        return;
    crowd_leave(c->host->crowd, &c->place);
    c->host->on_gone(c->host->owner);
    smtp_session_free(c->session);
    g_free(c->kept);
    g_free(c->client_name);
    c->magic = 0;
    g_free(c);
}

static void hear(struct conn *c, enum crowd_rank rank)
{
    crowd_hear(c->host->crowd, &c->place, rank, reactor_now(c->host->reactor));
}

static void conn_close(struct conn *c, const char *reason)
{
    if (c->closing)
        return;
    c->closing = true;
    hear(c, CROWD_LEAVING);
    session_log_closed(c->host->log, c->id, reason,
                       c->session != NULL ? smtp_session_phase(c->session) : "proxy", c->messages);
    transaction_abandon(g_steal_pointer(&c->transaction));
    c->limit = reactor_now(c->host->reactor) + CONN_LINGER_MS;
    if (stream_unsent(c->stream) > 0)
        timer_start(c->timer, c->limit);
    stream_close(c->stream);
}

void conn_abort(struct conn *c)
{
    conn_close(c, "aborted");
    stream_abort(c->stream);
}

static void on_closed(void *owner)
{
    struct conn *c = conn_of(owner);
    c->stream = NULL;
    hear(c, CROWD_OWED); /* it may be held: there is only memory left of it */
    timer_close(g_steal_pointer(&c->timer));
    conn_release(c);
}

/* ---- effects ---- */

static void flush(struct conn *c)
{
    GByteArray *replies = c->host->replies;
    if (replies->len == 0)
        return;
    if (!c->closing)
        stream_write(c->stream, slice_of(replies->data, replies->len));
    g_byte_array_set_size(replies, 0);
}

static void write_reply(struct conn *c, struct slice text)
{
    g_byte_array_append(c->host->replies, text.data, (guint)text.len);
    if (c->host->replies->len >= CONN_REPLIES_FLUSH)
        flush(c);
}

/* Until we take more, it is not the client that is slow. */
static void set_paused(struct conn *c, bool paused)
{
    c->paused = paused;
    smtp_session_set_paused(c->session, paused, reactor_now(c->host->reactor));
}

/* The client is the one that this one speaks for. */
static void take_client(struct conn *c, const struct smtp_facts *facts)
{
    struct slice address = facts->value[SMTP_FACT_ADDR], name = facts->value[SMTP_FACT_NAME];
    if ((facts->unavailable & SMTP_FACT_BIT(SMTP_FACT_ADDR)) != 0)
        address = slice_str("unknown");
    if (address.len > 0) {
        size_t len = MIN(address.len, sizeof c->client - 1);
        memcpy(c->client, address.data, len);
        c->client[len] = '\0';
    }
    if ((facts->given & (SMTP_FACT_BIT(SMTP_FACT_NAME) | SMTP_FACT_BIT(SMTP_FACT_ADDR))) != 0) {
        g_free(c->client_name); /* which is not the name of another address */
        c->client_name = name.len > 0 ? slice_dup(name) : NULL;
    }
}

static void log_refusal(struct conn *c, const struct smtp_effect *e)
{
    bool is_message = e->bytes.data == NULL && c->transaction != NULL && transaction_is_open(c->transaction);
    if (is_message) {
        transaction_log_refusal(c->transaction, e->outcome);
        return;
    }
    session_log_command_refused(c->host->log, c->id, e);
}

static void perform(struct conn *c, const struct smtp_effect *e)
{
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        write_reply(c, e->bytes);
        break;
    case SMTP_EFFECT_STARTTLS: /* neither is offered yet */
    case SMTP_EFFECT_AUTH:
    case SMTP_EFFECT_AUTH_RESPONSE:
    case SMTP_EFFECT_AUTH_CANCEL:
        break;
    case SMTP_EFFECT_XCLIENT:
        take_client(c, &e->facts);
        session_log_facts(c->host->log, c->id, e);
        break;
    case SMTP_EFFECT_XFORWARD:
        session_log_facts(c->host->log, c->id, e);
        break;
    case SMTP_EFFECT_MAIL:
        c->transaction = transaction_new(c, e);
        break;
    case SMTP_EFFECT_RCPT:
        transaction_route(c->transaction, e);
        break;
    case SMTP_EFFECT_OPEN:
        transaction_open(c->transaction);
        break;
    case SMTP_EFFECT_APPEND:
        transaction_append(c->transaction, e->bytes);
        break;
    case SMTP_EFFECT_FINISH:
        set_paused(c, false); /* nothing more is appended, and so no end of the pause will be told */
        transaction_finish(g_steal_pointer(&c->transaction), e->ticket);
        break;
    case SMTP_EFFECT_RESET:
        transaction_abandon(g_steal_pointer(&c->transaction));
        set_paused(c, false);
        break;
    case SMTP_EFFECT_REFUSED:
        log_refusal(c, e);
        break;
    case SMTP_EFFECT_END:
        flush(c);
        conn_close(c, smtp_outcome_name(e->outcome));
        break;
    }
}

static void perform_all(struct conn *c)
{
    struct smtp_effect effect;
    while (smtp_session_next(c->session, &effect))
        perform(c, &effect);
}

/* ---- the pump ---- */

static bool can_feed(const struct conn *c)
{
    return !c->closing && c->session != NULL && !c->paused && !smtp_session_is_waiting(c->session) &&
           stream_unsent(c->stream) < CONN_UNSENT_MAX;
}

static size_t feed_proxy(struct conn *c, struct slice in);

/* Feeds what can be taken now; the octets taken. */
static size_t feed(struct conn *c, struct slice in)
{
    size_t taken = 0;
    if (c->session == NULL && in.len > 0)
        taken = feed_proxy(c, in);
    if (c->session == NULL)
        return 0;
    c->pumping = true;
    perform_all(c);
    while (taken < in.len && can_feed(c)) {
        size_t count = smtp_session_feed(c->session, slice_skip(in, taken), reactor_now(c->host->reactor));
        perform_all(c);
        if (count == 0)
            break;
        taken += count;
    }
    flush(c);
    c->pumping = false;
    return taken;
}

static void keep(struct conn *c, struct slice rest)
{
    if (rest.len == 0)
        return;
    c->kept = g_realloc(c->kept, c->kept_len + rest.len);
    memcpy(c->kept + c->kept_len, rest.data, rest.len);
    c->kept_len += rest.len;
}

static void drop_kept(struct conn *c, size_t count)
{
    if (count >= c->kept_len) {
        g_clear_pointer(&c->kept, g_free);
        c->kept_len = 0;
    } else if (count > 0) {
        c->kept_len -= count;
        memmove(c->kept, c->kept + count, c->kept_len);
        c->kept = g_realloc(c->kept, c->kept_len);
    }
}

static msec_t deadline_of(const struct conn *c)
{
    return c->session != NULL ? smtp_session_deadline(c->session) : c->limit;
}

/* The timer is only ever moved to an earlier time; when it fires too early, it is set anew. So a busy session
 * never touches it. */
static void arm(struct conn *c)
{
    msec_t deadline = deadline_of(c);
    if (!c->closing && deadline < c->armed) {
        timer_start(c->timer, deadline);
        c->armed = deadline;
    }
}

static enum crowd_rank rank_of(const struct conn *c)
{
    if (c->session == NULL)
        return CROWD_STRANGER;
    if (c->paused || smtp_session_is_waiting(c->session))
        return CROWD_OWED;
    if (c->transaction != NULL && transaction_is_open(c->transaction))
        return CROWD_SENDING;
    return *smtp_session_helo(c->session) == '\0' ? CROWD_STRANGER : CROWD_IDLE;
}

/*
 * The session's deadline moves when the peer has completed a line or a piece of a message, or got an answer.
 * Octets that complete nothing are no sign of life, or whoever drips them could keep a place for ever.
 */
static void look_for_life(struct conn *c)
{
    msec_t due = deadline_of(c);
    enum crowd_rank rank = rank_of(c);
    if (due == c->due && rank == c->place.rank)
        return;
    c->due = due;
    hear(c, rank);
}

/*
 * Reading goes on while the session waits, so that a client that sends one command at a time costs no change
 * of the event mask; it stops as soon as something was read that cannot be taken.
 */
static void settle(struct conn *c)
{
    if (c->closing)
        return;
    bool is_waiting = c->session != NULL && smtp_session_is_waiting(c->session);
    if (c->peer_ended && !is_waiting && !c->paused && stream_unsent(c->stream) == 0) {
        conn_close(c, "peer-ended");
        return;
    }
    bool reading = !c->peer_ended && (c->kept_len == 0 || c->session == NULL || can_feed(c));
    if (reading != c->reading)
        stream_set_reading(c->stream, reading);
    c->reading = reading;
    look_for_life(c);
    arm(c);
}

/* ---- the client, and the proxy in front of it ---- */

/* Who has connected: the client, or the proxy of one. */
static struct net_address peer_of(const struct conn *c)
{
    struct net_address peer = { 0 };
    if (stream_peer(c->stream, &peer.storage, &peer.len) < 0)
        peer = (struct net_address){ 0 }; /* it has gone already */
    return peer;
}

static void name_client(struct conn *c, const struct net_address *client)
{
    char text[NET_ADDRESS_TEXT] = "unknown";
    if (client->len > 0)
        net_address_host(client, text);
    (void)g_strlcpy(c->client, text, sizeof c->client);
}

/* A proxy that does not say whom it serves lends nobody its own rights. */
static void begin(struct conn *c, const struct net_address *client, bool is_known)
{
    const struct conn_host *host = c->host;
    const struct smtp_client terms = {
        .may_xclient = is_known && net_networks_have(host->xclient, client),
        .may_xforward = is_known && net_networks_have(host->xforward, client),
        .greeting_delay = greeting_delay(host->greeting_delay, host->service.protocol, client),
    };
    name_client(c, client);
    c->session = smtp_session_new(&host->service, &terms, reactor_now(host->reactor));
    session_log_opened(host->log, c->id, c->client, host->listener);
}

static void refuse_proxy(struct conn *c, const char *reason)
{
    pst_log(c->host->log, PST_LOG_WARNING, "proxy-refused", PST_STR("session", c->id),
            PST_STR("peer", c->client), PST_STR("listener", c->host->listener), PST_STR("reason", reason));
    conn_close(c, "proxy-refused");
}

/* Feeds what is there of the PROXY header; the octets taken. */
static size_t feed_proxy(struct conn *c, struct slice in)
{
    struct net_proxy proxy;
    size_t len;
    int r = net_proxy_parse(in, &proxy, &len);
    if (r < 0)
        refuse_proxy(c, r == -E2BIG ? "header-too-long" : "malformed-header");
    if (r <= 0)
        return 0;
    char destination[NET_ADDRESS_TEXT] = "";
    if (!proxy.is_local)
        net_address_format(&proxy.destination, destination);
    pst_log(c->host->log, PST_LOG_INFO, "proxied", PST_STR("session", c->id), PST_STR("proxy", c->client),
            PST_STR("destination", destination));
    if (proxy.is_local)
        proxy.source = peer_of(c);
    begin(c, &proxy.source, !proxy.is_local);
    return len;
}

/* Something has changed: bytes came, a question was answered, a pause ended, a time is over. */
static void run(struct conn *c, struct slice fresh)
{
    if (c->kept_len == 0) {
        size_t taken = feed(c, fresh);
        if (!c->closing)
            keep(c, slice_skip(fresh, taken));
    } else {
        keep(c, fresh);
        size_t taken = feed(c, slice_of(c->kept, c->kept_len));
        if (!c->closing)
            drop_kept(c, taken);
    }
    settle(c);
}

static void resume(struct conn *c)
{
    if (!c->closing && !c->pumping)
        run(c, slice_of(NULL, 0));
}

bool conn_is_open(const struct conn *c)
{
    return !c->closing;
}

void conn_answer(struct conn *c, uint64_t ticket, struct smtp_verdict verdict, bool more)
{
    if (c->closing)
        return;
    smtp_session_answer(c->session, ticket, verdict, reactor_now(c->host->reactor));
    if (more)
        perform_all(c); /* its reply waits for theirs, so that all leave in one write */
    else
        resume(c);
}

void conn_set_paused(struct conn *c, bool paused)
{
    set_paused(c, paused);
    if (!paused)
        resume(c);
}

void conn_shut(struct conn *c, enum smtp_outcome outcome)
{
    if (c->closing)
        return;
    if (c->session == NULL) {
        conn_close(c, "shutting-down");
        return;
    }
    smtp_session_shut(c->session, outcome, reactor_now(c->host->reactor));
    resume(c);
}

void conn_shed(struct conn *c, bool may_linger)
{
    bool says_why = may_linger && !c->closing && stream_unsent(c->stream) == 0;
    if (says_why) {
        char text[SMTP_REPLY_MAX];
        size_t len = smtp_outcome_format(SMTP_TOO_MANY_CONNECTIONS, NULL, text, sizeof text);
        stream_write(c->stream, slice_of(text, len));
    }
    conn_close(c, "shed");
    if (says_why)
        return;
    stream_abort(c->stream);
    hear(c, CROWD_OWED); /* there is nothing more to be had of it */
}

/* ---- events ---- */

static void on_read(void *owner, struct slice bytes)
{
    run(conn_of(owner), bytes);
}

static void on_end(void *owner, int error)
{
    struct conn *c = conn_of(owner);
    if (error < 0) {
        conn_close(c, "connection-lost");
        stream_abort(c->stream);
        return;
    }
    c->peer_ended = true; /* what it has sent before is still carried out */
    resume(c);
}

static void on_drained(void *owner)
{
    resume(conn_of(owner));
}

static void on_fire(void *owner)
{
    struct conn *c = conn_of(owner);
    msec_t now = reactor_now(c->host->reactor);
    c->armed = MSEC_NEVER;
    if (c->closing) {
        if (now >= c->limit)
            stream_abort(c->stream);
        return;
    }
    if (c->session != NULL)
        smtp_session_tick(c->session, now);
    else if (now >= c->limit)
        refuse_proxy(c, "no-header");
    resume(c);
}

static void meet(struct conn *c)
{
    const struct conn_host *host = c->host;
    const struct net_address peer = peer_of(c);
    name_client(c, &peer);
    if (host->proxy == NULL)
        begin(c, &peer, true);
    else if (net_networks_have(host->proxy, &peer))
        c->limit = reactor_now(host->reactor) + CONN_PROXY_MS;
    else
        refuse_proxy(c, "not-a-proxy-of-ours");
}

int conn_accept(const struct conn_host *host, struct listener *listener)
{
    static const struct stream_events events = {
        .on_read = on_read,
        .on_end = on_end,
        .on_drained = on_drained,
        .on_closed = on_closed,
    };
    struct conn *c = g_new0(struct conn, 1);
    int r = listener_accept(listener, &events, c, &c->stream);
    if (r < 0) {
        g_free(c);
        return r;
    }
    c->magic = CONN_MAGIC;
    c->holds = 1;
    c->host = host;
    crowd_join(host->crowd, &c->place, c, reactor_now(host->reactor));
    c->armed = MSEC_NEVER;
    uint8_t id[(CONN_ID_SIZE - 1) / 2];
    reactor_random(host->reactor, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        (void)snprintf(c->id + 2 * i, 3, "%02x", id[i]);
    c->timer = timer_new(host->reactor, on_fire, c);
    meet(c);
    resume(c);
    return 0;
}

/* ---- for the transaction ---- */

const struct conn_host *conn_host(const struct conn *c)
{
    return c->host;
}

const struct smtp_session *conn_session(const struct conn *c)
{
    return c->session;
}

const char *conn_client(const struct conn *c)
{
    return c->client;
}

const char *conn_client_name(const struct conn *c)
{
    return c->client_name;
}

const char *conn_id(const struct conn *c)
{
    return c->id;
}

unsigned conn_next_message(struct conn *c)
{
    return ++c->messages;
}
