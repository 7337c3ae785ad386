/*
 * smtp/outcome.h - all that a server says: one table from outcomes to reply code, enhanced status code (RFC
 * 3463, 5248) and text. An outcome is data: what we tell the peer, decided by the protocol or by whoever
 * answers the session's questions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum smtp_outcome {
    /* greeting and session */
    SMTP_GREETING,
    SMTP_HELLO,
    SMTP_BYE,
    SMTP_HELP,
    SMTP_NOOP,
    SMTP_RESET_DONE,
    SMTP_XFORWARD_DONE,
    SMTP_VRFY_ANSWER,
    SMTP_EXPN_REFUSED,
    SMTP_SHUTTING_DOWN,
    SMTP_TIMEOUT,
    SMTP_TOO_MANY_ERRORS,
    SMTP_TOO_SLOW,
    SMTP_TOO_MANY_COMMANDS,
    SMTP_TOO_MANY_MESSAGES,
    SMTP_TOO_MANY_STRANGERS,
    SMTP_TOO_MANY_AUTH_FAILURES,
    SMTP_TOO_MANY_CONNECTIONS,
    SMTP_TOO_EARLY,
    SMTP_FOREIGN_PROTOCOL,
    /* commands that cannot be */
    SMTP_UNKNOWN_COMMAND,
    SMTP_LINE_TOO_LONG,
    SMTP_BAD_LINE,
    SMTP_NO_ARGUMENT_WANTED,
    SMTP_ARGUMENT_WANTED,
    SMTP_NEEDS_HELO,
    SMTP_NEEDS_MAIL,
    SMTP_NEEDS_RCPT,
    SMTP_NESTED_MAIL,
    SMTP_NEEDS_BDAT,
    SMTP_NEEDS_RSET,
    SMTP_BINARY_NEEDS_BDAT,
    SMTP_BDAT_SYNTAX,
    SMTP_OUT_OF_STEP,
    SMTP_FACTS_SYNTAX,
    SMTP_FACTS_REFUSED,
    SMTP_WRONG_HELO,
    SMTP_HELO_SYNTAX,
    SMTP_MAIL_SYNTAX,
    SMTP_RCPT_SYNTAX,
    SMTP_BAD_SENDER,
    SMTP_BAD_RECIPIENT,
    SMTP_PATH_TOO_LONG,
    SMTP_NEEDS_UTF8,
    SMTP_PARAMETER_SYNTAX,
    SMTP_PARAMETER_UNKNOWN,
    /* TLS (RFC 3207) and AUTH (RFC 4954) */
    SMTP_TLS_READY,
    SMTP_TLS_NOT_OFFERED,
    SMTP_TLS_TWICE,
    SMTP_NEEDS_TLS,
    SMTP_NEEDS_AUTH,
    SMTP_AUTH_CHALLENGE, /* detail: base64 */
    SMTP_AUTHENTICATED,
    SMTP_AUTH_FAILED,
    SMTP_AUTH_MALFORMED, /* not as the mechanism has it */
    SMTP_AUTH_UNKNOWN_MECHANISM,
    SMTP_AUTH_UNAVAILABLE, /* for now */
    SMTP_AUTH_NOT_OFFERED,
    SMTP_AUTH_NEEDS_TLS,
    SMTP_AUTH_TWICE,
    SMTP_AUTH_CANCELLED,
    SMTP_AUTH_NOT_BASE64,
    SMTP_AUTH_TOO_LONG,
    /* the envelope */
    SMTP_SENDER_OK,
    SMTP_RECIPIENT_OK,
    SMTP_NO_SUCH_MAILBOX,
    SMTP_NO_SUCH_DOMAIN,
    SMTP_TOO_MANY_RECIPIENTS,
    SMTP_LOOKUP_FAILED,
    SMTP_ALIAS_LOOP,
    SMTP_MAILBOX_FULL,
    SMTP_MAILBOX_FULL_REFUSED, /* for good, where that is what the operator wants */
    /* the message */
    SMTP_GO_AHEAD,
    SMTP_CHUNK_TAKEN,
    SMTP_DELIVERED,          /* detail: the id */
    SMTP_WOULD_BE_DELIVERED, /* the same, where nothing is kept: `postern try` */
    SMTP_TOO_BIG,
    SMTP_HEADER_TOO_LARGE,
    SMTP_TOO_MANY_FIELDS,
    SMTP_BARE_CR_OR_LF,
    SMTP_BAD_STRUCTURE,
    SMTP_MAIL_LOOP,
    SMTP_DISK_FULL,
    SMTP_LOCAL_ERROR,
    SMTP_HANDLER_REJECTED, /* detail: all of the reply, code and enhanced code, too */
    SMTP_HANDLER_DEFERRED, /* the same */
    SMTP_OUTCOMES          /* how many there are */
};

/* What the owner of a session answers to a question. */
struct smtp_verdict {
    enum smtp_outcome outcome;
    const char *detail; /* what the outcome's text has a place for, or NULL; printable ASCII; borrowed */
};

/* The reply code, 250 and so on. */
unsigned smtp_outcome_code(enum smtp_outcome outcome);

/* The peer did not follow the protocol (as opposed to: it asked for what cannot be). Such replies count
 * towards the limit on errors. */
bool smtp_outcome_is_mistake(enum smtp_outcome outcome);

/* A stable word for logs, "no-such-mailbox". */
const char *smtp_outcome_name(enum smtp_outcome outcome);

/* "550 5.1.1 text\r\n" and a NUL into `text`, of SMTP_REPLY_MAX octets or more (RFC 5321 4.5.3.1.5); the
 * octets without NUL. */
enum { SMTP_REPLY_MAX = 513 };
size_t smtp_outcome_format(enum smtp_outcome outcome, const char *detail, char *text, size_t size);
