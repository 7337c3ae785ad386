/*
 * cli/command.h - subcommands: what each is called, which options it has, and what it does. One file each;
 * command.c has the table. Options are rows, from which come parsing and help. Exit status: 0 when all went
 * well, 1 when it did not (a problem in the configuration, a port in use), EX_USAGE (64) for a command line
 * that makes no sense; what is wrong stands on standard error.
 */
#pragma once

#include <stddef.h>

struct cli_option {
    const char *name;  /* "listen" of --listen */
    char letter;       /* 'c' of -c, or 0 */
    const char *value; /* what its value is called; NULL: it has none */
    const char *sentence;
    const char *kind; /* the section without a name, and its key, that it gives a value; NULL: it does
                         something else */
    const char *key;
};

/* Several owners' rows can make up one command's options. */
struct cli_options {
    const struct cli_option *rows;
    size_t count;
};

struct command {
    const char *name;
    const char *arguments;                    /* of the synopsis */
    const char *summary;                      /* in the list of commands */
    const char *text;                         /* more about it, whole lines; or NULL */
    const struct cli_options *const *options; /* ends in NULL; NULL: it has none */
    int (*run)(const struct command *command, int argc, char **argv); /* argv[0] is the command's name */
};

extern const struct command command_serve, command_check, command_try, command_route, command_handle,
    command_passwd, command_tlsa, command_version, command_help;
extern const struct command *const commands[]; /* ends in NULL */

const struct command *command_find(const char *name);

/* The pages of `postern help` on standard output. */
void command_print_list(void);
void command_print_help(const struct command *command);

/* Tells a mistake in the command line on standard error. EX_USAGE. */
int command_misuse(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Calls `on_option` (NULL where there is none but --help) for each option in the order of the command line.
 * 0, the command goes on, with arguments from argv[*ret_rest]; else it ends with *ret_status: it was asked
 * for help, or the mistake is told.
 */
int command_parse(const struct command *command, int argc, char **argv,
                  void (*on_option)(void *owner, const struct cli_option *option, const char *value),
                  void *owner, int *ret_rest, int *ret_status);
