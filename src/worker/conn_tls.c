/* TLS between the wire and the session: implicit, or from STARTTLS on (RFC 3207). */
#include <errno.h>

#include "worker/conn_internal.h"
#include "worker/handshakes.h"

enum { PLAIN_READ = 64 * 1024 /* what is read of the wire at once has no more in it */ };

static void send_wire(struct conn *c)
{
    GByteArray *wire = c->host->wire;
    if (wire->len > 0 && c->stream != NULL)
        stream_write(c->stream, slice_of(wire->data, wire->len));
    g_byte_array_set_size(wire, 0);
}

/* ---- its end ---- */

void conn_fail_tls(struct conn *c, const char *reason)
{
    send_wire(c); /* an alert */
    if (c->shaking)
        counters_add(c->host->counters, COUNTER_TLS_FAILURES, 1);
    pst_log(c->host->log, PST_LOG_INFO, c->shaking ? "handshake-failed" : "tls-failed",
            PST_STR("session", c->id), PST_STR("client", c->client), PST_STR("listener", c->host->listener),
            PST_STR("reason", reason));
    conn_close(c, "tls-failed");
}

void conn_end_tls(struct conn *c)
{
    tls_session_close(c->tls);
    send_wire(c);
}

/* ---- inside it ---- */

void conn_write(struct conn *c, struct slice bytes, bool is_last)
{
    if (c->tls == NULL) {
        stream_write(c->stream, bytes);
        return;
    }
    (void)tls_session_write(c->tls, bytes); /* if it failed, reading tells */
    if (!is_last)                           /* else it leaves in one write with what ends TLS */
        send_wire(c);
}

/* Fills `to` from as many records as there are. Returns what the last of them did. */
static ssize_t gather(struct conn *c, uint8_t to[PLAIN_READ], size_t *ret_len)
{
    size_t len = 0;
    ssize_t count = 1;
    while (count > 0 && len < PLAIN_READ) {
        count = tls_session_read(c->tls, to + len, PLAIN_READ - len);
        len += count > 0 ? (size_t)count : 0;
    }
    *ret_len = len;
    return count;
}

/* What was fed is used up when this returns, unless the connection is closed. */
static void pump(struct conn *c)
{
    uint8_t plain[PLAIN_READ];
    size_t len;
    ssize_t count = 1;
    while (!c->closing && count > 0) {
        count = gather(c, plain, &len);
        if (len > 0)
            conn_run(c, slice_of(plain, len));
    }
    if (c->closing)
        return;
    send_wire(c); /* what TLS itself has to say */
    if (count == -ESHUTDOWN)
        c->peer_ended = true; /* what it has sent before is still carried out */
    if (count < 0 && count != -ESHUTDOWN)
        conn_fail_tls(c, tls_session_problem(c->tls));
    else
        conn_resume(c);
}

/* ---- the handshake ---- */

void conn_start_tls(struct conn *c)
{
    const struct conn_host *host = c->host;
    c->tls = tls_session_new(host->tls, host->tls_client, reactor_now(host->reactor), host->wire);
    c->shaking = true;
    c->limit = reactor_now(host->reactor) + host->handshake_timeout;
}

void conn_await_turn(struct conn *c)
{
    handshakes_join(c->host->handshakes, &c->turn, c);
}

void conn_leave_row(struct conn *c)
{
    handshakes_leave(c->host->handshakes, &c->turn);
}

static void on_secured(struct conn *c)
{
    const struct tls_facts *facts = tls_session_facts(c->tls);
    counters_add(c->host->counters, COUNTER_TLS_HANDSHAKES, 1);
    pst_log(c->host->log, PST_LOG_INFO, "secured", PST_STR("session", c->id),
            PST_STR("version", facts->version), PST_STR("cipher", facts->cipher),
            PST_STR("server_name", facts->server_name != NULL ? facts->server_name : ""),
            PST_STR("certificate", facts->client_subject != NULL ? facts->client_subject : ""),
            PST_STR("verified", facts->client_is_verified ? "yes" : "no"),
            PST_STR("resumed", facts->is_resumed ? "yes" : "no"));
    c->shaking = false;
    conn_log_out(c); /* RFC 3207 4.2: everything learnt before is forgotten */
    conn_forget_client(c);
    if (c->session == NULL)
        conn_begin(c);
    else
        smtp_session_secured(c->session, conn_mechanisms(c), reactor_now(c->host->reactor));
    if (c->shut)
        conn_shut(c);
}

/* After a step of the handshake, which has returned so. */
static void follow(struct conn *c, int shaken)
{
    if (shaken < 0) {
        conn_fail_tls(c, tls_session_problem(c->tls));
        return;
    }
    if (shaken == 0) {
        conn_settle(c);
        return;
    }
    on_secured(c);
    pump(c); /* behind the end of the handshake there may be more */
}

void conn_begin_turn(struct conn *c)
{
    pst_assert(c->shaking && !c->closing && !c->in_turn);
    conn_hold(c);
    c->in_turn = true;
    c->flight = g_byte_array_new();
    c->came = g_steal_pointer(&c->kept);
    tls_session_set_out(c->tls, c->flight);
    tls_session_feed(c->tls, slice_of(c->came, c->kept_len));
    c->kept_len = 0;
}

void conn_shake(struct conn *c)
{
    c->shaken = tls_session_handshake(c->tls);
}

void conn_end_turn(struct conn *c)
{
    c->in_turn = false;
    tls_session_set_out(c->tls, c->host->wire);
    if (!c->closing && c->flight->len > 0)
        stream_write(c->stream, slice_of(c->flight->data, c->flight->len));
    if (!c->closing)
        follow(c, c->shaken);
    g_clear_pointer(&c->flight, g_byte_array_unref);
    g_clear_pointer(&c->came, g_free);
    conn_release(c);
}

/* ---- what comes ---- */

void conn_take_wire(struct conn *c, struct slice bytes)
{
    if (c->shaking && (c->in_turn || c->kept_len > 0 || !tls_session_awaits_finished(c->tls))) {
        conn_keep(c, bytes);
        conn_settle(c);
        return;
    }
    tls_session_feed(c->tls, bytes);
    if (c->shaking) { /* its last step, for which no job is worth its while */
        int shaken = tls_session_handshake(c->tls);
        send_wire(c);
        follow(c, shaken);
    } else {
        pump(c);
    }
}
