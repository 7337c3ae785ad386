/*
 * cli/main.c - the program: finds the subcommand and runs it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/command.h"

/* Where they were closed, the first sockets and files would take their numbers, and what is printed would go
 * there. */
static void hold_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
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
