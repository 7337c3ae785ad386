#include "base/log.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *const pst_log_level_names[] = { "debug", "info", "warning", "error", "fatal", "panic", NULL };
const char *const pst_log_format_names[] = { "logfmt", "json", NULL };

struct line {
    char text[PST_LOG_LINE_MAX];
    size_t len;
};

/* Room is kept for the end of the line: what JSON must close, and the newline. */
enum { LINE_TAIL = 4 };

static void put(struct line *line, const char *bytes, size_t len)
{
    size_t room = sizeof line->text - LINE_TAIL - line->len;
    if (len > room)
        len = room;
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void put_str(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* A unit is put whole or not at all, so that a cut never leaves half an escape. */
static void put_unit(struct line *line, const char *bytes, size_t len)
{
    if (len <= sizeof line->text - LINE_TAIL - line->len)
        put(line, bytes, len);
}

/* In logfmt a value with any of these is quoted. */
static bool needs_quotes(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f || strchr("\"=\\", s.data[i]) != NULL)
            return true;
    return s.len == 0;
}

/* Not what could turn a terminal's text around (U+202E), nor what many readers take for the end of a line
 * (U+2028). */
static bool is_harmless(gunichar c)
{
    return c < 0x110000 && g_unichar_isprint(c) && c != 0x2028 && c != 0x2029;
}

/*
 * JSON's escapes, which logfmt readers know as well. Valid UTF-8 stays as it is, but for C1 controls and what
 * is not harmless; a byte that is none becomes \u00XX.
 */
static void put_escaped(struct line *line, struct slice s)
{
    for (size_t i = 0; i < s.len;) {
        uint8_t byte = s.data[i];
        if (byte >= 0x80) {
            gunichar c = g_utf8_get_char_validated((const char *)s.data + i, (gssize)(s.len - i));
            if (is_harmless(c)) {
                size_t len = (size_t)g_unichar_to_utf8(c, NULL);
                put_unit(line, (const char *)s.data + i, len);
                i += len;
                continue;
            }
        }
        if (byte < ' ' || byte >= 0x7f) {
            char escape[8];
            int len = snprintf(escape, sizeof escape, "\\u%04x", byte);
            put_unit(line, escape, (size_t)len);
        } else if (byte == '"' || byte == '\\') {
            put_unit(line, (const char[]){ '\\', (char)byte }, 2);
        } else {
            put(line, (const char *)s.data + i, 1);
        }
        i++;
    }
}

static void put_quoted(struct line *line, struct slice s)
{
    const char *quote = "\"";
    put(line, quote, 1);
    put_escaped(line, s);
    put(line, quote, 1);
}

static void put_key(struct line *line, enum pst_log_format format, const char *key)
{
    if (format == PST_LOG_JSON) {
        put_str(line, line->len == 0 ? "{\"" : ",\"");
        put_str(line, key);
        put_str(line, "\":");
    } else {
        if (line->len > 0)
            put_str(line, " ");
        put_str(line, key);
        put_str(line, "=");
    }
}

static void put_bytes(struct line *line, enum pst_log_format format, const char *key, struct slice value)
{
    size_t before = line->len;
    put_key(line, format, key);
    if (format == PST_LOG_LOGFMT && !needs_quotes(value))
        put(line, (const char *)value.data, value.len);
    else
        put_quoted(line, value);
    /* A value that did not fit would lack its closing quote: better to lose the field than the line's form.
     */
    if (line->len == sizeof line->text - LINE_TAIL)
        line->len = before;
}

static void put_field(struct line *line, enum pst_log_format format, const struct pst_field *field)
{
    char digits[24];
    if (field->type == PST_FIELD_BYTES) {
        put_bytes(line, format, field->key, field->bytes);
        return;
    }
    int len = field->type == PST_FIELD_SIGNED ? snprintf(digits, sizeof digits, "%" PRId64, field->number)
                                              : snprintf(digits, sizeof digits, "%" PRIu64, field->count);
    if (strlen(field->key) + (size_t)len + 8 > sizeof line->text - LINE_TAIL - line->len)
        return;
    put_key(line, format, field->key);
    put(line, digits, (size_t)len);
}

void pst_timestamp(int64_t wall_us, char text[PST_TIMESTAMP_SIZE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    size_t len = strftime(text, PST_TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + len, PST_TIMESTAMP_SIZE - len, ".%06uZ", (unsigned)(wall_us % 1000000));
}

void pst_log_fields(const struct pst_log *log, enum pst_log_level level, const char *event,
                    const struct pst_field *fields, size_t count)
{
    struct line line;
    line.len = 0;
    if (!log->timeless) {
        char stamp[PST_TIMESTAMP_SIZE];
        pst_timestamp(log->wall_us(log->owner), stamp);
        put_bytes(&line, log->format, "time", slice_str(stamp));
    }
    put_bytes(&line, log->format, "level", slice_str(pst_log_level_names[level]));
    put_bytes(&line, log->format, "event", slice_str(event));
    for (size_t i = 0; i < count; i++)
        put_field(&line, log->format, &fields[i]);
    if (log->format == PST_LOG_JSON)
        line.text[line.len++] = '}';
    line.text[line.len++] = '\n';
    log->write(log->owner, level, line.text, line.len);
}
