/* How long answers to failures wait, and that what is known of clients is bounded. */
#include "suite.h"

#include <glib.h>

#include "auth/failures.h"

enum { DELAY = 100, START = 5000 };

static const struct pair {
    const char *name, *first, *second;
    bool same;
} pairs[] = {
    { "the same IPv4 address", "192.0.2.1", "192.0.2.1", true },
    { "IPv4 neighbours", "192.0.2.1", "192.0.2.2", false },
    { "IPv4, and the same within IPv6", "192.0.2.1", "::ffff:192.0.2.1", true },
    { "IPv4 neighbours within IPv6", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
    { "the same IPv6 network", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true },
    { "IPv6 networks side by side", "2001:db8:0:1::1", "2001:db8:0:2::1", false },
    { "the same address, written otherwise", "2001:db8::1", "2001:0DB8:0:0:0:0:0:1", true },
};

static void test_pair(void **state)
{
    const struct pair *row = *state;
    auto_ptr(failures) f = failures_new();
    assert_int_equal(failures_add(f, row->first, DELAY, START), DELAY);
    assert_int_equal(failures_add(f, row->second, DELAY, START), row->same ? 2 * DELAY : DELAY);
    assert_int_equal(failures_count(f), row->same ? 1 : 2);
}

static void test_doubling(void **state)
{
    (void)state;
    static const msec_t want[] = { 1, 2, 4, 8, 8, 8, 8, 8 };
    auto_ptr(failures) f = failures_new();
    for (size_t i = 0; i < G_N_ELEMENTS(want); i++)
        assert_int_equal(failures_add(f, "192.0.2.1", DELAY, START + (msec_t)i), want[i] * DELAY);
}

static void test_forgotten(void **state)
{
    (void)state;
    auto_ptr(failures) f = failures_new();
    msec_t now = START;
    (void)failures_add(f, "192.0.2.1", DELAY, now);
    (void)failures_add(f, "192.0.2.2", DELAY, now + 1000);
    now += FAILURES_FORGOTTEN_MS - 1;
    assert_int_equal(failures_add(f, "192.0.2.1", DELAY, now), 2 * DELAY); /* which counts anew from here */
    now += 1001;
    assert_int_equal(failures_add(f, "192.0.2.2", DELAY, now), DELAY);
    assert_int_equal(failures_count(f), 2);
    now += FAILURES_FORGOTTEN_MS;
    assert_int_equal(failures_add(f, "192.0.2.3", DELAY, now), DELAY);
    assert_int_equal(failures_count(f), 1);
}

static void test_bounded(void **state)
{
    (void)state;
    auto_ptr(failures) f = failures_new();
    for (unsigned i = 0; i < FAILURES_CLIENTS + 10; i++) {
        g_autofree char *client = g_strdup_printf("10.0.%u.%u", i / 256, i % 256);
        assert_int_equal(failures_add(f, client, DELAY, START + i), DELAY);
        assert_int_equal(failures_add(f, "192.0.2.1", DELAY, START + i),
                         DELAY << MIN(i, FAILURES_DOUBLINGS)); /* who goes on is not forgotten */
        assert_in_range(failures_count(f), 1, FAILURES_CLIENTS);
    }
    assert_int_equal(failures_count(f), FAILURES_CLIENTS);
    assert_int_equal(failures_add(f, "10.0.0.0", DELAY, START + FAILURES_CLIENTS + 20), DELAY);
    g_autofree char *last = g_strdup_printf("10.0.%u.%u", FAILURES_CLIENTS / 256, FAILURES_CLIENTS % 256);
    assert_int_equal(failures_add(f, last, DELAY, START + FAILURES_CLIENTS + 20), 2 * DELAY);
}

static void test_not_counted(void **state)
{
    (void)state;
    static const char *const clients[] = { NULL, "", "unix", "192.0.2.1:25", "localhost" };
    auto_ptr(failures) f = failures_new();
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(clients); i++)
        assert_int_equal(failures_add(f, clients[i / 2], DELAY, START), DELAY);
    assert_int_equal(failures_count(f), 0);
    failures_free(NULL);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_failures");
    suite_add_rows(s, pairs, test_pair);
    suite_add(s, "twice as long each time, up to eight times", test_doubling, NULL);
    suite_add(s, "forgotten after ten minutes", test_forgotten, NULL);
    suite_add(s, "no more than so many clients", test_bounded, NULL);
    suite_add(s, "who has no address is not counted", test_not_counted, NULL);
    return suite_run(s, argc, argv);
}
