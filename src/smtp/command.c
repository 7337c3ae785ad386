#include "smtp/command.h"

#include <errno.h>
#include <glib.h>

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* RFC 5321 4.1.1: trailing white space SHOULD be tolerated. */
static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct smtp_command smtp_command_split(struct slice line)
{
    line = trim(line);
    size_t end = slice_find(line, 0, ' ');
    return (struct smtp_command){ .verb = slice_first(line, end), .argument = trim(slice_skip(line, end)) };
}

size_t smtp_line_max(struct slice line)
{
    return slice_has_prefix_nocase(line, "MAIL") ? SMTP_MAIL_LINE_MAX : SMTP_LINE_MAX;
}

bool smtp_line_is_clean(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f)
            return false;
    return true;
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

static bool is_keyword(uint8_t byte)
{
    return byte < 0x80 && (g_ascii_isalnum((char)byte) || byte == '-');
}

/* esmtp-value, with the octets of UTF-8 that RFC 6531 3.3 adds */
static bool is_value(uint8_t byte)
{
    return byte > ' ' && byte != 0x7f && byte != '=';
}

int smtp_parameter_next(struct slice *rest, struct smtp_parameter *ret_parameter)
{
    struct slice s = trim(*rest);
    if (s.len == 0)
        return 0;
    if (s.data == rest->data || s.data[0] == '-')
        return -EBADMSG; /* no blank before it: something hangs on the path */
    size_t end = 0;
    while (end < s.len && is_keyword(s.data[end]))
        end++;
    struct smtp_parameter parameter = { .keyword = slice_first(s, end) };
    s = slice_skip(s, end);
    if (s.len > 0 && s.data[0] == '=') {
        size_t len = 1;
        while (len < s.len && is_value(s.data[len]))
            len++;
        if (len == 1 || !g_utf8_validate((const char *)s.data + 1, (gssize)(len - 1), NULL))
            return -EBADMSG;
        parameter.value = slice_of(s.data + 1, len - 1);
        s = slice_skip(s, len);
    }
    if (parameter.keyword.len == 0 || (s.len > 0 && !is_blank(s.data[0])))
        return -EBADMSG;
    *rest = s;
    *ret_parameter = parameter;
    return 1;
}
