/*
 * reactor/sim_loop.h - what the files of the simulated twin share: the reactor with its queue of events, its
 * dice, and its trace.
 */
#pragma once

#include <glib.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/assert.h"
#include "base/random.h"
#include "reactor/reactor_sim.h"
#include "reactor/sim_octets.h"
#include "reactor/sim_queue.h"

/* The struct that `pointer` belongs to, past its magic check. */
#define PAST_MAGIC(type, pointer, MAGIC)                                                                     \
    ({                                                                                                       \
        struct type *past_magic = (pointer);                                                                 \
        pst_assert(past_magic != NULL && past_magic->magic == (MAGIC));                                      \
        past_magic;                                                                                          \
    })

struct reactor {
    uint32_t magic;
    int64_t now_us;
    struct sim_queue events;
    uint64_t next_object;
    size_t open;
    bool is_stopped;
    struct pst_random dice;    /* of the world */
    struct pst_random numbers; /* of reactor_random: the world stays the same when more are asked for */
    struct reactor_sim_settings settings;
    GHashTable *listeners; /* struct sim_place to struct listener */
    bool shortage;         /* of descriptors: nobody can be accepted */
    GHashTable *files;     /* struct sim_place of unix sockets that were listened on */
    uint16_t next_port;
    GHashTable *programs;  /* name to struct program */
    GPtrArray *children;   /* struct child, owned */
    GPtrArray *channels;   /* struct stream, children's ends, which nobody closes */
    struct child *newborn; /* while its program is called */
    int next_pid;
    GPtrArray *watches; /* struct signal_watch */
    int64_t spent_us;   /* by this turn's callback */
    reactor_on_turn on_turn;
    void *on_turn_owner;
    uint64_t trace;
    reactor_sim_on_event on_event;
    void *on_event_owner;
};

struct sim_event sim_event_of(void (*happen)(void *object), void *object);
void sim_schedule(struct reactor *r, struct sim_event *e, int64_t at_us); /* moves one that is scheduled */
void sim_schedule_in(struct reactor *r, struct sim_event *e, const struct reactor_sim_span *span);
void sim_cancel(struct reactor *r, struct sim_event *e);
bool sim_is_scheduled(const struct sim_event *e);

int64_t sim_pick(struct reactor *r, int64_t min, int64_t max);

/* Notes what happens now, for the trace and who watches it. */
void sim_note(struct reactor *r, const char *what, uint64_t object, int64_t amount);
void sim_note_bytes(struct reactor *r, const char *what, uint64_t object, struct slice bytes);

uint64_t sim_next_object(struct reactor *r);
void sim_hold(struct reactor *r);
void sim_release(struct reactor *r);

/* Of child_sim.c: */
void sim_children_init(struct reactor *r);
void sim_children_clear(struct reactor *r);

/* ---- addresses, for comparing as bytes ---- */

enum { SIM_FIRST_PORT = 49152 };

struct sim_place {
    struct sockaddr_storage address; /* zero behind its end */
    socklen_t len;
};

int sim_place_of(const struct sockaddr *address, socklen_t len, struct sim_place *ret_place);
guint sim_place_hash(gconstpointer place);
gboolean sim_place_equal(gconstpointer a, gconstpointer b);

/* ---- streams ---- */

/* What comes to a stream behind its last byte. */
enum sim_end { SIM_OPEN, SIM_ENDED, SIM_BROKEN };

struct stream {
    uint32_t magic;
    uint64_t object;
    struct reactor *r;
    const struct stream_events *events;
    void *owner; /* while it waits for listener_accept, it has none and no events */
    struct sim_place peer_place;
    struct stream *peer;       /* NULL: not yet, or gone */
    const struct child *child; /* whose end of a channel it is; or NULL */
    struct reactor_sim_link link;
    struct sim_octets in;   /* on its way to here, or waiting here */
    struct sim_octets kept; /* what the peer's side has not taken */
    GQueue descriptors;     /* that have come, as GINT_TO_POINTER */
    enum sim_end end;
    int end_error;
    bool counted : 1; /* the reactor holds on because of it */
    bool connecting : 1;
    bool reading : 1;
    bool ended : 1;     /* on_end has come */
    bool broken : 1;    /* nothing can be written any more */
    bool closing : 1;   /* the owner has let go */
    bool ending : 1;    /* its own side ends when nothing is kept, or has ended */
    bool lingering : 1; /* closed, but what the peer sends is still thrown away quietly */
    struct sim_event connect;
    struct sim_event arrive; /* a segment, or the end */
    struct sim_event leave;  /* what is kept moves on */
    struct sim_event fail;   /* a write had nobody to go to */
    struct sim_event linger; /* for long enough */
    struct sim_event closed;
};

struct stream *sim_stream_new(struct reactor *r, const struct sim_place *peer_place);
void sim_stream_count(struct stream *s); /* it is somebody's who waits for its end */
void sim_stream_adopt(struct stream *s); /* it is of who calls */
void sim_stream_free(struct stream *s);
bool sim_stream_is_unix(const struct stream *s);
void sim_stream_poke_in(struct stream *s);        /* something came, or is wanted now */
void sim_stream_poke_out(struct stream *s);       /* something is kept, and there may be room now */
void sim_stream_cut(struct stream *s, int error); /* this end has lost the other one */

/* Of listener_sim.c: lets `client` into the backlog of who listens there. -EAGAIN when that is full. */
int sim_listener_admit(struct reactor *r, struct stream *client);
