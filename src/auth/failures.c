#include "auth/failures.h"

#include <arpa/inet.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>

enum { NETWORK_SIZE = 8 }; /* octets of an IPv6 address */

struct client {
    struct in6_addr network; /* the key; IPv4 as IPv4-mapped */
    unsigned failures;
    msec_t last;
    GList link; /* in `order` */
};

struct failures {
    GHashTable *clients; /* struct client -> itself */
    GQueue order;        /* who failed longest ago is the first */
};

/* Addresses are spread well enough by what differs in them; who chooses them gains nothing but a slow lookup
 * among 4096. */
static guint hash_network(gconstpointer key)
{
    guint32 words[4];
    memcpy(words, &((const struct client *)key)->network, sizeof words);
    return ((words[0] * 31 + words[1]) * 31 + words[2]) * 31 + words[3];
}

static gboolean same_network(gconstpointer a, gconstpointer b)
{
    return memcmp(&((const struct client *)a)->network, &((const struct client *)b)->network,
                  sizeof(struct in6_addr)) == 0;
}

struct failures *failures_new(void)
{
    struct failures *f = g_new0(struct failures, 1);
    f->clients = g_hash_table_new_full(hash_network, same_network, g_free, NULL);
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

static bool parse_network(const char *text, struct in6_addr *ret_network)
{
    struct in_addr v4;
    *ret_network = (struct in6_addr){ 0 };
    if (inet_pton(AF_INET, text, &v4) == 1) {
        ret_network->s6_addr[10] = ret_network->s6_addr[11] = 0xff;
        memcpy(ret_network->s6_addr + 12, &v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, text, ret_network) != 1)
        return false;
    if (!IN6_IS_ADDR_V4MAPPED(ret_network))
        memset(ret_network->s6_addr + NETWORK_SIZE, 0, sizeof *ret_network - NETWORK_SIZE);
    return true;
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
    if (client == NULL || !parse_network(client, &network))
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
