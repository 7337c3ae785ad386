#include "smtp/xtext.h"

#include <errno.h>
#include <glib.h>

/* RFC 3461 4 has upper-case digits only. */
static int hex_value(uint8_t byte)
{
    return g_ascii_islower((char)byte) ? -1 : g_ascii_xdigit_value((char)byte);
}

/* xchar: any printable octet but "+" and "=". */
static bool is_xchar(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && byte != '+' && byte != '=';
}

/* The octet that `in` begins with, and how many octets encode it; or -1. */
static int decode_one(struct slice in, size_t *ret_len)
{
    if (is_xchar(in.data[0])) {
        *ret_len = 1;
        return in.data[0];
    }
    if (in.data[0] != '+' || in.len < 3)
        return -1;
    int high = hex_value(in.data[1]), low = hex_value(in.data[2]);
    *ret_len = 3;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int smtp_xtext_decode(struct slice in, char *text, size_t size)
{
    size_t len = 0, taken;
    for (; in.len > 0; in = slice_skip(in, taken)) {
        int byte = decode_one(in, &taken);
        if (byte < 0)
            return -EBADMSG;
        if (len == size)
            return -ENOBUFS;
        text[len++] = (char)byte;
    }
    return (int)len;
}
