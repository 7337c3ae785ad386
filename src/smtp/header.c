#include "smtp/header.h"

/* Where in a line of the section the next octet stands. */
enum place {
    LINE_START,
    IN_NAME,     /* behind the first octet of a field name */
    BEHIND_NAME, /* between it and the colon */
    IN_TEXT,     /* behind the colon, or in a continuation */
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* RFC 5322 3.6.8: printable ASCII but the colon. A table, because names are all that is looked at octet by
 * octet. */
static const bool is_ftext[256] = { ['!' ... '9'] = true, [';' ... '~'] = true };

/*
 * Each of these moves over what it knows from `at` on, and returns the index behind it. What no field and no
 * continuation has there ends the section: CR and LF too, of which it takes one to know that.
 */

static size_t end_section(struct smtp_header *h, size_t at)
{
    h->ended = true;
    return at + 1;
}

static size_t end_name(struct smtp_header *h, struct slice run, size_t at)
{
    if (run.data[at] != ':')
        return end_section(h, at);
    h->fields++;
    h->place = IN_TEXT;
    return at + 1;
}

static size_t skip_name(struct smtp_header *h, struct slice run, size_t at)
{
    while (at < run.len && is_ftext[run.data[at]])
        at++;
    if (at < run.len && !is_blank(run.data[at]))
        return end_name(h, run, at);
    /* RFC 5322 4.5.8: obsolete syntax has blanks before the colon. */
    h->place = at < run.len ? BEHIND_NAME : IN_NAME;
    return at;
}

static size_t start_line(struct smtp_header *h, struct slice run, size_t at)
{
    if (is_ftext[run.data[at]])
        return skip_name(h, run, at);
    if (!is_blank(run.data[at]) || h->fields == 0)
        return end_section(h, at);
    h->place = IN_TEXT;
    return at + 1;
}

static size_t skip_blanks(struct smtp_header *h, struct slice run, size_t at)
{
    while (at < run.len && is_blank(run.data[at]))
        at++;
    return at < run.len ? end_name(h, run, at) : at;
}

static size_t skip_text(struct smtp_header *h, struct slice run, size_t at)
{
    const uint8_t *lf = memchr(run.data + at, '\n', run.len - at);
    if (lf == NULL)
        return run.len;
    h->place = LINE_START;
    return (size_t)(lf - run.data) + 1;
}

static size_t move(struct smtp_header *h, struct slice run, size_t at)
{
    switch ((enum place)h->place) {
    case LINE_START:
        return start_line(h, run, at);
    case IN_NAME:
        return skip_name(h, run, at);
    case BEHIND_NAME:
        return skip_blanks(h, run, at);
    case IN_TEXT:
        return skip_text(h, run, at);
    }
    return run.len;
}

/*
 * The usual lines, for speed alone: fields and continuations of which all lies in `s`, and that do not make
 * too many fields. How many octets they have: 0 when the first line there is another.
 */
static size_t skip_lines(struct smtp_header *h, struct slice s, uint64_t max_fields)
{
    const uint8_t *line = s.data, *end = slice_skip(s, s.len).data, *lf;
    uint64_t fields = h->fields;
    while (line < end && (lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        const uint8_t *colon = line;
        while (is_ftext[*colon]) /* the LF is none */
            colon++;
        bool is_field = *colon == ':' && colon > line;
        if (is_field ? fields >= max_fields : !is_blank(*line) || fields == 0)
            break;
        fields += is_field;
        line = lf + 1;
    }
    h->fields = fields;
    return (size_t)(line - s.data);
}

static enum smtp_header_verdict end_with(struct smtp_header *h, enum smtp_header_verdict verdict)
{
    h->ended = true;
    h->verdict = (uint8_t)verdict;
    return verdict;
}

enum smtp_header_verdict smtp_header_look(struct smtp_header *h, struct slice run, uint64_t max_octets,
                                          uint64_t max_fields)
{
    uint64_t room = max_octets > h->octets ? max_octets - h->octets : 0;
    struct slice within = room < run.len ? slice_first(run, (size_t)room) : run;
    size_t at = 0;
    while (at < run.len && !h->ended && at <= room && h->fields <= max_fields) {
        size_t len = h->place == LINE_START ? skip_lines(h, slice_skip(within, at), max_fields) : 0;
        at = len > 0 ? at + len : move(h, run, at);
    }
    h->octets += at;
    if (at > room)
        return end_with(h, SMTP_HEADER_TOO_BIG);
    if (h->fields > max_fields)
        return end_with(h, SMTP_HEADER_TOO_MANY);
    return SMTP_HEADER_WITHIN;
}
