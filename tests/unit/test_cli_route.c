/* What `postern route` tells of an address: each step, the mailboxes, and the reply that RCPT would get. */
#include <sysexits.h>

#include "cli_rig.h"
#include "suite.h"

static const char config[] = "[server]\nhostname = mx.example.org\n"
                             "[listen in]\naddress = 127.0.0.1:2525\n"
                             "[domain example.org]\nmaildirs = $/mail\naliases = $/aliases\nsubaddress = +\n"
                             "[domain full.example.org]\nmaildirs = $/full\nquota = 100\ncreate = yes\n";
static const char aliases[] = "team: alice, ghost\nall: alice, broken\nlist: alice+lists\n";

#define DOMAIN "  domain      example.org: [domain example.org]\n"
#define FULL   "  domain      full.example.org: [domain full.example.org]\n"

static const struct cli_row rows[] = {
    { "a mailbox", "route alice@example.org -c $/conf", 0,
      "alice@example.org\n" DOMAIN "  alias       alice: none\n  mailbox     $/mail/alice\n"
      "-> $/mail/alice\n250 2.1.5 Recipient OK\n",
      "" },
    { "an alias, and a folder of a mailbox", "route list@example.org -c $/conf", 0,
      "list@example.org\n" DOMAIN "  alias       list: alice+lists\n    address     alice+lists@example.org\n"
      "*    subaddress  alice, folder .lists if it is there\n*-> $/mail/alice/.lists\n250 2.1.5 *",
      "" },
    { "a mailbox that is not there", "route ghost@example.org -c $/conf", 1,
      "ghost@example.org\n" DOMAIN "  alias       ghost: none\n  mailbox     ghost: none\n"
      "550 5.1.1 No such mailbox here\n",
      "" },
    { "an alias to one that is not there", "route team@example.org -c $/conf", 1,
      "team@example.org\n*\nteam@example.org leads to ghost, which is no mailbox\n451 4.3.0 *\n", "" },
    { "an alias to one that is no maildir", "route all@example.org -c $/conf", 1,
      "all@example.org\n*\n$/mail/broken: ?*\n451 4.3.0 *\n", "" },
    { "a mailbox that is full", "route carol@full.example.org -c $/conf", 1,
      "carol@full.example.org\n" FULL "  mailbox     $/full/carol\n"
      "-> $/full/carol, quota 100 octets\n452 4.2.2 Mailbox is full, try again later\n",
      "" },
    { "a mailbox that is to be made", "route dave@full.example.org -c $/conf", 0,
      "dave@full.example.org\n" FULL "  mailbox     dave: none\n"
      "  create      $/full/dave, at its first delivery\n"
      "-> $/full/dave, quota 100 octets, which is made then\n250 2.1.5 Recipient OK\n",
      "" },
    { "a domain of others", "route alice@example.net -c $/conf", 1,
      "alice@example.net\n  domain      none of ours\n550 5.7.1 Mail for that domain is not taken here\n",
      "" },
    { "postmaster alone", "route PostMaster -c $/conf", 0,
      "PostMaster\n" DOMAIN "*  create      $/mail/postmaster, at its first delivery\n*250 2.1.5 *", "" },
    { "what is no address", "route alice@@ -c $/conf", EX_USAGE, "",
      "postern route: \"alice@@\" is no address; expected one such as alice@example.org; *" },
    { "a problem in the configuration", "route alice@example.org -c $/conf --set limits.recipents=1", 1, "",
      "--set limits.recipents=1: *recipents*did you mean recipients?*" },
};

static void check_row(void **state)
{
    auto_ptr(cli) cli = cli_new();
    cli_file(cli, "conf", config);
    cli_file(cli, "aliases", aliases);
    cli_maildir(cli, "mail/alice");
    cli_maildir(cli, "mail/alice/.lists");
    cli_maildir(cli, "mail/broken/.lists");
    cli_maildir(cli, "full/carol");
    cli_file(cli, "full/carol/maildirsize", "100S\n200 1\n");
    cli_check(cli, *state);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli route");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
