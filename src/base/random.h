/*
 * base/random.h - a small pseudo-random generator (xoshiro256**), for what must replay from a seed and for
 * names that only have to differ. Not for secrets. The state belongs to the caller; nothing fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pst_random {
    uint64_t state[4];
};

void pst_random_seed(struct pst_random *r, uint64_t seed);
uint64_t pst_random_u64(struct pst_random *r);

/* Evenly from 0 to limit - 1; limit is not 0. */
uint64_t pst_random_below(struct pst_random *r, uint64_t limit);

void pst_random_fill(struct pst_random *r, void *bytes, size_t len);
