/*
 * server/master.h - the process that binds, drops its privileges, starts the workers, and sees to it that
 * they run. It is plain and blocking: it waits for signals, and does nothing else. SIGTERM and SIGINT stop
 * the server: nobody gets in any more, workers finish what is in flight, and the master ends when the last
 * one has. A worker that dies is replaced. SIGHUP is only logged, as there is no reload yet.
 */
#pragma once

#include "server/settings.h"

/* How long workers may take to stop before they are killed; longer than what they allow to what is in flight.
 */
enum { MASTER_PATIENCE_MS = 30000 };

/*
 * Serves until it is told to stop. `on_started` (or NULL) is called once it takes connections, in the master
 * alone: just before there are workers. The result is the process's exit status; workers do not return from
 * here.
 */
int master_run(const struct settings *settings, void (*on_started)(void *owner), void *owner);
