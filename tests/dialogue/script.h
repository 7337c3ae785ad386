/*
 * tests/dialogue/script.h - a script: a conversation as a client has it, with what the server must say and
 * what the mailboxes must hold.
 *
 *     # r0042: why (RFC 5321 4.2)  the first line; the number is the script's for ever, and no
 *                                  script is without the section of the RFC that it holds us to
 *     protocol smtp|lmtp           smtp if not told
 *     only core|daemon             not for a running daemon; only for one
 *     mailbox carol                exists, as alice, bob and postmaster of example.org always do
 *                                  (and nobody never does: what must be missing is to be called so)
 *     limit message-size 64K       as in [limits] of the configuration
 *     may xclient|xforward         the client may say it
 *     greeting-delay 1s            as in [listen]
 *     tls optional|required|implicit    the same
 *     auth optional|required       the same; who says alice and the password "secret" is let in, by PLAIN
 *                                  and LOGIN, inside TLS
 *     auth-without-tls             the same, and outside TLS, too
 *     proxy                        a PROXY header comes first (only daemon: the core knows of none)
 *     domain other.example         is taken too, with the same mailboxes
 *
 *     hello                        reads the greeting, says EHLO or LHLO, reads the answer
 *     send LINE                    with CR LF; what is sent between two answers goes out in one piece
 *     raw "octets" "more"*100      as they are; see bytes.h
 *     want CODE [ENHANCED] [TEXT]  the next reply, whole; see reply.h
 *     want-each N CODE ...         N such replies
 *     want-lines CODE ITEM, ITEM   the next reply, whose second and later lines are these in any order
 *     nothing                      no reply is there (on a daemon: only sends what was held for sending)
 *     want-close                   the server ends the connection, and said no more
 *     handshake                    TLS begins; what was sent behind STARTTLS is gone
 *     bye                          QUIT, its answer, want-close
 *     hangup                       the client ends the connection, without QUIT
 *
 *     stored MAILBOX N             how many messages it holds
 *     stored MAILBOX contains|lacks "octets"    in any of them
 *     message MAILBOX "octets"     one of its messages is this, behind the trace fields, with CR LF
 *     octets MAILBOX "octets"      the same, as they are stored: what BINARYMIME promises
 *     sender MAILBOX <PATH>        the reverse path of one of its messages, as Return-Path has it
 *
 * and only on the core, where the clock is the script's and the runner answers the session's questions:
 *
 *     wait 5m                      time passes
 *     refuse MAILBOX OUTCOME       the answer to its RCPT
 *     fail OUTCOME [MAILBOX]       the answer to the end of the message (for that recipient)
 *     answer-auth OUTCOME          the answer to what AUTH asks next
 *     hold, release                questions stay unanswered; are answered
 *     shut                         the server wants to stop
 *
 * At the end of a script no reply may be unread. Ownership: script_free releases all. Failure: the problems
 * are told in `diag`.
 */
#pragma once

#include <glib.h>

#include "base/diag.h"
#include "base/number.h"
#include "reply.h"
#include "smtp/session.h"

enum step_kind {
    STEP_SEND, /* bytes */
    STEP_WANT, /* want, count */
    STEP_NOTHING,
    STEP_WANT_CLOSE,
    STEP_HANDSHAKE,
    STEP_HANGUP,
    STEP_STORED_COUNT,    /* mailbox, count */
    STEP_STORED_CONTAINS, /* mailbox, bytes */
    STEP_STORED_LACKS,    /* mailbox, bytes */
    STEP_STORED_MESSAGE,  /* mailbox, bytes */
    STEP_STORED_OCTETS,   /* mailbox, bytes */
    STEP_STORED_SENDER,   /* mailbox, bytes */
    STEP_WAIT,            /* wait_ms */
    STEP_REFUSE,          /* mailbox, outcome */
    STEP_FAIL,            /* mailbox or NULL, outcome */
    STEP_ANSWER_AUTH,     /* outcome */
    STEP_HOLD,
    STEP_RELEASE,
    STEP_SHUT,
};

struct step {
    enum step_kind kind;
    unsigned line;
    GString *bytes;
    struct want *want;
    char *mailbox;
    unsigned count;
    msec_t wait_ms;
    enum smtp_outcome outcome;
};

struct script {
    char *path;
    char *name; /* of the file, without folder and ending */
    char *id;   /* "r0042" */
    char *reason;
    enum smtp_protocol protocol;
    bool only_core, only_daemon;
    struct smtp_limits limits;
    struct smtp_client client; /* as it is when it has connected */
    const char *mechanisms;    /* what it may authenticate with inside TLS; or NULL */
    char *domain;              /* besides example.org; or NULL */
    char *limits_text;         /* "errors=5 listen.xclient=unix": what the script sets, sorted; "" for none */
    GPtrArray *mailboxes;      /* char * */
    GArray *steps;             /* struct step */
    GPtrArray *lines;          /* char *: the text, for reports */
};

/* 0 or -errno, with every problem in `diag`. */
int script_load(const char *path, struct diag *diag, struct script **ret_script);
int script_parse(const char *path, const char *text, struct diag *diag, struct script **ret_script);
void script_free(struct script *s);
AUTO_PTR_DEFINE(script);
