/*
 * postern-host: runs handlers, one message at a time, for the process that started it. Descriptor 3 is the
 * wire to it (handlers/wire.h), descriptor 4 the scratch file for a message that is replaced.
 *
 * Handlers run in a child, the runner, which may come to any end. This process is its guard: it has no user
 * code, reads nothing of what peers or handlers wrote, and waits. When the runner has died, when SIGTERM
 * comes, or when the worker has died, it kills what is left below it, says on the wire what the runner was
 * doing, and ends, so that after it nothing of the host is left.
 *
 * With the argument "nursery" it is none of these, but starts them: base/nursery.h.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/nursery.h"
#include "handlers/wire.h"
#include "host/children.h"
#include "host/runner.h"
#include "host/stage.h"

enum { WIRE_FD = 3, SCRATCH_FD = 4 };

/* Never returns. */
static void run(struct stage *stage, pid_t guard, const sigset_t *signals)
{
    /* Where the guard was killed, nothing is there to end this one but this. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != guard)
        _exit(EX_OSERR);
    (void)sigprocmask(SIG_SETMASK, signals, NULL);
    exit(runner_run(stage, WIRE_FD, SCRATCH_FD));
}

/* Until the runner has died, or is to die, because that was told to this process; how it did. Orphans that
 * come by are reaped. */
static int wait_for(pid_t runner, const sigset_t *signals, bool *ret_told)
{
    int status = 0;
    for (;;) {
        *ret_told = sigwaitinfo(signals, NULL) == SIGTERM;
        if (*ret_told)
            (void)kill(runner, SIGKILL);
        for (pid_t pid; (pid = waitpid(-1, &status, *ret_told ? 0 : WNOHANG)) > 0;)
            if (pid == runner)
                return status;
    }
}

/* The last that is on the wire. A worker that does not read is told nothing. */
static void tell(const struct stage *stage, int status, bool was_told)
{
    struct wire_frame frame = { .type = WIRE_OBITUARY };
    frame.obituary = (struct wire_obituary){
        .stage = MIN(atomic_load(&stage->stage), WIRE_ENDING),
        .handler = atomic_load(&stage->handler),
        .signal = was_told              ? SIGTERM
                  : WIFSIGNALED(status) ? WTERMSIG(status)
                                        : 0,
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
    };
    g_autoptr(GByteArray) octets = g_byte_array_new();
    if (wire_encode(&frame, octets) == 0)
        (void)send(WIRE_FD, octets->data, octets->len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A worker that died before this process asked to be told of it. */
static bool is_alone(void)
{
    struct pollfd wire = { .fd = WIRE_FD };
    return poll(&wire, 1, 0) > 0 && (wire.revents & (POLLHUP | POLLNVAL)) != 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], NURSERY_ARGUMENT) == 0)
        nursery_run(argv[0], argv[2]);
    (void)close_range(SCRATCH_FD + 1, ~0U, 0); /* no descriptors but these */
    (void)fcntl(WIRE_FD, F_SETFD, FD_CLOEXEC);
    (void)fcntl(SCRATCH_FD, F_SETFD, FD_CLOEXEC);
    (void)setpgid(0, 0); /* what is typed at a terminal is for the daemon, which ends its hosts itself */
    sigset_t signals, former;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, &former);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || is_alone() || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return EX_OSERR;
    struct stage *stage =
        mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage == MAP_FAILED)
        return EX_OSERR;
    stage_enter(stage, WIRE_LOADING, -1);
    int children = children_open();
    pid_t guard = getpid();
    pid_t runner = fork();
    if (runner < 0)
        return EX_OSERR;
    if (runner == 0)
        run(stage, guard, &former);
    bool was_told;
    int status = wait_for(runner, &signals, &was_told);
    (void)children_end(children); /* this process has no other threads */
    if (!atomic_load(&stage->in_order) || WIFSIGNALED(status))
        tell(stage, status, was_told);
    return EX_OK;
}
