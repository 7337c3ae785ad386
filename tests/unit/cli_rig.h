/*
 * tests/unit/cli_rig.h - the program `postern` that was built with this test, its command lines, and what it
 * says. Each run of it has a minute. What cannot be done fails the running test. Ownership: free what is
 * made.
 */
#pragma once

#include <glib.h>

#include "base/auto.h"
#include "base/slice.h"

struct cli {
    char *folder;       /* of its own, which any user may enter */
    struct slice input; /* of the next run; borrowed */
    char *out, *err;    /* of the last run */
};

struct cli *cli_new(void);
void cli_free(struct cli *c); /* with the folder; NULL is welcome */
AUTO_PTR_DEFINE(cli);

char *cli_built(const char *name); /* the path of what lies in the build folder; g_free it */

/* In what follows, '$' stands for the folder's path. */

void cli_file(const struct cli *c, const char *name, const char *text);
void cli_maildir(const struct cli *c, const char *name);
void cli_handlers(const struct cli *c); /* those that the tests have, in $/handlers */

/* The arguments are quoted as in a shell. The exit status, or 128 and the signal. */
int cli_run(struct cli *c, const char *line);

/* A run that ends with that status, and says what is like that (`*` and `?` are as in file names). */
struct cli_row {
    const char *name, *line;
    int status;
    const char *out, *err;
    const char *input;
};
void cli_check(struct cli *c, const struct cli_row *row);
