/*
 * server/metrics.h - what the section [metrics] says: where the figures of the service can be asked for.
 */
#pragma once

#include "server/settings.h"

struct metrics_section {
    struct net_address *address; /* NULL: nowhere */
};
extern const struct config_table metrics_tables[];

/* The place to listen at, which is g_free'd; NULL when there is none. Problems are told. `s`: its listeners
 * are there. */
struct settings_listener *metrics_take(const struct settings *s, struct diag *problems);
