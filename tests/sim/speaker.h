/*
 * tests/sim/speaker.h - a simulated client: connects, says what its plan makes it say, by a generator of its
 * own, and has an oracle (oracle.h) judge what it hears. It leaves, falls silent, pauses and stops reading as
 * the plan has it. It is done once its stream is closed, by whomever; then, and not before, it may be freed.
 *
 * It ends in a bounded time when the server keeps the timeouts of RFC 5321.
 */
#pragma once

#include "net/address.h"
#include "oracle.h"

enum speaker_manner {
    SPEAKER_HONEST,
    SPEAKER_HOSTILE, /* wrong order, rubbish, half commands, bare CR and LF, smuggled commands, floods */
    SPEAKER_SLOW,    /* honest, but pauses in the middle of anything, at times for longer than it may */
    SPEAKER_DEAF,    /* honest, but does not read for long, and asks for much meanwhile */
    SPEAKER_MANNERS,
};

struct speaker_plan {
    uint64_t seed;
    enum smtp_protocol protocol;
    enum speaker_manner manner;
    bool proxied;       /* it begins with a proxy's header, which says that it is at SPEAKER_PROXIED */
    bool has_handlers;  /* its messages tell handlers what to do */
    unsigned messages;  /* it tries to send */
    size_t size_max;    /* octets of the largest; few are */
    uint64_t leaves_at; /* octets said and heard, with which it vanishes; UINT64_MAX: it stays */
    uint64_t silent_at; /* with which it says nothing any more; UINT64_MAX: it goes on */
    unsigned life;      /* of the world */
};

#define SPEAKER_PROXIED "192.0.2.7"

struct speaker;

const char *speaker_manner_name(enum speaker_manner manner); /* "honest" */

/* Connects at once. Of the rules, which it copies, protocol and life are taken from the plan. */
struct speaker *speaker_new(struct reactor *r, const struct net_address *server,
                            const struct speaker_plan *plan, const struct oracle_rules *rules,
                            GPtrArray *promises);
/* Its connection breaks, as when the server is gone from one moment to the next. */
void speaker_break(struct speaker *s);

bool speaker_is_done(const struct speaker *s);
void speaker_free(struct speaker *s); /* NULL is welcome */

/* Each line that is said ('C') or heard ('S') from now on, with its end; or a part of one, as it comes. */
void speaker_watch(struct speaker *s, void (*on_line)(void *owner, char who, struct slice octets),
                   void *owner);
