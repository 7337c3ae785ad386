/* The contract of streams between two ends that behave: reading, writing, flow control, closing. */
#include <errno.h>
#include <string.h>

#include "reactor_contract.h"

/* ---- reading and writing ---- */

static void echo_back(struct end *e, enum told told)
{
    if (told == TOLD_READ) {
        end_write(e, e->got->data, e->got->len);
        g_byte_array_set_size(e->got, 0);
    }
}

static void echoes(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    p.server.then = echo_back;
    stream_set_reading(p.server.s, true);
    stream_set_reading(p.client.s, true);
    end_write_text(&p.client, "one");
    RUN_UNTIL(&p.w, end_got(&p.client, "one"));
    end_write_text(&p.client, "two");
    end_write_text(&p.client, "three");
    RUN_UNTIL(&p.w, end_got(&p.client, "onetwothree"));
    pair_end(&p);
}

static void writes_nothing(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    end_write(&p.client, "", 0);
    assert_int_equal(stream_unsent(p.client.s), 0);
    world_settle(&p.w);
    assert_int_equal(p.server.reads, 0);
    assert_int_equal(p.client.drained, 0);
    pair_end(&p);
}

static void all_octets(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    uint8_t octets[256];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)i;
    stream_set_reading(p.client.s, true);
    end_write(&p.server, octets, sizeof octets);
    memset(octets, 0, sizeof octets); /* they are the caller's again */
    RUN_UNTIL(&p.w, p.client.got->len == sizeof octets);
    for (size_t i = 0; i < sizeof octets; i++)
        assert_int_equal(p.client.got->data[i], i);
    pair_end(&p);
}

static void accept_end(void *owner)
{
    struct pair *p = owner;
    assert_int_equal(listener_accept(p->listener, &end_events, &p->server, &p->server.s), 0);
    stream_set_reading(p->server.s, true);
}

static void writes_before_connected(void **state)
{
    struct pair p;
    world_begin(&p.w);
    end_init(&p.client, &p.w);
    end_init(&p.server, &p.w);
    p.client.read_at_once = true;
    p.server.then = echo_back;
    p.listener = open_listener(&p.w, family_of(state), accept_end, &p, &p.address);
    assert_int_equal(
        stream_connect(p.w.r, SOCKADDR(&p.address), p.address.len, &end_events, &p.client, &p.client.s), 0);
    end_write_text(&p.client, "early ");
    end_write_text(&p.client, "bird");
    assert_int_equal(p.client.connected, 0);
    RUN_UNTIL(&p.w, end_got(&p.client, "early bird"));
    assert_int_equal(p.client.connected, 1);
    assert_int_equal(stream_unsent(p.client.s), 0);
    pair_end(&p);
}

static void reading_set_before_connected(void **state)
{
    struct pair p;
    world_begin(&p.w);
    end_init(&p.client, &p.w);
    end_init(&p.server, &p.w);
    p.listener = open_listener(&p.w, family_of(state), accept_end, &p, &p.address);
    assert_int_equal(
        stream_connect(p.w.r, SOCKADDR(&p.address), p.address.len, &end_events, &p.client, &p.client.s), 0);
    stream_set_reading(p.client.s, true);
    RUN_UNTIL(&p.w, p.server.s != NULL);
    end_write_text(&p.server, "hello");
    RUN_UNTIL(&p.w, end_got(&p.client, "hello"));
    pair_end(&p);
}

/* ---- flow control ---- */

static void reading_is_off(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_write_text(&p.client, "a");
    end_write_text(&p.server, "b");
    world_settle(&p.w);
    assert_int_equal(p.server.reads + p.client.reads, 0);
    INSIDE(&p.w, stream_set_reading(p.server.s, true));
    INSIDE(&p.w, stream_set_reading(p.server.s, true));
    RUN_UNTIL(&p.w, end_got(&p.server, "a"));
    INSIDE(&p.w, stream_set_reading(p.server.s, false));
    end_write_text(&p.client, "c");
    world_settle(&p.w);
    assert_true(end_got(&p.server, "a"));
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, end_got(&p.server, "ac"));
    assert_int_equal(p.client.reads, 0);
    pair_end(&p);
}

static void one_read_only(struct end *e, enum told told)
{
    if (told == TOLD_READ)
        stream_set_reading(e->s, false);
}

static void reading_off_inside_on_read(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t written = end_fill(&p.client);
    p.server.then = one_read_only;
    for (unsigned reads = 0; p.server.got->len < written; reads++) {
        assert_int_equal(p.server.reads, reads);
        stream_set_reading(p.server.s, true);
        RUN_UNTIL(&p.w, p.server.reads > reads);
    }
    assert_true(end_numbered(&p.server, written));
    pair_end(&p);
}

static void big_write(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t written = end_fill(&p.client);
    size_t unsent = stream_unsent(p.client.s);
    assert_in_range(unsent, 256 * 1024, written);
    world_settle(&p.w); /* the peer's side may take some more, but not all */
    assert_in_range(stream_unsent(p.client.s), 1, unsent);
    assert_int_equal(p.client.drained, 0);
    assert_int_equal(p.server.reads, 0);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.client.drained > 0);
    assert_int_equal(stream_unsent(p.client.s), 0);
    RUN_UNTIL(&p.w, p.server.got->len == written);
    world_settle(&p.w);
    assert_true(end_numbered(&p.server, written));
    assert_int_equal(p.client.drained, 1);
    pair_end(&p);
}

static void short_writes_behind_kept(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t filled = end_fill(&p.client), unsent = stream_unsent(p.client.s);
    g_autoptr(GString) want = g_string_new("");
    for (int i = 0; i < 5000; i++) {
        g_autofree char *text = g_strdup_printf("reply %d\r\n", i);
        g_string_append(want, text);
        end_write_text(&p.client, text);
    }
    assert_int_equal(stream_unsent(p.client.s), unsent + want->len);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.got->len == filled + want->len);
    assert_memory_equal(p.server.got->data + filled, want->str, want->len);
    RUN_UNTIL(&p.w, p.client.drained == 1);
    pair_end(&p);
}

static void write_when_drained(struct end *e, enum told told)
{
    if (told == TOLD_DRAINED && e->drained == 1)
        end_write_text(e, "more");
}

static void writes_inside_on_drained(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t filled = end_fill(&p.client);
    p.client.then = write_when_drained;
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.got->len == filled + strlen("more"));
    assert_memory_equal(p.server.got->data + filled, "more", strlen("more"));
    pair_end(&p);
}

/* ---- ends ---- */

static void close_is_an_end(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    end_write_text(&p.client, "bye");
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_true(end_got(&p.server, "bye"));
    assert_int_equal(p.server.end_error, 0);
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 1);
    pair_end(&p);
}

static void end_unnoticed_while_off(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_write_text(&p.client, "bye");
    end_close(&p.client);
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 0);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_true(end_got(&p.server, "bye"));
    pair_end(&p);
}

static void end_unnoticed_once_off(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    p.server.then = one_read_only;
    stream_set_reading(p.server.s, true);
    end_write_text(&p.client, "!"); /* one octet comes in one piece */
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.reads == 1);
    world_settle(&p.w);
    assert_int_equal(p.server.ends, 0);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    pair_end(&p);
}

static void half_close(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    stream_set_reading(p.client.s, true);
    end_write_text(&p.client, "question");
    world_settle(&p.w);
    twin_end_own_side(p.client.s);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, 0);
    assert_true(end_got(&p.server, "question"));
    end_write_text(&p.server, "answer");
    RUN_UNTIL(&p.w, end_got(&p.client, "answer"));
    stream_set_reading(p.server.s, false);
    stream_set_reading(p.server.s, true); /* nothing to read any more, nor a second end */
    end_close(&p.server);
    RUN_UNTIL(&p.w, p.client.ends == 1);
    assert_int_equal(p.client.end_error, 0);
    assert_int_equal(p.server.ends, 1);
    pair_end(&p);
}

/* ---- closing ---- */

static void close_flushes(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t written = end_fill(&p.client);
    end_begin_close(&p.client);
    world_settle(&p.w);
    assert_int_equal(p.client.closed, 0); /* the peer takes its time */
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, 0);
    assert_true(end_numbered(&p.server, written));
    RUN_UNTIL(&p.w, p.client.closed == 1);
    assert_int_equal(p.client.drained, 0);
    pair_end(&p);
}

static void what_is_corked_leaves_with_the_end(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    end_write_text(&p.client, "first, ");
    stream_cork(p.client.s);
    end_write_text(&p.client, "second, ");
    end_write_text(&p.client, "last");
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, 0);
    assert_true(end_got(&p.server, "first, second, last"));
    pair_end(&p);
}

static void close_flushes_before_connected(void **state)
{
    struct pair p;
    world_begin(&p.w);
    end_init(&p.client, &p.w);
    end_init(&p.server, &p.w);
    p.listener = open_listener(&p.w, family_of(state), accept_end, &p, &p.address);
    assert_int_equal(
        stream_connect(p.w.r, SOCKADDR(&p.address), p.address.len, &end_events, &p.client, &p.client.s), 0);
    end_write_text(&p.client, "fire and forget");
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, 0);
    assert_true(end_got(&p.server, "fire and forget"));
    assert_int_equal(p.client.connected, 0);
    pair_end(&p);
}

static void leave_waiting(void *owner)
{
    (void)owner;
}

static void close_lets_peer_finish(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_write_text(&p.client, "pipelined, and never read");
    world_settle(&p.w);
    end_write_text(&p.server, "421 you talk too much");
    end_begin_close(&p.server);
    for (int i = 0; i < 10; i++)
        end_write_text(&p.client, "and on and on");
    stream_set_reading(p.client.s, true);
    RUN_UNTIL(&p.w, p.client.ends == 1);
    assert_int_equal(p.client.end_error, 0);
    assert_true(end_got(&p.client, "421 you talk too much"));
    (void)end_fill(&p.client); /* all thrown away */
    RUN_UNTIL(&p.w, stream_unsent(p.client.s) == 0);
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.closed == 1);
    pair_end(&p);
}

static void close_waits_not_for_ever(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    end_write_text(&p.client, "never read");
    world_settle(&p.w);
    end_close(&p.server); /* though the client stays */
    assert_int_equal(p.client.closed, 0);
    pair_end(&p);
}

static void abort_ends_lingering(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_write_text(&p.client, "never read");
    world_settle(&p.w);
    end_begin_close(&p.server);
    end_abort(&p.server);
    world_settle(&p.w); /* long before it would close by itself */
    assert_int_equal(p.server.closed, 1);
    pair_end(&p);
}

static void close_before_connected(void **state)
{
    struct world w;
    world_begin(&w);
    struct address a;
    struct end e;
    end_init(&e, &w);
    struct listener *l = open_listener(&w, family_of(state), leave_waiting, NULL, &a);
    int error;
    INSIDE(&w, error = stream_connect(w.r, SOCKADDR(&a), a.len, &end_events, &e, &e.s));
    assert_int_equal(error, 0);
    end_close(&e);
    assert_int_equal(e.connected, 0);
    listener_close(l);
    world_end(&w);
    end_clear(&e);
}

static void abort_throws_away(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t written = end_fill(&p.client);
    end_abort(&p.client);
    RUN_UNTIL(&p.w, p.client.closed == 1);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_true(p.server.got->len < written);
    if (family_of(state) != AF_UNIX)
        assert_int_equal(p.server.end_error, -ECONNRESET);
    pair_end(&p);
}

static void abort_with_nothing_kept(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    end_abort(&p.client);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, 0);
    pair_end(&p);
}

static void abort_with_something_unread(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    end_write_text(&p.server, "never read");
    world_settle(&p.w);
    end_abort(&p.client);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_int_equal(p.server.end_error, -ECONNRESET);
    pair_end(&p);
}

static void abort_when_read(struct end *e, enum told told)
{
    if (told == TOLD_READ)
        end_abort(e);
}

static void abort_inside_on_read(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    (void)end_fill(&p.server);
    p.client.then = abort_when_read;
    stream_set_reading(p.client.s, true);
    RUN_UNTIL(&p.w, p.client.closed == 1);
    world_settle(&p.w);
    assert_int_equal(p.client.reads, 1);
    pair_end(&p);
}

static void abort_follows_close(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    size_t written = end_fill(&p.client);
    end_begin_close(&p.client);
    world_settle(&p.w);
    assert_int_equal(p.client.closed, 0);
    end_abort(&p.client);
    end_abort(&p.client);
    RUN_UNTIL(&p.w, p.client.closed == 1);
    stream_set_reading(p.server.s, true);
    RUN_UNTIL(&p.w, p.server.ends == 1);
    assert_true(p.server.got->len < written);
    pair_end(&p);
}

static void null_is_welcome(void **state)
{
    (void)state;
    stream_close(NULL);
    stream_abort(NULL);
    listener_close(NULL);
    child_close(NULL);
    signal_watch_close(NULL);
}

static void nothing_after_close(void **state)
{
    struct pair p;
    pair_begin(&p, family_of(state));
    stream_set_reading(p.server.s, true);
    size_t written = end_fill(&p.server);
    end_write_text(&p.client, "for nobody");
    end_begin_close(&p.server);
    stream_set_reading(p.client.s, true);
    end_write_text(&p.client, "nor this");
    RUN_UNTIL(&p.w, p.client.got->len == written);
    end_close(&p.client);
    RUN_UNTIL(&p.w, p.server.closed == 1);
    world_settle(&p.w);
    assert_int_equal(p.server.reads + p.server.ends + p.server.drained, 0);
    assert_int_equal(p.server.closed, 1);
    pair_end(&p);
}

/* ---- closing inside a callback ---- */

struct moment {
    const char *name;
    enum told told;
};

static const struct moment moments[] = {
    { "a stream is closed inside on_connected", TOLD_CONNECTED },
    { "a stream is closed inside on_read", TOLD_READ },
    { "a stream is closed inside on_end", TOLD_END },
    { "a stream is closed inside on_drained", TOLD_DRAINED },
};

static enum told closes_at;

static void close_at_moment(struct end *e, enum told told)
{
    if (told == closes_at)
        end_begin_close(e);
}

static void send_and_close(void *owner)
{
    struct pair *p = owner;
    assert_int_equal(listener_accept(p->listener, &end_events, &p->server, &p->server.s), 0);
    stream_set_reading(p->server.s, true);
    end_write_text(&p->server, "something");
    end_begin_close(&p->server);
}

static void closed_inside(void **state)
{
    const struct moment *m = *state;
    closes_at = m->told;
    struct pair p;
    if (m->told == TOLD_DRAINED) {
        pair_begin(&p, AF_INET);
        p.client.then = close_at_moment;
        (void)end_fill(&p.client);
        stream_set_reading(p.server.s, true);
    } else {
        world_begin(&p.w);
        end_init(&p.client, &p.w);
        end_init(&p.server, &p.w);
        p.client.then = close_at_moment;
        p.client.read_at_once = true;
        p.listener = open_listener(&p.w, AF_INET, send_and_close, &p, &p.address);
        assert_int_equal(
            stream_connect(p.w.r, SOCKADDR(&p.address), p.address.len, &end_events, &p.client, &p.client.s),
            0);
        RUN_UNTIL(&p.w, p.server.closed == 1);
    }
    RUN_UNTIL(&p.w, p.client.closed == 1);
    assert_int_equal(p.client.reads > 0, m->told == TOLD_READ || m->told == TOLD_END);
    assert_int_equal(p.client.ends, m->told == TOLD_END);
    pair_end(&p);
}

void add_stream_cases(struct suite *suite)
{
    add_for_both(suite, "what is written comes back", echoes);
    add_for_both(suite, "writing nothing does nothing", writes_nothing);
    add_for_both(suite, "every octet passes", all_octets);
    add_for_both(suite, "what is written before it is connected arrives", writes_before_connected);
    add_for_both(suite, "reading is set before it is connected", reading_set_before_connected);
    add_for_both(suite, "while reading is off nothing is read", reading_is_off);
    add_for_both(suite, "reading turned off inside on_read", reading_off_inside_on_read);
    add_for_both(suite, "what the peer does not take is kept", big_write);
    add_for_both(suite, "short writes queue behind what is kept", short_writes_behind_kept);
    add_for_both(suite, "writing inside on_drained", writes_inside_on_drained);
    add_for_both(suite, "the peer's close is an end", close_is_an_end);
    add_for_both(suite, "an end is not noticed while reading is off", end_unnoticed_while_off);
    add_for_both(suite, "an end is not noticed once reading was turned off", end_unnoticed_once_off);
    add_for_both(suite, "a half-closed stream still writes", half_close);
    add_for_both(suite, "close lets leave what is kept", close_flushes);
    add_for_both(suite, "what is corked leaves with the end", what_is_corked_leaves_with_the_end);
    add_for_both(suite, "close lets leave what is kept, even before it is connected",
                 close_flushes_before_connected);
    add_for_both(suite, "close lets a peer finish that is still sending", close_lets_peer_finish);
    suite_add(suite, "close does not wait for ever for a peer to finish", close_waits_not_for_ever, NULL);
    add_for_both(suite, "abort ends a close that lets the peer finish", abort_ends_lingering);
    add_for_both(suite, "close before it is connected", close_before_connected);
    add_for_both(suite, "abort throws away what is kept", abort_throws_away);
    add_for_both(suite, "abort with nothing kept is a plain end", abort_with_nothing_kept);
    add_for_both(suite, "abort with something unread is a reset", abort_with_something_unread);
    add_for_both(suite, "abort inside on_read", abort_inside_on_read);
    add_for_both(suite, "abort follows close", abort_follows_close);
    add_for_both(suite, "nothing but on_closed comes after close", nothing_after_close);
    suite_add(suite, "closing NULL", null_is_welcome, NULL);
    suite_add_rows(suite, moments, closed_inside);
}
