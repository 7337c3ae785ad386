#include "base/slice.h"

#include <glib.h>

bool slice_has_prefix_nocase(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    if (s.len < len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (g_ascii_tolower((char)s.data[i]) != g_ascii_tolower(prefix[i]))
            return false;
    return true;
}

bool slice_equal_nocase(struct slice a, const char *b)
{
    return a.len == strlen(b) && slice_has_prefix_nocase(a, b);
}

size_t slice_find(struct slice s, size_t from, uint8_t byte)
{
    if (from >= s.len)
        return s.len;
    const uint8_t *at = memchr(s.data + from, byte, s.len - from);
    return at != NULL ? (size_t)(at - s.data) : s.len;
}

char *slice_dup(struct slice s)
{
    return g_strndup(s.len > 0 ? (const char *)s.data : "", s.len);
}
