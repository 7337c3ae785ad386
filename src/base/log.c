#include "base/log.h"

#include <glib.h>
#include <time.h>

#include "base/number.h"

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

static void put_char(struct line *line, char c)
{
    if (line->len < sizeof line->text - LINE_TAIL)
        line->text[line->len++] = c;
}

/* A unit is put whole or not at all, so that a cut never leaves half an escape. */
static void put_unit(struct line *line, const char *bytes, size_t len)
{
    if (len <= sizeof line->text - LINE_TAIL - line->len)
        put(line, bytes, len);
}

enum {
    WORD = 1, /* a logfmt value of nothing else needs no quotes */
    SELF = 2, /* stands for itself within quotes */
};

static const uint8_t classes[256] = {
    [' '] = SELF, ['!'] = WORD | SELF,         ['#' ... '<'] = WORD | SELF,
    ['='] = SELF, ['>' ... '['] = WORD | SELF, [']' ... '~'] = WORD | SELF,
};

/* How many octets at the front are of the class. */
static size_t run_of(struct slice s, uint8_t class)
{
    size_t len = 0;
    while (len < s.len && (classes[s.data[len]] & class) != 0)
        len++;
    return len;
}

/* Not what could turn a terminal's text around (U+202E), nor what many readers take for the end of a line
 * (U+2028). */
static bool is_harmless(gunichar c)
{
    return c < 0x110000 && g_unichar_isprint(c) && c != 0x2028 && c != 0x2029;
}

/* What does not stand for itself, at the front of `s`; returns how many octets that is. */
static size_t put_escape(struct line *line, struct slice s)
{
    uint8_t byte = *s.data;
    if (byte >= 0x80) {
        gunichar c = g_utf8_get_char_validated((const char *)s.data, (gssize)s.len);
        if (is_harmless(c)) {
            size_t len = (size_t)g_unichar_to_utf8(c, NULL);
            put_unit(line, (const char *)s.data, len);
            return len;
        }
    }
    if (byte == '"' || byte == '\\') {
        put_unit(line, (const char[]){ '\\', (char)byte }, 2);
    } else {
        char escape[] = "\\u00XX";
        (void)pst_put_hex(escape + 4, byte, 2);
        put_unit(line, escape, sizeof escape - 1);
    }
    return 1;
}

/*
 * JSON's escapes, which logfmt readers know as well. Valid UTF-8 stays as it is, but for C1 controls and what
 * is not harmless; a byte that is none becomes \u00XX.
 */
static void put_escaped(struct line *line, struct slice s)
{
    while (s.len > 0) {
        size_t len = run_of(s, SELF);
        if (len > 0)
            put(line, (const char *)s.data, len);
        else
            len = put_escape(line, s);
        s = slice_skip(s, len);
    }
}

static void put_quoted(struct line *line, struct slice s)
{
    put_char(line, '"');
    put_escaped(line, s);
    put_char(line, '"');
}

static void put_key(struct line *line, enum pst_log_format format, const char *key)
{
    if (format == PST_LOG_JSON) {
        put_char(line, line->len == 0 ? '{' : ',');
        put_char(line, '"');
    } else if (line->len > 0) {
        put_char(line, ' ');
    }
    put(line, key, strlen(key));
    if (format == PST_LOG_JSON)
        put_char(line, '"');
    put_char(line, format == PST_LOG_JSON ? ':' : '=');
}

static void put_bytes(struct line *line, enum pst_log_format format, const char *key, struct slice value)
{
    size_t before = line->len;
    put_key(line, format, key);
    if (format == PST_LOG_LOGFMT && value.len > 0 && run_of(value, WORD) == value.len)
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
    if (field->type == PST_FIELD_BYTES) {
        put_bytes(line, format, field->key, field->bytes);
        return;
    }
    char digits[PST_DECIMAL_MAX];
    const char *end = field->type == PST_FIELD_SIGNED ? pst_put_i64(digits, field->number)
                                                      : pst_put_u64(digits, field->count);
    size_t len = (size_t)(end - digits);
    if (strlen(field->key) + len + 8 > sizeof line->text - LINE_TAIL - line->len)
        return;
    put_key(line, format, field->key);
    put(line, digits, len);
}

/* Numbers of a fixed length, each behind a character. */
static char *put_part(char *to, char before, int64_t value, unsigned digits)
{
    *to = before;
    return pst_put_decimal(to + 1, (uint64_t)value, digits);
}

void pst_timestamp(int64_t wall_us, char text[PST_TIMESTAMP_SIZE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    char *to = pst_put_decimal(text, (uint64_t)(tm.tm_year + 1900), 4);
    to = put_part(to, '-', tm.tm_mon + 1, 2);
    to = put_part(to, '-', tm.tm_mday, 2);
    to = put_part(to, 'T', tm.tm_hour, 2);
    to = put_part(to, ':', tm.tm_min, 2);
    to = put_part(to, ':', tm.tm_sec, 2);
    to = put_part(to, '.', wall_us % 1000000, 6);
    memcpy(to, "Z", sizeof "Z");
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
