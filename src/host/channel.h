/*
 * host/channel.h - the runner's end of the wire: frames in and out of a blocking socket, through buffers that
 * are used again and again.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "handlers/wire.h"

struct channel {
    int fd;
    uint8_t *in; /* what was read and is not taken yet lies from `begin` to `end` */
    size_t capacity, begin, end;
    GByteArray *out;
};

void channel_init(struct channel *c, int fd);

/*
 * The next frame: 1, or 0 at the end of the wire, or -errno; -EBADMSG: what came is none. A descriptor that
 * came with it is the caller's; -1: none did. The frame borrows from the channel until the next call.
 */
int channel_read(struct channel *c, struct wire_frame *ret_frame, int *ret_fd);

/* The frame that was read last stays as long as what this returns, to be g_freed. */
uint8_t *channel_keep(struct channel *c);

/* 0 or -errno; -EMSGSIZE: nothing was written. */
int channel_write(struct channel *c, const struct wire_frame *frame);
