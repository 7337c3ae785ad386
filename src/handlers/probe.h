/*
 * handlers/probe.h - whether the handlers of a configuration can be loaded: starts a host for it, as whoever
 * we are, waits until it is ready, and ends it. Blocks up to the settings' timeout, for each handler in turn
 * where something is wrong. Nothing fails but what is told.
 */
#pragma once

#include "handlers/handlers.h"

/* `handler` is the index of the one that has the problem, or -1: that none has alone. */
typedef void (*probe_tell)(void *owner, int handler, const char *problem);

void probe_handlers(const struct handler_settings *settings, probe_tell tell, void *owner);
