#include "trace.h"

#include <stdarg.h>
#include <string.h>

enum { SHOWN_MAX = 120, LINES_MAX = 20 }; /* octets of a line, lines of what is said at once */

struct trace_log {
    FILE *out;
    int64_t first_us, now_us;
    uint64_t digest;
};

struct trace_log *trace_log_new(FILE *out)
{
    struct trace_log *t = g_new0(struct trace_log, 1);
    t->out = out;
    t->first_us = -1;
    return t;
}

void trace_log_free(struct trace_log *t)
{
    g_free(t);
}

uint64_t trace_log_digest(const struct trace_log *t)
{
    return t->digest;
}

void trace_log_set_time(struct trace_log *t, int64_t now_us)
{
    if (t == NULL)
        return;
    if (t->first_us < 0)
        t->first_us = now_us;
    t->now_us = now_us - t->first_us;
}

static void put(struct trace_log *t, const char *line)
{
    for (const char *at = line; *at != '\0'; at++)
        t->digest = (t->digest ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    if (t->out != NULL)
        (void)fputs(line, t->out);
}

void trace_log(struct trace_log *t, const char *who, const char *format, ...)
{
    if (t == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *line = g_strdup_printf("%8" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT "  %-9s %s\n",
                                            t->now_us / 1000000, t->now_us % 1000000, who, text);
    put(t, line);
}

static void put_escaped(GString *to, struct slice octets)
{
    for (size_t i = 0; i < octets.len; i++) {
        uint8_t c = octets.data[i];
        if (c == '\r' || c == '\n')
            g_string_append(to, c == '\r' ? "\\r" : "\\n");
        else if (c < ' ' || c == 0x7f)
            g_string_append_printf(to, "\\x%02x", c);
        else
            g_string_append_c(to, (char)c); /* UTF-8 may be cut, which terminals bear */
    }
}

/* CR LF at its end is what a line has, and not shown. */
static void trace_line(struct trace_log *t, const char *who, char said, struct slice line)
{
    GString *text = g_string_new(NULL);
    size_t len = line.len;
    bool whole = len >= 2 && memcmp(line.data + len - 2, "\r\n", 2) == 0;
    if (whole)
        len -= 2;
    put_escaped(text, slice_first(line, MIN(len, SHOWN_MAX)));
    if (len > SHOWN_MAX)
        g_string_append_printf(text, "... (%zu octets)", len);
    trace_log(t, who, "%c: %s%s", said, text->str, whole ? "" : " (no end)");
    g_string_free(text, TRUE);
}

void trace_log_dialogue(struct trace_log *t, const char *who, char said, struct slice octets)
{
    for (unsigned lines = 0; t != NULL && octets.len > 0; lines++) {
        if (lines == LINES_MAX) {
            trace_log(t, who, "%c: ... (%zu octets)", said, octets.len);
            break;
        }
        const uint8_t *lf = memchr(octets.data, '\n', octets.len);
        size_t len = lf != NULL ? (size_t)(lf - octets.data) + 1 : octets.len;
        trace_line(t, who, said, slice_first(octets, len));
        octets = slice_skip(octets, len);
    }
}
