/*
 * disk/disk_name.h - what both implementations of disk.h take for a name, so that none lets through what the
 * other refuses. It is the last gate before a path: above it, a closed grammar (delivery/router.h) decides
 * what may become a name at all.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* "." or "..", which every directory has and which no caller means. */
static inline bool disk_name_is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* 0, -EBADF for a `dir` that can be no descriptor (AT_FDCWD is not one here), or -EINVAL. */
static inline int disk_name_check(int dir, const char *name)
{
    if (dir < 0)
        return -EBADF;
    return *name == '\0' || strchr(name, '/') != NULL || disk_name_is_dots(name) ? -EINVAL : 0;
}
