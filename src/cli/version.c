#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "postern/version.h"

static int run(const struct command *self, int argc, char **argv)
{
    int first, status;
    if (command_parse(self, argc, argv, NULL, NULL, &first, &status) < 0)
        return status;
    if (first < argc)
        return command_misuse(self, "it takes no arguments");
    printf("postern %s\n", POSTERN_VERSION);
    return EXIT_SUCCESS;
}

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "Tells which version this is",
    .run = run,
};
