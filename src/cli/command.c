#include "cli/command.h"

#include <getopt.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* What getopt_long tells of row number i is FIRST_ROW + i: letters, '?' and ':' are less. */
enum { FIRST_ROW = 256, HELP = 'h' };

const struct command *const commands[] = {
    &command_serve,  &command_check, &command_try,     &command_route, &command_handle,
    &command_passwd, &command_tlsa,  &command_version, &command_help,  NULL
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = commands; *c != NULL; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static size_t row_count(const struct command *command)
{
    size_t count = 0;
    for (const struct cli_options *const *o = command->options; o != NULL && *o != NULL; o++)
        count += (*o)->count;
    return count;
}

static const struct cli_option *row_at(const struct command *command, size_t index)
{
    const struct cli_options *const *o = command->options;
    for (; index >= (*o)->count; o++)
        index -= (*o)->count;
    return &(*o)->rows[index];
}

static const struct cli_option *row_of_letter(const struct command *command, int letter)
{
    for (size_t i = 0; i < row_count(command); i++)
        if (row_at(command, i)->letter == letter)
            return row_at(command, i);
    return NULL;
}

/* ---- help ---- */

void command_print_list(void)
{
    printf("usage: postern COMMAND [OPTION...]\n\nAn SMTP and LMTP server that only receives mail.\n\n");
    for (const struct command *const *c = commands; *c != NULL; c++)
        printf("  %-10s %s\n", (*c)->name, (*c)->summary);
    printf("\n\"postern help COMMAND\" tells more; so do postern(8) and postern.conf(5).\n");
}

static void print_option(const struct cli_option *o)
{
    g_autofree char *letter = o->letter != 0 ? g_strdup_printf("-%c, ", o->letter) : g_strdup("    ");
    g_autofree char *head = g_strdup_printf("  %s--%s%s%s", letter, o->name, o->value != NULL ? " " : "",
                                            o->value != NULL ? o->value : "");
    if (strlen(head) < 30)
        printf("%-30s %s\n", head, o->sentence);
    else
        printf("%s\n%-30s %s\n", head, "", o->sentence);
}

void command_print_help(const struct command *command)
{
    printf("usage: postern %s %s\n\n%s.\n", command->name, command->arguments, command->summary);
    if (command->text != NULL)
        printf("\n%s", command->text);
    if (row_count(command) > 0)
        printf("\n");
    for (size_t i = 0; i < row_count(command); i++)
        print_option(row_at(command, i));
}

int command_misuse(const struct command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    (void)fprintf(stderr, "postern %s: %s; see \"postern help %s\"\n", command->name, text, command->name);
    return EX_USAGE;
}

/* ---- parsing ---- */

static struct option *long_options(const struct command *command)
{
    size_t count = row_count(command);
    struct option *list = g_new0(struct option, count + 2);
    for (size_t i = 0; i < count; i++) {
        const struct cli_option *row = row_at(command, i);
        list[i] = (struct option){ row->name, row->value != NULL ? required_argument : no_argument, NULL,
                                   FIRST_ROW + (int)i };
    }
    list[count] = (struct option){ "help", no_argument, NULL, HELP };
    return list;
}

static char *letters(const struct command *command)
{
    GString *list = g_string_new(":h"); /* ":": a missing value is told apart */
    for (size_t i = 0; i < row_count(command); i++) {
        const struct cli_option *row = row_at(command, i);
        if (row->letter != 0)
            g_string_append_printf(list, "%c%s", row->letter, row->value != NULL ? ":" : "");
    }
    return g_string_free(list, FALSE);
}

int command_parse(const struct command *command, int argc, char **argv,
                  void (*on_option)(void *owner, const struct cli_option *option, const char *value),
                  void *owner, int *ret_rest, int *ret_status)
{
    g_autofree struct option *list = long_options(command);
    g_autofree char *short_list = letters(command);
    optind = 0; /* getopt_long begins anew */
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int c = getopt_long(argc, argv, short_list, list, NULL);
        if (c == -1)
            break;
        if (c == HELP) {
            command_print_help(command);
            *ret_status = EXIT_SUCCESS;
            return -1;
        }
        if (c == '?' || c == ':') {
            *ret_status = command_misuse(
                command, c == ':' ? "%s needs a value" : "%s is no option, or takes no value", argv[at]);
            return -1;
        }
        const struct cli_option *row =
            c >= FIRST_ROW ? row_at(command, (size_t)(c - FIRST_ROW)) : row_of_letter(command, c);
        on_option(owner, row, optarg);
    }
    *ret_rest = optind;
    return 0;
}
