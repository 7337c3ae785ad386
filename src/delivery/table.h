/*
 * delivery/table.h - a table that the operator keeps: from a name to values, such as from an alias to its
 * targets. It is a file, the system's users, an SQL query or a server at a unix socket; who asks need not
 * know which. postern-tables(5) tells how they are written.
 *
 * Ownership: a table belongs to who opened it, before the process forks, so that all workers share what is in
 * memory; connections are made by the process that asks. It is asked from any thread at any time, and looked
 * at by one at a time. Failure: of opening, all that is wrong is told as problems; of asking, one error and
 * why.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/auto.h"
#include "base/diag.h"
#include "base/number.h"

struct table;

/* What its values mean. */
struct table_rules {
    /*
     * Whether a file may hold this value; asked for each when a file is loaded, from any thread. If not, what
     * was expected (g_free), as in "an address of ours". NULL: anything may be.
     */
    bool (*accepts)(const void *owner, const char *value, char **ret_expected);
    const void *owner; /* outlives the table */
    /* Values are targets: what aliases elsewhere can do besides is refused by name. */
    bool follows;
    msec_t timeout; /* of a question to a database or a server; 0: TABLE_TIMEOUT_MS */
};
enum { TABLE_TIMEOUT_MS = 5000 };

/*
 * PATH, `passwd:`, `sqlite:PATH QUERY` or `socket:PATH NAME`. NULL when that is malformed, or the file or the
 * database cannot be used: problems then say why, at `at`, or where in a file it is. May block.
 */
struct table *table_open(const char *spec, const struct table_rules *rules, struct origin at,
                         struct diag *problems);
void table_free(struct table *t); /* with no question under way; NULL is welcome */
AUTO_PTR_DEFINE(table);

/*
 * The values of a name are added, in their order, to `ret_values`, an array of strings that it g_free's.
 * `name` is a mailbox's (see mailbox_name()), `domain` the canonical one of the address. 0; -ENOENT: it has
 * none; -EHOSTDOWN: that cannot be found out now, and `ret_why` (g_free) says why. May block, unless the
 * table is in memory: for jobs.
 */
int table_find(struct table *t, const char *name, const char *domain, GPtrArray *ret_values, char **ret_why);

bool table_is_in_memory(const struct table *t);

/*
 * Looks whether the table is another one by now; to be called once in a while. Files that changed are read
 * anew, once they have been left alone for a moment (DISK_SETTLED_US), while questions are still answered
 * from the old one. 0: nothing is new; 1: there is a new version, which waits for one of the two below.
 * -EBADMSG, or another -errno when it cannot be read: the old one stays, and problems tell why, once for each
 * version of the file. May block: for jobs.
 */
int table_look(struct table *t, struct diag *problems);
void table_use(struct table *t);    /* the version that waits */
void table_refuse(struct table *t); /* it goes; the next look finds nothing new, unless the file changes */
/* What was refused may do now: the next look reads it again. False: nothing was. */
bool table_reconsider(struct table *t);
/* Whatever is wrong with a version that is not in use is told once more, by the next look: for a process that
 * has the table from one that does not tell. */
void table_tell_again(struct table *t);

struct table_content;

/* What it holds, if it is a file (a reference), or else NULL; `waiting`: what waits, if something does. */
struct table_content *table_content_of(struct table *t, bool waiting);
