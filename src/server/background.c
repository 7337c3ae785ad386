#include "server/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"

static int wait_until_ready(int fd, pid_t child)
{
    char byte;
    ssize_t n;
    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        return EXIT_SUCCESS;
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int background_enter(struct background *b, bool *ret_waited, int *ret_status)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    auto_fd int reading = ends[0];
    auto_fd int writing = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    *ret_waited = pid > 0;
    if (pid > 0) {
        (void)close(steal_fd(&writing)); /* or we would never see the end of it */
        *ret_status = wait_until_ready(reading, pid);
        return 0;
    }
    (void)setsid(); /* cannot fail: a new process leads no group */
    b->ready = steal_fd(&writing);
    return 0;
}

void background_ready(struct background *b)
{
    if (b->ready < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
        (void)dup2(null, fd); /* at worst the terminal stays open */
    if (null > STDERR_FILENO)
        (void)close(null);
    (void)!write(b->ready, "", 1); /* who waited may have gone away */
    (void)close(b->ready);
    b->ready = -1;
}
