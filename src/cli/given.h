/*
 * cli/given.h - what a command line says about the configuration: a file, and values that are added to it or
 * override it. `serve` and `check` take the same, so that one can check what the other would do.
 *
 *     struct given g = GIVEN_NOTHING;  ... given_take(&g, option, value) for each option of `given_options`
 * ... struct settings *s = given_settings(&g, &problems);
 */
#pragma once

#include <stdbool.h>

#include "base/diag.h"
#include "cli/command.h"
#include "server/settings.h"

extern const struct cli_options given_options;

struct given {
    const char *file; /* NULL: none */
    const char *demo; /* the directory of --demo, or NULL */
    GArray *values;   /* of options that give single values, in their order; NULL: none */
};

/* False when the option is none of `given_options`. The value is borrowed. */
bool given_take(struct given *g, const struct cli_option *option, const char *value);
/* As --handler FILE does, for a command that calls it otherwise. */
void given_handler(struct given *g, const char *file);
bool given_is_empty(const struct given *g);

/* NULL when there is a file that cannot be read. For use when there are no problems. */
struct config *given_config(const struct given *g, struct diag *problems); /* not finished yet */
struct settings *given_settings(const struct given *g, struct diag *problems);

/*
 * The command line of a command that takes nothing else. `wants`, or NULL, says which one argument besides
 * options there must be ("one address"). -1, or the status that the command ends with: something is wrong,
 * and was told, or all was asked for is done.
 */
int given_parse(struct given *g, const struct command *self, int argc, char **argv, const char *wants,
                const char **ret_argument);

void given_clear(struct given *g);
AUTO_VAL_DEFINE(given);
