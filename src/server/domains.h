/*
 * server/domains.h - what the [domain NAME] sections say, made into the router and its tables.
 */
#pragma once

#include <glib.h>

#include "base/diag.h"
#include "config/config.h"
#include "delivery/router.h"

struct domain_section {
    struct domain_options options; /* its tables are made from the texts below */
    char *aliases, *mailboxes, *quotas;
    int over_quota;
};
extern const struct config_table domain_tables[];
extern const size_t domain_table_count;

/*
 * Adds the domains to `router` and opens their tables, which are appended to `tables` (struct table): each
 * file once, however many sections name it. All that is wrong is told.
 */
void domains_take(const struct config *c, struct router *router, GPtrArray *tables, struct diag *problems);

/* Whether whoever we are now can read the files and databases of the tables; `whom` says who that is ("" or "
 * to user vmail"). */
void domains_check_access(const struct config *c, const char *whom, struct diag *problems);
