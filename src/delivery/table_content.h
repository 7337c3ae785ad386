/*
 * delivery/table_content.h - what is in a table's file: names and their values, in memory. postern-tables(5)
 * tells the format. Constant once it is loaded, so that any thread may ask it, and shared: it goes with its
 * last reference. A file with anything wrong in it is none, and all that is wrong is told, with its line.
 */
#pragma once

#include "base/diag.h"
#include "base/slice.h"
#include "delivery/table.h"

enum { TABLE_PROBLEMS_MAX = 20 }; /* that are told of one file; of more, only their number */

struct table_content;

/* `file` is its name in problems. NULL: they tell why. */
struct table_content *table_content_load(struct slice text, const char *file, const struct table_rules *rules,
                                         struct diag *problems);
struct table_content *table_content_ref(struct table_content *c);
void table_content_unref(struct table_content *c); /* NULL is welcome */

/* The values of a name, each ending in NUL, one behind the other, and behind the last an empty one; or NULL.
 * In constant time. */
const char *table_content_find(const struct table_content *c, const char *name);
