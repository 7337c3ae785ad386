#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/given.h"
#include "server/show_route.h"

static int run(const struct command *self, int argc, char **argv)
{
    auto_val(given) given = { 0 };
    const char *address;
    int status = given_parse(&given, self, argc, argv, "one address", &address);
    if (status >= 0)
        return status;
    auto_val(diag) problems = { 0 };
    auto_ptr(settings) settings = given_settings(&given, &problems);
    if (diag_count(&problems) == 0)
        (void)settings_drop_privileges(settings, &problems);
    if (diag_count(&problems) > 0) {
        diag_print(&problems, stderr);
        return EXIT_FAILURE;
    }
    int r = show_route(settings, address, stdout);
    if (r < 0)
        return command_misuse(self, "\"%s\" is no address; expected one such as alice@example.org", address);
    return r > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct cli_options *const options[] = { &given_options, NULL };

const struct command command_route = {
    .name = "route",
    .arguments = "ADDRESS -c FILE [OPTION...]",
    .summary = "Tells which mailboxes an address leads to, step by step",
    .text = "Each step is told with what came of it; then the mailboxes, and what RCPT would be answered.\n"
            "Exit status: 0 when mail for the address is taken, else 1.\n"
            "The options are those of serve, which add to the file or override it.\n",
    .options = options,
    .run = run,
};
