/*
 * Plans of worlds: what is given on the command line changes that and nothing else, and what is printed makes
 * the same world again.
 */
#include "suite.h"

#include <string.h>

#include "plan.h"

enum { SEEDS = 200 };

/* A value of its own for each knob, which no draw gives. */
static uint64_t other_value(size_t knob)
{
    return UINT64_C(1000000000) + knob;
}

static void one_knob_changes_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < plan_knob_count; i++) {
        struct plan usual, changed;
        plan_draw(&usual, 1);
        plan_draw(&changed, 1);
        g_autofree char *text = g_strdup_printf("%s=%" G_GUINT64_FORMAT, plan_knobs[i].name, other_value(i));
        assert_true(plan_set(&changed, text));
        for (size_t other = 0; other < plan_knob_count; other++) {
            uint64_t value = *plan_knob_value(&changed, &plan_knobs[other]);
            uint64_t drawn = *plan_knob_value(&usual, &plan_knobs[other]);
            assert_int_equal(value, other == i ? other_value(i) : drawn);
        }
    }
}

static void set_all(struct plan *p, char *const *arguments)
{
    for (; *arguments != NULL; arguments++)
        assert_true(plan_set(p, *arguments));
}

/* What belongs to a life that there is not need not be told. */
static void arguments_make_the_same_world(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < SEEDS; seed++) {
        struct plan plan, again;
        plan_draw(&plan, seed);
        plan.lives = PLAN_LIVES;
        const struct plan_knob *knob = &plan_knobs[seed % plan_knob_count];
        *plan_knob_value(&plan, knob) = knob->least;
        plan.clients = 0x5;
        g_autofree char *text = plan_arguments(&plan);
        g_auto(GStrv) arguments = g_strsplit(text, " ", -1);
        plan_draw(&again, g_ascii_strtoull(arguments[0], NULL, 10));
        set_all(&again, arguments + 1);
        for (size_t i = 0; plan.lives == PLAN_LIVES && i < plan_knob_count; i++)
            assert_int_equal(*plan_knob_value(&again, &plan_knobs[i]),
                             *plan_knob_value(&plan, &plan_knobs[i]));
    }
}

static void an_unchanged_world_is_its_seed(void **state)
{
    (void)state;
    struct plan plan;
    plan_draw(&plan, 4711);
    g_autofree char *text = plan_arguments(&plan);
    assert_string_equal(text, "4711");
}

static void worlds_differ(void **state)
{
    (void)state;
    for (size_t i = 0; i < plan_knob_count; i++) {
        GHashTable *values = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        for (uint64_t seed = 1; seed < SEEDS; seed++) {
            struct plan plan;
            plan_draw(&plan, seed);
            g_hash_table_add(values, g_memdup2(plan_knob_value(&plan, &plan_knobs[i]), sizeof(uint64_t)));
        }
        assert_true(g_hash_table_size(values) > 1);
        g_hash_table_destroy(values);
    }
}

static const struct bad_row {
    const char *name, *text;
} bad_rows[] = {
    { "not a knob", "clinets=1" },
    { "no value", "clients=" },
    { "no sign", "clients" },
    { "no number", "clients=x" },
    { "more than a number", "clients=1x" },
    { "nothing", "" },
};

static void check_bad(void **state)
{
    const struct bad_row *row = *state;
    struct plan plan, usual;
    plan_draw(&plan, 1);
    plan_draw(&usual, 1);
    assert_false(plan_set(&plan, row->text));
    assert_memory_equal(&plan, &usual, sizeof plan);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("plan");
    suite_add(s, "one knob changes no other", one_knob_changes_no_other, NULL);
    suite_add(s, "arguments make the same world", arguments_make_the_same_world, NULL);
    suite_add(s, "an unchanged world is its seed", an_unchanged_world_is_its_seed, NULL);
    suite_add(s, "worlds differ in everything", worlds_differ, NULL);
    suite_add_rows(s, bad_rows, check_bad);
    return suite_run(s, argc, argv);
}
