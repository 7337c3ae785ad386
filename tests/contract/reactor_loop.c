/* The contract of the loop itself: its life, clocks, randomness, and jobs. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "reactor_diary.h"

/* ---- the loop's life ---- */

static void runs_nothing(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    reactor_run(w.r);
    reactor_run(w.r);
    world_end(&w);
    assert_int_equal(reactor_free(NULL), 0);
}

static void runs_again(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    for (char letter = 'a'; letter <= 'c'; letter++) {
        struct entry e = entry_of(&d, letter);
        entry_start(&e, reactor_now(d.w.r) + 1);
        reactor_run(d.w.r);
    }
    diary_end(&d, "abc");
}

static void stop_loop(struct entry *e)
{
    timer_close(g_steal_pointer(&e->t));
    reactor_stop(e->d->w.r);
}

static void stops(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b'), c = entry_of(&d, 'c');
    a.then = c.then = stop_loop;
    entry_start(&a, reactor_now(d.w.r) + 1);
    entry_start(&b, reactor_now(d.w.r) + 50);
    reactor_run(d.w.r);
    assert_string_equal(d.text->str, "a");
    reactor_run(d.w.r); /* until nothing is open */
    assert_string_equal(d.text->str, "ab");
    entry_start(&c, reactor_now(d.w.r) + 1); /* the last one */
    reactor_run(d.w.r);
    struct entry e = entry_of(&d, 'd');
    entry_start(&e, reactor_now(d.w.r) + 1); /* that stop has been */
    diary_end(&d, "abcd");
}

static void busy_with_handle(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    struct entry e = entry_of(&d, 'a');
    e.t = timer_new(d.w.r, entry_on_fire, &e); /* open, though never started */
    assert_int_equal(reactor_free(d.w.r), -EBUSY);
    timer_close(e.t);
    timer_close(NULL);
    diary_end(&d, "");
}

static void free_right_after_close(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    struct entry e = entry_of(&d, 'a');
    entry_start(&e, reactor_now(d.w.r));
    timer_close(e.t);
    assert_int_equal(reactor_free(d.w.r), 0); /* no turn of the loop between */
    assert_string_equal(d.text->str, "");
    g_string_free(d.text, TRUE);
}

/* ---- clocks and randomness ---- */

static void now_must_not_move(struct entry *e)
{
    msec_t before = reactor_now(e->d->w.r);
    twin_spend(e->d->w.r, 5);
    assert_int_equal(reactor_now(e->d->w.r), before);
    timer_close(g_steal_pointer(&e->t));
}

static void clock_stands_still(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t start = reactor_now(d.w.r);
    struct entry a = entry_of(&d, 'a'), b = entry_of(&d, 'b');
    a.then = now_must_not_move;
    entry_start(&a, start + 1);
    entry_start(&b, start + 2);
    reactor_run(d.w.r);
    assert_true(reactor_now(d.w.r) >= start + 2);
    diary_end(&d, "ab");
}

static void wall_is_plausible(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    int64_t first = reactor_wall_us(w.r);
    assert_true(first > 1577836800 * INT64_C(1000000)); /* 2020 */
    assert_true(first < 4102444800 * INT64_C(1000000)); /* 2100 */
    world_settle(&w);
    assert_true(reactor_wall_us(w.r) != first);
    world_end(&w);
}

static void random_differs(void **state)
{
    (void)state;
    static const size_t lens[] = { 8, 16, 100, 511, 512, 513, 5000 };
    struct world w;
    world_begin(&w);
    for (size_t i = 0; i < G_N_ELEMENTS(lens); i++) {
        uint8_t a[5001] = { 0 }, b[5001] = { 0 };
        reactor_random(w.r, a, lens[i]);
        reactor_random(w.r, b, lens[i]);
        assert_memory_not_equal(a, b, lens[i]);
        assert_memory_not_equal(a + lens[i] - 8, "\0\0\0\0\0\0\0", 8); /* to the end */
        assert_memory_not_equal(b + lens[i] - 8, "\0\0\0\0\0\0\0", 8);
        assert_int_equal(a[lens[i]], 0); /* and not behind it */
    }
    world_end(&w);
}

static void process_stays(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    uint64_t process = reactor_process(w.r);
    assert_true(process > 0);
    assert_int_equal(reactor_process(w.r), process);
    world_end(&w);
}

/* ---- jobs ---- */

struct job {
    struct world *w;
    pthread_t loop;
    int runs, dones;
    struct job *next; /* submitted by this one's done */
    unsigned *dones_in_all;
};

static void job_run(void *arg)
{
    struct job *job = arg;
    assert_int_equal(job->dones, 0);
    job->runs++;
}

static void job_done(void *arg)
{
    struct job *job = arg;
    assert_false(job->w->inside);
    assert_int_equal(job->runs, 1);
    assert_true(pthread_equal(pthread_self(), job->loop));
    job->dones++;
    if (job->dones_in_all != NULL)
        (*job->dones_in_all)++;
    if (job->next != NULL)
        reactor_submit(job->w->r, job_run, job_done, job->next);
}

static void job_runs(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct job job = { .w = &w, .loop = pthread_self() };
    INSIDE(&w, reactor_submit(w.r, job_run, job_done, &job));
    assert_int_equal(reactor_free(w.r), -EBUSY);
    assert_int_equal(job.dones, 0);
    reactor_run(w.r); /* also waits for it */
    assert_int_equal(job.runs, 1);
    assert_int_equal(job.dones, 1);
    world_end(&w);
}

static void job_submits_job(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct job second = { .w = &w, .loop = pthread_self() };
    struct job first = { .w = &w, .loop = pthread_self(), .next = &second };
    reactor_submit(w.r, job_run, job_done, &first);
    reactor_run(w.r);
    assert_int_equal(second.dones, 1);
    world_end(&w);
}

static void many_jobs(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct world w;
    world_begin(&w);
    unsigned dones = 0;
    g_autofree struct job *jobs = g_new0(struct job, COUNT);
    for (int i = 0; i < COUNT; i++) {
        jobs[i] = (struct job){ .w = &w, .loop = pthread_self(), .dones_in_all = &dones };
        INSIDE(&w, reactor_submit(w.r, job_run, job_done, &jobs[i]));
    }
    RUN_UNTIL(&w, dones == COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(jobs[i].runs, 1);
    world_end(&w);
}

/* ---- what is deferred ---- */

enum { MANY_TURNS = 64 };

static void write_letter(void *letter)
{
    struct entry *e = letter;
    assert_false(e->d->w.inside);
    g_string_append_c(e->d->text, e->letter);
    if (e->then != NULL)
        e->then(e);
}

static void defer_two(struct entry *e)
{
    timer_close(g_steal_pointer(&e->t));
    INSIDE(&e->d->w, reactor_defer(e->d->w.r, MANY_TURNS, write_letter, &e->other[0]));
    INSIDE(&e->d->w, reactor_defer(e->d->w.r, MANY_TURNS, write_letter, &e->other[1]));
}

static void deferred_in_order(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    msec_t now = reactor_now(d.w.r);
    struct entry deferred[] = { entry_of(&d, 'x'), entry_of(&d, 'y') };
    struct entry first = entry_of(&d, 'a'), second = entry_of(&d, 'b');
    first.then = defer_two;
    first.other = deferred;
    entry_start(&first, now + 5);
    entry_start(&second, now + 5);
    reactor_run(d.w.r);
    diary_end(&d, "abxy");
}

static void defer_until_timer(struct entry *e)
{
    if (e->other->t != NULL)
        INSIDE(&e->d->w, reactor_defer(e->d->w.r, MANY_TURNS, write_letter, e));
    g_string_truncate(e->d->text, 0);
}

static void deferred_again(void **state)
{
    (void)state;
    struct diary d;
    diary_begin(&d);
    struct entry timer = entry_of(&d, 't'), deferred = entry_of(&d, 'x');
    deferred.then = defer_until_timer;
    deferred.other = &timer;
    entry_start(&timer, reactor_now(d.w.r));
    INSIDE(&d.w, reactor_defer(d.w.r, MANY_TURNS, write_letter, &deferred));
    reactor_run(d.w.r);
    diary_end(&d, "");
}

/* A loop that is never idle, until what is deferred has run. */
struct bustle {
    struct world w;
    unsigned events;
    bool is_over;
};

static void nothing(void *arg)
{
    (void)arg;
}

static void bustle_on(void *bustle)
{
    struct bustle *b = bustle;
    b->events++;
    if (!b->is_over)
        reactor_submit(b->w.r, nothing, bustle_on, b);
}

static void bustle_end(void *bustle)
{
    ((struct bustle *)bustle)->is_over = true;
}

static void deferred_in_bustle(void **state)
{
    (void)state;
    for (unsigned turns = 1; turns <= MANY_TURNS; turns *= 8) {
        struct bustle b = { .is_over = false };
        world_begin(&b.w);
        bustle_on(&b);
        reactor_defer(b.w.r, turns, bustle_end, &b);
        reactor_run(b.w.r);
        assert_true(b.is_over);
        assert_in_range(b.events, 1, turns + 2); /* the first one was before, and the last one is behind it */
        world_end(&b.w);
    }
}

/* ---- how long others wait ---- */

enum { SPENT_MS = 20 };

/* What the watch was told. */
struct turns {
    unsigned count;
    uint64_t longest_ns;
};

static void note_turn(void *owner, uint64_t away_ns)
{
    struct turns *turns = owner;
    turns->count++;
    turns->longest_ns = MAX(turns->longest_ns, away_ns);
}

static void spend(void *reactor)
{
    twin_spend(reactor, SPENT_MS);
}

static void spend_in_timer(struct entry *e)
{
    timer_close(g_steal_pointer(&e->t));
    spend(e->d->w.r);
}

static void spend_in_deferred(struct entry *e)
{
    timer_close(g_steal_pointer(&e->t));
    reactor_defer(e->d->w.r, MANY_TURNS, spend, e->d->w.r);
}

static void spend_in_job_done(struct entry *e)
{
    timer_close(g_steal_pointer(&e->t));
    reactor_submit(e->d->w.r, nothing, spend, e->d->w.r);
}

struct spender {
    const char *name;
    void (*then)(struct entry *e);
};

static const struct spender spenders[] = {
    { "the loop tells how long it was away: a timer", spend_in_timer },
    { "the loop tells how long it was away: what was deferred", spend_in_deferred },
    { "the loop tells how long it was away: a job that is done", spend_in_job_done },
};

static void turn_is_told(void **state)
{
    const struct spender *spender = *state;
    struct diary d;
    struct turns turns = { 0 };
    diary_begin(&d);
    INSIDE(&d.w, reactor_watch_turns(d.w.r, note_turn, &turns));
    assert_int_equal(turns.count, 0);
    struct entry e = entry_of(&d, 'a');
    e.then = spender->then;
    entry_start(&e, reactor_now(d.w.r) + 1);
    while (turns.longest_ns < SPENT_MS * 1000000) /* the last turn before a loop ends is not told */
        world_settle(&d.w);
    diary_end(&d, "a");
}

static void spend_in_read(struct end *e, enum told told)
{
    if (told == TOLD_READ)
        spend(e->w->r);
}

static void turn_with_a_read_is_told(void **state)
{
    (void)state;
    struct pair p;
    struct turns turns = { 0 };
    pair_begin(&p, AF_INET);
    reactor_watch_turns(p.w.r, note_turn, &turns);
    p.server.then = spend_in_read;
    stream_set_reading(p.server.s, true);
    end_write_text(&p.client, "hello");
    while (turns.longest_ns < SPENT_MS * 1000000)
        world_settle(&p.w);
    pair_end(&p);
}

static void idle_turns_are_not_told(void **state)
{
    (void)state;
    enum { TIMERS = 10 };
    struct diary d;
    struct turns turns = { 0 };
    diary_begin(&d);
    reactor_watch_turns(d.w.r, note_turn, &turns);
    struct timer *unstarted = timer_new(d.w.r, entry_on_fire, NULL); /* the loop goes on between the others */
    for (unsigned i = 0; i < TIMERS; i++) {
        struct entry e = entry_of(&d, 'a');
        entry_start(&e, reactor_now(d.w.r) + 2);
        RUN_UNTIL(&d.w, e.t == NULL);
    }
    twin_idle_turn(d.w.r);
    assert_int_equal(turns.count, TIMERS);
    twin_idle_turn(d.w.r);
    assert_int_equal(turns.count, TIMERS);
    timer_close(unstarted);
    diary_end(&d, "aaaaaaaaaa");
}

static void turns_are_told_no_more(void **state)
{
    (void)state;
    struct world w;
    struct turns turns = { 0 };
    world_begin(&w);
    reactor_watch_turns(w.r, note_turn, &turns);
    world_settle(&w);
    reactor_watch_turns(w.r, NULL, NULL);
    turns.count = 0;
    world_settle(&w);
    assert_int_equal(turns.count, 0);
    world_end(&w);
}

void add_loop_cases(struct suite *suite)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "the loop ends when nothing is open", runs_nothing },
        { "the loop runs again", runs_again },
        { "the loop stops when it is told to, and goes on when it is run again", stops },
        { "a reactor with a handle is not freed", busy_with_handle },
        { "a reactor is freed right after the last handle's close", free_right_after_close },
        { "the clock stands still during a callback", clock_stands_still },
        { "the wall clock is plausible", wall_is_plausible },
        { "random bytes differ", random_differs },
        { "the process has a number, which stays", process_stays },
        { "a job runs, and is done on the loop", job_runs },
        { "a job's done submits another", job_submits_job },
        { "many jobs are done", many_jobs },
        { "the loop tells how long it was away: what was read", turn_with_a_read_is_told },
        { "turns in which nothing happens are not told", idle_turns_are_not_told },
        { "turns that nobody watches any more are not told", turns_are_told_no_more },
        { "what is deferred runs once, in order, and behind timers that are due", deferred_in_order },
        { "what is deferred runs in a loop that is never idle, too", deferred_in_bustle },
        { "what defers itself lets other events happen", deferred_again },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
    suite_add_rows(suite, spenders, turn_is_told);
}
