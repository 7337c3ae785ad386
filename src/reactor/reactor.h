/*
 * reactor/reactor.h - the seam to the event loop: streams, timers, jobs, child processes, signals, clocks,
 * randomness. Two implementations, chosen at link time: reactor_uv.c on libuv for the daemon, reactor_sim.c
 * for the simulator, where time is virtual and the order of events comes from a seed. tests/contract runs one
 * suite on both.
 *
 * One thread, the loop's, makes all calls and gets all callbacks; only a job's `run` is elsewhere. No
 * callback runs inside the call that causes it, except where told. Handles belong to the reactor: an owner
 * keeps the pointer until it has called the handle's close function, after which only on_closed (where there
 * is one) still comes. Failure: 0 or -errno. Memory that runs out aborts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/number.h"
#include "base/slice.h"

struct reactor;
struct timer;
struct listener;
struct stream;
struct child;
struct signal_watch;

/* ---- the loop ---- */

/*
 * `pool_threads`: how many jobs run side by side; the threads are started now, or it fails. 0: as libuv has
 * it, with the first job. There is one pool a process: the first one who starts it decides, unless
 * UV_THREADPOOL_SIZE does. From now on the process ignores SIGPIPE; its children do not.
 */
int reactor_new(unsigned pool_threads, struct reactor **ret_reactor);

/* Runs until no handle is open and no job is under way, or until a callback has it stop. */
void reactor_run(struct reactor *r);

/* From a callback: reactor_run returns soon. What is open stays so, and goes on when it is run again. */
void reactor_stop(struct reactor *r);

/* -EBUSY, and nothing is freed, while a handle is open or a job under way. NULL is welcome. */
int reactor_free(struct reactor *r);

/* ---- clocks and randomness ---- */

msec_t reactor_now(const struct reactor *r);       /* monotonic; stands still during a callback */
int64_t reactor_wall_us(const struct reactor *r);  /* microseconds since 1970 UTC */
uint64_t reactor_process(const struct reactor *r); /* the number of this process; the simulator's are all 1 */
/* Unpredictable; the simulator's come from the seed. */
void reactor_random(struct reactor *r, void *bytes, size_t len);

/* ---- later ---- */

/*
 * `run(arg)` once, when the loop has nothing else to do, and not before those events that it knows of by now
 * have had their callbacks; but no later than after so many turns (at least 1) of a loop that always has.
 * Many for what costs less once more has gathered; 1 for what would take too long in one turn. Of those with
 * the same turns, what was deferred earlier runs earlier.
 */
void reactor_defer(struct reactor *r, unsigned turns, void (*run)(void *arg), void *arg);

/* ---- how long others wait ---- */

/*
 * Calls on_turn each time that the loop goes back to wait for events, if there were any: `away_ns` since the
 * first of their callbacks, in which nothing else was heard. A loop that sleeps is not woken for it. The last
 * turn before reactor_run returns may go untold. on_turn NULL: no more.
 */
typedef void (*reactor_on_turn)(void *owner, uint64_t away_ns);
void reactor_watch_turns(struct reactor *r, reactor_on_turn on_turn, void *owner);

/* ---- timers: those with equal deadlines fire in the order in which they were started ---- */

typedef void (*timer_on_fire)(void *owner);

struct timer *timer_new(struct reactor *r, timer_on_fire on_fire, void *owner);

/*
 * Fires once, at that instant of reactor_now; one that has passed counts as now, and MSEC_NEVER stops it. A
 * started timer is moved, behind those that are due at the same instant.
 */
void timer_start(struct timer *t, msec_t deadline);

void timer_stop(struct timer *t);  /* does not fire until it is started again */
void timer_close(struct timer *t); /* NULL is welcome */

/* ---- jobs: what may block (disk, hashing) ---- */

/*
 * `run(arg)` runs once on a thread of the pool, and then `done(arg)` on the loop. Until `done`, whatever
 * `run` touches belongs to the job alone. There is no cancelling. Jobs run side by side and end in any order.
 */
void reactor_submit(struct reactor *r, void (*run)(void *arg), void (*done)(void *arg), void *arg);

/* ---- streams: TCP and unix sockets ---- */

struct stream_events { /* one that is NULL is not called; the table outlives the stream */
    void (*on_connected)(void *owner, int error); /* of stream_connect only; error: 0 or -errno, then close */
    void (*on_read)(void *owner, struct slice bytes); /* never empty; valid during the call */
    void (*on_end)(void *owner, int error); /* once: 0 when the peer ended its side, -errno when it broke */
    void (*on_drained)(void *owner);        /* all that stream_write had to keep has left */
    void (*on_closed)(void *owner);         /* the last call for this stream, which is gone */
};

/* Somebody waits: call listener_accept, once or until -EAGAIN. Until then it does not come again. */
typedef void (*listener_on_connection)(void *owner);

/*
 * A listener on an address (AF_INET, AF_INET6, which does not mean IPv4 too, or AF_UNIX), or on a bound
 * socket that it takes over, also when it fails.
 */
int listener_open(struct reactor *r, const struct sockaddr *address, socklen_t len, int backlog,
                  listener_on_connection on_connection, void *owner, struct listener **ret_listener);
int listener_adopt(struct reactor *r, int take_fd, int backlog, listener_on_connection on_connection,
                   void *owner, struct listener **ret_listener);
int listener_address(const struct listener *l, struct sockaddr_storage *ret_address, socklen_t *ret_len);

/*
 * -EAGAIN when nobody waits. When descriptors run out, that error, and on_connection comes again a little
 * later, unless listener_turn_away helps. Reading is off at first.
 */
int listener_accept(struct listener *l, const struct stream_events *events, void *owner,
                    struct stream **ret_stream);

/*
 * In place of listener_accept: whoever waits is told `farewell`, a line or two, and left. It is over when
 * this returns: no stream, no descriptor. So it works when descriptors have run out, too, as the reactor
 * keeps one in spare for this; only when that is lost as well, it fails like listener_accept. Of what the
 * caller has sent by now, a part is thrown away, so that no reset overtakes the farewell.
 */
int listener_turn_away(struct listener *l, struct slice farewell);

/* At once: nobody is let in any more; a unix socket's file stays. NULL is welcome. */
void listener_close(struct listener *l);

/* on_connected tells the outcome, unless it cannot even begin; what is written until then is kept. */
int stream_connect(struct reactor *r, const struct sockaddr *address, socklen_t len,
                   const struct stream_events *events, void *owner, struct stream **ret_stream);
int stream_peer(const struct stream *s, struct sockaddr_storage *ret_address, socklen_t *ret_len);

/*
 * While reading is off no on_read comes, the peer is held back by flow control, and an end is not noticed
 * until reading is on or a write fails. After on_end there is nothing to read.
 */
void stream_set_reading(struct stream *s, bool on);

/*
 * Takes all bytes: what the peer's side does not take at once is copied and kept until it does. Never calls
 * back inside. If that fails, on_end tells, and what is kept is thrown away, like all that is written later.
 * When on_end has come before with 0, nothing tells of the break; then on_drained comes if something was
 * kept.
 */
void stream_write(struct stream *s, struct slice bytes);
size_t stream_unsent(const struct stream *s); /* octets that are kept */

/*
 * The same to another process (a unix socket), who gets a copy of the descriptor with the first octet; the
 * caller keeps `fd`. Bytes are not empty. -EAGAIN, and nothing is written, while what was written before
 * has not left, or is so much that the peer takes nothing; or the stream's break.
 */
int stream_write_with_descriptor(struct stream *s, struct slice bytes, int fd);

/* What is written from now on may wait in the kernel until stream_close, which comes at once: so it leaves
 * with the end, in one packet if it is TCP. */
void stream_cork(struct stream *s);

/*
 * No callback but on_closed comes any more. `stream_close` first lets what is kept leave, however long the
 * peer takes, and then, if the peer has sent what was not read, throws that away until it ends, for two
 * seconds at most: a reset at once might overtake what has left. `stream_abort` ends now and throws away what
 * is kept, by a reset if it is TCP and something was kept; it may follow stream_close, until on_closed. NULL
 * is welcome.
 */
void stream_close(struct stream *s);
void stream_abort(struct stream *s);

/* ---- child processes and signals ---- */

/* Its exit status, or the signal (else 0) that ended it. */
typedef void (*child_on_exit)(void *owner, int status, int signal);

enum { CHILD_NULL = -1, CHILD_CHANNEL = -2 };

/* A connection to the child: a unix socket of which it has the other end, blocking, from its start. */
struct child_channel {
    const struct stream_events *events;
    void *owner;
    struct stream **ret_stream; /* closed by the caller, whatever becomes of the child */
};

struct child_options {
    const char *file;        /* its path */
    const char *const *argv; /* ends in NULL */
    const char *const *env;  /* ends in NULL; NULL: this process's */
    /* Become its 0, 1, 2, ...; CHILD_NULL: /dev/null; CHILD_CHANNEL, once: the channel. All others are
     * closed. */
    const int *fds;
    size_t fd_count; /* what lacks of 0, 1 and 2 is /dev/null */
    const struct child_channel *channel;
    bool stands_back; /* runs behind others, and leaves so many processors to them: base/stand_back.h */
    uint64_t spare_processors;
    /* A process that is `file` with the argument "nursery" starts it (base/nursery.h), so that all such
     * children together come behind everything else. `argv` is one name, `env` NULL. */
    bool is_nursed;
};

/*
 * -ENOENT, -EACCES when there is no such program. It returns before there is a child; should that fail yet,
 * or should it not become the program, it exits with 127, and child_error tells why. A signal that is sent
 * before is not lost.
 */
int child_spawn(struct reactor *r, const struct child_options *options, child_on_exit on_exit, void *owner,
                struct child **ret_child);
int child_pid(const struct child *c);        /* 0 before it could have said or done anything */
int child_error(const struct child *c);      /* 0; or, once it has exited or hung up, -errno of its birth */
int child_kill(struct child *c, int signal); /* -ESRCH when it has ended */

/* Forgets it: on_exit comes no more; a running process runs on. NULL is welcome. */
void child_close(struct child *c);

typedef void (*signal_on_raise)(void *owner);

int signal_watch_open(struct reactor *r, int signal, signal_on_raise on_raise, void *owner,
                      struct signal_watch **ret_watch);
void signal_watch_close(struct signal_watch *w); /* NULL is welcome */
