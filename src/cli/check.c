#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/given.h"

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    (void)given_take(owner, option, value);
}

static int run(const struct command *self, int argc, char **argv)
{
    auto_val(given) given = { 0 };
    auto_val(diag) problems = { 0 };
    int rest, status;
    if (command_parse(self, argc, argv, on_option, &given, &rest, &status) < 0)
        return status;
    if (rest < argc)
        return command_misuse(self, "\"%s\" is no option", argv[rest]);
    if (given_is_empty(&given))
        return command_misuse(self, "expected -c FILE");
    auto_ptr(settings) settings = given_settings(&given, &problems);
    if (diag_count(&problems) == 0)
        settings_drop_privileges(settings, &problems);
    if (diag_count(&problems) > 0) {
        diag_print(&problems, stderr);
        return EXIT_FAILURE;
    }
    printf("%s: ok\n", given.file != NULL ? given.file : "configuration");
    return EXIT_SUCCESS;
}

static const struct cli_options *const options[] = { &given_options, NULL };

const struct command command_check = {
    .name = "check",
    .arguments = "-c FILE [OPTION...]",
    .summary = "Tells what is wrong with a configuration",
    .text =
        "All problems are told in one run, with file and line. Exit status: 0 when there is none, else 1.\n"
        "The options are those of serve, which add to the file or override it.\n",
    .options = options,
    .run = run,
};
