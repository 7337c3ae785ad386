/* What only the simulated twin of the reactor has; the rest is in tests/contract. */
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>

#include "reactor/reactor_sim.h"
#include "suite.h"

/* ---- a small world: a client that sends, a server that notes what it gets ---- */

struct world {
    struct reactor *r;
    struct listener *listener;
    struct sockaddr_in address;
    struct stream *client, *server;
    bool connected;
    bool server_reads;
    GString *segments; /* of the server: "3 1 7 " */
    size_t got;
    int client_end, server_end; /* 1: none yet */
    unsigned drained;
};

static void on_connected(void *owner, int error)
{
    struct world *w = owner;
    assert_int_equal(error, 0);
    w->connected = true;
}

static void on_client_end(void *owner, int error)
{
    struct world *w = owner;
    w->client_end = error;
}

static void on_client_drained(void *owner)
{
    struct world *w = owner;
    w->drained++;
}

static void on_client_closed(void *owner)
{
    struct world *w = owner;
    w->client = NULL;
}

static void on_server_read(void *owner, struct slice bytes)
{
    struct world *w = owner;
    g_string_append_printf(w->segments, "%zu ", bytes.len);
    w->got += bytes.len;
}

static void on_server_end(void *owner, int error)
{
    struct world *w = owner;
    w->server_end = error;
}

static void on_server_closed(void *owner)
{
    struct world *w = owner;
    w->server = NULL;
}

static const struct stream_events client_events = {
    .on_connected = on_connected,
    .on_end = on_client_end,
    .on_drained = on_client_drained,
    .on_closed = on_client_closed,
};

static const struct stream_events server_events = {
    .on_read = on_server_read,
    .on_end = on_server_end,
    .on_closed = on_server_closed,
};

static void on_connection(void *owner)
{
    struct world *w = owner;
    assert_int_equal(listener_accept(w->listener, &server_events, w, &w->server), 0);
    stream_set_reading(w->server, w->server_reads);
}

static void world_begin(struct world *w, uint64_t seed, const struct reactor_sim_settings *settings,
                        bool server_reads)
{
    *w = (struct world){
        .r = reactor_sim_new(seed),
        .address = { AF_INET, htons(25), { htonl(INADDR_LOOPBACK) }, "" },
        .server_reads = server_reads,
        .segments = g_string_new(""),
        .client_end = 1,
        .server_end = 1,
    };
    if (settings != NULL)
        reactor_sim_configure(w->r, settings);
    const struct sockaddr *address = (const void *)&w->address;
    assert_int_equal(listener_open(w->r, address, sizeof w->address, 5, on_connection, w, &w->listener), 0);
    assert_int_equal(stream_connect(w->r, address, sizeof w->address, &client_events, w, &w->client), 0);
    while (!w->connected || w->server == NULL)
        assert_true(reactor_sim_step(w->r));
}

static void world_end(struct world *w)
{
    listener_close(w->listener);
    stream_abort(w->client);
    stream_abort(w->server);
    reactor_run(w->r);
    assert_int_equal(reactor_sim_open(w->r), 0);
    assert_int_equal(reactor_free(w->r), 0);
    g_string_free(w->segments, TRUE);
}

static void send_zeros(struct world *w, size_t len)
{
    g_autofree uint8_t *zeros = g_malloc0(len);
    stream_write(w->client, slice_of(zeros, len));
}

/* ---- seeds ---- */

enum { MUCH = 200 * 1000 };

/* The trace of a transfer, and its segments. */
static uint64_t play(uint64_t seed, char **ret_segments)
{
    struct world w;
    world_begin(&w, seed, NULL, true);
    send_zeros(&w, MUCH);
    while (w.got < MUCH)
        assert_true(reactor_sim_step(w.r));
    uint64_t random;
    reactor_random(w.r, &random, sizeof random);
    *ret_segments = g_strdup_printf("%s- %llu", w.segments->str, (unsigned long long)random);
    uint64_t trace = reactor_sim_trace(w.r);
    world_end(&w);
    return trace;
}

static void same_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        g_autofree char *first = NULL, *second = NULL;
        uint64_t trace = play(seed, &first);
        assert_true(trace == play(seed, &second));
        assert_string_equal(first, second);
    }
}

static void other_seed(void **state)
{
    (void)state;
    g_autofree char *first = NULL;
    uint64_t trace = play(0, &first);
    for (uint64_t seed = 1; seed < 20; seed++) {
        g_autofree char *other = NULL;
        assert_true(trace != play(seed, &other));
        assert_string_not_equal(first, other);
    }
}

static void bytes_are_traced(void **state)
{
    (void)state;
    uint64_t traces[2];
    for (int i = 0; i < 2; i++) {
        struct world w;
        world_begin(&w, 1, NULL, true);
        stream_write(w.client, slice_str(i == 0 ? "a" : "b"));
        while (w.got == 0)
            assert_true(reactor_sim_step(w.r));
        traces[i] = reactor_sim_trace(w.r);
        world_end(&w);
    }
    assert_true(traces[0] != traces[1]);
}

static void write_event(void *owner, int64_t now_us, const char *what, uint64_t object, int64_t amount)
{
    (void)now_us;
    (void)object;
    g_string_append_printf(owner, "%s %lld\n", what, (long long)amount);
}

static void events_are_watched(void **state)
{
    (void)state;
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.link.segment_min = 5;
    settings.link.short_writes = 0;
    struct world w;
    world_begin(&w, 1, &settings, true);
    g_autoptr(GString) text = g_string_new("");
    reactor_sim_watch(w.r, write_event, text);
    stream_write(w.client, slice_str("hello"));
    stream_close(w.client);
    while (w.server_end == 1)
        assert_true(reactor_sim_step(w.r));
    reactor_sim_watch(w.r, NULL, NULL);
    assert_string_equal(text->str, "write 5\nclosed 0\nread 5\nend 0\n");
    world_end(&w);
}

/* ---- the clock ---- */

static void note_fired(void *owner)
{
    *(bool *)owner = true;
}

static void hours_pass_at_once(void **state)
{
    (void)state;
    enum { HOUR = 3600 * 1000 };
    struct reactor *r = reactor_sim_new(1);
    bool fired = false;
    struct timer *t = timer_new(r, note_fired, &fired);
    msec_t start = reactor_now(r);
    int64_t wall = reactor_wall_us(r);
    timer_start(t, start + 100 * HOUR);
    reactor_sim_run_until(r, start + 99 * HOUR);
    assert_false(fired);
    assert_int_equal(reactor_now(r), start + 99 * HOUR);
    assert_true(reactor_sim_step(r));
    assert_true(fired);
    assert_int_equal(reactor_now(r), start + 100 * HOUR);
    assert_true(reactor_wall_us(r) - wall == INT64_C(100) * HOUR * 1000);
    assert_false(reactor_sim_step(r));
    reactor_sim_run_until(r, start); /* it never goes back */
    assert_int_equal(reactor_now(r), start + 100 * HOUR);
    timer_close(t);
    assert_int_equal(reactor_free(r), 0);
}

struct spell {
    struct reactor *r;
    uint64_t away_ns;
};

static void note_spell(void *owner, uint64_t away_ns)
{
    ((struct spell *)owner)->away_ns += away_ns;
}

static void spend_an_hour(void *owner)
{
    const struct spell *spell = owner;
    msec_t before = reactor_now(spell->r);
    reactor_sim_spend(spell->r, 3600 * 1000);
    assert_int_equal(reactor_now(spell->r), before);
}

static void callbacks_take_no_time_unless_told(void **state)
{
    (void)state;
    struct spell spell = { .r = reactor_sim_new(1) };
    bool fired = false;
    reactor_watch_turns(spell.r, note_spell, &spell);
    struct timer *slow = timer_new(spell.r, spend_an_hour, &spell);
    struct timer *late = timer_new(spell.r, note_fired, &fired);
    msec_t start = reactor_now(spell.r);
    timer_start(slow, start + 1000);
    timer_start(late, start + 2000);
    assert_true(reactor_sim_step(spell.r));
    assert_int_equal(spell.away_ns, UINT64_C(3600000000000));
    assert_int_equal(reactor_now(spell.r), start + 1000 + 3600 * 1000);
    assert_true(reactor_sim_step(spell.r));
    assert_true(fired);
    assert_int_equal(spell.away_ns, UINT64_C(3600000000000));
    assert_int_equal(reactor_now(spell.r), start + 1000 + 3600 * 1000);
    timer_close(slow);
    timer_close(late);
    assert_int_equal(reactor_free(spell.r), 0);
}

static void returns_when_stuck(void **state)
{
    (void)state;
    struct reactor *r = reactor_sim_new(1);
    bool fired = false;
    struct timer *t = timer_new(r, note_fired, &fired);
    timer_start(t, MSEC_NEVER);
    reactor_run(r);
    assert_int_equal(reactor_sim_open(r), 1);
    assert_int_equal(reactor_free(r), -EBUSY);
    timer_close(t);
    assert_int_equal(reactor_free(r), 0);
}

/* ---- links ---- */

static void octet_by_octet(void **state)
{
    (void)state;
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.link.segment_max = 1;
    struct world w;
    world_begin(&w, 1, &settings, true);
    stream_write(w.client, slice_str("hello"));
    while (w.got < 5)
        assert_true(reactor_sim_step(w.r));
    assert_string_equal(w.segments->str, "1 1 1 1 1 ");
    world_end(&w);
}

static void window_is_bounded(void **state)
{
    (void)state;
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.link.window = 1000;
    settings.link.short_writes = 0;
    struct world w;
    world_begin(&w, 1, &settings, false);
    send_zeros(&w, 999);
    assert_int_equal(stream_unsent(w.client), 0);
    send_zeros(&w, 501);
    assert_int_equal(stream_unsent(w.client), 500);
    reactor_sim_run_until(w.r, reactor_now(w.r) + 1000 * 1000);
    assert_int_equal(stream_unsent(w.client), 500);
    assert_int_equal(w.drained, 0);
    stream_set_reading(w.server, true);
    while (w.got < 1500)
        assert_true(reactor_sim_step(w.r));
    assert_int_equal(stream_unsent(w.client), 0);
    assert_int_equal(w.drained, 1);
    world_end(&w);
}

static void slow_stream(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 1, NULL, true);
    struct reactor_sim_link slow = reactor_sim_defaults.link;
    slow.segment_max = 1;
    slow.delay = (struct reactor_sim_span){ 60 * 1000000, 60 * 1000000 };
    reactor_sim_set_link(w.server, &slow);
    msec_t start = reactor_now(w.r);
    send_zeros(&w, 10);
    while (w.got < 10)
        assert_true(reactor_sim_step(w.r));
    assert_in_range(reactor_now(w.r) - start, 10 * 60 * 1000, 11 * 60 * 1000);
    world_end(&w);
}

/* Even a write for which there is room is sometimes kept in part. */
static void short_writes(void **state)
{
    (void)state;
    unsigned kept = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world w;
        world_begin(&w, seed, NULL, true);
        send_zeros(&w, 100);
        bool some = stream_unsent(w.client) > 0;
        kept += some;
        while (w.got < 100)
            assert_true(reactor_sim_step(w.r));
        assert_int_equal(w.drained, some);
        world_end(&w);
    }
    assert_in_range(kept, 1, 49);
}

/* ---- breaks ---- */

static void both_ends_break(void **state)
{
    (void)state;
    size_t least = MUCH, most = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world w;
        world_begin(&w, seed, NULL, false);
        stream_set_reading(w.client, true);
        send_zeros(&w, 1000);
        reactor_sim_break(w.client, -ETIMEDOUT);
        stream_set_reading(w.server, true);
        while (w.client_end == 1 || w.server_end == 1)
            assert_true(reactor_sim_step(w.r));
        assert_int_equal(w.client_end, -ETIMEDOUT);
        assert_int_equal(w.server_end, -ETIMEDOUT);
        assert_true(w.got <= 1000);
        least = MIN(least, w.got);
        most = MAX(most, w.got);
        world_end(&w);
    }
    assert_true(least < 300 && most > 700); /* any part may still arrive */
}

static void break_while_connecting(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 1, NULL, false);
    static const struct stream_events deaf = { .on_read = NULL };
    struct stream *s;
    assert_int_equal(stream_connect(w.r, (const void *)&w.address, sizeof w.address, &deaf, NULL, &s), 0);
    reactor_sim_break(s, -ETIMEDOUT);
    stream_write(s, slice_str("for nobody"));
    stream_close(s);
    struct stream *first = w.server;
    reactor_sim_run_until(w.r, reactor_now(w.r) + 1000);
    assert_ptr_equal(w.server, first); /* it never came */
    assert_int_equal(reactor_sim_open(w.r), 3);
    world_end(&w);
}

static void end_waits_for_kept(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 1, NULL, false);
    send_zeros(&w, MUCH);
    assert_true(stream_unsent(w.client) > 0);
    reactor_sim_end(w.client);
    stream_set_reading(w.server, true);
    while (w.server_end == 1)
        assert_true(reactor_sim_step(w.r));
    assert_int_equal(w.server_end, 0);
    assert_int_equal(w.got, MUCH);
    world_end(&w);
}

static void closed_stream_takes_the_rest(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, 1, NULL, false);
    send_zeros(&w, 10);
    stream_close(w.server);
    msec_t start = reactor_now(w.r);
    send_zeros(&w, 10 * MUCH);
    while (stream_unsent(w.client) > 0)
        assert_true(reactor_sim_step(w.r));
    assert_non_null(w.server); /* it lingers */
    while (w.server != NULL)
        assert_true(reactor_sim_step(w.r));
    assert_int_equal(reactor_now(w.r) - start, 2000);
    assert_int_equal(w.client_end, 1);
    world_end(&w);
}

/* ---- jobs ---- */

struct job {
    GString *text;
    char letter;
};

static void job_run(void *arg)
{
    struct job *job = arg;
    g_string_append_c(job->text, job->letter);
}

static void job_done(void *arg)
{
    struct job *job = arg;
    g_string_append_c(job->text, g_ascii_toupper(job->letter));
}

static char *play_jobs(uint64_t seed)
{
    struct reactor *r = reactor_sim_new(seed);
    GString *text = g_string_new("");
    struct job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){ text, (char)('a' + i) };
        reactor_submit(r, job_run, job_done, &jobs[i]);
    }
    reactor_run(r);
    assert_int_equal(reactor_free(r), 0);
    return g_string_free(text, FALSE);
}

static void jobs_in_any_order(void **state)
{
    (void)state;
    bool overtaken = false, overlapped = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        g_autofree char *text = play_jobs(seed);
        assert_int_equal(strlen(text), 8);
        for (char letter = 'a'; letter < 'e'; letter++)
            assert_true(strchr(text, letter) < strchr(text, g_ascii_toupper(letter)));
        overtaken |= strchr(text, 'D') < strchr(text, 'A');
        overlapped |= strchr(text, 'b') > strchr(text, 'a') && strchr(text, 'b') < strchr(text, 'A');
    }
    assert_true(overtaken && overlapped);
}

/* ---- child processes ---- */

static struct reactor_sim_exit look_at_options(void *owner, const struct child_options *options)
{
    assert_string_equal(options->argv[1], "--serve");
    (*(unsigned *)owner)++;
    return (struct reactor_sim_exit){ .after_ms = 5000, .status = 3 };
}

static void note_status(void *owner, int status, int signal)
{
    *(int *)owner = signal != 0 ? -signal : status;
}

static void child_takes_its_time(void **state)
{
    (void)state;
    struct reactor *r = reactor_sim_new(1);
    unsigned runs = 0;
    int results[2] = { 100, 100 };
    struct child *children[2];
    reactor_sim_add_program(r, "host", look_at_options, &runs);
    struct child_options options = { .file = "host",
                                     .argv = (const char *const[]){ "host", "--serve", NULL } };
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_spawn(r, &options, note_status, &results[i], &children[i]), 0);
    assert_int_equal(runs, 2);
    assert_int_not_equal(child_pid(children[0]), child_pid(children[1]));
    msec_t start = reactor_now(r);
    assert_int_equal(child_kill(children[1], 0), 0); /* it is there, and unharmed */
    assert_int_equal(child_kill(children[1], SIGKILL), 0);
    reactor_sim_run_until(r, start + 4999);
    assert_int_equal(results[0], 100);
    assert_int_equal(results[1], -SIGKILL);
    reactor_sim_run_until(r, start + 5000);
    assert_int_equal(results[0], 3);
    child_close(children[0]);
    child_close(children[1]);
    assert_int_equal(reactor_free(r), 0);
}

/* ---- whose code runs ---- */

/* Letters of what was called: small in the name of the test, else large. */
static void note_party(GString *text, char letter)
{
    bool is_program = reactor_sim_party == REACTOR_SIM_PROGRAM;
    g_string_append_c(text, is_program ? g_ascii_toupper(letter) : letter);
}

static void party_on_read(void *owner, struct slice bytes)
{
    note_party(owner, (char)bytes.data[0]);
}

static void party_on_fire(void *owner)
{
    note_party(owner, 't');
}

static void party_in_job(void *arg)
{
    note_party(arg, 'j');
}

static void party_on_exit(void *owner, int status, int signal)
{
    (void)status, (void)signal;
    note_party(owner, 'x');
}

static struct reactor_sim_exit party_in_program(void *owner, const struct child_options *options)
{
    (void)options;
    note_party(owner, 'p');
    return (struct reactor_sim_exit){ .after_ms = 1 };
}

struct accepting {
    struct listener *listener;
    struct stream *accepted;
    GString *text;
};

static const struct stream_events party_events = { .on_read = party_on_read };

static void party_on_connection(void *owner)
{
    struct accepting *a = owner;
    note_party(a->text, 'l');
    assert_int_equal(listener_accept(a->listener, &party_events, a->text, &a->accepted), 0);
    stream_set_reading(a->accepted, true);
    stream_write(a->accepted, slice_str("c"));
}

/* The test's client, and a server that is the program's. */
static void play_parties(struct reactor *r, GString *text)
{
    const struct sockaddr_in address = { AF_INET, htons(25), { htonl(INADDR_LOOPBACK) }, "" };
    const struct sockaddr *at = (const void *)&address;
    struct accepting a = { .text = text };
    struct stream *client;
    struct child *child;
    const struct child_options options = { .file = "p" };
    reactor_sim_add_program(r, "p", party_in_program, text);
    assert_int_equal(stream_connect(r, at, sizeof address, &party_events, text, &client), 0);
    stream_set_reading(client, true);
    stream_write(client, slice_str("s"));
    struct timer *other = timer_new(r, party_on_fire, text), *timer;
    {
        REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
        assert_int_equal(listener_open(r, at, sizeof address, 1, party_on_connection, &a, &a.listener), 0);
        timer = timer_new(r, party_on_fire, text);
        reactor_submit(r, party_in_job, party_in_job, text);
        assert_int_equal(child_spawn(r, &options, party_on_exit, text, &child), 0);
    }
    timer_start(timer, reactor_now(r) + 50);
    timer_start(other, reactor_now(r) + 51);
    reactor_sim_run_until(r, reactor_now(r) + 100);
    timer_close(timer);
    timer_close(other);
    child_close(child);
    stream_abort(client);
    stream_abort(a.accepted);
    listener_close(a.listener);
    reactor_run(r);
}

static void calls_in_the_name_of_who_began(void **state)
{
    (void)state;
    struct reactor *r = reactor_sim_new(1);
    g_autoptr(GString) text = g_string_new(NULL);
    play_parties(r, text);
    assert_int_equal(reactor_free(r), 0);
    assert_int_equal(reactor_sim_party, REACTOR_SIM_TEST);
    assert_int_equal(text->len, 9);
    assert_true(text->str[0] == 'p' && g_str_has_suffix(text->str, "Tt"));
    for (const char *letter = "SLJXc"; *letter != '\0'; letter++)
        assert_non_null(strchr(text->str, *letter));
    assert_ptr_not_equal(strchr(text->str, 'J'), strrchr(text->str, 'J')); /* both halves */
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "the same seed is the same world", same_seed },
        { "another seed is another world", other_seed },
        { "the trace knows the bytes", bytes_are_traced },
        { "events are watched", events_are_watched },
        { "hours pass at once", hours_pass_at_once },
        { "callbacks take no time unless told", callbacks_take_no_time_unless_told },
        { "a reactor that is stuck returns", returns_when_stuck },
        { "a stream octet by octet", octet_by_octet },
        { "the window bounds what is taken", window_is_bounded },
        { "a slow stream", slow_stream },
        { "a write is taken in part", short_writes },
        { "both ends see a break", both_ends_break },
        { "a break while connecting", break_while_connecting },
        { "a stream ends its side behind what is kept", end_waits_for_kept },
        { "a closed stream takes the rest, for a while", closed_stream_takes_the_rest },
        { "jobs run and end in any order", jobs_in_any_order },
        { "a child takes its time", child_takes_its_time },
        { "callbacks come in the name of who began it", calls_in_the_name_of_who_began },
    };
    struct suite *suite = suite_new("reactor_sim");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
    return suite_run(suite, argc, argv);
}
