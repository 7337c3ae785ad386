#include "base/random.h"

#include <string.h>

#include "base/assert.h"

static uint64_t rotate_left(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

/* splitmix64 spreads a seed, even 0 or 1, over the whole state. */
void pst_random_seed(struct pst_random *r, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        r->state[i] = z ^ z >> 31;
    }
}

uint64_t pst_random_u64(struct pst_random *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t pst_random_below(struct pst_random *r, uint64_t limit)
{
    pst_assert(limit > 0);
    uint64_t x = pst_random_u64(r);
    if (x < limit) { /* and so, maybe, one of the first values, which would make some results likelier */
        uint64_t reject = (0 - limit) % limit;
        while (x < reject)
            x = pst_random_u64(r);
    }
    return x % limit;
}

void pst_random_fill(struct pst_random *r, void *bytes, size_t len)
{
    uint8_t *to = bytes;
    while (len > 0) {
        uint64_t x = pst_random_u64(r);
        size_t part = len < sizeof x ? len : sizeof x;
        memcpy(to, &x, part);
        to += part;
        len -= part;
    }
}
