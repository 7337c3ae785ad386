#include "config/ini.h"

#include <glib.h>
#include <ini.h>

struct ini {
    struct origin at;
    struct diag *problems;
    const struct ini_events *events;
    void *owner;
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool is_comment(struct slice s)
{
    return s.len > 0 && (s.data[0] == ';' || s.data[0] == '#');
}

/* Nothing that an editor would hide from the operator, and nothing that ends a C string. */
static bool check_bytes(struct ini *ini, struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f) {
            diag_add(ini->problems, ini->at, "control character 0x%02x in column %zu; expected plain text",
                     line.data[i], i + 1);
            return false;
        }
    }
    const char *end;
    if (!g_utf8_validate_len((const char *)line.data, line.len, &end)) {
        diag_add(ini->problems, ini->at, "byte 0x%02x in column %zu is not UTF-8", (uint8_t)*end,
                 (size_t)(end - (const char *)line.data) + 1);
        return false;
    }
    return true;
}

static bool check_length(struct ini *ini, struct slice line)
{
    if (line.len <= INI_LINE_MAX)
        return true;
    diag_add(ini->problems, ini->at, "the line is %zu octets long; expected at most %d", line.len,
             INI_LINE_MAX);
    return false;
}

static void read_section(struct ini *ini, struct slice line)
{
    size_t close = slice_find(line, 0, ']');
    struct slice rest = trimmed(slice_skip(line, close + 1));
    g_autofree char *name = slice_dup(trimmed(slice_of(line.data + 1, close - 1)));
    bool good = close < line.len && *name != '\0' && (rest.len == 0 || rest.data[0] == ';');
    if (!good)
        diag_add(ini->problems, ini->at,
                 "malformed section header; expected [section] or [section NAME] and nothing behind it");
    ini->events->on_section(ini->owner, ini->at.line, good ? name : NULL);
}

static int on_inih_key(void *user, const char *section, const char *key, const char *value)
{
    (void)section; /* always "": inih never sees a header */
    struct ini *ini = user;
    ini->events->on_key(ini->owner, ini->at.line, key, value);
    return 1;
}

static bool is_key(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!g_ascii_isalnum((char)s.data[i]) && strchr("-_.", s.data[i]) == NULL)
            return false;
    return s.len > 0;
}

static void read_key(struct ini *ini, struct slice line)
{
    size_t equals = slice_find(line, 0, '=');
    if (equals == line.len) {
        diag_add(ini->problems, ini->at, "no \"=\" in the line; expected key = value");
        return;
    }
    struct slice key = trimmed(slice_first(line, equals));
    if (!is_key(key)) {
        diag_add(ini->problems, ini->at,
                 "\"%.*s\" cannot be a key; expected key = value, the key of letters, digits and \"-\"",
                 (int)key.len, (const char *)key.data);
        return;
    }
    g_autofree char *text = slice_dup(line);
    if (ini_parse_string(text, on_inih_key, ini) != 0)
        diag_add(ini->problems, ini->at, "the line is not understood; expected key = value");
}

static void read_line(struct ini *ini, struct slice line)
{
    struct slice content = trimmed(line);
    if (content.len == 0 || is_comment(content))
        return;
    bool is_section = content.data[0] == '[';
    if (!check_bytes(ini, line) || !check_length(ini, line)) {
        if (is_section)
            ini->events->on_section(ini->owner, ini->at.line, NULL);
    } else if (is_blank(line.data[0])) {
        diag_add(ini->problems, ini->at,
                 "the line begins with a blank; expected a key or a [section] in the first column "
                 "(a value cannot go on in a second line)");
        if (is_section)
            ini->events->on_section(ini->owner, ini->at.line, NULL);
    } else if (is_section) {
        read_section(ini, line);
    } else {
        read_key(ini, line);
    }
}

void ini_read(const char *label, struct slice text, struct diag *problems, const struct ini_events *events,
              void *owner)
{
    struct ini ini = { .at = { label, 0 }, .problems = problems, .events = events, .owner = owner };
    static const uint8_t byte_order_mark[] = { 0xef, 0xbb, 0xbf };
    if (slice_equal(slice_first(text, sizeof byte_order_mark),
                    slice_of(byte_order_mark, sizeof byte_order_mark)))
        text = slice_skip(text, sizeof byte_order_mark);
    while (text.len > 0) {
        size_t end = slice_find(text, 0, '\n');
        struct slice line = slice_first(text, end);
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        ini.at.line++;
        read_line(&ini, line);
        text = slice_skip(text, end + 1);
    }
}
