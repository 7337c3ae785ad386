/*
 * smtp/session_internal.h - what the session shares with its verbs, and nobody else may see.
 */
#pragma once

#include "smtp/command.h"
#include "smtp/data.h"
#include "smtp/header.h"
#include "smtp/session.h"

enum smtp_phase {
    SMTP_PHASE_SILENT,         /* the greeting is held back */
    SMTP_PHASE_START,          /* before HELO, EHLO or LHLO */
    SMTP_PHASE_SECURING,       /* the handshake of TLS is awaited */
    SMTP_PHASE_READY,          /* no transaction */
    SMTP_PHASE_AUTHENTICATING, /* AUTH, or a response of it, awaits its answer */
    SMTP_PHASE_CHALLENGED,     /* the client's response is awaited */
    SMTP_PHASE_MAIL,           /* a transaction: a reverse-path and any number of recipients */
    SMTP_PHASE_ROUTING,        /* a recipient's answer is awaited */
    SMTP_PHASE_DATA,           /* the message streams */
    SMTP_PHASE_DRAINING,       /* it streams, and is thrown away: it was refused, which its end will tell */
    SMTP_PHASE_CHUNKING,       /* between two chunks of the message */
    SMTP_PHASE_CHUNK,          /* a chunk streams */
    SMTP_PHASE_SKIPPING, /* a chunk streams, and is thrown away: it was refused, which its end will tell */
    SMTP_PHASE_FAILED, /* a chunk was refused: the transaction is gone, but it takes RSET to begin another */
    SMTP_PHASE_FINISHING, /* the message's answers are awaited */
    SMTP_PHASE_REFUSING,  /* the end of what was refused was seen: its replies go out */
    SMTP_PHASE_ENDED,
};

/* What a line is whose rest is thrown away, for it is too long. */
enum smtp_skip { SMTP_SKIP_NOTHING, SMTP_SKIP_LINE, SMTP_SKIP_BDAT, SMTP_SKIP_AUTH };

/* What waits to be pulled: an effect in as few octets as it takes. */
struct smtp_slot {
    enum smtp_effect_kind kind : 8;
    enum smtp_outcome outcome : 8; /* WRITE, REFUSED */
    struct slice bytes; /* MAIL, RCPT: the path and its parameters; XCLIENT, XFORWARD: the attributes; APPEND:
                           the run; REFUSED: the line; WRITE: the detail; AUTH: its argument; AUTH_RESPONSE:
                           the line */
};

/* A command, or a piece of a message, makes at most five effects: RESET, REFUSED, WRITE, WRITE of a 421, END.
 */
enum { SMTP_SLOTS = 8, SMTP_SLOTS_NEEDED = 5 };

struct smtp_session {
    const struct smtp_service *service;
    struct smtp_client client;
    enum smtp_phase phase;
    enum smtp_phase after;     /* SKIPPING, REFUSING: the phase that follows; ENDED: the one before */
    enum smtp_outcome refusal; /* DRAINING, SKIPPING, REFUSING: why */
    enum smtp_outcome shut;    /* with `shutting`: what the last reply will be */
    bool shutting;
    bool paused;   /* the owner takes no more: the clock stands still */
    bool extended; /* EHLO or LHLO */
    bool authenticated;
    bool is_introduced;      /* XCLIENT waits to be pulled: what is offered may be another then */
    bool after_auth;         /* AUTH was said, and no command since */
    enum smtp_skip skip : 8; /* the rest of a line that was too long */
    bool last;               /* CHUNK, SKIPPING: of the message */
    uint8_t slot_first, slot_count;
    struct smtp_path sender;          /* of this transaction, in the bytes of its effect */
    struct smtp_path recipient;       /* the latest; the same */
    struct smtp_mail_parameters mail; /* of this transaction; slices are good while its effect waits */
    struct smtp_rcpt_parameters rcpt; /* of the latest recipient; the same */
    struct smtp_data data;
    struct smtp_header header;
    char *helo;
    uint64_t ticket; /* of the last question */
    uint64_t errors;
    uint64_t commands;
    uint64_t messages;
    uint64_t strangers; /* recipients that we do not know */
    uint64_t auth_failures;
    uint64_t accepted;    /* recipients of this transaction */
    uint64_t answers_due; /* replies that the end of this message still owes */
    uint64_t octets;      /* of this message */
    uint64_t chunk_left;  /* octets of this chunk that have not come */
    uint64_t rate_rest;   /* thousandths of octets that were taken, and are not worth a millisecond yet */
    msec_t deadline;
    msec_t paused_at;
    msec_t fed_at;
    msec_t now; /* of the latest call */
    struct smtp_slot slots[SMTP_SLOTS];
};

/* A verb is told to the table in session.c; it is called in a phase where it is legal. */
void smtp_start_hello(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_starttls(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_auth(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_xclient(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_xforward(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_mail(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_rcpt(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_data(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_bdat(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_rset(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_noop(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_vrfy(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_expn(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_help(struct smtp_session *s, const struct smtp_command *command);
void smtp_start_quit(struct smtp_session *s, const struct smtp_command *command);

/* Takes one line and carries it out; in line.c. The octets taken: 0 when its end has not come; `skip` tells
 * whether it was a whole line. */
size_t smtp_line_feed(struct smtp_session *s, struct slice in);

/* AUTH's exchange, in verb_auth.c. */
void smtp_auth_respond(struct smtp_session *s, struct slice line); /* what the challenge is answered */
void smtp_auth_give_up(struct smtp_session *s, enum smtp_outcome why);
void smtp_auth_answer(struct smtp_session *s, struct smtp_verdict verdict);
/* Cuts AUTH's argument in two; false when what it begins with is none of the mechanisms that are offered. */
bool smtp_auth_read(const struct smtp_session *s, struct slice argument, struct slice *ret_mechanism,
                    struct slice *ret_rest);

/* A message's stream, in verb_data.c and verb_bdat.c: takes from `in` while slots are free, and what it took
 * is returned. */
size_t smtp_data_feed(struct smtp_session *s, struct slice in);
size_t smtp_chunk_feed(struct smtp_session *s, struct slice in);

/* For both: a message begins; takes a run of it, or tells why it cannot be; ends, and wants its answers. */
void smtp_message_open(struct smtp_session *s);
bool smtp_message_take(struct smtp_session *s, struct slice run, enum smtp_outcome *ret_why);
void smtp_message_finish(struct smtp_session *s);
uint64_t smtp_answers_of_message(const struct smtp_session *s); /* how many replies its end gets */

/* Phases change here and nowhere else. */
void smtp_enter(struct smtp_session *s, enum smtp_phase next);

/* Why a command that is known cannot be in this phase. */
enum smtp_outcome smtp_out_of_sequence(const struct smtp_session *s);
/* True when there is no mail before TLS or AUTH. */
bool smtp_is_barred(const struct smtp_session *s, enum smtp_outcome *ret_why);

/* Queue effects. */
struct smtp_slot *smtp_push(struct smtp_session *s, enum smtp_effect_kind kind);
void smtp_reply(struct smtp_session *s, enum smtp_outcome outcome);
void smtp_refuse(struct smtp_session *s, enum smtp_outcome outcome,
                 struct slice line); /* reply, log, count */
/* Log and count; false when that was one too many, and goodbye is said. */
bool smtp_blame(struct smtp_session *s, enum smtp_outcome outcome, struct slice line);
bool smtp_count_mistake(struct smtp_session *s, enum smtp_outcome outcome); /* the same without the log */
void smtp_reset(struct smtp_session *s);  /* forgets the transaction, if there is one */
void smtp_forget(struct smtp_session *s); /* whoever the client was, it has just come: START */
void smtp_greet(struct smtp_session *s);  /* the same, and tells it so */
void smtp_turn_away(struct smtp_session *s, enum smtp_outcome outcome, struct slice line); /* at once */
void smtp_say_goodbye(struct smtp_session *s, enum smtp_outcome outcome); /* the last reply, and the end */
bool smtp_has_room(const struct smtp_session *s);

/* What a slot stands for, in full; in effect.c. The command that it came from was checked when it was read.
 */
void smtp_effect_fill(const struct smtp_session *s, const struct smtp_slot *slot, struct smtp_effect *e);
