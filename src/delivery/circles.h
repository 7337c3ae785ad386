/*
 * delivery/circles.h - where the aliases of all domains lead together, so far as that can be told before mail
 * comes: circles, and chains of more than ROUTE_DEPTH, through tables in files, subaddresses and catch-alls.
 * It goes each way that route.h would go, once. A catch-all counts for a name that can have no mailbox.
 * Without the disk, that is one which a table of mailboxes in a file leaves out; what is in databases and
 * with servers is not known, and ends a way. Found are circles, not all of them: of each at least one that
 * shares a name with it.
 *
 * The time grows as the tables do. Ownership: borrows all. It reads what is in memory, and never fails.
 */
#pragma once

#include <glib.h>

#include "base/diag.h"
#include "delivery/router.h"

/* `changed` (struct table), or NULL: of these tables, what waits to be used; problems that they are part of
 * are told at their lines. */
void circles_find(const struct router *r, const GPtrArray *changed, struct diag *problems);

/* Asks the disk, too, where there is no table of mailboxes; and notes of targets that are nowhere. */
void circles_find_on_disk(const struct router *r, struct diag *problems, struct diag *notes);
