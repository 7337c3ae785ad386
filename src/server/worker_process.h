/*
 * server/worker_process.h - the life of one worker process: a reactor, a worker on it, and the way to stop.
 * It runs between the master's fork and the process's exit, with the signals still blocked that the master
 * waits for.
 */
#pragma once

#include <sys/types.h>

#include "server/log_sink.h"
#include "server/settings.h"

enum {
    WORKER_PATIENCE_MS = 25000, /* for transactions in flight, once the worker is told to stop */
    /* Besides its connections and the messages that they bring: the loop's own, and what jobs have open, most
     * of all 16 messages side by side with 32 copies each, and two batches (delivery/commit.c). */
    SPARE_DESCRIPTORS = 2048,
};

/* How memory is kept: for the master, before it has workers, which inherit it. */
void worker_process_give_memory_back(void);

/* Until SIGTERM, and until what was in flight is done. Its result is the process's exit status. */
int worker_process_run(const struct worker_settings *settings, struct log_sink *sink, pid_t master);
