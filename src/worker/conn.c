#include "worker/conn.h"

#include "base/number.h"
#include "worker/conn_internal.h"
#include "worker/session_log.h"
#include "worker/transaction.h"

enum {
    CONN_REPLIES_FLUSH = 8 * 1024, /* replies that gather before they are written */
    CONN_UNSENT_MAX = 16 * 1024,   /* beyond it, a peer that does not read is not listened to */
    CONN_LINGER_MS = 30 * 1000,    /* how long the last reply may take to leave */
};

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
    tls_session_free(c->tls);
    g_free(c->kept);
    g_free(c->client_name);
    g_free(c->met_as);
    g_free(c->user);
    c->magic = 0;
    g_free(c);
}

static void hear(struct conn *c, enum crowd_rank rank)
{
    crowd_hear(c->host->crowd, &c->place, rank, reactor_now(c->host->reactor));
}

/* Where it is in what it does, for the log. */
static const char *phase_of(const struct conn *c)
{
    return c->shaking ? "handshake" : c->session != NULL ? smtp_session_phase(c->session) : "proxy";
}

void conn_close(struct conn *c, const char *reason)
{
    if (c->closing)
        return;
    c->closing = true;
    hear(c, CROWD_LEAVING);
    session_log_closed(c->host->log, c->id, reason, phase_of(c), c->messages);
    transaction_abandon(g_steal_pointer(&c->transaction));
    conn_cancel_login(c);
    conn_leave_row(c);
    if (c->tls != NULL && !c->in_turn)
        conn_end_tls(c);
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

static void flush(struct conn *c, bool is_last)
{
    GByteArray *replies = c->host->replies;
    if (replies->len == 0)
        return;
    if (!c->closing)
        conn_write(c, slice_of(replies->data, replies->len), is_last);
    replies->len = 0; /* its memory is for those of the next */
}

static void write_reply(struct conn *c, struct slice text)
{
    g_byte_array_append(c->host->replies, text.data, (guint)text.len);
    if (c->host->replies->len >= CONN_REPLIES_FLUSH)
        flush(c, false);
}

/* Until we take more, it is not the client that is slow. */
static void set_paused(struct conn *c, bool paused)
{
    c->paused = paused;
    smtp_session_set_paused(c->session, paused, reactor_now(c->host->reactor));
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
    case SMTP_EFFECT_STARTTLS:
        flush(c, false);
        conn_start_tls(c);
        break;
    case SMTP_EFFECT_AUTH:
        conn_begin_login(c, e);
        break;
    case SMTP_EFFECT_AUTH_RESPONSE:
        conn_go_on_with_login(c, e);
        break;
    case SMTP_EFFECT_AUTH_CANCEL:
        conn_cancel_login(c);
        break;
    case SMTP_EFFECT_XCLIENT:
        conn_take_client(c, &e->facts);
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
        stream_cork(c->stream);
        flush(c, true);
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

static size_t feed_session(struct conn *c, struct slice in)
{
    size_t taken = 0;
    c->pumping = true;
    perform_all(c);
    while (taken < in.len && can_feed(c)) {
        size_t count = smtp_session_feed(c->session, slice_skip(in, taken), reactor_now(c->host->reactor));
        perform_all(c);
        if (count == 0)
            break;
        taken += count;
    }
    flush(c, false);
    c->pumping = false;
    /* RFC 3207 4.2: what stands behind STARTTLS was not said inside TLS. It is thrown away. */
    return c->shaking ? in.len : taken;
}

/* Feeds what can be taken now; the octets taken. */
static size_t feed(struct conn *c, struct slice in)
{
    size_t taken = 0;
    if (c->shaking) /* what there is, is no protocol's of ours */
        return 0;
    if (c->session == NULL && in.len > 0)
        taken = conn_feed_proxy(c, in);
    if (c->session == NULL)
        return taken;
    return taken + feed_session(c, slice_skip(in, taken));
}

void conn_keep(struct conn *c, struct slice rest)
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
    return c->session != NULL && !c->shaking ? smtp_session_deadline(c->session) : c->limit;
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
    if (c->session == NULL || c->shaking)
        return CROWD_STRANGER;
    if (c->login != NULL) /* it is owed an answer, but whoever guesses passwords is, all the time */
        return CROWD_IDLE;
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
void conn_settle(struct conn *c)
{
    if (c->closing)
        return;
    bool is_waiting = c->session != NULL && smtp_session_is_waiting(c->session);
    if (c->peer_ended && !is_waiting && !c->paused && stream_unsent(c->stream) == 0) {
        conn_close(c, "peer-ended");
        return;
    }
    if (c->shaking && c->kept_len > 0)
        conn_await_turn(c);
    bool may_take = !c->in_turn && (c->kept_len == 0 || (c->session == NULL && !c->shaking) || can_feed(c));
    /* TLS answers some records by itself: there too, who does not read is not listened to. */
    bool reading = !c->peer_ended && may_take && stream_unsent(c->stream) < CONN_UNSENT_MAX;
    if (reading != c->reading)
        stream_set_reading(c->stream, reading);
    c->reading = reading;
    look_for_life(c);
    arm(c);
}

void conn_run(struct conn *c, struct slice fresh)
{
    if (c->kept_len == 0) {
        size_t taken = feed(c, fresh);
        if (!c->closing)
            conn_keep(c, slice_skip(fresh, taken));
    } else {
        conn_keep(c, fresh);
        size_t taken = feed(c, slice_of(c->kept, c->kept_len));
        if (!c->closing)
            drop_kept(c, taken);
    }
    conn_settle(c);
}

void conn_resume(struct conn *c)
{
    if (!c->closing && !c->pumping)
        conn_run(c, slice_of(NULL, 0));
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
        conn_resume(c);
}

void conn_set_paused(struct conn *c, bool paused)
{
    set_paused(c, paused);
    if (!paused)
        conn_resume(c);
}

void conn_shut(struct conn *c)
{
    msec_t now = reactor_now(c->host->reactor);
    if (c->closing)
        return;
    if (c->shaking) { /* nothing can be said before that is done */
        c->shut = true;
        c->limit = MIN(c->limit, now + SMTP_SHUT_GRACE_MS);
        conn_settle(c);
    } else if (c->session == NULL) {
        conn_close(c, "shutting-down");
    } else {
        smtp_session_shut(c->session, SMTP_SHUTTING_DOWN, now);
        auth_hurry(c->login);
        conn_resume(c);
    }
}

void conn_shed(struct conn *c, bool may_linger)
{
    bool says_why = may_linger && !c->closing && !c->shaking && stream_unsent(c->stream) == 0;
    if (says_why) {
        char text[SMTP_REPLY_MAX];
        size_t len = smtp_outcome_format(SMTP_TOO_MANY_CONNECTIONS, NULL, text, sizeof text);
        conn_write(c, slice_of(text, len), true);
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
    struct conn *c = conn_of(owner);
    if (c->tls != NULL)
        conn_take_wire(c, bytes);
    else
        conn_run(c, bytes);
}

static void on_end(void *owner, int error)
{
    struct conn *c = conn_of(owner);
    const char *reason = error < 0 ? "connection-lost" : c->tls != NULL && !c->peer_ended ? "cut-off" : NULL;
    if (reason == NULL) {
        c->peer_ended = true; /* what it has sent before is still carried out */
        conn_resume(c);
        return;
    }
    if (c->shaking)
        conn_fail_tls(c, reason);
    else
        conn_close(c, reason); /* without close_notify, somebody else may have cut off what it was saying */
    stream_abort(c->stream);
}

static void on_drained(void *owner)
{
    conn_resume(conn_of(owner));
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
    if (c->session != NULL && !c->shaking)
        smtp_session_tick(c->session, now);
    else if (now >= c->limit && c->shaking)
        conn_fail_tls(c, "timeout");
    else if (now >= c->limit)
        conn_refuse_proxy(c, "no-header");
    conn_resume(c);
}

int conn_accept(const struct conn_host *host, struct listener *listener)
{
    static const struct stream_events events = {
        .on_read = on_read,
        .on_end = on_end,
        .on_drained = on_drained,
        .on_closed = on_closed,
    };
    struct conn *c = g_new(struct conn, 1);
    *c = (struct conn){ .magic = CONN_MAGIC, .holds = 1, .host = host, .armed = MSEC_NEVER };
    int r = listener_accept(listener, &events, c, &c->stream);
    if (r < 0) {
        g_free(c);
        return r;
    }
    crowd_join(host->crowd, &c->place, c, reactor_now(host->reactor));
    uint8_t id[(CONN_ID_SIZE - 1) / 2];
    reactor_random(host->reactor, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        (void)pst_put_hex(c->id + 2 * i, id[i], 2); /* the NUL is there */
    c->timer = timer_new(host->reactor, on_fire, c);
    conn_meet(c);
    conn_resume(c);
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

const struct tls_facts *conn_tls(const struct conn *c)
{
    return c->tls != NULL && !c->shaking ? tls_session_facts(c->tls) : NULL;
}

const char *conn_user(const struct conn *c)
{
    return c->user;
}

const char *conn_id(const struct conn *c)
{
    return c->id;
}

unsigned conn_next_message(struct conn *c)
{
    return ++c->messages;
}
