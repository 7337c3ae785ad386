/*
 * server/handlers.h - what the sections [handlers] and [handler NAME] say, made into the settings of the
 * handlers' hosts.
 */
#pragma once

#include "base/diag.h"
#include "config/config.h"
#include "delivery/router.h"
#include "handlers/handlers.h"

struct handlers_section {
    uint64_t processes, memory, stack, spare_processors;
    msec_t timeout;
    int on_failure;
};
extern const struct config_table handlers_tables[];

struct handler_section {
    char *load;
    char **domains, **listeners, **paths, **writable; /* end in NULL; NULL: not given */
    bool network;
    GArray *options; /* struct wire_option; NULL: none */
};
extern const struct config_table handler_tables[];

/*
 * Fills in *ret_settings, which is empty. The router has its domains already. `file_size`: octets of the
 * largest file that handlers may write. All that is wrong is told; the shared objects are only looked at, not
 * loaded.
 */
void handlers_take(const struct config *c, struct router *router, uint64_t file_size,
                   struct handler_settings *ret_settings, struct diag *problems);

/*
 * Whether they can be loaded: starts a host, as whoever we are now. `settings` are what handlers_take made of
 * the configuration, with no problem.
 */
void handlers_probe(const struct config *c, const struct handler_settings *settings, struct diag *problems);
