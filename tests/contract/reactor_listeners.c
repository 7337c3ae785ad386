/* The contract of listeners and addresses. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "reactor_contract.h"

enum { CLIENTS = 5 };

struct crowd {
    struct world w;
    struct listener *listener;
    struct address address;
    struct end clients[CLIENTS], servers[CLIENTS];
    unsigned notices; /* calls of on_connection */
    unsigned accepted;
    unsigned per_notice; /* listener_accept is called so often */
    bool close_it;
};

static int crowd_accept(struct crowd *c)
{
    struct end *e = &c->servers[MIN(c->accepted, CLIENTS - 1)];
    int error;
    INSIDE(&c->w, error = listener_accept(c->listener, &end_events, e, &e->s));
    if (error == 0)
        c->accepted++;
    return error;
}

static void crowd_on_connection(void *owner)
{
    struct crowd *c = owner;
    assert_false(c->w.inside);
    c->notices++;
    for (unsigned i = 0; i < c->per_notice; i++) {
        int error = crowd_accept(c);
        if (error == -EAGAIN)
            break;
        assert_int_equal(error, 0);
    }
    if (c->close_it)
        INSIDE(&c->w, listener_close(g_steal_pointer(&c->listener)));
}

static void crowd_begin(struct crowd *c, int family, unsigned per_notice)
{
    *c = (struct crowd){ .per_notice = per_notice };
    world_begin(&c->w);
    c->listener = open_listener(&c->w, family, crowd_on_connection, c, &c->address);
    for (size_t i = 0; i < CLIENTS; i++) {
        end_init(&c->clients[i], &c->w);
        end_init(&c->servers[i], &c->w);
    }
}

static void crowd_connect(struct crowd *c, size_t i)
{
    struct end *e = &c->clients[i];
    assert_int_equal(stream_connect(c->w.r, SOCKADDR(&c->address), c->address.len, &end_events, e, &e->s), 0);
}

static void crowd_end(struct crowd *c)
{
    listener_close(c->listener);
    for (size_t i = 0; i < CLIENTS; i++) {
        end_abort(&c->clients[i]);
        end_abort(&c->servers[i]);
    }
    world_end(&c->w);
    for (size_t i = 0; i < CLIENTS; i++) {
        end_clear(&c->clients[i]);
        end_clear(&c->servers[i]);
    }
}

/* ---- accepting ---- */

static void nobody_waits(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 1);
    assert_int_equal(crowd_accept(&c), -EAGAIN);
    world_settle(&c.w);
    assert_int_equal(c.notices, 0);
    crowd_connect(&c, 0);
    RUN_UNTIL(&c.w, c.accepted == 1);
    assert_int_equal(crowd_accept(&c), -EAGAIN);
    crowd_end(&c);
}

static void accepts_all(struct crowd *c)
{
    for (size_t i = 0; i < CLIENTS; i++)
        crowd_connect(c, i);
    RUN_UNTIL(&c->w, c->accepted == CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) { /* each has another peer */
        RUN_UNTIL(&c->w, c->clients[i].connected == 1);
        char letter = (char)('a' + i);
        end_write(&c->clients[i], &letter, 1);
        stream_set_reading(c->servers[i].s, true);
    }
    unsigned seen = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        RUN_UNTIL(&c->w, c->servers[i].got->len == 1);
        seen |= 1u << (c->servers[i].got->data[0] - 'a');
    }
    assert_int_equal(seen, (1u << CLIENTS) - 1);
}

static void accepts_one_at_a_time(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 1);
    accepts_all(&c);
    crowd_end(&c);
}

static void accepts_as_many_as_wait(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), CLIENTS + 1);
    accepts_all(&c);
    crowd_end(&c);
}

static void waits_in_backlog(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 0);
    for (size_t i = 0; i < CLIENTS - 1; i++)
        crowd_connect(&c, i);
    RUN_UNTIL(&c.w, c.notices > 0);
    crowd_connect(&c, CLIENTS - 1);
    RUN_UNTIL(&c.w, c.clients[CLIENTS - 1].connected == 1);
    world_settle(&c.w);
    assert_int_equal(c.notices, 1); /* once told is enough */
    c.per_notice = 1;
    assert_int_equal(crowd_accept(&c), 0); /* outside of the callback */
    RUN_UNTIL(&c.w, c.accepted == CLIENTS);
    crowd_end(&c);
}

static void accepts_one_that_left(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 0);
    crowd_connect(&c, 0);
    RUN_UNTIL(&c.w, c.clients[0].connected == 1);
    end_write_text(&c.clients[0], "was here");
    end_close(&c.clients[0]);
    RUN_UNTIL(&c.w, c.notices == 1);
    assert_int_equal(crowd_accept(&c), 0);
    stream_set_reading(c.servers[0].s, true);
    RUN_UNTIL(&c.w, c.servers[0].ends == 1);
    assert_int_equal(c.servers[0].end_error, 0);
    assert_true(end_got(&c.servers[0], "was here"));
    crowd_end(&c);
}

/* ---- turning away ---- */

static const char farewell[] = "421 come again\r\n";

static int crowd_turn_away(struct crowd *c)
{
    int error;
    INSIDE(&c->w, error = listener_turn_away(c->listener, slice_of(farewell, strlen(farewell))));
    return error;
}

static void reads_farewell(struct crowd *c, size_t i)
{
    stream_set_reading(c->clients[i].s, true);
    RUN_UNTIL(&c->w, c->clients[i].ends == 1);
    assert_true(end_got(&c->clients[i], farewell));
    assert_int_equal(c->clients[i].end_error, 0);
}

static void turns_away(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 0);
    assert_int_equal(crowd_turn_away(&c), -EAGAIN);
    crowd_connect(&c, 0);
    end_write_text(&c.clients[0], "EHLO too early\r\n"); /* unread, it must not reset the farewell away */
    RUN_UNTIL(&c.w, c.notices == 1);
    world_settle(&c.w);
    assert_int_equal(crowd_turn_away(&c), 0);
    reads_farewell(&c, 0);
    c.per_notice = 1;
    crowd_connect(&c, 1); /* the listener goes on */
    RUN_UNTIL(&c.w, c.accepted == 1);
    crowd_end(&c);
}

static void turns_away_one_that_left(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 0);
    crowd_connect(&c, 0);
    RUN_UNTIL(&c.w, c.clients[0].connected == 1);
    end_close(&c.clients[0]);
    RUN_UNTIL(&c.w, c.notices == 1);
    assert_int_equal(crowd_turn_away(&c), 0);
    crowd_end(&c);
}

static void turn_away_in_shortage(void *owner)
{
    struct crowd *c = owner;
    c->notices++;
    if (crowd_accept(c) == -EMFILE)
        c->per_notice += crowd_turn_away(c) == 0; /* asserted when there are descriptors again */
}

static void turns_away_in_shortage(void **state)
{
    struct crowd c = { .per_notice = 0 };
    world_begin(&c.w);
    c.listener = open_listener(&c.w, family_of(state), turn_away_in_shortage, &c, &c.address);
    for (size_t i = 0; i < CLIENTS; i++) {
        end_init(&c.clients[i], &c.w);
        end_init(&c.servers[i], &c.w);
    }
    for (size_t i = 0; i < CLIENTS - 1; i++)
        crowd_connect(&c, i);
    twin_set_shortage(c.w.r, true);
    while (c.notices < CLIENTS - 1)
        twin_turn(c.w.r);
    world_settle(&c.w);
    twin_set_shortage(c.w.r, false);
    assert_int_equal(c.notices, CLIENTS - 1); /* no spinning */
    assert_int_equal(c.per_notice, CLIENTS - 1);
    for (size_t i = 0; i < CLIENTS - 1; i++)
        reads_farewell(&c, i);
    crowd_connect(&c, CLIENTS - 1);
    RUN_UNTIL(&c.w, c.accepted == 1);
    crowd_end(&c);
}

/* ---- closing ---- */

static void closed_inside_on_connection(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 0);
    c.close_it = true;
    for (size_t i = 0; i < CLIENTS; i++) {
        c.clients[i].read_at_once = true;
        crowd_connect(&c, i);
    }
    RUN_UNTIL(&c.w, c.notices == 1);
    for (size_t i = 0; i < CLIENTS; i++) /* refused, or let in to nobody */
        RUN_UNTIL(&c.w, c.clients[i].connect_error < 0 || c.clients[i].ends == 1);
    world_settle(&c.w);
    assert_int_equal(c.notices, 1);
    crowd_end(&c);
}

static void accepted_live_on(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 1);
    crowd_connect(&c, 0);
    RUN_UNTIL(&c.w, c.accepted == 1);
    listener_close(g_steal_pointer(&c.listener));
    stream_set_reading(c.clients[0].s, true);
    end_write_text(&c.servers[0], "still here");
    RUN_UNTIL(&c.w, end_got(&c.clients[0], "still here"));
    crowd_end(&c);
}

static void unix_file_stays(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct address a;
    listener_close(open_listener(&w, AF_UNIX, crowd_on_connection, NULL, &a));
    struct listener *l;
    assert_int_equal(listener_open(w.r, SOCKADDR(&a), a.len, 5, crowd_on_connection, NULL, &l), -EADDRINUSE);
    const struct sockaddr_un *un = (const void *)&a.storage;
    twin_unlink(w.r, un->sun_path);
    assert_int_equal(listener_open(w.r, SOCKADDR(&a), a.len, 5, crowd_on_connection, NULL, &l), 0);
    listener_close(l);
    world_end(&w);
}

/* ---- addresses ---- */

static void port_0_gets_a_number(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct address a, b;
    struct listener *first = open_listener(&w, AF_INET, crowd_on_connection, NULL, &a);
    struct listener *second = open_listener(&w, AF_INET, crowd_on_connection, NULL, &b);
    const struct sockaddr_in *left = (const void *)&a.storage, *right = (const void *)&b.storage;
    assert_int_equal(a.len, sizeof *left);
    assert_int_equal(left->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_not_equal(left->sin_port, 0);
    assert_int_not_equal(right->sin_port, 0);
    assert_int_not_equal(left->sin_port, right->sin_port);
    struct listener *third;
    assert_int_equal(listener_open(w.r, SOCKADDR(&a), a.len, 5, crowd_on_connection, NULL, &third),
                     -EADDRINUSE);
    listener_close(first);
    assert_int_equal(listener_open(w.r, SOCKADDR(&a), a.len, 5, crowd_on_connection, NULL, &third), 0);
    listener_close(second);
    listener_close(third);
    world_end(&w);
}

static void peers_on_tcp(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    struct address of_client, of_server;
    assert_int_equal(stream_peer(p.client.s, &of_client.storage, &of_client.len), 0);
    assert_int_equal(of_client.len, p.address.len);
    assert_memory_equal(&of_client.storage, &p.address.storage, p.address.len);
    twin_reset(p.client.s);
    world_settle(&p.w);
    assert_int_equal(stream_peer(p.server.s, &of_server.storage, &of_server.len), 0); /* who was it? */
    const struct sockaddr_in *in = (const void *)&of_server.storage;
    assert_int_equal(of_server.len, sizeof *in);
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_not_equal(in->sin_port, 0);
    assert_memory_not_equal(&of_server.storage, &p.address.storage, sizeof *in);
    pair_end(&p);
}

static void peers_on_unix(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_UNIX);
    struct address of_client, of_server;
    assert_int_equal(stream_peer(p.client.s, &of_client.storage, &of_client.len), 0);
    assert_int_equal(of_client.len, p.address.len);
    assert_memory_equal(&of_client.storage, &p.address.storage, p.address.len);
    assert_int_equal(stream_peer(p.server.s, &of_server.storage, &of_server.len), 0);
    assert_int_equal(of_server.storage.ss_family, AF_UNIX);
    assert_int_equal(of_server.len, sizeof(sa_family_t)); /* it has no name */
    pair_end(&p);
}

static void bad_addresses(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct listener *l = NULL;
    struct address a = { .len = 4 };
    a.storage.ss_family = AF_INET;
    assert_int_equal(listener_open(w.r, SOCKADDR(&a), a.len, 5, crowd_on_connection, NULL, &l), -EINVAL);
    assert_null(l);
    world_end(&w);
}

/* ---- taking over a bound socket ---- */

static void adopts(void **state)
{
    struct crowd c;
    crowd_begin(&c, family_of(state), 1);
    listener_close(c.listener);
    struct address a = local_address(family_of(state));
    int fd = socket(family_of(state), SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, SOCKADDR(&a), a.len), 0);
    int error;
    INSIDE(&c.w, error = listener_adopt(c.w.r, fd, 5, crowd_on_connection, &c, &c.listener));
    assert_int_equal(error, 0);
    assert_int_equal(listener_address(c.listener, &c.address.storage, &c.address.len), 0);
    if (family_of(state) == AF_UNIX)
        assert_memory_equal(&c.address.storage, &a.storage, a.len);
    crowd_connect(&c, 0);
    RUN_UNTIL(&c.w, c.accepted == 1 && c.clients[0].connected == 1);
    assert_int_equal(c.clients[0].connect_error, 0);
    crowd_end(&c);
}

static void adopts_no_socket(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct listener *l = NULL;
    assert_int_equal(listener_adopt(w.r, fds[0], 5, crowd_on_connection, NULL, &l), -ENOTSOCK);
    assert_null(l);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* taken all the same */
    close(fds[1]);
    world_end(&w);
}

void add_listener_cases(struct suite *suite)
{
    add_for_both(suite, "accepting when nobody waits", nobody_waits);
    add_for_both(suite, "accepting one at a time", accepts_one_at_a_time);
    add_for_both(suite, "accepting as many as wait", accepts_as_many_as_wait);
    add_for_both(suite, "who is not accepted waits in the backlog", waits_in_backlog);
    add_for_both(suite, "accepting one that has left", accepts_one_that_left);
    add_for_both(suite, "who is turned away reads why", turns_away);
    add_for_both(suite, "turning away one that has left", turns_away_one_that_left);
    add_for_both(suite, "with no descriptor left all are turned away, one after the other",
                 turns_away_in_shortage);
    add_for_both(suite, "a listener is closed inside on_connection", closed_inside_on_connection);
    add_for_both(suite, "what was accepted outlives the listener", accepted_live_on);
    suite_add(suite, "a unix socket's file stays", unix_file_stays, NULL);
    suite_add(suite, "port 0 gets a number", port_0_gets_a_number, NULL);
    suite_add(suite, "peers' addresses on TCP", peers_on_tcp, NULL);
    suite_add(suite, "peers' addresses on unix sockets", peers_on_unix, NULL);
    suite_add(suite, "an address that cannot be listened on", bad_addresses, NULL);
    add_for_both(suite, "a bound socket is taken over", adopts);
    suite_add(suite, "what is no socket is not taken over, but closed", adopts_no_socket, NULL);
}
