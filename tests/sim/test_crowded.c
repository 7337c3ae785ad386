/* Who gives way when there are more callers than may be let in. Workers on simulated seams; time is virtual.
 */
#include "suite.h"

#include <glib.h>

#include "disk/disk_sim.h"
#include "reactor/reactor_sim.h"
#include "worker/worker.h"

enum { CALLERS = 8, WORKERS = 2, SOON_MS = 50, LATER_MS = 1000, ALMOST_STALLED_MS = 9000 };

struct caller {
    struct stream *stream;
    GString *got;
    bool ended, reset;
};

struct world {
    struct reactor *reactor;
    struct router *router;
    struct worker *workers[WORKERS];
    struct worker_settings settings[WORKERS];
    struct worker_listener listeners[WORKERS];
    struct worker_share shares[WORKERS];
    struct pst_log log;
    size_t worker_count, drained;
    struct caller callers[CALLERS];
    GString *told; /* the log */
};

/* ---- callers ---- */

static void on_read(void *owner, struct slice bytes)
{
    struct caller *c = owner;
    g_string_append_len(c->got, (const char *)bytes.data, (gssize)bytes.len);
}

static void on_end(void *owner, int error)
{
    struct caller *c = owner;
    c->ended = true;
    c->reset = error < 0;
}

static void run_for(struct world *w, msec_t time)
{
    reactor_sim_run_until(w->reactor, reactor_now(w->reactor) + time);
}

static struct caller *call(struct world *w, size_t number, size_t worker)
{
    static const struct stream_events events = { .on_read = on_read, .on_end = on_end };
    struct caller *c = &w->callers[number];
    const struct net_address *to = &w->listeners[worker].address;
    c->got = g_string_new(NULL);
    assert_int_equal(
        stream_connect(w->reactor, (const struct sockaddr *)&to->storage, to->len, &events, c, &c->stream),
        0);
    stream_set_reading(c->stream, true);
    run_for(w, SOON_MS);
    return c;
}

static void say(struct world *w, struct caller *c, const char *text)
{
    g_string_truncate(c->got, 0);
    stream_write(c->stream, slice_of(text, strlen(text)));
    run_for(w, SOON_MS);
}

#define assert_said(c, code) assert_true(g_str_has_prefix((c)->got->str, code))

static void assert_greeted(const struct caller *c)
{
    assert_said(c, "220 ");
    assert_false(c->ended);
}

/* The last that it was told, and then the end, and no reset that could have overtaken it. */
static void assert_sent_away(const struct caller *c)
{
    const char *last = strstr(c->got->str, "421 4.3.2 ");
    assert_non_null(last);
    assert_string_equal(strstr(last, "\r\n"), "\r\n");
    assert_true(c->ended);
    assert_false(c->reset);
}

static void assert_alive(struct world *w, struct caller *c)
{
    assert_false(c->ended);
    say(w, c, "NOOP\r\n");
    assert_said(c, "250 ");
}

/* It is a stranger no more. */
static void introduce(struct world *w, struct caller *c)
{
    say(w, c, "EHLO x.example\r\n");
    assert_said(c, "250-");
}

static void begin_message(struct world *w, struct caller *c)
{
    say(w, c, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    assert_non_null(strstr(c->got->str, "\r\n354 "));
    say(w, c, "Subject: one\r\n");
}

/* ---- the world ---- */

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct world *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    struct world *w = owner;
    assert_true(level < PST_LOG_PANIC);
    g_string_append_len(w->told, line, (gssize)len);
}

static void on_drained(void *owner)
{
    ((struct world *)owner)->drained++;
}

static void add_worker(struct world *w, uint64_t connections)
{
    size_t i = w->worker_count++;
    g_autofree char *address = g_strdup_printf("127.0.0.1:%zu", 25 + i);
    w->listeners[i] = (struct worker_listener){ .name = "smtp", .protocol = SMTP_PROTOCOL_SMTP, .fd = -1 };
    assert_int_equal(net_address_parse(address, &w->listeners[i].address), 0);
    struct worker_settings *s = &w->settings[i];
    *s = (struct worker_settings){
        .hostname = "mx.example.org",
        .limits = { .connections = connections },
        .router = w->router,
        .listeners = &w->listeners[i],
        .listener_count = 1,
        .shares = w->shares,
        .share_count = i + 1,
        .share = i,
        .connections_here = 100,
    };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &s->smtp);
    w->settings[0].share_count = i + 1;
    assert_int_equal(worker_new(w->reactor, s, &w->log, on_drained, w, &w->workers[i]), 0);
}

static struct world *world_new(uint64_t connections)
{
    struct world *w = g_new0(struct world, 1);
    disk_sim_reset(1);
    static const char *const subs[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(subs); i++) {
        g_autofree char *path = g_strdup_printf("/mail/alice/%s", subs[i]);
        disk_sim_mkdir_all(path);
    }
    w->reactor = reactor_sim_new(1);
    w->router = router_new();
    w->told = g_string_new(NULL);
    w->log = (struct pst_log){ .wall_us = wall_us, .write = write_log, .owner = w };
    assert_int_equal(router_add_domain(w->router, "example.org", "/mail"), 0);
    add_worker(w, connections);
    return w;
}

static void world_end(struct world *w)
{
    for (size_t i = 0; i < CALLERS; i++)
        stream_abort(w->callers[i].stream);
    run_for(w, LATER_MS);
    for (size_t i = 0; i < w->worker_count; i++) {
        assert_int_equal(w->shares[i].connections, 0);
        worker_drain(w->workers[i], 1000);
    }
    reactor_run(w->reactor);
    assert_int_equal(w->drained, w->worker_count);
    assert_int_equal(reactor_free(w->reactor), 0);
    g_auto(GStrv) staged = disk_sim_names("/mail/alice/tmp");
    assert_int_equal(g_strv_length(staged), 0);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    for (size_t i = 0; i < CALLERS; i++)
        if (w->callers[i].got != NULL)
            g_string_free(w->callers[i].got, TRUE);
    g_string_free(w->told, TRUE);
    router_free(w->router);
    g_free(w);
}

/* ---- the cases ---- */

static void the_silent_one_gives_way(void **state)
{
    (void)state;
    struct world *w = world_new(2);
    struct caller *active = call(w, 0, 0), *silent = call(w, 1, 0);
    run_for(w, LATER_MS);
    assert_alive(w, active); /* although it came first */
    run_for(w, LATER_MS);
    struct caller *newcomer = call(w, 2, 0);
    assert_greeted(newcomer);
    assert_sent_away(silent);
    assert_alive(w, active);
    assert_non_null(strstr(w->told->str, " event=overload "));
    world_end(w);
}

static void nobody_is_silent_for_long_enough(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct caller *first = call(w, 0, 0);
    introduce(w, first);
    struct caller *newcomer = call(w, 1, 0);
    assert_sent_away(newcomer);
    assert_alive(w, first);
    world_end(w);
}

/* Or a crowd that comes at once and says nothing would have the door to itself. */
static void a_stranger_gives_way_at_once(void **state)
{
    (void)state;
    struct world *w = world_new(2);
    struct caller *known = call(w, 0, 0);
    introduce(w, known);
    struct caller *stranger = call(w, 1, 0), *newcomer = call(w, 2, 0);
    assert_greeted(newcomer);
    assert_sent_away(stranger);
    assert_alive(w, known);
    world_end(w);
}

static void octets_without_a_line_are_silence(void **state)
{
    (void)state;
    struct world *w = world_new(2);
    struct caller *drips = call(w, 0, 0), *talks = call(w, 1, 0);
    for (int i = 0; i < 20; i++) {
        assert_alive(w, talks);
        say(w, drips, "x");
    }
    assert_greeted(call(w, 2, 0));
    assert_sent_away(drips);
    assert_alive(w, talks);
    world_end(w);
}

static void who_awaits_an_answer_is_spared(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct reactor_sim_settings slow = reactor_sim_defaults;
    slow.job.min_us = slow.job.max_us = 60 * 1000000;
    struct caller *waits = call(w, 0, 0);
    reactor_sim_configure(w->reactor, &slow);
    say(w, waits, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\n");
    run_for(w, 30000);
    assert_sent_away(call(w, 1, 0));
    run_for(w, 200000); /* its answer has come long ago */
    assert_non_null(strstr(waits->got->str, "250 2.1.5 "));
    assert_greeted(call(w, 2, 0));
    assert_sent_away(waits);
    world_end(w);
}

static void a_message_is_spared_for_a_while(void **state)
{
    (void)state;
    struct world *w = world_new(2);
    struct caller *sends = call(w, 0, 0), *silent = call(w, 1, 0);
    begin_message(w, sends);
    run_for(w, ALMOST_STALLED_MS);
    struct caller *newcomer = call(w, 2, 0);
    assert_greeted(newcomer);
    assert_sent_away(silent); /* it came later, and had said nothing */
    introduce(w, newcomer);
    assert_sent_away(call(w, 3, 0));
    assert_false(sends->ended);
    say(w, sends, "\r\nbody\r\n.\r\n");
    assert_said(sends, "250 2.0.0 ");
    world_end(w);
}

static void a_stalled_message_gives_way(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct caller *sends = call(w, 0, 0);
    begin_message(w, sends);
    run_for(w, ALMOST_STALLED_MS + 2 * LATER_MS);
    assert_greeted(call(w, 1, 0));
    assert_sent_away(sends);
    world_end(w);
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    assert_int_equal(g_strv_length(names), 0);
}

static void who_reads_nothing_is_cut_off(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct reactor_sim_link narrow = reactor_sim_defaults.link;
    narrow.window = 64;
    struct caller *deaf = call(w, 0, 0);
    assert_greeted(deaf);
    reactor_sim_set_link(deaf->stream, &narrow);
    stream_set_reading(deaf->stream, false);
    say(w, deaf, "HELP\r\nHELP\r\nHELP\r\nHELP\r\nHELP\r\n"); /* more than its window takes */
    run_for(w, LATER_MS);
    assert_greeted(call(w, 1, 0));
    assert_int_equal(w->shares[0].connections, 1); /* and does not linger */
    world_end(w);
}

static void another_workers_silent_ones_give_way(void **state)
{
    (void)state;
    struct world *w = world_new(4);
    add_worker(w, 4);
    for (size_t i = 0; i < 4; i++)
        assert_greeted(call(w, i, 0));
    run_for(w, LATER_MS);
    for (size_t i = 4; i < 6; i++)
        assert_greeted(call(w, i, 1));
    run_for(w, LATER_MS);
    assert_int_equal(w->shares[0].connections, 2);
    assert_int_equal(w->shares[1].connections, 2);
    for (size_t i = 0; i < 2; i++)
        assert_sent_away(&w->callers[i]);
    for (size_t i = 2; i < 6; i++)
        assert_alive(w, &w->callers[i]);
    world_end(w);
}

static void another_workers_active_ones_stay(void **state)
{
    (void)state;
    struct world *w = world_new(2);
    add_worker(w, 2);
    for (size_t i = 0; i < 2; i++)
        introduce(w, call(w, i, 0));
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 2; i++)
            assert_alive(w, &w->callers[i]);
        run_for(w, SOON_MS);
    }
    assert_sent_away(call(w, 2, 1)); /* permitted is permitted, over all workers together */
    assert_int_equal(w->shares[0].connections, 2);
    world_end(w);
}

static void a_worker_has_its_own_bound(void **state)
{
    (void)state;
    struct world *w = world_new(100);
    w->settings[0].connections_here = 2;
    struct caller *first = call(w, 0, 0), *second = call(w, 1, 0);
    introduce(w, first);
    introduce(w, second);
    assert_sent_away(call(w, 2, 0));
    run_for(w, LATER_MS);
    assert_greeted(call(w, 3, 0));
    assert_sent_away(first);
    assert_alive(w, second);
    world_end(w);
}

static void without_descriptors_callers_are_told_so(void **state)
{
    (void)state;
    struct world *w = world_new(100);
    struct caller *first = call(w, 0, 0);
    reactor_sim_set_shortage(w->reactor, true);
    assert_sent_away(call(w, 1, 0));
    assert_sent_away(call(w, 2, 0));
    assert_alive(w, first);
    reactor_sim_set_shortage(w->reactor, false);
    assert_greeted(call(w, 3, 0));
    world_end(w);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "the one that has been silent longest gives way", the_silent_one_gives_way },
        { "who was just heard of does not", nobody_is_silent_for_long_enough },
        { "a stranger gives way at once", a_stranger_gives_way_at_once },
        { "octets that complete no line are silence", octets_without_a_line_are_silence },
        { "who awaits an answer is spared", who_awaits_an_answer_is_spared },
        { "who is sending a message is spared for a while", a_message_is_spared_for_a_while },
        { "a message that has stalled gives way, and nothing of it is left", a_stalled_message_gives_way },
        { "who does not read is cut off without a word", who_reads_nothing_is_cut_off },
        { "another worker's silent ones give way, up to each one's part",
          another_workers_silent_ones_give_way },
        { "another worker's active ones do not", another_workers_active_ones_stay },
        { "a worker has a bound of its own", a_worker_has_its_own_bound },
        { "without descriptors callers are told 421", without_descriptors_callers_are_told_so },
    };
    struct suite *s = suite_new("crowded");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(s, cases[i].name, cases[i].run, NULL);
    return suite_run(s, argc, argv);
}
