/* The contract of streams whose peer is gone, never was, or breaks the connection. */
#include <errno.h>
#include <string.h>

#include "reactor_contract.h"

/* ---- breaks ---- */

static void reset_while_reading(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    stream_set_reading(p.server.s, true);
    INSIDE(&p.w, twin_reset(p.client.s));
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, -ECONNRESET);
    end_write_text(&p.server, "into the void");
    assert_int_equal(stream_unsent(p.server.s), 0);
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 1);
    assert_int_equal(p.server.drained, 0);
    pair_end(&p);
}

static void reset_told_when_reading_again(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    stream_set_reading(p.server.s, true);
    stream_set_reading(p.server.s, false);
    INSIDE(&p.w, twin_reset(p.client.s));
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 0);
    INSIDE(&p.w, stream_set_reading(p.server.s, true));
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, -ECONNRESET);
    pair_end(&p);
}

static void reset_told_when_writing(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    INSIDE(&p.w, twin_reset(p.client.s));
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 0);
    end_write_text(&p.server, "are you there?");
    end_write_text(&p.server, "hello?");
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_true(p.server.end_error < 0);
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 1);
    assert_int_equal(stream_unsent(p.server.s), 0);
    pair_end(&p);
}

static void reset_with_bytes_kept(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    (void)end_fill(&p.server);
    INSIDE(&p.w, twin_reset(p.client.s));
    RUN_UNTIL(&p.w, p.server.ends == 1); /* although reading is off */
    assert_true(p.server.end_error < 0);
    assert_int_equal(stream_unsent(p.server.s), 0);
    world_settle(&p.w);
    assert_int_equal(p.server.drained, 0);
    pair_end(&p);
}

static void reset_while_closing(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    (void)end_fill(&p.server);
    end_begin_close(&p.server);
    INSIDE(&p.w, twin_reset(p.client.s));
    RUN_UNTIL(&p.w, p.server.closed == 1); /* there is nobody left to wait for */
    assert_int_equal(p.server.ends, 0);
    pair_end(&p);
}

/* ---- writing to a peer that is gone ---- */

static void writes_to_nobody(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_close(&p.client);
    world_settle(&p.w);
    while (p.server.ends == 0) {
        end_write_text(&p.server, "anybody?"); /* TCP takes the first ones, until the other side protests */
        world_settle(&p.w);
    }
    assert_true(p.server.end_error < 0);
    end_write_text(&p.server, "well, no");
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 1);
    pair_end(&p);
}

static void break_after_end(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    twin_end_own_side(p.client.s);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, 0);
    (void)end_fill(&p.server);
    stream_set_reading(p.server.s, false);
    stream_set_reading(p.server.s, true);
    world_settle(&p.w);
    assert_int_equal(p.server.drained, 0);
    end_abort(&p.client); /* with much unread */
    RUN_UNTIL(&p.w, p.server.drained == 1);
    assert_int_equal(stream_unsent(p.server.s), 0);
    end_write_text(&p.server, "gone");
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 1);
    assert_int_equal(p.server.drained, 1);
    pair_end(&p);
}

static void break_after_end_with_nothing_kept(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    for (int i = 0; i < 3; i++) {
        end_write_text(&p.server, "gone");
        world_settle(&p.w);
    }
    assert_int_equal(p.server.ends, 1);
    assert_int_equal(p.server.drained, 0);
    pair_end(&p);
}

static void write_and_close(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_close(&p.client);
    world_settle(&p.w);
    end_write_text(&p.server, "the first of them"); /* the break is known, and not told any more */
    world_settle(&p.w);
    end_write_text(&p.server, "the second");
    end_begin_close(&p.server);
    RUN_UNTIL(&p.w, p.server.closed == 1);
    pair_end(&p);
}

/* ---- connecting in vain ---- */

static void leave_waiting(void *owner)
{
    (void)owner;
}

static int connect_in_vain(struct world *w, const struct address *a, bool writes)
{
    struct end e;
    end_init(&e, w);
    int error;
    INSIDE(w, error = stream_connect(w->r, SOCKADDR(a), a->len, &end_events, &e, &e.s));
    assert_int_equal(error, 0);
    if (writes)
        end_write_text(&e, "hello");
    RUN_UNTIL(w, e.connected == 1);
    assert_true(e.connect_error < 0);
    end_write_text(&e, "hello again");
    assert_int_equal(stream_unsent(e.s), 0);
    world_settle(w);
    assert_int_equal(e.ends + e.drained, 0);
    end_close(&e);
    end_clear(&e);
    return e.connect_error;
}

static void connection_refused(void **state)
{
    struct world w;
    world_begin(&w);
    struct address a;
    struct listener *l = open_listener(&w, family_of(state), leave_waiting, NULL, &a);
    listener_close(l);
    assert_int_equal(connect_in_vain(&w, &a, false), -ECONNREFUSED);
    assert_int_equal(connect_in_vain(&w, &a, true), -ECONNREFUSED);
    world_end(&w);
}

static void no_such_path(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct address a = local_address(AF_UNIX);
    assert_int_equal(connect_in_vain(&w, &a, false), -ENOENT);
    assert_int_equal(connect_in_vain(&w, &a, true), -ENOENT);
    world_end(&w);
}

static void close_while_refused(void **state)
{
    struct world w;
    world_begin(&w);
    struct address a;
    struct listener *l = open_listener(&w, family_of(state), leave_waiting, NULL, &a);
    listener_close(l);
    struct end e;
    end_init(&e, &w);
    assert_int_equal(stream_connect(w.r, SOCKADDR(&a), a.len, &end_events, &e, &e.s), 0);
    end_write_text(&e, "for nobody");
    end_close(&e);
    assert_int_equal(e.connected + e.ends, 0);
    world_end(&w);
    end_clear(&e);
}

static void cannot_even_begin(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct end e;
    end_init(&e, &w);
    struct address a = { .len = sizeof(struct sockaddr_in) };
    a.storage.ss_family = AF_APPLETALK;
    assert_int_equal(stream_connect(w.r, SOCKADDR(&a), a.len, &end_events, &e, &e.s), -EAFNOSUPPORT);
    a.storage.ss_family = AF_INET;
    assert_int_equal(stream_connect(w.r, SOCKADDR(&a), 4, &end_events, &e, &e.s), -EINVAL);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    memset(un.sun_path, 'x', sizeof un.sun_path);
    assert_int_equal(stream_connect(w.r, (struct sockaddr *)&un, sizeof un, &end_events, &e, &e.s),
                     -ENAMETOOLONG);
    un.sun_path[0] = '\0';
    assert_int_equal(stream_connect(w.r, (struct sockaddr *)&un, sizeof un, &end_events, &e, &e.s), -EINVAL);
    assert_null(e.s);
    assert_int_equal(reactor_free(w.r), 0); /* nothing of them is open */
    end_clear(&e);
}

/* ---- owners who want to know nothing ---- */

static const struct stream_events deaf = { .on_read = NULL };

struct deaf_pair {
    struct world w;
    struct listener *listener;
    struct stream *server;
};

static void accept_deaf(void *owner)
{
    struct deaf_pair *p = owner;
    assert_int_equal(listener_accept(p->listener, &deaf, p, &p->server), 0);
}

static void events_may_be_null(void **state)
{
    struct deaf_pair p = { .server = NULL };
    world_begin(&p.w);
    struct address a;
    p.listener = open_listener(&p.w, family_of(state), accept_deaf, &p, &a);
    struct stream *client;
    assert_int_equal(stream_connect(p.w.r, SOCKADDR(&a), a.len, &deaf, &p, &client), 0);
    RUN_UNTIL(&p.w, p.server != NULL);
    g_autofree uint8_t *much = g_malloc0(16 * 1024 * 1024);
    stream_write(p.server, slice_of(much, 16 * 1024 * 1024));
    world_settle(&p.w);
    stream_set_reading(client, true);
    RUN_UNTIL(&p.w, stream_unsent(p.server) == 0);
    stream_set_reading(p.server, true);
    stream_write(p.server, slice_of("x", 1));
    stream_close(client);
    world_settle(&p.w);
    stream_close(p.server);
    listener_close(p.listener);
    world_end(&p.w);
}

void add_break_cases(struct suite *suite)
{
    suite_add(suite, "a reset is an end with an error", reset_while_reading, NULL);
    suite_add(suite, "a reset while reading is off is told when it is on", reset_told_when_reading_again,
              NULL);
    suite_add(suite, "a reset while reading is off is told when writing fails", reset_told_when_writing,
              NULL);
    suite_add(suite, "a reset while something is kept is told", reset_with_bytes_kept, NULL);
    suite_add(suite, "a reset ends a close that waits", reset_while_closing, NULL);
    add_for_both(suite, "writing to a peer that is gone ends once", writes_to_nobody);
    add_for_both(suite, "a break after the end lets drain what is kept", break_after_end);
    add_for_both(suite, "a break after the end with nothing kept is not told",
                 break_after_end_with_nothing_kept);
    add_for_both(suite, "closing right after a write that failed", write_and_close);
    add_for_both(suite, "nobody listens", connection_refused);
    suite_add(suite, "there is no such unix socket", no_such_path, NULL);
    add_for_both(suite, "closing while a connection is being refused", close_while_refused);
    suite_add(suite, "an address that cannot be connected to", cannot_even_begin, NULL);
    add_for_both(suite, "events that are NULL are not called", events_may_be_null);
}
