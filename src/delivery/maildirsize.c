#include "delivery/maildirsize.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"

static struct slice skip_blanks(struct slice text)
{
    while (text.len > 0 && *text.data == ' ')
        text = slice_skip(text, 1);
    return text;
}

static size_t digits(struct slice text)
{
    size_t count = 0;
    while (count < text.len && g_ascii_isdigit((char)text.data[count]))
        count++;
    return count;
}

/* Takes a number that may have a sign, and blanks in front: Courier writes columns. */
static int take_number(struct slice *text, int64_t *ret_number)
{
    struct slice rest = skip_blanks(*text);
    bool negative = rest.len > 0 && *rest.data == '-';
    bool has_sign = negative || (rest.len > 0 && *rest.data == '+');
    rest = slice_skip(rest, has_sign);
    uint64_t number;
    size_t len = digits(rest);
    if (pst_parse_u64(slice_first(rest, len), INT64_MAX, &number) < 0)
        return -EBADMSG;
    *ret_number = negative ? -(int64_t)number : (int64_t)number;
    *text = slice_skip(rest, len);
    return 0;
}

static int add_change(struct slice line, int64_t *octets, int64_t *messages)
{
    int64_t more_octets, more_messages;
    int r = take_number(&line, &more_octets);
    if (r == 0)
        r = line.len > 0 && *line.data == ' ' ? take_number(&line, &more_messages) : -EBADMSG;
    if (r < 0 || skip_blanks(line).len > 0)
        return -EBADMSG;
    bool too_much = __builtin_add_overflow(*octets, more_octets, octets) ||
                    __builtin_add_overflow(*messages, more_messages, messages);
    return too_much ? -EBADMSG : 0;
}

/* Takes the next line, without its end. */
static int take_line(struct slice *text, struct slice *ret_line)
{
    size_t len = slice_find(*text, 0, '\n');
    if (len == text->len)
        return -EBADMSG;
    *ret_line = slice_first(*text, len);
    *text = slice_skip(*text, len + 1);
    return 0;
}

static uint64_t find_limit(struct slice line)
{
    uint64_t limit = 0;
    while (line.len > 0) {
        size_t len = slice_find(line, 0, ',');
        struct slice one = slice_first(line, len);
        if (one.len > 0 && one.data[one.len - 1] == 'S')
            (void)pst_parse_u64(slice_first(one, one.len - 1), UINT64_MAX, &limit); /* else it stays */
        line = slice_skip(line, len + 1);
    }
    return limit;
}

int maildirsize_parse(struct slice text, struct maildirsize *ret_maildirsize)
{
    struct slice line;
    if (take_line(&text, &line) < 0)
        return -EBADMSG;
    struct maildirsize m = { .limit = find_limit(line) };
    int64_t octets = 0, messages = 0;
    for (; text.len > 0; m.changes++)
        if (take_line(&text, &line) < 0 || add_change(line, &octets, &messages) < 0)
            return -EBADMSG;
    if (m.changes == 0 || octets < 0 || messages < 0)
        return -EBADMSG;
    m.octets = (uint64_t)octets;
    m.messages = (uint64_t)messages;
    *ret_maildirsize = m;
    return 0;
}

size_t maildirsize_format(const struct maildirsize *m, char text[MAILDIRSIZE_TEXT_SIZE])
{
    return (size_t)snprintf(text, MAILDIRSIZE_TEXT_SIZE, "%" PRIu64 "S\n%" PRIu64 " %" PRIu64 "\n", m->limit,
                            m->octets, m->messages);
}

size_t maildirsize_format_change(bool back, uint64_t octets, char text[MAILDIRSIZE_CHANGE_SIZE])
{
    const char *sign = back ? "-" : "";
    return (size_t)snprintf(text, MAILDIRSIZE_CHANGE_SIZE, "%s%" PRIu64 " %s1\n", sign, octets, sign);
}
