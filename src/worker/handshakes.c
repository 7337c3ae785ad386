#include "worker/handshakes.h"

#include <string.h>

#include "worker/conn.h"

/*
 * The dear step of a handshake takes a third of a millisecond with P-256, and one with RSA of 2048 bits. Two
 * at most are a job, which costs a wake-up each way, and there is one job at a time: more of either, where
 * processors are few, and the loop waits for its own behind them, with everybody else whom it serves.
 */
enum { EACH_JOB = 2 };

struct handshakes {
    struct reactor *reactor;
    struct timer *timer; /* started when somebody has come and there is no job */
    GQueue waiting;      /* of links, whose data is NULL when they are not in it */
    struct conn *conns[EACH_JOB];
    size_t count; /* of these, who have their turn; 0: there is no job */
};

static void run(void *arg)
{
    const struct handshakes *h = arg;
    for (size_t i = 0; i < h->count; i++)
        conn_shake(h->conns[i]);
}

static void on_done(void *arg);

static void start(struct handshakes *h)
{
    h->count = 0;
    while (h->count < EACH_JOB && !g_queue_is_empty(&h->waiting)) {
        GList *link = g_queue_pop_head_link(&h->waiting);
        struct conn *c = g_steal_pointer(&link->data);
        conn_begin_turn(c);
        h->conns[h->count++] = c;
    }
    if (h->count > 0)
        reactor_submit(h->reactor, run, on_done, h);
}

static void on_done(void *arg)
{
    struct handshakes *h = arg;
    struct conn *done[EACH_JOB];
    size_t count = h->count;
    memcpy(done, h->conns, sizeof done);
    start(h); /* whoever is next has a thread while the loop goes on with these */
    for (size_t i = 0; i < count; i++)
        conn_end_turn(done[i]); /* the last one may have been what the row was still there for */
}

static void on_timer(void *owner)
{
    struct handshakes *h = owner;
    if (h->count == 0)
        start(h);
}

struct handshakes *handshakes_new(struct reactor *r)
{
    struct handshakes *h = g_new0(struct handshakes, 1);
    h->reactor = r;
    h->timer = timer_new(r, on_timer, h);
    return h;
}

void handshakes_free(struct handshakes *h)
{
    if (h == NULL)
        return;
    timer_close(h->timer);
    g_free(h);
}

void handshakes_join(struct handshakes *h, GList *link, struct conn *c)
{
    if (link->data != NULL)
        return;
    link->data = c;
    g_queue_push_tail_link(&h->waiting, link);
    if (h->count == 0)
        timer_start(h->timer, reactor_now(h->reactor)); /* when the loop has seen what else there is */
}

void handshakes_leave(struct handshakes *h, GList *link)
{
    if (link->data == NULL)
        return;
    g_queue_unlink(&h->waiting, link);
    link->data = NULL;
}
