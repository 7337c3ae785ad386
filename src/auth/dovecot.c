#include "auth/dovecot.h"

#include <errno.h>
#include <glib.h>
#include <gsasl.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/dovecot_line.h"
#include "auth/user.h"
#include "base/assert.h"

enum { UNSENT_MAX = 1024 * 1024 }; /* octets that a server does not take in, until it counts as gone */

enum state {
    WAITING, /* for the next try */
    GREETED, /* our first lines are sent, or will be once it is connected */
    READY,
};

struct dovecot {
    struct reactor *reactor;
    const struct pst_log *log;
    struct sockaddr_un address;

    enum state state;
    struct stream *stream; /* NULL while WAITING */
    struct timer *timer;   /* the next try; or the end of the server's first lines */
    msec_t pause;          /* before the next try */
    bool is_told;          /* that it is gone */
    GByteArray *in;        /* what is not yet a line */
    unsigned heard;        /* mechanisms, of this connection */
    unsigned mechanisms;   /* of the last connection that was READY */
    GHashTable *requests;  /* id -> struct dovecot_request */
    GQueue order;          /* the same, the oldest first */
    uint32_t last_id;
    unsigned calls;  /* under way, into whom may close us */
    bool is_closing; /* when they return */
};

struct dovecot_request {
    struct dovecot *dovecot;
    uint32_t id;
    dovecot_on_answer on_answer;
    void *owner;
    struct timer *timer;
    char *line;    /* to be sent once the server is READY; or NULL */
    bool is_asked; /* the server has to say something */
    bool is_lost;  /* the connection that it was made by is gone */
    GList link;
};

static void connect_now(struct dovecot *d);

/* ---- requests ---- */

static void forget(struct dovecot_request *q)
{
    g_queue_unlink(&q->dovecot->order, &q->link);
    g_hash_table_remove(q->dovecot->requests, GUINT_TO_POINTER(q->id));
}

static void request_free(struct dovecot_request *q)
{
    if (!q->is_lost)
        forget(q);
    timer_close(q->timer);
    password_wipe(q->line);
    g_free(q);
}

static void dovecot_free(struct dovecot *d)
{
    timer_close(d->timer);
    stream_abort(d->stream);
    g_hash_table_destroy(d->requests);
    g_byte_array_unref(d->in);
    g_free(d);
}

/* Whoever is called may make requests, cancel them, and close us. */
static void enter(struct dovecot *d)
{
    d->calls++;
}

static void leave(struct dovecot *d)
{
    pst_assert(d->calls > 0);
    if (--d->calls == 0 && d->is_closing)
        dovecot_free(d);
}

/* The last answer: the request is gone before it is told. */
static void finish(struct dovecot_request *q, const struct auth_step *answer)
{
    dovecot_on_answer on_answer = q->on_answer;
    void *owner = q->owner;
    request_free(q);
    on_answer(owner, answer);
}

static void send_line(struct dovecot *d, const char *line)
{
    stream_write(d->stream, slice_str(line));
}

static void on_request_timeout(void *owner)
{
    struct dovecot_request *q = owner;
    struct dovecot *d = q->dovecot;
    g_autofree char *line = dovecot_line_cancel(q->id);
    if (d->state == READY)
        send_line(d, line);
    enter(d);
    finish(q, &(struct auth_step){ .kind = AUTH_UNAVAILABLE, .reason = "dovecot-timeout" });
    leave(d);
}

/* ---- the connection ---- */

static void fail_requests(struct dovecot *d)
{
    struct dovecot_request *q;
    /* Who waits for a client now is told when it goes on. */
    for (GList *l = d->order.head, *next; l != NULL; l = next) {
        next = l->next;
        q = l->data;
        q->is_lost = !q->is_asked;
        if (q->is_lost)
            forget(q);
    }
    /* What those who are told ask anew is refused: there is no connection. */
    while ((q = g_queue_peek_head(&d->order)) != NULL)
        finish(q, &(struct auth_step){ .kind = AUTH_UNAVAILABLE, .reason = "dovecot-gone" });
}

static void lose(struct dovecot *d, const char *why)
{
    if (!d->is_told)
        pst_log(d->log, PST_LOG_WARNING, "auth-server-gone", PST_STR("path", d->address.sun_path),
                PST_STR("reason", why));
    d->is_told = true;
    stream_abort(d->stream);
    d->stream = NULL;
    d->state = WAITING;
    g_byte_array_set_size(d->in, 0);
    timer_start(d->timer, reactor_now(d->reactor) + d->pause);
    d->pause = MIN(d->pause * 2, DOVECOT_PAUSE_MAX_MS);
    enter(d);
    fail_requests(d);
    leave(d);
}

static void on_timer(void *owner)
{
    struct dovecot *d = owner;
    if (d->state == WAITING)
        connect_now(d);
    else
        lose(d, "it says nothing");
}

static void become_ready(struct dovecot *d)
{
    d->state = READY;
    d->mechanisms = d->heard & ~MECHANISM_BIT(MECHANISM_SCRAM_SHA_256_PLUS);
    timer_stop(d->timer);
    if (d->is_told)
        pst_log(d->log, PST_LOG_INFO, "auth-server-back", PST_STR("path", d->address.sun_path));
    d->is_told = false;
    for (GList *l = d->order.head; l != NULL; l = l->next) {
        struct dovecot_request *q = l->data;
        send_line(d, q->line);
        g_clear_pointer(&q->line, password_wipe);
    }
}

static void take_answer(struct dovecot *d, const struct dovecot_reply *r)
{
    struct dovecot_request *q = g_hash_table_lookup(d->requests, GUINT_TO_POINTER(r->id));
    if (q == NULL || !q->is_asked)
        return; /* it was cancelled meanwhile */
    d->pause = DOVECOT_PAUSE_MIN_MS;
    if (r->verb == DOVECOT_CONT) {
        q->is_asked = false;
        timer_stop(q->timer);
        q->on_answer(q->owner, &(struct auth_step){ .kind = AUTH_CHALLENGE, .challenge = r->challenge });
    } else if (r->verb == DOVECOT_FAIL) {
        finish(q, &(struct auth_step){ .kind = r->kind, .user = r->user, .reason = r->reason });
    } else if (r->user != NULL) {
        finish(q, &(struct auth_step){ .kind = AUTH_DONE, .user = r->user });
    } else {
        finish(q, &(struct auth_step){ .kind = AUTH_UNAVAILABLE, .reason = "dovecot-confused" });
    }
}

/* Why the connection cannot go on; or NULL. */
static const char *take_line(struct dovecot *d, struct slice line)
{
    auto_val(dovecot_reply) r = { DOVECOT_OTHER };
    if (dovecot_reply_parse(line, &r) < 0)
        return "it says what is not of the protocol";
    switch (r.verb) {
    case DOVECOT_VERSION:
        return r.major == 1 ? NULL : "it speaks another version of the protocol";
    case DOVECOT_MECH:
        if (r.mechanism >= 0)
            d->heard |= MECHANISM_BIT(r.mechanism);
        return NULL;
    case DOVECOT_DONE:
        if (d->state == GREETED)
            become_ready(d);
        return NULL;
    case DOVECOT_OK:
    case DOVECOT_FAIL:
    case DOVECOT_CONT:
        if (d->state != READY)
            return "it answers before it was asked";
        take_answer(d, &r);
        return NULL;
    default:
        return NULL;
    }
}

/* Stops when a callback has closed us. */
static const char *take_lines(struct dovecot *d)
{
    const char *why = NULL;
    size_t taken = 0;
    while (why == NULL && !d->is_closing) {
        struct slice rest = slice_skip(slice_of(d->in->data, d->in->len), taken);
        size_t end = slice_find(rest, 0, '\n');
        if (end == rest.len) {
            if (end > DOVECOT_LINE_MAX)
                why = "it says more than fits in a line";
            break;
        }
        taken += end + 1;
        why = take_line(d, slice_first(rest, end));
    }
    if (taken > 0)
        g_byte_array_remove_range(d->in, 0, (guint)taken);
    return why;
}

static void on_read(void *owner, struct slice bytes)
{
    struct dovecot *d = owner;
    g_byte_array_append(d->in, bytes.data, (guint)bytes.len);
    enter(d);
    const char *why = take_lines(d);
    if (why != NULL && !d->is_closing)
        lose(d, why);
    leave(d);
}

static void on_end(void *owner, int error)
{
    lose(owner, error == 0 ? "it closed the connection" : g_strerror(-error));
}

static void on_connected(void *owner, int error)
{
    struct dovecot *d = owner;
    if (error < 0)
        lose(d, g_strerror(-error));
    else
        stream_set_reading(d->stream, true);
}

static const struct stream_events events = {
    .on_connected = on_connected,
    .on_read = on_read,
    .on_end = on_end,
};

static void connect_now(struct dovecot *d)
{
    g_autofree char *hello = dovecot_hello((int)getpid());
    int r = stream_connect(d->reactor, (const struct sockaddr *)&d->address, sizeof d->address, &events, d,
                           &d->stream);
    if (r < 0) {
        lose(d, g_strerror(-r));
        return;
    }
    d->state = GREETED;
    d->heard = 0;
    timer_start(d->timer, reactor_now(d->reactor) + DOVECOT_TIMEOUT_MS);
    send_line(d, hello);
}

/* ---- outside ---- */

int dovecot_new(struct reactor *r, const char *path, const struct pst_log *log, struct dovecot **ret_dovecot)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    struct dovecot *d = g_new0(struct dovecot, 1);
    d->reactor = r;
    d->log = log;
    d->address = address;
    d->pause = DOVECOT_PAUSE_MIN_MS;
    d->mechanisms = MECHANISMS_ALL & ~MECHANISM_BIT(MECHANISM_SCRAM_SHA_256_PLUS);
    d->in = g_byte_array_new();
    d->requests = g_hash_table_new(NULL, NULL);
    g_queue_init(&d->order);
    d->timer = timer_new(r, on_timer, d);
    connect_now(d);
    *ret_dovecot = d;
    return 0;
}

void dovecot_close(struct dovecot *d)
{
    if (d == NULL)
        return;
    pst_assert(g_queue_is_empty(&d->order) && !d->is_closing);
    d->is_closing = true;
    enter(d);
    leave(d);
}

unsigned dovecot_mechanisms(const struct dovecot *d)
{
    return d->mechanisms;
}

/* What is no base64 could be another line of ours. */
static int check_response(const char *response)
{
    char *bytes;
    size_t len;
    if (response == NULL || *response == '\0')
        return 0;
    if (gsasl_base64_from(response, strlen(response), &bytes, &len) != GSASL_OK)
        return -EBADMSG;
    explicit_bzero(bytes, len);
    gsasl_free(bytes);
    return 0;
}

/* A server that reads nothing would make us keep all that is asked. */
static int check_line(struct dovecot *d, const char *line)
{
    if (strlen(line) > DOVECOT_SENT_MAX)
        return -EMSGSIZE;
    return d->state == WAITING || stream_unsent(d->stream) > UNSENT_MAX ? -EHOSTDOWN : 0;
}

static void put(struct dovecot_request *q, char *take_line)
{
    struct dovecot *d = q->dovecot;
    q->is_asked = true;
    timer_start(q->timer, reactor_now(d->reactor) + DOVECOT_TIMEOUT_MS);
    if (d->state == READY) {
        send_line(d, take_line);
        password_wipe(take_line);
    } else {
        q->line = take_line;
    }
}

static uint32_t next_id(struct dovecot *d)
{
    do
        d->last_id++;
    while (d->last_id == 0 || g_hash_table_contains(d->requests, GUINT_TO_POINTER(d->last_id)));
    return d->last_id;
}

int dovecot_ask(struct dovecot *d, enum mechanism m, const struct auth_facts *facts, const char *response,
                dovecot_on_answer on_answer, void *owner, struct dovecot_request **ret_request)
{
    uint32_t id = next_id(d);
    int r = check_response(response);
    if (r < 0)
        return r;
    auto_password char *line = dovecot_line_auth(id, m, facts, response);
    r = check_line(d, line);
    if (r < 0)
        return r;
    struct dovecot_request *q = g_new0(struct dovecot_request, 1);
    q->dovecot = d;
    q->id = id;
    q->on_answer = on_answer;
    q->owner = owner;
    q->timer = timer_new(d->reactor, on_request_timeout, q);
    q->link.data = q;
    g_queue_push_tail_link(&d->order, &q->link);
    g_hash_table_insert(d->requests, GUINT_TO_POINTER(id), q);
    put(q, g_steal_pointer(&line));
    *ret_request = q;
    return 0;
}

int dovecot_go_on(struct dovecot_request *q, const char *response)
{
    pst_assert(!q->is_asked);
    auto_password char *line = dovecot_line_cont(q->id, response);
    int r = q->is_lost ? -EHOSTDOWN : check_response(response);
    if (r == 0)
        r = check_line(q->dovecot, line);
    if (r < 0) {
        dovecot_cancel(q);
        return r;
    }
    put(q, g_steal_pointer(&line));
    return 0;
}

void dovecot_cancel(struct dovecot_request *q)
{
    if (q == NULL)
        return;
    g_autofree char *line = dovecot_line_cancel(q->id);
    if (q->dovecot->state == READY && !q->is_lost)
        send_line(q->dovecot, line);
    request_free(q);
}
