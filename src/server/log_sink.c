#include "server/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include "base/assert.h"

enum {
    GATHER_MS = 10, /* a line waits that long for company: at 1,000 messages a second one job writes dozens */
    WRITE_PATIENCE_MS = 200,
    GATHER_ENOUGH = 32 * 1024, /* octets that are written without waiting */
    GATHER_MAX = 256 * 1024,   /* octets beyond which lines are dropped */
};

struct log_sink {
    struct pst_log log;
    enum log_target_kind kind;
    int fd; /* -1: syslog */
    bool owns_fd;
    size_t piece; /* octets of one write(2): what others that write to the same pipe cannot tear apart */
    struct reactor *reactor; /* NULL: each line is written at once */
    struct timer *timer;
    GString *gathered; /* whole lines; for syslog, each behind a digit that is its level */
    GString *writing;  /* the job's while it runs */
    bool job_runs;
    uint64_t dropped; /* lines, not yet told */
    uint64_t lost;    /* lines whose write failed; the job's while it runs */
};

/* ---- writing: on a thread of the pool, or directly ---- */

static uint64_t count_lines(const char *text, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines;
}

/*
 * A pipe that says it can be written takes a piece whole. One whose reader sleeps must stop neither the
 * master, which has workers to look after, nor a worker that wants to end: its lines are lost, and counted.
 */
static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT };
        if (poll(&wait, 1, WRITE_PATIENCE_MS) == 0)
            return -EAGAIN;
        ssize_t n = write(fd, text, len);
        if (n >= 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* As many whole lines as one write may have; at least one. */
static size_t whole_lines(const char *text, size_t len, size_t piece)
{
    if (len <= piece)
        return len;
    const char *last = memrchr(text, '\n', piece);
    pst_assert(last != NULL); /* PST_LOG_LINE_MAX is less than any piece */
    return (size_t)(last - text) + 1;
}

static void write_to_fd(struct log_sink *s, const char *text, size_t len)
{
    while (len > 0) {
        size_t part = whole_lines(text, len, s->piece);
        int r = write_all(s->fd, text, part);
        if (r == -EAGAIN)
            part = len; /* nobody reads: the rest would only wait as long */
        if (r < 0)
            s->lost += count_lines(text, part);
        text += part;
        len -= part;
    }
}

static void write_to_syslog(const char *text, size_t len)
{
    static const int priorities[] = {
        [PST_LOG_DEBUG] = LOG_DEBUG, [PST_LOG_INFO] = LOG_INFO,  [PST_LOG_WARNING] = LOG_WARNING,
        [PST_LOG_ERROR] = LOG_ERR,   [PST_LOG_FATAL] = LOG_CRIT, [PST_LOG_PANIC] = LOG_ALERT,
    };
    for (const char *end; len > 0; len -= (size_t)(end + 1 - text), text = end + 1) {
        end = memchr(text, '\n', len);
        pst_assert(end != NULL);
        syslog(priorities[*text - '0'], "%.*s", (int)(end - text - 1), text + 1);
    }
}

static void write_out(struct log_sink *s, GString *text)
{
    if (s->kind == LOG_TO_SYSLOG)
        write_to_syslog(text->str, text->len);
    else
        write_to_fd(s, text->str, text->len);
    g_string_truncate(text, 0);
}

/* ---- gathering: on the loop ---- */

static void run_job(void *sink)
{
    struct log_sink *s = sink;
    write_out(s, s->writing);
}

static void job_done(void *sink);

static void submit(struct log_sink *s)
{
    timer_stop(s->timer);
    GString *full = s->gathered;
    s->gathered = s->writing;
    s->writing = full;
    s->job_runs = true;
    reactor_submit(s->reactor, run_job, job_done, s);
}

static void tell_dropped(struct log_sink *s)
{
    uint64_t count = s->dropped;
    s->dropped = 0;
    if (count > 0)
        pst_log(&s->log, PST_LOG_WARNING, "log-lines-dropped", PST_UINT("count", count));
}

/* What was lost is told once a write has succeeded again: to tell it at once would only lose one more line,
 * and so on. */
static bool take_lost(struct log_sink *s)
{
    s->dropped += s->lost;
    bool any = s->lost > 0;
    s->lost = 0;
    return any;
}

static void write_now(struct log_sink *s)
{
    write_out(s, s->gathered);
    if (!take_lost(s))
        tell_dropped(s);
}

static void job_done(void *sink)
{
    struct log_sink *s = sink;
    s->job_runs = false;
    bool lost = take_lost(s);
    if (s->reactor == NULL) {
        write_now(s); /* detached meanwhile */
        return;
    }
    if (s->gathered->len >= GATHER_ENOUGH)
        submit(s);
    else if (s->gathered->len > 0)
        timer_start(s->timer, reactor_now(s->reactor) + GATHER_MS);
    if (!lost)
        tell_dropped(s);
}

static void on_timer(void *sink)
{
    struct log_sink *s = sink;
    if (!s->job_runs && s->gathered->len > 0)
        submit(s);
}

static void gather(struct log_sink *s, enum pst_log_level level, const char *line, size_t len)
{
    if (s->gathered->len > GATHER_MAX - len - 1) {
        s->dropped++;
        return;
    }
    if (s->kind == LOG_TO_SYSLOG)
        g_string_append_c(s->gathered, (char)('0' + level));
    g_string_append_len(s->gathered, line, (gssize)len);
}

static void sink_write(void *sink, enum pst_log_level level, const char *line, size_t len)
{
    struct log_sink *s = sink;
    bool first = s->gathered->len == 0;
    gather(s, level, line, len);
    if (s->job_runs)
        return; /* its end looks at what gathered */
    if (s->reactor == NULL)
        write_now(s);
    else if (level >= PST_LOG_ERROR || s->gathered->len >= GATHER_ENOUGH)
        submit(s);
    else if (first)
        timer_start(s->timer, reactor_now(s->reactor) + GATHER_MS);
}

static int64_t sink_wall_us(void *sink)
{
    (void)sink;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: the clock exists */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- opening ---- */

static int open_target(struct log_sink *s, const struct log_target *target)
{
    struct stat st;
    switch (target->kind) {
    case LOG_TO_SYSLOG:
        openlog("postern", LOG_PID | LOG_NDELAY, LOG_MAIL);
        return 0;
    case LOG_TO_FILE:
        s->fd = open(target->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
        if (s->fd < 0)
            return -errno;
        s->owns_fd = true;
        break;
    case LOG_TO_STDERR:
        s->fd = STDERR_FILENO;
        break;
    }
    s->piece = fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) ? SIZE_MAX : PIPE_BUF;
    return 0;
}

int log_sink_open(const struct log_options *options, struct log_sink **ret_sink)
{
    G_STATIC_ASSERT(PST_LOG_LINE_MAX <= PIPE_BUF);
    auto_ptr(log_sink) s = g_new0(struct log_sink, 1);
    s->kind = options->target.kind;
    s->fd = -1;
    s->gathered = g_string_new(NULL);
    s->writing = g_string_new(NULL);
    s->log = (struct pst_log){
        .threshold = (enum pst_log_level)options->level,
        .format = (enum pst_log_format)options->format,
        .timeless = s->kind == LOG_TO_SYSLOG,
        .wall_us = sink_wall_us,
        .write = sink_write,
        .owner = s,
    };
    int r = open_target(s, &options->target);
    if (r < 0)
        return r;
    *ret_sink = g_steal_pointer(&s);
    return 0;
}

const struct pst_log *log_sink_log(struct log_sink *s)
{
    return &s->log;
}

void log_sink_attach(struct log_sink *s, struct reactor *r)
{
    pst_assert(s->reactor == NULL);
    s->timer = timer_new(r, on_timer, s);
    s->reactor = r;
}

void log_sink_detach(struct log_sink *s)
{
    timer_close(g_steal_pointer(&s->timer));
    s->reactor = NULL;
    if (!s->job_runs)
        write_now(s);
}

void log_sink_free(struct log_sink *s)
{
    if (s == NULL)
        return;
    pst_assert(!s->job_runs && s->timer == NULL);
    tell_dropped(s);
    if (s->owns_fd)
        (void)close(s->fd); /* nothing is buffered, and a log is not synced */
    if (s->kind == LOG_TO_SYSLOG)
        closelog();
    g_string_free(s->gathered, TRUE);
    g_string_free(s->writing, TRUE);
    g_free(s);
}
