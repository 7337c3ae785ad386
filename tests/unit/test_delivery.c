/* Deliveries to their end, on both twins of the disk and the reactor: this source is linked twice. */
#include "suite.h"

#include <errno.h>

#include "delivery_rig.h"

enum { MIB = 1024 * 1024 };

static const struct row {
    const char *name;
    struct rig_plan plan;
    int results[4]; /* of the first recipients; the others have 0 */
} rows[] = {
    /* sizes: up to DELIVERY_SMALL they stay in memory */
    { "an empty message", { .size = 0, .chunk = 1, .count = 1 } },
    { "one octet", { .size = 1, .chunk = 1, .count = 1 } },
    { "a small message, octet by octet", { .size = 4096, .chunk = 1, .count = 1 } },
    { "a small message at once", { .size = 4096, .chunk = MIB, .count = 1 } },
    { "one octet less than small", { .size = DELIVERY_SMALL - 1, .chunk = 1000, .count = 1 } },
    { "just small", { .size = DELIVERY_SMALL, .chunk = 1000, .count = 1 } },
    { "one octet more than small", { .size = DELIVERY_SMALL + 1, .chunk = 1000, .count = 1 } },
    { "more than small at once", { .size = DELIVERY_SMALL + 1, .chunk = MIB, .count = 1 } },
    { "a block", { .size = DELIVERY_BLOCK, .chunk = 64 * 1024, .count = 1 } },
    { "a block and an octet", { .size = DELIVERY_BLOCK + 1, .chunk = 64 * 1024, .count = 1 } },
    { "many blocks in small runs", { .size = MIB + 7, .chunk = 333, .count = 1 } },
    { "many blocks in large runs", { .size = MIB + 7, .chunk = 64 * 1024, .count = 1 } },
    { "many blocks at once", { .size = MIB + 7, .chunk = 4 * MIB, .count = 1 } },
    { "a last CR is not lost", { .size = 100, .chunk = 1, .count = 1, .ends_in_cr = true } },
    { "a last CR makes it more than small",
      { .size = DELIVERY_SMALL + 1, .chunk = 1000, .count = 1, .ends_in_cr = true } },
    { "a last CR after many blocks", { .size = MIB, .chunk = 64 * 1024, .count = 1, .ends_in_cr = true } },
    /* recipients */
    { "small, for three", { .size = 4096, .chunk = 1000, .count = 3 } },
    { "small, for three, each by itself", { .size = 4096, .chunk = 1000, .count = 3, .each = true } },
    { "large, for three", { .size = MIB, .chunk = 60000, .count = 3 } },
    { "large, for three, each by itself", { .size = MIB, .chunk = 60000, .count = 3, .each = true } },
    { "small, for more than may keep their descriptors", { .size = 4096, .chunk = 1000, .count = 20 } },
    { "large, for more than may keep their descriptors", { .size = MIB / 4, .chunk = 60000, .count = 20 } },
    { "small, without syncs", { .size = 4096, .chunk = 1000, .count = 3, .sync = DELIVERY_SYNC_NONE } },
    { "large, without syncs", { .size = MIB, .chunk = 60000, .count = 3, .sync = DELIVERY_SYNC_NONE } },
    { "small, one recipient twice", { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "a", "b", "a" } } },
    { "large, one recipient twice",
      { .size = MIB / 4, .chunk = 60000, .count = 2, .mailboxes = { "a", "a" } } },
    { "into folders", { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "a", "b", "a/.f" } } },
    { "large, into folders",
      { .size = MIB / 4, .chunk = 60000, .count = 3, .mailboxes = { "a/.f", "b", "a/.g" } } },
    { "small, into maildirs that are made",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "missing", "half", "missing" } } },
    { "large, into maildirs that are made",
      { .size = MIB / 4, .chunk = 60000, .count = 3, .mailboxes = { "missing", "half", "missing" } } },
    /* a maildir that cannot be written to */
    { "all or none: small, the first is broken",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "broken" } },
      { -ENODEV, -ENODEV, -ENODEV } },
    { "all or none: small, the last is broken",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "a", "b", "broken" } },
      { -ENODEV, -ENODEV, -ENODEV } },
    { "all or none: large, the first is broken",
      { .size = MIB, .chunk = 60000, .count = 3, .mailboxes = { "broken" } },
      { -ENODEV, -ENODEV, -ENODEV } },
    { "all or none: large, the last is broken",
      { .size = MIB, .chunk = 60000, .count = 3, .mailboxes = { "a", "b", "broken" } },
      { -ENODEV, -ENODEV, -ENODEV } },
    { "each: small, the first is broken",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "broken" }, .each = true },
      { -ENODEV, 0, 0 } },
    { "each: small, the second is broken",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "a", "broken" }, .each = true },
      { 0, -ENODEV, 0 } },
    { "each: large, the first two are broken, the third takes the body",
      { .size = MIB, .chunk = 60000, .count = 4, .mailboxes = { "broken", "broken" }, .each = true },
      { -ENODEV, -ENODEV, 0, 0 } },
    { "each: large, the last is broken",
      { .size = MIB, .chunk = 60000, .count = 2, .mailboxes = { "a", "broken" }, .each = true },
      { 0, -ENODEV } },
    { "each: large, all are broken",
      { .size = MIB, .chunk = 60000, .count = 2, .mailboxes = { "broken", "broken2" }, .each = true },
      { -ENODEV, -ENODEV } },
    /* targets that their owner refuses at the end */
    { "refused: small, the only one",
      { .size = 10, .chunk = 9, .count = 1, .refusals = { -EMULTIHOP } },
      { -EMULTIHOP } },
    { "refused: large, the only one",
      { .size = MIB, .chunk = 60000, .count = 1, .refusals = { -EMULTIHOP } },
      { -EMULTIHOP } },
    { "refused: all or none: one of three",
      { .size = 10, .chunk = 9, .count = 3, .refusals = { 0, -EMULTIHOP } },
      { -EMULTIHOP, -EMULTIHOP, -EMULTIHOP } },
    { "refused: all or none: large, one of three",
      { .size = MIB, .chunk = 60000, .count = 3, .refusals = { 0, -EMULTIHOP } },
      { -EMULTIHOP, -EMULTIHOP, -EMULTIHOP } },
    { "refused: each: one of three",
      { .size = 10, .chunk = 9, .count = 3, .refusals = { 0, -EMULTIHOP }, .each = true },
      { 0, -EMULTIHOP, 0 } },
    { "refused: each: large, the one that holds the body",
      { .size = MIB, .chunk = 60000, .count = 3, .refusals = { -EMULTIHOP }, .each = true },
      { -EMULTIHOP, 0, 0 } },
    { "refused: each: large, one that is copied to",
      { .size = MIB, .chunk = 60000, .count = 3, .refusals = { 0, -EMULTIHOP }, .each = true },
      { 0, -EMULTIHOP, 0 } },
    { "refused: each: large, all",
      { .size = MIB, .chunk = 60000, .count = 2, .refusals = { -EMULTIHOP, -EDQUOT }, .each = true },
      { -EMULTIHOP, -EDQUOT } },
    { "refused: each: large, whose body was lost",
      { .size = MIB,
        .chunk = 60000,
        .count = 2,
        .mailboxes = { "broken", "broken2" },
        .refusals = { 0, -EMULTIHOP },
        .each = true },
      { -ENODEV, -ENODEV } },
    { "refused: without syncs, the one that holds the body",
      { .size = MIB,
        .chunk = 60000,
        .count = 3,
        .refusals = { -EMULTIHOP },
        .each = true,
        .sync = DELIVERY_SYNC_NONE },
      { -EMULTIHOP, 0, 0 } },
    /* several ways to a target, and several targets of a recipient */
    { "ways: each: two recipients of two targets, all well",
      { .size = 10, .chunk = 9, .count = 2, .each = true, .ways = { "00", "01", "11" } },
      { 0, 0 } },
    { "ways: each: what only a failed recipient reaches is given up",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .each = true,
        .mailboxes = { "a", "broken", "c" },
        .ways = { "00", "01", "12" } },
      { -ECANCELED, -ENODEV, 0 } },
    { "ways: each: what another reaches, too, is not",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .each = true,
        .mailboxes = { "a", "broken", "c" },
        .ways = { "00", "01", "12", "10" } },
      { 0, -ENODEV, 0 } },
    { "ways: each: giving up spreads no further",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .each = true,
        .mailboxes = { "broken", "b", "c" },
        .ways = { "00", "01", "11", "12", "22" } },
      { -ENODEV, 0, 0 } },
    { "ways: each: large, the body's target is given up",
      { .size = MIB,
        .chunk = 60000,
        .count = 3,
        .each = true,
        .mailboxes = { "a", "broken", "c" },
        .ways = { "00", "01", "12" } },
      { -ECANCELED, -ENODEV, 0 } },
    { "ways: each: a refusal fails the recipient",
      { .size = MIB,
        .chunk = 60000,
        .count = 3,
        .each = true,
        .refusals = { 0, -EMULTIHOP },
        .ways = { "00", "01", "12" } },
      { -ECANCELED, -EMULTIHOP, 0 } },
    { "ways: each: nobody is left",
      { .size = MIB,
        .chunk = 60000,
        .count = 3,
        .each = true,
        .refusals = { 0, -EMULTIHOP },
        .ways = { "00", "01", "02" } },
      { -ECANCELED, -EMULTIHOP, -ECANCELED } },
    { "ways: all or none: they do not matter",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .mailboxes = { "a", "broken", "c" },
        .ways = { "00", "01", "12" } },
      { -ENODEV, -ENODEV, -ENODEV } },
    /* one file with several names */
    { "single: small, for three", { .size = 10, .chunk = 9, .count = 3, .single = true } },
    { "single: large, for three", { .size = MIB, .chunk = 60000, .count = 3, .single = true } },
    { "single: small, for more than may keep their descriptors",
      { .size = 4096, .chunk = 1000, .count = RIG_MAX, .single = true } },
    { "single: large, for more than may keep their descriptors",
      { .size = MIB / 4, .chunk = 60000, .count = RIG_MAX, .single = true } },
    { "single: each: large, who holds the body is refused, the second broken",
      { .size = MIB,
        .chunk = 60000,
        .count = 4,
        .mailboxes = { "a", "broken" },
        .refusals = { -EMULTIHOP },
        .each = true,
        .single = true },
      { -EMULTIHOP, -ENODEV, 0, 0 } },
    { "single: each: small, the first is broken",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "broken" }, .each = true, .single = true },
      { -ENODEV, 0, 0 } },
    /* quotas */
    { "quota: room for it",
      { .size = 10, .chunk = 9, .count = 2, .mailboxes = { "quota", "b" }, .quota = 1000 } },
    { "quota: no room for it",
      { .size = 10, .chunk = 9, .count = 1, .mailboxes = { "quota" }, .quota = 20 },
      { -EDQUOT } },
    { "quota: large, room for it",
      { .size = MIB, .chunk = 60000, .count = 2, .mailboxes = { "quota", "b" }, .quota = 2 * MIB } },
    { "quota: large, no room for it",
      { .size = MIB, .chunk = 60000, .count = 1, .mailboxes = { "quota" }, .quota = MIB },
      { -EDQUOT } },
    { "quota: all or none: one is full",
      { .size = 10, .chunk = 9, .count = 3, .mailboxes = { "a", "full", "quota" }, .quota = 1000 },
      { -EDQUOT, -EDQUOT, -EDQUOT } },
    { "quota: each: one is full",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .mailboxes = { "a", "full", "quota" },
        .each = true,
        .quota = 1000 },
      { 0, -EDQUOT, 0 } },
    { "quota: each: large, who holds the body is full",
      { .size = MIB,
        .chunk = 60000,
        .count = 3,
        .mailboxes = { "full", "b", "quota" },
        .each = true,
        .quota = 2 * MIB },
      { -EDQUOT, 0, 0 } },
    { "quota: each: for many, one is full",
      { .size = 10, .chunk = 9, .count = RIG_MAX, .mailboxes = { "full" }, .each = true, .quota = 1000 },
      { -EDQUOT } },
    { "quota: it is that of all folders",
      { .size = 10, .chunk = 9, .count = 2, .mailboxes = { "full", "full/.f" }, .each = true, .quota = 1000 },
      { -EDQUOT, -EDQUOT } },
    { "quota: one of two copies fits",
      { .size = 100, .chunk = 99, .count = 2, .mailboxes = { "quota", "quota" }, .each = true, .quota = 200 },
      { 0, -EDQUOT } },
    { "quota: one file, several names, one is full",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .mailboxes = { "full", "b", "quota" },
        .each = true,
        .single = true,
        .quota = 1000 },
      { -EDQUOT, 0, 0 } },
    { "quota: who is full fails all ways that lead there",
      { .size = 10,
        .chunk = 9,
        .count = 3,
        .mailboxes = { "quota", "full", "c" },
        .each = true,
        .quota = 1000,
        .ways = { "00", "01", "12" } },
      { -ECANCELED, -EDQUOT, 0 } },
    /* the message does not come */
    { "aborted before its first octet", { .chunk = 1, .count = 2, .abort = true } },
    { "aborted while it is small", { .size = 4096, .chunk = 1000, .count = 2, .abort_at = 2000 } },
    { "aborted while its first block is written",
      { .size = MIB, .chunk = 70000, .count = 2, .abort_at = 70000 } },
    { "aborted while the owner is held back",
      { .size = MIB, .chunk = 64 * 1024, .count = 2, .abort_at = 300 * 1024 } },
    { "aborted while a small rest waits", { .size = MIB, .chunk = 64 * 1024, .count = 2, .abort = true } },
    { "aborted after its body was lost",
      { .size = MIB, .chunk = 64 * 1024, .count = 1, .mailboxes = { "broken" }, .abort = true } },
};

/* What does not lie there has not been counted, and what does, has. */
static void check_quotas(const struct rig *rig)
{
    const struct rig_plan *plan = rig->plan;
    for (size_t i = 0; i < plan->count && plan->quota > 0; i++) {
        if (plan->mailboxes[i] == NULL)
            continue;
        uint64_t copies = 0;
        for (size_t other = 0; other < plan->count; other++)
            copies += rig->results[other] == 0 && g_strcmp0(plan->mailboxes[other], plan->mailboxes[i]) == 0;
        if (g_str_has_prefix(plan->mailboxes[i], "full"))
            assert_int_equal(rig_quota_use(rig, i), plan->quota);
        else if (g_str_has_prefix(plan->mailboxes[i], "quota"))
            assert_in_range(rig_quota_use(rig, i), copies * plan->size, copies * (plan->size + 100));
    }
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct rig rig;
    rig_init(&rig, &row->plan);
    rig_run(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(row->results); i++)
        assert_int_equal(rig.results[i], row->results[i]);
    rig_check(&rig, RIG_EXACT);
    check_quotas(&rig);
    rig_clear(&rig);
}

/* The loop does not run while the rig appends, so nothing of what was appended can have been written. */
static void an_owner_is_held_back_in_time(void **state)
{
    (void)state;
    static const struct rig_plan plan = { .size = MIB, .chunk = 16 * 1024, .count = 1 };
    struct rig rig;
    rig_init(&rig, &plan);
    rig_run(&rig);
    assert_true(rig.ready >= MIB / (2 * DELIVERY_BLOCK));
    rig_clear(&rig);
}

static void nothing_is_an_abort_s_business(void **state)
{
    (void)state;
    delivery_abort(NULL);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "an owner is held back in time", an_owner_is_held_back_in_time, NULL);
    suite_add(s, "to abort nothing is welcome", nothing_is_an_abort_s_business, NULL);
    return suite_run(s, argc, argv);
}
