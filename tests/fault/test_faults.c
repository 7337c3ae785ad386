/*
 * Every disk call of a delivery fails in turn: the first, the second, until none is left. Each time what the
 * client is told, new/ and tmp/ agree, and no crash afterwards changes that, whatever it keeps of what was
 * not synced. Then the power fails as well, at every call behind the one that has failed: what a client was
 * told 250 of is there, whole, and nothing is visible in part. Before each call in turn, what the system
 * writes by itself is lost, which no call but a sync of what was open can tell. The worker is the
 * production's, on simulated seams. What the power alone does is in test_crashes.c.
 *
 * FAULT_FULL=1 lets the power fail after each failure and not just after some, and looks at all that it may
 * leave then, and not just at some of it.
 */
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "scene.h"

enum { WORLDS_OF_PAIRS = 4, FAILURES_BEFORE = 8 };

static bool is_full(void)
{
    return getenv("FAULT_FULL") != NULL;
}

static void look(void *scene)
{
    scene_check(scene);
}

static void look_at_refusals(void *scene)
{
    scene_check_refusals(scene);
}

/* ---- one call fails ---- */

static const struct {
    int error;
    bool forgets, happens; /* see disk_sim.h */
    bool disk_is_full;
} faults[] = {
    { EIO, .forgets = true }, { EIO, .happens = true }, { EIO }, { ENOSPC, .disk_is_full = true }, { EACCES },
};

struct calls {
    uint64_t struck; /* the number of the one that fails */
    enum disk_sim_kind struck_kind;
    unsigned sync_alls;
};

static void on_call(void *owner, const struct disk_sim_call *call)
{
    struct calls *calls = owner;
    if (call->number == calls->struck)
        calls->struck_kind = call->kind;
    calls->sync_alls += call->kind == DISK_SIM_SYNC_ALL;
}

/* Only a full disk is told so. */
static void check_codes(const struct scene *s, bool disk_is_full)
{
    for (size_t i = 0; i < s->plan->clients; i++)
        for (size_t box = 0; box < s->plan->recipients; box++)
            assert_true(disk_is_full || s->clients[i].codes[box] != 452);
}

/* Whether there was such a call. */
static bool fail_call(const struct scene_plan *plan, uint64_t nth, size_t fault, uint64_t *worlds)
{
    struct scene s;
    struct calls calls = { .struck = nth };
    scene_init(&s, plan);
    calls.struck += disk_sim_calls();
    disk_sim_set_hook(on_call, &calls);
    disk_sim_fail((struct disk_sim_fault){ .nth = nth,
                                           .error = faults[fault].error,
                                           .forgets = faults[fault].forgets,
                                           .happens = faults[fault].happens });
    scene_run(&s);
    bool was_made = disk_sim_failures() > 0;
    scene_check_refusals(&s);
    check_codes(&s, faults[fault].disk_is_full);
    assert_in_range(scene_staged(&s), 0, calls.struck_kind == DISK_SIM_UNLINK);
    scene_check_quotas(&s);
    if (!was_made)
        scene_check_success(&s);
    if (!was_made && plan->sync_alls > 0)
        assert_int_equal(calls.sync_alls, plan->sync_alls); /* there were such batches */
    *worlds += disk_sim_worlds(UINT64_MAX, look_at_refusals, &s);
    scene_clear(&s);
    return was_made;
}

static void every_call_fails(void **state)
{
    const struct scene_plan *plan = *state;
    uint64_t calls = 0, failures = 0, worlds = 0;
    for (size_t fault = 0; fault < G_N_ELEMENTS(faults); fault++, failures += calls)
        for (calls = 0; fail_call(plan, calls + 1, fault, &worlds);)
            calls++;
    printf("# %s: %u calls, %u failures, %u worlds after a crash\n", plan->name, (unsigned)calls,
           (unsigned)failures, (unsigned)worlds);
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

/* Whether there was such a call. */
static bool lose_before_call(const struct scene_plan *plan, uint64_t nth, const char *where, uint64_t *worlds)
{
    struct scene s;
    struct loss loss = { .at = nth, .where = where };
    scene_init(&s, plan);
    loss.at += disk_sim_calls();
    disk_sim_set_hook(lose_writes, &loss);
    scene_run(&s);
    scene_check_refusals(&s);
    if (!loss.happened)
        scene_check_success(&s);
    *worlds += disk_sim_worlds(UINT64_MAX, look, &s);
    scene_clear(&s);
    return loss.happened;
}

static void writes_are_lost_before_every_call(void **state)
{
    static const char *const disks[] = { "/mail", "/other" };
    const struct scene_plan *plan = *state;
    uint64_t calls = 0, worlds = 0;
    for (size_t disk = 0; disk < (plan->two_disks ? 2 : 1); disk++)
        for (calls = 0; lose_before_call(plan, calls + 1, disks[disk], &worlds);)
            calls++;
    printf("# %s: %u calls, %u worlds\n", plan->name, (unsigned)calls, (unsigned)worlds);
}

/* ---- the power fails ---- */

/* Without any fault. */
static uint64_t count_calls(const struct scene_plan *plan)
{
    struct scene s;
    scene_init(&s, plan);
    uint64_t before = disk_sim_calls();
    scene_run(&s);
    uint64_t count = disk_sim_calls() - before;
    scene_clear(&s);
    return count;
}

/* At call `nth`, after call `fails` has failed. Whether there was such a call. */
static bool cut_power(const struct scene_plan *plan, uint64_t fails, uint64_t nth, uint64_t *worlds)
{
    struct scene s;
    scene_init(&s, plan);
    disk_sim_fail((struct disk_sim_fault){ .nth = fails, .error = EIO, .forgets = fails % 2 == 0 });
    disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EIO, .for_ever = true });
    scene_run(&s);
    bool was_made = disk_sim_failures() > 1;
    *worlds += disk_sim_worlds(is_full() ? UINT64_MAX : WORLDS_OF_PAIRS, look, &s);
    scene_clear(&s);
    return was_made;
}

static void a_call_fails_and_then_the_power(void **state)
{
    const struct scene_plan *plan = *state;
    uint64_t calls = count_calls(plan), cuts = 0, worlds = 0;
    uint64_t step = is_full() ? 1 : 1 + calls / FAILURES_BEFORE;
    for (uint64_t fails = 1; fails <= calls; fails += step)
        for (uint64_t nth = fails + 1; cut_power(plan, fails, nth, &worlds); nth++)
            cuts++;
    printf("# %s: %u cuts, %u worlds\n", plan->name, (unsigned)cuts, (unsigned)worlds);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("faults");
    for (size_t i = 0; i < scene_plan_count; i++) {
        g_autofree char *fails = g_strconcat("every call fails: ", scene_plans[i].name, NULL);
        g_autofree char *power = g_strconcat("a call fails, and then the power: ", scene_plans[i].name, NULL);
        g_autofree char *lost = g_strconcat("writes are lost before every call: ", scene_plans[i].name, NULL);
        suite_add(s, fails, every_call_fails, (void *)&scene_plans[i]);
        suite_add(s, lost, writes_are_lost_before_every_call, (void *)&scene_plans[i]);
        suite_add(s, power, a_call_fails_and_then_the_power, (void *)&scene_plans[i]);
    }
    return suite_run(s, argc, argv);
}
