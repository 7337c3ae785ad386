/*
 * server/worker_process.h - the life of one worker process: a reactor, a worker on it, and the way to stop.
 * It runs between the master's fork and the process's exit, with the signals still blocked that the master
 * waits for.
 */
#pragma once

#include <sys/types.h>

#include "server/log_sink.h"
#include "server/settings.h"

/* How long transactions in flight may take once the worker is told to stop. */
enum { WORKER_PATIENCE_MS = 25000 };

/* Until SIGTERM, and until what was in flight is done. Its result is the process's exit status. */
int worker_process_run(const struct worker_settings *settings, struct log_sink *sink, pid_t master);
