/*
 * A handler that misbehaves. How, `option.how` says, or, where that is `by-header`, the field X-Zoo of each
 * message: without one, the message is delivered, so that good and bad ones can be mixed.
 *
 * What a host must end, ends by itself after a while, and what it must not let happen is asked for in a way
 * that hurts nobody when it happens all the same. What could be refused, the reply tells: "550 5.7.1 WHAT:
 * Permission denied"; a thing that was not refused is "WHAT: Success".
 */
#include <postern/handler.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WIRE = 3, SCRATCH = 4, PATIENCE = 120 /* seconds */, MANY = 50 };

/* Volatile, so that no compiler knows how it ends. */
static volatile int never;
static volatile char *volatile nowhere;

static postern_verdict tell(postern_delivery *delivery, const char *what, int error)
{
    g_autofree char *text = g_strdup_printf("%s: %s", what, g_strerror(error));
    return postern_reject(delivery, 550, "5.7.1", text);
}

/* `r` as of a system call that sets errno. */
static postern_verdict tell_call(postern_delivery *delivery, const char *what, long r)
{
    return tell(delivery, what, r < 0 ? errno : 0);
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static postern_verdict spin(void)
{
    for (double end = seconds() + PATIENCE; seconds() < end && !never;)
        ;
    return POSTERN_DELIVER;
}

/* ---- it dies ---- */

static postern_verdict crash(postern_delivery *delivery)
{
    (void)delivery;
    *nowhere = 1;
    return POSTERN_DELIVER;
}

static postern_verdict call_abort(postern_delivery *delivery)
{
    (void)delivery;
    abort();
}

static postern_verdict call_exit(postern_delivery *delivery)
{
    (void)delivery;
    exit(0);
}

static postern_verdict call_exit_at_once(postern_delivery *delivery)
{
    (void)delivery;
    _exit(0);
}

static postern_verdict kill_itself(postern_delivery *delivery)
{
    (void)delivery;
    (void)raise(SIGKILL);
    return POSTERN_DELIVER;
}

static int deeper(int depth)
{
    volatile char frame[4096];
    frame[depth % 4096] = (char)depth;
    return never ? 0 : deeper(depth + 1) + frame[0];
}

static postern_verdict overflow_stack(postern_delivery *delivery)
{
    (void)delivery;
    return deeper(0) == 0 ? POSTERN_DELIVER : POSTERN_DEFER;
}

/* By GLib, which aborts. Nothing is touched where there is no limit. */
static postern_verdict allocate_4g(postern_delivery *delivery)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return tell(delivery, "4g", 0);
    for (int i = 0; i < 4096; i++)
        memset(g_malloc(1 << 20), 1, 1 << 20);
    return tell(delivery, "4g", 0);
}

static postern_verdict free_message_twice(postern_delivery *delivery, GMimeMessage *message)
{
    (void)delivery;
    g_object_unref(message);
    return POSTERN_DELIVER;
}

static postern_verdict confine_itself(postern_delivery *delivery)
{
    (void)delivery;
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog program = { .len = 1, .filter = &nothing };
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0); /* the next call is the last one */
    return POSTERN_DELIVER;
}

/* ---- it does not end ---- */

static postern_verdict loop(postern_delivery *delivery)
{
    (void)delivery;
    return spin();
}

static postern_verdict sleep_long(postern_delivery *delivery)
{
    (void)delivery;
    for (unsigned left = PATIENCE; left > 0;)
        left = sleep(left);
    return POSTERN_DELIVER;
}

static postern_verdict stop(postern_delivery *delivery)
{
    (void)raise(SIGSTOP);
    return sleep_long(delivery);
}

static postern_verdict loop_without_signals(postern_delivery *delivery)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    return sleep_long(delivery);
}

/* ---- it speaks on the wire ---- */

static postern_verdict say(const void *octets, size_t len)
{
    return write(WIRE, octets, len) < 0 ? POSTERN_DEFER : POSTERN_DELIVER;
}

static postern_verdict write_rubbish(postern_delivery *delivery)
{
    (void)delivery;
    static const char rubbish[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n\xff\xff\xff\xff";
    return say(rubbish, sizeof rubbish);
}

static postern_verdict half_a_frame(postern_delivery *delivery)
{
    static const uint32_t head[] = { 1000, 5, 0 }; /* a verdict, of which little comes */
    (void)say(head, sizeof head);
    return sleep_long(delivery);
}

static postern_verdict endless_frame(postern_delivery *delivery)
{
    (void)delivery;
    static const uint32_t head[] = { UINT32_MAX, 5 };
    return say(head, sizeof head);
}

static postern_verdict flood_wire(postern_delivery *delivery)
{
    (void)delivery;
    static const char zeros[1 << 16];
    for (double end = seconds() + PATIENCE; seconds() < end;)
        if (write(WIRE, zeros, sizeof zeros) < 0 && errno != EAGAIN)
            break;
    return POSTERN_DELIVER;
}

static postern_verdict close_everything(postern_delivery *delivery)
{
    (void)delivery;
    for (int fd = 0; fd < 1024; fd++)
        (void)close(fd);
    return POSTERN_DELIVER;
}

static postern_verdict read_wire(postern_delivery *delivery)
{
    (void)delivery;
    char octets[4096]; /* of the next message, or the end */
    return read(WIRE, octets, sizeof octets) < 0 ? POSTERN_DEFER : POSTERN_DELIVER;
}

/* ---- it leaves something behind ---- */

/* Ends by itself, but later than anyone should have to wait. */
static _Noreturn void linger(void)
{
    (void)alarm(PATIENCE);
    for (;;)
        (void)pause();
}

static postern_verdict leave_child(postern_delivery *delivery)
{
    (void)delivery;
    if (fork() == 0)
        linger();
    return POSTERN_DELIVER;
}

static void leave_session(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)signal(SIGTERM, SIG_IGN);
        linger();
    }
}

static postern_verdict leave_session_behind(postern_delivery *delivery)
{
    (void)delivery;
    leave_session();
    return POSTERN_DELIVER;
}

/* As daemons do it; and one that takes its own orphans in. */
static postern_verdict leave_daemon(postern_delivery *delivery)
{
    (void)delivery;
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        leave_session();
        if (fork() == 0) {
            leave_session();
            linger();
        }
        _exit(0);
    }
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    return POSTERN_DELIVER;
}

static postern_verdict leave_many(postern_delivery *delivery)
{
    (void)delivery;
    for (int i = 0; i < MANY; i++)
        leave_session();
    return POSTERN_DELIVER;
}

static postern_verdict leave_child_and_crash(postern_delivery *delivery)
{
    leave_session();
    return crash(delivery);
}

static postern_verdict leave_child_and_hang(postern_delivery *delivery)
{
    leave_session();
    return sleep_long(delivery);
}

static postern_verdict eat_cpu(postern_delivery *delivery)
{
    (void)delivery;
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            (void)spin();
            _exit(0);
        }
    return spin();
}

static void *spin_in_thread(void *unused)
{
    (void)spin();
    return unused;
}

static void *crash_in_thread(void *unused)
{
    (void)usleep(20 * 1000); /* most likely, the verdict is out by then */
    *nowhere = 1;
    return unused;
}

/* A child of a thread that is not the first one is on a list of its own. */
static void *leave_child_of_thread(void *unused)
{
    leave_session();
    (void)spin();
    return unused;
}

static postern_verdict leave_thread(void *(*body)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL) != 0)
        return POSTERN_DEFER;
    (void)pthread_detach(thread);
    return POSTERN_DELIVER;
}

static postern_verdict leave_busy_thread(postern_delivery *delivery)
{
    (void)delivery;
    return leave_thread(spin_in_thread);
}

static postern_verdict leave_thread_with_child(postern_delivery *delivery)
{
    (void)delivery;
    return leave_thread(leave_child_of_thread);
}

static postern_verdict leave_crashing_thread(postern_delivery *delivery)
{
    (void)delivery;
    return leave_thread(crash_in_thread);
}

static postern_verdict leave_descriptors(postern_delivery *delivery)
{
    (void)delivery;
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) /* to the limit */
        ;
    return POSTERN_DELIVER;
}

static postern_verdict leave_memory(postern_delivery *delivery)
{
    (void)delivery;
    char *lost = malloc(32 << 20);
    if (lost == NULL)
        return POSTERN_DEFER;
    memset(lost, 1, 32 << 20);
    return POSTERN_DELIVER;
}

static postern_verdict change_process(postern_delivery *delivery)
{
    (void)umask(0777);
    (void)setenv("LC_ALL", "C", 1);
    (void)signal(SIGPIPE, SIG_IGN);
    return tell_call(delivery, "chdir", chdir("/"));
}

static postern_verdict leave_no_limits(postern_delivery *delivery)
{
    (void)delivery;
    const struct rlimit none = { 0, 0 };
    (void)setrlimit(RLIMIT_FSIZE, &none);
    (void)setrlimit(RLIMIT_NOFILE, &none);
    (void)setrlimit(RLIMIT_AS, &none);
    return POSTERN_DELIVER;
}

/* ---- it reaches for what is not its own ---- */

static postern_verdict raise_limits(postern_delivery *delivery)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
        return tell(delivery, "limits", 0); /* there is none to be raised */
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    return tell_call(delivery, "limits", setrlimit(RLIMIT_AS, &limit));
}

static postern_verdict open_file(postern_delivery *delivery)
{
    return tell_call(delivery, "open", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static postern_verdict make_file(postern_delivery *delivery)
{
    int r = open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600); /* it has no name, and stays nowhere */
    return tell_call(delivery, "make", r);
}

static postern_verdict open_socket(postern_delivery *delivery)
{
    return tell_call(delivery, "socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static postern_verdict open_unix_socket(postern_delivery *delivery)
{
    return tell_call(delivery, "socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static postern_verdict execute(postern_delivery *delivery)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/true", "true", (char *)NULL);
        _exit(errno);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return tell(delivery, "execute", errno);
    return tell(delivery, "execute", WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
}

static postern_verdict signal_parent(postern_delivery *delivery)
{
    return tell_call(delivery, "signal", kill(getppid(), 0)); /* only asks whether it might */
}

static postern_verdict signal_own_group(postern_delivery *delivery)
{
    (void)delivery;
    (void)kill(0, SIGURG); /* nobody dies of this one, if it reaches any */
    return POSTERN_DELIVER;
}

static postern_verdict fill_scratch(postern_delivery *delivery)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    static const char zeros[1 << 20];
    long r = 0;
    for (int i = 0; i < 1024 && r >= 0; i++)
        r = write(SCRATCH, zeros, sizeof zeros);
    return tell_call(delivery, "scratch", r);
}

static postern_verdict write_to_standard(postern_delivery *delivery)
{
    (void)delivery;
    static const char text[] = "event=forged level=error\n";
    for (int fd = 0; fd <= 2; fd++)
        if (write(fd, text, sizeof text - 1) < 0)
            continue; /* all the better */
    return POSTERN_DELIVER;
}

/* ---- it asks for what cannot be ---- */

static postern_verdict unknown_verdict(postern_delivery *delivery)
{
    (void)delivery;
    return (postern_verdict)99;
}

static postern_verdict unknown_recipient(postern_delivery *delivery)
{
    return tell(delivery, "recipient", -postern_reject_recipient(delivery, 999, 550, "5.1.1", "nobody"));
}

static postern_verdict success_as_rejection(postern_delivery *delivery)
{
    return postern_reject(delivery, 250, "2.0.0", "queued");
}

static postern_verdict reply_in_two_lines(postern_delivery *delivery)
{
    return postern_reject(delivery, 550, "5.7.1", "one\r\n250 2.0.0 two");
}

static postern_verdict reply_beyond_ascii(postern_delivery *delivery)
{
    return postern_reject(delivery, 550, "5.7.1", "gr\xc3\xbc\xc3\x9f\x65 \xff\x01");
}

static postern_verdict long_reply(postern_delivery *delivery)
{
    g_autofree char *text = g_strnfill(100000, 'x');
    return postern_reject(delivery, 550, "5.7.1", text);
}

static postern_verdict reply_without_text(postern_delivery *delivery)
{
    return postern_reject(delivery, 550, NULL, NULL);
}

static postern_verdict field_name_in_two_lines(postern_delivery *delivery)
{
    return tell(delivery, "field", -postern_add_header(delivery, "X-One: 1\nX-Forged", "yes"));
}

static postern_verdict field_without_name(postern_delivery *delivery)
{
    return tell(delivery, "field", -postern_add_header(delivery, "", "yes"));
}

static postern_verdict field_value_in_lines(postern_delivery *delivery)
{
    (void)postern_add_header(delivery, "X-One", "1\r\nX-Forged: yes\r\n\r\nbody");
    return POSTERN_DELIVER;
}

static postern_verdict folder_elsewhere(postern_delivery *delivery)
{
    return tell(delivery, "folder", -postern_set_folder(delivery, 0, "../../bob"));
}

static postern_verdict odd_flags(postern_delivery *delivery)
{
    return tell(delivery, "flags", -postern_set_flags(delivery, 0, "S/../x"));
}

static postern_verdict odd_redirect(postern_delivery *delivery)
{
    return tell(delivery, "redirect", -postern_redirect(delivery, 0, "not an address\r\n"));
}

static postern_verdict redirect_elsewhere(postern_delivery *delivery)
{
    (void)postern_redirect(delivery, 0, "somebody@elsewhere.example");
    return POSTERN_DELIVER;
}

static postern_verdict replace_by_nothing(postern_delivery *delivery)
{
    return tell(delivery, "replace", -postern_replace_raw(delivery, -1));
}

static postern_verdict replace_by_endless(postern_delivery *delivery)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    return tell(delivery, "replace", -postern_replace_raw(delivery, fd));
}

static postern_verdict flood_log(postern_delivery *delivery)
{
    g_autofree char *text = g_strnfill(5000, 'x');
    for (int i = 0; i < 20000; i++)
        postern_log(delivery, POSTERN_ERROR, text);
    return POSTERN_DELIVER;
}

static postern_verdict forge_log(postern_delivery *delivery)
{
    postern_log(delivery, (postern_level)99, "one\nevent=forged level=error session=\"\xff\x1b[2J\"");
    return POSTERN_DELIVER;
}

/* ---- which it is ---- */

static const struct animal {
    const char *how;
    postern_verdict (*act)(postern_delivery *delivery);
} animals[] = {
    { "crash", crash },
    { "abort", call_abort },
    { "exit", call_exit },
    { "exit-at-once", call_exit_at_once },
    { "kill-itself", kill_itself },
    { "stack", overflow_stack },
    { "4g", allocate_4g },
    { "confine-itself", confine_itself },
    { "loop", loop },
    { "sleep", sleep_long },
    { "stop", stop },
    { "loop-without-signals", loop_without_signals },
    { "rubbish", write_rubbish },
    { "half-a-frame", half_a_frame },
    { "endless-frame", endless_frame },
    { "flood-wire", flood_wire },
    { "close", close_everything },
    { "read-wire", read_wire },
    { "child", leave_child },
    { "session", leave_session_behind },
    { "daemon", leave_daemon },
    { "many", leave_many },
    { "child-and-crash", leave_child_and_crash },
    { "child-and-hang", leave_child_and_hang },
    { "cpu", eat_cpu },
    { "busy-thread", leave_busy_thread },
    { "thread-with-child", leave_thread_with_child },
    { "crashing-thread", leave_crashing_thread },
    { "descriptors", leave_descriptors },
    { "memory", leave_memory },
    { "change-process", change_process },
    { "no-limits", leave_no_limits },
    { "raise-limits", raise_limits },
    { "open", open_file },
    { "make", make_file },
    { "socket", open_socket },
    { "unix-socket", open_unix_socket },
    { "execute", execute },
    { "signal-parent", signal_parent },
    { "signal-group", signal_own_group },
    { "scratch", fill_scratch },
    { "standard", write_to_standard },
    { "unknown-verdict", unknown_verdict },
    { "unknown-recipient", unknown_recipient },
    { "success-as-rejection", success_as_rejection },
    { "two-lines", reply_in_two_lines },
    { "beyond-ascii", reply_beyond_ascii },
    { "long-reply", long_reply },
    { "no-text", reply_without_text },
    { "field-name", field_name_in_two_lines },
    { "field-no-name", field_without_name },
    { "field-value", field_value_in_lines },
    { "folder", folder_elsewhere },
    { "flags", odd_flags },
    { "redirect", odd_redirect },
    { "redirect-elsewhere", redirect_elsewhere },
    { "replace-nothing", replace_by_nothing },
    { "replace-endless", replace_by_endless },
    { "flood-log", flood_log },
    { "forge-log", forge_log },
};

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)envelope;
    const char *how = postern_option(delivery, "how");
    if (g_strcmp0(how, "by-header") == 0)
        how = g_mime_object_get_header(GMIME_OBJECT(message), "X-Zoo");
    if (how == NULL)
        return POSTERN_DELIVER;
    if (strcmp(how, "free-message") == 0)
        return free_message_twice(delivery, message);
    for (size_t i = 0; i < G_N_ELEMENTS(animals); i++)
        if (strcmp(how, animals[i].how) == 0)
            return animals[i].act(delivery);
    return tell(delivery, "no such animal", EINVAL);
}

/* ---- before and behind the messages ---- */

/* `option.init` and `option.shutdown` say what happens there. */
static int init(postern_setup *setup)
{
    postern_set_data(setup, (void *)postern_setup_option(setup, "shutdown"));
    const char *how = postern_setup_option(setup, "init");
    if (how == NULL)
        return 0;
    if (strcmp(how, "crash") == 0)
        *nowhere = 1;
    else if (strcmp(how, "exit") == 0)
        exit(0);
    else if (strcmp(how, "hang") == 0)
        (void)sleep_long(NULL);
    else if (strcmp(how, "child") == 0)
        leave_session();
    else if (strcmp(how, "close") == 0)
        (void)close_everything(NULL);
    else if (strcmp(how, "rubbish") == 0)
        (void)write_rubbish(NULL);
    else
        return postern_fail(setup, "it does not want to");
    return 0;
}

static void on_shutdown(void *data)
{
    const char *how = data;
    if (how == NULL)
        return;
    if (strcmp(how, "crash") == 0)
        *nowhere = 1;
    else if (strcmp(how, "hang") == 0)
        (void)sleep_long(NULL);
    else if (strcmp(how, "exit") == 0)
        exit(1);
    else if (strcmp(how, "child") == 0)
        leave_session();
}

POSTERN_HANDLER(.name = "zoo", .init = init, .on_message = on_message, .shutdown = on_shutdown)
