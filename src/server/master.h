/*
 * server/master.h - the process that binds, starts the workers, and sees to it that they run. It is plain and
 * blocking: it waits for signals, and does nothing else. It keeps the privileges that it was started with,
 * for reloads; workers drop theirs before anything else. SIGTERM and SIGINT stop the server: nobody gets in
 * any more, workers finish what is in flight, and the master ends when the last one has. A worker that dies
 * is replaced.
 *
 * SIGHUP is a reload: the configuration is read anew, log files are opened anew, and a new generation of
 * workers takes over the listening sockets while the former one finishes what is in flight. When
 * anything is wrong with the new configuration, the log tells, and all stays as it is.
 *
 * Certificates whose files change are read anew without a signal, and get a new generation of workers; if
 * anything is wrong with them, the log tells and the old ones stay. Only the master ever reads a key.
 *
 * Tables whose files change are followed, so that who replaces a worker has the last good ones.
 */
#pragma once

#include "server/settings.h"

/* How long workers may take to stop before they are killed; longer than what they allow to what is in flight.
 */
enum { MASTER_PATIENCE_MS = 30000 };

struct master_events {
    void (*on_started)(void *owner); /* once it takes connections, in the master alone: just before there are
                                        workers */
    /* For a reload: the settings as they are now, or problems and whatever it returns. */
    struct settings *(*load)(void *owner, struct diag *problems);
};

/*
 * Serves until it is told to stop. The result is the process's exit status; workers do not return from here.
 */
int master_run(struct settings *take_settings, const struct master_events *events, void *owner);
