/*
 * delivery/tables.h - all tables of a router, kept as their files are. What a new version says is looked at
 * together with what the others hold: one that would close a circle among aliases is refused, and the old one
 * stays in use. Ownership: borrows router and tables. Failure: problems tell why, once for each version.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/diag.h"
#include "delivery/router.h"

/*
 * Looks whether tables (struct table) changed, and uses those that did and are good; to be called once in a
 * while, by one at a time. True: some are other ones now. May block: for jobs.
 */
bool tables_refresh(const struct router *r, const GPtrArray *tables, struct diag *problems);
