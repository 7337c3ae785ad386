/*
 * host/content.h - where the octets of a message are: in memory, or in a part of a file. Nothing is owned.
 */
#pragma once

#include <gmime/gmime.h>

#include "base/slice.h"

struct content {
    struct slice octets; /* when fd is -1 */
    int fd;
    uint64_t offset, size;
};

/*
 * For reading; NULL: it cannot be read. `borrowed` is what the stream looks at when it is in memory: both
 * must stay as long as the stream.
 */
GMimeStream *content_stream(const struct content *c, GByteArray *borrowed);

/* Its first octets, `len` or all that there are: as they lie in memory, or read into `buffer`. 0 or -errno.
 */
int content_begin(const struct content *c, size_t len, GByteArray *buffer, struct slice *ret_begin);
