#include "bytes.h"

#include <errno.h>

#include "base/number.h"

enum {
    REPEAT_MAX = 16 * 1024 * 1024, /* octets that one repetition may make: more is a slip */
    QUOTE_MAX = 2000,
};

/* What stands behind the backslash at *at, which moves behind it. */
static int unescape(const char **at, GString *to)
{
    static const char letters[] = "rnt0\\\"", meant[] = "\r\n\t\0\\\"";
    char c = *(*at)++;
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        g_string_append_c(to, meant[letter - letters]);
        return 0;
    }
    if (c != 'x' || !g_ascii_isxdigit((*at)[0]) || !g_ascii_isxdigit((*at)[1]))
        return -EINVAL;
    g_string_append_c(to, (char)(g_ascii_xdigit_value((*at)[0]) << 4 | g_ascii_xdigit_value((*at)[1])));
    *at += 2;
    return 0;
}

/* The quoted string that begins at *at, which moves behind it. */
static int parse_quoted(const char **at, GString *to, const char **ret_problem)
{
    if (*(*at)++ != '"') {
        *ret_problem = "bytes are written in double quotes";
        return -EINVAL;
    }
    while (**at != '"') {
        if (**at == '\0') {
            *ret_problem = "a double quote is missing";
            return -EINVAL;
        }
        if (**at != '\\') {
            g_string_append_c(to, *(*at)++);
            continue;
        }
        (*at)++;
        if (unescape(at, to) < 0) {
            *ret_problem = "a backslash is followed by none of r n t 0 \\ \" xHH";
            return -EINVAL;
        }
    }
    (*at)++;
    return 0;
}

/* "*1000" behind a string, if it is there: the string from `start` on comes that many times. */
static int parse_repeat(const char **at, GString *to, gsize start, const char **ret_problem)
{
    if (**at != '*')
        return 0;
    size_t digits = strspn(*at + 1, "0123456789");
    uint64_t times = 0;
    gsize len = to->len - start;
    if (len == 0 || pst_parse_u64(slice_of(*at + 1, digits), REPEAT_MAX / len, &times) < 0 || times == 0) {
        *ret_problem = "no sensible number of times follows *";
        return -EINVAL;
    }
    *at += 1 + digits;
    g_autofree char *once = g_memdup2(to->str + start, len);
    for (uint64_t i = 1; i < times; i++)
        g_string_append_len(to, once, (gssize)len);
    return 0;
}

int bytes_parse(const char *text, GString *to, const char **ret_problem)
{
    do {
        gsize start = to->len;
        int r = parse_quoted(&text, to, ret_problem);
        if (r == 0)
            r = parse_repeat(&text, to, start, ret_problem);
        if (r < 0)
            return r;
        text += strspn(text, " ");
    } while (*text != '\0');
    return 0;
}

static void quote_byte(GString *to, uint8_t byte)
{
    static const char letters[] = "rnt\\\"", meant[] = "\r\n\t\\\"";
    const char *letter = byte != '\0' ? strchr(meant, byte) : NULL;
    if (letter != NULL)
        g_string_append_printf(to, "\\%c", letters[letter - meant]);
    else if (byte >= 0x20 && byte < 0x7f)
        g_string_append_c(to, (char)byte);
    else
        g_string_append_printf(to, "\\x%02x", byte);
}

char *bytes_quote(struct slice bytes)
{
    GString *to = g_string_new("\"");
    for (size_t i = 0; i < bytes.len && to->len < QUOTE_MAX; i++)
        quote_byte(to, bytes.data[i]);
    g_string_append_c(to, '"');
    if (to->len >= QUOTE_MAX)
        g_string_append_printf(to, "... (%zu octets)", bytes.len);
    return g_string_free(to, FALSE);
}
