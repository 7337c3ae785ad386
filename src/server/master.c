#include "server/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "delivery/table.h"
#include "delivery/tables.h"
#include "postern/version.h"
#include "server/identity.h"
#include "server/metrics_process.h"
#include "server/reload.h"
#include "server/sockets.h"
#include "server/worker_process.h"
#include "worker/lookup.h"

enum {
    SHORT_LIFE_MS = 1000,  /* a worker that dies sooner died at once: the next one is made to wait */
    RESTART_DELAY_MS = 50, /* at first; doubled each time */
    RESTART_DELAY_MAX_MS = 5000,
    LOOK_EACH_MS = 1000, /* at the files of certificates */
    DATES_EACH_MS = 24 * 60 * 60 * 1000,
};

/* A worker process. Its row of the shared memory is its own until it was reaped. */
struct runner {
    pid_t pid; /* 0: none */
    size_t row;
};

struct slot {
    struct runner runner;
    msec_t started;
    msec_t due; /* of the next start, while there is none */
    msec_t delay;
};

struct master {
    struct settings *settings;
    const struct master_events *events;
    void *owner;
    struct log_sink *sink;
    const struct pst_log *log;
    struct sockets *sockets;
    struct slot *slots;        /* settings->workers */
    struct slot metrics;       /* the process that tells figures: it has no row, and is none of those alive */
    GArray *leaving;           /* struct runner: former generations, which finish what is in flight */
    uint64_t connections_each; /* what a worker's descriptors allow */
    uint64_t leaving_each;     /* besides them */
    uint64_t staged_each;      /* large messages that they may be sending */
    struct worker_share *shares; /* NULL, or a mapping that the workers inherit: rows */
    bool *taken;                 /* which rows are somebody's */
    size_t rows;
    unsigned alive;
    sigset_t signals;           /* what it waits for; blocked */
    msec_t look_due, dates_due; /* of certificates */
    msec_t tables_due;
    bool certificates_wait; /* there are new ones, and no rows for another generation */
    bool stopping, killed;
    msec_t deadline; /* while stopping: workers are killed then */
};

static size_t shares_size(const struct master *m)
{
    return m->rows * sizeof(struct worker_share);
}

static void master_clear(struct master *m)
{
    sockets_free(m->sockets);
    log_sink_free(m->sink);
    g_free(m->slots);
    g_array_unref(m->leaving);
    g_free(m->taken);
    if (m->shares != NULL)
        (void)munmap(m->shares, shares_size(m)); /* it is one, so that this cannot fail */
    settings_free(m->settings);
}
AUTO_VAL_DEFINE(master);

static msec_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
    return (msec_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* ---- becoming a server ---- */

/* Few enough for what a worker's descriptors allow. A large message has three besides its connection's: some
 * are kept for such, and who sends one too many is told to try again (452). */
static void share_descriptors(struct master *m, uint64_t limit)
{
    uint64_t for_clients = limit - MIN(SPARE_DESCRIPTORS, limit / 2);
    m->leaving_each = MIN(WORKER_LEAVING_MAX, for_clients / 8);
    uint64_t rest = for_clients - m->leaving_each;
    m->connections_each = CLAMP(rest - rest / 4, 1, m->connections_each);
    m->staged_each = MAX((rest - MIN(rest, m->connections_each)) / DELIVERY_DESCRIPTORS, 1);
}

/* Jobs must not lack descriptors because all are taken by connections: rather is somebody told 421. */
static void raise_descriptor_limit(struct master *m)
{
    struct rlimit limit;
    uint64_t connections = m->settings->worker.limits.connections;
    m->connections_each = m->staged_each = connections;
    m->leaving_each = WORKER_LEAVING_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE,
                    &limit); /* to lift it to the hard limit is allowed; the warning below tells if not */
    uint64_t wanted = connections * (1 + DELIVERY_DESCRIPTORS) + m->leaving_each + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    share_descriptors(m, limit.rlim_cur);
    if (m->connections_each < connections)
        pst_log(m->log, PST_LOG_WARNING, "few-descriptors", PST_UINT("limit", limit.rlim_cur),
                PST_UINT("wanted", wanted), PST_UINT("connections_each_worker", m->connections_each),
                PST_UINT("large_messages_each_worker", m->staged_each),
                PST_STR("advice", "raise the limit of open files, or lower connections"));
}

static int share_memory(struct master *m)
{
    void *memory = mmap(NULL, shares_size(m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        int error = -errno;
        pst_log(m->log, PST_LOG_FATAL, "cannot-share-memory", PST_STR("error", g_strerror(-error)));
        return error;
    }
    m->shares = memory;
    m->taken = g_new0(bool, m->rows);
    return 0;
}

static void log_problems(const struct master *m, enum pst_log_level level, const char *event,
                         const struct diag *problems)
{
    for (unsigned i = 0; i < diag_count(problems); i++)
        pst_log(m->log, level, event, PST_STR("problem", g_ptr_array_index(problems->problems, i)));
}

static bool is_root(const struct settings *s)
{
    return geteuid() == 0 && (s->identity.user == NULL || s->identity.uid == 0);
}

static void say_loudly_what_is_unsafe(const struct master *m)
{
    if (is_root(m->settings))
        pst_log(m->log, PST_LOG_WARNING, "running-as-root",
                PST_STR("advice", "name an unprivileged user with --user, or in [server]"));
    if (m->settings->worker.sync == DELIVERY_SYNC_NONE)
        pst_log(m->log, PST_LOG_WARNING, "not-durable",
                PST_STR("advice", "sync = none is for tests: a crash can lose mail"));
}

static void block_signals(struct master *m)
{
    static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
    sigemptyset(&m->signals);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaddset(&m->signals, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &m->signals, NULL); /* cannot fail */
    /* Nor these: a log that nobody reads is no reason to end, and a file that may not grow is a write that
     * fails. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
}

static int prepare(struct master *m)
{
    int r = log_sink_open(&m->settings->log, &m->sink);
    if (r < 0) { /* only a file can fail */
        (void)fprintf(stderr, "postern: %s: cannot be opened for the log: %s\n", m->settings->log.target.path,
                      g_strerror(-r));
        return r;
    }
    m->log = log_sink_log(m->sink);
    (void)umask(077); /* cannot fail */
    raise_descriptor_limit(m);
    r = share_memory(m);
    if (r >= 0)
        r = sockets_open(m->settings, NULL, m->log, &m->sockets);
    if (r < 0)
        return r;
    say_loudly_what_is_unsafe(m);
    auto_val(diag) problems = { 0 };
    reload_check_as_worker(m->settings, &problems);
    log_problems(m, PST_LOG_FATAL, "bad-configuration", &problems);
    if (diag_count(&problems) == 0)
        return 0;
    sockets_close(m->sockets, m->log);
    return -EACCES;
}

/* ---- processes ---- */

static int drop_privileges(const struct master *m)
{
    const struct identity *id = &m->settings->identity;
    int r = 0;
    if (geteuid() == 0 && id->user != NULL)
        r = identity_assume(id);
    if (r >= 0)
        r = identity_shed();
    if (r < 0)
        pst_log(m->log, PST_LOG_FATAL, "cannot-drop-privileges",
                PST_STR("user", id->user != NULL ? id->user : ""), PST_STR("error", g_strerror(-r)));
    return r;
}

static int worker_main(struct master *m, unsigned slot, size_t row, pid_t master)
{
    if (drop_privileges(m) < 0)
        return EXIT_FAILURE;
    for (guint i = 0; i < m->settings->tables->len; i++)
        table_tell_again(g_ptr_array_index(m->settings->tables, i));
    struct worker_settings settings = m->settings->worker;
    settings.shares = m->shares;
    settings.share_count = m->rows;
    settings.share = row;
    settings.workers = m->settings->workers;
    settings.number = slot;
    settings.connections_here = m->connections_each;
    settings.leaving_here = m->leaving_each;
    settings.staged_here = m->staged_each;
    settings.listeners = sockets_take(m->sockets, slot, &settings.listener_count);
    return worker_process_run(&settings, m->sink, master);
}

/* ---- workers ---- */

/* There is one: no reload begins before there is one for each new worker. */
static size_t take_row(struct master *m)
{
    size_t row = 0;
    while (m->taken[row])
        row++;
    pst_assert(row < m->rows);
    m->taken[row] = true;
    return row;
}

static void give_row_back(struct master *m, size_t row)
{
    m->shares[row].connections = 0; /* the kernel has closed what it had */
    m->shares[row].has_silent = false;
    m->taken[row] = false;
}

/*
 * A worker inherits what they hold, which must be what the one that died had: should the file be broken by
 * now, there is nothing else to get it from, and with an older one mail would bounce. What is wrong the
 * workers tell, who may be able to read less.
 */
static void refresh_tables(const struct master *m)
{
    auto_val(diag) problems = { 0 };
    if (tables_refresh(m->settings->router, m->settings->tables, &problems))
        pst_log(m->log, PST_LOG_DEBUG, "table-followed");
}

/* When to do so again; MSEC_NEVER where there are none. */
static msec_t look_after_tables(struct master *m)
{
    if (m->settings->tables->len == 0)
        return MSEC_NEVER;
    if (now_ms() >= m->tables_due) {
        refresh_tables(m);
        m->tables_due = now_ms() + LOOKUPS_REFRESH_MS; /* as workers do */
    }
    return m->tables_due;
}

static void start_worker(struct master *m, unsigned slot, msec_t now)
{
    struct slot *s = &m->slots[slot];
    refresh_tables(m);
    pid_t master = getpid();
    size_t row = take_row(m);
    pid_t pid = fork();
    if (pid == 0)
        exit(worker_main(m, slot, row, master));
    if (pid < 0) {
        give_row_back(m, row);
        pst_log(m->log, PST_LOG_ERROR, "cannot-fork", PST_STR("error", g_strerror(errno)));
        s->due = now + RESTART_DELAY_MAX_MS;
        return;
    }
    pst_log(m->log, PST_LOG_DEBUG, "worker-started", PST_UINT("worker", slot), PST_INT("pid", pid));
    s->runner = (struct runner){ .pid = pid, .row = row };
    s->started = now;
    m->alive++;
}

/* When the next one is due; MSEC_NEVER when all run. */
static msec_t start_due_workers(struct master *m)
{
    msec_t now = now_ms(), next = MSEC_NEVER;
    for (unsigned i = 0; i < m->settings->workers; i++) {
        struct slot *s = &m->slots[i];
        if (s->runner.pid == 0 && s->due <= now)
            start_worker(m, i, now);
        if (s->runner.pid == 0 && s->due < next)
            next = s->due;
    }
    return next;
}

static void signal_workers(const struct master *m, int signal)
{
    for (unsigned i = 0; i < m->settings->workers; i++)
        if (m->slots[i].runner.pid > 0)
            (void)kill(m->slots[i].runner.pid, signal); /* not reaped yet, so that the pid is its own */
    for (guint i = 0; i < m->leaving->len; i++)
        (void)kill(g_array_index(m->leaving, struct runner, i).pid, signal);
}

static void plan_restart(struct slot *s, msec_t now)
{
    if (now - s->started >= SHORT_LIFE_MS)
        s->delay = 0;
    else
        s->delay = CLAMP(s->delay * 2, RESTART_DELAY_MS, RESTART_DELAY_MAX_MS);
    s->due = now + s->delay;
}

/* Tells of an end that nobody wanted. `restart_ms`: until there is another one. */
static void log_end(const struct master *m, const char *what, const struct runner *r, int status,
                    msec_t restart_ms)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == 0 || (m->killed && signal == SIGKILL))
        return;
    pst_log(m->log, PST_LOG_ERROR, what, PST_INT("pid", r->pid),
            signal != 0 ? PST_INT("signal", signal) : PST_INT("status", code),
            PST_INT("restart_ms", restart_ms));
}

/* ---- the process that tells figures ---- */

static int metrics_main(struct master *m, pid_t master)
{
    if (drop_privileges(m) < 0)
        return EXIT_FAILURE;
    int listener = sockets_take_metrics(m->sockets);
    settings_free(g_steal_pointer(&m->settings)); /* and the secrets among them */
    return metrics_process_run(listener, m->shares, m->rows, g_steal_pointer(&m->sink), master);
}

static void start_metrics(struct master *m, msec_t now)
{
    pid_t master = getpid();
    pid_t pid = fork();
    if (pid == 0)
        exit(metrics_main(m, master));
    if (pid < 0) {
        pst_log(m->log, PST_LOG_ERROR, "cannot-fork", PST_STR("error", g_strerror(errno)));
        m->metrics.due = now + RESTART_DELAY_MAX_MS;
        return;
    }
    m->metrics.runner.pid = pid;
    m->metrics.started = now;
}

/* As start_due_workers. */
static msec_t start_due_metrics(struct master *m)
{
    msec_t now = now_ms();
    if (m->metrics.runner.pid > 0 || sockets_metrics(m->sockets) < 0)
        return MSEC_NEVER;
    if (m->metrics.due <= now)
        start_metrics(m, now);
    return m->metrics.runner.pid > 0 ? MSEC_NEVER : m->metrics.due;
}

static void on_metrics_gone(struct master *m, int status)
{
    plan_restart(&m->metrics, now_ms());
    log_end(m, "metrics-died", &m->metrics.runner, status, m->metrics.delay);
    m->metrics.runner.pid = 0;
}

/* It has nothing to finish, so that this takes no time. */
static void end_metrics(struct master *m)
{
    if (m->metrics.runner.pid > 0) {
        (void)kill(m->metrics.runner.pid, SIGKILL); /* not reaped yet, so that the pid is its own */
        (void)waitpid(m->metrics.runner.pid, NULL, 0);
    }
    m->metrics = (struct slot){ .due = 0 };
}

/* ---- ends ---- */

static void on_worker_gone(struct master *m, unsigned slot, int status)
{
    struct slot *s = &m->slots[slot];
    plan_restart(s, now_ms());
    log_end(m, "worker-died", &s->runner, status, s->delay);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !m->stopping)
        pst_log(m->log, PST_LOG_WARNING, "worker-stopped", PST_UINT("worker", slot),
                PST_INT("pid", s->runner.pid), PST_INT("restart_ms", s->delay));
    give_row_back(m, s->runner.row);
    s->runner.pid = 0;
    m->alive--;
}

static void on_former_gone(struct master *m, guint index, int status)
{
    struct runner r = g_array_index(m->leaving, struct runner, index);
    log_end(m, "former-worker-died", &r, status, MSEC_NEVER);
    give_row_back(m, r.row);
    g_array_remove_index_fast(m->leaving, index);
    m->alive--;
}

static void on_gone(struct master *m, pid_t pid, int status)
{
    if (m->metrics.runner.pid == pid) {
        on_metrics_gone(m, status);
        return;
    }
    for (unsigned i = 0; i < m->settings->workers; i++)
        if (m->slots[i].runner.pid == pid) {
            on_worker_gone(m, i, status);
            return;
        }
    for (guint i = 0; i < m->leaving->len; i++)
        if (g_array_index(m->leaving, struct runner, i).pid == pid) {
            on_former_gone(m, i, status);
            return;
        }
}

static void reap(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        on_gone(m, pid, status);
}

/* ---- reload ---- */

static size_t free_rows(const struct master *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->rows; i++)
        count += !m->taken[i];
    return count;
}

/* The former workers go once they have told those who wait, and have finished; the sockets stay open all the
 * while. */
static void begin_generation(struct master *m)
{
    for (unsigned i = 0; i < m->settings->workers; i++) {
        if (m->slots[i].runner.pid > 0) {
            g_array_append_val(m->leaving, m->slots[i].runner);
            (void)kill(m->slots[i].runner.pid, SIGTERM);
        }
        m->slots[i] = (struct slot){ .due = 0 };
    }
}

static void log_dates(struct master *m, msec_t now)
{
    tls_settings_log_dates(&m->settings->tls, wall_s(), m->log);
    m->dates_due = now + DATES_EACH_MS;
}

static void reload(struct master *m)
{
    const struct reload_former former = { m->settings, m->sockets, m->log, free_rows(m) };
    struct reload next = { 0 };
    auto_val(diag) problems = { 0 };
    reload_prepare(&former, m->events, m->owner, &next, &problems);
    if (diag_count(&problems) > 0) {
        log_problems(m, PST_LOG_ERROR, "reload-failed", &problems);
        return;
    }
    log_sink_free(m->sink);
    m->sink = next.sink;
    m->log = log_sink_log(next.sink);
    int metrics = sockets_metrics(m->sockets);
    sockets_succeed(next.sockets, m->sockets, m->log);
    m->sockets = next.sockets;
    if (sockets_metrics(m->sockets) != metrics)
        end_metrics(m);
    begin_generation(m);
    settings_free(m->settings);
    m->settings = next.settings;
    m->certificates_wait = false; /* they were read, too */
    raise_descriptor_limit(m);
    pst_log(m->log, PST_LOG_INFO, "reloaded", PST_UINT("workers", m->settings->workers),
            PST_UINT("leaving", m->leaving->len));
    sockets_log(m->sockets, m->log);
    say_loudly_what_is_unsafe(m);
    log_dates(m, now_ms());
}

/* ---- certificates ---- */

/* New ones are a new generation, as after a reload: messages in flight are finished, and who is idle is told
 * 421 and comes again. Whatever is wrong with them, mail goes on with the old ones. */
static void renew_certificates(struct master *m, msec_t now)
{
    auto_val(diag) problems = { 0 };
    if (settings_load_certificates(m->settings, &problems) < 0) {
        log_problems(m, PST_LOG_ERROR, "certificates-kept", &problems);
        return;
    }
    begin_generation(m);
    pst_log(m->log, PST_LOG_INFO, "certificates-reloaded", PST_UINT("workers", m->settings->workers),
            PST_UINT("leaving", m->leaving->len));
    log_dates(m, now);
}

/* When to do so again; MSEC_NEVER where there are none. */
static msec_t look_after_certificates(struct master *m)
{
    if (!tls_settings_have_certificates(&m->settings->tls))
        return MSEC_NEVER;
    msec_t now = now_ms();
    if (now >= m->look_due) {
        tls_store_turn_keys(m->settings->tls.store, now); /* those of workers turn by themselves */
        m->certificates_wait |= tls_settings_have_changed(&m->settings->tls, wall_s());
        m->look_due = now + LOOK_EACH_MS;
    }
    if (m->certificates_wait && free_rows(m) >= m->settings->workers) {
        m->certificates_wait = false;
        renew_certificates(m, now);
    }
    if (now >= m->dates_due)
        log_dates(m, now);
    return MIN(m->look_due, m->dates_due);
}

/* ---- serving ---- */

static void stop(struct master *m, int signal)
{
    if (m->stopping)
        return;
    pst_log(m->log, PST_LOG_INFO, "stopping", PST_INT("signal", signal));
    m->stopping = true;
    m->deadline = now_ms() + MASTER_PATIENCE_MS;
    sockets_close(m->sockets, m->log); /* before the workers close theirs, or callers would wait for nobody */
    end_metrics(m);
    signal_workers(m, SIGTERM);
}

static void kill_workers(struct master *m)
{
    pst_log(m->log, PST_LOG_ERROR, "workers-killed", PST_UINT("count", m->alive),
            PST_INT("patience_ms", MASTER_PATIENCE_MS));
    m->killed = true;
    m->deadline = MSEC_NEVER;
    signal_workers(m, SIGKILL);
}

/* The next signal; 0 when there was none until `until`. */
static int wait_for_signal(const struct master *m, msec_t until)
{
    int signal;
    if (until == MSEC_NEVER) {
        signal = sigwaitinfo(&m->signals, NULL);
    } else {
        msec_t rest = MAX(until - now_ms(), 0);
        struct timespec timeout = { .tv_sec = rest / 1000, .tv_nsec = rest % 1000 * 1000000 };
        signal = sigtimedwait(&m->signals, NULL, &timeout);
    }
    return signal < 0 ? 0 : signal;
}

static void on_signal(struct master *m, int signal)
{
    switch (signal) {
    case SIGCHLD:
        reap(m);
        break;
    case SIGTERM:
    case SIGINT:
        stop(m, signal);
        break;
    case SIGHUP:
        if (!m->stopping)
            reload(m);
        break;
    default:
        break; /* none came in time */
    }
}

static msec_t start_due(struct master *m)
{
    msec_t workers = start_due_workers(m), metrics = start_due_metrics(m);
    return MIN(workers, metrics);
}

static void serve(struct master *m)
{
    while (!m->stopping || m->alive > 0) {
        msec_t until = m->deadline;
        if (!m->stopping) {
            msec_t look = look_after_certificates(m); /* which may want new workers */
            msec_t start = start_due(m);
            msec_t tables = look_after_tables(m);
            until = MIN(MIN(look, tables), start);
        }
        on_signal(m, wait_for_signal(m, until));
        if (m->stopping && m->alive > 0 && now_ms() >= m->deadline)
            kill_workers(m);
    }
}

/* Generations overlap while messages are in flight: rows for some of them. */
static size_t rows_for(unsigned workers)
{
    enum { GENERATIONS = 4, ROWS_MIN = 16 };
    return MAX(workers * GENERATIONS, ROWS_MIN);
}

int master_run(struct settings *take_settings, const struct master_events *events, void *owner)
{
    auto_val(master) m = { .settings = take_settings,
                           .events = events,
                           .owner = owner,
                           .rows = rows_for(take_settings->workers),
                           .leaving = g_array_new(FALSE, FALSE, sizeof(struct runner)),
                           .slots = g_new0(struct slot, take_settings->workers) };
    bool logs_to_stderr = m.settings->log.target.kind == LOG_TO_STDERR;
    worker_process_give_memory_back();
    block_signals(&m);
    if (prepare(&m) < 0) {
        if (!logs_to_stderr)
            (void)fprintf(stderr, "postern: cannot start; the log tells why\n");
        return EXIT_FAILURE;
    }
    uid_t uid = geteuid() == 0 && m.settings->identity.user != NULL ? m.settings->identity.uid : geteuid();
    pst_log(m.log, PST_LOG_INFO, "started", PST_STR("version", POSTERN_VERSION), PST_INT("pid", getpid()),
            PST_UINT("workers", m.settings->workers), PST_UINT("uid", uid),
            PST_STR("hostname", m.settings->hostname));
    sockets_log(m.sockets, m.log);
    log_dates(&m, now_ms());
    m.events->on_started(m.owner);
    serve(&m);
    pst_log(m.log, PST_LOG_INFO, "stopped");
    return EXIT_SUCCESS;
}
