#include <glib.h>

#include "smtp/command.h"
#include "smtp/session.h"

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(smtp_limits, field), __VA_ARGS__                                             \
    }

static const char *const foreign_names[] = { "refuse", "answer", NULL };

const struct option_row smtp_limit_rows[] = {
    ROW(message_size, .name = "message-size", .kind = OPTION_SIZE, .fallback = "50M", .min = 64 * 1024,
        .max = UINT64_C(1) << 50,
        .sentence = "The largest message that is taken, in octets as they come over the wire; told to "
                    "clients by SIZE."),
    ROW(header_size, .name = "header-size", .kind = OPTION_SIZE, .fallback = "1M", .min = 16 * 1024,
        .max = UINT64_C(1) << 30,
        .sentence = "The largest header section of a message, in octets; a larger one is refused."),
    ROW(header_fields, .name = "header-fields", .kind = OPTION_COUNT, .fallback = "1000", .min = 100,
        .max = 1000000, .sentence = "The most header fields of a message."),
    ROW(recipients, .name = "recipients", .kind = OPTION_COUNT, .fallback = "1000", .min = 100, .max = 100000,
        .sentence = "The most recipients of one message; further ones are told to come again with another."),
    ROW(errors, .name = "errors", .kind = OPTION_COUNT, .fallback = "20", .min = 1, .max = 1000000,
        .sentence = "Commands that break the protocol before a session is ended with 421."),
    ROW(command_length, .name = "command-length", .kind = OPTION_SIZE, .fallback = "2K",
        .min = SMTP_COMMAND_LENGTH_MIN, .max = SMTP_COMMAND_LENGTH_MAX,
        .sentence = "The longest command line, in octets with CR LF; a longer one is refused, and not kept. "
                    "No client needs more than the least that can be set. What AUTH sends may have 12 KiB, "
                    "where it is offered."),
    ROW(commands, .name = "commands-per-session", .kind = OPTION_COUNT, .fallback = "1000000", .min = 100,
        .max = 1000000000,
        .sentence =
            "Commands, good or refused, before a session is ended with 421. Lines that are no command "
            "count as errors."),
    ROW(messages, .name = "messages-per-session", .kind = OPTION_COUNT, .fallback = "100000", .min = 1,
        .max = 999999, /* RFC 9422 4.1: six digits */
        .sentence = "Transactions before a session is ended with 421; told to clients by LIMITS."),
    ROW(strangers, .name = "unknown-recipients-per-session", .kind = OPTION_COUNT, .fallback = "1000",
        .min = 1, .max = 1000000000,
        .sentence =
            "Recipients refused because they are not known here before a session is ended with 421: more "
            "than any mailing list has, and few for somebody who tries out names."),
    ROW(auth_failures, .name = "auth-failures", .kind = OPTION_COUNT, .fallback = "3", .min = 1,
        .max = 1000000,
        .sentence = "Wrong credentials before a session is ended with 421. They do not count as errors."),
    ROW(data_rate, .name = "data-rate", .kind = OPTION_SIZE, .fallback = "100", .min = 0,
        .max = UINT64_C(1) << 30,
        .sentence = "How many octets a second a client must send of a message at least, averaged over "
                    "data-timeout: without it, one octet before each timeout would keep a session for years. "
                    "With 0, any rate will do."),
    ROW(foreign, .name = "foreign-protocols", .kind = OPTION_CHOICE, .fallback = "refuse",
        .choices = foreign_names,
        .sentence =
            "Whether the session ends when a client speaks HTTP, SSH or, where none is expected, TLS or "
            "the PROXY protocol: "
            "such clients were made to by somebody else. With answer, its lines are commands that are "
            "not recognized."),
    ROW(command_timeout, .name = "command-timeout", .kind = OPTION_DURATION, .fallback = "5m", .min = 1000,
        .max = 86400000, .sentence = "How long a client may take to send its next command."),
    ROW(data_timeout, .name = "data-timeout", .kind = OPTION_DURATION, .fallback = "10m", .min = 1000,
        .max = 86400000,
        .sentence = "How long a client may be silent in the middle of a message; see WHO IS TURNED AWAY."),
};
const size_t smtp_limit_row_count = G_N_ELEMENTS(smtp_limit_rows);
