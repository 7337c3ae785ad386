/*
 * The daemon's life: it starts, delivers, is reloaded, loses processes, tells figures and ends. It listens at
 * unix sockets in a folder of its own; what is waited for is its log and its answers, with a minute's
 * patience.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_rig.h"
#include "suite.h"

enum { PATIENCE_MS = 60 * 1000, RETRY_MS = 10 };

static const char config[] = "[server]\nhostname = mx.example.org\nworkers = 2\n"
                             "[listen in]\naddress = unix:$/smtp\n"
                             "[metrics]\naddress = unix:$/figures\n"
                             "[domain example.org]\nmaildirs = $/mail\n";

/* ---- the daemon ---- */

struct server {
    struct cli *cli;
    pid_t pid;
    int err;
    GString *log;
    size_t seen; /* octets of the log, up to the last event that was waited for */
};

static void server_start(struct server *s, struct cli *cli)
{
    int ends[2];
    g_autofree char *program = cli_built("src/postern");
    g_autofree char *file = g_build_filename(cli->folder, "conf", NULL);
    *s = (struct server){ .cli = cli, .log = g_string_new(NULL) };
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
        if (dup2(ends[1], STDERR_FILENO) >= 0)
            (void)execl(program, "postern", "serve", "-c", file, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    s->err = ends[0];
}

/* More of its log; false at its end. */
static bool read_log(struct server *s)
{
    char text[4096];
    struct pollfd wait = { .fd = s->err, .events = POLLIN };
    if (poll(&wait, 1, PATIENCE_MS) != 1)
        fail_msg("nothing more in the log than \"%s\"", s->log->str + s->seen);
    ssize_t n = read(s->err, text, sizeof text);
    if (n > 0)
        g_string_append_len(s->log, text, n);
    return n > 0;
}

/* A line that comes behind the last one that was waited for, and has that in it. */
static void server_await(struct server *s, const char *text)
{
    const char *at;
    while ((at = strstr(s->log->str + s->seen, text)) == NULL)
        if (!read_log(s))
            fail_msg("ended without \"%s\": \"%s\"", text, s->log->str);
    s->seen = (size_t)(at - s->log->str) + strlen(text);
}

static void server_signal(const struct server *s, int signal)
{
    assert_int_equal(kill(s->pid, signal), 0);
}

/* Its exit status. */
static int server_end(struct server *s)
{
    while (read_log(s))
        continue;
    int status = 0;
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    (void)close(s->err);
    g_string_free(s->log, TRUE);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void server_stop(struct server *s)
{
    server_signal(s, SIGTERM);
    server_await(s, "event=stopping signal=15");
    server_await(s, "event=stopped");
    assert_int_equal(server_end(s), 0);
}

/* ---- its callers ---- */

static int try_call(const struct cli *cli, const char *name)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    (void)g_snprintf(to.sun_path, sizeof to.sun_path, "%s/%s", cli->folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int call(const struct cli *cli, const char *name)
{
    int fd = try_call(cli, name);
    assert_true(fd >= 0);
    return fd;
}

/* Up to the end, all that comes when it has said that. */
static char *converse(int take_fd, const char *said)
{
    GString *heard = g_string_new(NULL);
    auto_fd int fd = take_fd;
    char octets[4096];
    assert_int_equal(send(fd, said, strlen(said), MSG_NOSIGNAL), strlen(said));
    for (ssize_t n; (n = read(fd, octets, sizeof octets)) != 0;) {
        assert_true(n > 0);
        g_string_append_len(heard, octets, n);
    }
    return g_string_free(heard, FALSE);
}

static void assert_answered(const struct cli *cli, const char *name, const char *said, const char *pattern)
{
    g_autofree char *heard = converse(call(cli, name), said);
    if (!g_pattern_match_simple(pattern, heard))
        fail_msg("got \"%s\", expected \"%s\"", heard, pattern);
}

/* Who leaves takes connections until he hears of it: the first may still be his. */
static void await_answer(const struct cli *cli, const char *name, const char *said, const char *pattern)
{
    for (int i = 0; i < PATIENCE_MS / RETRY_MS; i++) {
        g_autofree char *heard = converse(call(cli, name), said);
        if (g_pattern_match_simple(pattern, heard))
            return;
        g_usleep(RETRY_MS * 1000);
    }
    fail_msg("nobody says \"%s\"", pattern);
}

static size_t count_files(const struct cli *cli, const char *name)
{
    g_autofree char *path = g_build_filename(cli->folder, name, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    assert_non_null(dir);
    size_t count = 0;
    while (g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

static bool is_there(const struct cli *cli, const char *name)
{
    g_autofree char *path = g_build_filename(cli->folder, name, NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* Those that the master has started: PR_SET_NAME tells those of figures. */
static pid_t find_child(const struct server *s, const char *wanted)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)s->pid, (int)s->pid),
                    *list = NULL;
    assert_true(g_file_get_contents(path, &list, NULL, NULL));
    g_auto(GStrv) pids = g_strsplit(g_strstrip(list), " ", -1);
    for (size_t i = 0; pids[i] != NULL; i++) {
        g_autofree char *comm = g_build_filename("/proc", pids[i], "comm", NULL), *name = NULL;
        if (g_file_get_contents(comm, &name, NULL, NULL) && strcmp(g_strchomp(name), wanted) == 0)
            return (pid_t)g_ascii_strtoll(pids[i], NULL, 10);
    }
    fail_msg("no child %s", wanted);
    return -1;
}

static struct cli *set_up(void)
{
    struct cli *cli = cli_new();
    cli_file(cli, "conf", config);
    cli_maildir(cli, "mail/alice");
    return cli;
}

/* ---- what it does ---- */

#define MESSAGE                                                                                              \
    "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: "                             \
    "x\r\n\r\nbody\r\n.\r\nQUIT\r\n"

static void serves(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    struct server s;
    server_start(&s, cli);
    server_await(&s, "event=started version=");
    server_await(&s, "event=listening listener=in ");
    assert_answered(cli, "smtp", MESSAGE,
                    "220 mx.example.org ESMTP postern\r\n*\r\n354 *\r\n250 2.0.0 Delivered*\r\n221 *");
    assert_int_equal(count_files(cli, "mail/alice/new"), 1);
    assert_int_equal(count_files(cli, "mail/alice/tmp"), 0);
    server_await(&s, "event=delivered ");
    server_stop(&s);
    assert_false(is_there(cli, "smtp"));
    assert_false(is_there(cli, "figures"));
}

/* Whoever has a connection keeps it, and the old settings, until its transaction has ended. */
static void is_reloaded(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    struct server s;
    server_start(&s, cli);
    server_await(&s, "event=listening listener=in ");
    auto_fd int before = call(cli, "smtp");
    char octets[64];
    assert_true(read(before, octets, sizeof octets) > 0);
    cli_file(
        cli, "conf",
        "[server]\nhostname = mx2.example.org\nworkers = 2\n[listen in]\naddress = unix:$/smtp\n"
        "[listen more]\naddress = unix:$/lmtp\nprotocol = lmtp\n[domain example.org]\nmaildirs = $/mail\n");
    server_signal(&s, SIGHUP);
    server_await(&s, "event=reloaded workers=2 leaving=2");
    server_await(&s, "event=listening listener=more ");
    assert_answered(cli, "lmtp", "QUIT\r\n", "220 mx2.example.org LMTP postern\r\n221 *");
    await_answer(cli, "smtp", "QUIT\r\n", "220 mx2.example.org *");
    await_answer(cli, "smtp", MESSAGE, "220 mx2.example.org *250 2.0.0 Delivered*");
    assert_false(is_there(cli, "figures"));
    ssize_t n = read(before, octets, sizeof octets);
    assert_true(n > 4 && memcmp(octets, "421 ", 4) == 0);
    server_stop(&s);
}

static void keeps_what_it_has(void **state)
{
    (void)state;
    static const struct {
        const char *conf, *told;
    } rows[] = {
        { "[server]\nhostname = a b\n", "event=reload-failed problem=\"$/conf:2: hostname = a b: " },
        { "[server]\nhostname = mx.example.org\nworkers = 3\n[listen in]\naddress = unix:$/smtp\n"
          "[domain example.org]\nmaildirs = $/mail\n",
          "event=reload-failed problem=\"workers = 3, not 2: needs a restart\"" },
        { "[server]\nhostname = mx.example.org\nworkers = 2\nuser = daemon\n[listen in]\naddress = "
          "unix:$/smtp\n"
          "[domain example.org]\nmaildirs = $/mail\n",
          "event=reload-failed problem=\"user = daemon, not : needs a restart\"" },
        { "[server]\nhostname = mx.example.org\nworkers = 2\n[listen in]\naddress = unix:$/mail/alice\n"
          "[domain example.org]\nmaildirs = $/mail\n",
          "event=reload-failed problem=\"an address cannot be listened at\"" },
        { "[server]\nhostname = mx.example.org\nworkers = 2\n[listen in]\naddress = unix:$/smtp\n"
          "[domain example.org]\nmaildirs = $/mail\n[log]\ntarget = file:$/none/log\n",
          "event=reload-failed problem=\"$/none/log: cannot be opened for the log: " },
        { "[server]\nhostname = mx.example.org\nworkers = 2\n[listen in]\naddress = unix:$/smtp\n"
          "[domain example.org]\nmaildirs = $/mail\n[handler broken]\nload = $/conf\n",
          "event=reload-failed problem=\"$/conf:9: handler broken: " },
    };
    auto_ptr(cli) cli = set_up();
    struct server s;
    server_start(&s, cli);
    server_await(&s, "event=listening listener=in ");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(GStrv) parts = g_strsplit(rows[i].told, "$", -1);
        g_autofree char *told = g_strjoinv(cli->folder, parts);
        cli_file(cli, "conf", rows[i].conf);
        server_signal(&s, SIGHUP);
        server_await(&s, told);
        assert_answered(cli, "smtp", "QUIT\r\n", "220 mx.example.org ESMTP postern\r\n221 *");
    }
    server_stop(&s);
}

static void replaces_what_has_died(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    struct server s;
    server_start(&s, cli);
    server_await(&s, "event=listening listener=in ");
    assert_answered(cli, "figures", "GET /metrics HTTP/1.0\r\n\r\n",
                    "HTTP/1.1 200 *"); /* it has its name by now */
    assert_int_equal(kill(find_child(&s, "postern"), SIGKILL), 0);
    server_await(&s, "event=worker-died ");
    assert_int_equal(kill(find_child(&s, "postern"), SIGTERM), 0); /* by who is not its master */
    server_await(&s, "event=worker-stopped ");
    assert_int_equal(kill(find_child(&s, "postern-metrics"), SIGKILL), 0);
    server_await(&s, "event=metrics-died ");
    assert_answered(cli, "smtp", "QUIT\r\n", "220 *221 *");
    assert_answered(cli, "figures", "GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 *");
    server_stop(&s);
}

static void tells_figures(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    struct server s;
    server_start(&s, cli);
    server_await(&s, "event=metrics address=unix:");
    assert_answered(cli, "smtp", MESSAGE, "220 *");
    assert_answered(
        cli, "figures", "GET /metrics HTTP/1.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n*\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n*\r\n\r\n*"
        "\npostern_messages_accepted_total 1\n*");
    assert_answered(cli, "figures", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 404 *there is only /metrics\n");
    assert_answered(cli, "figures", "POST /metrics HTTP/1.0\r\n\r\n",
                    "HTTP/1.1 405 *Allow: GET, HEAD\r\n*there is only GET\n");
    assert_answered(cli, "figures", "HEAD /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 *\r\n\r\n");
    server_stop(&s);
}

/* ---- where there is another one, or something else ---- */

static void makes_way_for_nobody(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    struct server s;
    server_start(&s, cli);
    server_await(&s, "event=listening listener=in ");
    cli_check(cli, &(struct cli_row){ .line = "serve -c $/conf",
                                      .status = 1,
                                      .out = "",
                                      .err = "*event=cannot-listen *address=unix:$/smtp *" });
    assert_answered(cli, "smtp", "QUIT\r\n", "220 *221 *");
    /* A socket that nobody listens at any more is in nobody's way. */
    server_signal(&s, SIGKILL);
    (void)server_end(&s);
    for (int fd; (fd = try_call(cli, "smtp")) >= 0;) /* its workers are about to end */
        (void)close(fd);
    assert_true(is_there(cli, "smtp"));
    server_start(&s, cli);
    server_await(&s, "event=listening listener=in ");
    assert_answered(cli, "smtp", "QUIT\r\n", "220 *221 *");
    server_stop(&s);
}

static const struct cli_row refused[] = {
    { "handlers that cannot be loaded", "serve -c $/conf --handler $/conf", 1, "",
      "*event=bad-configuration problem=*handler conf: *" },
    { "a log that cannot be opened", "serve -c $/conf --log file:$/none/log", 1, "",
      "postern: $/none/log: cannot be opened for the log: No such file or directory\n*" },
    { "a file in place of a socket", "serve -c $/conf --set 'listen in.address=unix:$/conf'", 1, "",
      "*event=cannot-listen *address=unix:$/conf *" },
    { "a pid file that cannot be made", "serve -c $/conf --pid-file $/none/pid", 1, "",
      "postern serve: $/none/pid: No such file or directory\n" },
    { "in the background, it has nowhere to log to", "serve -c $/conf --daemon", EX_USAGE, "",
      "postern serve: --daemon has no standard error; expected *" },
    { "in the background, it cannot start", "serve -c $/conf --daemon --log file:$/log --pid-file $/none/pid",
      1, "", "postern serve: $/none/pid: *" },
    { "in the background, it cannot listen",
      "serve -c $/conf --daemon --log file:$/log --set 'listen in.address=unix:$/conf'", 1, "",
      "postern: cannot start; the log tells why\n" },
};

static void check_refused(void **state)
{
    auto_ptr(cli) cli = set_up();
    cli_check(cli, *state);
}

/* ---- in the background ---- */

static pid_t read_pid(const struct cli *cli)
{
    g_autofree char *path = g_build_filename(cli->folder, "pid", NULL), *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_true(g_str_has_suffix(text, "\n"));
    return (pid_t)g_ascii_strtoll(text, NULL, 10);
}

static void detaches(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    const struct cli_row start = { .line = "serve -c $/conf --daemon --pid-file $/pid --log file:$/log",
                                   .out = "",
                                   .err = "" };
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* so that its end can be waited for */
    cli_check(cli, &start);
    pid_t pid = read_pid(cli);
    assert_int_equal(getsid(pid), pid);
    assert_answered(cli, "smtp", "QUIT\r\n", "220 *221 *");
    cli_check(
        cli, &(struct cli_row){ .line = "serve --hostname a.example --listen smtp://unix:$/other --domain "
                                        "example.org=$/mail --pid-file $/pid",
                                .status = 1,
                                .out = "",
                                .err = "postern serve: $/pid: another postern that runs holds this file\n" });
    assert_int_equal(read_pid(cli), pid);
    assert_int_equal(kill(pid, SIGINT), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(is_there(cli, "pid"));
    g_autofree char *path = g_build_filename(cli->folder, "log", NULL), *log = NULL;
    assert_true(g_file_get_contents(path, &log, NULL, NULL));
    assert_non_null(strstr(log, "event=stopping signal=2"));
    assert_non_null(strstr(log, "event=stopped"));
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli serve");
    suite_add(s, "it serves until SIGTERM", serves, NULL);
    suite_add(s, "it is reloaded", is_reloaded, NULL);
    suite_add(s, "it keeps what it has where the new one is wrong", keeps_what_it_has, NULL);
    suite_add(s, "it replaces what has died", replaces_what_has_died, NULL);
    suite_add(s, "it tells figures", tells_figures, NULL);
    suite_add(s, "two at one socket", makes_way_for_nobody, NULL);
    suite_add(s, "in the background", detaches, NULL);
    suite_add_rows(s, refused, check_refused);
    return suite_run(s, argc, argv);
}
