#include "smtp/outcome.h"

#include <string.h>

#include "base/assert.h"

/* One row an outcome. Greeting, HELO, EHLO and 354 have no enhanced code (RFC 2034 4). "%s" is the place of
 * the detail. */
static const struct row {
    uint16_t code;
    const char *enhanced;
    const char *name;
    const char *text;
} rows[SMTP_OUTCOMES] = {
    [SMTP_GREETING] = { 220, NULL, "greeting", "%s" },
    [SMTP_HELLO] = { 250, NULL, "hello", "%s" },
    [SMTP_BYE] = { 221, "2.0.0", "bye", "Bye" },
    [SMTP_HELP] = { 214, "2.0.0", "help", "%s MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT" },
    [SMTP_NOOP] = { 250, "2.0.0", "noop", "OK" },
    [SMTP_RESET_DONE] = { 250, "2.0.0", "reset", "OK" },
    [SMTP_XFORWARD_DONE] = { 250, "2.0.0", "xforward", "OK" },
    [SMTP_VRFY_ANSWER] = { 252, "2.5.0", "vrfy", "Cannot verify here; RCPT will tell" },
    [SMTP_EXPN_REFUSED] = { 502, "5.5.1", "expn-refused", "EXPN is not implemented" },
    [SMTP_SHUTTING_DOWN] = { 421, "4.3.2", "shutting-down", "Service is shutting down, try again later" },
    [SMTP_TIMEOUT] = { 421, "4.4.2", "timeout", "Timeout, closing the connection" },
    [SMTP_TOO_MANY_ERRORS] = { 421, "4.7.0", "too-many-errors", "Too many errors, closing the connection" },
    [SMTP_TOO_SLOW] = { 421, "4.4.2", "too-slow", "The message comes too slowly, closing the connection" },
    [SMTP_TOO_MANY_COMMANDS] = { 421, "4.7.0", "too-many-commands",
                                 "Too many commands, closing the connection" },
    [SMTP_TOO_MANY_MESSAGES] = { 421, "4.7.0", "too-many-messages",
                                 "Enough messages for one session, come again" },
    [SMTP_TOO_EARLY] = { 554, "5.5.1", "too-early", "You spoke before the greeting" },
    [SMTP_FOREIGN_PROTOCOL] = { 554, "5.5.1", "foreign-protocol", "This is a mail server" },
    [SMTP_TOO_MANY_CONNECTIONS] = { 421, "4.3.2", "too-many-connections",
                                    "Too many connections, try again later" },

    [SMTP_UNKNOWN_COMMAND] = { 500, "5.5.1", "unknown-command", "Command not recognized" },
    [SMTP_LINE_TOO_LONG] = { 500, "5.5.2", "line-too-long", "Line too long" },
    [SMTP_BAD_LINE] = { 500, "5.5.2", "bad-line", "Control character in a command" },
    [SMTP_NO_ARGUMENT_WANTED] = { 501, "5.5.4", "no-argument-wanted", "This command takes no argument" },
    [SMTP_ARGUMENT_WANTED] = { 501, "5.5.4", "argument-wanted", "This command needs an argument" },
    [SMTP_NEEDS_HELO] = { 503, "5.5.1", "needs-helo", "Say %s first" },
    [SMTP_NEEDS_MAIL] = { 503, "5.5.1", "needs-mail", "MAIL first" },
    [SMTP_NEEDS_RCPT] = { 503, "5.5.1", "needs-rcpt", "No recipient was accepted; RCPT first" },
    [SMTP_NESTED_MAIL] = { 503, "5.5.1", "nested-mail", "A transaction is open already" },
    [SMTP_NEEDS_BDAT] = { 503, "5.5.1", "needs-bdat", "The message has begun: BDAT or RSET" },
    [SMTP_NEEDS_RSET] = { 503, "5.5.1", "needs-rset", "The transaction has failed: RSET first" },
    [SMTP_BINARY_NEEDS_BDAT] = { 503, "5.5.1", "binary-needs-bdat", "A BINARYMIME message needs BDAT" },
    [SMTP_BDAT_SYNTAX] = { 501, "5.5.4", "bdat-syntax", "Write BDAT SIZE or BDAT SIZE LAST" },
    [SMTP_OUT_OF_STEP] = { 421, "4.7.0", "out-of-step",
                           "Nobody can tell where that chunk ends, closing the connection" },
    [SMTP_FACTS_SYNTAX] = { 501, "5.5.4", "facts-syntax", "Bad attribute or value" },
    [SMTP_FACTS_REFUSED] = { 550, "5.7.0", "facts-refused", "You may not say that here" },
    [SMTP_WRONG_HELO] = { 500, "5.5.1", "wrong-helo", "Say %s here" },
    [SMTP_HELO_SYNTAX] = { 501, "5.5.4", "helo-syntax", "A domain or an address literal is wanted" },
    [SMTP_MAIL_SYNTAX] = { 501, "5.5.4", "mail-syntax", "Write MAIL FROM:<address>" },
    [SMTP_RCPT_SYNTAX] = { 501, "5.5.4", "rcpt-syntax", "Write RCPT TO:<address>" },
    [SMTP_BAD_SENDER] = { 501, "5.1.7", "bad-sender", "Bad sender address" },
    [SMTP_BAD_RECIPIENT] = { 501, "5.1.3", "bad-recipient", "Bad recipient address" },
    [SMTP_PATH_TOO_LONG] = { 501, "5.1.0", "path-too-long", "Path too long" },
    [SMTP_NEEDS_UTF8] = { 553, "5.6.7", "needs-utf8", "An address beyond ASCII needs MAIL with SMTPUTF8" },
    [SMTP_PARAMETER_SYNTAX] = { 501, "5.5.4", "parameter-syntax", "Malformed parameter" },
    [SMTP_PARAMETER_UNKNOWN] = { 555, "5.5.4", "parameter-unknown", "Parameter not recognized, or repeated" },

    [SMTP_SENDER_OK] = { 250, "2.1.0", "sender-ok", "Sender OK" },
    [SMTP_RECIPIENT_OK] = { 250, "2.1.5", "recipient-ok", "Recipient OK" },
    [SMTP_NO_SUCH_MAILBOX] = { 550, "5.1.1", "no-such-mailbox", "No such mailbox here" },
    [SMTP_NO_SUCH_DOMAIN] = { 550, "5.7.1", "no-such-domain", "Mail for that domain is not taken here" },
    [SMTP_TOO_MANY_RECIPIENTS] = { 452, "4.5.3", "too-many-recipients", "Too many recipients" },

    [SMTP_GO_AHEAD] = { 354, NULL, "go-ahead", "End the message with CR LF . CR LF" },
    [SMTP_CHUNK_TAKEN] = { 250, "2.0.0", "chunk-taken", "Chunk taken" },
    [SMTP_DELIVERED] = { 250, "2.0.0", "delivered", "Delivered, id %s" },
    [SMTP_WOULD_BE_DELIVERED] = { 250, "2.0.0", "would-be-delivered",
                                  "Would be delivered; this was a try, nothing is kept" },
    [SMTP_TOO_BIG] = { 552, "5.3.4", "too-big", "Message exceeds the size limit" },
    [SMTP_HEADER_TOO_LARGE] = { 552, "5.3.4", "header-too-big", "The header section exceeds the size limit" },
    [SMTP_TOO_MANY_FIELDS] = { 554, "5.6.0", "too-many-fields", "Too many header fields" },
    [SMTP_BARE_CR_OR_LF] = { 550, "5.6.0", "bare-cr-or-lf",
                             "CR or LF alone in the message: lines end in CR LF" },
    [SMTP_DISK_FULL] = { 452, "4.3.1", "disk-full", "Not enough storage, try again later" },
    [SMTP_LOCAL_ERROR] = { 451, "4.3.0", "local-error", "Local error, try again later" },
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
    unsigned code = rows[outcome].code;
    return (code >= 500 && code <= 503) || code == 555;
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

/* Each command has a reply: put together by hand, it costs an eighth of what snprintf does. */
size_t smtp_outcome_format(enum smtp_outcome outcome, const char *detail, char *text, size_t size)
{
    enum { DETAIL_MAX = 400 };
    const struct row *row = &rows[outcome];
    struct writer w = { .next = text, .end = text + size };
    char code[] = { (char)('0' + row->code / 100), (char)('0' + row->code / 10 % 10),
                    (char)('0' + row->code % 10), ' ' };
    put(&w, code, sizeof code);
    if (row->enhanced != NULL) {
        put(&w, row->enhanced, strlen(row->enhanced));
        put(&w, " ", 1);
    }
    const char *place = strchrnul(row->text, '%');
    put(&w, row->text, (size_t)(place - row->text));
    if (*place != '\0') {
        if (detail != NULL)
            put(&w, detail, strnlen(detail, DETAIL_MAX));
        put(&w, place + strlen("%s"), strlen(place + strlen("%s")));
    }
    put(&w, "\r\n", 3); /* with the NUL */
    return (size_t)(w.next - text) - 1;
}
