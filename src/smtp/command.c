#include "smtp/command.h"

#include <errno.h>
#include <glib.h>

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice skip_blanks(struct slice s)
{
    size_t count = 0;
    while (count < s.len && is_blank(s.data[count]))
        count++;
    return slice_skip(s, count);
}

/* RFC 5321 4.1.1: trailing white space SHOULD be tolerated. */
static struct slice trim(struct slice s)
{
    s = skip_blanks(s);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct smtp_command smtp_command_split(struct slice line)
{
    struct slice trimmed = trim(line);
    size_t end = slice_find(trimmed, 0, ' ');
    return (struct smtp_command){ .line = line,
                                  .verb = slice_first(trimmed, end),
                                  .argument = trim(slice_skip(trimmed, end)) };
}

bool smtp_line_is_foreign(struct slice line)
{
    static const char *const beginnings[] = {
        "GET ",   "POST ",       "PUT ",  "HEAD ", "DELETE ", "CONNECT ",   "OPTIONS ",   "TRACE ",
        "PATCH ", "PRI * HTTP/", "Host:", "SSH-",  "PROXY ",  "QUIT\n\x20", "QUIT\n\x21",
    };
    enum { TLS_HANDSHAKE = 0x16, TLS_MAJOR = 0x03 };
    if (line.len >= 2 && line.data[0] == TLS_HANDSHAKE && line.data[1] == TLS_MAJOR)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++)
        if (slice_has_prefix_nocase(line, beginnings[i]))
            return true;
    return false;
}

/*
 * Whether one of eight octets is below ' ' or is DEL: taking that from an octet borrows into its highest bit,
 * which it must not have had before. What else is borrowed comes from an octet that was found already.
 */
static bool has_control(const uint8_t octets[8])
{
    const uint64_t each = 0x0101010101010101;
    uint64_t word;
    memcpy(&word, octets, sizeof word);
    uint64_t no_del = word ^ each * 0x7f;
    return ((((word - each * ' ') & ~word) | ((no_del - each) & ~no_del)) & each * 0x80) != 0;
}

bool smtp_line_is_clean(struct slice line)
{
    size_t at = 0;
    while (line.len - at >= 8 && !has_control(line.data + at))
        at += 8;
    for (; at < line.len; at++)
        if (g_ascii_iscntrl(line.data[at]) && line.data[at] != '\t')
            return false;
    return true;
}

bool smtp_base64_valid(struct slice text)
{
    static const bool is_digit[256] = {
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['+'] = true, ['/'] = true
    };
    size_t digits = 0;
    while (digits < text.len && is_digit[text.data[digits]])
        digits++;
    struct slice pad = slice_skip(text, digits);
    return text.len % 4 == 0 &&
           (pad.len == 0 || slice_equal_nocase(pad, "=") || slice_equal_nocase(pad, "=="));
}

bool smtp_path_argument(struct slice argument, const char *keyword, struct slice *ret_path)
{
    if (!slice_has_prefix_nocase(argument, keyword))
        return false;
    /* Old clients put a blank behind the colon; the grammar has none there, and nothing can be mistaken for
     * it. */
    *ret_path = trim(slice_skip(argument, strlen(keyword)));
    return true;
}

static const bool is_keyword[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true
};

/* Printable, but no "=", and the octets of the UTF-8 that RFC 6531 3.3 adds. */
static const bool is_value[256] = { ['!' ... '<'] = true, ['>' ... '~'] = true, [0x80 ... 0xff] = true };

/* The octets of the esmtp-value that `s` begins with. 0 when there is none, or its UTF-8 is malformed. */
static size_t value_len(struct slice s)
{
    size_t len = 0;
    uint8_t all = 0;
    for (; len < s.len && is_value[s.data[len]]; len++)
        all |= s.data[len];
    return all < 0x80 || g_utf8_validate((const char *)s.data, (gssize)len, NULL) ? len : 0;
}

int smtp_parameter_next(struct slice *rest, struct smtp_parameter *ret_parameter)
{
    struct slice s = skip_blanks(*rest);
    if (s.len == 0)
        return 0;
    if (s.data == rest->data || s.data[0] == '-')
        return -EBADMSG; /* no blank before it: something hangs on the path */
    size_t end = 0;
    while (end < s.len && is_keyword[s.data[end]])
        end++;
    struct smtp_parameter parameter = { .keyword = slice_first(s, end) };
    s = slice_skip(s, end);
    if (s.len > 0 && s.data[0] == '=') {
        s = slice_skip(s, 1);
        parameter.value = slice_first(s, value_len(s));
        if (parameter.value.len == 0)
            return -EBADMSG;
        s = slice_skip(s, parameter.value.len);
    }
    if (parameter.keyword.len == 0 || (s.len > 0 && !is_blank(s.data[0])))
        return -EBADMSG;
    *rest = s;
    *ret_parameter = parameter;
    return 1;
}
