/*
 * postern-sim - worlds of postern, each from a seed: see world.h for what they are, plan.h for what one
 * consists of. `make check` calls it without arguments; tests/README.md tells how to use it by hand.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "plan.h"
#include "shrink.h"
#include "world.h"

enum { WORLDS = 4000, WORLDS_A_CASE = 500, WORLD_S = 600 };
#define WORLDS_TWICE 200 /* of which the events are compared, all of them */

/* ---- a world that fails tells how to run it again ---- */

static char replay[1024]; /* by the handler of a signal, which may do no more than write it */

static void tell_replay(void)
{
    ssize_t unused = write(STDERR_FILENO, replay, strlen(replay));
    (void)unused;
}

static void on_signal(int number)
{
    if (number == SIGALRM) {
        static const char text[] = "FAILED: a world that takes too long\n";
        ssize_t unused = write(STDERR_FILENO, text, sizeof text - 1);
        (void)unused;
    }
    tell_replay();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined __SANITIZE_ADDRESS__
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

/* Under AddressSanitizer all but two are its own. */
static void watch_signals(void)
{
    static const int numbers[] = { SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    size_t count = G_N_ELEMENTS(numbers);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(tell_replay);
    count = 2;
#endif
    for (size_t i = 0; i < count; i++)
        (void)signal(numbers[i], on_signal);
}

static const char *program; /* as it was called */

static void run(const struct plan *plan, struct trace_log *trace, struct figures *figures)
{
    g_autofree char *arguments = plan_arguments(plan);
    (void)snprintf(replay, sizeof replay, "# to run just it: %s %s\n", program, arguments);
    (void)alarm(WORLD_S);
    world_run(plan, trace, figures);
    (void)alarm(0);
}

/* ---- figures ---- */

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void tell(const struct figures *f, double took_s)
{
    printf("# %" PRIu64 " worlds, %" PRIu64 " lives (%" PRIu64 " drained, %" PRIu64 " killed, %" PRIu64
           " without power), %" PRIu64 " connections\n",
           f->worlds, f->lives, f->drained, f->killed, f->power_cuts, f->connections);
    printf("# %" PRIu64 " events, %" PRIu64 " disk calls, %" PRIu64 " of them failed, %" PRIu64
           " looks at files\n",
           f->events, f->calls, f->failures, f->looks);
    printf("# %" PRIu64 " messages promised, %" PRIu64 " kept, %" PRIu64 " refused\n", f->promises, f->kept,
           f->refused);
    double hours = (double)f->virtual_ms / 3600000;
    printf("# %.1f virtual hours in %.2f s: %.3f ms a world, %.2f virtual hours a second\n", hours, took_s,
           f->worlds > 0 ? took_s * 1000 / (double)f->worlds : 0, took_s > 0 ? hours / took_s : 0);
}

/* ---- many worlds ---- */

struct range {
    uint64_t first, count;
    char **knobs; /* "KNOB=VALUE", ends in NULL: of all of them */
};

static bool draw(struct plan *plan, uint64_t seed, char *const *knobs)
{
    plan_draw(plan, seed);
    for (; *knobs != NULL; knobs++)
        if (!plan_set(plan, *knobs))
            return false;
    return true;
}

static bool run_range(const struct range *r, struct trace_log *trace, struct figures *figures)
{
    for (uint64_t seed = r->first; seed < r->first + r->count; seed++) {
        struct plan plan;
        if (!draw(&plan, seed, r->knobs))
            return false;
        run(&plan, trace, figures);
    }
    return true;
}

/* `digested`: prints one number for all of them, for comparing builds and machines. */
static int run_seeds(const struct range *r, bool digested)
{
    struct figures figures = { 0 };
    struct trace_log *trace = digested ? trace_log_new(NULL) : NULL;
    double from = seconds(CLOCK_PROCESS_CPUTIME_ID);
    bool good = run_range(r, trace, &figures);
    if (digested)
        printf("%016" PRIx64 "\n", trace_log_digest(trace));
    else
        tell(&figures, seconds(CLOCK_PROCESS_CPUTIME_ID) - from);
    trace_log_free(trace);
    return good ? 0 : 2;
}

/* In a process of its own, so that the others are run as well when it fails. */
static bool run_case(const struct range *range, struct figures *shared)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)run_range(range, NULL, shared);
        exit(0); /* not _exit: what measures or checks at its end does */
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text != NULL && *text != '\0' ? g_ascii_strtoull(text, NULL, 0) : fallback;
}

/* What a process of its own, which lies elsewhere in memory, makes of the first worlds. */
static char *digest_elsewhere(uint64_t first)
{
    g_autofree char *seed = g_strdup_printf("%" PRIu64, first), *out = NULL;
    char count[] = G_STRINGIFY(WORLDS_TWICE);
    char *arguments[] = { (char *)program, (char[]){ "--seeds" }, seed, count, (char[]){ "--digest" }, NULL };
    int status = -1;
    bool ran = g_spawn_sync(NULL, arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status, NULL);
    return ran && status == 0 ? g_steal_pointer(&out) : NULL;
}

static bool are_the_same(uint64_t first)
{
    g_autofree char *one = digest_elsewhere(first), *other = digest_elsewhere(first);
    return one != NULL && other != NULL && strcmp(one, other) == 0;
}

static bool tell_case(uint64_t number, bool good, const char *name)
{
    printf("%s %" PRIu64 " - %s\n", good ? "ok" : "not ok", number, name);
    return good;
}

static int run_tap(void)
{
    uint64_t first = number_from("SIM_FIRST", 1), count = number_from("SIM_SEEDS", WORLDS), failed = 0;
    struct figures *figures =
        mmap(NULL, sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (figures == MAP_FAILED)
        return 1;
    double from = seconds(CLOCK_MONOTONIC);
    uint64_t cases = (count + WORLDS_A_CASE - 1) / WORLDS_A_CASE;
    printf("1..%" PRIu64 "\n", cases + 1);
    for (uint64_t i = 0; i < cases; i++) {
        char *no_knobs[] = { NULL };
        const struct range range = { first + i * WORLDS_A_CASE, MIN(WORLDS_A_CASE, count - i * WORLDS_A_CASE),
                                     no_knobs };
        g_autofree char *name =
            g_strdup_printf("worlds %" PRIu64 " to %" PRIu64, range.first, range.first + range.count - 1);
        failed += !tell_case(i + 1, run_case(&range, figures), name);
    }
    failed += !tell_case(cases + 1, are_the_same(first), "the first worlds are the same in another process");
    tell(figures, seconds(CLOCK_MONOTONIC) - from);
    (void)munmap(figures, sizeof *figures);
    return failed > 0;
}

/* ---- one world ---- */

static int run_one(const struct plan *plan, bool traced, bool digested)
{
    struct figures figures = { 0 };
    struct trace_log *trace = traced || digested ? trace_log_new(traced ? stdout : NULL) : NULL;
    double from = seconds(CLOCK_PROCESS_CPUTIME_ID);
    run(plan, trace, &figures);
    if (digested)
        printf("%016" PRIx64 "\n", trace_log_digest(trace));
    else if (!traced)
        tell(&figures, seconds(CLOCK_PROCESS_CPUTIME_ID) - from);
    trace_log_free(trace);
    return 0;
}

static int run_shrink(struct plan *plan)
{
    if (!shrink(plan)) {
        printf("it does not fail\n");
        return 1;
    }
    g_autofree char *arguments = plan_arguments(plan);
    printf("%s %s\n", program, arguments);
    return 0;
}

static int help(void)
{
    printf("usage: %s                         the worlds of `make check`: SIM_SEEDS many, from SIM_FIRST on\n"
           "       %s SEED [KNOB=VALUE...]    one world\n"
           "         --trace                 tells all that happens in it\n"
           "         --digest                prints one number for all that\n"
           "         --shrink                looks for a smaller one that fails in the same way\n"
           "       %s --seeds FIRST COUNT [KNOB=VALUE...] [--digest]\n\nknobs:\n",
           program, program, program);
    for (size_t i = 0; i < plan_knob_count; i++)
        printf("  %-12s %s\n", plan_knobs[i].name, plan_knobs[i].sentence);
    return 0;
}

static int misused(const char *what)
{
    (void)fprintf(stderr, "%s: %s; see --help\n", program, what);
    return 2;
}

static bool take_flag(int *argc, char **argv, const char *flag)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], flag) != 0)
            continue;
        memmove(&argv[i], &argv[i + 1], sizeof *argv * (size_t)(*argc - i));
        (*argc)--;
        return true;
    }
    return false;
}

/* The next world needs as much: given back to the system, it would cost a fault for each page. */
static void keep_freed_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 16 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

int main(int argc, char **argv)
{
    memory_init(argv);
    keep_freed_memory();
    program = argv[0];
    if (argc == 1) {
        watch_signals();
        return run_tap();
    }
    if (take_flag(&argc, argv, "--help"))
        return help();
    bool traced = take_flag(&argc, argv, "--trace"), digested = take_flag(&argc, argv, "--digest");
    bool shrinks = take_flag(&argc, argv, "--shrink"), many = take_flag(&argc, argv, "--seeds");
    if (argc < 2 + many || !g_ascii_isdigit(argv[1][0]) || (many && !g_ascii_isdigit(argv[2][0])))
        return misused(many ? "--seeds takes two numbers" : "no seed");
    uint64_t seed = g_ascii_strtoull(argv[1], NULL, 0);
    watch_signals();
    if (many)
        return run_seeds(&(struct range){ seed, g_ascii_strtoull(argv[2], NULL, 0), argv + 3 }, digested);
    struct plan plan;
    if (!draw(&plan, seed, argv + 2))
        return 2;
    return shrinks ? run_shrink(&plan) : run_one(&plan, traced, digested);
}
