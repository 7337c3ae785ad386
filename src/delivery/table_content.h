/*
 * delivery/table_content.h - what is in a table's file: names and their values, in memory. postern-tables(5)
 * tells the format. Constant once it is loaded, so that any thread may ask it, and shared: it goes with its
 * last reference. A file with anything wrong in it is none, and all that is wrong is told, with its line.
 * Where its values lead, together with those of other files, is not looked at here (delivery/circles.h).
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

const char *table_content_file(const struct table_content *c); /* its name in problems */

/* The values of a name, each ending in NUL, one behind the other, and behind the last an empty one; or NULL.
 * In constant time. */
const char *table_content_find(const struct table_content *c, const char *name);

/* One name of it. Entries are numbered in the file's order. */
struct table_entry {
    const char *name;
    const char *values; /* as above */
    unsigned line;      /* where the name is */
};
uint32_t table_content_count(const struct table_content *c);
struct table_entry table_content_entry(const struct table_content *c, uint32_t number);
bool table_content_number(const struct table_content *c, const char *name, uint32_t *ret_number);
