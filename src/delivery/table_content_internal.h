/*
 * delivery/table_content_internal.h - what the reader of a table's file and the search for loops in it share.
 */
#pragma once

#include "delivery/router.h"
#include "delivery/table_content.h"

/* As it lies in memory, among the others and at any address. */
struct __attribute__((packed)) table_entry {
    uint32_t line;  /* where its name is */
    uint8_t search; /* for loops: how far it came with this one */
    char text[];    /* its name and its values, each ending in NUL, and an empty one */
};

/* While a file is read. */
struct table_reading {
    struct table_content *content;
    GPtrArray *entries; /* in the file's order */
    const struct table_rules *rules;
    const char *file;
    struct diag *problems;
    unsigned line; /* the one that is being read */
    unsigned told; /* problems, those included that were too many */
};

void table_reading_problem(struct table_reading *r, unsigned line, const char *text);

/* Tells every circle, in a time that grows as the file does. */
void table_loops_find(struct table_reading *r);

struct table_entry *table_content_entry(const struct table_content *c, const char *name); /* or NULL */

static inline const char *table_entry_values(const struct table_entry *e)
{
    return e->text + strlen(e->text) + 1;
}

/* The canonical name of a local part that stands alone, perhaps in quotes. False when it is none. */
bool table_local_name(struct slice text, char ret_name[MAILBOX_NAME_MAX + 1]);
