/*
 * host/load.h - the handlers of a configuration: shared objects that are loaded, checked, and made ready.
 * Failure is a sentence that names the handler and says what is the matter. Ownership: what is loaded stays
 * until the process ends, since user code may have left threads or exit functions behind. The configuration
 * must stay as long.
 */
#pragma once

#include <postern/handler.h>

#include "handlers/wire.h"
#include "host/channel.h"
#include "host/stage.h"

struct handler {
    uint32_t index; /* in the configuration */
    const struct wire_handler *config;
    postern_handler entry; /* a copy: what an older one does not have is zero */
    void *data;            /* from its init */
};

struct handlers {
    struct channel *channel; /* for what they log */
    struct stage *stage;
    struct handler *all;
    uint32_t count; /* those that are ready */
};

/* 0, or -ENOEXEC and a sentence to be g_freed. The ones that are ready by then must be shut down all the
 * same. */
int handlers_load(struct handlers *h, const struct wire_config *config, char **ret_problem);
void handlers_shutdown(struct handlers *h); /* in the reverse of their order */

/* The value of an option of the handler's section, or NULL. */
const char *handler_option(const struct handler *handler, const char *name);

/* A line of the log. `handler`: its index, or -1. What cannot be written shows when a verdict cannot. */
void host_log(struct channel *channel, int32_t handler, postern_level level, const char *text);
