/* Standing back, each time in a process of its own, since there is no way forth again. */
#include <glib.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stand_back.h"
#include "suite.h"

/* Whether `holds` says so of a process that has stood back. */
static bool child_says(uint64_t spare_processors, bool (*holds)(const void *arg), const void *arg)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        stand_back(spare_processors);
        _exit(holds(arg) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static bool may_use(const void *set)
{
    cpu_set_t now;
    return sched_getaffinity(0, sizeof now, &now) == 0 && CPU_EQUAL(&now, (const cpu_set_t *)set);
}

static void check_processors(void **state)
{
    (void)state;
    cpu_set_t all, without_last, first;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    size_t lowest = CPU_SETSIZE, highest = 0;
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all)) {
            lowest = MIN(lowest, i);
            highest = i;
        }
    }
    CPU_ZERO(&first);
    CPU_SET(lowest, &first);
    without_last = all;
    if (highest > lowest)
        CPU_CLR(highest, &without_last);
    assert_true(child_says(0, may_use, &all));
    assert_true(child_says(1, may_use, &without_last));
    assert_true(child_says((uint64_t)CPU_COUNT(&all) - 1, may_use, &first));
    assert_true(child_says((uint64_t)CPU_COUNT(&all), may_use, &first));
    assert_true(child_says(UINT64_MAX, may_use, &first));
}

static bool is_nicer(const void *former)
{
    return getpriority(PRIO_PROCESS, 0) == MIN(19, *(const int *)former + 10);
}

static void check_priority(void **state)
{
    (void)state;
    int now = getpriority(PRIO_PROCESS, 0);
    assert_true(child_says(0, is_nicer, &now));
}

/* Nanoseconds; 0 before Linux 6.12, where there is no slice to ask for, and where the kernel does not tell.
 */
static uint64_t own_slice(void)
{
    g_autofree char *text = NULL;
    bool told = g_file_get_contents("/proc/self/sched", &text, NULL, NULL);
    const char *line = told ? strstr(text, "\nse.slice") : NULL;
    return line == NULL ? 0 : strtoull(strchr(line, ':') + 1, NULL, 10);
}

/* Than everybody's; but not so long that one of them waits for another one. */
static bool has_longer_slices(const void *arg)
{
    const uint64_t *usual = arg, longest = 10 * 1000 * 1000;
    return *usual == 0 || (own_slice() > *usual && own_slice() <= longest);
}

static void check_slices(void **state)
{
    (void)state;
    uint64_t usual = own_slice();
    assert_true(child_says(0, has_longer_slices, &usual));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("stand_back");
    suite_add(s, "processors are left to others, but for one", check_processors, NULL);
    suite_add(s, "others go first", check_priority, NULL);
    suite_add(s, "who needs the processor for short goes first", check_slices, NULL);
    return suite_run(s, argc, argv);
}
