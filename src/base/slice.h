/*
 * base/slice.h - bytes that somebody else owns: peer input, which may hold NUL and is never a C string.
 * A slice borrows; whoever hands one over says until when it is valid. Nothing here allocates or fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){ .data = data, .len = len };
}

static inline struct slice slice_str(const char *text)
{
    return slice_of(text, strlen(text));
}

/* All but the first `count` bytes (none, if there are not so many). */
static inline struct slice slice_skip(struct slice s, size_t count)
{
    if (count >= s.len)
        return slice_of(s.data != NULL ? s.data + s.len : NULL, 0); /* NULL + 0 is undefined in C */
    return slice_of(s.data + count, s.len - count);
}

static inline struct slice slice_first(struct slice s, size_t count)
{
    return slice_of(s.data, count < s.len ? count : s.len);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Begins with the `len` octets of `prefix` when the ASCII letters' case is ignored; other bytes are compared
 * as they are. */
bool slice_begins_nocase(struct slice s, const char *prefix, size_t len);

/* Inline, for the compiler knows how long a literal is, and compares what is the same as it is, which is
 * usual, without a call. */
static inline bool slice_has_prefix_nocase(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    if (s.len < len)
        return false;
    return len == 0 || memcmp(s.data, prefix, len) == 0 || slice_begins_nocase(s, prefix, len);
}

static inline bool slice_equal_nocase(struct slice a, const char *b)
{
    return a.len == strlen(b) && slice_has_prefix_nocase(a, b);
}

/* Index of the first `byte` at or after `from`, or s.len. */
size_t slice_find(struct slice s, size_t from, uint8_t byte);

/* The bytes as a C string, which ends at the first NUL; g_free() it. */
char *slice_dup(struct slice s);
