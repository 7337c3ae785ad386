/*
 * tests/sim/oracle.h - reads one connection, what was said and what was heard, and judges it: that each
 * command got its replies, in order, that each reply is one that its command may have at that moment, and
 * that nothing comes behind the last one. A message whose end was said is a promise from then on, open until
 * its answer.
 *
 * A small model of RFC 5321, 2033, 3030, 6531 of its own, neither the session's code nor tests/model. Where
 * commands are pipelined it takes for granted what may be granted, and thinks again when a reply says
 * otherwise. Ownership: borrows rules and promises, which outlive it. Failure: sim_fail.
 */
#pragma once

#include "base/slice.h"
#include "reactor/reactor.h"
#include "sim.h"
#include "smtp/session.h"

struct oracle_rules {
    enum smtp_protocol protocol;
    struct smtp_limits limits;
    bool has_handlers;
    bool troubled;    /* disks or hosts may fail at any time: what is good may be answered 4xx */
    bool greets_late; /* who speaks before the greeting may be refused for that */
    bool is_deaf;     /* the client: it may be timed out with replies and commands under way */
    bool is_short;    /* of descriptors for connections: in place of a greeting there may be 421 */
    unsigned
        *misdeeds; /* counts what would keep a host from others' messages; NULL: hosts fail by themselves */
    uint64_t (*failures)(
        void);           /* that have been: where it is troubled, only they excuse; NULL: anything may */
    const bool *may_cut; /* true while connections may end without a word; NULL: at any time */
    const struct reactor *clock; /* NULL: times are not judged */
    msec_t link_ms;              /* the longest way of a segment, which may be an octet */
    unsigned life;               /* of its promises */
};

struct oracle;

/*
 * New promises (struct promise, owned by the array) are added to `promises`. Two may have the same mailbox
 * and the same content (an empty message; one that was sent again): of those, so many are to be found as are
 * kept, and so many more may be found as are open.
 */
struct oracle *oracle_new(const struct oracle_rules *rules, GPtrArray *promises);
void oracle_free(struct oracle *o); /* NULL is welcome */

/* Octets in the order in which they were written and read, cut anywhere; without a proxy's header. */
void oracle_said(struct oracle *o, struct slice octets);
void oracle_heard(struct oracle *o, struct slice octets);
/* `is_clean`: the server has ended it, and the connection was not broken. */
void oracle_ended(struct oracle *o, bool is_clean);

/* ---- where the conversation is, for who goes on with it ---- */

enum oracle_place {
    ORACLE_START,    /* before HELO */
    ORACLE_READY,    /* no transaction */
    ORACLE_ENVELOPE, /* behind MAIL */
    ORACLE_MESSAGE,  /* behind DATA */
    ORACLE_CHUNKS,   /* between two BDATs */
    ORACLE_FAILED,   /* a chunk was refused: RSET */
    ORACLE_OVER,     /* nothing more is read */
};

/* Behind all that was said, if what is still unanswered is granted where it may be. */
enum oracle_place oracle_place(const struct oracle *o);
size_t oracle_recipients(const struct oracle *o); /* accepted in this transaction; the same */

/* Of what was said, and the greeting: how much awaits its replies. */
size_t oracle_owed(const struct oracle *o);
