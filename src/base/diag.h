/*
 * base/diag.h - everything that is wrong with what an operator wrote, gathered so that one run tells all of
 * it. Whoever loads something adds problems and goes on as far as it can; the one who asked for the load
 * prints them and decides. Strings are copied. Nothing here fails.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

#include "base/auto.h"

/* Where a text came from. A file's name and a line from 1; line 0 is the source as a whole ("command line").
 * No name: nowhere, or it is told already.
 */
struct origin {
    const char *file;
    unsigned line;
};

struct diag {
    GPtrArray
        *problems; /* char *, complete lines without newline, in the order of their finding; NULL: none */
};

void diag_add(struct diag *d, struct origin at, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* What `more` tells of places that `d` tells nothing of. */
void diag_add_news(struct diag *d, const struct diag *more);
unsigned diag_count(const struct diag *d);
void diag_print(const struct diag *d, FILE *to); /* "FILE:LINE: TEXT\n" each, or "FILE: TEXT\n" for line 0 */
void diag_clear(struct diag *d);
AUTO_VAL_DEFINE(diag);
