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

#include "delivery/table.h"
#include "postern/version.h"
#include "server/identity.h"
#include "server/sockets.h"
#include "server/worker_process.h"

enum {
    SHORT_LIFE_MS = 1000,  /* a worker that dies sooner died at once: the next one is made to wait */
    RESTART_DELAY_MS = 50, /* at first; doubled each time */
    RESTART_DELAY_MAX_MS = 5000,
    SPARE_DESCRIPTORS =
        512, /* of a worker, besides its connections: the loop's own, and files that jobs have open */
};

struct slot {
    pid_t pid; /* 0: none */
    msec_t started;
    msec_t due; /* of the next start, while there is none */
    msec_t delay;
};

struct master {
    const struct settings *settings;
    struct log_sink *sink;
    const struct pst_log *log;
    struct sockets *sockets;
    struct slot *slots;
    uint64_t connections_each;   /* what a worker's descriptors allow */
    uint64_t leaving_each;       /* besides them */
    struct worker_share *shares; /* NULL, or a mapping that the workers inherit: one for each slot */
    unsigned alive;
    sigset_t signals; /* what it waits for; blocked */
    bool stopping, killed;
    msec_t deadline; /* while stopping: workers are killed then */
};

static size_t shares_size(const struct settings *s)
{
    return s->workers * sizeof(struct worker_share);
}

static void master_clear(struct master *m)
{
    sockets_free(m->sockets);
    log_sink_free(m->sink);
    g_free(m->slots);
    if (m->shares != NULL)
        (void)munmap(m->shares, shares_size(m->settings)); /* it is one, so that this cannot fail */
}
AUTO_VAL_DEFINE(master);

static msec_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
    return (msec_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- becoming a server ---- */

/* Jobs must not lack descriptors because all are taken by connections: rather is somebody told 421. */
static void raise_descriptor_limit(struct master *m)
{
    struct rlimit limit;
    m->connections_each = m->settings->worker.limits.connections;
    m->leaving_each = WORKER_LEAVING_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE,
                    &limit); /* to lift it to the hard limit is allowed; the warning below tells if not */
    uint64_t wanted = m->connections_each + m->leaving_each + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    uint64_t for_clients = limit.rlim_cur - MIN(SPARE_DESCRIPTORS, limit.rlim_cur / 2);
    m->leaving_each = MIN(WORKER_LEAVING_MAX, for_clients / 8);
    m->connections_each = CLAMP(for_clients - m->leaving_each, 1, m->connections_each);
    pst_log(m->log, PST_LOG_WARNING, "few-descriptors", PST_UINT("limit", limit.rlim_cur),
            PST_UINT("wanted", wanted), PST_UINT("connections_each_worker", m->connections_each),
            PST_STR("advice", "raise the limit of open files, or lower connections"));
}

static int share_memory(struct master *m)
{
    void *memory =
        mmap(NULL, shares_size(m->settings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        int error = -errno;
        pst_log(m->log, PST_LOG_FATAL, "cannot-share-memory", PST_STR("error", g_strerror(-error)));
        return error;
    }
    m->shares = memory;
    return 0;
}

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

/* As the user that we are now, who may have less access than the one that read the configuration. */
static int check_folders(const struct master *m)
{
    auto_val(diag) problems = { 0 };
    settings_check_folders(m->settings, &problems);
    for (unsigned i = 0; i < diag_count(&problems); i++)
        pst_log(m->log, PST_LOG_FATAL, "bad-configuration",
                PST_STR("problem", g_ptr_array_index(problems.problems, i)));
    return diag_count(&problems) > 0 ? -EACCES : 0;
}

static void say_loudly_what_is_unsafe(const struct master *m)
{
    if (geteuid() == 0)
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
        r = sockets_open(m->settings, m->log, &m->sockets);
    if (r < 0)
        return r;
    r = drop_privileges(m);
    if (r >= 0) {
        say_loudly_what_is_unsafe(m);
        r = check_folders(m);
    }
    if (r < 0)
        sockets_close(m->sockets, m->log);
    return r;
}

/* ---- workers ---- */

static int worker_main(struct master *m, unsigned slot, pid_t master)
{
    struct worker_settings settings = m->settings->worker;
    settings.shares = m->shares;
    settings.share_count = m->settings->workers;
    settings.share = slot;
    settings.connections_here = m->connections_each;
    settings.leaving_here = m->leaving_each;
    settings.listeners = sockets_take(m->sockets, slot, &settings.listener_count);
    return worker_process_run(&settings, m->sink, master);
}

/* A worker inherits what they hold: not what they held when the first one started. */
static void refresh_tables(const struct master *m)
{
    auto_val(diag) problems = { 0 };
    for (guint i = 0; i < m->settings->tables->len; i++)
        (void)table_refresh(g_ptr_array_index(m->settings->tables, i), &problems); /* which tell why */
    for (guint i = 0; i < diag_count(&problems); i++)
        pst_log(m->log, PST_LOG_ERROR, "table-broken", PST_STR("problem", problems.problems->pdata[i]));
}

static void start_worker(struct master *m, unsigned slot, msec_t now)
{
    struct slot *s = &m->slots[slot];
    refresh_tables(m);
    pid_t master = getpid();
    pid_t pid = fork();
    if (pid == 0)
        exit(worker_main(m, slot, master));
    if (pid < 0) {
        pst_log(m->log, PST_LOG_ERROR, "cannot-fork", PST_STR("error", g_strerror(errno)));
        s->due = now + RESTART_DELAY_MAX_MS;
        return;
    }
    pst_log(m->log, PST_LOG_DEBUG, "worker-started", PST_UINT("worker", slot), PST_INT("pid", pid));
    s->pid = pid;
    s->started = now;
    m->alive++;
}

/* When the next one is due; MSEC_NEVER when all run. */
static msec_t start_due_workers(struct master *m)
{
    msec_t now = now_ms(), next = MSEC_NEVER;
    for (unsigned i = 0; i < m->settings->workers; i++) {
        struct slot *s = &m->slots[i];
        if (s->pid == 0 && s->due <= now)
            start_worker(m, i, now);
        if (s->pid == 0 && s->due < next)
            next = s->due;
    }
    return next;
}

static void signal_workers(const struct master *m, int signal)
{
    for (unsigned i = 0; i < m->settings->workers; i++)
        if (m->slots[i].pid > 0)
            (void)kill(m->slots[i].pid, signal); /* not reaped yet, so that the pid is its own */
}

static void plan_restart(struct slot *s, msec_t now)
{
    if (now - s->started >= SHORT_LIFE_MS)
        s->delay = 0;
    else
        s->delay = CLAMP(s->delay * 2, RESTART_DELAY_MS, RESTART_DELAY_MAX_MS);
    s->due = now + s->delay;
}

static void on_worker_gone(struct master *m, unsigned slot, int status)
{
    struct slot *s = &m->slots[slot];
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool meant = code == 0 || (m->killed && signal == SIGKILL);
    plan_restart(s, now_ms());
    if (!meant && signal != 0)
        pst_log(m->log, PST_LOG_ERROR, "worker-died", PST_UINT("worker", slot), PST_INT("pid", s->pid),
                PST_INT("signal", signal), PST_INT("restart_ms", s->delay));
    else if (!meant)
        pst_log(m->log, PST_LOG_ERROR, "worker-died", PST_UINT("worker", slot), PST_INT("pid", s->pid),
                PST_INT("status", code), PST_INT("restart_ms", s->delay));
    else if (!m->stopping)
        pst_log(m->log, PST_LOG_WARNING, "worker-stopped", PST_UINT("worker", slot), PST_INT("pid", s->pid),
                PST_INT("restart_ms", s->delay));
    m->shares[slot].connections = 0; /* the kernel has closed what it had */
    m->shares[slot].has_silent = false;
    s->pid = 0;
    m->alive--;
}

static void reap(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < m->settings->workers; i++)
            if (m->slots[i].pid == pid)
                on_worker_gone(m, i, status);
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
        pst_log(m->log, PST_LOG_WARNING, "reload-not-supported",
                PST_STR("advice", "restart the server for a new configuration"));
        break;
    default:
        break; /* none came in time */
    }
}

static void serve(struct master *m)
{
    while (!m->stopping || m->alive > 0) {
        msec_t until = m->stopping ? m->deadline : start_due_workers(m);
        on_signal(m, wait_for_signal(m, until));
        if (m->stopping && m->alive > 0 && now_ms() >= m->deadline)
            kill_workers(m);
    }
}

int master_run(const struct settings *settings, void (*on_started)(void *owner), void *owner)
{
    auto_val(master) m = { .settings = settings, .slots = g_new0(struct slot, settings->workers) };
    block_signals(&m);
    if (prepare(&m) < 0) {
        if (settings->log.target.kind != LOG_TO_STDERR)
            (void)fprintf(stderr, "postern: cannot start; the log tells why\n");
        return EXIT_FAILURE;
    }
    pst_log(m.log, PST_LOG_INFO, "started", PST_STR("version", POSTERN_VERSION), PST_INT("pid", getpid()),
            PST_UINT("workers", settings->workers), PST_UINT("uid", geteuid()),
            PST_STR("hostname", settings->hostname));
    sockets_log(m.sockets, m.log);
    if (on_started != NULL)
        on_started(owner);
    serve(&m);
    pst_log(m.log, PST_LOG_INFO, "stopped");
    return EXIT_SUCCESS;
}
