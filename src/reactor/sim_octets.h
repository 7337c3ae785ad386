/*
 * reactor/sim_octets.h - octets that wait: appended behind, taken in front, in a time that does not depend on
 * how many wait. Whoever embeds them clears them.
 */
#pragma once

#include <glib.h>

#include "base/slice.h"

struct sim_octets {
    GByteArray *bytes;
    size_t taken; /* of them, in front */
};

static inline void sim_octets_init(struct sim_octets *o)
{
    o->bytes = g_byte_array_new();
    o->taken = 0;
}

static inline void sim_octets_clear(struct sim_octets *o)
{
    g_byte_array_unref(o->bytes);
}

static inline size_t sim_octets_len(const struct sim_octets *o)
{
    return o->bytes->len - o->taken;
}

static inline struct slice sim_octets_all(const struct sim_octets *o)
{
    return slice_skip(slice_of(o->bytes->data, o->bytes->len), o->taken);
}

static inline void sim_octets_append(struct sim_octets *o, struct slice bytes)
{
    g_byte_array_append(o->bytes, bytes.data, (guint)bytes.len);
}

/* The rest moves only once it is less than what was taken. */
static inline void sim_octets_take(struct sim_octets *o, size_t len)
{
    o->taken += len;
    if (o->taken <= sim_octets_len(o))
        return;
    g_byte_array_remove_range(o->bytes, 0, (guint)o->taken);
    o->taken = 0;
}

/* No more than `len` of them are left. */
static inline void sim_octets_cut(struct sim_octets *o, size_t len)
{
    g_byte_array_set_size(o->bytes, (guint)(o->taken + len));
}
