/*
 * base/auto.h - release by attribute: what ends in the function that began it.
 * GLib has g_autofree and g_autoptr(T) for what it defines; these are the same for our own types:
 *   auto_ptr(thing) p     calls thing_free(p) at the end of the scope, NULL included; type: struct thing *
 *   auto_val(thing) v     calls thing_clear(&v); type: struct thing
 *   auto_fd int fd        closes a descriptor that is not negative
 * A type joins with AUTO_PTR_DEFINE(thing) or AUTO_VAL_DEFINE(thing) behind its declarations.
 */
#pragma once

#include <unistd.h>

#define AUTO_PTR_DEFINE(name)                                                                                \
    static inline void auto_ptr_##name(struct name **at)                                                     \
    {                                                                                                        \
        name##_free(*at);                                                                                    \
    }                                                                                                        \
    struct name
#define AUTO_VAL_DEFINE(name)                                                                                \
    static inline void auto_val_##name(struct name *at)                                                      \
    {                                                                                                        \
        name##_clear(at);                                                                                    \
    }                                                                                                        \
    struct name

#define auto_ptr(name) __attribute__((cleanup(auto_ptr_##name))) struct name *
#define auto_val(name) __attribute__((cleanup(auto_val_##name))) struct name

static inline void auto_fd_close(const int *at)
{
    if (*at >= 0)
        (void)close(*at); /* nothing here is left to learn from it: durable files are synced, not closed, to
                             be safe */
}
#define auto_fd __attribute__((cleanup(auto_fd_close)))

/* The descriptor moves to the caller, and the scope's end closes nothing. */
static inline int steal_fd(int *at)
{
    int fd = *at;
    *at = -1;
    return fd;
}
