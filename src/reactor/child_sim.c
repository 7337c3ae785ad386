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
};

static void child_free(void *object)
{
    struct child *c = PAST_MAGIC(child, object, CHILD_MAGIC);
    sim_cancel(c->r, &c->end);
    c->magic = 0;
    g_free(c);
}

static void child_happen_end(void *object)
{
    struct child *c = PAST_MAGIC(child, object, CHILD_MAGIC);
    sim_note(c->r, "child", (uint64_t)c->pid, c->exit.signal != 0 ? -c->exit.signal : c->exit.status);
    c->ended = true;
    if (c->forgotten)
        g_ptr_array_remove_fast(c->r->children, c);
    else
        c->on_exit(c->owner, c->exit.status, c->exit.signal);
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
    c->exit = program->run(program->owner, options);
    c->end = sim_event_of(child_happen_end, c);
    if (c->exit.after_ms <= (INT64_MAX - r->now_us) / 1000)
        sim_schedule(r, &c->end, r->now_us + c->exit.after_ms * 1000);
    g_ptr_array_add(r->children, c);
    sim_hold(r);
    *ret_child = c;
    return 0;
}

int child_pid(const struct child *c)
{
    return c->pid;
}

int child_kill(struct child *c, int signal)
{
    if (c->ended)
        return -ESRCH;
    if (signal == 0)
        return 0;
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
        if (w->signal == signal && w->raise.place == NULL)
            sim_schedule(r, &w->raise, r->now_us);
    }
}

/* ---- for the reactor ---- */

void sim_children_init(struct reactor *r)
{
    r->programs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    r->children = g_ptr_array_new_with_free_func(child_free);
    r->watches = g_ptr_array_new();
    r->next_pid = FIRST_PID;
}

void sim_children_clear(struct reactor *r)
{
    g_hash_table_destroy(r->programs);
    g_ptr_array_free(r->children, TRUE); /* those that their owners have forgotten */
    g_ptr_array_free(r->watches, TRUE);
}
