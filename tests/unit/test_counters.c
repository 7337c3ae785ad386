/* What workers count. */
#include "suite.h"
#include "worker/counters.h"

/* ---- stalls ---- */

static const struct row {
    const char *name;
    uint64_t away_ns;
    unsigned bucket;
} rows[] = {
    { "no time at all", 0, 0 },
    { "just the first bound", 100000, 0 },
    { "beyond the first bound", 100001, 1 },
    { "just 5 ms", 5000000, 5 },
    { "beyond 5 ms", 5000001, 6 },
    { "just the last bound", 1000000000, STALL_BOUNDS - 1 },
    { "beyond the last bound", 1000000001, STALL_BOUNDS },
    { "longer than anything", UINT64_MAX, STALL_BOUNDS },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct counters c = { 0 };
    counters_note_stall(&c, row->away_ns);
    for (unsigned i = 0; i < STALL_BUCKETS; i++)
        assert_int_equal(c.stalls[i], i == row->bucket);
    assert_int_equal(c.stalled_ns, row->away_ns);
    assert_int_equal(c.longest_stall_ns, row->away_ns);
}

static void stalls_add_up(void **state)
{
    (void)state;
    struct counters c = { 0 };
    counters_note_stall(&c, 300);
    counters_note_stall(&c, 7000);
    counters_note_stall(&c, 20);
    assert_int_equal(c.stalls[0], 3);
    assert_int_equal(c.stalled_ns, 7320);
    assert_int_equal(c.longest_stall_ns, 7000);
}

static void bounds_ascend(void **state)
{
    (void)state;
    for (unsigned i = 1; i < STALL_BOUNDS; i++)
        assert_true(stall_bounds_ns[i - 1] < stall_bounds_ns[i]);
}

/* ---- counters ---- */

static void counters_are_apart(void **state)
{
    (void)state;
    struct counters c = { 0 };
    for (unsigned i = 0; i < COUNTERS; i++)
        counters_add(&c, (enum counter)i, i);
    counters_add(&c, COUNTER_MESSAGES, 100);
    for (unsigned i = 0; i < COUNTERS; i++)
        assert_int_equal(c.value[i], i + (i == COUNTER_MESSAGES ? 100 : 0));
}

static void counters_are_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNTERS; i++)
        assert_non_null(counter_rows[i].name);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("counters");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "stalls add up", stalls_add_up, NULL);
    suite_add(s, "bounds of stalls ascend", bounds_ascend, NULL);
    suite_add(s, "counters are apart", counters_are_apart, NULL);
    suite_add(s, "each counter has a row", counters_are_rows, NULL);
    return suite_run(s, argc, argv);
}
