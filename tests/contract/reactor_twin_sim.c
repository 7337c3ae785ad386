/* The shim for the simulated twin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void twin_idle_turn(struct reactor *r)
{
    reactor_sim_run_until(r, reactor_now(r));
}

void twin_spend(struct reactor *r, msec_t ms)
{
    reactor_sim_spend(r, ms);
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

/* ---- the peer of a channel ---- */

struct peer {
    struct child *child;
    struct stream *s;
};

static void peer_on_read(void *owner, struct slice bytes)
{
    struct peer *p = owner;
    int fd = reactor_sim_take_descriptor(p->s);
    if (fd >= 0) {
        char text[64];
        ssize_t len = pread(fd, text, sizeof text, 0);
        assert_true(len > 0);
        stream_write(p->s, slice_of(text, (size_t)len));
    }
    size_t end = slice_find(bytes, 0, (uint8_t)*TWIN_PEER_EXIT);
    stream_write(p->s, slice_first(bytes, end));
    if (end < bytes.len)
        reactor_sim_exit(p->child, &(struct reactor_sim_exit){ .after_ms = 1, .status = TWIN_PEER_STATUS });
}

static void peer_on_end(void *owner, int error)
{
    (void)error;
    const struct peer *p = owner;
    reactor_sim_exit(p->child, &(struct reactor_sim_exit){ .after_ms = 1 });
}

static struct reactor_sim_exit play_peer(void *owner, const struct child_options *options)
{
    static const struct stream_events events = { .on_read = peer_on_read,
                                                 .on_end = peer_on_end,
                                                 .on_closed = g_free };
    struct reactor *r = owner;
    struct peer *p = g_new0(struct peer, 1);
    p->child = reactor_sim_newborn(r);
    p->s = reactor_sim_channel(p->child, &events, p);
    assert_string_equal(options->argv[1], TWIN_PEER);
    if (strcmp(options->argv[2], "echo") == 0)
        stream_set_reading(p->s, true);
    if (strcmp(options->argv[2], "speak") == 0)
        stream_write(p->s, slice_str("spoken"));
    return (struct reactor_sim_exit){ .after_ms = MSEC_NEVER };
}

const char *twin_add_peer(struct reactor *r)
{
    reactor_sim_add_program(r, "peer", play_peer, r);
    return "peer";
}

int twin_peer(const char *mode)
{
    (void)mode; /* is played in this process */
    return 1;
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
