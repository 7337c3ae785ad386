#include "content.h"

#include <glib.h>
#include <string.h>

size_t content_end(struct slice said, size_t *scanned)
{
    static const char end[] = "\r\n.\r\n";
    enum { END = sizeof end - 1 };
    if (said.len >= 3 && memcmp(said.data, end + 2, 3) == 0)
        return 3; /* the first CR LF was DATA's */
    size_t from = *scanned > END ? *scanned - END : 0;
    const uint8_t *at = memmem(said.data + from, said.len - from, end, END);
    *scanned = said.len;
    return at != NULL ? (size_t)(at - said.data) + END : 0;
}

/* A field's name of the usual kind, and its colon. */
static bool begins_with_field(struct slice content)
{
    size_t at = 0;
    while (at < content.len && (g_ascii_isalpha(content.data[at]) || content.data[at] == '-'))
        at++;
    return at > 0 && at < content.len && content.data[at] == ':';
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/*
 * Up to the first empty line, each line that continues no other is a field; if the first one is. Where it is
 * not, or the last octet is a CR that may begin an empty line, it is not sure.
 */
static void measure_header(struct slice content, const struct smtp_limits *limits, struct content_faults *ret)
{
    uint64_t fields = 0;
    size_t at = 0;
    if (content.len <= limits->header_fields && content.len <= limits->header_size)
        return;
    while (at < content.len && at <= limits->header_size && fields <= limits->header_fields) {
        const uint8_t *lf = memchr(content.data + at, '\n', content.len - at);
        size_t len = lf != NULL ? (size_t)(lf - content.data) - at : content.len - at;
        if (lf != NULL && (len == 0 || (len == 1 && content.data[at] == '\r')))
            return;
        fields += at == 0 || !is_blank(content.data[at]);
        at += len + (lf != NULL);
    }
    ret->has_many =
        fields > limits->header_fields && begins_with_field(content) && content.data[at - 1] != '\r';
    ret->may_exceed = fields > limits->header_fields || at > limits->header_size;
}

/* Lines end in LF; at the end of what a BDAT said, a CR may stand alone. */
static GBytes *to_lf(struct slice said)
{
    uint8_t *to = g_malloc(said.len + 1);
    size_t len = 0, at = 0;
    while (at < said.len) {
        const uint8_t *cr = memchr(said.data + at, '\r', said.len - at);
        size_t end = cr != NULL ? (size_t)(cr - said.data) : said.len;
        memcpy(to + len, said.data + at, end - at);
        len += end - at;
        at = end;
        if (cr == NULL)
            break;
        if (end + 1 == said.len || said.data[end + 1] != '\n')
            to[len++] = '\r';
        at++;
    }
    return g_bytes_new_take(to, len);
}

/* Line by line: without the dot in front, with LF. False at a CR or LF alone. *ret_octets as on the wire. */
static bool unstuff(struct slice lines, uint8_t *to, size_t *ret_len, uint64_t *ret_octets)
{
    size_t len = 0, count = 0;
    for (size_t at = 0; at < lines.len; count++) {
        const uint8_t *lf = memchr(lines.data + at, '\n', lines.len - at);
        size_t end = (size_t)(lf - lines.data); /* there is one: the end of the message has it */
        if (end == at || lines.data[end - 1] != '\r')
            return false;
        size_t from = at + (lines.data[at] == '.');
        if (memchr(lines.data + from, '\r', end - 1 - from) != NULL)
            return false;
        memcpy(to + len, lines.data + from, end - 1 - from);
        len += end - 1 - from;
        to[len++] = '\n';
        at = end + 1;
    }
    *ret_len = len;
    *ret_octets = len + count; /* each CR */
    return true;
}

GBytes *content_of_data(struct slice said, const struct smtp_limits *limits,
                        struct content_faults *ret_faults)
{
    struct slice lines = slice_first(said, said.len - 3);
    uint8_t *to = g_malloc(lines.len + 1);
    size_t len;
    uint64_t octets;
    if (!unstuff(lines, to, &len, &octets)) {
        g_free(to);
        *ret_faults =
            (struct content_faults){ .has_bare = true, .is_too_big = lines.len > limits->message_size };
        measure_header(lines, limits, ret_faults);
        return NULL;
    }
    *ret_faults = (struct content_faults){ .is_too_big = octets > limits->message_size };
    measure_header(lines, limits, ret_faults);
    return g_bytes_new_take(to, len);
}

struct content_faults content_faults_of_chunks(struct slice said, const struct smtp_limits *limits)
{
    struct content_faults faults = { .is_too_big = said.len > limits->message_size };
    measure_header(said, limits, &faults);
    return faults;
}

GBytes *content_of_chunks(struct slice said, bool verbatim, const struct smtp_limits *limits,
                          struct content_faults *ret_faults)
{
    *ret_faults = content_faults_of_chunks(said, limits);
    return verbatim ? g_bytes_new(said.data, said.len) : to_lf(said);
}
