/*
 * reactor/reactor_sim.h - what only the simulated twin of reactor.h has: the seed, the virtual clock,
 * settings, and a test's hand in the world. Everything is in memory and in one thread, and a function of the
 * seed and of the calls that are made.
 *
 * An event is one callback, or one step inside (a job's `run`, bytes that move on). The clock stands still
 * but jumps to the next event when the last one is through, so hours pass at once. What happens at the same
 * microsecond happens in the order in which it was begun; nearly everything but timers is delayed by random
 * microseconds first.
 *
 * Where this twin differs: addresses are compared as bytes, so that nobody reaches 0.0.0.0:25 by
 * 127.0.0.1:25. A job's `run` is on the loop's thread, as one event. listener_adopt asks the real socket only
 * for its address. reactor_run also returns, with handles open, when nothing can ever happen any more: the
 * real one would sleep for ever. A child is a function of the test's.
 */
#pragma once

#include <glib.h>

#include "reactor/reactor.h"

struct reactor *reactor_sim_new(uint64_t seed); /* reactor_new takes seed 0 */

/* ---- going on ---- */

/* The next event, however far away. False when there is none, or never will be. */
bool reactor_sim_step(struct reactor *r);

/* All events up to `deadline` of reactor_now, which it is then. */
void reactor_sim_run_until(struct reactor *r, msec_t deadline);

/* ---- settings: each pick is even, from min to max ---- */

struct reactor_sim_span {
    int64_t min_us, max_us;
};

/* How bytes come to a stream. */
struct reactor_sim_link {
    size_t segment_min, segment_max; /* octets that one on_read gets, if so many have come */
    struct reactor_sim_span delay;   /* before each segment, an end, and each turn of a waiting sender */
    size_t window;                   /* octets taken before they are read; the sender keeps the rest */
    unsigned short_writes;           /* one write in so many is taken only in part; 0: none */
};

struct reactor_sim_settings {
    struct reactor_sim_link link;    /* of streams that are made from now on */
    struct reactor_sim_span connect; /* until it stands or is refused, and until the listener hears of it */
    struct reactor_sim_span job;     /* until a job runs, and again until it is done */
    struct reactor_sim_span child;   /* until a signal ends a child */
};

extern const struct reactor_sim_settings reactor_sim_defaults;
void reactor_sim_configure(struct reactor *r, const struct reactor_sim_settings *settings);

/* How bytes come to this stream from now on, and so how fast its peer gets rid of them. */
void reactor_sim_set_link(struct stream *s, const struct reactor_sim_link *link);

/* ---- what a test does to the world ---- */

/*
 * The connection breaks for both ends, which will see `error` (negative). Of what is on its way, the seed
 * says how much still arrives; what is kept is lost.
 */
void reactor_sim_break(struct stream *s, int error);

/* The stream ends its own side, once what is kept has left, and reads on. It may not write any more. */
void reactor_sim_end(struct stream *s);

/* Descriptors run out, or are there again: while they lack, listener_accept fails with -EMFILE. */
void reactor_sim_set_shortage(struct reactor *r, bool on);

/* Takes a unix socket's file away, so that its path can be listened on again. */
void reactor_sim_unlink(struct reactor *r, const char *path);

void reactor_sim_raise(struct reactor *r, int signal);

/* In a callback: it takes so long, where otherwise it takes no time. The clock moves on once it is through.
 */
void reactor_sim_spend(struct reactor *r, msec_t ms);

/* A program that child_spawn finds under `file` (else -ENOENT). It says how the child ends and when. */
struct reactor_sim_exit {
    msec_t after_ms; /* MSEC_NEVER: only a signal ends it */
    int status;
    int signal;
};
typedef struct reactor_sim_exit (*reactor_sim_program)(void *owner, const struct child_options *options);
void reactor_sim_add_program(struct reactor *r, const char *file, reactor_sim_program program, void *owner);

/*
 * For a program that is more than an end: the child that it is called for, in which it may go on playing by
 * events, until its end; then its channel is closed, behind what it has written, and with on_closed nothing
 * of it is there any more.
 */
struct child *reactor_sim_newborn(struct reactor *r);

/* Its end of the channel (NULL: it has none), to read from and to write to. It need not be closed. */
struct stream *reactor_sim_channel(struct child *c, const struct stream_events *events, void *owner);

/* The descriptor that came first of those not taken yet, in on_read or later; -1: none. */
int reactor_sim_take_descriptor(struct stream *s);

/* The child ends so, in place of what its program said. It must not have ended. */
void reactor_sim_exit(struct child *c, const struct reactor_sim_exit *exit);

/* Signals but SIGKILL do not end it, but are told. */
void reactor_sim_catch(struct child *c, void (*on_signal)(void *owner, int signal), void *owner);

/* ---- whose code runs ---- */

/*
 * The test's, or that of the program that is tested, which the test says when it calls that: callbacks come
 * in the name of who made the timer, job, connection or child. Programs of children, and octets that a peer
 * has yet to read, are the test's. Nothing depends on it here: it is for who counts what a program holds.
 */
enum reactor_sim_party { REACTOR_SIM_TEST, REACTOR_SIM_PROGRAM };
extern enum reactor_sim_party reactor_sim_party;

/* Until the end of the block. */
#define REACTOR_SIM_AS(party)                                                                                \
    __attribute__((cleanup(reactor_sim_give_back), unused)) const enum reactor_sim_party G_PASTE(            \
        former_party, __LINE__) = reactor_sim_be(party)

static inline enum reactor_sim_party reactor_sim_be(enum reactor_sim_party party)
{
    const enum reactor_sim_party former = reactor_sim_party;
    reactor_sim_party = party;
    return former;
}

static inline void reactor_sim_give_back(const enum reactor_sim_party *former)
{
    reactor_sim_party = *former;
}

/* ---- looking at it ---- */

/* Handles that are open and jobs under way, as reactor_free counts them. */
size_t reactor_sim_open(const struct reactor *r);

/* One number for all events up to now, with their instants and bytes: equal for two equal runs. */
uint64_t reactor_sim_trace(const struct reactor *r);

/*
 * Called for each event, to write down what a failing seed did: the instant, what it is ("read", "job-done"),
 * the number of the object, in the order of making, and octets, status or signal.
 */
typedef void (*reactor_sim_on_event)(void *owner, int64_t now_us, const char *what, uint64_t object,
                                     int64_t amount);
void reactor_sim_watch(struct reactor *r, reactor_sim_on_event on_event, void *owner);
