/*
 * The structure guard: a message in pieces is judged like the same message as a whole, and one that exceeds
 * nothing also passes with wider limits. (Against the parser: tests/handlers/test_guard_parser.)
 */
#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "message/guard.h"

static const struct guard_limits choices[] = {
    { .parts = 1000,
      .depth = 100,
      .header_octets = 100000,
      .header_fields = 1000,
      .list_items = 1000,
      .between = 100000 },
    { .parts = 3,
      .depth = 100,
      .header_octets = 100000,
      .header_fields = 1000,
      .list_items = 1000,
      .between = 100000 },
    { .parts = 1000,
      .depth = 2,
      .header_octets = 100000,
      .header_fields = 1000,
      .list_items = 1000,
      .between = 100000 },
    { .parts = 1000,
      .depth = 100,
      .header_octets = 100,
      .header_fields = 3,
      .list_items = 1000,
      .between = 100000 },
    { .parts = 1000,
      .depth = 100,
      .header_octets = 100000,
      .header_fields = 1000,
      .list_items = 3,
      .between = 20 },
};

static struct guard *judge(const struct guard_limits *limits, bool is_verbatim, struct slice in,
                           struct fuzz_cuts *cuts)
{
    struct guard *g = guard_new(limits, is_verbatim);
    for (size_t at = 0, len; (len = fuzz_cut(cuts, in.len - at)) > 0; at += len) {
        uint8_t *piece = fuzz_copy(slice_of(in.data + at, len));
        guard_take(g, slice_of(piece, len));
        free(piece);
    }
    return g;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct fuzz_cuts cuts = fuzz_choose_cuts(&in), whole = { .longest = 0 };
    unsigned choice = fuzz_choose(&in, G_N_ELEMENTS(choices));
    bool is_verbatim = fuzz_choose(&in, 2) > 0;
    auto_ptr(guard) got = judge(&choices[choice], is_verbatim, in, &cuts);
    auto_ptr(guard) want = judge(&choices[choice], is_verbatim, in, &whole);
    auto_ptr(guard) wide = judge(&choices[0], is_verbatim, in, &whole);
    pst_assert((guard_exceeded(got) == NULL) == (guard_exceeded(want) == NULL));
    if (guard_exceeded(want) != NULL)
        return 0;
    pst_assert(guard_parts(got) == guard_parts(want) && guard_parts(wide) == guard_parts(want));
    pst_assert(guard_exceeded(wide) == NULL);
    return 0;
}
