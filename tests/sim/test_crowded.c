/* Who gives way when there are more callers than may be let in. Time is virtual. */
#include "suite.h"

#include "disk/disk_sim.h"
#include "rig.h"

enum { SHORTLY_MS = 20, ALMOST_STALLED_MS = 9000 };

static void hang_up(struct rig *rig, struct caller *c)
{
    stream_abort(g_steal_pointer(&c->stream));
    rig_run_for(rig, SHORTLY_MS);
}

/* It is a stranger no more. */
static void introduce(struct rig *rig, struct caller *c)
{
    rig_say(rig, c, "EHLO x.example\r\n");
    assert_said(c, "250-");
}

static void begin_message(struct rig *rig, struct caller *c)
{
    rig_say(rig, c, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    assert_non_null(strstr(c->got->str, "\r\n354 "));
    rig_say(rig, c, "Subject: one\r\n");
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

static void assert_greeted(const struct caller *c)
{
    assert_said(c, "220 ");
    assert_false(c->ended);
}

static void assert_alive(struct rig *rig, struct caller *c)
{
    assert_false(c->ended);
    rig_say(rig, c, "NOOP\r\n");
    assert_said(c, "250 ");
}

/* ---- the cases ---- */

static void the_silent_one_gives_way(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 2);
    struct caller *active = rig_call(rig, 0, 0), *silent = rig_call(rig, 1, 0);
    rig_run_for(rig, LATER_MS);
    assert_alive(rig, active); /* although it came first */
    rig_run_for(rig, LATER_MS);
    struct caller *newcomer = rig_call(rig, 2, 0);
    assert_greeted(newcomer);
    assert_sent_away(silent);
    assert_alive(rig, active);
    assert_non_null(strstr(rig->told->str, " event=overload "));
    rig_end(rig);
}

static void nobody_is_silent_for_long_enough(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 1);
    struct caller *first = rig_call(rig, 0, 0);
    introduce(rig, first);
    struct caller *newcomer = rig_call(rig, 1, 0);
    assert_sent_away(newcomer);
    assert_alive(rig, first);
    rig_end(rig);
}

/* Or a crowd that comes at once and says nothing would have the door to itself. */
static void a_stranger_gives_way_at_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 2);
    struct caller *known = rig_call(rig, 0, 0);
    introduce(rig, known);
    struct caller *stranger = rig_call(rig, 1, 0), *newcomer = rig_call(rig, 2, 0);
    assert_greeted(newcomer);
    assert_sent_away(stranger);
    assert_alive(rig, known);
    rig_end(rig);
}

static void octets_without_a_line_are_silence(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 2);
    struct caller *drips = rig_call(rig, 0, 0), *talks = rig_call(rig, 1, 0);
    for (int i = 0; i < 20; i++) {
        assert_alive(rig, talks);
        rig_say(rig, drips, "x");
    }
    assert_greeted(rig_call(rig, 2, 0));
    assert_sent_away(drips);
    assert_alive(rig, talks);
    rig_end(rig);
}

static void who_awaits_an_answer_is_spared(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 1);
    struct reactor_sim_settings slow = reactor_sim_defaults;
    slow.job.min_us = slow.job.max_us = 60 * 1000000;
    struct caller *waits = rig_call(rig, 0, 0);
    reactor_sim_configure(rig->reactor, &slow);
    rig_say(rig, waits, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\n");
    rig_run_for(rig, 30000);
    assert_sent_away(rig_call(rig, 1, 0));
    rig_run_for(rig, 200000); /* its answer has come long ago */
    assert_non_null(strstr(waits->got->str, "250 2.1.5 "));
    assert_greeted(rig_call(rig, 2, 0));
    assert_sent_away(waits);
    rig_end(rig);
}

static void a_message_is_spared_for_a_while(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 2);
    struct caller *sends = rig_call(rig, 0, 0), *silent = rig_call(rig, 1, 0);
    begin_message(rig, sends);
    rig_run_for(rig, ALMOST_STALLED_MS);
    struct caller *newcomer = rig_call(rig, 2, 0);
    assert_greeted(newcomer);
    assert_sent_away(silent); /* it came later, and had said nothing */
    introduce(rig, newcomer);
    assert_sent_away(rig_call(rig, 3, 0));
    assert_false(sends->ended);
    rig_say(rig, sends, "\r\nbody\r\n.\r\n");
    assert_said(sends, "250 2.0.0 ");
    rig_end(rig);
}

static void a_stalled_message_gives_way(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 1);
    struct caller *sends = rig_call(rig, 0, 0);
    begin_message(rig, sends);
    rig_run_for(rig, ALMOST_STALLED_MS + 2 * LATER_MS);
    assert_greeted(rig_call(rig, 1, 0));
    assert_sent_away(sends);
    rig_end(rig);
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    assert_int_equal(g_strv_length(names), 0);
}

static void who_reads_nothing_is_cut_off(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 1);
    struct reactor_sim_link narrow = reactor_sim_defaults.link;
    narrow.window = 64;
    struct caller *deaf = rig_call(rig, 0, 0);
    assert_greeted(deaf);
    reactor_sim_set_link(deaf->stream, &narrow);
    stream_set_reading(deaf->stream, false);
    rig_say(rig, deaf, "HELP\r\nHELP\r\nHELP\r\nHELP\r\nHELP\r\n"); /* more than its window takes */
    rig_run_for(rig, LATER_MS);
    assert_greeted(rig_call(rig, 1, 0));
    assert_int_equal(rig->shares[0].connections, 1); /* and does not linger */
    rig_end(rig);
}

static void another_workers_silent_ones_give_way(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 4);
    rig_add_worker(rig, 4);
    for (size_t i = 0; i < 4; i++)
        assert_greeted(rig_call(rig, i, 0));
    rig_run_for(rig, LATER_MS);
    for (size_t i = 4; i < 6; i++)
        assert_greeted(rig_call(rig, i, 1));
    rig_run_for(rig, LATER_MS);
    assert_int_equal(rig->shares[0].connections, 2);
    assert_int_equal(rig->shares[1].connections, 2);
    for (size_t i = 0; i < 2; i++)
        assert_sent_away(&rig->callers[i]);
    for (size_t i = 2; i < 6; i++)
        assert_alive(rig, &rig->callers[i]);
    rig_end(rig);
}

static void another_workers_active_ones_stay(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 2);
    rig_add_worker(rig, 2);
    for (size_t i = 0; i < 2; i++)
        introduce(rig, rig_call(rig, i, 0));
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 2; i++)
            assert_alive(rig, &rig->callers[i]);
        rig_run_for(rig, SOON_MS);
    }
    assert_sent_away(rig_call(rig, 2, 1)); /* permitted is permitted, over all workers together */
    assert_int_equal(rig->shares[0].connections, 2);
    rig_end(rig);
}

static void a_worker_has_its_own_bound(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 100);
    rig->settings[0].connections_here = 2;
    struct caller *first = rig_call(rig, 0, 0), *second = rig_call(rig, 1, 0);
    introduce(rig, first);
    introduce(rig, second);
    assert_sent_away(rig_call(rig, 2, 0));
    rig_run_for(rig, LATER_MS);
    assert_greeted(rig_call(rig, 3, 0));
    assert_sent_away(first);
    assert_alive(rig, second);
    rig_end(rig);
}

/* They are told goodbye, which they do not take: each keeps a descriptor, of which there are so many. */
static void those_who_leave_have_a_bound_of_their_own(void **state)
{
    enum { HERE = 4, LEAVING = 2, COMING = 4 };
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 100);
    rig->settings[0].connections_here = HERE;
    rig->settings[0].leaving_here = LEAVING;
    struct reactor_sim_link narrow = reactor_sim_defaults.link;
    narrow.window = 16;
    for (size_t i = 0; i < HERE; i++) {
        assert_greeted(rig_call(rig, i, 0));
        reactor_sim_set_link(rig->callers[i].stream, &narrow);
        stream_set_reading(rig->callers[i].stream, false);
    }
    for (size_t i = 0; i < COMING; i++) {
        assert_greeted(rig_call(rig, HERE + i, 0));
        assert_int_equal(rig->shares[0].connections, HERE + MIN(i + 1, LEAVING));
    }
    for (size_t i = 0; i < LEAVING; i++)
        stream_set_reading(rig->callers[i].stream, true);
    rig_run_for(rig, LATER_MS);
    assert_int_equal(rig->shares[0].connections, HERE);
    for (size_t i = 0; i < LEAVING; i++)
        assert_sent_away(&rig->callers[i]);
    rig_end(rig);
}

/* They come and go around its part, more often than it looks after the others. */
static void a_worker_with_much_coming_and_going_looks_after_others(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 4);
    rig_add_worker(rig, 4);
    introduce(rig, rig_call(rig, 0, 1));
    bool seen = false;
    for (size_t i = 1; i < 4; i++)
        assert_greeted(rig_call(rig, i, 0));
    for (size_t i = 4; i < RIG_CALLERS; i++) {
        hang_up(rig, &rig->callers[i - 1]);
        assert_int_equal(rig->shares[0].connections, 2);
        assert_greeted(rig_call(rig, i, 0));
        seen |= rig->shares[0].has_silent;
    }
    assert_true(seen);
    rig_end(rig);
}

/* How often the log told of it, and how many it has told of in all. */
static void assert_told(const struct rig *rig, unsigned times, uint64_t refused)
{
    unsigned events = 0;
    uint64_t sum = 0;
    for (const char *at = rig->told->str; (at = strstr(at, " event=overload ")) != NULL; at++) {
        events++;
        const char *count = strstr(at, " refused=");
        assert_non_null(count);
        sum += g_ascii_strtoull(count + strlen(" refused="), NULL, 10);
    }
    assert_int_equal(events, times);
    assert_int_equal(sum, refused);
}

static void the_last_of_a_flood_are_told_as_well(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 1);
    struct caller *first = rig_call(rig, 0, 0);
    introduce(rig, first);
    assert_sent_away(rig_call(rig, 1, 0));
    assert_told(rig, 1, 1);
    assert_alive(rig, first);
    assert_sent_away(rig_call(rig, 2, 0));
    assert_alive(rig, first);
    assert_sent_away(rig_call(rig, 3, 0));
    assert_told(rig, 1, 1);
    rig_run_for(rig, 1000);
    assert_told(rig, 2, 3);
    rig_run_for(rig, 100 * 1000);
    assert_told(rig, 2, 3);
    assert_alive(rig, first);
    assert_sent_away(rig_call(rig, 4, 0)); /* another flood begins, and is told at once */
    assert_told(rig, 3, 4);
    assert_alive(rig, first);
    assert_sent_away(rig_call(rig, 5, 0));
    rig_end(rig);
}

static void the_end_tells_what_was_not_told(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 1);
    struct caller *first = rig_call(rig, 0, 0);
    introduce(rig, first);
    assert_sent_away(rig_call(rig, 1, 0));
    assert_alive(rig, first);
    assert_sent_away(rig_call(rig, 2, 0));
    assert_told(rig, 1, 1);
    worker_drain(rig->workers[0], 1000);
    rig_run_for(rig, SOON_MS);
    assert_int_equal(rig->drained, 1);
    assert_told(rig, 2, 2);
    rig_clear(rig);
}

static void without_descriptors_callers_are_told_so(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 100);
    struct caller *first = rig_call(rig, 0, 0);
    reactor_sim_set_shortage(rig->reactor, true);
    assert_sent_away(rig_call(rig, 1, 0));
    assert_sent_away(rig_call(rig, 2, 0));
    assert_alive(rig, first);
    reactor_sim_set_shortage(rig->reactor, false);
    assert_greeted(rig_call(rig, 3, 0));
    rig_end(rig);
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
        { "those who leave have a bound of their own", those_who_leave_have_a_bound_of_their_own },
        { "a worker with much coming and going looks after the others",
          a_worker_with_much_coming_and_going_looks_after_others },
        { "the last of a flood are told as well, once", the_last_of_a_flood_are_told_as_well },
        { "who stops tells what was not told", the_end_tells_what_was_not_told },
        { "without descriptors callers are told 421", without_descriptors_callers_are_told_so },
    };
    struct suite *s = suite_new("crowded");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(s, cases[i].name, cases[i].run, NULL);
    return suite_run(s, argc, argv);
}
