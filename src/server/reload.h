/*
 * server/reload.h - what a new generation of workers needs, made while the former one goes on serving: all of
 * it, or problems and none of it. Plain and blocking, in the master.
 */
#pragma once

#include "server/master.h"
#include "server/sockets.h"

/* What runs now; borrowed. */
struct reload_former {
    const struct settings *settings;
    const struct sockets *sockets;
    const struct pst_log *log;
    size_t free_rows; /* of the memory that workers share */
};

/* What comes next. */
struct reload {
    struct settings *settings;
    struct log_sink *sink;
    struct sockets *sockets; /* to be handed to sockets_succeed() */
};

/* Fills in *ret_reload when there is no problem; what it holds then is the caller's. */
void reload_prepare(const struct reload_former *former, const struct master_events *events, void *owner,
                    struct reload *ret_reload, struct diag *problems);

/* Whether the user that workers become can do their work: a child becomes that user, and looks. */
void reload_check_as_worker(const struct settings *s, struct diag *problems);
