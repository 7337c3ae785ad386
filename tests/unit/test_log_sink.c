/* Where log lines go: at once or in batches, whole and in order; and what happens when they come faster than
 * they can leave. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "server/log_sink.h"
#include "suite.h"

struct folder {
    char *path, *log;
};

static void folder_make(struct folder *f)
{
    f->path = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(f->path));
    f->log = g_build_filename(f->path, "log", NULL);
}

static void folder_clear(struct folder *f)
{
    (void)g_unlink(f->log);
    (void)g_rmdir(f->path);
    g_free(f->log);
    g_free(f->path);
}
AUTO_VAL_DEFINE(folder);

static struct log_sink *open_sink(const struct folder *f)
{
    struct log_options options = { .target = { LOG_TO_FILE, f->log },
                                   .format = PST_LOG_LOGFMT,
                                   .level = PST_LOG_INFO };
    struct log_sink *s;
    assert_int_equal(log_sink_open(&options, &s), 0);
    return s;
}

static char *content(const struct folder *f)
{
    char *text;
    assert_true(g_file_get_contents(f->log, &text, NULL, NULL));
    return text;
}

/* ---- at once ---- */

static void check_direct(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    assert_true(g_file_set_contents(f.log, "older\n", -1, NULL));
    auto_ptr(log_sink) s = open_sink(&f);
    const struct pst_log *log = log_sink_log(s);
    pst_log(log, PST_LOG_DEBUG, "below-the-level");
    pst_log(log, PST_LOG_INFO, "first");
    g_autofree char *one = content(&f);
    assert_true(g_str_has_prefix(one, "older\ntime="));
    assert_true(g_str_has_suffix(one, "Z level=info event=first\n"));
    pst_log(log, PST_LOG_ERROR, "second", PST_STR("what", "a\nb"));
    g_autofree char *two = content(&f);
    assert_true(g_str_has_prefix(two, one));
    assert_true(g_str_has_suffix(two, "Z level=error event=second what=\"a\\u000ab\"\n"));
    assert_null(strstr(two, "below"));
}

static void check_new_file(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    mode_t before = umask(0);
    auto_ptr(log_sink) s = open_sink(&f);
    (void)umask(before);
    assert_non_null(s);
    struct stat st;
    assert_int_equal(stat(f.log, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void check_no_file(void **state)
{
    (void)state;
    char path[] = "/nonexistent/log";
    struct log_options options = { .target = { LOG_TO_FILE, path } };
    struct log_sink *s = NULL;
    assert_int_equal(log_sink_open(&options, &s), -ENOENT);
    assert_null(s);
}

/* ---- where nothing can be written ---- */

/* What standard error is until it is put back. */
static int redirect(int fd)
{
    int former = dup(STDERR_FILENO);
    assert_true(former >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    return former;
}

static void put_back(int former)
{
    assert_int_equal(dup2(former, STDERR_FILENO), STDERR_FILENO);
    (void)close(former);
}

/* Told by the first that can be written, and not before: to tell it at once would only lose one more. */
static void check_lost(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    const struct log_options options = { .target = { LOG_TO_STDERR, NULL },
                                         .format = PST_LOG_LOGFMT,
                                         .level = PST_LOG_INFO };
    auto_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    auto_fd int file = open(f.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(full >= 0 && file >= 0);
    int former = redirect(full);
    auto_ptr(log_sink) s = NULL;
    assert_int_equal(log_sink_open(&options, &s), 0);
    for (int i = 0; i < 3; i++)
        pst_log(log_sink_log(s), PST_LOG_INFO, "lost");
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    pst_log(log_sink_log(s), PST_LOG_INFO, "written");
    pst_log(log_sink_log(s), PST_LOG_INFO, "another");
    put_back(former);
    g_autofree char *text = content(&f);
    assert_true(g_pattern_match_simple("time=* level=info event=written\n"
                                       "time=* level=warning event=log-lines-dropped count=3\n"
                                       "time=* level=info event=another\n",
                                       text));
    assert_null(strstr(text, "event=lost"));
}

/* A pipe that is full: what waits for its reader is given up, and nobody is held up for long. */
static void check_no_reader(void **state)
{
    (void)state;
    int ends[2];
    char octets[4096] = { 0 };
    const struct log_options options = { .target = { LOG_TO_STDERR, NULL },
                                         .format = PST_LOG_LOGFMT,
                                         .level = PST_LOG_INFO };
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    auto_fd int reading = ends[0], writing = ends[1];
    while (write(writing, octets, sizeof octets) > 0)
        continue;
    int former = redirect(writing);
    auto_ptr(log_sink) s = NULL;
    assert_int_equal(log_sink_open(&options, &s), 0);
    pst_log(log_sink_log(s), PST_LOG_INFO, "lost");
    while (read(reading, octets, sizeof octets) > 0)
        continue;
    pst_log(log_sink_log(s), PST_LOG_INFO, "written");
    put_back(former);
    ssize_t len = read(reading, octets, sizeof octets - 1);
    assert_true(len > 0);
    octets[len] = '\0';
    assert_true(g_pattern_match_simple("time=* level=info event=written\n"
                                       "time=* level=warning event=log-lines-dropped count=1\n",
                                       octets));
}

/* ---- to syslog, in whose place the test hears what is said ---- */

static GString *said; /* "LEVEL: TEXT\n" */

G_GNUC_PRINTF(2, 0) static void say(int level, const char *format, va_list args)
{
    g_string_append_printf(said, "%d: ", level);
    g_string_append_vprintf(said, format, args);
    g_string_append_c(said, '\n');
}

void __wrap_syslog(int level, const char *format, ...) G_GNUC_PRINTF(2, 3);
void __wrap_syslog(int level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(level, format, args);
    va_end(args);
}

/* What it is called where the compiler fortifies. */
void __wrap___syslog_chk(int level, int flag, const char *format, ...) G_GNUC_PRINTF(3, 4);
void __wrap___syslog_chk(int level, int flag, const char *format, ...)
{
    (void)flag;
    va_list args;
    va_start(args, format);
    say(level, format, args);
    va_end(args);
}

/* It has the time itself; and a line is one message, of its level, whatever is in it. */
static void check_syslog(void **state)
{
    (void)state;
    const struct log_options options = { .target = { LOG_TO_SYSLOG, NULL },
                                         .format = PST_LOG_LOGFMT,
                                         .level = PST_LOG_DEBUG };
    said = g_string_new(NULL);
    auto_ptr(log_sink) s = NULL;
    assert_int_equal(log_sink_open(&options, &s), 0);
    for (int level = PST_LOG_DEBUG; level <= PST_LOG_PANIC; level++)
        pst_log(log_sink_log(s), (enum pst_log_level)level, "event", PST_STR("text", "100%s\n%n"));
    g_autofree char *wanted = g_strdup_printf("%d: level=debug event=event text=\"100%%s\\u000a%%n\"\n"
                                              "%d: level=info *\n%d: level=warning *\n%d: level=error *\n"
                                              "%d: level=fatal *\n%d: level=panic *\n",
                                              LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT, LOG_ALERT);
    assert_true(g_pattern_match_simple(wanted, said->str));
    g_string_free(g_steal_pointer(&said), TRUE);
}

/* ---- in batches, from a loop ---- */

enum { LINES = 2500 }; /* fewer octets than may gather, however slow the disk is */

struct loop {
    struct reactor *reactor;
    struct log_sink *sink;
    struct timer *timer;
    unsigned logged;
    int fd; /* the log, for reading */
};

/* Some lines in each turn of the loop, so that jobs run while others gather. */
static void log_some(void *owner)
{
    struct loop *l = owner;
    for (unsigned i = 0; i < 100; i++)
        pst_log(log_sink_log(l->sink), PST_LOG_INFO, "line", PST_UINT("number", l->logged++));
    if (l->logged < LINES) {
        timer_start(l->timer, reactor_now(l->reactor));
        return;
    }
    timer_close(l->timer);
    log_sink_detach(l->sink);
}

static void check_order(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    struct loop l = { .sink = open_sink(&f) };
    assert_int_equal(reactor_new(2, &l.reactor), 0);
    log_sink_attach(l.sink, l.reactor);
    l.timer = timer_new(l.reactor, log_some, &l);
    timer_start(l.timer, reactor_now(l.reactor));
    reactor_run(l.reactor);
    assert_int_equal(reactor_free(l.reactor), 0);
    log_sink_free(l.sink);

    g_autofree char *text = content(&f);
    const char *at = text;
    for (unsigned i = 0; i < LINES; i++) {
        g_autofree char *end = g_strdup_printf("event=line number=%u\n", i);
        const char *newline = strchr(at, '\n');
        assert_non_null(newline);
        g_autofree char *line = g_strndup(at, (size_t)(newline + 1 - at));
        assert_true(g_str_has_suffix(line, end));
        at = newline + 1;
    }
    assert_string_equal(at, "");
}

static void wait_for_batch(void *owner)
{
    struct loop *l = owner;
    struct stat st;
    assert_int_equal(fstat(l->fd, &st), 0);
    if (st.st_size == 0) {
        timer_start(l->timer, reactor_now(l->reactor) + 1);
        return;
    }
    timer_close(l->timer);
    log_sink_detach(l->sink);
}

/* One line on its own is written without a second one that would push it. */
static void check_single_line(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    struct loop l = { .sink = open_sink(&f) };
    auto_fd int fd = open(f.log, O_RDONLY);
    l.fd = fd;
    assert_int_equal(reactor_new(2, &l.reactor), 0);
    log_sink_attach(l.sink, l.reactor);
    pst_log(log_sink_log(l.sink), PST_LOG_INFO, "alone");
    l.timer = timer_new(l.reactor, wait_for_batch, &l);
    timer_start(l.timer, reactor_now(l.reactor));
    reactor_run(l.reactor); /* would not end if the line did not come */
    assert_int_equal(reactor_free(l.reactor), 0);
    log_sink_free(l.sink);
    g_autofree char *text = content(&f);
    assert_true(g_str_has_suffix(text, "event=alone\n"));
}

/* ---- faster than they can leave ---- */

struct flood {
    struct reactor *reactor;
    struct log_sink *sink;
    struct timer *timer;
    int reader; /* of the pipe that is the log */
    GString *read;
    unsigned logged;
};

static void read_flood(void *owner)
{
    struct flood *f = owner;
    char block[4096];
    ssize_t n;
    while ((n = read(f->reader, block, sizeof block)) > 0)
        g_string_append_len(f->read, block, n);
    if (strstr(f->read->str, "event=log-lines-dropped") == NULL) {
        timer_start(f->timer, reactor_now(f->reactor) + 1);
        return;
    }
    timer_close(f->timer);
    pst_log(log_sink_log(f->sink), PST_LOG_INFO, "after");
    log_sink_detach(f->sink);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* The log is a pipe that nobody reads at first: the job that writes waits, and the loop does not. */
static void check_flood(void **state)
{
    (void)state;
    auto_val(folder) folder;
    folder_make(&folder);
    assert_int_equal(mkfifo(folder.log, 0600), 0);
    struct flood f = { .reader = open(folder.log, O_RDONLY | O_NONBLOCK), .read = g_string_new(NULL) };
    assert_true(f.reader >= 0);
    f.sink = open_sink(&folder);
    assert_int_equal(reactor_new(2, &f.reactor), 0);
    log_sink_attach(f.sink, f.reactor);
    char filler[1000];
    memset(filler, 'x', sizeof filler);
    for (; f.logged < 2000; f.logged++)
        pst_log(log_sink_log(f.sink), PST_LOG_INFO, "flood",
                PST_BYTES("filler", slice_of(filler, sizeof filler)));
    f.timer = timer_new(f.reactor, read_flood, &f);
    timer_start(f.timer, reactor_now(f.reactor));
    reactor_run(f.reactor);
    assert_int_equal(reactor_free(f.reactor), 0);
    log_sink_free(f.sink);
    for (char block[4096];;) {
        ssize_t n = read(f.reader, block, sizeof block);
        if (n <= 0)
            break;
        g_string_append_len(f.read, block, n);
    }
    (void)close(f.reader);

    const char *told = strstr(f.read->str, "event=log-lines-dropped count=");
    assert_non_null(told);
    unsigned dropped = 0;
    assert_int_equal(sscanf(told, "event=log-lines-dropped count=%u", &dropped), 1);
    unsigned arrived = count_of(f.read->str, "event=flood filler=xxx");
    assert_int_equal(arrived + dropped, f.logged);
    assert_true(dropped > 0);
    assert_in_range(arrived, 256,
                    512); /* what may gather, and a batch that was under way, of about 1 KiB each */
    assert_int_equal(count_of(f.read->str, "event=after"), 1);
    /* Each line is whole: it begins with its time and ends with its filler. */
    assert_int_equal(count_of(f.read->str, "\ntime="), arrived + 2 - 1);
    g_string_free(f.read, TRUE);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("log_sink");
    suite_add(s, "without a loop, each line at once", check_direct, NULL);
    suite_add(s, "a new file's mode", check_new_file, NULL);
    suite_add(s, "a file that cannot be", check_no_file, NULL);
    suite_add(s, "lines that were lost are told", check_lost, NULL);
    suite_add(s, "a pipe that nobody reads", check_no_reader, NULL);
    suite_add(s, "to syslog", check_syslog, NULL);
    suite_add(s, "batches keep the order", check_order, NULL);
    suite_add(s, "a single line does not wait for others", check_single_line, NULL);
    suite_add(s, "a flood is bounded, and told", check_flood, NULL);
    return suite_run(s, argc, argv);
}
