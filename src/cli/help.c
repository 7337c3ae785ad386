#include <stdlib.h>

#include "cli/command.h"

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    (void)owner;
    (void)option;
    (void)value; /* it has none but --help */
}

static int run(const struct command *self, int argc, char **argv)
{
    int first, status;
    if (command_parse(self, argc, argv, on_option, NULL, &first, &status) < 0)
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
