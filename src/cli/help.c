#include <stdlib.h>

#include "cli/command.h"

static int run(const struct command *self, int argc, char **argv)
{
    int first, status;
    if (command_parse(self, argc, argv, NULL, NULL, &first, &status) < 0)
        return status;
    if (first == argc) {
        command_print_list();
        return EXIT_SUCCESS;
    }
    const struct command *about = command_find(argv[first]);
    if (about == NULL || first + 1 < argc)
        return command_misuse(self, "\"%s\" is no command", argv[argc - 1]);
    command_print_help(about);
    return EXIT_SUCCESS;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Tells what commands there are, or what one of them takes",
    .run = run,
};
