/*
 * base/option.h - option rows: what can be configured, told once, beside the code that uses it.
 * A row gives name, kind, range, default and one sentence; from it come parsing, the message when a value is
 * wrong, and the manual. Values live in a struct of the owner's; a row knows the field by its offset.
 * Ownership: text and custom values belong to the struct and go with option_clear. Failure: option_set says
 * what was expected and leaves the field as it was.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/number.h"
#include "base/slice.h"

enum option_kind {                  /* the field's type */
                   OPTION_BOOL,     /* bool: yes | no */
                   OPTION_COUNT,    /* uint64_t */
                   OPTION_SIZE,     /* uint64_t, octets: 50M */
                   OPTION_DURATION, /* msec_t: 5m */
                   OPTION_CHOICE,   /* int, the index into `choices` */
                   OPTION_TEXT,     /* char *, NULL until set */
                   OPTION_CUSTOM,   /* what `parse` makes of it */
};

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
    const char *fallback; /* as one would write it; NULL: none, the field stays zero */
    bool required;
    uint64_t min, max;          /* COUNT, SIZE and DURATION (in milliseconds); max 0: no limit */
    const char *const *choices; /* CHOICE: ends in NULL */
    int (*parse)(const char *text, void *field,
                 char **ret_problem); /* CUSTOM: 0, or negative and what is wrong (g_free) */
    /* CUSTOM, of a row that is called "option.*" and stands for all keys that begin so: `rest` is the key's.
     */
    int (*parse_rest)(const char *rest, const char *text, void *field, char **ret_problem);
    void (*clear)(void *field); /* CUSTOM */
    const char *expected;       /* CUSTOM and TEXT: what a value looks like, after "expected " */
    const char *sentence;       /* for the manual */
};

#define OPTION_OFFSET(type, field) offsetof(struct type, field)

/* 0, or -EINVAL with a sentence in *ret_problem ("expected a duration such as 5m, from 1s to 1h"), which is
 * g_free'd. */
int option_set(const struct option_row *row, void *values, const char *text, char **ret_problem);
/* The same for any row, which was found by that key. */
int option_set_key(const struct option_row *row, void *values, const char *key, const char *text,
                   char **ret_problem);

/* "a duration such as 5m, from 1s to 1h": what a row's value looks like; g_free it. */
char *option_expectation(const struct option_row *row);

/* Every field that has a fallback gets it. The fallbacks must be right: one that is not is a bug. */
void option_set_defaults(const struct option_row *rows, size_t count, void *values);
void option_clear(const struct option_row *rows, size_t count, void *values);
/* The row of a key; "option.queue" may be one of "option.*". */
const struct option_row *option_find(const struct option_row *rows, size_t count, const char *name);
/* How much of its name all keys of a row have in common: all, or for "option.*" what stands before the "*".
 */
size_t option_stem(const struct option_row *row);
