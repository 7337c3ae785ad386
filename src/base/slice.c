#include "base/slice.h"

#include <glib.h>

/* Octets that are the same as they are, which is usual, cost no call. */
static bool same_nocase(const uint8_t *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != (uint8_t)b[i] && g_ascii_tolower((char)a[i]) != g_ascii_tolower(b[i]))
            return false;
    return true;
}

bool slice_has_prefix_nocase(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && same_nocase(s.data, prefix, len);
}

bool slice_equal_nocase(struct slice a, const char *b)
{
    size_t len = strlen(b);
    return a.len == len && same_nocase(a.data, b, len);
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
