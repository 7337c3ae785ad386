#include "worker/handshakes.h"

#include "worker/conn.h"

/* The dear step of a handshake takes a third of a millisecond with P-256, and one with RSA of 2048 bits. */
enum { EACH_TURN = 4 };

struct handshakes {
    struct reactor *reactor;
    struct timer *timer; /* started while somebody waits */
    GQueue waiting;      /* of links, whose data is NULL when they are not in it */
};

static void await_turn(struct handshakes *h)
{
    timer_start(h->timer, reactor_now(h->reactor)); /* when the loop has seen what else there is */
}

static void on_turn(void *owner)
{
    struct handshakes *h = owner;
    for (unsigned i = 0; i < EACH_TURN && !g_queue_is_empty(&h->waiting); i++) {
        GList *link = g_queue_pop_head_link(&h->waiting);
        conn_shake(g_steal_pointer(&link->data));
    }
    if (!g_queue_is_empty(&h->waiting))
        await_turn(h);
}

struct handshakes *handshakes_new(struct reactor *r)
{
    struct handshakes *h = g_new0(struct handshakes, 1);
    h->reactor = r;
    h->timer = timer_new(r, on_turn, h);
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
    if (g_queue_is_empty(&h->waiting))
        await_turn(h);
    link->data = c;
    g_queue_push_tail_link(&h->waiting, link);
}

void handshakes_leave(struct handshakes *h, GList *link)
{
    if (link->data == NULL)
        return;
    g_queue_unlink(&h->waiting, link);
    link->data = NULL;
}
