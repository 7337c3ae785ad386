/*
 * smtp/session.h - one SMTP (RFC 5321) or LMTP (RFC 2033) conversation, without I/O.
 * Give it the peer's bytes, the time, and answers to its questions; it queues effects (write this, start TLS,
 * look up this recipient, append to the message, end) for its owner to carry out. It never calls back and
 * never blocks.
 *
 * Whoever drives it calls `next` until it returns false after each feed, answer, tick or shut. Until then,
 * what was handed to that call (bytes, a verdict's detail) must stay valid, for effects point into it.
 * Ownership: the caller owns the session and may free it in any phase. Failure: a peer that misbehaves is
 * answered, which is no error here; memory is bounded: a session keeps no bytes of the peer's but its HELO
 * name. Credentials are in the effects of AUTH and nowhere else: no line that may hold them is in a REFUSED.
 */
#pragma once

#include "base/number.h"
#include "base/option.h"
#include "base/slice.h"
#include "smtp/address.h"
#include "smtp/facts.h"
#include "smtp/outcome.h"
#include "smtp/parameter.h"

enum smtp_protocol { SMTP_PROTOCOL_SMTP, SMTP_PROTOCOL_LMTP };
extern const char *const smtp_protocol_names[]; /* "smtp", "lmtp", NULL: as the configuration has them */

/* What the operator sets; the rows are its names, ranges and defaults. */
struct smtp_limits {
    uint64_t message_size;   /* octets, as they are counted on the wire after dot-unstuffing */
    uint64_t header_size;    /* octets of the message's header section */
    uint64_t header_fields;  /* in it */
    uint64_t recipients;     /* of one transaction */
    uint64_t errors;         /* commands refused as bad before 421 */
    uint64_t command_length; /* octets of a command line with its CR LF, at most SMTP_KEEP_MAX */
    uint64_t commands;       /* of one session */
    uint64_t messages;       /* of one session */
    uint64_t strangers;      /* recipients refused as unknown, in one session */
    uint64_t auth_failures;  /* wrong credentials, in one session */
    uint64_t data_rate;      /* octets a second, at least, averaged over data_timeout; 0: any */
    msec_t command_timeout;
    msec_t data_timeout;
    int foreign; /* enum smtp_foreign */
};
enum smtp_foreign { SMTP_FOREIGN_REFUSE, SMTP_FOREIGN_ANSWER };
extern const struct option_row smtp_limit_rows[];
extern const size_t smtp_limit_row_count;

/* What all sessions of a listener have in common; outlives them. */
struct smtp_service {
    enum smtp_protocol protocol;
    const char *hostname;
    struct smtp_limits limits;
};

enum smtp_tls {
    SMTP_TLS_NONE,     /* not here */
    SMTP_TLS_OFFERED,  /* STARTTLS may be said */
    SMTP_TLS_REQUIRED, /* and must be, before anything of use */
    SMTP_TLS_ACTIVE,   /* what is said is inside TLS */
};

/* Of the one client that the session is with: what it may say, must say, and when. */
struct smtp_client {
    bool may_xclient, may_xforward;
    bool auth_required;    /* no mail from who has not authenticated */
    bool auth_in_tls;      /* there will be mechanisms inside TLS, where there are none outside */
    enum smtp_tls tls;     /* at the start: ACTIVE where TLS comes before SMTP */
    msec_t greeting_delay; /* who speaks in that time is refused; 0: greeted at once */
    /* What AUTH can be said with now, "SCRAM-SHA-256 PLAIN", as EHLO tells it; NULL: nothing. Borrowed until
     * the session is freed, or is handed another. */
    const char *mechanisms;
};

enum { SMTP_MECHANISMS_MAX = 400 }; /* octets of such a list */

enum smtp_effect_kind {
    SMTP_EFFECT_WRITE,    /* bytes: send them */
    SMTP_EFFECT_STARTTLS, /* the peer may begin its handshake once all is written; see smtp_session_secured */
    SMTP_EFFECT_AUTH,     /* ticket, bytes: the mechanism, one of those offered, in any case of letters;
                             has_initial, initial: base64, perhaps empty; wants one answer */
    SMTP_EFFECT_AUTH_RESPONSE, /* ticket, bytes: base64, perhaps empty: what a challenge was answered; wants
                                  one answer */
    SMTP_EFFECT_AUTH_CANCEL,   /* the exchange is over without an answer */
    SMTP_EFFECT_XCLIENT,  /* facts: who the client is, as the one that is connected says. It is greeted anew:
                             who has authenticated before has not any more */
    SMTP_EFFECT_XFORWARD, /* facts: where the mail comes from, for the log */
    SMTP_EFFECT_MAIL,     /* address, mail: a transaction begins */
    SMTP_EFFECT_RCPT,     /* address, rcpt, ticket: whether it can be delivered; wants one answer */
    SMTP_EFFECT_OPEN,     /* the message's bytes follow, for the recipients that were accepted */
    SMTP_EFFECT_APPEND,   /* bytes: of the message. From DATA: dot-stuffing removed, lines ending in CR LF,
                             whole lines where it can. From BDAT: as they came, cut anywhere */
    SMTP_EFFECT_FINISH,   /* ticket: the message is complete; wants one answer (LMTP: one for each accepted
                             recipient) */
    SMTP_EFFECT_RESET,    /* the transaction is gone, and with it the message that was opened */
    SMTP_EFFECT_REFUSED,  /* outcome, bytes: the line that was refused, for the log, or as much of it as is
                             no secret; without data: the message was */
    SMTP_EFFECT_END, /* outcome: why. Close the connection once all is written; the session does nothing more
                      */
};

enum { SMTP_EFFECT_TEXT = SMTP_FACTS_TEXT };

struct smtp_effect {
    enum smtp_effect_kind kind;
    enum smtp_outcome outcome;
    uint64_t ticket;
    struct slice bytes; /* in `text`, or in what the last call was handed; so are the slices below */
    struct slice initial;
    bool has_initial;
    struct smtp_mail_parameters mail;
    struct smtp_rcpt_parameters rcpt;
    struct smtp_facts facts;
    struct smtp_address address;
    char text[SMTP_EFFECT_TEXT];
};

struct smtp_session;

/* The greeting is its first effect, unless it is held back; then `tick` brings it. */
struct smtp_session *smtp_session_new(const struct smtp_service *service, const struct smtp_client *client,
                                      msec_t now);
void smtp_session_free(struct smtp_session *s); /* NULL is welcome */

/*
 * How many of the bytes were taken. Fewer than all when a question is open, when the effects must be pulled
 * first, or when a line is incomplete: the caller keeps the rest and feeds it again with what follows. What
 * it has to keep is less than command_length once all questions are answered, and less than SMTP_KEEP_MAX
 * where there are mechanisms and the line is one of AUTH. Behind STARTTLS nothing is kept (RFC 3207 4.2): its
 * line is the last that is taken, and the caller throws away what it has read behind it.
 */
enum {
    SMTP_COMMAND_LENGTH_MAX = 4096,
    SMTP_KEEP_MAX = 12288, /* RFC 4954 4: a sufficient limit for what mechanisms have to say, with CR LF */
};
size_t smtp_session_feed(struct smtp_session *s, struct slice in, msec_t now);

/* True while a question is open, or TLS is awaited: feeding is pointless until it is answered. */
bool smtp_session_is_waiting(const struct smtp_session *s);

/*
 * Answers the question of that ticket; one that is no longer asked is ignored quietly. AUTH and its responses
 * are answered SMTP_AUTH_CHALLENGE (detail: base64), SMTP_AUTHENTICATED, SMTP_AUTH_FAILED,
 * SMTP_AUTH_MALFORMED, SMTP_AUTH_UNKNOWN_MECHANISM or SMTP_AUTH_UNAVAILABLE; with all but the first the
 * exchange is over. A challenge of more than SMTP_CHALLENGE_MAX octets, as SCRAM makes it of a nonce that is
 * nearly as long, is refused like a response that is too long: 500 5.5.6, and SMTP_EFFECT_AUTH_CANCEL.
 */
enum { SMTP_CHALLENGE_MAX = 1024 };
void smtp_session_answer(struct smtp_session *s, uint64_t ticket, struct smtp_verdict verdict, msec_t now);

/*
 * The handshake that STARTTLS began is done: what follows comes from inside TLS, and the client is one of
 * whom nothing is known. `mechanisms` as in struct smtp_client. Until then the session is waiting, without a
 * deadline; when the handshake fails, its owner closes the connection.
 */
void smtp_session_secured(struct smtp_session *s, const char *mechanisms, msec_t now);

/* From now on these are offered: while XCLIENT's effect is carried out, as the client is another one by it.
 */
void smtp_session_set_mechanisms(struct smtp_session *s, const char *mechanisms);

/* Time has come to `deadline`: 421 if it is really over. No deadline (MSEC_NEVER) while a question is open.
 */
void smtp_session_tick(struct smtp_session *s, msec_t now);
msec_t smtp_session_deadline(const struct smtp_session *s);

/* While the owner takes no more of a message, the peer's time stands still. */
void smtp_session_set_paused(struct smtp_session *s, bool paused, msec_t now);

enum { SMTP_SHUT_GRACE_MS = 5000 };

/*
 * The server wants to stop. Without a transaction: 421 at once, or once the question that is open is
 * answered, or the handshake done. A message that is on its way may finish first; a transaction without one
 * has SMTP_SHUT_GRACE_MS to begin it. `outcome` says why (SMTP_SHUTTING_DOWN).
 */
void smtp_session_shut(struct smtp_session *s, enum smtp_outcome outcome, msec_t now);

bool smtp_session_next(struct smtp_session *s, struct smtp_effect *ret_effect);

/* For the trace header and the log. */
const char *smtp_session_helo(const struct smtp_session *s); /* "" before HELO */
bool smtp_session_is_extended(const struct smtp_session *s); /* EHLO or LHLO, not HELO */
bool smtp_session_is_secure(const struct smtp_session *s);
bool smtp_session_is_authenticated(const struct smtp_session *s);
const char *smtp_session_phase(const struct smtp_session *s); /* a word; behind END, the last one before it */
