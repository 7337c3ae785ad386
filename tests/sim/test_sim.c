/*
 * Worlds by the hundred, each from a seed. `test_sim SEED` runs just one; SIM_SEEDS=N runs that many,
 * SIM_FIRST=S from S on. A failing world prints its seed.
 */
#include "suite.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

enum { WORLDS = 400, WORLDS_A_CASE = 50 };

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text != NULL ? g_ascii_strtoull(text, NULL, 10) : fallback;
}

struct range {
    uint64_t first, count;
};

static void run_range(void **state)
{
    const struct range *range = *state;
    for (uint64_t seed = range->first; seed < range->first + range->count; seed++) {
        printf("# seed %" G_GUINT64_FORMAT "\n", seed); /* the last one told is the one that failed */
        (void)fflush(stdout);
        world_run(seed);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("sim");
    uint64_t first = number_from("SIM_FIRST", 1), count = number_from("SIM_SEEDS", WORLDS);
    g_autoptr(GPtrArray) ranges = g_ptr_array_new_with_free_func(g_free);
    if (argc > 1 && g_ascii_isdigit(argv[1][0])) {
        first = g_ascii_strtoull(argv[1], NULL, 10);
        count = 1;
        argc = 1;
    }
    for (uint64_t done = 0; done < count; done += WORLDS_A_CASE) {
        struct range range = { first + done, MIN(WORLDS_A_CASE, count - done) };
        g_autofree char *name = g_strdup_printf("worlds %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                                                range.first, range.first + range.count - 1);
        g_ptr_array_add(ranges, g_memdup2(&range, sizeof range));
        suite_add(s, name, run_range, g_ptr_array_index(ranges, ranges->len - 1));
    }
    return suite_run(s, argc, argv);
}
