/*
 * Each row is something that user code may try. It is tried by a process of its own, behind every wall that
 * this kernel has and behind fewer of them: that it is refused, and by which; and where no wall refuses it,
 * that it works, so that the refusal is no accident. As root, all is done as an ordinary user, too.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/sandbox.h"

enum { ORDINARY_USER = 65534, NEVER = 100 };

/* ---- the ground on which it happens ---- */

static struct ground {
    char *folder;
    char *readable, *writable, *secret; /* folders, each with a file and a program */
    char *path_socket;
    char *abstract; /* without its NUL */
    in_port_t port;
} ground, grounds[2]; /* that of the user who tries; root's, or the only user's, and the ordinary user's */

static char *at(const char *folder, const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static char *make_folder(const char *name, uid_t owner)
{
    char *folder = at(ground.folder, name);
    g_autofree char *file = at(folder, "file"), *program = at(folder, "program"), *true_program = NULL;
    gsize len;
    assert_int_equal(g_mkdir(folder, 0755), 0);
    assert_true(g_file_set_contents(file, "text\n", -1, NULL));
    assert_true(g_file_get_contents("/bin/true", &true_program, &len, NULL));
    assert_true(
        g_file_set_contents_full(program, true_program, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
    assert_int_equal(chown(folder, owner, (gid_t)-1), 0);
    assert_int_equal(chown(file, owner, (gid_t)-1), 0);
    return folder;
}

static struct sockaddr_un path_address(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    g_strlcpy(a.sun_path, ground.path_socket, sizeof a.sun_path);
    return a;
}

/* As long as the whole structure: the name has NULs at its end. */
static struct sockaddr_un abstract_address(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    g_strlcpy(a.sun_path + 1, ground.abstract, sizeof a.sun_path - 1);
    return a;
}

static void listen_at(const void *address, socklen_t len)
{
    int fd = socket(((const struct sockaddr *)address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 1000), 0);
    struct sockaddr_in got;
    socklen_t got_len = sizeof got;
    if (((const struct sockaddr *)address)->sa_family == AF_INET) {
        assert_int_equal(getsockname(fd, (struct sockaddr *)&got, &got_len), 0);
        ground.port = got.sin_port;
    }
}

static struct ground make_ground(uid_t owner)
{
    ground.folder = g_dir_make_tmp("postern-sandbox-XXXXXX", NULL);
    assert_non_null(ground.folder);
    assert_int_equal(g_chmod(ground.folder, 0755), 0);
    ground.readable = make_folder("readable", owner);
    ground.writable = make_folder("writable", owner);
    ground.secret = make_folder("secret", owner);
    ground.path_socket = at(ground.folder, "socket");
    ground.abstract = g_strdup_printf("%s/abstract", ground.folder);
    struct sockaddr_un by_path = path_address(), by_name = abstract_address();
    struct sockaddr_in tcp = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    listen_at(&by_path, sizeof by_path);
    listen_at(&by_name, sizeof by_name);
    listen_at(&tcp, sizeof tcp);
    assert_int_equal(g_chmod(ground.path_socket, 0666), 0);
    return ground;
}

static void remove_ground(struct ground *g)
{
    char *command[] = { (char[]){ "rm" }, (char[]){ "-rf" }, g->folder, NULL };
    assert_true(g_spawn_sync("/", command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(g->folder);
    g_free(g->readable);
    g_free(g->writable);
    g_free(g->secret);
    g_free(g->path_socket);
    g_free(g->abstract);
}

/* ---- what is tried: 0, or -errno ---- */

static int result(long r)
{
    return r < 0 ? -errno : 0;
}

static int try_open(const char *folder, const char *name, int flags)
{
    g_autofree char *path = at(folder, name);
    return result(open(path, flags | O_CLOEXEC, 0600));
}

static int read_readable(void)
{
    return try_open(ground.readable, "file", O_RDONLY);
}

static int list_readable(void)
{
    return try_open(ground.folder, "readable", O_RDONLY | O_DIRECTORY);
}

static int write_readable(void)
{
    return try_open(ground.readable, "file", O_WRONLY);
}

static int create_in_readable(void)
{
    return try_open(ground.readable, "new", O_WRONLY | O_CREAT);
}

static int read_secret(void)
{
    return try_open(ground.secret, "file", O_RDONLY);
}

static int list_secret(void)
{
    return try_open(ground.folder, "secret", O_RDONLY | O_DIRECTORY);
}

static int write_secret(void)
{
    return try_open(ground.secret, "file", O_WRONLY);
}

static int create_in_secret(void)
{
    return try_open(ground.secret, "new", O_WRONLY | O_CREAT);
}

static int read_passwd(void)
{
    return try_open("/etc", "passwd", O_RDONLY);
}

static int read_own_status(void)
{
    return try_open("/proc/self", "status", O_RDONLY);
}

static int write_null(void)
{
    return try_open("/dev", "null", O_RDWR);
}

static int read_urandom(void)
{
    return try_open("/dev", "urandom", O_RDONLY);
}

static int list_libraries(void)
{
    return try_open("/usr", "lib", O_RDONLY | O_DIRECTORY);
}

static int read_hosts(void)
{
    return try_open("/etc", "hosts", O_RDONLY);
}

static int write_writable(void)
{
    return try_open(ground.writable, "file", O_RDWR);
}

static int create_rename_remove(void)
{
    g_autofree char *from = at(ground.writable, "from"), *to = at(ground.writable, "to");
    int r = try_open(ground.writable, "from", O_WRONLY | O_CREAT);
    if (r == 0)
        r = result(rename(from, to));
    return r == 0 ? result(unlink(to)) : r;
}

static int rename_into_folder(void)
{
    g_autofree char *from = at(ground.writable, "from"), *folder = at(ground.writable, "folder"),
                    *to = at(folder, "to");
    int r = try_open(ground.writable, "from", O_WRONLY | O_CREAT);
    if (r == 0)
        r = result(g_mkdir(folder, 0700));
    if (r == 0)
        r = result(rename(from, to));
    (void)unlink(from);
    (void)unlink(to);
    int last = result(rmdir(folder));
    return r == 0 ? last : r;
}

static int symlink_in_writable(void)
{
    g_autofree char *link = at(ground.writable, "link");
    int r = result(symlink("/etc/passwd", link));
    (void)unlink(link);
    return r;
}

static int socket_in_writable(void)
{
    g_autofree char *path = at(ground.writable, "pipe");
    int r = result(mkfifo(path, 0600));
    (void)unlink(path);
    return r;
}

static int remove_secret(void)
{
    g_autofree char *path = at(ground.secret, "doomed");
    return result(unlink(path));
}

static int truncate_secret(void)
{
    g_autofree char *path = at(ground.secret, "file");
    return result(truncate(path, 5));
}

static int truncate_writable(void)
{
    g_autofree char *path = at(ground.writable, "file");
    return result(truncate(path, 5));
}

static int cut_readable_by_opening(void)
{
    return try_open(ground.readable, "doomed", O_RDONLY | O_TRUNC);
}

static int chmod_secret(void)
{
    g_autofree char *path = at(ground.secret, "file");
    return result(chmod(path, 0644));
}

static int chown_secret(void)
{
    g_autofree char *path = at(ground.secret, "file");
    return result(chown(path, (uid_t)-1, (gid_t)-1));
}

static int chmod_own_file(void)
{
    g_autofree char *path = at(ground.writable, "mine");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : result(fchmod(fd, 0640));
}

static int write_memory_file(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    return fd < 0 ? -errno : result(ftruncate(fd, 4096));
}

/* The exit status of a program, as an errno when it could not be executed. */
static int run_program(const char *path, const char *argument)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl(path, path, "-c", argument, (char *)NULL);
        _exit(errno);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static int execute_readable(void)
{
    g_autofree char *path = at(ground.readable, "program");
    return run_program(path, "");
}

static int execute_writable(void)
{
    g_autofree char *path = at(ground.writable, "program");
    return run_program(path, "");
}

static int execute_secret(void)
{
    g_autofree char *path = at(ground.secret, "program");
    return run_program(path, "");
}

static int script_reads_readable(void)
{
    g_autofree char *script = g_strdup_printf("read line < %s/file && test $(uname | cat)", ground.readable);
    return run_program("/bin/sh", script);
}

static int script_reads_secret(void)
{
    g_autofree char *script =
        g_strdup_printf("cat < %s/file > /dev/null 2>&1 || exit %d", ground.secret, EACCES);
    return run_program("/bin/sh", script);
}

static int connect_to(const void *address, socklen_t len)
{
    int fd = socket(((const struct sockaddr *)address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : result(connect(fd, address, len));
}

static int connect_tcp(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = ground.port };
    return connect_to(&a, sizeof a);
}

static int listen_tcp(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : result(bind(fd, (struct sockaddr *)&a, sizeof a));
}

static int connect_path(void)
{
    struct sockaddr_un a = path_address();
    return connect_to(&a, sizeof a);
}

static int connect_abstract(void)
{
    struct sockaddr_un a = abstract_address();
    return connect_to(&a, sizeof a);
}

static int open_udp(void)
{
    return result(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int open_udp6(void)
{
    return result(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int open_netlink_routes(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int open_netlink_audit(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 16)); /* NETLINK_GENERIC */
}

/* The kernel looks at the lower half of the register only. */
static int open_disguised_netlink(void)
{
    return result(syscall(SYS_socket, 1L << 32 | AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 16L));
}

static int pair(int type)
{
    int fds[2];
    return result(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
}

static int pair_of_streams(void)
{
    return pair(SOCK_STREAM);
}

static int pair_of_datagrams(void)
{
    return pair(SOCK_DGRAM);
}

static int signal_parent(void)
{
    return result(kill(getppid(), 0));
}

static int signal_parents_thread(void)
{
    return result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

/* Signal 0 only asks. With a newer Landlock, the answer is yes, because the caller may reach itself. */
static int signal_everybody(void)
{
    return result(kill(-1, 0));
}

static int signal_own_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            (void)pause();
    int status, r = pid < 0 ? -errno : result(kill(pid, SIGKILL));
    if (r == 0)
        r = result(waitpid(pid, &status, 0));
    return r != 0 ? r : WTERMSIG(status) == SIGKILL ? 0 : -EINVAL;
}

static int input_signals_parent(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        return -errno;
    return result(fcntl(fds[0], F_SETOWN, getppid()));
}

static int limit_parent(void)
{
    struct rlimit64 limit;
    if (getrlimit64(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    return result(prlimit64(getppid(), RLIMIT_NOFILE, &limit, NULL));
}

static int limit_itself(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : result(setrlimit(RLIMIT_NOFILE, &limit));
}

static int slow_parent_down(void)
{
    return result(setpriority(PRIO_PROCESS, (id_t)getppid(), getpriority(PRIO_PROCESS, (id_t)getppid())));
}

static int choose_processors(void)
{
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) < 0)
        return -errno;
    return result(sched_setaffinity(0, sizeof mine, &mine));
}

static int slow_itself_down(void)
{
    return result(setpriority(PRIO_PROCESS, 0, 19));
}

static int type_on_terminal(void)
{
    int r = result(ioctl(STDIN_FILENO, TIOCSTI, NULL));
    return r == -EPERM ? r : 0; /* there is no terminal, or no text: it got through */
}

static int new_user_namespace(void)
{
    return result(unshare(CLONE_NEWUSER));
}

static int clone_user_namespace(void)
{
#ifdef __s390__
    long pid = syscall(SYS_clone, 0L, (long)(CLONE_NEWUSER | SIGCHLD), 0L, 0L, 0L);
#else
    long pid = syscall(SYS_clone, (long)(CLONE_NEWUSER | SIGCHLD), 0L, 0L, 0L, 0L);
#endif
    if (pid == 0)
        _exit(0);
    return result(pid);
}

static int raise_hard_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max = 0;
    if (setrlimit(RLIMIT_CORE, &limit) < 0)
        return -errno;
    limit.rlim_max = 1;
    return result(setrlimit(RLIMIT_CORE, &limit));
}

static int become_root(void)
{
    return result(setresuid(0, 0, 0)) == 0 && getuid() != 0 ? -EINVAL : result(setgroups(0, NULL));
}

/* ---- the table ---- */

static const struct row {
    const char *name;
    int (*attempt)(void);
    int landlock;    /* refused by it from that version on */
    int landlock_r;  /* with this result */
    int seccomp;     /* refused by it beside a Landlock before that version; NEVER: always, 0: not at all */
    int seccomp_r;   /* with this */
    bool network;    /* the row is with it */
    bool kernel_may; /* where nothing of ours refuses it, the kernel may: nothing is told of that */
    bool always;     /* refused by what is always there */
    int first_r;     /* a Landlock of version 1 refuses it, and no later one */
} rows[] = {
    { "a file in paths is read", read_readable },
    { "a folder in paths is listed", list_readable },
    { "the libraries are there", list_libraries },
    { "/dev/null is written", write_null },
    { "/dev/urandom is read", read_urandom },
    { "a file in paths is not written", write_readable, 1, -EACCES },
    { "no file is made in paths", create_in_readable, 1, -EACCES },
    { "another file is not read", read_secret, 1, -EACCES },
    { "another folder is not listed", list_secret, 1, -EACCES },
    { "another file is not written", write_secret, 1, -EACCES },
    { "no file is made elsewhere", create_in_secret, 1, -EACCES },
    { "no file is removed elsewhere", remove_secret, 1, -EACCES },
    { "/etc/passwd is not read", read_passwd, 1, -EACCES },
    { "/proc is not read", read_own_status, 1, -EACCES },
    { "/etc/hosts is not read without network", read_hosts, 1, -EACCES },
    { "/etc/hosts is read with network", read_hosts, .network = true },
    { "a file in writable is written", write_writable },
    { "a file in writable is cut", truncate_writable, .seccomp = 3, .seccomp_r = -EPERM },
    { "files in writable are made, renamed and removed", create_rename_remove },
    { "files in writable are moved to another folder", rename_into_folder, .first_r = -EXDEV },
    { "no symbolic link is made", symlink_in_writable, 1, -EACCES },
    { "no pipe is made", socket_in_writable, 1, -EACCES },
    { "another file is not cut", truncate_secret, 3, -EACCES, 3, -EPERM },
    { "a file in paths is not cut by opening it", cut_readable_by_opening, 3, -EACCES, 3, -EPERM },
    { "another file's mode is not changed", chmod_secret, NEVER, 0, NEVER, -EPERM },
    { "another file's owner is not changed", chown_secret, NEVER, 0, NEVER, -EPERM },
    { "the mode of an open file is changed", chmod_own_file },
    { "a file in memory", write_memory_file },
    { "a program in paths is executed", execute_readable },
    { "a program in writable is not", execute_writable, 1, -EACCES },
    { "another program is not", execute_secret, 1, -EACCES },
    { "a script runs programs of paths", script_reads_readable },
    { "a script is confined, too", script_reads_secret, 1, -EACCES },
    { "no TCP connection", connect_tcp, 4, -EACCES, NEVER, -EACCES },
    { "no TCP port", listen_tcp, 4, -EACCES, NEVER, -EACCES },
    { "no UDP", open_udp, NEVER, 0, NEVER, -EACCES },
    { "no unix connection", connect_path, NEVER, 0, NEVER, -EACCES },
    { "no abstract unix connection", connect_abstract, 6, -EPERM, NEVER, -EACCES },
    { "no netlink", open_netlink_routes, NEVER, 0, NEVER, -EACCES },
    { "a pair of streams", pair_of_streams },
    { "no pair of datagram sockets", pair_of_datagrams, NEVER, 0, NEVER, -EACCES },
    { "with network: TCP connection", connect_tcp, .network = true },
    { "with network: TCP port", listen_tcp, .network = true },
    { "with network: UDP", open_udp, .network = true },
    { "with network: UDP over IPv6", open_udp6, .network = true, .kernel_may = true },
    { "with network: unix connection", connect_path, .network = true },
    { "with network: no abstract unix connection", connect_abstract, 6, -EPERM, .network = true },
    { "with network: routes", open_netlink_routes, .network = true },
    { "with network: no other netlink", open_netlink_audit, NEVER, 0, NEVER, -EACCES, true },
    { "with network: no netlink in disguise", open_disguised_netlink, NEVER, 0, NEVER, -EACCES, true },
    { "with network: a pair of datagram sockets", pair_of_datagrams, .network = true },
    { "no signal to the parent", signal_parent, 6, -EPERM, 6, -EPERM },
    { "no signal to a thread of the parent", signal_parents_thread, 6, -EPERM, 6, -EPERM },
    { "no signal to everybody", signal_everybody, NEVER, 0, 6, -EPERM },
    { "no signal by way of input", input_signals_parent, NEVER, 0, NEVER, -EPERM },
    { "signals to its own children", signal_own_child },
    { "the parent's limits stay", limit_parent, NEVER, 0, NEVER, -EPERM, .kernel_may = true },
    { "its own limits may change", limit_itself },
    { "a hard limit is never raised", raise_hard_limit, .always = true },
    { "the parent's priority stays", slow_parent_down, NEVER, 0, NEVER, -EPERM, .kernel_may = true },
    { "its own priority may sink", slow_itself_down },
    { "processors that are left to others stay theirs", choose_processors, NEVER, 0, NEVER, -EPERM,
      .kernel_may = true },
    { "nothing is typed on the terminal", type_on_terminal, NEVER, 0, NEVER, -EPERM, .kernel_may = true },
    { "no namespace by unshare", new_user_namespace, NEVER, 0, NEVER, -EPERM, .kernel_may = true },
    { "no namespace by clone", clone_user_namespace, NEVER, 0, NEVER, -EPERM, .kernel_may = true },
    { "no privilege", become_root, .always = true },
};

/* ---- calls that are refused whatever is asked of them: with arguments that cannot be meant ---- */

#define CALL(name, want)                                                                                     \
    {                                                                                                        \
#name, SYS_##name, (want)                                                                            \
    }
static const struct call_row {
    const char *name;
    long number;
    int want;
} call_rows[] = {
    CALL(acct, -EPERM),
    CALL(add_key, -EPERM),
    CALL(adjtimex, -EPERM),
    CALL(bpf, -EPERM),
    CALL(chroot, -EPERM),
    CALL(clock_adjtime, -EPERM),
    CALL(clock_settime, -EPERM),
    CALL(clone3, -ENOSYS),
    CALL(delete_module, -EPERM),
    CALL(fanotify_init, -EPERM),
    CALL(fchmodat, -EPERM),
    CALL(fchownat, -EPERM),
    CALL(finit_module, -EPERM),
    CALL(fsconfig, -EPERM),
    CALL(fsmount, -EPERM),
    CALL(fsopen, -EPERM),
    CALL(fspick, -EPERM),
    CALL(init_module, -EPERM),
    CALL(io_uring_enter, -EPERM),
    CALL(io_uring_register, -EPERM),
    CALL(io_uring_setup, -EPERM),
    CALL(ioprio_set, -EPERM),
    CALL(kcmp, -EPERM),
    CALL(kexec_load, -EPERM),
    CALL(keyctl, -EPERM),
    CALL(lsetxattr, -EPERM),
    CALL(mount, -EPERM),
    CALL(move_mount, -EPERM),
    CALL(move_pages, -EPERM),
    CALL(mq_open, -EPERM),
    CALL(msgget, -EPERM),
    CALL(open_by_handle_at, -EPERM),
    CALL(open_tree, -EPERM),
    CALL(perf_event_open, -EPERM),
    CALL(pidfd_getfd, -EPERM),
    CALL(pivot_root, -EPERM),
    CALL(process_vm_readv, -EPERM),
    CALL(process_vm_writev, -EPERM),
    CALL(ptrace, -EPERM),
    CALL(quotactl, -EPERM),
    CALL(reboot, -EPERM),
    CALL(removexattr, -EPERM),
    CALL(request_key, -EPERM),
    CALL(sched_setaffinity, -EPERM),
    CALL(sched_setscheduler, -EPERM),
    CALL(semget, -EPERM),
    CALL(setdomainname, -EPERM),
    CALL(sethostname, -EPERM),
    CALL(setns, -EPERM),
    CALL(settimeofday, -EPERM),
    CALL(setxattr, -EPERM),
    CALL(shmget, -EPERM),
    CALL(swapoff, -EPERM),
    CALL(swapon, -EPERM),
    CALL(syslog, -EPERM),
    CALL(umount2, -EPERM),
    CALL(unshare, -EPERM),
    CALL(userfaultfd, -EPERM),
};

/* ---- trying ---- */

/* In place of what a row returns. */
enum { SANDBOX_FAILED = 200, DIED };

static int in_a_child(int (*body)(const void *), const void *data)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(data)); /* as -errno, in 8 bits */
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : DIED;
}

struct trial {
    const struct row *row;
    const struct call_row *call;
    struct sandbox_means means;
    uid_t user;
};

static int confined(const void *data)
{
    const struct trial *t = data;
    const char *paths[] = { ground.readable, "/usr/bin", "/bin" }, *writable[] = { ground.writable };
    const struct wire_config config = {
        .paths = { .texts = paths, .count = G_N_ELEMENTS(paths) },
        .writable = { .texts = writable, .count = G_N_ELEMENTS(writable) },
        .network = t->row != NULL && t->row->network,
    };
    g_autofree char *problem = NULL;
    if (sandbox_enter_by(&config, t->means, &problem) < 0) {
        print_message("# %s\n", problem);
        return SANDBOX_FAILED;
    }
    if (t->row != NULL)
        return -t->row->attempt();
    return syscall(t->call->number, -1L, -1L, -1L, -1L, -1L, -1L) < 0 ? errno : 0;
}

/* The process that tries has a parent of the same user, whom it could reach. */
static int as_user(const void *data)
{
    const struct trial *t = data;
    if (t->user != getuid() && (setgroups(0, NULL) < 0 || setresgid(t->user, t->user, t->user) < 0 ||
                                setresuid(t->user, t->user, t->user) < 0))
        return SANDBOX_FAILED;
    g_autofree char *secret = at(ground.secret, "doomed"), *readable = at(ground.readable, "doomed");
    if (!g_file_set_contents(secret, "text", -1, NULL) || !g_file_set_contents(readable, "text", -1, NULL))
        return SANDBOX_FAILED;
    return in_a_child(confined, data);
}

static int try_as(const struct trial *t, uid_t user)
{
    struct trial mine = *t;
    mine.user = user;
    ground = grounds[user == getuid() ? 0 : 1];
    return in_a_child(as_user, &mine);
}

/* What this kernel lacks is not shown to work. */
static void need(struct sandbox_means means)
{
    struct sandbox_means have = sandbox_means();
    if (means.landlock > have.landlock || (means.seccomp && !have.seccomp)) {
        print_message("# skipped: wants landlock=%d seccomp=%d, this system has landlock=%d seccomp=%d\n",
                      means.landlock, means.seccomp, have.landlock, have.seccomp);
        skip();
    }
}

static void check_row(void **state)
{
    const struct trial *t = *state;
    const struct row *row = t->row;
    need(t->means);
    /* A filter comes before anything else that the kernel asks. */
    bool by_seccomp = t->means.seccomp && t->means.landlock < row->seccomp;
    bool by_landlock = row->landlock > 0 && t->means.landlock >= row->landlock;
    int want = by_seccomp               ? row->seccomp_r
               : by_landlock            ? row->landlock_r
               : row->always            ? -EPERM
               : t->means.landlock == 1 ? row->first_r
                                        : 0;
    uid_t users[] = { getuid(), ORDINARY_USER };
    for (size_t i = 0; i < (getuid() == 0 ? 2 : 1); i++) {
        int got = try_as(t, users[i]);
        if (want != 0 || !row->kernel_may)
            assert_int_equal(got, -want);
    }
}

static void check_call(void **state)
{
    const struct trial *t = *state;
    need(t->means);
    assert_int_equal(try_as(t, getuid()), -t->call->want);
    if (getuid() == 0)
        assert_int_equal(try_as(t, ORDINARY_USER), -t->call->want);
}

/* ---- what the configuration names and is not there ---- */

static const struct problem_row {
    const char *name;
    const char *load, *path, *writable;
    const char *want;
} problem_rows[] = {
    { "all is there", "/bin/true", "/usr", "/tmp", NULL },
    { "no such handler", "/nowhere/h.so", "/usr", "/tmp", "load = /nowhere/h.so: No such file or directory" },
    { "no such path", "/bin/true", "/nowhere", "/tmp", "paths = /nowhere: No such file or directory" },
    { "nothing to write to", "/bin/true", "/usr", "/nowhere",
      "writable-paths = /nowhere: No such file or directory" },
};

static int report_problem(const void *data)
{
    const struct problem_row *row = data;
    struct wire_handler handler = { .name = "h", .file = row->load };
    const struct wire_config config = {
        .handlers = &handler,
        .handler_count = 1,
        .paths = { .texts = (const char *[]){ row->path }, .count = 1 },
        .writable = { .texts = (const char *[]){ row->writable }, .count = 1 },
    };
    g_autofree char *with = NULL, *without = NULL;
    int r = sandbox_enter_by(&config, (struct sandbox_means){ 0 }, &without);
    if ((r < 0) != (row->want != NULL) || g_strcmp0(without, row->want) != 0)
        return 1;
    r = sandbox_enter(&config, &with);
    return (r < 0) != (row->want != NULL) || g_strcmp0(with, row->want) != 0 ? 2 : 0;
}

static void check_problem(void **state)
{
    assert_int_equal(in_a_child(report_problem, *state), 0);
}

static int describe_within(const void *data)
{
    const struct wire_config config = { 0 };
    g_autofree char *problem = NULL, *said = NULL;
    if (sandbox_enter(&config, &problem) < 0)
        return SANDBOX_FAILED;
    said = sandbox_describe();
    return g_strcmp0(said, data) != 0;
}

static void describes_itself(void **state)
{
    (void)state;
    g_autofree char *said = sandbox_describe();
    struct sandbox_means means = sandbox_means();
    g_autofree char *want =
        g_strdup_printf("landlock=%d seccomp=%s", means.landlock, means.seccomp ? "yes" : "no");
    assert_string_equal(said, want);
    print_message("# %s\n", said);
    assert_int_equal(in_a_child(describe_within, want), 0);
}

int main(int argc, char **argv)
{
    grounds[0] = make_ground(getuid());
    if (getuid() == 0)
        grounds[1] = make_ground(ORDINARY_USER);
    struct sandbox_means have = sandbox_means();
    const struct sandbox_means combinations[] = {
        { MAX(have.landlock, 1), true },
        { MAX(have.landlock, 1), false },
        { 5, true },
        { 4, true },
        { 3, true },
        { 2, true },
        { 2, false },
        { 1, true },
        { 0, true },
        { 0, false },
    };
    struct suite *s = suite_new("sandbox");
    g_autoptr(GPtrArray) trials = g_ptr_array_new_with_free_func(g_free);
    for (size_t c = 0; c < G_N_ELEMENTS(combinations); c++) {
        for (size_t i = 0; i < G_N_ELEMENTS(rows) + G_N_ELEMENTS(call_rows); i++) {
            bool is_call = i >= G_N_ELEMENTS(rows);
            /* The file rows of other versions do not differ; the calls depend on seccomp alone. */
            if (is_call && c != 0)
                continue;
            struct trial *t = g_new0(struct trial, 1);
            g_ptr_array_add(trials, t);
            t->means = combinations[c];
            t->row = is_call ? NULL : &rows[i];
            t->call = is_call ? &call_rows[i - G_N_ELEMENTS(rows)] : NULL;
            g_autofree char *name =
                g_strdup_printf("%s (landlock %d, seccomp %s)", is_call ? t->call->name : t->row->name,
                                t->means.landlock, t->means.seccomp ? "yes" : "no");
            suite_add(s, name, is_call ? check_call : check_row, t);
        }
    }
    suite_add_rows(s, problem_rows, check_problem);
    suite_add(s, "describes itself", describes_itself, NULL);
    int r = suite_run(s, argc, argv);
    remove_ground(&grounds[0]);
    if (getuid() == 0)
        remove_ground(&grounds[1]);
    return r;
}
