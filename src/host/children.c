#include "host/children.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int children_open(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", (int)gettid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* Whether any was there to be killed. The list is numbers, each with a blank behind it; what is cut off
 * without one comes again in the next round. */
static bool kill_listed(int list)
{
    char text[4096];
    ssize_t len = pread(list, text, sizeof text, 0);
    bool any = false;
    pid_t pid = 0;
    for (ssize_t i = 0; i < len; i++) {
        if (g_ascii_isdigit(text[i])) {
            pid = pid * 10 + (text[i] - '0');
            continue;
        }
        any |= pid > 0 && kill(pid, SIGKILL) == 0;
        pid = 0;
    }
    return any;
}

bool children_end(int list)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
        if (pid < 0)
            return true; /* ECHILD: none is left */
        if (pid > 0)
            continue;
        if (list < 0 || !kill_listed(list))
            return false;
        (void)waitpid(-1, NULL, __WALL); /* one at least is about to end; its children become ours */
    }
}
