#include "worker/handshakes.h"

#include "worker/conn.h"

/* The dear step of a handshake takes a third of a millisecond with P-256, and one with RSA of 2048 bits. Who
 * comes while others have their turn gathers, so that one job serves several. */
enum {
    JOBS = 2, /* at a time */
    EACH_JOB = 4
};

struct handshakes {
    struct reactor *reactor;
    struct timer *timer; /* started while somebody waits and a job is free */
    GQueue waiting;      /* of links, whose data is NULL when they are not in it */
    unsigned jobs;
};

struct job {
    struct handshakes *handshakes;
    size_t count;
    struct conn *conns[EACH_JOB];
};

static void run(void *arg)
{
    struct job *job = arg;
    for (size_t i = 0; i < job->count; i++)
        conn_shake(job->conns[i]);
}

static void await_job(struct handshakes *h)
{
    if (h->jobs < JOBS && !g_queue_is_empty(&h->waiting))
        timer_start(h->timer, reactor_now(h->reactor)); /* when the loop has seen what else there is */
}

static void on_done(void *arg)
{
    g_autofree struct job *job = arg;
    job->handshakes->jobs--;
    await_job(job->handshakes);
    for (size_t i = 0; i < job->count; i++)
        conn_end_turn(job->conns[i]); /* the last one may have been what the row was still there for */
}

static void start(struct handshakes *h)
{
    struct job *job = g_new0(struct job, 1);
    job->handshakes = h;
    while (job->count < EACH_JOB && !g_queue_is_empty(&h->waiting)) {
        GList *link = g_queue_pop_head_link(&h->waiting);
        struct conn *c = g_steal_pointer(&link->data);
        conn_begin_turn(c);
        job->conns[job->count++] = c;
    }
    h->jobs++;
    reactor_submit(h->reactor, run, on_done, job);
}

static void on_timer(void *owner)
{
    struct handshakes *h = owner;
    while (h->jobs < JOBS && !g_queue_is_empty(&h->waiting))
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
    await_job(h);
}

void handshakes_leave(struct handshakes *h, GList *link)
{
    if (link->data == NULL)
        return;
    g_queue_unlink(&h->waiting, link);
    link->data = NULL;
}
