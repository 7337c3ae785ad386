#include "auth/turns.h"

#include "auth/network.h"
#include "base/assert.h"

struct turns_client {
    struct in6_addr network; /* the key */
    GQueue waiting;          /* of turns; never empty */
    GList link;              /* in `order` */
};

struct turns {
    GHashTable *clients; /* struct turns_client -> itself */
    GQueue order;        /* the same; whose turn is next is the first */
};

struct turns *turns_new(void)
{
    struct turns *t = g_new0(struct turns, 1);
    t->clients = g_hash_table_new_full(network_hash, network_equal, g_free, NULL);
    g_queue_init(&t->order);
    return t;
}

void turns_free(struct turns *t)
{
    if (t == NULL)
        return;
    pst_assert(g_queue_is_empty(&t->order));
    g_hash_table_destroy(t->clients);
    g_free(t);
}

static struct turns_client *client_for(struct turns *t, const char *address)
{
    struct turns_client key = { 0 };
    (void)network_parse(address, &key.network); /* all zeros without */
    struct turns_client *c = g_hash_table_lookup(t->clients, &key);
    if (c != NULL)
        return c;
    c = g_new0(struct turns_client, 1);
    c->network = key.network;
    g_queue_init(&c->waiting);
    c->link.data = c;
    g_queue_push_tail_link(&t->order, &c->link);
    g_hash_table_add(t->clients, c);
    return c;
}

void turns_join(struct turns *t, struct turn *turn, const char *client, void *who)
{
    pst_assert(turn->client == NULL);
    turn->client = client_for(t, client);
    turn->who = who;
    turn->link.data = turn;
    g_queue_push_tail_link(&turn->client->waiting, &turn->link);
}

void turns_leave(struct turns *t, struct turn *turn)
{
    struct turns_client *c = turn->client;
    if (c == NULL)
        return;
    turn->client = NULL;
    g_queue_unlink(&c->waiting, &turn->link);
    if (!g_queue_is_empty(&c->waiting))
        return;
    g_queue_unlink(&t->order, &c->link);
    g_hash_table_remove(t->clients, c);
}

bool turn_is_waiting(const struct turn *turn)
{
    return turn->client != NULL;
}

void *turns_next(struct turns *t)
{
    GList *first = g_queue_pop_head_link(&t->order);
    if (first == NULL)
        return NULL;
    g_queue_push_tail_link(&t->order, first); /* whatever else it has comes behind the others' */
    struct turns_client *c = first->data;
    struct turn *turn = g_queue_peek_head(&c->waiting);
    turns_leave(t, turn);
    return turn->who;
}
