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

struct order {
    const char *name, *program;
    int fds[1 + NURSERY_DESCRIPTORS]; /* the socket of the birth before the others */
    unsigned fd_count;
};

/* To nobody, perhaps. */
static void say(int fd, nursery_word word)
{
    (void)send(fd, &word, sizeof word, MSG_NOSIGNAL);
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

static void close_all(struct order *o)
{
    for (unsigned i = 0; i < o->fd_count; i++)
        (void)close(o->fds[i]);
    o->fd_count = 0;
}

/* False at the end of the orders. Without descriptors it was none. */
static bool await_order(struct order *o)
{
    char octet;
    struct iovec io = { &octet, sizeof octet };
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof o->fds)];
    struct msghdr message = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room
    };
    o->fd_count = 0;
    ssize_t len = recvmsg(NURSERY_FD, &message, MSG_CMSG_CLOEXEC);
    if (len <= 0)
        return len < 0 && errno == EINTR;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    size_t octets = c != NULL && c->cmsg_type == SCM_RIGHTS ? c->cmsg_len - CMSG_LEN(0) : 0;
    o->fd_count = (unsigned)(octets / sizeof o->fds[0]);
    if (octets > 0)
        memcpy(o->fds, CMSG_DATA(c), octets);
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
        if (o->fd_count > 0)
            say(o->fds[0], -EMFILE);
        close_all(o);
    }
    return true;
}

/*
 * In the new process, while the nursery waits for its program. What was received has numbers from 4 on, in
 * their order: so none but the socket is overwritten before it has its new one.
 */
static _Noreturn void be_born(const struct order *o)
{
    enum { NO_PROGRAM = 127 }; /* as shells say it */
    nursery_word word;
    say(o->fds[0], getpid());
    ssize_t len;
    do {
        len = recv(o->fds[0], &word, sizeof word, 0);
    } while (len < 0 && errno == EINTR);
    if (len <= 0)
        _exit(NO_PROGRAM); /* nobody wants it any more */
    int birth = fcntl(o->fds[0], F_DUPFD_CLOEXEC, NURSERY_FD + 1 + NURSERY_DESCRIPTORS);
    if (birth < 0) {
        say(o->fds[0], -errno);
        _exit(NO_PROGRAM);
    }
    bool is_set = true;
    for (unsigned i = 1; i < o->fd_count && is_set; i++)
        is_set = dup2(o->fds[i], (int)i - 1) >= 0;
    char *const argv[] = { (char *)o->name, NULL };
    if (is_set)
        (void)execv(o->program, argv);
    say(birth, -errno);
    _exit(NO_PROGRAM);
}

/* vfork's waiting keeps it in order; its shared memory is not worth its dangers here. */
static pid_t new_process(void)
{
    const long flags = CLONE_PARENT | CLONE_VFORK | SIGCHLD;
#ifdef __s390__ /* clone(2) */
    return (pid_t)syscall(SYS_clone, 0, flags, 0, 0, 0);
#else
    return (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
#endif
}

static void bear(struct order *o)
{
    if (o->fd_count == 0)
        return;
    pid_t pid = new_process();
    if (pid == 0)
        be_born(o);
    say(o->fds[0], pid > 0 ? pid : -errno); /* once more, for it may have been killed before it could */
    close_all(o);
}

void nursery_run(const char *name, const char *program)
{
    enum { AGAIN_MS = 100 };
    struct order o = { .name = name, .program = program };
    (void)prctl(PR_SET_NAME, "postern-nursery"); /* in lists of processes */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);      /* it may have been stopped, and hear of no end */
    (void)fcntl(NURSERY_FD, F_SETFD, FD_CLOEXEC);
    bool is_leader = setsid() >= 0; /* else it was started by hand, in somebody's session */
    bool is_settled = !is_leader || session_stand_back() != -EAGAIN;
    for (;;) {
        struct pollfd orders = { .fd = NURSERY_FD, .events = POLLIN };
        if (!is_settled && poll(&orders, 1, AGAIN_MS) == 0)
            is_settled = session_stand_back() != -EAGAIN;
        else if (await_order(&o))
            bear(&o);
        else
            _exit(EX_OK);
    }
}
