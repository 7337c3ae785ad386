/*
 * Children that a nursery starts. This program is the nursery's and theirs, too: as such it says on its
 * descriptor 4 who it is, and exits with SAID.
 */
#include "base/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "reactor/reactor.h"
#include "suite.h"

enum { SAY_FD = 4, SAID = 7, NO_PROGRAM = 127, NICEST = 19, TRIES = 100, MANY = 50 };

#define NAME "nursed"

struct said {
    int pid, parent, session, priority;
    int of_session; /* the nice value of the session; INT_MAX: the kernel does not have such */
    int descriptors, processors;
    bool has_arguments;
};

/* ---- as a child ---- */

static int priority_of_session(void)
{
    g_autofree char *text = NULL; /* /autogroup-123 nice 19 */
    if (!g_file_get_contents("/proc/self/autogroup", &text, NULL, NULL))
        return INT_MAX;
    return atoi(strrchr(text, ' '));
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

static int say_who(int argc)
{
    const struct said said = {
        .pid = getpid(),
        .parent = getppid(),
        .session = getsid(0),
        .priority = getpriority(PRIO_PROCESS, 0),
        .of_session = priority_of_session(),
        .descriptors = open_descriptors(),
        .processors = processors(),
        .has_arguments = argc > 1,
    };
    return write(SAY_FD, &said, sizeof said) == sizeof said ? SAID : 1;
}

/* ---- its parent ---- */

struct world {
    struct reactor *r;
    char *program;
    uint64_t spare_processors;
};

static void world_begin(struct world *w)
{
    *w = (struct world){ .spare_processors = 0 };
    w->program = g_file_read_link("/proc/self/exe", NULL);
    assert_non_null(w->program);
    assert_int_equal(reactor_new(1, &w->r), 0);
}

static void world_end(struct world *w)
{
    assert_int_equal(reactor_free(w->r), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
    assert_int_equal(errno, ECHILD);
    g_free(w->program);
}

struct end {
    struct child *child;
    int status, signal, error, pid;
};

static void on_exit_of_child(void *owner, int status, int signal)
{
    struct end *e = owner;
    e->status = status;
    e->signal = signal;
    e->error = child_error(e->child);
    e->pid = child_pid(e->child);
    child_close(e->child);
}

/* From its start to its end; what it said, or nothing: then pid is 0. */
static struct said bear(const struct world *w, struct end *ret_end)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    auto_fd int ours = ends[0];
    const int fds[] = { CHILD_NULL, CHILD_NULL, CHILD_NULL, CHILD_NULL, ends[1] };
    const struct child_options options = { .file = w->program,
                                           .argv = (const char *const[]){ NAME, NULL },
                                           .fds = fds,
                                           .fd_count = G_N_ELEMENTS(fds),
                                           .stands_back = true,
                                           .spare_processors = w->spare_processors,
                                           .is_nursed = true };
    assert_int_equal(child_spawn(w->r, &options, on_exit_of_child, ret_end, &ret_end->child), 0);
    reactor_run(w->r);
    assert_int_equal(close(ends[1]), 0);
    struct said said = { .pid = 0 };
    (void)recv(ours, &said, sizeof said, MSG_DONTWAIT);
    return said;
}

static struct said bear_well(const struct world *w)
{
    struct end end;
    struct said said = bear(w, &end);
    assert_int_equal(end.status, SAID);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.error, 0);
    assert_int_equal(said.pid, end.pid);
    return said;
}

/* The process that leads the session of those. */
static void kill_nursery(const struct said *of)
{
    assert_int_equal(kill(of->session, SIGKILL), 0);
    siginfo_t info; /* it is reaped by whom it was made for */
    assert_int_equal(waitid(P_PID, (id_t)of->session, &info, WEXITED | WNOWAIT), 0);
}

static void check_is_ours(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct said said = bear_well(&w);
    assert_int_equal(said.parent, getpid());
    assert_int_equal(said.descriptors, SAY_FD + 1);
    assert_false(said.has_arguments);
    world_end(&w);
}

static void check_session(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct said first = bear_well(&w), second = bear_well(&w);
    assert_int_not_equal(first.session, getsid(0));
    assert_int_equal(first.session, second.session);
    assert_int_not_equal(first.session, first.pid);
    world_end(&w);
}

/* The kernel lets sessions be changed ten times a second, whoever they belong to. */
static void check_session_stands_back(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct said said = bear_well(&w);
    for (int i = 0; i < TRIES && said.of_session < NICEST; i++) {
        g_usleep(G_USEC_PER_SEC / 10);
        said = bear_well(&w);
    }
    assert_int_equal(said.of_session, access("/proc/self/autogroup", F_OK) == 0 ? NICEST : INT_MAX);
    assert_int_equal(said.priority, MIN(getpriority(PRIO_PROCESS, 0) + 10, NICEST));
    world_end(&w);
}

static void check_killed_is_followed(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct said before = bear_well(&w);
    kill_nursery(&before);
    struct said behind = bear_well(&w);
    assert_int_not_equal(before.session, behind.session);
    world_end(&w);
}

static void check_other_kind(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct said before = bear_well(&w);
    w.spare_processors = 1;
    struct said behind = bear_well(&w);
    assert_int_not_equal(before.session, behind.session);
    w.spare_processors = CPU_SETSIZE; /* all but one */
    assert_int_equal(bear_well(&w).processors, 1);
    world_end(&w);
}

/* Who is stopped and goes on has his system calls end with EINTR, also those that handlers do not end. */
static _Noreturn void interrupt(pid_t parent)
{
    while (getppid() == parent && kill(parent, SIGSTOP) == 0 && kill(parent, SIGCONT) == 0)
        g_usleep(1000);
    _exit(0);
}

static pid_t begin_to_interrupt(void)
{
    pid_t us = getpid(), pid = fork();
    if (pid == 0)
        interrupt(us);
    assert_true(pid > 0);
    return pid;
}

static void check_interrupted_keeps_in_step(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    pid_t other = begin_to_interrupt();
    for (int i = 0; i < MANY; i++)
        (void)bear_well(&w);
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
    world_end(&w);
}

static void check_many_at_once(void **state)
{
    (void)state;
    struct world w;
    struct end ends[MANY];
    world_begin(&w);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const int fds[] = { CHILD_NULL, CHILD_NULL, CHILD_NULL, CHILD_NULL, null };
    const struct child_options options = { .file = w.program,
                                           .argv = (const char *const[]){ NAME, NULL },
                                           .fds = fds,
                                           .fd_count = G_N_ELEMENTS(fds),
                                           .is_nursed = true };
    for (int i = 0; i < MANY; i++)
        assert_int_equal(child_spawn(w.r, &options, on_exit_of_child, &ends[i], &ends[i].child), 0);
    reactor_run(w.r);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ends[i].status, SAID);
    assert_int_equal(close(null), 0);
    world_end(&w);
}

/* The nursery has it still; what would become a child does not. */
static void check_no_program(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    g_autofree char *folder = g_dir_make_tmp("postern-nursery-XXXXXX", NULL);
    g_autofree char *program = g_build_filename(folder, "program", NULL), *content = NULL;
    gsize len;
    assert_true(g_file_get_contents(w.program, &content, &len, NULL));
    assert_true(g_file_set_contents(program, content, (gssize)len, NULL));
    assert_int_equal(g_chmod(program, 0700), 0);
    g_free(w.program);
    w.program = g_steal_pointer(&program);
    (void)bear_well(&w);
    assert_true(g_file_set_contents(w.program, "no program", -1, NULL)); /* another file of that name */
    assert_int_equal(g_chmod(w.program, 0700), 0);
    struct end end;
    assert_int_equal(bear(&w, &end).pid, 0);
    assert_int_equal(end.status, NO_PROGRAM);
    assert_int_equal(end.error, -ENOEXEC);
    assert_int_equal(g_unlink(w.program), 0);
    assert_int_equal(g_rmdir(folder), 0);
    world_end(&w);
}

/* The kernel ends it where it would begin: its one segment is larger than any memory. */
static void write_stillborn(const char *path)
{
    struct {
        ElfW(Ehdr) header;
        ElfW(Phdr) segment;
    } program;
    g_autofree char *ours = NULL;
    gsize len;
    assert_true(g_file_get_contents("/proc/self/exe", &ours, &len, NULL));
    memcpy(&program.header, ours, sizeof program.header);
    program.header.e_type = ET_EXEC;
    program.header.e_phoff = sizeof program.header;
    program.header.e_phnum = 1;
    program.segment = (ElfW(Phdr)){ .p_type = PT_LOAD, .p_memsz = UINTPTR_MAX };
    assert_true(g_file_set_contents(path, (const char *)&program, sizeof program, NULL));
    assert_int_equal(g_chmod(path, 0700), 0);
}

/* Those that can be started, but end: when the order has come, or (one of two hundred) before. It is told
 * alike. */
static void check_no_nursery(void **state)
{
    (void)state;
    g_autofree char *folder = g_dir_make_tmp("postern-nursery-XXXXXX", NULL);
    g_autofree char *stillborn = g_build_filename(folder, "program", NULL);
    write_stillborn(stillborn);
    for (unsigned i = 0; i < 10 * TRIES; i++) {
        struct world w;
        world_begin(&w);
        g_free(w.program);
        w.program = g_strdup(i < TRIES ? "/bin/true" : stillborn);
        struct end end;
        assert_int_equal(bear(&w, &end).pid, 0);
        assert_int_equal(end.status, NO_PROGRAM);
        assert_int_equal(end.error, -ECHILD);
        world_end(&w);
    }
    assert_int_equal(g_unlink(stillborn), 0);
    assert_int_equal(g_rmdir(folder), 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], NURSERY_ARGUMENT) == 0)
        nursery_run(argv[0], argv[2]);
    if (strcmp(argv[0], NAME) == 0)
        return say_who(argc);
    struct suite *s = suite_new("nursery");
    suite_add(s, "a nursed child is its user's, with its descriptors", check_is_ours, NULL);
    suite_add(s, "all are of one session, which is not ours", check_session, NULL);
    suite_add(s, "that session stands behind all others", check_session_stands_back, NULL);
    suite_add(s, "a nursery that was killed is followed by another", check_killed_is_followed, NULL);
    suite_add(s, "children of another kind have another nursery", check_other_kind, NULL);
    suite_add(s, "a parent that is interrupted keeps in step", check_interrupted_keeps_in_step, NULL);
    suite_add(s, "many at once are born one after the other", check_many_at_once, NULL);
    suite_add(s, "a child that has no program says so", check_no_program, NULL);
    suite_add(s, "what is no nursery is told as an error", check_no_nursery, NULL);
    return suite_run(s, argc, argv);
}
