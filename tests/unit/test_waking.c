/* Waking behind others, each time in a process of its own, since a policy may be one that it cannot leave. */
#include <sched.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/waking.h"
#include "suite.h"

static bool change_and_take_back(void)
{
    bool is_changed = wake_behind_others() && sched_getscheduler(0) == SCHED_BATCH;
    bool is_changed_again = wake_behind_others();
    wake_as_usual();
    return is_changed && !is_changed_again && sched_getscheduler(0) == SCHED_OTHER;
}

static bool keep_what_was_chosen(void)
{
    const struct sched_param no_priority = { 0 };
    bool is_chosen = sched_setscheduler(0, SCHED_IDLE, &no_priority) == 0, is_changed = wake_behind_others();
    wake_as_usual();
    return is_chosen && !is_changed && sched_getscheduler(0) == SCHED_IDLE;
}

static void check_in_child(bool (*holds)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(holds() ? 0 : 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void check_taken_back(void **state)
{
    (void)state;
    check_in_child(change_and_take_back);
}

static void check_chosen(void **state)
{
    (void)state;
    check_in_child(keep_what_was_chosen);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("waking");
    suite_add(s, "behind others, until it is taken back", check_taken_back, NULL);
    suite_add(s, "another policy that was chosen stays", check_chosen, NULL);
    return suite_run(s, argc, argv);
}
