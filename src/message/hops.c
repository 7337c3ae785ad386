#include "message/hops.h"

#include <string.h>

struct hops_kept {
    char line[HOPS_LINE]; /* what a longer one has behind that is of no interest */
    char value[HOPS_LINE];
};

static struct hops_kept *kept_of(struct hops *h)
{
    if (h->kept == NULL)
        h->kept = g_new(struct hops_kept, 1);
    return h->kept;
}

static bool has_name(struct slice line, const char *name, size_t len)
{
    return line.len > len && g_ascii_strncasecmp((const char *)line.data, name, len) == 0 &&
           line.data[len] == ':';
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && is_blank(*text.data))
        text = slice_skip(text, 1);
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Comments nest, and are none in quotes (RFC 5322 3.2.2). One that is not closed leaves nothing. */
static struct slice without_comments(struct slice text, char kept[HOPS_LINE])
{
    size_t len = 0, depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        bool pair = c == '\\' && (quoted || depth > 0) && i + 1 < text.len;
        if (c == '(' && !quoted)
            depth++;
        if (depth == 0)
            kept[len++] = c;
        if (pair && depth == 0)
            kept[len++] = (char)text.data[i + 1];
        i += pair;
        if (c == '"' && depth == 0)
            quoted = !quoted;
        if (c == ')' && depth > 0)
            depth--;
    }
    return slice_of(kept, depth == 0 ? len : 0);
}

static struct slice without_brackets(struct slice text)
{
    bool has = text.len >= 2 && text.data[0] == '<' && text.data[text.len - 1] == '>';
    return has ? trimmed(slice_of(text.data + 1, text.len - 2)) : text;
}

static void take_delivered(struct hops *h)
{
    struct smtp_address address;
    char kept[HOPS_LINE];
    struct slice text = without_comments(slice_of(kept_of(h)->value, h->value.len), kept);
    if (smtp_address_parse(without_brackets(trimmed(text)), &address) < 0)
        return;
    if (h->delivered == NULL)
        h->delivered = g_array_new(FALSE, FALSE, sizeof(struct smtp_address));
    h->value.is_taken = h->delivered->len < HOPS_DELIVERED;
    if (h->value.is_taken)
        g_array_append_val(h->delivered, address);
}

/* The value, or one more line of it, with which it may be an address or none any more. In one that is too
 * long no address may be read: cut, it would be another's. */
static void take_value(struct hops *h, struct slice part)
{
    if (h->value.is_taken)
        g_array_set_size(h->delivered, h->delivered->len - 1);
    h->value.is_taken = false;
    if (part.len >= HOPS_LINE - h->value.len) {
        h->value.len = HOPS_LINE;
        return;
    }
    if (part.len > 0)
        memcpy(kept_of(h)->value + h->value.len, part.data, part.len);
    h->value.len += part.len;
    take_delivered(h);
}

static struct slice without_mark(struct slice line)
{
    static const char mark[] = "\xef\xbb\xbf";
    bool has = line.len >= 3 && memcmp(line.data, mark, 3) == 0;
    return has ? slice_skip(line, 3) : line;
}

/* Without its line end; of a longer one its first HOPS_LINE octets. */
static void take_line(struct hops *h, struct slice line)
{
    static const char received[] = "Received", delivered[] = "Delivered-To";
    if (!h->begun)
        line = without_mark(line);
    h->begun = true;
    if (line.len > 0 && is_blank(*line.data)) {
        if (h->value.is_open)
            take_value(h, line);
        return;
    }
    h->value.is_open = h->value.is_taken = false;
    h->value.len = 0;
    if (line.len == 0) {
        h->ended = true;
    } else if (has_name(line, received, sizeof received - 1)) {
        h->received++;
    } else if (has_name(line, delivered, sizeof delivered - 1)) {
        h->value.is_open = true;
        take_value(h, line.len < HOPS_LINE ? slice_skip(line, sizeof delivered) : line);
    }
}

static void keep(struct hops *h, struct slice part)
{
    size_t more = MIN(part.len, HOPS_LINE - h->len);
    memcpy(kept_of(h)->line + h->len, part.data, more);
    h->len += more;
    h->is_cut = true;
}

static struct slice without_cr(struct slice line)
{
    return line.len > 0 && line.data[line.len - 1] == '\r' ? slice_first(line, line.len - 1) : line;
}

void hops_look(struct hops *h, struct slice bytes)
{
    while (bytes.len > 0 && !h->ended) {
        const uint8_t *lf = memchr(bytes.data, '\n', bytes.len);
        if (lf == NULL) {
            keep(h, bytes);
            return;
        }
        struct slice line = slice_first(bytes, (size_t)(lf - bytes.data));
        bytes = slice_skip(bytes, line.len + 1);
        if (h->is_cut) {
            keep(h, line);
            line = slice_of(h->kept->line, h->len);
        }
        take_line(h, without_cr(slice_first(line, HOPS_LINE)));
        h->len = 0;
        h->is_cut = false;
    }
}

void hops_clear(struct hops *h)
{
    g_clear_pointer(&h->delivered, g_array_unref);
    g_clear_pointer(&h->kept, g_free);
    h->ended = true;
}
