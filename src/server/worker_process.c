#include "server/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"

/* Syncing files is waiting, of which many must be able to do it side by side; more brought nothing on a
 * journaled ext4. */
enum { POOL_THREADS = 32 };

enum {
    LARGE_OCTETS = 128 * 1024,
    HEAPS = 4, /* as many threads as mostly run at once */
};

struct process {
    struct reactor *reactor;
    struct log_sink *sink;
    struct worker *worker;
    struct signal_watch *watch;
};

static void on_sigterm(void *owner)
{
    struct process *p = owner;
    if (p->worker != NULL)
        worker_drain(g_steal_pointer(&p->worker), WORKER_PATIENCE_MS);
}

static void on_drained(void *owner)
{
    struct process *p = owner;
    signal_watch_close(g_steal_pointer(&p->watch));
    log_sink_detach(p->sink);
}

/* The master decides about these; from a terminal they come to its workers as well. */
static void leave_signals_to_master(void)
{
    static const int signals[] = { SIGINT, SIGHUP, SIGPIPE };
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        (void)signal(signals[i], SIG_IGN); /* cannot fail for these */
}

static void unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
}

static int start(struct process *p, const struct worker_settings *settings)
{
    int r = worker_new(p->reactor, settings, log_sink_log(p->sink), on_drained, p, &p->worker);
    if (r < 0)
        return r;
    r = signal_watch_open(p->reactor, SIGTERM, on_sigterm, p, &p->watch);
    if (r < 0)
        return r;
    unblock_signals(); /* a SIGTERM that was waiting comes now, to the loop */
    return 0;
}

/*
 * What is large is mapped, and so goes back to the system when it is freed. Left to itself, glibc learns from
 * what was freed to keep the next in a heap, of which each thread has its own: a large table that changes
 * every now and then would lie, freed, in all of them. And there are few heaps, each of which keeps what the
 * largest job of its threads once needed.
 */
void worker_process_give_memory_back(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_OCTETS); /* at worst it keeps more */
    (void)mallopt(M_ARENA_MAX, HEAPS);
#endif
}

/*
 * While there is one thread. Later, the kernel has the thread that lacks room for a descriptor wait until no
 * other can be looking at the former table (expand_files): 10 to 20 ms, and it would be the loop, at each
 * doubling. 8 octets each.
 */
static void make_room_for_descriptors(uint64_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    int last = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, (int)MIN(MIN(count, limit.rlim_cur), INT_MAX) - 1);
    if (last >= 0) /* else the table grows when it must */
        (void)close(last);
}

int worker_process_run(const struct worker_settings *settings, struct log_sink *sink, pid_t master)
{
    leave_signals_to_master();
    /* Without a master nobody would restart us or tell us to stop. It may have died before this call. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != master)
        return EXIT_FAILURE;
    make_room_for_descriptors(settings->connections_here + SPARE_DESCRIPTORS);
    struct process p = { .sink = sink };
    int r = reactor_new(POOL_THREADS, &p.reactor);
    if (r == -EAGAIN)
        pst_log(log_sink_log(sink), PST_LOG_ERROR, "few-threads", PST_INT("wanted", POOL_THREADS),
                PST_STR("advice", "raise the user's limit of processes, or the service's of tasks"));
    if (r >= 0)
        r = start(&p, settings);
    if (r < 0) {
        pst_log(log_sink_log(sink), PST_LOG_ERROR, "worker-cannot-start", PST_STR("error", g_strerror(-r)));
        return EXIT_FAILURE; /* the process ends, and with it what was begun */
    }
    log_sink_attach(sink, p.reactor);
    reactor_run(p.reactor);
    r = reactor_free(p.reactor);
    pst_assert(r == 0);
    return EXIT_SUCCESS;
}
