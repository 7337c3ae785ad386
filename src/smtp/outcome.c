#include "smtp/outcome.h"

#include <string.h>

#include "base/assert.h"

#define REPLY(code, name, text)                                                                              \
    {                                                                                                        \
        code, sizeof(#code " " text "\r\n") - 1, 0, name, #code " " text "\r\n", NULL                        \
    }
#define REPLY_WITH_DETAIL(code, name, before, behind)                                                        \
    {                                                                                                        \
        code, sizeof(#code " " before) - 1, sizeof(behind "\r\n") - 1, name, #code " " before, behind "\r\n" \
    }

/* What is said is the detail alone; the code here is for those who ask what kind of reply it is. */
#define REPLY_OF_DETAIL(code, name)                                                                          \
    {                                                                                                        \
        code, 0, sizeof("\r\n") - 1, name, "", "\r\n"                                                        \
    }

/*
 * One row an outcome. Greeting, HELO, EHLO, 334 and 354 have no enhanced code (RFC 2034 4). The compiler puts
 * each reply together, so that saying it is to copy it; what stands in front of a detail and behind it is
 * told apart.
 */
static const struct row {
    uint16_t code;
    uint16_t head_len, tail_len;
    const char *name;
    const char *head; /* all of the reply, or what stands in front of the detail */
    const char *tail; /* what stands behind it, or NULL: there is no place for one */
} rows[SMTP_OUTCOMES] = {
    [SMTP_GREETING] = REPLY_WITH_DETAIL(220, "greeting", "", ""),
    [SMTP_HELLO] = REPLY_WITH_DETAIL(250, "hello", "", ""),
    [SMTP_BYE] = REPLY(221, "bye", "2.0.0 Bye"),
    [SMTP_HELP] = REPLY_WITH_DETAIL(214, "help", "2.0.0 ", " MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"),
    [SMTP_NOOP] = REPLY(250, "noop", "2.0.0 OK"),
    [SMTP_RESET_DONE] = REPLY(250, "reset", "2.0.0 OK"),
    [SMTP_XFORWARD_DONE] = REPLY(250, "xforward", "2.0.0 OK"),
    [SMTP_VRFY_ANSWER] = REPLY(252, "vrfy", "2.5.0 Cannot verify here; RCPT will tell"),
    [SMTP_EXPN_REFUSED] = REPLY(502, "expn-refused", "5.5.1 EXPN is not implemented"),
    [SMTP_SHUTTING_DOWN] = REPLY(421, "shutting-down", "4.3.2 Service is shutting down, try again later"),
    [SMTP_TIMEOUT] = REPLY(421, "timeout", "4.4.2 Timeout, closing the connection"),
    [SMTP_TOO_MANY_ERRORS] = REPLY(421, "too-many-errors", "4.7.0 Too many errors, closing the connection"),
    [SMTP_TOO_SLOW] = REPLY(421, "too-slow", "4.4.2 The message comes too slowly, closing the connection"),
    [SMTP_TOO_MANY_COMMANDS] =
        REPLY(421, "too-many-commands", "4.7.0 Too many commands, closing the connection"),
    [SMTP_TOO_MANY_MESSAGES] =
        REPLY(421, "too-many-messages", "4.7.0 Enough messages for one session, come again"),
    [SMTP_TOO_MANY_STRANGERS] =
        REPLY(421, "too-many-strangers", "4.7.0 Too many unknown recipients, closing the connection"),
    [SMTP_TOO_MANY_AUTH_FAILURES] =
        REPLY(421, "too-many-auth-failures", "4.7.0 Too many failures, closing the connection"),
    [SMTP_TOO_EARLY] = REPLY(554, "too-early", "5.5.1 You spoke before the greeting"),
    [SMTP_FOREIGN_PROTOCOL] = REPLY(554, "foreign-protocol", "5.5.1 This is a mail server"),
    [SMTP_TOO_MANY_CONNECTIONS] =
        REPLY(421, "too-many-connections", "4.3.2 Too many connections, try again later"),

    [SMTP_UNKNOWN_COMMAND] = REPLY(500, "unknown-command", "5.5.1 Command not recognized"),
    [SMTP_LINE_TOO_LONG] = REPLY(500, "line-too-long", "5.5.2 Line too long"),
    [SMTP_BAD_LINE] = REPLY(500, "bad-line", "5.5.2 Control character in a command"),
    [SMTP_NO_ARGUMENT_WANTED] = REPLY(501, "no-argument-wanted", "5.5.4 This command takes no argument"),
    [SMTP_ARGUMENT_WANTED] = REPLY(501, "argument-wanted", "5.5.4 This command needs an argument"),
    [SMTP_NEEDS_HELO] = REPLY_WITH_DETAIL(503, "needs-helo", "5.5.1 Say ", " first"),
    [SMTP_NEEDS_MAIL] = REPLY(503, "needs-mail", "5.5.1 MAIL first"),
    [SMTP_NEEDS_RCPT] = REPLY(503, "needs-rcpt", "5.5.1 No recipient was accepted; RCPT first"),
    [SMTP_NESTED_MAIL] = REPLY(503, "nested-mail", "5.5.1 A transaction is open already"),
    [SMTP_NEEDS_BDAT] = REPLY(503, "needs-bdat", "5.5.1 The message has begun: BDAT or RSET"),
    [SMTP_NEEDS_RSET] = REPLY(503, "needs-rset", "5.5.1 The transaction has failed: RSET first"),
    [SMTP_BINARY_NEEDS_BDAT] = REPLY(503, "binary-needs-bdat", "5.5.1 A BINARYMIME message needs BDAT"),
    [SMTP_BDAT_SYNTAX] = REPLY(501, "bdat-syntax", "5.5.4 Write BDAT SIZE or BDAT SIZE LAST"),
    [SMTP_OUT_OF_STEP] =
        REPLY(421, "out-of-step", "4.7.0 Nobody can tell where that chunk ends, closing the connection"),
    [SMTP_FACTS_SYNTAX] = REPLY(501, "facts-syntax", "5.5.4 Bad attribute or value"),
    [SMTP_FACTS_REFUSED] = REPLY(550, "facts-refused", "5.7.0 You may not say that here"),
    [SMTP_WRONG_HELO] = REPLY_WITH_DETAIL(500, "wrong-helo", "5.5.1 Say ", " here"),
    [SMTP_HELO_SYNTAX] = REPLY(501, "helo-syntax", "5.5.4 A domain or an address literal is wanted"),
    [SMTP_MAIL_SYNTAX] = REPLY(501, "mail-syntax", "5.5.4 Write MAIL FROM:<address>"),
    [SMTP_RCPT_SYNTAX] = REPLY(501, "rcpt-syntax", "5.5.4 Write RCPT TO:<address>"),
    [SMTP_BAD_SENDER] = REPLY(501, "bad-sender", "5.1.7 Bad sender address"),
    [SMTP_BAD_RECIPIENT] = REPLY(501, "bad-recipient", "5.1.3 Bad recipient address"),
    [SMTP_PATH_TOO_LONG] = REPLY(501, "path-too-long", "5.1.0 Path too long"),
    [SMTP_NEEDS_UTF8] = REPLY(553, "needs-utf8", "5.6.7 An address beyond ASCII needs MAIL with SMTPUTF8"),
    [SMTP_PARAMETER_SYNTAX] = REPLY(501, "parameter-syntax", "5.5.4 Malformed parameter"),
    [SMTP_PARAMETER_UNKNOWN] = REPLY(555, "parameter-unknown", "5.5.4 Parameter not recognized, or repeated"),

    [SMTP_TLS_READY] = REPLY(220, "tls-ready", "2.0.0 Ready for TLS"),
    [SMTP_TLS_NOT_OFFERED] = REPLY(502, "tls-not-offered", "5.5.1 There is no TLS here"),
    [SMTP_TLS_TWICE] = REPLY(503, "tls-twice", "5.5.1 TLS is active already"),
    [SMTP_NEEDS_TLS] = REPLY(530, "needs-tls", "5.7.0 STARTTLS first"),
    [SMTP_NEEDS_AUTH] = REPLY(530, "needs-auth", "5.7.0 Authentication required"),
    [SMTP_AUTH_CHALLENGE] = REPLY_WITH_DETAIL(334, "auth-challenge", "", ""),
    [SMTP_AUTHENTICATED] = REPLY(235, "authenticated", "2.7.0 Authentication succeeded"),
    [SMTP_AUTH_FAILED] = REPLY(535, "auth-failed", "5.7.8 Authentication credentials invalid"),
    [SMTP_AUTH_MALFORMED] = REPLY(501, "auth-malformed", "5.5.2 Not what the mechanism wants"),
    [SMTP_AUTH_UNKNOWN_MECHANISM] =
        REPLY(504, "auth-unknown-mechanism", "5.5.4 That mechanism is not offered"),
    [SMTP_AUTH_UNAVAILABLE] =
        REPLY(454, "auth-unavailable", "4.7.0 Cannot authenticate now, try again later"),
    [SMTP_AUTH_NOT_OFFERED] = REPLY(503, "auth-not-offered", "5.5.1 There is no authentication here"),
    [SMTP_AUTH_NEEDS_TLS] = REPLY(538, "auth-needs-tls", "5.7.11 Authentication needs TLS: STARTTLS first"),
    [SMTP_AUTH_TWICE] = REPLY(503, "auth-twice", "5.5.1 You have authenticated already"),
    [SMTP_AUTH_CANCELLED] = REPLY(501, "auth-cancelled", "5.7.0 Authentication cancelled"),
    [SMTP_AUTH_NOT_BASE64] = REPLY(501, "auth-not-base64", "5.5.2 That is not Base64"),
    [SMTP_AUTH_TOO_LONG] = REPLY(500, "auth-too-long", "5.5.6 Authentication exchange line is too long"),

    [SMTP_SENDER_OK] = REPLY(250, "sender-ok", "2.1.0 Sender OK"),
    [SMTP_RECIPIENT_OK] = REPLY(250, "recipient-ok", "2.1.5 Recipient OK"),
    [SMTP_NO_SUCH_MAILBOX] = REPLY(550, "no-such-mailbox", "5.1.1 No such mailbox here"),
    [SMTP_NO_SUCH_DOMAIN] = REPLY(550, "no-such-domain", "5.7.1 Mail for that domain is not taken here"),
    [SMTP_TOO_MANY_RECIPIENTS] = REPLY(452, "too-many-recipients", "4.5.3 Too many recipients"),
    [SMTP_LOOKUP_FAILED] = REPLY(451, "lookup-failed", "4.4.3 Cannot look that up now, try again later"),
    [SMTP_ALIAS_LOOP] = REPLY(451, "alias-loop", "4.4.6 That address leads to itself here, try again later"),
    [SMTP_MAILBOX_FULL] = REPLY(452, "mailbox-full", "4.2.2 Mailbox is full, try again later"),
    [SMTP_MAILBOX_FULL_REFUSED] = REPLY(552, "mailbox-full-refused", "5.2.2 Mailbox is full"),

    [SMTP_GO_AHEAD] = REPLY(354, "go-ahead", "End the message with CR LF . CR LF"),
    [SMTP_CHUNK_TAKEN] = REPLY(250, "chunk-taken", "2.0.0 Chunk taken"),
    [SMTP_DELIVERED] = REPLY_WITH_DETAIL(250, "delivered", "2.0.0 Delivered, id ", ""),
    [SMTP_WOULD_BE_DELIVERED] =
        REPLY(250, "would-be-delivered", "2.0.0 Would be delivered; this was a try, nothing is kept"),
    [SMTP_TOO_BIG] = REPLY(552, "too-big", "5.3.4 Message exceeds the size limit"),
    [SMTP_HEADER_TOO_LARGE] = REPLY(552, "header-too-big", "5.3.4 The header section exceeds the size limit"),
    [SMTP_TOO_MANY_FIELDS] = REPLY(554, "too-many-fields", "5.6.0 Too many header fields"),
    [SMTP_BARE_CR_OR_LF] =
        REPLY(550, "bare-cr-or-lf", "5.6.0 CR or LF alone in the message: lines end in CR LF"),
    [SMTP_BAD_STRUCTURE] = REPLY(554, "bad-structure", "5.6.0 The message's structure exceeds the limits"),
    [SMTP_MAIL_LOOP] = REPLY(554, "mail-loop", "5.4.6 This message goes round in a loop"),
    [SMTP_DISK_FULL] = REPLY(452, "disk-full", "4.3.1 Not enough storage, try again later"),
    [SMTP_LOCAL_ERROR] = REPLY(451, "local-error", "4.3.0 Local error, try again later"),
    [SMTP_HANDLER_REJECTED] = REPLY_OF_DETAIL(550, "handler-rejected"),
    [SMTP_HANDLER_DEFERRED] = REPLY_OF_DETAIL(451, "handler-deferred"),
};

unsigned smtp_outcome_code(enum smtp_outcome outcome)
{
    return rows[outcome].code;
}

const char *smtp_outcome_name(enum smtp_outcome outcome)
{
    return rows[outcome].name;
}

bool smtp_outcome_is_mistake(enum smtp_outcome outcome)
{
    static const uint16_t codes[] = { 500, 501, 502, 503, 504, 530, 538, 553, 555 };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (rows[outcome].code == codes[i])
            return outcome != SMTP_AUTH_CANCELLED; /* which is a client's right */
    return outcome == SMTP_FACTS_REFUSED;
}

/* A text that grows and has room for all that is written to it. */
struct writer {
    char *next;
    const char *end;
};

static void put(struct writer *w, const char *text, size_t len)
{
    pst_assert(len <= (size_t)(w->end - w->next));
    w->next = mempcpy(w->next, text, len);
}

size_t smtp_outcome_format(enum smtp_outcome outcome, const char *detail, char *text, size_t size)
{
    enum { DETAIL_MAX = 400 };
    const struct row *row = &rows[outcome];
    struct writer w = { .next = text, .end = text + size };
    put(&w, row->head, row->head_len);
    if (row->tail != NULL) {
        if (detail != NULL)
            put(&w, detail, strnlen(detail, DETAIL_MAX));
        put(&w, row->tail, row->tail_len);
    }
    put(&w, "", 1); /* the NUL */
    return (size_t)(w.next - text) - 1;
}
