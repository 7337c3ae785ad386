#include "smtp/header.h"

/* Where in a line of the section the next octet stands. */
enum place {
    FIRST_NAME,  /* in the first line, where a field's name may be */
    FIRST_BLANK, /* behind it: RFC 5322 4.5.8's obsolete syntax has blanks before the colon */
    LINE_START,
    BEHIND_CR, /* which began the line: it may be half of an empty one, and is not counted yet */
    IN_LINE,
};

enum { FIELD_NAME_MAX = 998 }; /* RFC 5322 2.1.1: no line may be longer, and so no field's name */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* RFC 5322 3.6.8: printable ASCII but the colon. */
static bool is_ftext(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && byte != ':';
}

static size_t end_section(struct smtp_header *h, size_t at)
{
    h->ended = true;
    return at;
}

static size_t take_name(struct smtp_header *h, uint8_t byte, size_t at)
{
    static const char from[] = "From";
    if (h->from == h->octets && h->from < strlen(from) && byte == (uint8_t)from[h->from])
        h->from++;
    return ++h->octets > FIELD_NAME_MAX ? end_section(h, at) : at + 1;
}

/* One octet of the first line, until it is known whether that is a field. */
static size_t judge_first_line(struct smtp_header *h, struct slice run, size_t at)
{
    const uint8_t byte = run.data[at];
    bool is_mailbox = is_blank(byte) && h->from == 4 && h->octets == 4;
    if (h->place == FIRST_NAME && is_ftext(byte))
        return take_name(h, byte, at);
    if (h->octets == 0 || !(byte == ':' || is_blank(byte)))
        return end_section(h, at);
    h->octets++;
    h->place = FIRST_BLANK;
    if (byte == ':' || is_mailbox) {
        h->fields++;
        h->place = IN_LINE;
    }
    return at + 1;
}

/* Its first octet is counted here. */
static size_t begin_line(struct smtp_header *h, bool continues, size_t at)
{
    h->octets++;
    h->fields += !continues;
    h->place = IN_LINE;
    return at;
}

static size_t skip_line(struct smtp_header *h, struct slice run, size_t at)
{
    const uint8_t *lf = memchr(run.data + at, '\n', run.len - at);
    size_t end = lf != NULL ? (size_t)(lf - run.data) + 1 : run.len;
    if (lf != NULL)
        h->place = LINE_START;
    h->octets += end - at;
    return end;
}

/* Moves over what it knows from `at` on, and returns the index behind it. An LF ends a line with or without a
 * CR before it, as it does for who reads the file. */
static size_t move(struct smtp_header *h, struct slice run, size_t at)
{
    const uint8_t byte = run.data[at];
    if (h->place == IN_LINE)
        return skip_line(h, run, at);
    if (h->place < LINE_START)
        return judge_first_line(h, run, at);
    if (byte == '\n')
        return end_section(h, at + 1);
    if (h->place == BEHIND_CR)
        return begin_line(h, false, at); /* with that CR, which was none of an empty line's */
    if (byte != '\r')
        return begin_line(h, is_blank(byte), at + 1);
    h->place = BEHIND_CR;
    return at + 1;
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
    for (size_t at = 0; at < run.len && !h->ended;) {
        at = move(h, run, at);
        if (h->octets > max_octets)
            return end_with(h, SMTP_HEADER_TOO_BIG);
        if (h->fields > max_fields)
            return end_with(h, SMTP_HEADER_TOO_MANY);
    }
    return SMTP_HEADER_WITHIN;
}
