#include "host/sandbox_calls.h"

#include <errno.h>

#ifndef HAVE_SECCOMP

bool sandbox_calls_can_be_limited(void)
{
    return false;
}

int sandbox_calls_limit(bool network, int landlock)
{
    (void)network;
    (void)landlock;
    return -ENOSYS;
}

#else

#include <fcntl.h>
#include <glib.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel reads many arguments as int, and ignores what else is in the register: so must we. */
#define INT_IS(argument, value)                                                                              \
    SCMP_CMP64((argument), SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)(uint32_t)(value))
#define HAS_BITS(argument, bits) SCMP_CMP64((argument), SCMP_CMP_MASKED_EQ, (bits), (bits))
#define IS_NOT(argument, value)  SCMP_CMP64((argument), SCMP_CMP_NE, (value))
#define ABOVE(argument, value)   SCMP_CMP64((argument), SCMP_CMP_GT, (value))

enum { NOT_WITH_ANY = 100 }; /* as `until`: whatever Landlock there is */

/*
 * By name, because libseccomp knows more names than the headers of a system may have numbers; one that it
 * does not know either is none that user code could call here.
 */
static const struct refused {
    const char *call;
    int until; /* needed beside a Landlock of a version before this one */
    int error; /* 0: EPERM */
} refused[] = {
    /* other processes, the worker before all: it has the same user */
    { "ptrace", NOT_WITH_ANY },
    { "process_vm_readv", NOT_WITH_ANY },
    { "process_vm_writev", NOT_WITH_ANY },
    { "process_madvise", NOT_WITH_ANY },
    { "process_mrelease", NOT_WITH_ANY },
    { "pidfd_getfd", NOT_WITH_ANY },
    { "kcmp", NOT_WITH_ANY },
    { "sched_setaffinity", NOT_WITH_ANY }, /* nor those processors that are left to them */
    { "migrate_pages", NOT_WITH_ANY },
    { "move_pages", NOT_WITH_ANY },
    /* large and little needed parts of the kernel; io_uring makes calls that no filter sees */
    { "bpf", NOT_WITH_ANY },
    { "io_uring_setup", NOT_WITH_ANY },
    { "io_uring_enter", NOT_WITH_ANY },
    { "io_uring_register", NOT_WITH_ANY },
    { "perf_event_open", NOT_WITH_ANY },
    { "userfaultfd", NOT_WITH_ANY },
    { "add_key", NOT_WITH_ANY },
    { "request_key", NOT_WITH_ANY },
    { "keyctl", NOT_WITH_ANY },
    { "fanotify_init", NOT_WITH_ANY },
    { "lookup_dcookie", NOT_WITH_ANY },
    { "modify_ldt", NOT_WITH_ANY },
    { "vm86", NOT_WITH_ANY },
    { "vm86old", NOT_WITH_ANY },
    /* namespaces; clone3 has its flags in memory, where no filter sees them, and libraries know how to do
     * without it where it does not exist */
    { "setns", NOT_WITH_ANY },
    { "clone3", NOT_WITH_ANY, ENOSYS },
    /* the tree of files */
    { "chroot", NOT_WITH_ANY },
    { "fsconfig", NOT_WITH_ANY },
    { "fsmount", NOT_WITH_ANY },
    { "fsopen", NOT_WITH_ANY },
    { "fspick", NOT_WITH_ANY },
    { "mount", NOT_WITH_ANY },
    { "mount_setattr", NOT_WITH_ANY },
    { "move_mount", NOT_WITH_ANY },
    { "open_by_handle_at", NOT_WITH_ANY },
    { "open_tree", NOT_WITH_ANY },
    { "pivot_root", NOT_WITH_ANY },
    { "quotactl", NOT_WITH_ANY },
    { "quotactl_fd", NOT_WITH_ANY },
    { "umount", NOT_WITH_ANY },
    { "umount2", NOT_WITH_ANY },
    /* the machine */
    { "acct", NOT_WITH_ANY },
    { "adjtimex", NOT_WITH_ANY },
    { "clock_adjtime", NOT_WITH_ANY },
    { "clock_settime", NOT_WITH_ANY },
    { "delete_module", NOT_WITH_ANY },
    { "finit_module", NOT_WITH_ANY },
    { "init_module", NOT_WITH_ANY },
    { "ioperm", NOT_WITH_ANY },
    { "iopl", NOT_WITH_ANY },
    { "kexec_file_load", NOT_WITH_ANY },
    { "kexec_load", NOT_WITH_ANY },
    { "nfsservctl", NOT_WITH_ANY },
    { "reboot", NOT_WITH_ANY },
    { "setdomainname", NOT_WITH_ANY },
    { "sethostname", NOT_WITH_ANY },
    { "settimeofday", NOT_WITH_ANY },
    { "stime", NOT_WITH_ANY },
    { "swapoff", NOT_WITH_ANY },
    { "swapon", NOT_WITH_ANY },
    { "syslog", NOT_WITH_ANY },
    { "vhangup", NOT_WITH_ANY },
    /* Memory that stays when the process is gone. */
    { "mq_open", NOT_WITH_ANY },
    { "msgget", NOT_WITH_ANY },
    { "semget", NOT_WITH_ANY },
    { "shmget", NOT_WITH_ANY },
    /*
     * What no Landlock asks about: whose a file is and who may read it. All files of the worker's user, with
     * all the mail, could be given away or locked up. The calls that take a descriptor stay: those can only
     * be of files that were given.
     */
    { "chmod", NOT_WITH_ANY },
    { "fchmodat", NOT_WITH_ANY },
    { "fchmodat2", NOT_WITH_ANY },
    { "chown", NOT_WITH_ANY },
    { "chown32", NOT_WITH_ANY },
    { "lchown", NOT_WITH_ANY },
    { "lchown32", NOT_WITH_ANY },
    { "fchownat", NOT_WITH_ANY },
    { "setxattr", NOT_WITH_ANY },
    { "lsetxattr", NOT_WITH_ANY },
    { "setxattrat", NOT_WITH_ANY },
    { "removexattr", NOT_WITH_ANY },
    { "lremovexattr", NOT_WITH_ANY },
    { "removexattrat", NOT_WITH_ANY },
    /* What only newer ones ask about. */
    { "truncate", 3 },
    { "truncate64", 3 },
    { "openat2", 3, ENOSYS }, /* has its flags in memory; see refuse_cutting */
};

static int refuse(scmp_filter_ctx filter, int error, const char *call, unsigned count,
                  const struct scmp_arg_cmp *when)
{
    int number = seccomp_syscall_resolve_name(call);
    return number == __NR_SCMP_ERROR
               ? 0
               : seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)error), number, count, when);
}

static int refuse_when(scmp_filter_ctx filter, int error, const char *call, struct scmp_arg_cmp when)
{
    return refuse(filter, error, call, 1, &when);
}

static int refuse_list(scmp_filter_ctx filter, int landlock)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(refused); i++)
        if (landlock < refused[i].until)
            r = refuse(filter, refused[i].error != 0 ? refused[i].error : EPERM, refused[i].call, 0, NULL);
    return r;
}

/* New namespaces are a process's way to capabilities of its own. The filter sees one argument of clone; which
 * one has the flags is a matter of the machine. */
static int refuse_namespaces(scmp_filter_ctx filter)
{
#if defined(__s390__) || defined(__CRIS__)
    const unsigned clone_flags = 1;
#else
    const unsigned clone_flags = 0;
#endif
    static const int flags[] = { CLONE_NEWCGROUP, CLONE_NEWIPC,  CLONE_NEWNET, CLONE_NEWNS,
                                 CLONE_NEWPID,    CLONE_NEWUSER, CLONE_NEWUTS };
    int r = refuse_when(filter, EPERM, "unshare",
                        HAS_BITS(0, 0x80)); /* CLONE_NEWTIME, where clone has a signal */
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(flags); i++) {
        r = refuse_when(filter, EPERM, "clone", HAS_BITS(clone_flags, (scmp_datum_t)flags[i]));
        if (r == 0)
            r = refuse_when(filter, EPERM, "unshare", HAS_BITS(0, (scmp_datum_t)flags[i]));
    }
    return r;
}

/* A process of the same user may be slowed down, or starved of descriptors and memory, by those that name
 * one; 0 is the caller. */
static int refuse_others(scmp_filter_ctx filter)
{
    const struct {
        const char *call;
        struct scmp_arg_cmp when;
    } rows[] = {
        { "prlimit64", IS_NOT(0, 0) },
        { "sched_setattr", IS_NOT(0, 0) },
        { "sched_setparam", IS_NOT(0, 0) },
        { "sched_setscheduler", IS_NOT(0, 0) },
        { "setpriority", IS_NOT(0, PRIO_PROCESS) },
        { "setpriority", IS_NOT(1, 0) },
        { "ioprio_set", IS_NOT(0, IOPRIO_WHO_PROCESS) },
        { "ioprio_set", IS_NOT(1, 0) },
        { "personality", IS_NOT(0, UINT32_MAX) }, /* which only asks */
        /* the signal for input goes to whom its owner names */
        { "fcntl", INT_IS(1, F_SETOWN) },
        { "fcntl", INT_IS(1, F_SETOWN_EX) },
        { "fcntl64", INT_IS(1, F_SETOWN) },
        { "fcntl64", INT_IS(1, F_SETOWN_EX) },
        { "ioctl", INT_IS(1, FIOSETOWN) },
        { "ioctl", INT_IS(1, SIOCSPGRP) },
        /* types on the terminal from which somebody started it */
        { "ioctl", INT_IS(1, TIOCSTI) },
        { "ioctl", INT_IS(1, TIOCLINUX) },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(rows); i++)
        r = refuse_when(filter, EPERM, rows[i].call, rows[i].when);
    return r;
}

/* A Landlock before version 3 asks only whether a file may be read when it is opened for reading, and cut. */
static int refuse_cutting(scmp_filter_ctx filter)
{
    const scmp_datum_t mask = O_ACCMODE | O_TRUNC, cutting = O_RDONLY | O_TRUNC;
    int r = refuse_when(filter, EPERM, "open", SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, mask, cutting));
    return r == 0 ? refuse_when(filter, EPERM, "openat", SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, mask, cutting))
                  : r;
}

/*
 * A Landlock before version 6 does not know signals. A filter cannot tell whose a number is; what can be kept
 * from happening by mistake is a signal to everybody, to the process above, and to its group.
 */
static int refuse_signals(scmp_filter_ctx filter)
{
    pid_t parent = getppid(), group = getpgrp();
    (void)setpgid(0, 0); /* kill(0): what leads a session has a group of its own already */
    const struct {
        const char *call;
        pid_t whom;
    } rows[] = {
        { "kill", -1 },
        { "kill", parent },
        { "kill", -parent },
        { "kill", -group },
        { "tkill", parent },
        { "tgkill", parent },
        { "rt_sigqueueinfo", parent },
        { "rt_tgsigqueueinfo", parent },
        { "pidfd_open", parent },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(rows); i++)
        if (-rows[i].whom != getpgrp())
            r = refuse_when(filter, EPERM, rows[i].call, INT_IS(0, rows[i].whom));
    return r;
}

/*
 * Pairs that are streams stay, because what they lead to is known for good; a datagram socket of a pair can
 * be sent to any address afterwards.
 */
static int refuse_all_sockets(scmp_filter_ctx filter)
{
    int r = refuse(filter, EACCES, "socket", 0, NULL);
    if (r == 0)
        r = refuse_when(filter, EACCES, "socketpair", IS_NOT(0, AF_UNIX));
    for (unsigned type = 0; r == 0 && type <= 0xf; type++)
        if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
            r = refuse_when(filter, EACCES, "socketpair", SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, 0xf, type));
    static const char *const calls[] = { "connect", "bind", "listen" };
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(calls); i++)
        r = refuse(filter, EACCES, calls[i], 0, NULL);
    return r;
}

/* The others reach hardware, hypervisors, or the kernel's own services. Netlink's routes are what names of
 * hosts are looked up with. */
static int refuse_odd_sockets(scmp_filter_ctx filter)
{
    int r = refuse_when(filter, EACCES, "socket", ABOVE(0, AF_MAX));
    for (int family = 0; r == 0 && family <= AF_MAX; family++)
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6 && family != AF_NETLINK)
            r = refuse_when(filter, EACCES, "socket", INT_IS(0, family));
    const struct scmp_arg_cmp not_routes[] = { INT_IS(0, AF_NETLINK), IS_NOT(2, 0) };
    return r == 0 ? refuse(filter, EACCES, "socket", G_N_ELEMENTS(not_routes), not_routes) : r;
}

bool sandbox_calls_can_be_limited(void)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int sandbox_calls_limit(bool network, int landlock)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return -ENOMEM;
    /* Another machine's numbers, as of 32-bit programs, are other calls: those never run. */
    int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE,
                             2); /* a tree of numbers, not a list of rules */
    if (r == 0)
        r = refuse_list(filter, landlock);
    if (r == 0)
        r = refuse_namespaces(filter);
    if (r == 0)
        r = refuse_others(filter);
    if (r == 0 && landlock < 3)
        r = refuse_cutting(filter);
    if (r == 0 && landlock < 6)
        r = refuse_signals(filter);
    if (r == 0)
        r = network ? refuse_odd_sockets(filter) : refuse_all_sockets(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
}

#endif
