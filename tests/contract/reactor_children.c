/* The contract of child processes and signals. */
#include <errno.h>
#include <signal.h>

#include "reactor_contract.h"

struct offspring {
    struct world w;
    struct child *child;
    unsigned exits;
    int status, signal;
};

static void on_exit_note(void *owner, int status, int signal)
{
    struct offspring *o = owner;
    assert_false(o->w.inside);
    o->exits++;
    o->status = status;
    o->signal = signal;
}

static void offspring_begin(struct offspring *o)
{
    *o = (struct offspring){ .exits = 0 };
    world_begin(&o->w);
    twin_add_programs(o->w.r);
}

static int spawn(struct offspring *o, const char *file, const char *const *argv)
{
    struct child_options options = { .file = file, .argv = argv };
    int error;
    INSIDE(&o->w, error = child_spawn(o->w.r, &options, on_exit_note, o, &o->child));
    return error;
}

static void run_shell(const char *script, int want_status, int want_signal)
{
    struct offspring o;
    offspring_begin(&o);
    assert_int_equal(spawn(&o, "/bin/sh", (const char *const[]){ "sh", "-c", script, NULL }), 0);
    RUN_UNTIL(&o.w, o.exits == 1);
    assert_true(child_pid(o.child) > 0);
    assert_int_equal(o.status, want_status);
    assert_int_equal(o.signal, want_signal);
    assert_int_equal(child_kill(o.child, SIGTERM), -ESRCH);
    assert_int_equal(reactor_free(o.w.r), -EBUSY);
    child_close(o.child);
    world_end(&o.w);
}

static void tells_status(void **state)
{
    (void)state;
    run_shell("exit 0", 0, 0);
    run_shell("exit 7", 7, 0);
}

static void tells_signal(void **state)
{
    (void)state;
    run_shell("kill -9 $$", 0, SIGKILL);
}

static const char *const sleep_argv[] = { "sleep", "1000", NULL };

static void is_killed(void **state)
{
    (void)state;
    struct offspring o;
    offspring_begin(&o);
    assert_int_equal(spawn(&o, "/bin/sleep", sleep_argv), 0);
    world_settle(&o.w);
    assert_int_equal(o.exits, 0);
    int error;
    INSIDE(&o.w, error = child_kill(o.child, SIGTERM));
    assert_int_equal(error, 0);
    RUN_UNTIL(&o.w, o.exits == 1);
    assert_int_equal(o.signal, SIGTERM);
    child_close(o.child);
    world_end(&o.w);
}

static void closes_inside(void *owner, int status, int signal)
{
    struct offspring *o = owner;
    on_exit_note(owner, status, signal);
    child_close(g_steal_pointer(&o->child));
}

static void closed_inside_on_exit(void **state)
{
    (void)state;
    struct offspring o;
    offspring_begin(&o);
    struct child_options options = { .file = "/bin/sh",
                                     .argv = (const char *const[]){ "sh", "-c", "exit 1", NULL } };
    assert_int_equal(child_spawn(o.w.r, &options, closes_inside, &o, &o.child), 0);
    reactor_run(o.w.r);
    assert_int_equal(o.exits, 1);
    world_end(&o.w);
}

static void is_forgotten(void **state)
{
    (void)state;
    struct offspring o;
    offspring_begin(&o);
    assert_int_equal(spawn(&o, "/bin/sh", (const char *const[]){ "sh", "-c", "exit 0", NULL }), 0);
    child_close(o.child);
    world_settle(&o.w);
    assert_int_equal(spawn(&o, "/bin/sh", (const char *const[]){ "sh", "-c", "exit 0", NULL }), 0);
    child_close(o.child);
    world_end(&o.w); /* waits for neither */
    assert_int_equal(o.exits, 0);
}

static void no_such_program(void **state)
{
    (void)state;
    struct offspring o;
    offspring_begin(&o);
    assert_int_equal(spawn(&o, "/nowhere/program", sleep_argv), -ENOENT);
    assert_null(o.child);
    assert_int_equal(reactor_free(o.w.r), 0);
    assert_int_equal(o.exits, 0);
}

/* ---- signals ---- */

struct ear {
    struct world w;
    struct signal_watch *watch;
    unsigned heard;
};

static void on_raise_note(void *owner)
{
    struct ear *e = owner;
    assert_false(e->w.inside);
    e->heard++;
}

static struct signal_watch *listen_for(struct ear *e, int signal)
{
    struct signal_watch *watch;
    assert_int_equal(signal_watch_open(e->w.r, signal, on_raise_note, e, &watch), 0);
    return watch;
}

static void hears_signal(void **state)
{
    (void)state;
    struct ear e = { .heard = 0 };
    world_begin(&e.w);
    struct signal_watch *watch = listen_for(&e, SIGUSR1), *other = listen_for(&e, SIGUSR2);
    INSIDE(&e.w, twin_raise(e.w.r, SIGUSR1));
    RUN_UNTIL(&e.w, e.heard == 1);
    INSIDE(&e.w, twin_raise(e.w.r, SIGUSR1));
    RUN_UNTIL(&e.w, e.heard == 2);
    world_settle(&e.w);
    assert_int_equal(e.heard, 2);
    assert_int_equal(reactor_free(e.w.r), -EBUSY);
    signal_watch_close(watch);
    signal_watch_close(other);
    world_end(&e.w);
}

static void two_hear_signal(void **state)
{
    (void)state;
    struct ear e = { .heard = 0 };
    world_begin(&e.w);
    struct signal_watch *first = listen_for(&e, SIGUSR1), *second = listen_for(&e, SIGUSR1);
    twin_raise(e.w.r, SIGUSR1);
    RUN_UNTIL(&e.w, e.heard == 2);
    signal_watch_close(first);
    twin_raise(e.w.r, SIGUSR1);
    RUN_UNTIL(&e.w, e.heard == 3);
    world_settle(&e.w);
    assert_int_equal(e.heard, 3);
    twin_raise(e.w.r, SIGUSR1); /* heard by nobody: closed before its turn */
    signal_watch_close(second);
    world_settle(&e.w);
    world_end(&e.w);
    assert_int_equal(e.heard, 3);
}

static void no_such_signal(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct signal_watch *watch = NULL;
    assert_int_equal(signal_watch_open(w.r, SIGKILL, on_raise_note, NULL, &watch), -EINVAL);
    assert_int_equal(signal_watch_open(w.r, 0, on_raise_note, NULL, &watch), -EINVAL);
    assert_null(watch);
    assert_int_equal(reactor_free(w.r), 0);
}

void add_child_cases(struct suite *suite)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "a child's exit status is told", tells_status },
        { "the signal that ended a child is told", tells_signal },
        { "a child is killed", is_killed },
        { "a child is closed inside on_exit", closed_inside_on_exit },
        { "a child is forgotten", is_forgotten },
        { "there is no such program", no_such_program },
        { "a signal is heard", hears_signal },
        { "a signal is heard by every watch", two_hear_signal },
        { "a signal that cannot be watched", no_such_signal },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
}
