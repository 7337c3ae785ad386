/*
 * cli/main.c - the program: finds the subcommand and runs it.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "postern: expected a command; see \"postern help\"\n");
        return EX_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    const struct command *command = command_find(name);
    if (command == NULL) {
        (void)fprintf(stderr, "postern: \"%s\" is no command; see \"postern help\"\n", name);
        return EX_USAGE;
    }
    return command->run(command, argc - 1, argv + 1);
}
