#include "base/slice.h"

#include <glib.h>

bool slice_begins_nocase(struct slice s, const char *prefix, size_t len)
{
    if (s.len < len)
        return false;
    /* Octets that are the same as they are, which is usual, cost no call; nor do those that never are. */
    for (size_t i = 0; i < len; i++) {
        unsigned differing = s.data[i] ^ (uint8_t)prefix[i];
        if (differing != 0 && (differing != 0x20 || !g_ascii_isalpha(prefix[i])))
            return false;
    }
    return true;
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
