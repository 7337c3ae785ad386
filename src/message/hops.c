#include "message/hops.h"

#include <string.h>

static bool has_name(struct slice line, const char *name, size_t len)
{
    return line.len > len && g_ascii_strncasecmp((const char *)line.data, name, len) == 0 &&
           line.data[len] == ':';
}

static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && (*text.data == ' ' || *text.data == '\t'))
        text = slice_skip(text, 1);
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static void take_delivered(struct hops *h, struct slice value)
{
    struct smtp_address address;
    if (smtp_address_parse(trimmed(value), &address) < 0)
        return;
    if (h->delivered == NULL)
        h->delivered = g_array_new(FALSE, FALSE, sizeof(struct smtp_address));
    if (h->delivered->len < HOPS_DELIVERED)
        g_array_append_val(h->delivered, address);
}

/* Without its line end; of a longer one its first HOPS_LINE octets, in which no address may be read: cut, it
 * would be another's. */
static void take_line(struct hops *h, struct slice line)
{
    static const char received[] = "Received", delivered[] = "Delivered-To";
    if (line.len == 0)
        h->ended = true;
    else if (has_name(line, received, sizeof received - 1))
        h->received++;
    else if (line.len < HOPS_LINE && has_name(line, delivered, sizeof delivered - 1))
        take_delivered(h, slice_skip(line, sizeof delivered));
}

static void keep(struct hops *h, struct slice part)
{
    size_t more = MIN(part.len, sizeof h->line - h->len);
    memcpy(h->line + h->len, part.data, more);
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
            line = slice_of(h->line, h->len);
        }
        take_line(h, without_cr(slice_first(line, HOPS_LINE)));
        h->len = 0;
        h->is_cut = false;
    }
}

void hops_clear(struct hops *h)
{
    g_clear_pointer(&h->delivered, g_array_unref);
    h->ended = true;
}
