#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/given.h"
#include "delivery/circles.h"

/* What can only be asked when all else is known: as the user that the server would become, but for keys. */
static void look(struct settings *s, struct diag *problems, struct diag *notes)
{
    auto_val(diag) more = { 0 };
    (void)settings_load_certificates(s, &more); /* what it says are problems */
    if (settings_drop_privileges(s, &more) == 0)
        settings_probe_handlers(s, &more);
    settings_check_certificates(s, &more, notes);
    circles_find_on_disk(s->router, &more, notes);
    diag_add_news(problems, &more);
}

static int run(const struct command *self, int argc, char **argv)
{
    auto_val(given) given = { 0 };
    int status = given_parse(&given, self, argc, argv, NULL, NULL);
    if (status >= 0)
        return status;
    auto_val(diag) problems = { 0 }, notes = { 0 };
    auto_ptr(settings) settings = given_settings(&given, &problems);
    if (settings != NULL)
        look(settings, &problems, &notes);
    diag_print(&problems, stderr);
    diag_print(&notes, stderr);
    if (diag_count(&problems) > 0)
        return EXIT_FAILURE;
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
        "Aliases that lead to no mailbox at the moment, and certificates that expire within 14 days, are "
        "told\n"
        "as notes, which are no problems.\n"
        "The options are those of serve, which add to the file or override it.\n",
    .options = options,
    .run = run,
};
