/*
 * reactor/reactor_uv.h - what the files of the libuv twin share. Nobody else includes it, but for the
 * contract test's shim. A handle of libuv's lies in ours by value, `data` points back to ours, and ours is
 * freed when its last uv_close is through.
 */
#pragma once

#include <glib.h>
#include <netinet/in.h>
#include <uv.h>

#include "base/assert.h"
#include "reactor/reactor.h"

/* The struct that `pointer` belongs to, past its magic check. */
#define PAST_MAGIC(type, pointer, MAGIC)                                                                     \
    ({                                                                                                       \
        struct type *past_magic = (pointer);                                                                 \
        pst_assert(past_magic != NULL && past_magic->magic == (MAGIC));                                      \
        past_magic;                                                                                          \
    })

enum { READ_BUFFER = 64 * 1024, RANDOM_BUFFER = 512 };

struct reactor {
    uint32_t magic;
    uv_loop_t loop;
    uv_async_t keeper;   /* keeps uv_run going: to libuv a stream that does not read is nothing to wait for */
    uv_idle_t later;     /* runs while somebody waits in `broken` or `deferred` */
    GQueue broken;       /* struct stream */
    GArray *deferred;    /* struct deferred */
    bool is_busy;        /* there were events since deferred ones were looked at last */
    size_t open;         /* handles, and jobs under way */
    int spare;           /* a descriptor to give up when there is none for somebody who waits; or -1 */
    uv_prepare_t returning;  /* runs just before libuv waits, while turns are watched */
    reactor_on_turn on_turn; /* NULL: they are not */
    void *on_turn_owner;
    uint64_t away_since; /* uv_hrtime of this turn's first callback; 0: there was none */
    struct nursery *nursery; /* NULL: there was no nursed child yet */
    GQueue nursed;           /* struct child, on their way; the first of them has a job */
    size_t random_left;  /* so many bytes at the end of `random` are fresh */
    uint8_t random[RANDOM_BUFFER];
    char read_buffer[READ_BUFFER]; /* for every stream: what is read is handed on before the next read */
};

struct reactor *reactor_of(uv_loop_t *loop);

/* One open handle or job more, or less: reactor_run goes on while there are any. */
void reactor_hold(struct reactor *r);
void reactor_release(struct reactor *r);

/*
 * Each callback of libuv's that has much to do says so first. (libuv's own check handles come too late: it
 * calls back while it polls. To ask it for the time that it waited would cost a system call each turn.)
 */
static inline void reactor_is_away(struct reactor *r)
{
    if (r->on_turn != NULL && r->away_since == 0)
        r->away_since = uv_hrtime();
}

/* Takes the spare descriptor back, if it is lost and can be had. */
void reactor_refill_spare(struct reactor *r);

/* Runs stream_tell_break for each stream of `broken`, from the loop. */
void reactor_call_later(struct reactor *r, struct stream *broken);
void stream_tell_break(struct stream *s);

/* As accept(2) or connect(2) had it. A unix socket's is long, and rarely wanted: it is asked for then. */
union peer_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct kept;

struct stream {
    uint32_t magic;
    bool counted : 1;    /* the reactor holds on because of it */
    bool connecting : 1; /* on_connected is yet to come */
    bool reading : 1;    /* as the owner wants it */
    bool polled : 1;     /* as libuv has it, which lags behind: see stream_on_alloc */
    bool ended : 1;      /* on_end has come */
    bool broken : 1;     /* nothing can be written any more */
    bool writing : 1;    /* libuv has a write under way */
    bool closing : 1;    /* the owner has let go */
    int error;           /* of a stream in the reactor's `broken` */
    const struct stream_events *events;
    void *owner;
    struct kept *waiting; /* what was written behind the write under way */
    uv_timer_t *linger;   /* runs while the peer is let finish, after everything else */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    union peer_address peer;
};

/* Takes over a connected socket. */
int stream_adopt(struct reactor *r, int take_fd, const struct sockaddr *peer, socklen_t len,
                 const struct stream_events *events, void *owner, struct stream **ret_stream);

/* Nobody has seen it, nobody will. */
void stream_discard(struct stream *s);

/* The end of a child that its owner has forgotten: reactor_free's, too. */
void child_on_uv_closed(uv_handle_t *handle);
