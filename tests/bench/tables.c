/*
 * A table of aliases in a file: how long it takes to load, what it takes of memory, and to look up.
 *
 *   tables local|chain|address COUNT
 *
 * Each of COUNT names has one target: the name of a mailbox, the next one of these names, so that as many
 * follow one another as may, or an address. Told are: octets of the file; milliseconds of CPU until it is
 * loaded, and of these for circles to be looked for, the best of some runs; octets of memory for each name,
 * and at the most while it is loaded; nanoseconds of a look-up, of names that are there and of ones that are
 * not.
 */
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/auto.h"
#include "base/random.h"
#include "delivery/circles.h"
#include "delivery/route.h"
#include "delivery/router.h"
#include "delivery/table.h"
#include "smtp/address.h"

enum { RUNS = 5, LOOKUPS = 1000 * 1000 };

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "tables: %s\n", why);
    exit(1);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Resident octets that are this process's own. */
static double resident(void)
{
    g_autofree char *text = NULL;
    long pages, resident_pages, shared_pages;
    if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL) ||
        sscanf(text, "%ld %ld %ld", &pages, &resident_pages, &shared_pages) != 3)
        die("/proc is needed");
    return (double)(resident_pages - shared_pages) * (double)sysconf(_SC_PAGESIZE);
}

/* What a router asks of a target. */
static bool accepts(const void *owner, const char *value, char **ret_expected)
{
    (void)owner, (void)ret_expected;
    char name[MAILBOX_NAME_MAX + 1];
    struct smtp_address a;
    if (strchr(value, '@') == NULL)
        return mailbox_name(slice_str(value), name) == 0;
    return smtp_address_parse(slice_str(value), &a) == 0 &&
           smtp_domain_canonical(slice_of(a.domain, a.domain_len), (char[SMTP_DOMAIN_MAX + 1]){ 0 }) == 0;
}

static void append_name(GString *text, unsigned i)
{
    g_string_append_printf(text, "firstname.lastname%u", i);
}

static GString *make_file(const char *kind, unsigned count)
{
    GString *text = g_string_new("# aliases\n");
    for (unsigned i = 0; i < count; i++) {
        append_name(text, i);
        if (strcmp(kind, "local") == 0)
            g_string_append_printf(text, ": mailbox%u\n", i);
        else if (strcmp(kind, "address") == 0)
            g_string_append_printf(text, ": mailbox%u@example.org\n", i);
        else if (i % ROUTE_DEPTH == ROUTE_DEPTH - 1)
            g_string_append(text, ": mailbox\n");
        else
            g_string_append_printf(text, ": firstname.lastname%u\n", i + 1);
    }
    return text;
}

static struct table *open_table(const char *path)
{
    static const struct table_rules rules = { .accepts = accepts, .follows = true };
    auto_val(diag) problems = { NULL };
    struct table *t = table_open(path, &rules, (struct origin){ "tables", 0 }, &problems);
    diag_print(&problems, stderr);
    if (t == NULL)
        die("the table cannot be opened");
    return t;
}

/* As the aliases of a domain. */
static void look_for_circles(struct table *t)
{
    auto_val(diag) problems = { NULL };
    auto_ptr(router) router = router_new();
    const struct domain_options options = { .maildirs = "/", .aliases = t, .subaddress = "+" };
    if (router_add_domain(router, "example.org", &options) < 0)
        die("the domain cannot be added");
    circles_find(router, NULL, &problems);
    diag_print(&problems, stderr);
    if (diag_count(&problems) > 0)
        die("there are circles");
}

static double time_lookups(struct table *t, unsigned first, unsigned count)
{
    struct pst_random random;
    pst_random_seed(&random, 1);
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) names = g_string_new(NULL); /* each ends in NUL */
    for (unsigned i = 0; i < LOOKUPS; i++) {
        append_name(names, first + (unsigned)pst_random_below(&random, count));
        g_string_append_c(names, '\0');
    }
    double start = cpu_ns();
    for (const char *at = names->str; at < names->str + names->len; at += strlen(at) + 1) {
        char *why;
        (void)table_find(t, at, "example.org", values, &why); /* either result is asked for */
        g_ptr_array_set_size(values, 0);
    }
    return (cpu_ns() - start) / LOOKUPS;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("the top of tables.c tells what it is told");
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    GString *text = make_file(argv[1], count);
    size_t size = text->len;
    g_autofree char *path = g_strdup_printf("%s/postern-tables-XXXXXX", g_get_tmp_dir());
    auto_fd int fd = g_mkstemp(path);
    if (fd < 0 || !g_file_set_contents(path, text->str, (gssize)text->len, NULL))
        die("no temporary file");
    g_string_free(text, TRUE);

    double before = resident(), best = 0, circles = 0;
    struct table *t = NULL;
    for (int i = 0; i < RUNS; i++) {
        table_free(t);
        double start = cpu_ns();
        t = open_table(path);
        double loaded = cpu_ns();
        look_for_circles(t);
        double end = cpu_ns();
        circles = i == 0 || end - start < best ? end - loaded : circles;
        best = i == 0 ? end - start : MIN(best, end - start);
    }
    double kept = resident() - before;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%s: %.1f MB, loaded in %.0f ms (circles: %.0f ms), %.0f octets of memory a name (at most %.0f MB "
           "in all), "
           "%.0f ns to find one, %.0f ns to find none\n",
           argv[1], (double)size / 1e6, best / 1e6, circles / 1e6, kept / count,
           (double)usage.ru_maxrss * 1024 / 1e6, time_lookups(t, 0, count),
           time_lookups(t, count + 1, count));
    table_free(t);
    (void)unlink(path); /* it is only a temporary one */
    return 0;
}
