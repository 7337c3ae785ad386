#include "reactor/birth_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/auto.h"
#include "base/nursery.h"
#include "base/stand_back.h"

void birth_free(struct birth *b)
{
    for (unsigned i = 0; i < b->fd_count; i++)
        if (b->fds[i] >= 0)
            (void)close(b->fds[i]);
    g_free(b->file);
    g_strfreev(b->argv);
    g_strfreev(b->env);
    g_free(b->fds);
    g_free(b->moved);
    g_free(b);
}

struct birth *birth_new(const struct child_options *o, int channel_fd, int *ret_error)
{
    auto_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    *ret_error = null_fd < 0 ? -errno : 0;
    if (null_fd < 0)
        return NULL;
    struct birth *b = g_new0(struct birth, 1);
    b->file = g_strdup(o->file);
    b->argv = g_strdupv((char **)o->argv);
    b->env = g_strdupv((char **)o->env);
    b->stands_back = o->stands_back;
    b->spare_processors = o->spare_processors;
    unsigned fd_count = MAX((unsigned)o->fd_count, 3);
    b->fds = g_new(int, fd_count);
    b->moved = g_new(int, fd_count);
    while (*ret_error == 0 && b->fd_count < fd_count) {
        unsigned i = b->fd_count++;
        int fd = i < o->fd_count ? o->fds[i] : CHILD_NULL;
        b->fds[i] = fcntl(fd >= 0 ? fd : fd == CHILD_CHANNEL ? channel_fd : null_fd, F_DUPFD_CLOEXEC, 0);
        *ret_error = b->fds[i] < 0 ? -errno : 0;
    }
    if (*ret_error < 0)
        birth_free(g_steal_pointer(&b));
    return b;
}

/* ---- by this process ---- */

/*
 * In the child, where the memory is the parent's, of which one thread waits and the others do not: system
 * calls only. All signals are blocked.
 */
static _Noreturn void become(const struct birth *b)
{
    enum { NO_PROGRAM = 127 };      /* as shells say it */
    atomic_store(b->pid, getpid()); /* before it can say a word */
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        (void)signal(signal_number, SIG_DFL);  /* not for those that cannot be changed */
    for (unsigned i = 0; i < b->fd_count; i++) /* out of the way of each other's new numbers */
        b->moved[i] = fcntl(b->fds[i], F_DUPFD_CLOEXEC, (int)b->fd_count);
    bool is_set = true;
    for (unsigned i = 0; i < b->fd_count && is_set; i++)
        is_set = dup2(b->moved[i], (int)i) >= 0;
    /* Now, and not by execve: what the parent closes meanwhile ends only when it is closed here, too. */
    if (is_set && close_range(b->fd_count, ~0U, 0) == 0) {
        if (b->stands_back) /* before its program is loaded, which is work, too; and waits, perhaps */
            stand_back(b->spare_processors);
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)execve(b->file, b->argv, b->env != NULL ? b->env : environ);
    }
    atomic_store(b->error, -errno);
    _exit(NO_PROGRAM);
}

/* Its number; or -1, when there is none. */
static pid_t give_birth_here(const struct birth *b)
{
    sigset_t all, former;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &former); /* our handlers must not run in the child */
    pid_t pid = vfork();
    if (pid == 0)
        become(b);
    if (pid < 0)
        atomic_store(b->error, -errno);
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    return pid;
}

/* ---- by a nursery ---- */

enum { PATIENCE_S = 10 }; /* with one that was stopped, say: it is given up */

struct nursery {
    int control; /* its orders; -1: it has not begun, or has ended */
    pid_t pid;
    /* What it was begun with, and its children have */
    char *file;
    bool stands_back;
    uint64_t spare_processors;
};

struct nursery *nursery_new(void)
{
    struct nursery *n = g_new0(struct nursery, 1);
    n->control = -1;
    return n;
}

/* Its last child is there by then, or is given up. */
static void nursery_end(struct nursery *n)
{
    if (n->control < 0)
        return;
    (void)close(n->control);
    n->control = -1;
    (void)kill(n->pid, SIGKILL);
    (void)waitpid(n->pid, NULL, 0);
}

void nursery_free(struct nursery *n)
{
    if (n == NULL)
        return;
    nursery_end(n);
    g_free(n->file);
    g_free(n);
}

/* Of the program that it makes processes of. */
static bool nursery_begin(struct nursery *n, const struct birth *b)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        atomic_store(b->error, -errno);
        return false;
    }
    auto_fd int theirs = ends[1];
    char *argv[] = { b->argv[0], (char *)NURSERY_ARGUMENT, b->file, NULL };
    int fds[NURSERY_FD + 1] = { b->fds[0], b->fds[1], b->fds[2], theirs }, moved[NURSERY_FD + 1];
    _Atomic pid_t pid;
    const struct birth own = { .file = b->file,
                               .argv = argv,
                               .env = b->env,
                               .fds = fds,
                               .moved = moved,
                               .fd_count = NURSERY_FD + 1,
                               .stands_back = b->stands_back,
                               .spare_processors = b->spare_processors,
                               .pid = &pid,
                               .error = b->error };
    g_free(n->file);
    n->file = g_strdup(b->file);
    n->stands_back = b->stands_back;
    n->spare_processors = b->spare_processors;
    n->control = ends[0];
    n->pid = give_birth_here(&own);
    if (n->pid > 0)
        return true;
    (void)close(n->control);
    n->control = -1;
    return false;
}

static bool is_of_same_kind(const struct nursery *n, const struct birth *b)
{
    return strcmp(n->file, b->file) == 0 && n->stands_back == b->stands_back &&
           n->spare_processors == b->spare_processors;
}

/* 0, -ECHILD when no nursery is there to hear it, or -errno. */
static int order(int control, const struct birth *b, int birth)
{
    char octet = 0;
    struct iovec io = { &octet, sizeof octet };
    _Alignas(struct cmsghdr) char room[CMSG_SPACE((1 + NURSERY_DESCRIPTORS) * sizeof(int))] = { 0 };
    size_t others = b->fd_count * sizeof(int), octets = sizeof birth + others;
    struct msghdr message = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_SPACE(octets)
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(octets) };
    memcpy(CMSG_DATA(c), &birth, sizeof birth);
    memcpy(CMSG_DATA(c) + sizeof birth, b->fds, others);
    ssize_t len;
    do {
        len = sendmsg(control, &message, MSG_NOSIGNAL);
    } while (len < 0 && errno == EINTR);
    return len >= 0 ? 0 : errno == EPIPE ? -ECHILD : -errno;
}

/* 1, 0 at the end, or -errno: -EAGAIN when it took too long. */
static int hear(int birth, nursery_word *ret_word)
{
    ssize_t len;
    do {
        len = recv(birth, ret_word, sizeof *ret_word, 0);
    } while (len < 0 && errno == EINTR);
    return len < 0 ? -errno : len == sizeof *ret_word;
}

/* 0, -ECHILD when there is no child and nobody knows why, or -errno. */
static int hear_of_birth(int birth, const struct birth *b)
{
    const nursery_word go_on = 0;
    nursery_word word;
    int r;
    while ((r = hear(birth, &word)) > 0) {
        if (word < 0) {
            atomic_store(b->error, word);
        } else if (atomic_load(b->pid) == 0) {
            atomic_store(b->pid, word);
            (void)send(birth, &go_on, sizeof go_on, MSG_NOSIGNAL);
        }
    }
    return r < 0 ? r : atomic_load(b->pid) == 0 && atomic_load(b->error) == 0 ? -ECHILD : 0;
}

/* 0 when there is a child, or what there is instead was told; else the nursery is of no use. */
static int nursery_bear(struct nursery *n, const struct birth *b)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        atomic_store(b->error, -errno);
        return 0;
    }
    auto_fd int ours = ends[0], theirs = ends[1];
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    (void)setsockopt(ours, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int r = order(n->control, b, theirs);
    (void)close(steal_fd(&theirs));
    return r < 0 ? r : hear_of_birth(ours, b);
}

/* One that was killed is followed by another one, as is one for children of another kind. */
static pid_t give_birth_there(const struct birth *b)
{
    enum { TRIES = 2 };
    struct nursery *n = b->nursery;
    pst_assert(b->fd_count <= NURSERY_DESCRIPTORS);
    if (n->control >= 0 && !is_of_same_kind(n, b))
        nursery_end(n);
    int r = -ECHILD;
    for (int i = 0; i < TRIES && r < 0 && atomic_load(b->pid) == 0; i++) {
        atomic_store(b->error, 0);
        if (n->control < 0 && !nursery_begin(n, b))
            return -1;
        r = nursery_bear(n, b);
        if (r < 0)
            nursery_end(n);
    }
    pid_t pid = atomic_load(b->pid);
    if (pid == 0 && atomic_load(b->error) == 0)
        atomic_store(b->error, r);
    return pid > 0 ? pid : -1;
}

pid_t birth_give(const struct birth *b)
{
    return b->nursery != NULL ? give_birth_there(b) : give_birth_here(b);
}
