/* The contract of timers: when they fire, and in which order. */
#include <stdlib.h>

#include "reactor_diary.h"

/* ---- when they fire ---- */

static void timers_by_deadline(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    entry_start(&c, now + 9);
    entry_start(&a, now + 3);
    entry_start(&b, now + 6);
    diary_end(&d, "abc");
}

static void timers_equal_deadlines(void **state)
{
    (void)state;
    enum { COUNT = 26 };
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 5;
    struct entry entries[COUNT];
    for (int i = 0; i < COUNT; i++) /* made in another order than started */
        entries[i] = entry_of(&d, (char)('a' + i));
    for (int i = COUNT - 1; i >= 0; i--)
        entries[i].t = timer_new(d.w.r, entry_on_fire, &entries[i]);
    for (int i = 0; i < COUNT; i++)
        entry_start(&entries[i], deadline);
    diary_end(&d, "abcdefghijklmnopqrstuvwxyz");
}

static void timer_in_the_past(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    entry_start(&a, now - 1);
    entry_start(&b, now - 1000); /* not before a: both are due now */
    entry_start(&c, now);
    assert_string_equal(d.text->str, "");
    diary_end(&d, "abc");
}

static void timer_moved(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c'), e = entry_of(&d, 'e');
    entry_start(&a, now + 5);
    entry_start(&b, now + 5);
    entry_start(&c, now + 5);
    entry_start(&e, now + 50);
    entry_start(&a, now + 5); /* the same instant again: behind c */
    entry_start(&b, now + 9); /* later */
    entry_start(&e, now + 2); /* earlier */
    diary_end(&d, "ecab");
}

static void timer_stopped(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    entry_start(&a, now + 2);
    entry_start(&b, now + 3);
    entry_start(&c, now + 4);
    timer_stop(b.t);
    timer_stop(b.t);
    RUN_UNTIL(&d.w, c.t == NULL);
    assert_string_equal(d.text->str, "ac");
    entry_start(&b, reactor_now(d.w.r) + 1);
    diary_end(&d, "acb");
}

static void timer_never(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b');
    entry_start(&a, reactor_now(d.w.r) + 1);
    entry_start(&a, MSEC_NEVER);
    entry_start(&b, reactor_now(d.w.r) + 5);
    RUN_UNTIL(&d.w, b.t == NULL);
    timer_close(a.t);
    diary_end(&d, "b");
}

static void start_again(struct entry *e)
{
    if (e->again_at == 0) {
        timer_close(g_steal_pointer(&e->t));
        return;
    }
    entry_start(e, e->again_at);
    e->again_at = 0;
}

static void timer_starts_itself(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b');
    a.then = start_again;
    a.again_at = now + 6;
    entry_start(&a, now + 2);
    entry_start(&b, now + 4);
    diary_end(&d, "aba");
}

/* ---- fairness: among those that are due at one instant, who was started first is first ---- */

static void start_other(struct entry *e)
{
    entry_start(e->other, e->again_at);
    timer_close(g_steal_pointer(&e->t));
}

/* Whoever has waited longer goes first: what counts is when a timer was started, not for how long. */
static void timers_meet_at_a_deadline(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r), deadline = now + 12;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    struct entry x = entry_of(&d, 'x'), y = entry_of(&d, 'y');
    x.then = y.then = start_other;
    x.other = &b;
    y.other = &c;
    x.again_at = y.again_at = deadline;
    entry_start(&y, now + 8);
    entry_start(&a, deadline);
    entry_start(&x, now + 4);
    diary_end(&d, "xyabc");
}

static void timer_loses_its_place(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 3;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    entry_start(&a, deadline);
    entry_start(&b, deadline);
    entry_start(&c, deadline);
    timer_stop(b.t);
    entry_start(&b, deadline); /* behind c */
    entry_start(&a, MSEC_NEVER);
    entry_start(&a, deadline); /* behind b */
    diary_end(&d, "cba");
}

/* Also one that was about to fire: it goes behind all that are due. */
static void timer_moved_when_due(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 2;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c'), e = entry_of(&d, 'e');
    a.then = start_other;
    a.other = &b;
    a.again_at = deadline;
    entry_start(&a, deadline);
    entry_start(&b, deadline);
    entry_start(&c, deadline);
    entry_start(&e, deadline);
    diary_end(&d, "aceb");
}

/* For an instant that has passed, or for this one: that is no way to the front. */
static void timer_started_when_others_are_due(void **state)
{
    const bool *is_past = *state;
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 2;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c'), x = entry_of(&d, 'x');
    a.then = start_other;
    a.other = &x;
    a.again_at = *is_past ? 1 : deadline;
    entry_start(&a, deadline);
    entry_start(&b, deadline);
    entry_start(&c, deadline);
    diary_end(&d, "abcx");
}

static void timer_does_not_starve_others(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 2;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    a.then = b.then = start_again;
    a.again_at = b.again_at = deadline;
    entry_start(&a, deadline);
    entry_start(&b, deadline);
    entry_start(&c, deadline);
    diary_end(&d, "abcab");
}

struct appointment {
    msec_t deadline; /* MSEC_NEVER: stopped */
    unsigned number; /* of its last start */
    char letter;
};

static gint compare_appointments(gconstpointer a, gconstpointer b)
{
    const struct appointment *left = a, *right = b;
    if (left->deadline != right->deadline)
        return left->deadline < right->deadline ? -1 : 1;
    return left->number < right->number ? -1 : 1;
}

/* Many, few deadlines, and each is started, moved and stopped again and again before its time has come. */
static void timers_at_random(void **state)
{
    (void)state;
    enum { COUNT = 60, STARTS = 1000, DEADLINES = 5 };
    struct diary d;
    diary_begin(&d);
    msec_t first = reactor_now(d.w.r) + 2;
    struct entry entries[COUNT];
    struct appointment appointments[COUNT];
    uint64_t dice = 4711;
    for (unsigned i = 0; i < COUNT; i++) {
        appointments[i] = (struct appointment){ .deadline = MSEC_NEVER, .letter = (char)('A' + i) };
        entries[i] = entry_of(&d, appointments[i].letter);
        entry_start(&entries[i], MSEC_NEVER);
    }
    for (unsigned number = 0; number < STARTS; number++) {
        dice = dice * 6364136223846793005 + 1442695040888963407; /* Knuth's */
        struct appointment *a = &appointments[(dice >> 33) % COUNT];
        a->number = number;
        a->deadline = (dice >> 45) % 8 == 0 ? MSEC_NEVER : first + (msec_t)((dice >> 50) % DEADLINES);
        entry_start(&entries[a - appointments], a->deadline);
    }
    qsort(appointments, COUNT, sizeof *appointments, compare_appointments);
    g_autoptr(GString) want = g_string_new("");
    for (unsigned i = 0; i < COUNT; i++) {
        if (appointments[i].deadline != MSEC_NEVER)
            g_string_append_c(want, appointments[i].letter);
        else
            timer_close(entries[appointments[i].letter - 'A'].t);
    }
    diary_end(&d, want->str);
}

/* ---- timers that deal with each other ---- */

static void stop_other(struct entry *e)
{
    timer_stop(e->other->t);
    timer_close(g_steal_pointer(&e->t));
}

static void close_other(struct entry *e)
{
    timer_close(g_steal_pointer(&e->other->t));
    timer_close(g_steal_pointer(&e->t));
}

static void timer_stops_one_that_is_due(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 2;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    a.then = stop_other;
    a.other = &b;
    entry_start(&a, deadline);
    entry_start(&b, deadline);
    entry_start(&c, deadline + 5);
    RUN_UNTIL(&d.w, c.t == NULL);
    timer_close(b.t);
    diary_end(&d, "ac");
}

static void timer_closes_one_that_is_due(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t deadline = reactor_now(d.w.r) + 2;
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    a.then = close_other;
    a.other = &b;
    entry_start(&a, deadline);
    entry_start(&b, deadline);
    entry_start(&c, deadline);
    diary_end(&d, "ac");
}

void add_timer_cases(struct suite *suite)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "timers fire by deadline", timers_by_deadline },
        { "timers with equal deadlines fire in the order of their start", timers_equal_deadlines },
        { "a deadline that has passed counts as now", timer_in_the_past },
        { "a started timer is moved", timer_moved },
        { "a stopped timer does not fire until it is started", timer_stopped },
        { "a timer for never is stopped", timer_never },
        { "a timer starts itself again", timer_starts_itself },
        { "a timer stops another that is due", timer_stops_one_that_is_due },
        { "a timer closes another that is due", timer_closes_one_that_is_due },
        { "timers meet at a deadline in the order of their start", timers_meet_at_a_deadline },
        { "a timer that was stopped loses its place", timer_loses_its_place },
        { "a timer that is due is moved behind the others", timer_moved_when_due },
        { "a timer for now does not starve others", timer_does_not_starve_others },
        { "timers started, moved and stopped at random", timers_at_random },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
    static const struct {
        const char *name;
        bool is_past;
    } started[] = {
        { "a timer started for now goes behind those that are due", false },
        { "a timer started for the past goes behind those that are due", true },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(started); i++)
        suite_add(suite, started[i].name, timer_started_when_others_are_due, (void *)&started[i].is_past);
}
