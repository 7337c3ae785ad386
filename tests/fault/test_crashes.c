/*
 * Crash consistency, enumerated. Each disk call of a delivery is a point where the power fails, and so is the
 * end; each point is the root of all worlds that the disk may be found in: each change of names that was not
 * synced is kept or lost, and the unsynced ends of all files are lost, torn, zeroed or kept. No combination
 * is left out; only where a file is torn is drawn. In each world what a client was told 250 of is there once
 * and whole, and nothing is there in part. And life goes on: in each, another worker removes what is stale,
 * delivers one more message, and once it has said 250 of that, the power fails again, with all that may come
 * of it.
 *
 * The same where only the worker is killed: it is another worker that finds all that was not synced, and
 * trusts it, before the power fails.
 */
#include "suite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "scene.h"

struct tally {
    uint64_t calls, points, worlds, lives, later_worlds;
};

struct crashes {
    const struct scene_plan *plan;
    struct tally *power, *kills;
};

struct world {
    struct scene *scene;
    struct tally *tally;
};

static void look(void *scene)
{
    scene_check(scene);
}

/* All of them. */
static uint64_t look_at_worlds(struct scene *s)
{
    return disk_sim_worlds(UINT64_MAX, look, s);
}

static void go_on(void *owner)
{
    struct world *w = owner;
    struct scene s = *w->scene;
    scene_resume(&s);
    scene_check(&s);
    w->tally->lives++;
    w->tally->later_worlds += look_at_worlds(&s);
    scene_forget(&s);
}

static void look_and_go_on(void *world)
{
    scene_check(((struct world *)world)->scene);
    disk_sim_branch(go_on, world);
}

/* Nothing reaches the disk from that call on. Whether there was one; else it is the end that is the point. */
static bool run_until_call(struct scene *s, const struct scene_plan *plan, uint64_t nth)
{
    scene_init(s, plan);
    disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EIO, .for_ever = true });
    scene_run(s);
    bool was_made = disk_sim_failures() > 0;
    disk_sim_heal();
    return was_made;
}

static bool cut_power(const struct scene_plan *plan, uint64_t nth, struct tally *t)
{
    struct scene s;
    bool was_made = run_until_call(&s, plan, nth);
    struct world w = { .scene = &s, .tally = t };
    t->points++;
    t->calls += was_made;
    t->worlds += disk_sim_worlds(UINT64_MAX, look_and_go_on, &w);
    scene_clear(&s);
    return was_made;
}

static bool kill_worker(const struct scene_plan *plan, uint64_t nth, struct tally *t)
{
    struct scene s;
    bool was_made = run_until_call(&s, plan, nth);
    t->points++;
    t->calls += was_made;
    scene_check(&s);
    scene_resume(&s);
    scene_check(&s);
    t->lives++;
    t->later_worlds += look_at_worlds(&s);
    scene_clear(&s);
    return was_made;
}

static void add(struct tally *sum, const struct tally *t)
{
    sum->calls += t->calls;
    sum->points += t->points;
    sum->worlds += t->worlds;
    sum->lives += t->lives;
    sum->later_worlds += t->later_worlds;
}

static void the_power_fails_at_every_call(void **state)
{
    const struct crashes *c = *state;
    struct tally t = { 0 };
    for (uint64_t nth = 1; cut_power(c->plan, nth, &t);)
        nth++;
    printf("# %s: %" PRIu64 " calls, %" PRIu64 " crash points, %" PRIu64 " worlds, %" PRIu64
           " worlds of their second crash\n",
           c->plan->name, t.calls, t.points, t.worlds, t.later_worlds);
    add(c->power, &t);
}

static void the_worker_is_killed_at_every_call(void **state)
{
    const struct crashes *c = *state;
    struct tally t = { 0 };
    for (uint64_t nth = 1; kill_worker(c->plan, nth, &t);)
        nth++;
    add(c->kills, &t);
}

int main(int argc, char **argv)
{
    struct tally power = { 0 }, kills = { 0 };
    g_autofree struct crashes *crashes = g_new0(struct crashes, scene_plan_count);
    struct suite *s = suite_new("crashes");
    for (size_t i = 0; i < scene_plan_count; i++) {
        crashes[i] = (struct crashes){ &scene_plans[i], &power, &kills };
        g_autofree char *cut = g_strconcat("the power fails at every call: ", scene_plans[i].name, NULL);
        g_autofree char *killed =
            g_strconcat("the worker is killed at every call: ", scene_plans[i].name, NULL);
        suite_add(s, cut, the_power_fails_at_every_call, &crashes[i]);
        suite_add(s, killed, the_worker_is_killed_at_every_call, &crashes[i]);
    }
    int status = suite_run(s, argc, argv);
    printf("# in all: %zu scenarios, %" PRIu64 " calls, %" PRIu64 " crash points, %" PRIu64
           " worlds, %" PRIu64 " workers that went on, %" PRIu64 " worlds of the crash behind them\n",
           scene_plan_count, power.calls, power.points + kills.points, power.worlds,
           power.lives + kills.lives, power.later_worlds + kills.later_worlds);
    return status;
}
