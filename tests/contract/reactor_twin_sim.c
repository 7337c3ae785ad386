/* The shim for the simulated twin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/reactor_sim.h"
#include "reactor_contract.h"

/* The contract's cases are the same world each; TEST_SEED=N shows them in another one. */
struct reactor *twin_new(unsigned pool_threads)
{
    const char *seed = getenv("TEST_SEED");
    struct reactor *r;
    if (seed != NULL)
        return reactor_sim_new(strtoull(seed, NULL, 10));
    assert_int_equal(reactor_new(pool_threads, &r), 0);
    return r;
}

void twin_turn(struct reactor *r)
{
    assert_true(reactor_sim_step(r));
}

void twin_unlink(struct reactor *r, const char *path)
{
    reactor_sim_unlink(r, path);
}

void twin_raise(struct reactor *r, int signal)
{
    reactor_sim_raise(r, signal);
}

static struct reactor_sim_exit shell(void *owner, const struct child_options *options)
{
    (void)owner;
    struct reactor_sim_exit end = { .after_ms = 3 };
    if (sscanf(options->argv[2], "exit %d", &end.status) != 1)
        assert_int_equal(sscanf(options->argv[2], "kill -%d $$", &end.signal), 1);
    return end;
}

static struct reactor_sim_exit sleeper(void *owner, const struct child_options *options)
{
    (void)owner;
    (void)options;
    return (struct reactor_sim_exit){ .after_ms = MSEC_NEVER };
}

void twin_add_programs(struct reactor *r)
{
    reactor_sim_add_program(r, "/bin/sh", shell, NULL);
    reactor_sim_add_program(r, "/bin/sleep", sleeper, NULL);
}

void twin_set_shortage(struct reactor *r, bool on)
{
    reactor_sim_set_shortage(r, on);
}

void twin_end_own_side(struct stream *s)
{
    reactor_sim_end(s);
}

void twin_reset(struct stream *s)
{
    reactor_sim_break(s, -ECONNRESET);
    stream_abort(s);
}

void twin_add_cases(struct suite *suite)
{
    (void)suite; /* tests/unit/test_reactor_sim.c has them */
}
