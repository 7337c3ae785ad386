#include "fuzz.h"

#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"

unsigned fuzz_choose(struct slice *in, unsigned limit)
{
    unsigned choice = in->len > 0 ? in->data[0] : 0;
    *in = slice_skip(*in, 1);
    return choice % limit;
}

uint8_t *fuzz_copy(struct slice bytes)
{
    uint8_t *copy = malloc(bytes.len);
    pst_assert(copy != NULL || bytes.len == 0);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return copy;
}

struct fuzz_cuts fuzz_choose_cuts(struct slice *in)
{
    static const size_t longest[] = { SIZE_MAX, 1, 2, 3, 5, 9, 40, 300 };
    unsigned choice = fuzz_choose(in, 256);
    struct fuzz_cuts cuts = { .longest = choice == 0 ? 0 : longest[choice % G_N_ELEMENTS(longest)] };
    pst_random_seed(&cuts.random, choice);
    return cuts;
}

size_t fuzz_cut(struct fuzz_cuts *cuts, size_t left)
{
    if (cuts->longest == 0 || left == 0)
        return left; /* choice 0: all of it in one piece */
    return 1 + (size_t)pst_random_below(&cuts->random, MIN(cuts->longest, left));
}
