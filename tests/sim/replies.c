#include "replies.h"

#include <glib.h>

#include "sim.h"

static bool is_clean(struct slice line)
{
    for (size_t i = 0; i + 2 < line.len; i++)
        if (line.data[i] < ' ' || line.data[i] == 0x7f)
            return false;
    return true;
}

/* RFC 2034 4: behind 2xx, 4xx and 5xx, "2.", "4." or "5.", if there is an enhanced code. */
static void check_enhanced(const struct reply_line *r)
{
    struct slice t = r->text;
    if (t.len >= 5 && g_ascii_isdigit(t.data[0]) && t.data[1] == '.' && g_ascii_isdigit(t.data[2]))
        sim_check(t.data[0] == r->line.data[0], "a reply and its enhanced code disagree\n  heard: %.*s",
                  (int)r->line.len, (const char *)r->line.data);
}

static struct reply_line read_line(struct slice line)
{
    const uint8_t *c = line.data;
    bool is_reply = line.len >= 6 && line.len <= REPLIES_LINE && c[line.len - 2] == '\r' && is_clean(line) &&
                    c[0] >= '2' && c[0] <= '5' && g_ascii_isdigit(c[1]) && g_ascii_isdigit(c[2]) &&
                    (c[3] == ' ' || c[3] == '-'); /* the second digit may be a handler's: any */
    sim_check(is_reply, "what is heard is no reply\n  heard: %.*s", (int)line.len, (const char *)line.data);
    struct reply_line r = {
        .code = (c[0] - '0') * 100U + (c[1] - '0') * 10U + (c[2] - '0'),
        .is_last = c[3] == ' ',
        .line = line,
        .text = slice_of(c + 4, line.len - 6),
    };
    check_enhanced(&r);
    return r;
}

/* What came before, and the rest of the line. */
static struct slice join(struct replies *r, struct slice rest)
{
    sim_check(r->len + rest.len <= sizeof r->line, "a reply's line is too long\n  heard: %.*s", (int)r->len,
              r->line);
    memcpy(r->line + r->len, rest.data, rest.len);
    size_t len = r->len + rest.len;
    r->len = 0;
    return slice_of(r->line, len);
}

void replies_take(struct replies *r, struct slice octets,
                  void (*on_line)(void *owner, const struct reply_line *line), void *owner)
{
    while (octets.len > 0) {
        struct slice part = slice_first(octets, slice_find(octets, 0, '\n') + 1);
        octets = slice_skip(octets, part.len);
        bool is_whole = part.data[part.len - 1] == '\n';
        if (r->len > 0 || !is_whole)
            part = join(r, part);
        if (!is_whole) {
            r->len = part.len;
            return;
        }
        struct reply_line line = read_line(part);
        on_line(owner, &line);
    }
}

bool reply_begins(const struct reply_line *line, const char *prefix)
{
    return slice_has_prefix_nocase(line->line, prefix);
}
