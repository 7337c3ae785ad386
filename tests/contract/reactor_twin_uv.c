/* The shim for the twin on libuv, and what only a real kernel can show. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reactor/reactor_uv.h"
#include "reactor_contract.h"

struct reactor *twin_new(unsigned pool_threads)
{
    struct reactor *r;
    assert_int_equal(reactor_new(pool_threads, &r), 0);
    return r;
}

/* Not UV_RUN_ONCE: that fires a timer and then sleeps, as if it had done nothing. */
void twin_turn(struct reactor *r)
{
    struct pollfd loop = { .fd = uv_backend_fd(&r->loop), .events = POLLIN };
    (void)poll(&loop, 1, uv_backend_timeout(&r->loop)); /* a signal ends it early, which does no harm */
    uv_run(&r->loop, UV_RUN_NOWAIT);
}

void twin_idle_turn(struct reactor *r)
{
    uv_run(&r->loop, UV_RUN_NOWAIT);
}

void twin_spend(struct reactor *r, msec_t ms)
{
    (void)r;
    uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000;
    while (uv_hrtime() < end)
        ;
}

void twin_unlink(struct reactor *r, const char *path)
{
    (void)r;
    assert_int_equal(unlink(path), 0);
}

/* ---- what a test does to the world ---- */

void twin_raise(struct reactor *r, int signal)
{
    (void)r;
    assert_int_equal(kill(getpid(), signal), 0);
}

void twin_add_programs(struct reactor *r)
{
    (void)r;
}

const char *twin_add_peer(struct reactor *r)
{
    (void)r;
    return "/proc/self/exe";
}

static void peer_write(const void *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t now = write(3, (const char *)bytes + done, len - done);
        if (now < 0)
            _exit(98);
        done += (size_t)now;
    }
}

static ssize_t peer_read(char *bytes, size_t size)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { bytes, size };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got = recvmsg(3, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS) {
        char text[64];
        int fd;
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
        ssize_t len = pread(fd, text, sizeof text, 0);
        peer_write(text, len > 0 ? (size_t)len : 0);
        close(fd);
    }
    return got;
}

int twin_peer(const char *mode)
{
    char bytes[4096];
    ssize_t got;
    if (strcmp(mode, "speak") == 0)
        peer_write("spoken", 6);
    while (strcmp(mode, "echo") != 0)
        pause();
    while ((got = peer_read(bytes, sizeof bytes)) > 0) {
        size_t end = slice_find(slice_of(bytes, (size_t)got), 0, (uint8_t)*TWIN_PEER_EXIT);
        peer_write(bytes, end);
        if (end < (size_t)got)
            return TWIN_PEER_STATUS;
    }
    return got == 0 ? 0 : 97;
}

void twin_set_shortage(struct reactor *r, bool on)
{
    static struct rlimit usual;
    (void)r;
    if (!on) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
        return;
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    int next = dup(STDIN_FILENO); /* the lowest that is free */
    assert_true(next >= 0);
    close(next);
    struct rlimit none = { .rlim_cur = (rlim_t)next, .rlim_max = usual.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static int fd_of(const struct stream *s)
{
    uv_os_fd_t fd;
    assert_int_equal(uv_fileno(&s->uv.handle, &fd), 0);
    return fd;
}

void twin_end_own_side(struct stream *s)
{
    assert_int_equal(shutdown(fd_of(s), SHUT_WR), 0);
}

void twin_reset(struct stream *s)
{
    struct linger at_once = { .l_onoff = 1 };
    assert_int_equal(setsockopt(fd_of(s), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    stream_abort(s);
}

/* ---- the loop ---- */

static void pass(void *arg)
{
    (void)arg;
}

static void never(void *owner)
{
    (void)owner;
    fail();
}

/* Else reactor_run would return while a stream waits for its owner to read on. */
static void idle_handle_keeps_loop(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    assert_false(uv_loop_alive(&w.r->loop));
    struct timer *first = timer_new(w.r, never, NULL), *second = timer_new(w.r, never, NULL);
    assert_true(uv_loop_alive(&w.r->loop));
    timer_close(first);
    reactor_submit(w.r, pass, pass, NULL);
    while (uv_run(&w.r->loop, UV_RUN_NOWAIT) != 0 && w.r->open > 1) /* until the job is done */
        ;
    assert_true(uv_loop_alive(&w.r->loop));
    timer_close(second);
    world_end(&w);
}

/* ---- sockets ---- */

static void has_nodelay(const struct stream *s)
{
    int on = 0;
    socklen_t len = sizeof on;
    assert_int_equal(getsockopt(fd_of(s), IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on != 0);
}

static void sends_without_delay(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, AF_INET);
    has_nodelay(p.client.s);
    has_nodelay(p.server.s);
    pair_end(&p);
}

static void streams_are_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct stream) < 400); /* ten thousand of them wait */
}

static void ignore_connection(void *owner)
{
    (void)owner;
}

static void both_families_on_one_port(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct listener *first, *second;
    assert_int_equal(
        listener_open(w.r, (struct sockaddr *)&v4, sizeof v4, 5, ignore_connection, NULL, &first), 0);
    struct address a;
    assert_int_equal(listener_address(first, &a.storage, &a.len), 0);
    memcpy(&v4, &a.storage, sizeof v4);
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
    int error = listener_open(w.r, (struct sockaddr *)&v6, sizeof v6, 5, ignore_connection, NULL, &second);
    listener_close(first);
    if (error == 0)
        listener_close(second);
    world_end(&w);
    if (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL)
        skip(); /* a kernel without IPv6 */
    assert_int_equal(error, 0);
}

/* ---- descriptors run out ---- */

struct shortage {
    struct world w;
    struct listener *listener;
    struct end server;
    unsigned notices;
    int error, farewell_error;
};

static void accept_in_shortage(void *owner)
{
    struct shortage *s = owner;
    s->notices++;
    s->error = listener_accept(s->listener, &end_events, &s->server, &s->server.s);
    if (s->error < 0)
        s->farewell_error = listener_turn_away(s->listener, slice_of("bye", 3));
}

static int raw_client(const struct address *a)
{
    int fd = socket(a->storage.ss_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a->storage, a->len), 0);
    return fd;
}

static void survives_shortage(void **state)
{
    (void)state;
    struct shortage s = { .notices = 0 };
    world_begin(&s.w);
    end_init(&s.server, &s.w);
    struct address a;
    s.listener = open_listener(&s.w, AF_INET, accept_in_shortage, &s, &a);
    int client = raw_client(&a);
    int spare = s.w.r->spare; /* a job's thread has been quicker */
    s.w.r->spare = -1;
    twin_set_shortage(s.w.r, true);
    RUN_UNTIL(&s.w, s.notices == 1);
    world_settle(&s.w);
    unsigned notices = s.notices;
    int error = s.error;
    twin_set_shortage(s.w.r, false); /* before an assertion could leave us without */
    assert_int_equal(error, -EMFILE);
    assert_int_equal(s.farewell_error, -EMFILE);
    assert_int_equal(notices, 1);        /* no spinning */
    RUN_UNTIL(&s.w, s.server.s != NULL); /* nobody was turned away */
    assert_true(s.w.r->spare >= 0);
    close(spare);
    stream_set_reading(s.server.s, true);
    assert_int_equal(write(client, "hi", 2), 2);
    RUN_UNTIL(&s.w, end_got(&s.server, "hi"));
    close(client);
    end_close(&s.server);
    listener_close(s.listener);
    world_end(&s.w);
    end_clear(&s.server);
}

/* ---- jobs ---- */

struct meeting {
    pthread_barrier_t barrier;
    pthread_t loop;
    unsigned dones;
};

static void meet(void *arg)
{
    struct meeting *m = arg;
    assert_false(pthread_equal(pthread_self(), m->loop));
    pthread_barrier_wait(&m->barrier); /* for ever, if they ran one after the other */
}

static void have_met(void *arg)
{
    struct meeting *m = arg;
    m->dones++;
}

static void jobs_side_by_side(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct meeting m = { .loop = pthread_self() };
    pthread_barrier_init(&m.barrier, NULL, 4);
    for (int i = 0; i < 4; i++)
        reactor_submit(w.r, meet, have_met, &m);
    reactor_run(w.r);
    assert_int_equal(m.dones, 4);
    assert_null(getenv("UV_THREADPOOL_SIZE"));
    pthread_barrier_destroy(&m.barrier);
    world_end(&w);
}

static void threads_that_cannot_be_had(void **state)
{
    (void)state;
    struct rlimit usual, tight;
    assert_int_equal(getrlimit(RLIMIT_AS, &usual), 0);
    g_autofree char *pages = NULL;
    assert_true(g_file_get_contents("/proc/self/statm", &pages, NULL, NULL));
    tight = usual;
    tight.rlim_cur = strtoull(pages, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + 100 * 1024 * 1024;
    struct reactor *r = NULL;
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0); /* many stacks do not go into that */
    int error = reactor_new(500, &r);
    assert_int_equal(setrlimit(RLIMIT_AS, &usual), 0);
    assert_int_equal(error, -EAGAIN);
    assert_null(r);
}

/* ---- child processes ---- */

struct result {
    bool over;
    int status, signal;
};

static void note_exit(void *owner, int status, int signal)
{
    *(struct result *)owner = (struct result){ true, status, signal };
}

/* Who ends only by a signal. */
static struct child *spawn_sleeper(struct world *w, struct result *result)
{
    struct child_options options = { .file = "/bin/sleep",
                                     .argv = (const char *const[]){ "sleep", "1000", NULL } };
    struct child *c;
    assert_int_equal(child_spawn(w->r, &options, note_exit, result, &c), 0);
    return c;
}

static struct result run(struct world *w, const struct child_options *options)
{
    struct result result = { .over = false };
    struct child *c;
    assert_int_equal(child_spawn(w->r, options, note_exit, &result, &c), 0);
    RUN_UNTIL(w, result.over);
    assert_int_equal(child_error(c), 0);
    child_close(c);
    return result;
}

static void shell_says(const char *script, const int *fds, size_t fd_count, int want_status, int want_signal)
{
    struct world w;
    world_begin(&w);
    struct child_options options = {
        .file = "/bin/sh",
        .argv = (const char *const[]){ "sh", "-c", script, NULL },
        .fds = fds,
        .fd_count = fd_count,
    };
    struct result result = run(&w, &options);
    assert_int_equal(result.status, want_status);
    assert_int_equal(result.signal, want_signal);
    world_end(&w);
}

static void child_has_descriptors(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int fds[] = { -1, -1, 2, -1, ends[1] };
    shell_says("echo told >&4 && test /proc/self/fd/3 -ef /dev/null", fds, G_N_ELEMENTS(fds), 0, 0);
    close(ends[1]);
    char text[16] = "";
    assert_int_equal(read(ends[0], text, sizeof text), 5);
    assert_memory_equal(text, "told\n", 5);
    close(ends[0]);
}

static void child_descriptors_swap(void **state)
{
    (void)state;
    int a[2], b[2];
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    int fds[64];
    assert_true(a[1] < 64 && b[1] < 64);
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = -1;
    fds[a[1]] = b[1];
    fds[b[1]] = a[1];
    g_autofree char *script =
        g_strdup_printf("echo A >/proc/self/fd/%d; echo B >/proc/self/fd/%d", b[1], a[1]);
    shell_says(script, fds, G_N_ELEMENTS(fds), 0, 0);
    close(a[1]);
    close(b[1]);
    char text[16];
    assert_int_equal(read(a[0], text, sizeof text), 2);
    assert_memory_equal(text, "A\n", 2);
    assert_int_equal(read(b[0], text, sizeof text), 2);
    assert_memory_equal(text, "B\n", 2);
    close(a[0]);
    close(b[0]);
}

static void child_has_nothing_else(void **state)
{
    (void)state;
    int leaks = fcntl(2, F_DUPFD, 9); /* as somebody else's library might leave it open */
    assert_true(leaks >= 9);
    g_autofree char *script =
        g_strdup_printf("test ! -e /proc/self/fd/%d && test ! -e /proc/self/fd/3 && "
                        "test /proc/self/fd/0 -ef /dev/null && test /proc/self/fd/1 -ef /dev/null",
                        leaks);
    shell_says(script, (const int[]){ -1 }, 1, 0, 0);
    close(leaks);
}

static void child_has_environment(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct child_options options = {
        .file = "/bin/sh",
        .argv = (const char *const[]){ "sh", "-c", "test \"$GREETING\" = hello && test -z \"$HOME\"", NULL },
        .env = (const char *const[]){ "GREETING=hello", NULL },
    };
    assert_int_equal(run(&w, &options).status, 0);
    world_end(&w);
    assert_int_equal(setenv("POSTERN_TEST_INHERITS", "yes", 1), 0);
    shell_says("test \"$POSTERN_TEST_INHERITS\" = yes", NULL, 0, 0, 0);
    assert_int_equal(unsetenv("POSTERN_TEST_INHERITS"), 0);
}

static void child_dies_of_sigpipe(void **state)
{
    (void)state;
    shell_says("kill -PIPE $$", NULL, 0, 0, SIGPIPE);
}

static void child_stands_back_when_told(void **state)
{
    (void)state;
    for (int stands_back = 0; stands_back < 2; stands_back++) {
        struct world w;
        world_begin(&w);
        struct child_options options = { .file = "/bin/sh",
                                         .argv = (const char *const[]){ "sh", "-c", "exit $(nice)", NULL },
                                         .stands_back = stands_back == 1 };
        int priority = getpriority(PRIO_PROCESS, 0);
        assert_int_equal(run(&w, &options).status, stands_back == 1 ? MIN(priority + 10, 19) : priority);
        world_end(&w);
    }
}

static void await_gate(void *gate)
{
    pthread_barrier_wait(gate);
}

static void have_passed(void *gate)
{
    (void)gate;
}

/* The pool comes to it when there are no descriptors left, and there is none to learn of its end by. */
static void child_that_cannot_be_had(bool is_forgotten)
{
    enum { THREADS = 4 }; /* of the world's pool */
    struct world w;
    world_begin(&w);
    pthread_barrier_t gate;
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        reactor_submit(w.r, await_gate, have_passed, &gate);
    struct result result = { .over = false };
    struct child *c = spawn_sleeper(&w, &result);
    assert_int_equal(child_pid(c), 0);
    if (is_forgotten)
        child_close(c);
    struct rlimit usual, tight;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    tight = (struct rlimit){ .rlim_cur = 0, .rlim_max = usual.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    pthread_barrier_wait(&gate);
    if (is_forgotten) {
        reactor_run(w.r);
        assert_false(result.over);
    } else {
        RUN_UNTIL(&w, result.over);
        assert_int_equal(result.status, 127);
        assert_int_equal(result.signal, 0);
        assert_int_equal(child_error(c), -EMFILE);
        assert_int_equal(child_kill(c, SIGTERM), -ESRCH);
        assert_int_equal(kill(child_pid(c), 0), -1); /* not even a zombie is left */
        assert_int_equal(errno, ESRCH);
        child_close(c);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    pthread_barrier_destroy(&gate);
    world_end(&w);
}

static void child_cannot_be_had(void **state)
{
    (void)state;
    child_that_cannot_be_had(false);
    child_that_cannot_be_had(true);
}

/* It may be executed, but what is in it is no program. */
static void child_is_no_program(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    g_autofree char *file = g_build_filename(g_get_tmp_dir(), "postern-no-program.XXXXXX", NULL);
    int fd = g_mkstemp_full(file, O_WRONLY | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    close(fd);
    struct result result = { .over = false };
    struct child *c;
    struct child_options options = { .file = file, .argv = (const char *const[]){ "none", NULL } };
    assert_int_equal(child_spawn(w.r, &options, note_exit, &result, &c), 0);
    RUN_UNTIL(&w, result.over);
    assert_int_equal(result.status, 127);
    assert_int_equal(child_error(c), -ENOEXEC);
    child_close(c);
    assert_int_equal(unlink(file), 0);
    world_end(&w);
}

/* Before it is there. */
static void child_is_killed_early(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct result result = { .over = false };
    struct child *c = spawn_sleeper(&w, &result);
    assert_int_equal(child_kill(c, SIGKILL), 0);
    RUN_UNTIL(&w, result.over);
    assert_int_equal(result.signal, SIGKILL);
    child_close(c);
    world_end(&w);
}

static void forgotten_child_is_no_zombie(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct result result = { .over = false };
    struct child_options options = { .file = "/bin/sh",
                                     .argv = (const char *const[]){ "sh", "-c", "exit 3", NULL } };
    struct child *c;
    assert_int_equal(child_spawn(w.r, &options, note_exit, &result, &c), 0);
    RUN_UNTIL(&w, child_pid(c) > 0);
    id_t pid = (id_t)child_pid(c);
    child_close(c);
    siginfo_t info;
    while (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0) /* until the loop has waited for it */
        world_settle(&w);
    assert_int_equal(errno, ECHILD);
    assert_false(result.over);
    world_end(&w);
}

static void forgotten_child_runs_on(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w);
    struct result result = { .over = false };
    struct child *c = spawn_sleeper(&w, &result);
    RUN_UNTIL(&w, child_pid(c) > 0);
    pid_t pid = child_pid(c);
    child_close(c);
    world_end(&w); /* does not wait for it */
    assert_false(result.over);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void twin_add_cases(struct suite *suite)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "an idle handle keeps the loop running", idle_handle_keeps_loop },
        { "TCP sends without delay", sends_without_delay },
        { "streams are small", streams_are_small },
        { "0.0.0.0 and [::] share a port", both_families_on_one_port },
        { "a listener survives a shortage of descriptors, even of the spare one", survives_shortage },
        { "jobs run side by side, off the loop's thread", jobs_side_by_side },
        { "threads that cannot be had are told of at once", threads_that_cannot_be_had },
        { "a child has the descriptors that it was given", child_has_descriptors },
        { "a child's descriptors may change places", child_descriptors_swap },
        { "a child has no other descriptors", child_has_nothing_else },
        { "a child has its environment", child_has_environment },
        { "a child is not spared SIGPIPE", child_dies_of_sigpipe },
        { "a child stands back when it is told to", child_stands_back_when_told },
        { "a child that cannot be had has ended", child_cannot_be_had },
        { "a child that is no program has exited", child_is_no_program },
        { "a child is killed before it is there", child_is_killed_early },
        { "a child that is forgotten runs on", forgotten_child_runs_on },
        { "a child that is forgotten is no zombie", forgotten_child_is_no_zombie },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
}
