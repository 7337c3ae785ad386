/*
 * Deliveries on a disk that fails: at its first call, then at its second, until none is left to fail; that
 * dies at each call and forgets what was not synced; that is full. On the simulated twins.
 */
#include "suite.h"

#include <errno.h>

#include "delivery/copies.h"
#include "delivery_rig.h"
#include "disk/disk_sim.h"
#include "maildirs.h"
#include "reactor/reactor_sim.h"

/* Of LARGE, in chunks of 50,000, two blocks are staged, the second while the owner is held back. */
enum { LARGE = 180000, MANY = COPIES_OPEN_MAX + 1 };

#define EDIT .front = "X-Edited: yes\r\n", .skip = 70

static const struct row {
    const char *name;
    struct rig_plan plan; /* in which whoever is not refused gets the message, unless the disk fails */
    bool is_long;         /* to run: only the harshest sweeps */
} rows[] = {
    { "small, one recipient", { .size = 500, .chunk = 200, .count = 1 } },
    { "small, three recipients", { .size = 500, .chunk = 200, .count = 3 } },
    { "small, three recipients, each by itself", { .size = 500, .chunk = 200, .count = 3, .each = true } },
    { "small, many recipients", { .size = 500, .chunk = 500, .count = MANY }, true },
    { "small, many recipients, each by itself",
      { .size = 500, .chunk = 500, .count = MANY, .each = true },
      true },
    { "small, one recipient twice", { .size = 500, .chunk = 200, .count = 2, .mailboxes = { "a", "a" } } },
    { "small, one recipient twice, each by itself, each synced",
      { .size = 500,
        .chunk = 200,
        .count = 2,
        .mailboxes = { "a", "a" },
        .each = true,
        .sync = DELIVERY_SYNC_EACH } },
    { "small, into a maildir that is made",
      { .size = 500, .chunk = 200, .count = 1, .mailboxes = { "missing" } } },
    { "small, into three maildirs, of which two are made",
      { .size = 500, .chunk = 200, .count = 3, .mailboxes = { "missing", "a/.f", "half" } } },
    { "small, the same, each by itself",
      { .size = 500, .chunk = 200, .count = 3, .mailboxes = { "missing", "a/.f", "half" }, .each = true } },
    { "large, into a maildir that is made",
      { .size = LARGE, .chunk = 50000, .count = 2, .mailboxes = { "missing", "a" } } },
    { "large, one recipient", { .size = LARGE, .chunk = 50000, .count = 1 } },
    { "large, three recipients", { .size = LARGE, .chunk = 50000, .count = 3 } },
    { "large, three recipients, each by itself",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true } },
    { "small, each by itself, one is refused",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .refusals = { 0, -EMULTIHOP } } },
    { "large, each by itself, who holds the body is refused",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .refusals = { -EMULTIHOP } } },
    { "large, many recipients, who holds the body is refused",
      { .size = DELIVERY_SMALL + 1, .chunk = 50000, .count = MANY, .each = true, .refusals = { -EMULTIHOP } },
      true },
    { "small, each by itself, with ways",
      { .size = 500, .chunk = 200, .count = 4, .each = true, .ways = { "00", "01", "11", "12", "23" } } },
    { "large, each by itself, with ways",
      { .size = LARGE, .chunk = 50000, .count = 4, .each = true, .ways = { "00", "01", "11", "12", "23" } } },
    { "small, with ways, each synced",
      { .size = 500,
        .chunk = 200,
        .count = 4,
        .each = true,
        .sync = DELIVERY_SYNC_EACH,
        .ways = { "00", "01", "11", "12", "23" } } },
    { "single: small, three", { .size = 500, .chunk = 200, .count = 3, .single = true } },
    { "single: small, three, each by itself",
      { .size = 500, .chunk = 200, .count = 3, .single = true, .each = true } },
    { "single: small, three, each synced",
      { .size = 500, .chunk = 200, .count = 3, .single = true, .each = true, .sync = DELIVERY_SYNC_EACH } },
    { "single: small, many",
      { .size = 500, .chunk = 500, .count = MANY, .single = true, .each = true },
      true },
    { "single: large, three", { .size = LARGE, .chunk = 50000, .count = 3, .single = true } },
    { "single: large, three, each by itself, who holds the body is refused",
      { .size = LARGE,
        .chunk = 50000,
        .count = 3,
        .single = true,
        .each = true,
        .refusals = { -EMULTIHOP } } },
    { "quota: small, all or none",
      { .size = 500, .chunk = 200, .count = 3, .mailboxes = { "quota", "b", "quota2" }, .quota = 5000 } },
    { "quota: large, each by itself",
      { .size = LARGE,
        .chunk = 50000,
        .count = 3,
        .mailboxes = { "quota", "b", "quota2" },
        .each = true,
        .quota = 2 * LARGE } },
    { "quota: small, many",
      { .size = 500, .chunk = 500, .count = MANY, .mailboxes = { "quota", "b", "quota2" }, .quota = 5000 },
      true },
    { "sealed: small", { .size = 500, .chunk = 200, .count = 2, .seals = true } },
    { "sealed: large, three", { .size = LARGE, .chunk = 50000, .count = 3, .seals = true } },
    { "sealed: large, three, each by itself",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .seals = true } },
    { "edited: small, three", { .size = 500, .chunk = 200, .count = 3, .seals = true, EDIT } },
    { "edited: small, three, each by itself",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .seals = true, EDIT } },
    { "edited: large, one", { .size = LARGE, .chunk = 50000, .count = 1, .seals = true, EDIT } },
    { "edited: large, three", { .size = LARGE, .chunk = 50000, .count = 3, .seals = true, EDIT } },
    { "edited: large, three, each by itself",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .seals = true, EDIT } },
    { "edited: large, many",
      { .size = DELIVERY_SMALL + 2, .chunk = 50000, .count = MANY, .seals = true, EDIT },
      true },
    { "edited: single: large, three",
      { .size = LARGE, .chunk = 50000, .count = 3, .single = true, .seals = true, EDIT } },
    { "edited: large, each by itself, with ways, one is refused",
      { .size = LARGE,
        .chunk = 50000,
        .count = 4,
        .each = true,
        .refusals = { 0, 0, 0, -EMULTIHOP },
        .ways = { "00", "01", "11", "12", "23" },
        .seals = true,
        EDIT } },
    { "edited: quota: large, each by itself",
      { .size = LARGE,
        .chunk = 50000,
        .count = 3,
        .mailboxes = { "quota", "b", "quota2" },
        .each = true,
        .quota = 2 * LARGE,
        .seals = true,
        EDIT } },
    { "replaced: small by small",
      { .size = 500, .chunk = 200, .count = 2, .seals = true, .other = 300, EDIT } },
    { "replaced: small by large, each by itself",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .seals = true, .other = LARGE, EDIT } },
    { "replaced: large by small",
      { .size = LARGE, .chunk = 50000, .count = 2, .seals = true, .other = 300 } },
    { "replaced: large by large",
      { .size = LARGE, .chunk = 50000, .count = 2, .seals = true, .other = LARGE, EDIT } },
    { "retargeted: small",
      { .size = 500, .chunk = 200, .count = 1, .seals = true, .retargets = true, .others = { "x", "y" } } },
    { "retargeted: large, to others",
      { .size = LARGE,
        .chunk = 50000,
        .count = 2,
        .seals = true,
        .retargets = true,
        .others = { "x", "y" } } },
    { "retargeted: large, one stays, each by itself",
      { .size = LARGE,
        .chunk = 50000,
        .count = 2,
        .each = true,
        .seals = true,
        .retargets = true,
        .others = { "x", "box0", "missing" } } },
    { "retargeted: large, one stays, and edited",
      { .size = LARGE,
        .chunk = 50000,
        .count = 2,
        .seals = true,
        .retargets = true,
        .others = { "x", "box0" },
        EDIT } },
    { "retargeted: single: large",
      { .size = LARGE,
        .chunk = 50000,
        .count = 1,
        .single = true,
        .seals = true,
        .retargets = true,
        .others = { "x", "box0" } } },
    { "discarded: large", { .size = LARGE, .chunk = 50000, .count = 2, .seals = true, .retargets = true } },
    { "flags: small, three", { .size = 500, .chunk = 200, .count = 3, .flags = { "S", NULL, "FT" } } },
    { "flags: small, each by itself, each synced",
      { .size = 500,
        .chunk = 200,
        .count = 3,
        .mailboxes = { "a", "a", "missing" },
        .each = true,
        .sync = DELIVERY_SYNC_EACH,
        .flags = { "S", NULL, "FT" } } },
    { "flags: large, edited, quota",
      { .size = LARGE,
        .chunk = 50000,
        .count = 2,
        .mailboxes = { "quota", "b" },
        .quota = 2 * LARGE,
        .seals = true,
        .flags = { "S", "T" },
        EDIT } },
    { "flags: small, many",
      { .size = 500, .chunk = 500, .count = MANY, .each = true, .flags = { "S", NULL, "FT" } },
      true },
    { "large, many recipients", { .size = DELIVERY_SMALL + 1, .chunk = 50000, .count = MANY }, true },
};

/* Of those that the plan does not refuse. */
static bool any_failed(const struct rig *rig)
{
    bool failed = false;
    for (size_t i = 0; i < rig_count(rig); i++)
        failed = failed || (rig->results[i] < 0 && rig->plan->refusals[i] == 0);
    return failed;
}

/* True when the fault struck. */
static bool run_with_fault(struct rig *rig, const struct rig_plan *plan, struct disk_sim_fault fault)
{
    rig_init(rig, plan);
    rig->is_blind = true;
    disk_sim_fail(fault);
    rig_run(rig);
    bool struck = disk_sim_failures() > 0;
    disk_sim_heal();
    return struck;
}

/* ---- one call fails ---- */

/*
 * Nobody is hurt when what was staged, and is nobody's copy in the end, cannot be removed; nor by what failed
 * for a target that is none any more, or is tried once more.
 */
static bool may_leave_something(const struct rig_plan *plan)
{
    bool is_changed = plan->front != NULL || plan->other > 0 || plan->retargets;
    return plan->size > DELIVERY_SMALL && (plan->refusals[0] != 0 || is_changed);
}

static void sweep_faults(const struct rig_plan *plan, struct disk_sim_fault fault, enum disk_sim_policy crash)
{
    bool struck = true;
    for (fault.nth = 1; struck; fault.nth++) {
        struct rig rig;
        struck = run_with_fault(&rig, plan, fault);
        if (any_failed(&rig) != struck) /* no call is made in vain */
            assert_true(struck && may_leave_something(plan));
        rig_check(&rig, any_failed(&rig) == struck ? RIG_EXACT : RIG_DURABLE);
        if (plan->sync != DELIVERY_SYNC_NONE) {
            disk_sim_crash(crash);
            rig_check(&rig, RIG_DURABLE);
        }
        rig_clear(&rig);
    }
}

static void check_faults(void **state)
{
    const struct row *row = *state;
    sweep_faults(&row->plan, (struct disk_sim_fault){ .error = EIO, .forgets = true }, DISK_SIM_SEEDED);
    if (row->is_long)
        return;
    sweep_faults(&row->plan, (struct disk_sim_fault){ .error = EIO, .forgets = true }, DISK_SIM_LOSE);
    sweep_faults(&row->plan, (struct disk_sim_fault){ .error = EIO }, DISK_SIM_LOSE);
    sweep_faults(&row->plan, (struct disk_sim_fault){ .error = EIO }, DISK_SIM_KEEP);
    sweep_faults(&row->plan, (struct disk_sim_fault){ .error = ENOSPC }, DISK_SIM_SEEDED);
    struct rig_plan without_syncs = row->plan;
    without_syncs.sync = DELIVERY_SYNC_NONE;
    sweep_faults(&without_syncs, (struct disk_sim_fault){ .error = EIO }, DISK_SIM_KEEP);
}

/* ---- a maildir that was made in vain ---- */

static const struct rig_plan made_plan = {
    .size = 500, .chunk = 500, .count = 2, .mailboxes = { "missing", "half" }
};

/* What a failed try left must not be taken for durable by the next one. */
static void a_second_try_after_a_fault(void **state)
{
    (void)state;
    bool struck = true;
    for (uint64_t nth = 1; struck; nth++) {
        struct rig rig;
        struck = run_with_fault(&rig, &made_plan,
                                (struct disk_sim_fault){ .nth = nth, .error = EIO, .forgets = true });
        if (struck) {
            rig_run(&rig);
        }
        assert_false(any_failed(&rig));
        rig_check(&rig, RIG_EXACT);
        disk_sim_crash(DISK_SIM_LOSE);
        rig_check(&rig, RIG_DURABLE);
        rig_clear(&rig);
    }
}

/* Whatever half of a maildir a power loss left, the next message completes it. */
static void a_second_try_after_a_power_loss(void **state)
{
    (void)state;
    bool struck = true;
    for (uint64_t nth = 1; struck; nth++) {
        struct rig rig;
        struct disk_sim_fault dead = { .nth = nth, .error = EIO, .for_ever = true };
        struck = run_with_fault(&rig, &made_plan, dead);
        disk_sim_crash(DISK_SIM_SEEDED);
        rig_run(&rig);
        assert_false(any_failed(&rig));
        disk_sim_crash(DISK_SIM_LOSE);
        for (size_t i = 0; i < made_plan.count; i++) /* a first copy may have survived, too */
            assert_in_range(maildirs_count(rig.root, made_plan.mailboxes[i], "new"), 1, 2);
        rig_clear(&rig);
    }
}

/* A maildir that is seen need not be durable, if its maker was killed: who finds it sees to that before 250,
 * whatever else fails. Found by postern-sim 9134. */
static void sweep_kills(bool fails_too)
{
    static const struct rig_plan plan = {
        .size = 500, .chunk = 200, .count = 2, .mailboxes = { "missing", "half" }, .sync = DELIVERY_SYNC_EACH
    };
    bool struck = true;
    for (uint64_t nth = 1; struck; nth++) {
        struct rig rig;
        struct disk_sim_fault dead = { .nth = nth, .error = EIO, .for_ever = true, .clean = true };
        struct disk_sim_fault fails = { .kind = DISK_SIM_SYNC_DIR, .nth = 1, .error = EIO, .forgets = true };
        struck = run_with_fault(&rig, &plan, dead);
        disk_sim_kill();
        if (fails_too) {
            disk_sim_fail(fails);
            rig_run(&rig);
            disk_sim_heal();
        }
        rig_run(&rig);
        assert_false(any_failed(&rig));
        disk_sim_crash(DISK_SIM_LOSE);
        for (size_t i = 0; i < plan.count; i++)
            assert_in_range(maildirs_count(rig.root, plan.mailboxes[i], "new"), 1, 3);
        rig_clear(&rig);
    }
}

static void a_second_try_after_a_kill(void **state)
{
    (void)state;
    sweep_kills(false);
    sweep_kills(true);
}

/* ---- the power fails ---- */

static void sweep_crashes(const struct rig_plan *plan, enum disk_sim_policy crash)
{
    struct disk_sim_fault dead = { .error = EIO, .for_ever = true };
    bool struck = true;
    for (dead.nth = 1; struck; dead.nth++) {
        struct rig rig;
        struck = run_with_fault(&rig, plan, dead);
        disk_sim_crash(crash);
        rig_check(&rig, struck ? RIG_AT_LEAST : RIG_DURABLE);
        rig_clear(&rig);
    }
}

static void check_crashes(void **state)
{
    const struct row *row = *state;
    sweep_crashes(&row->plan, DISK_SIM_LOSE);
    if (row->is_long)
        return;
    sweep_crashes(&row->plan, DISK_SIM_KEEP);
    sweep_crashes(&row->plan, DISK_SIM_SEEDED);
}

/* ---- the system fails to write by itself ---- */

struct loss {
    uint64_t at; /* the number of the call before which it happens */
    const char *where;
    bool happened;
};

static void lose_writes(void *owner, const struct disk_sim_call *call)
{
    struct loss *loss = owner;
    if (call->number != loss->at)
        return;
    disk_sim_lose_writes(loss->where);
    loss->happened = true;
}

/* Nothing but a sync, or a check, of what was open then tells: so no result is known, but what is said to be
 * there is. */
static bool lose_before_call(const struct rig_plan *plan, uint64_t nth, enum disk_sim_policy crash)
{
    struct rig rig;
    rig_init(&rig, plan);
    rig.is_blind = true;
    struct loss loss = { .at = disk_sim_calls() + nth, .where = rig.root };
    disk_sim_set_hook(lose_writes, &loss);
    rig_run(&rig);
    disk_sim_set_hook(NULL, NULL);
    rig_check(&rig, RIG_EXACT);
    disk_sim_crash(crash);
    rig_check(&rig, RIG_DURABLE);
    rig_clear(&rig);
    return loss.happened;
}

static void check_losses(void **state)
{
    const struct row *row = *state;
    for (uint64_t nth = 1; lose_before_call(&row->plan, nth, DISK_SIM_LOSE); nth++)
        if (!row->is_long)
            (void)lose_before_call(&row->plan, nth, DISK_SIM_KEEP);
}

/* ---- the disk is full ---- */

static void check_full(void **state)
{
    const struct row *row = *state;
    uint64_t size = MAX(row->plan.size, row->plan.other) + 200;
    uint64_t all = size * (row->plan.single ? 2 : row->plan.count + 2);
    for (uint64_t capacity = 0; capacity <= all; capacity += all / 13) {
        struct rig rig;
        rig_init(&rig, &row->plan);
        rig.is_blind = true;
        disk_sim_set_capacity(capacity, ENOSPC);
        rig_run(&rig);
        for (size_t i = 0; i < rig_count(&rig); i++)
            assert_true(rig.results[i] == 0 || rig.results[i] == -ENOSPC ||
                        rig.results[i] == row->plan.refusals[i] ||
                        (rig.results[i] == -ECANCELED && row->plan.ways[0] != NULL));
        if (capacity < rig.stored->len && rig_count(&rig) > 0)
            assert_true(any_failed(&rig));
        rig_check(&rig, RIG_EXACT);
        rig_clear(&rig);
    }
}

/* ---- just this fault ---- */

static const struct fault_row {
    const char *name;
    struct rig_plan plan;
    struct disk_sim_fault fault;
    int results[3];
} fault_rows[] = {
    { "each: the first cannot take the first block, so the second takes the body",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_APPEND, .nth = 1, .error = EDQUOT },
      { -EDQUOT, 0, 0 } },
    { "each: the body is lost with a later block",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "each: a body that could not be synced is copied to nobody",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_SYNC, .nth = 1, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "each: another's sync is just the other's",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .sync = DELIVERY_SYNC_EACH },
      { .kind = DISK_SIM_SYNC, .nth = 2, .error = EIO, .forgets = true },
      { 0, -EIO, 0 } },
    { "each: the body's recipient may lose just its name",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_RENAME, .nth = 1, .error = EIO },
      { -EIO, 0, 0 } },
    { "each: small, a sync that fails is just one's",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .sync = DELIVERY_SYNC_EACH },
      { .kind = DISK_SIM_SYNC, .nth = 1, .error = EIO, .forgets = true },
      { -EIO, 0, 0 } },
    { "each: a sync of the file system that fails is everybody's",
      { .size = 500, .chunk = 200, .count = 3, .each = true },
      { .kind = DISK_SIM_SYNC_ALL, .nth = 1, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "each: the names' sync, too",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_SYNC_ALL, .nth = 2, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "all or none: the last directory cannot be synced",
      { .size = 500, .chunk = 200, .count = 3, .sync = DELIVERY_SYNC_EACH },
      { .kind = DISK_SIM_SYNC_DIR, .nth = 3, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "without syncs none can fail",
      { .size = 500, .chunk = 200, .count = 3, .sync = DELIVERY_SYNC_NONE },
      { .kind = DISK_SIM_SYNC, .nth = 1, .error = EIO },
      { 0, 0, 0 } },
    { "each: a body that could not be synced is copied to nobody, also if its own recipient is refused",
      { .size = LARGE,
        .chunk = 50000,
        .count = 3,
        .each = true,
        .refusals = { -EMULTIHOP },
        .sync = DELIVERY_SYNC_EACH },
      { .kind = DISK_SIM_SYNC, .nth = 1, .error = EIO, .forgets = true },
      { -EMULTIHOP, -EIO, -EIO } },
    { "ways: what was published for a recipient that fails later is taken back",
      { .size = 500,
        .chunk = 200,
        .count = 3,
        .each = true,
        .sync = DELIVERY_SYNC_EACH,
        .ways = { "00", "01", "12" } },
      { .kind = DISK_SIM_SYNC_DIR, .nth = 2, .error = EIO },
      { -ECANCELED, -EIO, 0 } },
    { "ways: what has not been published need not be",
      { .size = 500,
        .chunk = 200,
        .count = 3,
        .each = true,
        .sync = DELIVERY_SYNC_EACH,
        .ways = { "00", "01", "12" } },
      { .kind = DISK_SIM_SYNC, .nth = 2, .error = EIO },
      { -ECANCELED, -EIO, 0 } },
    { "single: a sync that fails is that of all names",
      { .size = 500, .chunk = 200, .count = 3, .single = true, .each = true, .sync = DELIVERY_SYNC_EACH },
      { .kind = DISK_SIM_SYNC, .nth = 1, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "single: a link that fails is only one's",
      { .size = 500, .chunk = 200, .count = 3, .single = true, .each = true },
      { .kind = DISK_SIM_LINK, .nth = 1, .error = EIO },
      { 0, -EIO, 0 } },
    { "single: a name that cannot be published is only one's",
      { .size = 500, .chunk = 200, .count = 3, .single = true, .each = true },
      { .kind = DISK_SIM_RENAME, .nth = 1, .error = EIO },
      { -EIO, 0, 0 } },
    { "sealed: the last part cannot be written",
      { .size = 140000, .chunk = 100000, .count = 3, .each = true, .seals = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "sealed: a disk is full at the last part: only its own recipient's",
      { .size = 140000, .chunk = 100000, .count = 3, .each = true, .seals = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC },
      { -ENOSPC, 0, 0 } },
    { "large: each: a disk is full in the middle: only its own recipient's",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC },
      { -ENOSPC, 0, 0 } },
    { "large: each: a quota of the system's is",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = EDQUOT },
      { -EDQUOT, 0, 0 } },
    { "large: each: a disk is full at the end: only its own recipient's",
      { .size = 140000, .chunk = 100000, .count = 3, .each = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC },
      { -ENOSPC, 0, 0 } },
    { "large: all or none: a full disk is everybody's",
      { .size = LARGE, .chunk = 50000, .count = 3 },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC },
      { -ENOSPC, -ENOSPC, -ENOSPC } },
    { "single: large: each: a disk is full in the middle: only its own recipient's",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .single = true },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC },
      { -ENOSPC, 0, 0 } },
    { "large: each: each synced: a disk is full at the end: only its own recipient's",
      { .size = 140000, .chunk = 100000, .count = 3, .each = true, .sync = DELIVERY_SYNC_EACH },
      { .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC },
      { -ENOSPC, 0, 0 } },
    { "sealed: it cannot be opened to be read",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .seals = true },
      { .kind = DISK_SIM_OPEN_FILE, .nth = 1, .error = EMFILE },
      { -EMFILE, -EMFILE, -EMFILE } },
    { "edited: each: what is left out cannot be read",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .seals = true, EDIT },
      { .kind = DISK_SIM_READ, .nth = 1, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "edited: each: a copy that fails is only one's, also the first",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .seals = true, EDIT },
      { .kind = DISK_SIM_APPEND_COPY, .nth = 1, .error = EIO },
      { -EIO, 0, 0 } },
    { "edited: each: nobody gets what the disk may have lost",
      { .size = LARGE, .chunk = 50000, .count = 3, .each = true, .seals = true, EDIT },
      { .kind = DISK_SIM_CHECK, .nth = 1, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "replaced: each: the new body cannot be read",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .seals = true, .other = 300 },
      { .kind = DISK_SIM_READ, .nth = 1, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "replaced: each: the first cannot take the new body, so the second does",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .seals = true, .other = LARGE },
      { .kind = DISK_SIM_APPEND, .nth = 1, .error = ENOSPC },
      { -ENOSPC, 0, 0 } },
    { "flags: each: another directory's sync",
      { .size = 500,
        .chunk = 200,
        .count = 3,
        .mailboxes = { "a", "a", "a" },
        .each = true,
        .sync = DELIVERY_SYNC_EACH,
        .flags = { "S", NULL, "S" } },
      { .kind = DISK_SIM_SYNC_DIR, .nth = 1, .error = EIO },
      { -EIO, 0, -EIO } },
    { "flags: all or none: what is in cur/ is taken back",
      { .size = 500, .chunk = 200, .count = 3, .sync = DELIVERY_SYNC_EACH, .flags = { "S", NULL, "S" } },
      { .kind = DISK_SIM_SYNC_DIR, .nth = 3, .error = EIO },
      { -EIO, -EIO, -EIO } },
    { "flags: a rename whose answer is lost",
      { .size = 500, .chunk = 200, .count = 1, .flags = { "S" } },
      { .kind = DISK_SIM_RENAME, .nth = 1, .error = EIO, .happens = true },
      { -EIO } },
    { "each: what was lost on its way to the disk is told, though the sync finds nothing amiss",
      { .size = 2500000, .chunk = 50000, .count = 3, .each = true },
      { .kind = DISK_SIM_WRITE_OUT, .nth = 1, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "sealed: the same",
      { .size = 2500000, .chunk = 50000, .count = 3, .each = true, .seals = true },
      { .kind = DISK_SIM_WRITE_OUT, .nth = 2, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "replaced: the same",
      { .size = 500, .chunk = 200, .count = 3, .each = true, .seals = true, .other = 2500000 },
      { .kind = DISK_SIM_WRITE_OUT, .nth = 1, .error = EIO, .forgets = true },
      { -EIO, -EIO, -EIO } },
    { "a name that is taken is nobody's loss but ours",
      { .size = 500, .chunk = 200, .count = 1 },
      { .kind = DISK_SIM_CREATE, .nth = 1, .error = EEXIST },
      { -EEXIST } },
};

static void check_fault(void **state)
{
    const struct fault_row *row = *state;
    struct rig rig;
    (void)run_with_fault(&rig, &row->plan, row->fault);
    for (size_t i = 0; i < G_N_ELEMENTS(row->results); i++)
        assert_int_equal(rig.results[i], row->results[i]);
    rig_check(&rig, RIG_EXACT);
    rig_clear(&rig);
}

/* A file that is given up is never synced: it has to be asked. */
static void check_full_disk_lost_what_was_written(void **state)
{
    (void)state;
    const struct rig_plan plan = { .size = LARGE, .chunk = 50000, .count = 3, .each = true };
    struct rig rig;
    rig_init(&rig, &plan);
    disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_APPEND, .nth = 2, .error = ENOSPC });
    disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_CHECK, .nth = 1, .error = EIO });
    rig_run(&rig);
    assert_int_equal(disk_sim_failures(), 2);
    disk_sim_heal();
    for (size_t i = 0; i < plan.count; i++)
        assert_int_equal(rig.results[i], i == 0 ? -ENOSPC : -EIO);
    rig_check(&rig, RIG_EXACT);
    rig_clear(&rig);
}

/* ---- quotas ---- */

static const struct give_back_row {
    const char *name;
    struct disk_sim_fault fault;
} give_back_rows[] = {
    { "quota: what cannot be published is given back", { .kind = DISK_SIM_RENAME, .nth = 1, .error = EIO } },
    { "quota: what another's failure keeps from being published, too",
      { .kind = DISK_SIM_RENAME, .nth = 2, .error = EIO } },
    { "quota: what is taken back, too", { .kind = DISK_SIM_SYNC_DIR, .nth = 2, .error = EIO } },
};

static void check_given_back(void **state)
{
    const struct give_back_row *row = *state;
    static const struct rig_plan plans[] = {
        { .size = 500,
          .chunk = 500,
          .count = 2,
          .mailboxes = { "quota", "quota2" },
          .sync = DELIVERY_SYNC_EACH,
          .quota = 5000 },
        { .size = LARGE,
          .chunk = 50000,
          .count = 2,
          .mailboxes = { "quota", "quota2" },
          .sync = DELIVERY_SYNC_EACH,
          .quota = 2 * LARGE,
          .seals = true,
          .flags = { "S", "T" },
          EDIT },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(plans); i++) {
        struct rig rig;
        assert_true(run_with_fault(&rig, &plans[i], row->fault));
        assert_true(any_failed(&rig));
        assert_int_equal(rig_quota_use(&rig, 0), 0);
        assert_int_equal(rig_quota_use(&rig, 1), 0);
        rig_clear(&rig);
    }
}

/* ---- one file with several names ---- */

static const struct link_row {
    const char *name;
    struct rig_plan plan;
    int error; /* of links: all, or just the nth; 0: none */
    uint64_t nth;
    uint64_t files; /* that there is room for, and need for */
} link_rows[] = {
    { "single: twenty names of one file",
      { .size = 4096, .chunk = 4096, .count = 20, .single = true },
      0,
      0,
      1 },
    { "single: forty names of one file",
      { .size = 4096, .chunk = 4096, .count = RIG_MAX, .single = true },
      0,
      0,
      1 },
    { "single: large, names of one file",
      { .size = LARGE, .chunk = 50000, .count = 3, .single = true },
      0,
      0,
      1 },
    { "single: large, who holds the body is the last of others",
      { .size = LARGE,
        .chunk = 50000,
        .count = 1,
        .single = true,
        .seals = true,
        .retargets = true,
        .others = { "x", "y", "box0" } },
      0,
      0,
      1 },
    { "single: another file system", { .size = 500, .chunk = 500, .count = 3, .single = true }, EXDEV, 0, 3 },
    { "single: no links at all", { .size = 500, .chunk = 500, .count = 3, .single = true }, EPERM, 0, 3 },
    { "single: large, no links at all",
      { .size = LARGE, .chunk = 50000, .count = 3, .single = true },
      EPERM,
      0,
      3 },
    { "single: a file with too many names, so the rest are another's",
      { .size = 500, .chunk = 500, .count = 5, .single = true },
      EMLINK,
      2,
      2 },
};

static bool succeeds_with_room_for(const struct link_row *row, uint64_t octets)
{
    struct rig rig;
    rig_init(&rig, &row->plan);
    rig.is_blind = true;
    disk_sim_set_capacity(octets, ENOSPC);
    if (row->error != 0)
        disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_LINK,
                                               .nth = row->nth > 0 ? row->nth : 1,
                                               .error = row->error,
                                               .for_ever = row->nth == 0 });
    rig_run(&rig);
    bool succeeded = !any_failed(&rig);
    rig_check(&rig, RIG_EXACT);
    rig_clear(&rig);
    return succeeded;
}

static void check_links(void **state)
{
    const struct link_row *row = *state;
    uint64_t file = row->plan.size + strlen("Return-Path: <>\n");
    assert_true(succeeds_with_room_for(row, row->files * file));
    assert_false(succeeds_with_room_for(row, row->files * file - 1));
}

/* ---- an abort, on a disk that fails ---- */

/* Nobody is told, and nothing becomes visible; the one call whose failure leaves something in tmp/ is the
 * unlink. */
static void an_abort_after_a_fault(void **state)
{
    (void)state;
    static const struct rig_plan plans[] = {
        { .size = LARGE, .chunk = 50000, .count = 2, .abort = true },
        { .size = LARGE, .chunk = 50000, .count = 2, .seals = true, .abort_sealing = true },
        { .size = LARGE, .chunk = 50000, .count = 2, .seals = true, .abort = true },
        { .size = LARGE,
          .chunk = 50000,
          .count = 2,
          .seals = true,
          .retargets = true,
          .others = { "x", "box0" },
          .abort = true,
          EDIT },
    };
    bool struck = true;
    for (size_t i = 0; i < G_N_ELEMENTS(plans); i++)
        for (uint64_t nth = 1; struck || nth == 1; nth++) {
            struct rig rig;
            struck = run_with_fault(&rig, &plans[i], (struct disk_sim_fault){ .nth = nth, .error = EIO });
            rig_check(&rig, RIG_DURABLE);
            rig_clear(&rig);
        }
}

/* ---- what it costs ---- */

static void count_job(void *owner, int64_t now_us, const char *what, uint64_t object, int64_t amount)
{
    (void)now_us, (void)object, (void)amount;
    unsigned *jobs = owner;
    *jobs += strcmp(what, "job-done") == 0;
}

static const struct cost_row {
    const char *name;
    struct rig_plan plan;
    unsigned jobs;
    uint64_t calls; /* of the disk; 0: not of interest */
} cost_rows[] = {
    { "a small message is one job of eight calls", { .size = 4096, .chunk = 500, .count = 1 }, 1, 8 },
    { "without syncs of six", { .size = 4096, .chunk = 500, .count = 1, .sync = DELIVERY_SYNC_NONE }, 1, 6 },
    { "a small message for three is one job", { .size = 4096, .chunk = 500, .count = 3 }, 1, 23 },
    { "for three, each synced by itself",
      { .size = 4096, .chunk = 500, .count = 3, .sync = DELIVERY_SYNC_EACH },
      1,
      24 },
    { "for three in one file", { .size = 4096, .chunk = 500, .count = 3, .single = true }, 1, 21 },
    { "a small message for many is one job", { .size = 4096, .chunk = 500, .count = MANY }, 1, 0 },
    { "the largest small message is one job", { .size = DELIVERY_SMALL, .chunk = 500, .count = 1 }, 1, 8 },
    { "a small message that does not come is none",
      { .size = 4096, .chunk = 500, .count = 1, .abort = true },
      0,
      0 },
    { "a megabyte from a socket is four blocks and an end",
      { .size = 1 << 20, .chunk = 64 * 1024, .count = 1 },
      5,
      0 },
    { "a small message that is looked at costs nothing more",
      { .size = 4096, .chunk = 500, .count = 1, .seals = true },
      1,
      8 },
    { "nor does one that is edited", { .size = 4096, .chunk = 500, .count = 1, .seals = true, EDIT }, 1, 8 },
    { "nor one that goes elsewhere",
      { .size = 4096, .chunk = 500, .count = 1, .seals = true, .retargets = true, .others = { "x" } },
      1,
      8 },
    { "one that is discarded takes a job to be told so",
      { .size = 4096, .chunk = 500, .count = 1, .seals = true, .retargets = true },
      1,
      0 },
    { "flags are two calls, to open cur",
      { .size = 4096, .chunk = 500, .count = 1, .flags = { "S" } },
      1,
      10 },
    { "a large message", { .size = 140000, .chunk = 65536, .count = 2 }, 2, 19 },
    { "a large message that is looked at: a job, and a call to open it",
      { .size = 140000, .chunk = 65536, .count = 2, .seals = true },
      3,
      20 },
    { "one that is, and who holds it stays, but not the other",
      { .size = 140000,
        .chunk = 65536,
        .count = 2,
        .seals = true,
        .retargets = true,
        .others = { "x", "box0" } },
      3,
      20 },
    { "edited, for one: what is left out is read, the rest copied",
      { .size = 140000, .chunk = 65536, .count = 1, .seals = true, EDIT },
      3,
      20 },
};

static void check_cost(void **state)
{
    const struct cost_row *row = *state;
    unsigned jobs = 0;
    struct rig rig;
    rig_init(&rig, &row->plan);
    rig.is_blind = true;
    reactor_sim_watch(rig.reactor, count_job, &jobs);
    uint64_t before = disk_sim_calls();
    rig_run(&rig);
    assert_int_equal(jobs, row->jobs);
    if (row->calls > 0)
        assert_int_equal(disk_sim_calls() - before, row->calls);
    rig_clear(&rig);
}

static void a_maildir_that_might_be_made_costs_no_more_than_another(void **state)
{
    (void)state;
    static const struct rig_plan plan = {
        .size = 4096, .chunk = 500, .count = 1, .mailboxes = { "missing" }
    };
    struct rig rig;
    rig_init(&rig, &plan);
    rig_run(&rig);
    uint64_t before = disk_sim_calls();
    rig_run(&rig);
    assert_int_equal(disk_sim_calls() - before, 8);
    rig_clear(&rig);
}

/* However many the recipients: the staged copy's three, and three of one that is being made. */
static void many_recipients_need_few_descriptors(void **state)
{
    const struct rig_plan *plan = *state;
    struct rig rig;
    rig_init(&rig, plan);
    rig.is_blind = true;
    disk_sim_set_descriptor_limit(6);
    rig_run(&rig);
    disk_sim_heal();
    assert_false(any_failed(&rig));
    rig_check(&rig, RIG_EXACT);
    rig_clear(&rig);
}

static void add_sweep(struct suite *s, const char *what, CMUnitTestFunction run)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("%s: %s", what, rows[i].name);
        suite_add(s, name, run, (void *)&rows[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct rig_plan many[] = {
        { .size = 500, .chunk = 500, .count = MANY },
        { .size = LARGE, .chunk = 50000, .count = MANY },
        { .size = LARGE, .chunk = 50000, .count = MANY, .each = true },
        { .size = 500, .chunk = 500, .count = MANY, .single = true },
        { .size = LARGE, .chunk = 50000, .count = MANY, .seals = true, EDIT },
        { .size = 500, .chunk = 500, .count = MANY, .flags = { "S", NULL, "FT" } },
    };
    struct suite *s = suite_new("delivery faults");
    add_sweep(s, "each call fails once", check_faults);
    add_sweep(s, "power fails at each call", check_crashes);
    add_sweep(s, "writes are lost before each call", check_losses);
    add_sweep(s, "the disk is full", check_full);
    suite_add_rows(s, fault_rows, check_fault);
    suite_add(s, "large: each: what a full disk has lost nobody takes over",
              check_full_disk_lost_what_was_written, NULL);
    suite_add(s, "a second try after a fault", a_second_try_after_a_fault, NULL);
    suite_add(s, "a second try after a power loss", a_second_try_after_a_power_loss, NULL);
    suite_add(s, "a second try after a kill", a_second_try_after_a_kill, NULL);
    suite_add_rows(s, give_back_rows, check_given_back);
    suite_add_rows(s, link_rows, check_links);
    suite_add(s, "an abort after a fault", an_abort_after_a_fault, NULL);
    suite_add_rows(s, cost_rows, check_cost);
    suite_add(s, "a maildir that might be made costs no more than another",
              a_maildir_that_might_be_made_costs_no_more_than_another, NULL);
    suite_add(s, "small: many recipients need few descriptors", many_recipients_need_few_descriptors,
              (void *)&many[0]);
    suite_add(s, "large: many recipients need few descriptors", many_recipients_need_few_descriptors,
              (void *)&many[1]);
    suite_add(s, "each: many recipients need few descriptors", many_recipients_need_few_descriptors,
              (void *)&many[2]);
    suite_add(s, "single: many recipients need few descriptors", many_recipients_need_few_descriptors,
              (void *)&many[3]);
    suite_add(s, "edited: many recipients need few descriptors", many_recipients_need_few_descriptors,
              (void *)&many[4]);
    suite_add(s, "flags: many recipients need few descriptors", many_recipients_need_few_descriptors,
              (void *)&many[5]);
    return suite_run(s, argc, argv);
}
