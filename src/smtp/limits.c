#include <glib.h>

#include "smtp/session.h"

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(smtp_limits, field), __VA_ARGS__                                             \
    }

const struct option_row smtp_limit_rows[] = {
    ROW(message_size, .name = "message-size", .kind = OPTION_SIZE, .fallback = "50M", .min = 64 * 1024,
        .max = UINT64_C(1) << 50,
        .sentence = "The largest message that is taken, in octets as they come over the wire; told to "
                    "clients by SIZE."),
    ROW(recipients, .name = "recipients", .kind = OPTION_COUNT, .fallback = "1000", .min = 100, .max = 100000,
        .sentence = "The most recipients of one message; further ones are told to come again with another."),
    ROW(errors, .name = "errors", .kind = OPTION_COUNT, .fallback = "20", .min = 1, .max = 1000000,
        .sentence = "Commands that break the protocol before a session is ended with 421."),
    ROW(command_timeout, .name = "command-timeout", .kind = OPTION_DURATION, .fallback = "5m", .min = 1000,
        .max = 86400000, .sentence = "How long a client may take to send its next command."),
    ROW(data_timeout, .name = "data-timeout", .kind = OPTION_DURATION, .fallback = "10m", .min = 1000,
        .max = 86400000, .sentence = "How long a client may be silent in the middle of a message."),
};
const size_t smtp_limit_row_count = G_N_ELEMENTS(smtp_limit_rows);
