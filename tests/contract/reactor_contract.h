/*
 * tests/contract/reactor_contract.h - what the cases of the reactor's contract share, and the shim that each
 * twin gives them. A case has a world, with one reactor, and ends of connections that note what they are
 * told. Each call into the reactor that could be tempted to call back is made with INSIDE, and every callback
 * sees that it was not.
 */
#pragma once

#include <glib.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "reactor/reactor.h"
#include "suite.h"

struct world {
    struct reactor *r;
    bool inside; /* a call into the reactor is under way */
};

void world_begin(struct world *w);
void world_end(struct world *w); /* all is closed: the loop ends by itself and nothing is left */

/* Lets happen what would happen, so that it can be seen that something did not. */
void world_settle(struct world *w);

#define INSIDE(w, statement)                                                                                 \
    do {                                                                                                     \
        (w)->inside = true;                                                                                  \
        statement;                                                                                           \
        (w)->inside = false;                                                                                 \
    } while (0)

#define RUN_UNTIL(w, condition)                                                                              \
    while (!(condition))                                                                                     \
    twin_turn((w)->r)

/* ---- ends of connections ---- */

enum told { TOLD_CONNECTED, TOLD_READ, TOLD_END, TOLD_DRAINED, TOLD_CLOSED };

struct end {
    struct world *w;
    struct stream *s;
    bool read_at_once; /* reading is on as soon as it is connected */
    bool let_go;       /* closed or aborted: nothing but on_closed may come */
    GByteArray *got;
    unsigned connected, ends, drained, closed, reads; /* how often it was told so */
    int connect_error, end_error;
    void (*then)(struct end *e, enum told told); /* the case's, after the notes; NULL: nothing */
};
extern const struct stream_events end_events;

void end_init(struct end *e, struct world *w);
void end_clear(struct end *e); /* closed, or never opened */
void end_begin_close(struct end *e);
void end_close(struct end *e); /* and sees it closed */
void end_abort(struct end *e); /* NULL is welcome for its stream */
void end_write(struct end *e, const void *bytes, size_t len);
void end_write_text(struct end *e, const char *text);
bool end_got(const struct end *e, const char *text);

/* Writes numbered octets until many are kept, as the peer does not read. How many were written. */
size_t end_fill(struct end *e);
bool end_numbered(const struct end *e, size_t len); /* it has got these, in order */

/* ---- a listener and two ends ---- */

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};
#define SOCKADDR(a) ((struct sockaddr *)&(a)->storage)

struct pair {
    struct world w;
    struct listener *listener;
    struct address address;
    struct end client, server;
};

void pair_begin(struct pair *p, int family); /* connected, accepted; both read nothing yet */
void pair_end(struct pair *p);               /* closes what is open */
int family_of(void **state);                 /* a row of `families` is the case's state */

struct family {
    const char *name;
    int family;
};

/* Adds a case for TCP and one for unix sockets. */
void add_for_both(struct suite *suite, const char *name, CMUnitTestFunction run);

struct listener *open_listener(struct world *w, int family, listener_on_connection on_connection, void *owner,
                               struct address *ret_address);
struct address local_address(int family); /* loopback with port 0, or a path that is free */

/* ---- the shim ---- */

struct reactor *twin_new(unsigned pool_threads);
void twin_turn(struct reactor *r);             /* lets at least one thing happen */
void twin_idle_turn(struct reactor *r);        /* one in which nothing happens, if nothing is due */
void twin_spend(struct reactor *r, msec_t ms); /* in a callback: it takes at least so long */
void twin_unlink(struct reactor *r, const char *path);
void twin_raise(struct reactor *r, int signal);
void twin_add_programs(struct reactor *r); /* /bin/sh -c "exit N" or "kill -N $$", and /bin/sleep */

/*
 * The program (its file) at the other end of a channel, which is its descriptor 3. "echo": it writes what it
 * reads, and when a descriptor comes along, all that is in the file before that. At the octet TWIN_PEER_EXIT
 * it exits with TWIN_PEER_STATUS, at the end with 0. "deaf": reads nothing. "speak": the same, after
 * "spoken".
 */
const char *twin_add_peer(struct reactor *r);
int twin_peer(const char *mode); /* plays it, in a process of its own; the status */
#define TWIN_PEER        "--peer"
#define TWIN_PEER_EXIT   "\004"
#define TWIN_PEER_STATUS 7

void twin_set_shortage(struct reactor *r, bool on); /* of descriptors: from now on nobody can be accepted */
void twin_end_own_side(struct stream *s);
void twin_reset(struct stream *s);        /* the connection breaks, as by a peer's reset, for the other end */
void twin_add_cases(struct suite *suite); /* what only this twin can show */

/* ---- the cases ---- */

void add_loop_cases(struct suite *suite);
void add_timer_cases(struct suite *suite);
void add_stream_cases(struct suite *suite);
void add_break_cases(struct suite *suite);
void add_listener_cases(struct suite *suite);
void add_child_cases(struct suite *suite);
void add_channel_cases(struct suite *suite);
