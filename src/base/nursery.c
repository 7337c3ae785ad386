#include "base/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

struct nursery {
    const char *name, *program;
    int fds[NURSERY_DESCRIPTORS];
    unsigned fd_count;
};

static bool say(int fd, nursery_word word)
{
    return send(fd, &word, sizeof word, MSG_NOSIGNAL) == sizeof word;
}

/* Behind all other sessions. Everybody's changes together are ten a second at most; 0, or -errno. */
static int session_stand_back(void)
{
    static const char lowest[] = "19";
    int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno; /* the kernel does not share processors so */
    int r = write(fd, lowest, sizeof lowest - 1) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

/* False at the end of the socket. */
static bool await_order(struct nursery *n)
{
    nursery_word word;
    struct iovec io = { &word, sizeof word };
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof n->fds)];
    struct msghdr message = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room
    };
    ssize_t len;
    do {
        len = recvmsg(NURSERY_FD, &message, MSG_CMSG_CLOEXEC);
    } while (len < 0 && errno == EINTR);
    if (len <= 0)
        return false;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    size_t octets = c != NULL && c->cmsg_type == SCM_RIGHTS ? c->cmsg_len - CMSG_LEN(0) : 0;
    n->fd_count = (unsigned)(octets / sizeof n->fds[0]);
    if (octets > 0)
        memcpy(n->fds, CMSG_DATA(c), octets);
    return true;
}

/*
 * In the new process, while the nursery waits for its program. What was received has numbers from 4 on, in
 * their order: so none is overwritten before it has its new one.
 */
static _Noreturn void become(const struct nursery *n)
{
    int control = fcntl(NURSERY_FD, F_DUPFD_CLOEXEC, NURSERY_FD + 1 + NURSERY_DESCRIPTORS);
    nursery_word word;
    if (control < 0 || !say(control, getpid()) || recv(control, &word, sizeof word, 0) != sizeof word)
        _exit(EX_OSERR); /* nobody is there to tell */
    bool is_set = true;
    for (unsigned i = 0; i < n->fd_count && is_set; i++)
        is_set = dup2(n->fds[i], (int)i) >= 0;
    char *const argv[] = { (char *)n->name, NULL };
    if (is_set)
        (void)execv(n->program, argv);
    (void)say(control, -errno);
    _exit(127); /* as shells say it */
}

/* False when nobody listens any more. */
static bool bear(const struct nursery *n)
{
    /* vfork's waiting, so that only one of the two talks; its shared memory is not worth its dangers here. */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    int error = errno;
    if (pid == 0)
        become(n);
    for (unsigned i = 0; i < n->fd_count; i++)
        (void)close(n->fds[i]);
    return (pid > 0 || say(NURSERY_FD, -error)) && say(NURSERY_FD, 0);
}

void nursery_run(const char *name, const char *program)
{
    enum { AGAIN_MS = 100 };
    struct nursery n = { .name = name, .program = program };
    (void)prctl(PR_SET_NAME, "postern-nursery"); /* in lists of processes */
    (void)setsid();                              /* fails when it leads one already */
    bool is_settled = session_stand_back() != -EAGAIN;
    for (;;) {
        struct pollfd control = { .fd = NURSERY_FD, .events = POLLIN };
        if (!is_settled && poll(&control, 1, AGAIN_MS) == 0)
            is_settled = session_stand_back() != -EAGAIN;
        else if (!await_order(&n) || !bear(&n))
            _exit(EX_OK);
    }
}
