#include "host/text.h"

#include <errno.h>
#include <gmime/gmime.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static void append_octet(GString *out, uint8_t octet)
{
    if (octet >= 0xa0)
        g_string_append_unichar(out, octet);
    else
        g_string_append(out, replacement);
}

void host_text_append(GString *out, struct slice octets)
{
    while (octets.len > 0) {
        const char *begin = (const char *)octets.data, *end = begin;
        /* A NUL ends what is valid, too. */
        bool all = g_utf8_validate_len(begin, octets.len, &end);
        g_string_append_len(out, begin, end - begin);
        if (all)
            return;
        append_octet(out, (uint8_t)*end);
        octets = slice_skip(octets, (size_t)(end - begin) + 1);
    }
}

/* UTF-8 is checked here, and octets above ASCII in what is called ASCII are what they are elsewhere. */
static bool is_utf8(const char *charset)
{
    static const char *const names[] = { "utf-8", "utf8", "us-ascii", "ascii" };
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_ascii_strcasecmp(charset, names[i]) == 0)
            return true;
    return false;
}

static iconv_t open_charset(const char *charset)
{
    /* iconv takes "" for the charset of the locale. */
    return charset[0] != '\0' ? g_mime_iconv_open("UTF-8", charset) : (iconv_t)-1;
}

bool host_text_knows(const char *charset)
{
    if (is_utf8(charset))
        return true;
    iconv_t converter = open_charset(charset);
    if (converter == (iconv_t)-1)
        return false;
    g_mime_iconv_close(converter);
    return true;
}

/* One call of iconv; errno, or 0 when all was read. */
static int convert_some(GString *out, iconv_t converter, char **in, size_t *left)
{
    char buffer[512], *at = buffer;
    size_t room = sizeof buffer;
    size_t result = g_mime_iconv(converter, in, left, &at, &room);
    int error = result == (size_t)-1 ? errno : 0;
    for (const char *p = buffer; p < at; p++)
        if (*p == '\0')
            g_string_append(out, replacement);
        else
            g_string_append_c(out, *p);
    return error;
}

void host_text_convert(GString *out, const char *charset, struct slice octets)
{
    iconv_t converter = is_utf8(charset) ? (iconv_t)-1 : open_charset(charset);
    if (converter == (iconv_t)-1) {
        host_text_append(out, octets);
        return;
    }
    char *in = (char *)octets.data; /* which iconv only reads */
    size_t left = octets.len;
    while (left > 0) {
        int error = convert_some(out, converter, &in, &left);
        if (error == 0 || error == E2BIG)
            continue;
        g_string_append(out, replacement);
        if (error != EILSEQ)
            break; /* EINVAL: the text ends within a character */
        in++;
        left--;
    }
    /* Some keep a character back, for one that combines with it could follow. */
    (void)convert_some(out, converter, NULL, NULL);
    g_mime_iconv_close(converter);
}

void host_text_unescape(GString *octets, char mark, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool escaped = text.data[i] == (uint8_t)mark && text.len - i > 2 &&
                       g_ascii_isxdigit(text.data[i + 1]) && g_ascii_isxdigit(text.data[i + 2]);
        if (!escaped) {
            g_string_append_c(octets, (char)text.data[i]);
            continue;
        }
        int octet =
            g_ascii_xdigit_value((char)text.data[i + 1]) << 4 | g_ascii_xdigit_value((char)text.data[i + 2]);
        g_string_append_c(octets, (char)octet);
        i += 2;
    }
}
