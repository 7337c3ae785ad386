#include "reactor/reactor.h"

#include <errno.h>
#include <string.h>

#include "reactor/sim_loop.h"

enum {
    REACTOR_MAGIC = 0x53696d52,
    TIMER_MAGIC = 0x53696d54,
    JOB_MAGIC = 0x53696d4a,
    DEFERRED_MAGIC = 0x53696d44
};

static const int64_t first_instant_us = 3600000000000; /* nobody should take the clock's start for 0 */
static const int64_t first_wall_us = 1767225600000000; /* 2026-01-01 00:00 UTC */
static const uint64_t numbers_seed = UINT64_C(0x706f737465726e21); /* another sequence from the same seed */

const struct reactor_sim_settings reactor_sim_defaults = {
    .link = {
        .segment_min = 1,
        .segment_max = 64 * 1024,
        .delay = { 0, 2000 },
        .window = 64 * 1024,
        .short_writes = 8,
    },
    .connect = { 0, 2000 },
    .job = { 0, 5000 },
    .child = { 0, 5000 },
};

enum reactor_sim_party reactor_sim_party;

/* ---- the queue of events ---- */

struct sim_event sim_event_of(void (*happen)(void *object), void *object)
{
    return (struct sim_event){ .happen = happen, .object = object, .party = reactor_sim_party };
}

bool sim_is_scheduled(const struct sim_event *e)
{
    return e->place > 0;
}

void sim_cancel(struct reactor *r, struct sim_event *e)
{
    if (sim_is_scheduled(e))
        sim_queue_remove(&r->events, e);
}

void sim_schedule(struct reactor *r, struct sim_event *e, int64_t at_us)
{
    sim_cancel(r, e);
    sim_queue_add(&r->events, e, MAX(at_us, r->now_us));
}

void sim_schedule_in(struct reactor *r, struct sim_event *e, const struct reactor_sim_span *span)
{
    sim_schedule(r, e, r->now_us + sim_pick(r, span->min_us, span->max_us));
}

static void end_turn(struct reactor *r)
{
    int64_t away_us = r->spent_us;
    r->spent_us = 0;
    r->now_us += away_us;
    if (r->on_turn != NULL)
        r->on_turn(r->on_turn_owner, (uint64_t)away_us * 1000);
}

bool reactor_sim_step(struct reactor *r)
{
    struct sim_event *e = sim_queue_first(&r->events);
    if (e == NULL)
        return false;
    r->now_us = MAX(r->now_us, e->at_us); /* what should have happened meanwhile happens late */
    sim_cancel(r, e);
    REACTOR_SIM_AS(e->party);
    e->happen(e->object);
    end_turn(r);
    return true;
}

void reactor_sim_run_until(struct reactor *r, msec_t deadline)
{
    pst_assert(deadline <= INT64_MAX / 1000);
    const struct sim_event *e;
    while ((e = sim_queue_first(&r->events)) != NULL && e->at_us <= deadline * 1000)
        (void)reactor_sim_step(r); /* there is one */
    r->now_us = MAX(r->now_us, deadline * 1000);
}

void reactor_run(struct reactor *r)
{
    r->is_stopped = false;
    while (r->open > 0 && !r->is_stopped && reactor_sim_step(r))
        ;
}

void reactor_stop(struct reactor *r)
{
    r->is_stopped = true;
}

/* ---- how long others wait: each event is a turn ---- */

void reactor_watch_turns(struct reactor *r, reactor_on_turn on_turn, void *owner)
{
    r->on_turn = on_turn;
    r->on_turn_owner = owner;
}

void reactor_sim_spend(struct reactor *r, msec_t ms)
{
    r->spent_us += ms * 1000;
}

/* ---- the trace ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

void sim_note(struct reactor *r, const char *what, uint64_t object, int64_t amount)
{
    r->trace = mix(r->trace, (uint64_t)r->now_us);
    r->trace = mix(r->trace, g_str_hash(what));
    r->trace = mix(r->trace, object);
    r->trace = mix(r->trace, (uint64_t)amount);
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    if (r->on_event != NULL)
        r->on_event(r->on_event_owner, r->now_us, what, object, amount);
}

void sim_note_bytes(struct reactor *r, const char *what, uint64_t object, struct slice bytes)
{
    struct slice rest = bytes;
    for (uint64_t eight; rest.len >= sizeof eight; rest = slice_skip(rest, sizeof eight)) {
        memcpy(&eight, rest.data, sizeof eight);
        r->trace = mix(r->trace, GUINT64_FROM_LE(eight)); /* the same on every machine */
    }
    for (size_t i = 0; i < rest.len; i++)
        r->trace = mix(r->trace, rest.data[i]);
    sim_note(r, what, object, (int64_t)bytes.len);
}

uint64_t reactor_sim_trace(const struct reactor *r)
{
    return r->trace;
}

void reactor_sim_watch(struct reactor *r, reactor_sim_on_event on_event, void *owner)
{
    r->on_event = on_event;
    r->on_event_owner = owner;
}

/* ---- the reactor ---- */

struct reactor *reactor_sim_new(uint64_t seed)
{
    struct reactor *r = g_new0(struct reactor, 1);
    r->magic = REACTOR_MAGIC;
    r->now_us = first_instant_us;
    sim_queue_init(&r->events);
    pst_random_seed(&r->dice, seed);
    pst_random_seed(&r->numbers, seed ^ numbers_seed);
    r->settings = reactor_sim_defaults;
    r->listeners = g_hash_table_new(sim_place_hash, sim_place_equal);
    r->files = g_hash_table_new_full(sim_place_hash, sim_place_equal, g_free, NULL);
    r->next_port = SIM_FIRST_PORT;
    sim_children_init(r);
    return r;
}

int reactor_new(unsigned pool_threads, struct reactor **ret_reactor)
{
    (void)pool_threads; /* jobs overlap as the seed has it */
    *ret_reactor = reactor_sim_new(0);
    return 0;
}

int reactor_free(struct reactor *r)
{
    if (r == NULL)
        return 0;
    pst_assert(r->magic == REACTOR_MAGIC);
    if (r->open > 0)
        return -EBUSY;
    sim_children_clear(r);
    g_hash_table_destroy(r->listeners);
    g_hash_table_destroy(r->files);
    sim_queue_clear(&r->events);
    r->magic = 0;
    g_free(r);
    return 0;
}

void reactor_sim_configure(struct reactor *r, const struct reactor_sim_settings *settings)
{
    r->settings = *settings;
}

void reactor_sim_set_shortage(struct reactor *r, bool on)
{
    r->shortage = on;
}

size_t reactor_sim_open(const struct reactor *r)
{
    return r->open;
}

void sim_hold(struct reactor *r)
{
    r->open++;
}

void sim_release(struct reactor *r)
{
    pst_assert(r->open > 0);
    r->open--;
}

uint64_t sim_next_object(struct reactor *r)
{
    return ++r->next_object;
}

/* ---- clocks and randomness ---- */

msec_t reactor_now(const struct reactor *r)
{
    return r->now_us / 1000;
}

int64_t reactor_wall_us(const struct reactor *r)
{
    return first_wall_us + r->now_us - first_instant_us;
}

/* Also after a restart: a container's first process is always the same one. */
uint64_t reactor_process(const struct reactor *r)
{
    (void)r;
    return 1;
}

void reactor_random(struct reactor *r, void *bytes, size_t len)
{
    pst_random_fill(&r->numbers, bytes, len);
}

int64_t sim_pick(struct reactor *r, int64_t min, int64_t max)
{
    pst_assert(min >= 0 && min <= max && max < INT64_MAX);
    return min + (int64_t)pst_random_below(&r->dice, (uint64_t)(max - min) + 1);
}

/* ---- timers ---- */

struct timer {
    uint32_t magic;
    uint64_t object;
    struct reactor *r;
    timer_on_fire on_fire;
    void *owner;
    struct sim_event fire;
};

static void timer_happen(void *object)
{
    struct timer *t = PAST_MAGIC(timer, object, TIMER_MAGIC);
    sim_note(t->r, "timer", t->object, 0);
    t->on_fire(t->owner);
}

struct timer *timer_new(struct reactor *r, timer_on_fire on_fire, void *owner)
{
    struct timer *t = g_new0(struct timer, 1);
    t->magic = TIMER_MAGIC;
    t->object = sim_next_object(r);
    t->r = r;
    t->on_fire = on_fire;
    t->owner = owner;
    t->fire = sim_event_of(timer_happen, t);
    sim_hold(r);
    return t;
}

void timer_start(struct timer *t, msec_t deadline)
{
    if (deadline > INT64_MAX / 1000) /* MSEC_NEVER, or as good as that */
        timer_stop(t);
    else
        sim_schedule(t->r, &t->fire, MAX(deadline, 0) * 1000);
}

void timer_stop(struct timer *t)
{
    sim_cancel(t->r, &t->fire);
}

void timer_close(struct timer *t)
{
    if (t == NULL)
        return;
    pst_assert(t->magic == TIMER_MAGIC);
    sim_cancel(t->r, &t->fire);
    sim_release(t->r);
    t->magic = 0;
    g_free(t);
}

/* ---- jobs ---- */

struct job {
    uint32_t magic;
    uint64_t object;
    struct reactor *r;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct sim_event next;
};

static void job_happen_done(void *object)
{
    g_autofree struct job *job = PAST_MAGIC(job, object, JOB_MAGIC);
    struct reactor *r = job->r;
    sim_note(r, "job-done", job->object, 0);
    job->done(job->arg);
    sim_release(r);
}

static void job_happen_run(void *object)
{
    struct job *job = PAST_MAGIC(job, object, JOB_MAGIC);
    sim_note(job->r, "job-run", job->object, 0);
    job->run(job->arg);
    job->next = sim_event_of(job_happen_done, job);
    sim_schedule_in(job->r, &job->next, &job->r->settings.job);
}

void reactor_submit(struct reactor *r, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct job *job = g_new0(struct job, 1);
    job->magic = JOB_MAGIC;
    job->object = sim_next_object(r);
    job->r = r;
    job->run = run;
    job->done = done;
    job->arg = arg;
    job->next = sim_event_of(job_happen_run, job);
    sim_hold(r);
    sim_schedule_in(r, &job->next, &r->settings.job);
}

/* ---- later ---- */

struct deferred {
    uint32_t magic;
    struct reactor *r;
    void (*run)(void *arg);
    void *arg;
    struct sim_event event;
};

static void deferred_happen(void *object)
{
    g_autofree struct deferred *d = PAST_MAGIC(deferred, object, DEFERRED_MAGIC);
    struct reactor *r = d->r;
    sim_note(r, "deferred", 0, 0);
    d->run(d->arg);
    sim_release(r);
}

/* Behind all that happens at this instant. */
void reactor_defer(struct reactor *r, unsigned turns, void (*run)(void *arg), void *arg)
{
    (void)turns; /* nothing goes on without an end at one instant */
    struct deferred *d = g_new0(struct deferred, 1);
    d->magic = DEFERRED_MAGIC;
    d->r = r;
    d->run = run;
    d->arg = arg;
    d->event = sim_event_of(deferred_happen, d);
    sim_hold(r);
    sim_schedule(r, &d->event, r->now_us);
}
