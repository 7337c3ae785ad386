/*
 * delivery/block.h - octets of a message as they will be stored, in memory. Grows with them, so that a small
 * message costs little. Ownership: a value, all zero at first; whoever has it clears it, and may go on with
 * it then. Failure: none; when memory is out, the process ends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct block {
    uint8_t *bytes;
    size_t len, room;
};

/* Room for so many more behind those that are there; `len` grows by as many as were written. */
uint8_t *block_reserve(struct block *b, size_t more);
void block_clear(struct block *b);

static inline struct slice block_slice(const struct block *b)
{
    return slice_of(b->bytes, b->len);
}
