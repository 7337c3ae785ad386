/* Command lines that ask for help, or make no sense: what is told, where, and with which exit status. */
#include <sysexits.h>

#include "cli_rig.h"
#include "suite.h"

static const struct cli_row rows[] = {
    { "no command", "", EX_USAGE, "", "postern: expected a command; see \"postern help\"\n" },
    { "no such command", "serv", EX_USAGE, "", "postern: \"serv\" is no command; see \"postern help\"\n" },
    { "the list of commands", "help", 0,
      "usage: postern COMMAND*\n  serve  *\n  check  *\n  try  *\n  route  *\n  handle  *\n  passwd  *\n"
      "  tlsa  *\n  version  *\n  help  *",
      "" },
    { "the same by --help", "--help", 0, "usage: postern COMMAND*", "" },
    { "the same by -h", "-h", 0, "usage: postern COMMAND*", "" },
    { "help about a command", "help passwd", 0,
      "usage: postern passwd USER [OPTION...]\n\nMakes a line *\n\nAsks *\n\n      --stdin *\n"
      "      --iterations N *\n",
      "" },
    { "help about a command without options", "help version", 0,
      "usage: postern version \n\nTells which version this is.\n", "" },
    { "the same by the command", "route --help", 0, "usage: postern route ADDRESS*-c, --config FILE *", "" },
    { "a long option has a line of its own", "check -h", 0, "*\n      --handler-option NAME.KEY=VALUE\n  *",
      "" },
    { "help about nothing", "help nothing", EX_USAGE, "",
      "postern help: \"nothing\" is no command; see \"postern help help\"\n" },
    { "help about two", "help serve check", EX_USAGE, "", "postern help: \"check\" is no command; *" },
    { "help with an option", "help --all", EX_USAGE, "",
      "postern help: --all is no option, or takes no value; *" },
    { "the version", "version", 0, "postern ?*.?*\n", "" },
    { "the same by --version", "--version", 0, "postern ?*.?*\n", "" },
    { "the version of something", "version 2", EX_USAGE, "", "postern version: it takes no arguments; *" },
    { "the version with an option", "version --short", EX_USAGE, "",
      "postern version: --short is no option*" },

    { "an option without its value", "check -c", EX_USAGE, "", "postern check: -c needs a value; *" },
    { "a value that is none", "passwd --stdin=yes a", EX_USAGE, "",
      "postern passwd: --stdin=yes is no option, or takes no value; *" },
    { "serve what", "serve", EX_USAGE, "", "postern serve: expected -c FILE*" },
    { "serve an argument", "serve now", EX_USAGE, "", "postern serve: \"now\" is no option; *" },
    { "check what", "check", EX_USAGE, "", "postern check: expected -c FILE; *" },
    { "check an argument", "check file", EX_USAGE, "", "postern check: \"file\" is no option; *" },
    { "route whom", "route -c $/none", EX_USAGE, "", "postern route: expected one address; *" },
    { "route by what", "route alice@example.org", EX_USAGE, "", "postern route: expected -c FILE; *" },
    { "try what", "try", EX_USAGE, "",
      "postern try: expected -c FILE, or --listen and --domain, or --demo DIR; *" },
    { "try an argument", "try this", EX_USAGE, "", "postern try: \"this\" is no option; *" },
    { "tlsa of what", "tlsa", EX_USAGE, "", "postern tlsa: expected -c FILE; *" },
    { "tlsa with an argument", "tlsa mx.example.org", EX_USAGE, "",
      "postern tlsa: \"mx.example.org\" is no option; *" },
    { "handle by what", "handle", EX_USAGE, "", "postern handle: expected --load FILE, or -c FILE with *" },
    { "handle a file", "handle message", EX_USAGE, "", "postern handle: \"message\" is no option; *" },
    { "passwd of nobody", "passwd", EX_USAGE, "", "postern passwd: expected one user's name; *" },
    { "passwd of two", "passwd alice bob", EX_USAGE, "", "postern passwd: expected one user's name; *" },

    { "a configuration that is not there", "check -c $/none", 1, "",
      "$/none: cannot be read: No such file or directory\n" },
    { "the same where it is served", "serve -c $/none", 1, "",
      "*$/none: cannot be read: No such file or directory*" },
    { "the same where it is tried", "try -c $/none", 1, "",
      "$/none: cannot be read: No such file or directory\n" },
    { "the same where mail is routed", "route alice@example.org -c $/none", 1, "",
      "$/none: cannot be read: *" },
    { "the same where certificates are shown", "tlsa -c $/none", 1, "", "$/none: cannot be read: *" },
    { "the same where mail is handled", "handle -c $/none", EX_CONFIG, "", "$/none: cannot be read: *" },
};

static void check_row(void **state)
{
    auto_ptr(cli) cli = cli_new();
    cli_check(cli, *state);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
