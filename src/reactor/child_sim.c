#include "reactor/reactor.h"

#include <errno.h>
#include <signal.h>

#include "reactor/sim_loop.h"

enum { CHILD_MAGIC = 0x53696d43, WATCH_MAGIC = 0x53696d57, FIRST_PID = 1000 };

/* ---- child processes ---- */

struct program {
    reactor_sim_program run;
    void *owner;
};

struct child {
    uint32_t magic;
    struct reactor *r;
    int pid;
    bool ended;
    bool forgotten;
    child_on_exit on_exit;
    void *owner;
    struct reactor_sim_exit exit;
    struct sim_event end;
    void (*on_signal)(void *owner, int signal);
    void *on_signal_owner;
    int caught;
    struct sim_event catch;
};

static void child_free(void *object)
{
    struct child *c = PAST_MAGIC(child, object, CHILD_MAGIC);
    sim_cancel(c->r, &c->end);
    sim_cancel(c->r, &c->catch);
    c->magic = 0;
    g_free(c);
}

/* ---- channels ---- */

static const struct stream_events silent = { .on_read = NULL };

static struct stream *new_end(struct reactor *r, const struct stream_events *events, void *owner)
{
    const struct sim_place nowhere = { .address.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
    struct stream *s = sim_stream_new(r, &nowhere);
    s->events = events;
    s->owner = owner;
    return s;
}

static void open_channel(struct child *c, const struct child_channel *channel)
{
    struct stream *ours = new_end(c->r, channel->events, channel->owner);
    struct stream *theirs = new_end(c->r, &silent, NULL);
    ours->peer = theirs;
    theirs->peer = ours;
    theirs->child = c;
    theirs->link.short_writes = 0; /* a process that blocks ends its writes before it ends itself */
    g_ptr_array_add(c->r->channels, theirs);
    sim_stream_count(ours);
    *channel->ret_stream = ours;
}

static struct stream *channel_of(const struct child *c)
{
    for (guint i = 0; i < c->r->channels->len; i++) {
        struct stream *s = g_ptr_array_index(c->r->channels, i);
        if (s->child == c)
            return s;
    }
    return NULL;
}

static void tell_closed(struct stream *s)
{
    const struct stream_events *events = s->events;
    s->events = &silent;
    if (events->on_closed != NULL)
        events->on_closed(s->owner);
}

/* What it has written arrives, unlike what it only tried to write; and that it has not read all is seen. */
static void end_channel(const struct child *c)
{
    struct stream *s = channel_of(c);
    if (s == NULL)
        return;
    if (s->peer != NULL && sim_octets_len(&s->in) > 0)
        sim_stream_cut(s->peer, -ECONNRESET);
    sim_octets_cut(&s->in, 0);
    stream_abort(s);
    tell_closed(s); /* not at its next event: whatever plays the child must not go on in between */
}

struct child *reactor_sim_newborn(struct reactor *r)
{
    pst_assert(r->newborn != NULL);
    return r->newborn;
}

struct stream *reactor_sim_channel(struct child *c, const struct stream_events *events, void *owner)
{
    struct stream *s = channel_of(c);
    if (s != NULL) {
        sim_stream_adopt(s);
        s->events = events;
        s->owner = owner;
    }
    return s;
}

/* ---- ends ---- */

static void child_happen_end(void *object)
{
    struct child *c = PAST_MAGIC(child, object, CHILD_MAGIC);
    sim_note(c->r, "child", (uint64_t)c->pid, c->exit.signal != 0 ? -c->exit.signal : c->exit.status);
    c->ended = true;
    sim_cancel(c->r, &c->catch);
    end_channel(c);
    if (c->forgotten)
        g_ptr_array_remove_fast(c->r->children, c);
    else
        c->on_exit(c->owner, c->exit.status, c->exit.signal);
}

static void child_happen_catch(void *object)
{
    struct child *c = PAST_MAGIC(child, object, CHILD_MAGIC);
    sim_note(c->r, "caught", (uint64_t)c->pid, c->caught);
    c->on_signal(c->on_signal_owner, c->caught);
}

static void schedule_end(struct child *c, const struct reactor_sim_exit *exit)
{
    c->exit = *exit;
    sim_cancel(c->r, &c->end);
    if (exit->after_ms <= (INT64_MAX - c->r->now_us) / 1000)
        sim_schedule(c->r, &c->end, c->r->now_us + exit->after_ms * 1000);
}

static struct reactor_sim_exit run_program(struct child *c, const struct program *program,
                                           const struct child_options *options)
{
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    c->r->newborn = c;
    const struct reactor_sim_exit exit = program->run(program->owner, options);
    c->r->newborn = NULL;
    return exit;
}

int child_spawn(struct reactor *r, const struct child_options *options, child_on_exit on_exit, void *owner,
                struct child **ret_child)
{
    const struct program *program = g_hash_table_lookup(r->programs, options->file);
    if (program == NULL)
        return -ENOENT;
    struct child *c = g_new0(struct child, 1);
    c->magic = CHILD_MAGIC;
    c->r = r;
    c->pid = r->next_pid++;
    c->on_exit = on_exit;
    c->owner = owner;
    c->end = sim_event_of(child_happen_end, c);
    c->catch = sim_event_of(child_happen_catch, c);
    g_ptr_array_add(r->children, c);
    sim_hold(r);
    if (options->channel != NULL)
        open_channel(c, options->channel);
    const struct reactor_sim_exit exit = run_program(c, program, options);
    schedule_end(c, &exit);
    *ret_child = c;
    return 0;
}

void reactor_sim_exit(struct child *c, const struct reactor_sim_exit *exit)
{
    pst_assert(c->magic == CHILD_MAGIC && !c->ended);
    schedule_end(c, exit);
}

void reactor_sim_catch(struct child *c, void (*on_signal)(void *owner, int signal), void *owner)
{
    c->on_signal = on_signal;
    c->on_signal_owner = owner;
    c->catch.party = reactor_sim_party;
}

int child_pid(const struct child *c)
{
    return c->pid;
}

int child_error(const struct child *c)
{
    (void)c;
    return 0;
}

int child_kill(struct child *c, int signal)
{
    if (c->ended)
        return -ESRCH;
    if (signal == 0)
        return 0;
    if (c->on_signal != NULL && signal != SIGKILL) {
        c->caught = signal;
        sim_schedule_in(c->r, &c->catch, &c->r->settings.child);
        return 0;
    }
    c->exit = (struct reactor_sim_exit){ .signal = signal };
    sim_schedule_in(c->r, &c->end, &c->r->settings.child);
    return 0;
}

void child_close(struct child *c)
{
    if (c == NULL)
        return;
    pst_assert(c->magic == CHILD_MAGIC && !c->forgotten);
    sim_release(c->r);
    c->forgotten = true;
    if (c->ended)
        g_ptr_array_remove_fast(c->r->children, c);
}

void reactor_sim_add_program(struct reactor *r, const char *file, reactor_sim_program program, void *owner)
{
    struct program *p = g_new(struct program, 1);
    *p = (struct program){ program, owner };
    g_hash_table_replace(r->programs, g_strdup(file), p);
}

/* ---- signals ---- */

struct signal_watch {
    uint32_t magic;
    struct reactor *r;
    int signal;
    signal_on_raise on_raise;
    void *owner;
    struct sim_event raise;
};

static void watch_happen_raise(void *object)
{
    struct signal_watch *w = PAST_MAGIC(signal_watch, object, WATCH_MAGIC);
    sim_note(w->r, "signal", 0, w->signal);
    w->on_raise(w->owner);
}

int signal_watch_open(struct reactor *r, int signal, signal_on_raise on_raise, void *owner,
                      struct signal_watch **ret_watch)
{
    if (signal <= 0 || signal >= NSIG || signal == SIGKILL || signal == SIGSTOP)
        return -EINVAL;
    struct signal_watch *w = g_new0(struct signal_watch, 1);
    w->magic = WATCH_MAGIC;
    w->r = r;
    w->signal = signal;
    w->on_raise = on_raise;
    w->owner = owner;
    w->raise = sim_event_of(watch_happen_raise, w);
    g_ptr_array_add(r->watches, w);
    sim_hold(r);
    *ret_watch = w;
    return 0;
}

void signal_watch_close(struct signal_watch *w)
{
    if (w == NULL)
        return;
    pst_assert(w->magic == WATCH_MAGIC);
    struct reactor *r = w->r;
    sim_cancel(r, &w->raise);
    g_ptr_array_remove(r->watches, w); /* in order: they are raised in the order of their opening */
    sim_release(r);
    w->magic = 0;
    g_free(w);
}

void reactor_sim_raise(struct reactor *r, int signal)
{
    for (guint i = 0; i < r->watches->len; i++) {
        struct signal_watch *w = g_ptr_array_index(r->watches, i);
        if (w->signal == signal && !sim_is_scheduled(&w->raise))
            sim_schedule(r, &w->raise, r->now_us);
    }
}

/* ---- for the reactor ---- */

void sim_children_init(struct reactor *r)
{
    r->programs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    r->children = g_ptr_array_new_with_free_func(child_free);
    r->channels = g_ptr_array_new();
    r->watches = g_ptr_array_new();
    r->next_pid = FIRST_PID;
}

void sim_children_clear(struct reactor *r)
{
    g_hash_table_destroy(r->programs);
    while (r->channels->len > 0) {
        struct stream *s = g_ptr_array_index(r->channels, 0);
        tell_closed(s);
        sim_stream_free(s); /* takes itself out */
    }
    g_ptr_array_free(r->channels, TRUE);
    g_ptr_array_free(r->children, TRUE); /* those that their owners have forgotten */
    g_ptr_array_free(r->watches, TRUE);
}
