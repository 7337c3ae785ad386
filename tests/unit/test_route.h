/*
 * tests/unit/test_route.h - the rows of test_route.c: domains, an address in them, and where its mail goes.
 * All are on the same disk (make_maildirs there).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route_domain {
    const char *name;                         /* its maildirs are in the directory of that name in /mail */
    const char *aliases, *mailboxes, *quotas; /* what their files say, or a spec that begins with "socket:" */
    const char *catch_all;
    const char *subaddress; /* NULL: "+" */
    uint64_t quota;
    bool create;
};

enum { ROUTE_DOMAINS_MAX = 4 };

struct route_row {
    const char *name;
    struct route_domain domains[ROUTE_DOMAINS_MAX];
    const char *path;
    int want;
    const char *result; /* after success the mailboxes, each with a newline; else why (NULL: nothing) */
    const char *steps;  /* NULL: they are as in other rows */
};
extern const struct route_row route_rows[];
extern const size_t route_row_count;
