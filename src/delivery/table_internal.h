/*
 * delivery/table_internal.h - what a kind of table is to table.c, and what kinds have in common. A kind's own
 * struct begins with a struct table.
 */
#pragma once

#include "base/slice.h"
#include "delivery/table.h"

struct table_kind {
    const char *prefix; /* of its specs: "sqlite:"; files have none */
    bool in_memory;
    /* `rest` is what is behind the prefix. */
    struct table *(*open)(const char *rest, const struct table_rules *rules, struct origin at,
                          struct diag *problems);
    void (*free)(struct table *t);
    /* As table_find(); any error but -ENOENT becomes -EHOSTDOWN, and its text the reason if none is told. On
     * failure, the values that were added by then are removed. */
    int (*find)(struct table *t, const char *name, const char *domain, GPtrArray *values, char **ret_why);
    int (*look)(struct table *t, struct diag *problems); /* NULL: there is nothing to look at */
    void (*end_look)(struct table *t, bool is_used);
    bool (*reconsider)(struct table *t);
    void (*tell_again)(struct table *t);
    struct table_content *(*content)(struct table *t, bool waiting);
};

struct table {
    const struct table_kind *kind;
};

extern const struct table_kind table_file_kind, table_passwd_kind, table_sqlite_kind, table_socket_kind;

enum { TABLE_ANSWER_MAX = 100 * 1024 }; /* octets of values that a database or a server may answer */

/* PATH and what is behind it and blanks, to be g_free'd. False when either is missing. */
bool table_split_spec(const char *rest, char **ret_path, char **ret_argument);

struct slice table_trim(struct slice text); /* without the blanks around it */

/*
 * The next of a list of values with commas between them, without blanks around it. A comma in double quotes
 * separates nothing, and there a backslash quotes what follows. Empty ones are left out. 1; 0 at the end;
 * -EBADMSG when a quote is not closed, and `ret_value` is then the rest.
 */
int table_next_value(struct slice *rest, struct slice *ret_value);

msec_t table_timeout(const struct table_rules *rules);
