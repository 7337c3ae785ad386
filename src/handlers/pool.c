#include "handlers/pool.h"

#include <string.h>

#include "base/assert.h"
#include "handlers/host.h"

enum {
    POOL_MAGIC = 0x706f6f6c,
    BACKOFF_MS = 100, /* between starts that fail: this, twice this, ... */
    BACKOFF_MAX_MS = 10 * 1000,
};

struct request {
    struct handler_pool *pool;
    const struct wire_message *message;
    int fd;
    handler_on_answer on_answer;
    void *owner;
    msec_t deadline;  /* while it waits */
    bool needs_fresh; /* a host: one that was used has died of it */
};

struct handler_pool {
    uint32_t magic;
    struct reactor *r;
    const struct handler_settings *settings;
    const struct pst_log *log;
    GPtrArray *hosts;    /* struct handler_host, those that are not gone */
    unsigned serving;    /* of them, those that are not lost */
    uint64_t started;    /* ever */
    GQueue waiting;      /* struct request, in the order of their deadlines */
    GQueue again;        /* struct request, those that need a fresh host; the same */
    GQueue too_large;    /* struct request, to be answered so */
    unsigned failures;   /* starts in a row that came to nothing */
    msec_t failed_at;    /* the last of them */
    msec_t not_before;   /* of the next start */
    struct timer *timer; /* for all of this */
    bool closing;
    void (*on_closed)(void *owner);
    void *on_closed_owner;
};

static struct handler_pool *pool_of(void *owner)
{
    struct handler_pool *p = owner;
    pst_assert(p->magic == POOL_MAGIC);
    return p;
}

static void pool_go_on(struct handler_pool *p);

/* ---- hosts ---- */

/* The first time it may be an accident. */
static void pool_note_failed_start(struct handler_pool *p)
{
    msec_t now = reactor_now(p->r);
    if (now - p->failed_at > 2 * BACKOFF_MAX_MS)
        p->failures = 0;
    p->failed_at = now;
    unsigned doublings = MIN(p->failures, 10);
    msec_t pause = p->failures++ == 0 ? 0 : MIN(BACKOFF_MS << (doublings - 1), BACKOFF_MAX_MS);
    p->not_before = MAX(p->not_before, now + pause);
}

static void on_host_ready(void *owner)
{
    pool_go_on(pool_of(owner));
}

static void on_host_lost(void *owner, bool failed_start)
{
    struct handler_pool *p = pool_of(owner);
    p->serving--;
    if (failed_start)
        pool_note_failed_start(p);
    pool_go_on(p);
}

static void on_host_gone(void *owner, struct handler_host *h)
{
    struct handler_pool *p = pool_of(owner);
    g_ptr_array_remove_fast(p->hosts, h);
    pool_go_on(p);
}

static bool pool_start_host(struct handler_pool *p)
{
    static const struct host_events events = { on_host_ready, on_host_lost, on_host_gone };
    struct handler_host *h;
    int error = host_start(p->r, p->settings, p->log, &events, p, &h);
    if (error < 0) {
        pst_log(p->log, PST_LOG_ERROR, "handler-host-failed", PST_STR("reason", "not-started"),
                PST_STR("program", p->settings->program), PST_STR("error", g_strerror(-error)));
        pool_note_failed_start(p);
        return false;
    }
    bool is_replacement = p->started++ >= p->settings->processes;
    pst_log(p->log, is_replacement ? PST_LOG_INFO : PST_LOG_DEBUG,
            is_replacement ? "handler-host-replaced" : "handler-host-started");
    g_ptr_array_add(p->hosts, h);
    p->serving++;
    return true;
}

static bool somebody_waits(struct handler_pool *p)
{
    return !g_queue_is_empty(&p->waiting) || !g_queue_is_empty(&p->again);
}

/* The one that waits for the longest. */
static GQueue *first_queue(struct handler_pool *p)
{
    const struct request *a = g_queue_peek_head(&p->waiting), *b = g_queue_peek_head(&p->again);
    return a == NULL || (b != NULL && b->deadline < a->deadline) ? &p->again : &p->waiting;
}

/* Even while it closes, as long as somebody waits. */
static void pool_fill(struct handler_pool *p)
{
    while ((!p->closing || somebody_waits(p)) && p->serving < p->settings->processes &&
           reactor_now(p->r) >= p->not_before)
        (void)pool_start_host(p); /* if it fails, not_before has moved, or it is tried just once more */
}

static struct handler_host *pool_ready_host(const struct handler_pool *p, bool is_wanted[2])
{
    for (guint i = 0; i < p->hosts->len; i++) {
        struct handler_host *h = g_ptr_array_index(p->hosts, i);
        if (host_is_ready(h) && is_wanted[host_is_fresh(h)])
            return h;
    }
    return NULL;
}

/* ---- questions ---- */

/*
 * What died while it parsed, in a host where handlers had seen other messages, may have died of what they
 * left behind: the message is only to blame when it kills a fresh host, too. And a host that ended without
 * having looked at the message has done nothing about it.
 */
static bool is_to_be_tried_again(const struct request *asked, const struct handler_answer *answer)
{
    bool is_suspect = answer->outcome == HANDLER_CHOKED && !answer->was_fresh;
    return (is_suspect || answer->was_unread) && !asked->needs_fresh;
}

static void on_host_answer(void *owner, struct handler_answer *take_answer)
{
    struct request *asked = owner;
    struct handler_pool *p = pool_of(asked->pool);
    if (is_to_be_tried_again(asked, take_answer)) {
        handler_answer_free(take_answer);
        asked->needs_fresh = true;
        asked->deadline = reactor_now(p->r) + p->settings->timeout;
        g_queue_push_tail(&p->again, asked);
    } else {
        asked->on_answer(asked->owner, take_answer);
        g_free(asked);
    }
    pool_go_on(p);
}

static void pool_hand_out_from(struct handler_pool *p, GQueue *queue, bool is_wanted[2])
{
    struct handler_host *h;
    while (!g_queue_is_empty(queue) && (h = pool_ready_host(p, is_wanted)) != NULL) {
        struct request *next = g_queue_pop_head(queue);
        if (host_ask(h, next->message, next->fd, on_host_answer, next) < 0)
            g_queue_push_tail(&p->too_large, next);
    }
}

static void pool_hand_out(struct handler_pool *p)
{
    pool_hand_out_from(p, &p->again, (bool[]){ false, true });
    pool_hand_out_from(p, &p->waiting, (bool[]){ true, g_queue_is_empty(&p->again) });
}

void handler_pool_ask(struct handler_pool *p, const struct wire_message *message, int fd,
                      handler_on_answer on_answer, void *owner)
{
    pst_assert(p->magic == POOL_MAGIC && !p->closing);
    struct request *asked = g_new(struct request, 1);
    *asked = (struct request){ .pool = p,
                               .message = message,
                               .fd = fd,
                               .on_answer = on_answer,
                               .owner = owner,
                               .deadline = reactor_now(p->r) + p->settings->timeout };
    g_queue_push_tail(&p->waiting, asked);
    pool_go_on(p);
}

static void answer_failure(struct request *take_request, enum handler_failure failure)
{
    const struct wire_message *m = take_request->message;
    pst_log(take_request->pool->log, PST_LOG_ERROR, "handler-failed", PST_STR("session", m->session),
            PST_STR("id", m->id), PST_STR("reason", handler_failure_names[failure]));
    on_host_answer(take_request, handler_answer_of_failure(failure));
}

static bool pool_answer_too_large(struct handler_pool *p)
{
    struct request *first = g_queue_pop_head(&p->too_large);
    if (first != NULL)
        answer_failure(first, HANDLER_TOO_LARGE);
    return first != NULL;
}

static bool pool_answer_too_late(struct handler_pool *p)
{
    GQueue *queue = first_queue(p);
    const struct request *first = g_queue_peek_head(queue);
    if (first == NULL || first->deadline > reactor_now(p->r))
        return false;
    answer_failure(g_queue_pop_head(queue), HANDLER_NO_HOST);
    return true;
}

/* ---- its life ---- */

/* Nobody waits, and nobody is being served. */
static bool pool_is_idle(struct handler_pool *p)
{
    if (somebody_waits(p) || !g_queue_is_empty(&p->too_large))
        return false;
    for (guint i = 0; i < p->hosts->len; i++)
        if (host_is_busy(g_ptr_array_index(p->hosts, i)))
            return false;
    return true;
}

static void pool_free(struct handler_pool *p)
{
    void (*on_closed)(void *owner) = p->on_closed;
    void *owner = p->on_closed_owner;
    timer_close(p->timer);
    g_ptr_array_unref(p->hosts);
    p->magic = 0;
    g_free(p);
    if (on_closed != NULL)
        on_closed(owner);
}

/* The instant at which something is to be done, if nothing happens before. */
static msec_t pool_deadline(struct handler_pool *p)
{
    const struct request *first = g_queue_peek_head(first_queue(p));
    msec_t deadline = first != NULL ? first->deadline : MSEC_NEVER;
    if (p->serving < p->settings->processes && (!p->closing || first != NULL))
        deadline = MIN(deadline, p->not_before);
    if (!g_queue_is_empty(&p->too_large) || (p->closing && p->hosts->len == 0 && first == NULL))
        deadline = reactor_now(p->r);
    return deadline;
}

/* Whatever has happened: what can be done now is done, but what calls the owner, for which the timer is. */
static void pool_go_on(struct handler_pool *p)
{
    pool_fill(p);
    pool_hand_out(p);
    if (p->closing && pool_is_idle(p))
        g_ptr_array_foreach(p->hosts, (GFunc)(void *)host_end, NULL);
    timer_start(p->timer, pool_deadline(p));
}

static void pool_on_timer(void *owner)
{
    struct handler_pool *p = pool_of(owner);
    while (pool_answer_too_large(p) || pool_answer_too_late(p))
        ;
    if (p->closing && pool_is_idle(p) && p->hosts->len == 0)
        pool_free(p);
    else
        pool_go_on(p);
}

struct handler_pool *handler_pool_new(struct reactor *r, const struct handler_settings *settings,
                                      const struct pst_log *log)
{
    pst_assert(settings->processes > 0);
    struct handler_pool *p = g_new0(struct handler_pool, 1);
    p->magic = POOL_MAGIC;
    p->r = r;
    p->settings = settings;
    p->log = log;
    p->hosts = g_ptr_array_new();
    p->timer = timer_new(r, pool_on_timer, p);
    p->failed_at = reactor_now(r);
    p->not_before = p->failed_at;
    g_queue_init(&p->waiting);
    g_queue_init(&p->again);
    g_queue_init(&p->too_large);
    pool_go_on(p);
    return p;
}

void handler_pool_close(struct handler_pool *p, void (*on_closed)(void *owner), void *owner)
{
    pst_assert(p->magic == POOL_MAGIC && !p->closing);
    p->closing = true;
    p->on_closed = on_closed;
    p->on_closed_owner = owner;
    pool_go_on(p);
}
