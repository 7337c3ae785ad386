/*
 * server/metrics_process.h - the process that tells figures to whoever asks, by HTTP. It reads from the
 * network and so is neither the master nor a worker: it has no privilege, no mail, no key, and no socket but
 * its own, and reads the memory that the workers write. It runs between the master's fork and the process's
 * exit, with the signals blocked that the master waits for, and is ended by SIGKILL.
 */
#pragma once

#include <sys/types.h>

#include "server/log_sink.h"
#include "worker/worker.h"

/* `shares`: whole pages. Returns when it cannot go on, with the process's exit status. */
int metrics_process_run(int listener, struct worker_share *shares, size_t count, struct log_sink *take_sink,
                        pid_t master);
