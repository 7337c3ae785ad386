#include "shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"
#include "world.h"

enum { TRY_S = 60, TOLD_MAX = 4096 };

/* ---- one try ---- */

static _Noreturn void run_in_child(const struct plan *plan, int out)
{
    struct figures figures = { 0 };
    (void)dup2(out, STDERR_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)alarm(TRY_S);
    world_run(plan, NULL, &figures);
    _exit(0);
}

static char *read_all(int in)
{
    GString *text = g_string_new(NULL);
    char bytes[TOLD_MAX];
    ssize_t got;
    while ((got = read(in, bytes, sizeof bytes)) > 0)
        if (text->len < TOLD_MAX)
            g_string_append_len(text, bytes, got);
    return g_string_free(text, FALSE);
}

/* Seeds, sizes, paths and addresses differ from world to world. */
static char *keep_words(char *take_text)
{
    static const char *const marks[] = { "FAILED: ", "ERROR: ", "runtime error: ", "panic: " };
    g_autofree char *text = take_text;
    const char *from = text;
    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
        const char *at = strstr(text, marks[i]);
        if (at != NULL) {
            from = at;
            break;
        }
    }
    GString *words = g_string_new(NULL);
    for (const char *at = from; *at != '\0' && *at != '\n'; at++)
        if (g_ascii_isalpha(*at) || *at == ' ')
            g_string_append_c(words, *at);
        else if (strchr(":(/=", *at) != NULL && words->len > strlen(marks[0]) + 4)
            break;
    return g_string_free(words, FALSE);
}

/* How the world fails, in words; NULL: it does not. */
static char *failure_of(const struct plan *plan)
{
    int ends[2], status = 0;
    (void)fflush(NULL);
    if (pipe(ends) < 0)
        abort();
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        (void)close(ends[0]);
        run_in_child(plan, ends[1]);
    }
    (void)close(ends[1]);
    char *told = read_all(ends[0]);
    (void)close(ends[0]);
    (void)waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        g_free(told);
        return NULL;
    }
    return keep_words(told);
}

/* ---- smaller and smaller ---- */

struct search {
    struct plan *best;
    const char *failure;
    unsigned tries;
};

static bool try(struct search *s, const struct plan_knob *knob, uint64_t value)
{
    struct plan plan = *s->best;
    if (*plan_knob_value(&plan, knob) == value)
        return false;
    *plan_knob_value(&plan, knob) = value;
    g_autofree char *failure = failure_of(&plan);
    s->tries++;
    if (failure == NULL || strcmp(failure, s->failure) != 0)
        return false;
    *s->best = plan;
    g_autofree char *arguments = plan_arguments(&plan);
    (void)fprintf(stderr, "# still: %s\n", arguments);
    return true;
}

static bool drop_bits(struct search *s, const struct plan_knob *knob)
{
    bool less = false;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = *plan_knob_value(s->best, knob);
        if ((value >> bit & 1) != 0 && (value & ~(UINT64_C(1) << bit)) != 0)
            less = try(s, knob, value & ~(UINT64_C(1) << bit)) || less;
    }
    return less;
}

static bool bisect(struct search *s, const struct plan_knob *knob)
{
    bool less = false;
    uint64_t good = knob->least, bad = *plan_knob_value(s->best, knob);
    while (bad > good + 1) {
        uint64_t middle = good + (bad - good) / 2;
        if (try(s, knob, middle)) {
            bad = middle;
            less = true;
        } else {
            good = middle;
        }
    }
    return less;
}

static bool shrink_knob(struct search *s, const struct plan_knob *knob)
{
    uint64_t value = *plan_knob_value(s->best, knob);
    if (value == knob->least)
        return false;
    if (try(s, knob, knob->least))
        return true;
    if (knob->is_mask)
        return drop_bits(s, knob);
    return value > knob->least && bisect(s, knob);
}

bool shrink(struct plan *plan)
{
    g_autofree char *failure = failure_of(plan);
    if (failure == NULL)
        return false;
    (void)fprintf(stderr, "# fails: %s\n", failure);
    struct search s = { .best = plan, .failure = failure };
    bool less = true;
    while (less) {
        less = false;
        for (size_t i = 0; i < plan_knob_count; i++)
            less = shrink_knob(&s, &plan_knobs[i]) || less;
    }
    (void)fprintf(stderr, "# %u tries\n", s.tries);
    return true;
}
