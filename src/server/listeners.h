/*
 * server/listeners.h - what the sections [listen NAME] say, made into the addresses to listen at.
 */
#pragma once

#include <sys/types.h>

#include "auth/auth.h"
#include "base/diag.h"
#include "config/config.h"
#include "worker/worker.h"

struct listen_section {
    GArray *addresses; /* struct net_address; NULL while there is no good value */
    int protocol;
    mode_t socket_mode;
    struct net_networks *proxy, *xclient, *xforward; /* NULL: without */
    msec_t greeting_delay;
    int tls, tls_client, auth; /* enum worker_tls, tls_client_mode, worker_auth */
    bool auth_without_tls;
};

extern const struct config_table listen_tables[];

/* One address to listen at. */
struct settings_listener {
    struct worker_listener listener; /* without a descriptor */
    mode_t socket_mode;              /* of a unix socket's file */
};

/* What other sections have for them, be it wrong: a problem is told once. */
struct listen_means {
    bool certificates, client_ca;
    const struct auth_settings *auth; /* NULL: nobody knows the passwords */
};

/* An array to be g_free'd, which borrows the configuration's values. `is_whole`: there must be one. All that
 * is wrong is told. */
struct settings_listener *listeners_take(const struct config *c, bool is_whole,
                                         const struct listen_means *means, size_t *ret_count,
                                         struct diag *problems);
