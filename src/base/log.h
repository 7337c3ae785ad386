/*
 * base/log.h - one event a line: a stable name, then key=value, in logfmt or JSON.
 * This formats and escapes; where lines go is the sink's business, which the server hands in. A logger is a
 * value that its owner keeps and passes by pointer; fields borrow what they point to for the time of the
 * call. Nothing fails: a line that would be longer than PST_LOG_LINE_MAX is cut, never split.
 *
 *     pst_log(log, PST_LOG_INFO, "rcpt-refused", PST_STR("session", id), PST_INT("code", 550));
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum { PST_LOG_LINE_MAX = 2048 };

/* panic = our bug, fatal = fix the setup, error = mail suffered, warning = look some day. */
enum pst_log_level {
    PST_LOG_DEBUG,
    PST_LOG_INFO,
    PST_LOG_WARNING,
    PST_LOG_ERROR,
    PST_LOG_FATAL,
    PST_LOG_PANIC,
};
extern const char *const pst_log_level_names[]; /* ends in NULL */

enum pst_log_format {
    PST_LOG_LOGFMT,
    PST_LOG_JSON,
};
extern const char *const pst_log_format_names[]; /* ends in NULL */

struct pst_field {
    const char *key;
    enum { PST_FIELD_BYTES, PST_FIELD_SIGNED, PST_FIELD_UNSIGNED } type;
    struct slice bytes; /* what a peer wrote is welcome: it is escaped */
    int64_t number;
    uint64_t count;
};
#define PST_BYTES(k, s) ((struct pst_field){ .key = (k), .type = PST_FIELD_BYTES, .bytes = (s) })
#define PST_STR(k, s)   PST_BYTES(k, slice_str(s))
#define PST_INT(k, n)   ((struct pst_field){ .key = (k), .type = PST_FIELD_SIGNED, .number = (n) })
#define PST_UINT(k, n)  ((struct pst_field){ .key = (k), .type = PST_FIELD_UNSIGNED, .count = (n) })

struct pst_log {
    enum pst_log_level threshold; /* below it nothing is formatted */
    enum pst_log_format format;
    bool timeless;                   /* the sink stamps lines itself, as syslog does */
    int64_t (*wall_us)(void *owner); /* microseconds since 1970 UTC */
    void (*write)(void *owner, enum pst_log_level level, const char *line, size_t len); /* line ends in \n */
    void *owner;                                                                        /* handed to both */
};

void pst_log_fields(const struct pst_log *log, enum pst_log_level level, const char *event,
                    const struct pst_field *fields, size_t count);

#define pst_log(log, level, event, ...)                                                                      \
    do {                                                                                                     \
        const struct pst_log *pst_log_to = (log);                                                            \
        if ((level) >= pst_log_to->threshold) {                                                              \
            const struct pst_field pst_log_list[] = { __VA_ARGS__ };                                         \
            pst_log_fields(pst_log_to, level, event, pst_log_list,                                           \
                           sizeof pst_log_list / sizeof *pst_log_list);                                      \
        }                                                                                                    \
    } while (0)

/* "2026-11-21T21:33:44.123456Z" and a NUL into `text`; years have four digits. */
enum { PST_TIMESTAMP_SIZE = 28 };
void pst_timestamp(int64_t wall_us, char text[PST_TIMESTAMP_SIZE]);
