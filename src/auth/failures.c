#include "auth/failures.h"

#include <glib.h>

#include "auth/network.h"

struct client {
    struct in6_addr network; /* the key */
    unsigned failures;
    msec_t last;
    GList link; /* in `order` */
};

struct failures {
    GHashTable *clients; /* struct client -> itself */
    GQueue order;        /* who failed longest ago is the first */
};

struct failures *failures_new(void)
{
    struct failures *f = g_new0(struct failures, 1);
    f->clients = g_hash_table_new_full(network_hash, network_equal, g_free, NULL);
    g_queue_init(&f->order);
    return f;
}

void failures_free(struct failures *f)
{
    if (f == NULL)
        return;
    g_hash_table_destroy(f->clients); /* the links lie in the clients */
    g_free(f);
}

static void forget(struct failures *f, struct client *c)
{
    g_queue_unlink(&f->order, &c->link);
    g_hash_table_remove(f->clients, c);
}

/* Those that are first are the oldest, so the work is one look for each that was ever added. */
static void forget_old(struct failures *f, msec_t now)
{
    struct client *oldest;
    while ((oldest = g_queue_peek_head(&f->order)) != NULL && now - oldest->last >= FAILURES_FORGOTTEN_MS)
        forget(f, oldest);
}

static struct client *client_for(struct failures *f, const struct in6_addr *network)
{
    struct client key = { .network = *network };
    struct client *c = g_hash_table_lookup(f->clients, &key);
    if (c != NULL) {
        g_queue_unlink(&f->order, &c->link);
    } else {
        if (g_hash_table_size(f->clients) >= FAILURES_CLIENTS)
            forget(f, g_queue_peek_head(&f->order));
        c = g_new0(struct client, 1);
        c->network = *network;
        c->link.data = c;
        g_hash_table_add(f->clients, c);
    }
    g_queue_push_tail_link(&f->order, &c->link);
    return c;
}

msec_t failures_add(struct failures *f, const char *client, msec_t delay, msec_t now)
{
    struct in6_addr network;
    if (!network_parse(client, &network))
        return delay;
    forget_old(f, now);
    struct client *c = client_for(f, &network);
    unsigned doublings = MIN(c->failures, FAILURES_DOUBLINGS);
    c->failures = doublings + 1; /* more makes no difference */
    c->last = now;
    return delay << doublings;
}

size_t failures_count(const struct failures *f)
{
    return g_hash_table_size(f->clients);
}
