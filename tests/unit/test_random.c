/* The generator: known answers, so that old seeds replay for ever, and the bounds that callers rely on. */
#include <string.h>

#include "base/random.h"
#include "suite.h"

/* xoshiro256** behind splitmix64, as their authors' reference programs print them. */
static void check_known_answers(void **state)
{
    (void)state;
    struct pst_random r = { .state = { 1, 2, 3, 4 } };
    static const uint64_t wanted[] = { 11520, 0, 1509978240, 1215971899390074240 };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_true(pst_random_u64(&r) == wanted[i]);
    pst_random_seed(&r, 1234567);
    assert_true(r.state[0] == UINT64_C(6457827717110365317));
    assert_true(r.state[1] == UINT64_C(3203168211198807973));
    assert_true(r.state[2] == UINT64_C(9817491932198370423));
    assert_true(r.state[3] == UINT64_C(4593380528125082431));
}

static void check_same_seed(void **state)
{
    (void)state;
    struct pst_random a, b, c;
    pst_random_seed(&a, 0);
    pst_random_seed(&b, 0);
    pst_random_seed(&c, 1);
    unsigned differ = 0;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t x = pst_random_u64(&a);
        assert_true(x == pst_random_u64(&b));
        differ += x != pst_random_u64(&c);
    }
    assert_true(differ >= 99);
}

static void check_below(void **state)
{
    (void)state;
    struct pst_random r;
    pst_random_seed(&r, 7);
    unsigned seen[7] = { 0 };
    for (unsigned i = 0; i < 7000; i++) {
        uint64_t x = pst_random_below(&r, 7);
        assert_true(x < 7);
        seen[x]++;
    }
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200); /* one seed, so that it is always the same count */
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(pst_random_below(&r, 1), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_true(pst_random_below(&r, UINT64_C(1) << 63) < UINT64_C(1) << 63);
}

static void check_fill(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 20; len++) {
        struct pst_random r, same;
        pst_random_seed(&r, 3);
        same = r;
        unsigned char bytes[24];
        memset(bytes, 0xa5, sizeof bytes);
        pst_random_fill(&r, bytes, len);
        for (size_t i = len; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0xa5);
        for (size_t i = 0; i < len; i += 8) {
            uint64_t x = pst_random_u64(&same);
            assert_memory_equal(bytes + i, &x, len - i < 8 ? len - i : 8);
        }
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("random");
    suite_add(s, "known answers", check_known_answers, NULL);
    suite_add(s, "a seed replays", check_same_seed, NULL);
    suite_add(s, "below a limit, and evenly", check_below, NULL);
    suite_add(s, "fill writes so many bytes and no more", check_fill, NULL);
    return suite_run(s, argc, argv);
}
