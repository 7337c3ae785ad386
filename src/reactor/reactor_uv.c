#include "reactor/reactor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "reactor/birth_uv.h"
#include "reactor/reactor_uv.h"

enum { REACTOR_MAGIC = 0x72656163, TIMER_MAGIC = 0x74696d65, JOB_MAGIC = 0x6a6f625f };

struct deferred {
    unsigned turns; /* that it may still be put off for, and the one in which it was deferred */
    void (*run)(void *arg);
    void *arg;
};

/* ---- the loop ---- */

struct reactor *reactor_of(uv_loop_t *loop)
{
    return PAST_MAGIC(reactor, loop->data, REACTOR_MAGIC);
}

void reactor_hold(struct reactor *r)
{
    if (r->open++ == 0)
        uv_ref((uv_handle_t *)&r->keeper);
}

void reactor_release(struct reactor *r)
{
    pst_assert(r->open > 0);
    if (--r->open == 0)
        uv_unref((uv_handle_t *)&r->keeper);
}

/* libuv writes with write(2), which would kill us when a peer is gone. It resets signals in its children. */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN); /* cannot fail: SIGPIPE is a signal that may be ignored */
}

/* An eventfd needs no file system, and gives back a place in the system's table of open files, too. */
void reactor_refill_spare(struct reactor *r)
{
    if (r->spare < 0)
        r->spare = eventfd(0, EFD_CLOEXEC);
}

/* ---- the pool ---- */

static void wait_at(void *gate)
{
    uv_sem_wait(gate);
}

static int try_threads(unsigned count)
{
    g_autofree uv_thread_t *threads = g_new(uv_thread_t, count);
    uv_sem_t gate;
    unsigned made = 0;
    int error = uv_sem_init(&gate, 0);
    if (error < 0)
        return error;
    while (made < count && error == 0) {
        error = uv_thread_create(&threads[made], wait_at, &gate);
        made += error == 0;
    }
    for (unsigned i = 0; i < made; i++)
        uv_sem_post(&gate);
    for (unsigned i = 0; i < made; i++)
        uv_thread_join(&threads[i]);
    uv_sem_destroy(&gate);
    return error;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/*
 * libuv starts its threads with the first job, and aborts when it cannot: better to see it now, with a job
 * for nobody. Twice as many are tried, as one that has just ended still counts for a moment.
 */
static int start_pool(struct reactor *r, unsigned threads)
{
    static const char variable[] = "UV_THREADPOOL_SIZE";
    int error = try_threads(2 * threads);
    if (error < 0)
        return error;
    bool ours = getenv(variable) == NULL;
    if (ours) {
        g_autofree char *text = g_strdup_printf("%u", threads);
        (void)setenv(variable, text, 1); /* at worst the pool has libuv's own size */
    }
    reactor_submit(r, do_nothing, do_nothing, NULL);
    if (ours)
        (void)unsetenv(variable); /* our children must not inherit it */
    reactor_run(r);
    return 0;
}

int reactor_new(unsigned pool_threads, struct reactor **ret_reactor)
{
    g_autofree struct reactor *r = g_new0(struct reactor, 1);
    r->magic = REACTOR_MAGIC;
    g_queue_init(&r->broken);
    g_queue_init(&r->nursed);
    int error = uv_loop_init(&r->loop);
    if (error < 0)
        return error;
    r->loop.data = r;
    error = uv_async_init(&r->loop, &r->keeper, NULL);
    if (error < 0) {
        (void)uv_loop_close(&r->loop); /* nothing is open in it yet */
        return error;
    }
    uv_unref((uv_handle_t *)&r->keeper);
    uv_idle_init(&r->loop, &r->later);
    uv_prepare_init(&r->loop, &r->returning);
    uv_unref((uv_handle_t *)&r->returning); /* watching alone is no reason to run */
    r->deferred = g_array_new(FALSE, FALSE, sizeof(struct deferred));
    r->spare = -1;
    reactor_refill_spare(r);
    error = pool_threads > 0 ? start_pool(r, pool_threads) : 0;
    if (error < 0) {
        (void)reactor_free(g_steal_pointer(&r)); /* nothing is open */
        return error;
    }
    ignore_sigpipe();
    *ret_reactor = g_steal_pointer(&r);
    return 0;
}

void reactor_run(struct reactor *r)
{
    uv_run(&r->loop, UV_RUN_DEFAULT);
}

void reactor_stop(struct reactor *r)
{
    uv_stop(&r->loop);
}

/* What is left then is ours, or is a process that its owner has forgotten. */
static void close_left(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, handle->type == UV_POLL ? child_on_uv_closed : NULL);
}

int reactor_free(struct reactor *r)
{
    if (r == NULL)
        return 0;
    if (r->open > 0)
        return -EBUSY;
    uv_walk(&r->loop, close_left, NULL);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&r->loop);
    pst_assert(left == 0);
    if (r->spare >= 0)
        close(r->spare);
    nursery_free(r->nursery);
    g_array_unref(r->deferred);
    r->magic = 0;
    g_free(r);
    return 0;
}

/* ---- later: between two looks at the kernel's events, and before the loop sleeps ---- */

static void tell_broken(struct reactor *r)
{
    /* Those that break now, in a callback, have their turn after the other events. */
    for (guint n = g_queue_get_length(&r->broken); n > 0; n--) {
        reactor_is_away(r);
        struct stream *s = g_queue_pop_head(&r->broken);
        if (s != NULL) /* another's callback may have closed it */
            stream_tell_break(s);
    }
}

/*
 * Once a turn of the loop brought nothing, or so many have brought something. What is deferred by those that
 * run now has its turn later.
 */
static void run_deferred(struct reactor *r)
{
    bool was_busy = r->is_busy;
    r->is_busy = false;
    guint count = r->deferred->len, kept = 0;
    for (guint i = 0; i < count; i++) {
        struct deferred d = g_array_index(r->deferred, struct deferred, i); /* a copy: the array may grow */
        if (was_busy && --d.turns > 0) {
            g_array_index(r->deferred, struct deferred, kept++) = d;
            continue;
        }
        reactor_is_away(r);
        d.run(d.arg);
        reactor_release(r);
    }
    if (kept < count)
        g_array_remove_range(r->deferred, kept, count - kept);
}

static void on_later(uv_idle_t *handle)
{
    struct reactor *r = reactor_of(handle->loop);
    tell_broken(r);
    if (r->deferred->len > 0)
        run_deferred(r);
    if (g_queue_is_empty(&r->broken) && r->deferred->len == 0)
        uv_idle_stop(handle);
}

void reactor_call_later(struct reactor *r, struct stream *broken)
{
    g_queue_push_tail(&r->broken, broken);
    uv_idle_start(&r->later, on_later);
}

void reactor_defer(struct reactor *r, unsigned turns, void (*run)(void *arg), void *arg)
{
    r->is_busy |= r->deferred->len == 0; /* what caused this is an event */
    const struct deferred d = { .turns = turns + 1, .run = run, .arg = arg };
    g_array_append_val(r->deferred, d);
    reactor_hold(r);
    uv_idle_start(&r->later, on_later);
}

/* ---- how long others wait ---- */

static void on_returning(uv_prepare_t *handle)
{
    struct reactor *r = reactor_of(handle->loop);
    if (r->away_since == 0)
        return;
    uint64_t away_ns = uv_hrtime() - r->away_since;
    r->away_since = 0;
    r->on_turn(r->on_turn_owner, away_ns);
}

void reactor_watch_turns(struct reactor *r, reactor_on_turn on_turn, void *owner)
{
    r->on_turn = on_turn;
    r->on_turn_owner = owner;
    r->away_since = 0;
    if (on_turn != NULL)
        uv_prepare_start(&r->returning, on_returning);
    else
        uv_prepare_stop(&r->returning);
}

/* ---- clocks and randomness ---- */

msec_t reactor_now(const struct reactor *r)
{
    return (msec_t)uv_now(&r->loop);
}

int64_t reactor_wall_us(const struct reactor *r)
{
    (void)r;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void ask_kernel(uint8_t *bytes, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t got = getrandom(bytes + have, len - have, 0);
        pst_assert(got >= 0 || errno == EINTR); /* no other error is possible; a guess would be worse */
        if (got > 0)
            have += (size_t)got;
    }
}

uint64_t reactor_process(const struct reactor *r)
{
    (void)r;
    return (uint64_t)getpid();
}

void reactor_random(struct reactor *r, void *bytes, size_t len)
{
    if (len > RANDOM_BUFFER) {
        ask_kernel(bytes, len);
        return;
    }
    if (r->random_left < len) {
        ask_kernel(r->random, RANDOM_BUFFER);
        r->random_left = RANDOM_BUFFER;
    }
    uint8_t *fresh = r->random + RANDOM_BUFFER - r->random_left;
    memcpy(bytes, fresh, len);
    memset(fresh, 0, len); /* what was handed out is nobody else's */
    r->random_left -= len;
}

/* ---- timers ---- */

struct timer {
    uint32_t magic;
    timer_on_fire on_fire;
    void *owner;
    uv_timer_t uv;
};

struct timer *timer_new(struct reactor *r, timer_on_fire on_fire, void *owner)
{
    struct timer *t = g_new(struct timer, 1);
    t->magic = TIMER_MAGIC;
    t->on_fire = on_fire;
    t->owner = owner;
    uv_timer_init(&r->loop, &t->uv);
    t->uv.data = t;
    reactor_hold(r);
    return t;
}

static void timer_on_uv(uv_timer_t *handle)
{
    struct timer *t = PAST_MAGIC(timer, handle->data, TIMER_MAGIC);
    reactor_is_away(reactor_of(handle->loop));
    t->on_fire(t->owner);
}

void timer_start(struct timer *t, msec_t deadline)
{
    if (deadline == MSEC_NEVER) {
        timer_stop(t);
        return;
    }
    msec_t now = (msec_t)uv_now(t->uv.loop);
    uv_timer_start(&t->uv, timer_on_uv, deadline > now ? (uint64_t)(deadline - now) : 0, 0);
}

void timer_stop(struct timer *t)
{
    uv_timer_stop(&t->uv);
}

static void timer_on_uv_closed(uv_handle_t *handle)
{
    struct timer *t = PAST_MAGIC(timer, handle->data, TIMER_MAGIC);
    t->magic = 0;
    g_free(t);
}

void timer_close(struct timer *t)
{
    if (t == NULL)
        return;
    reactor_release(reactor_of(t->uv.loop));
    uv_close((uv_handle_t *)&t->uv, timer_on_uv_closed);
}

/* ---- jobs ---- */

struct job {
    uint32_t magic;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
    uv_work_t uv;
};

static void job_on_run(uv_work_t *work)
{
    struct job *job = PAST_MAGIC(job, work->data, JOB_MAGIC);
    job->run(job->arg);
}

static void job_on_done(uv_work_t *work, int status)
{
    pst_assert(status == 0); /* nobody cancels */
    g_autofree struct job *job = PAST_MAGIC(job, work->data, JOB_MAGIC);
    struct reactor *r = reactor_of(work->loop);
    reactor_is_away(r);
    r->is_busy = true;
    job->done(job->arg);
    reactor_release(r);
}

void reactor_submit(struct reactor *r, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct job *job = g_new(struct job, 1);
    job->magic = JOB_MAGIC;
    job->run = run;
    job->done = done;
    job->arg = arg;
    job->uv.data = job;
    reactor_hold(r);
    uv_queue_work(&r->loop, &job->uv, job_on_run, job_on_done);
}
