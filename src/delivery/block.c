#include "delivery/block.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "delivery/delivery.h"

/*
 * A block that is larger than DELIVERY_SMALL is mapped, so that its memory goes back to the system with the
 * message. malloc would keep some of it: the most that were ever in use at once, in holes of its heap.
 */
static bool block_is_mapped(const struct block *b)
{
    return b->room > DELIVERY_SMALL;
}

void block_clear(struct block *b)
{
    if (block_is_mapped(b))
        (void)munmap(b->bytes, b->room); /* of what mmap gave, it cannot fail */
    else
        g_free(b->bytes);
    *b = (struct block){ .bytes = NULL };
}

static void block_map(struct block *b, size_t room)
{
    void *bytes = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pst_assert(bytes != MAP_FAILED); /* out of memory, which ends the process as it does in malloc */
    if (b->len > 0)
        memcpy(bytes, b->bytes, b->len);
    size_t len = b->len;
    block_clear(b);
    *b = (struct block){ .bytes = bytes, .len = len, .room = room };
}

uint8_t *block_reserve(struct block *b, size_t more)
{
    size_t need = b->len + more;
    if (need > DELIVERY_SMALL && need > b->room) {
        block_map(b, MAX(need, DELIVERY_BLOCK));
    } else if (need > b->room) {
        b->room = MIN(MAX(need, 2 * b->room), DELIVERY_SMALL);
        b->bytes = g_realloc(b->bytes, b->room);
    }
    return b->bytes + b->len;
}
