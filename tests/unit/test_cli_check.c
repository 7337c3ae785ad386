/* Problems and notes that `postern check` tells, those that only show themselves on disk, in hosts and in
 * certificates among them. */
#include <sys/stat.h>

#include "certificates.h"
#include "cli_rig.h"
#include "suite.h"

static const char config[] = "[server]\nhostname = mx.example.org\n"
                             "[listen in]\naddress = 127.0.0.1:2525\n"
                             "[domain example.org]\nmaildirs = $/mail\naliases = $/aliases\n";

#define CHECK     "check -c $/conf "
#define TLS(name) "--tls-certificate $/" name ".pem --tls-key $/" name ".key "
#define LISTEN    "--set 'listen in.tls=optional' "

static const struct cli_row rows[] = {
    { "all is well", CHECK, 0, "$/conf: ok\n",
      "$/aliases:2: note: lost -> ghost: there is no such mailbox; *\n" },
    { "without a file",
      "check --hostname mx.example.org --listen smtp://127.0.0.1:0 --domain example.org=$/mail", 0,
      "configuration: ok\n", "" },
    { "the demonstration", "check --demo $/demo", 0, "configuration: ok\n", "" },
    { "all problems at once", CHECK "--set limits.errors=0 --set server.hostnam=a --workers many", 1, "",
      "--set limits.errors=0: *\n--set server.hostnam=a: *did you mean hostname?*\n--workers many: *\n" },
    { "no such domain's directory", CHECK "--domain example.net=$/none", 1, "",
      "*$/none*No such file or directory*" },
    { "what is no listener", CHECK "--listen 127.0.0.1:25", 1, "",
      "--listen 127.0.0.1:25: expected [NAME=]smtp://HOST:PORT*" },
    { "what is no domain", CHECK "--domain example.net", 1, "",
      "--domain example.net: expected DOMAIN=DIR\n*" },
    { "what is no setting", CHECK "--set limits=1", 1, "", "--set limits=1: expected SECTION.KEY=VALUE\n*" },
    { "a user that there is not", CHECK "--user nobody-of-that-name", 1, "", "*nobody-of-that-name*" },

    { "handlers", CHECK "--handler $/handlers/judge.so --handler $/handlers/act.so", 0, "$/conf: ok\n",
      "*note: *" },
    { "a handler that does not want to",
      CHECK "--handler $/handlers/judge.so --handler-option 'judge.fail=no queue'", 1, "",
      "--handler $/handlers/judge.so: handler judge: no queue\n*" },
    { "one of two", CHECK "--handler $/handlers/judge.so --handler $/handlers/exit_at_load.so", 1, "",
      "--handler $/handlers/exit_at_load.so: handler exit_at_load ended with status 0 while it was "
      "loaded\n*" },
    { "both of two", CHECK "--handler $/handlers/crash_at_load.so --handler $/handlers/exit_at_load.so", 1,
      "",
      "*handler crash_at_load died of signal 6 (Aborted) while it was loaded\n*handler exit_at_load ended "
      "with *" },
    { "what is no handler", CHECK "--handler $/aliases", 1, "", "*--handler $/aliases: handler aliases: *" },
    { "an option for none", CHECK "--handler-option judge.fail=x", 1, "",
      "*there is no such handler; expected NAME.KEY=VALUE *" },
    { "what is no option", CHECK "--handler-option fail", 1, "", "*expected NAME.KEY=VALUE\n*" },

    { "certificates", CHECK LISTEN TLS("mx"), 0, "$/conf: ok\n", "*note: lost *" },
    { "that nobody uses", CHECK TLS("mx"), 0, "$/conf: ok\n",
      "*no [listen NAME] uses the certificates; expected *" },
    { "that expire soon", CHECK LISTEN TLS("soon"), 0, "$/conf: ok\n",
      "*soon.pem: expires on *, in ? days*" },
    { "that have expired", CHECK LISTEN TLS("old"), 1, "",
      "*old.pem: has expired on *; expected one that is valid now\n*" },
    { "a key of another one", CHECK LISTEN "--tls-certificate $/mx.pem --tls-key $/old.key", 1, "",
      "*old.key: does not fit certificate = $/mx.pem\n*" },
    { "a key that is not there", CHECK LISTEN "--tls-certificate $/mx.pem --tls-key $/none.key", 1, "",
      "*none.key: cannot be read: No such file or directory\n*" },

    { "passwords",
      CHECK "--set auth.passwords=$/passwords " LISTEN TLS("mx") "--set 'listen in.auth=optional'", 0,
      "$/conf: ok\n", "*" },
    { "passwords that are not there",
      CHECK "--set auth.passwords=$/none " LISTEN TLS("mx") "--set 'listen in.auth=optional'", 1, "",
      "*$/none*No such file or directory*" },
};

static void add_certificate(const struct cli *cli, const char *name, int from_days, int to_days)
{
    struct certificate *c = certificate_new(&(struct certificate_wish){
        .names = "DNS:mx.example.org", .from_days = from_days, .to_days = to_days });
    g_autofree char *pem = certificate_pem(c), *key = certificate_key_pem(c, NULL);
    g_autofree char *pem_name = g_strconcat(name, ".pem", NULL), *key_name = g_strconcat(name, ".key", NULL);
    g_free(certificate_file(cli->folder, pem_name, pem, 0644));
    g_free(certificate_file(cli->folder, key_name, key, 0600));
    certificate_free(c);
}

static void check_row(void **state)
{
    const struct cli_row *row = *state;
    auto_ptr(cli) cli = cli_new();
    cli_file(cli, "conf", config);
    cli_file(cli, "aliases", "team: alice\nlost: ghost\n");
    cli_maildir(cli, "mail/alice");
    cli_handlers(cli);
    if (strstr(row->line, "--tls-key") != NULL) {
        add_certificate(cli, "mx", -1, 90);
        add_certificate(cli, "soon", -1, 7);
        add_certificate(cli, "old", -9, -1);
        g_free(certificate_file(cli->folder, "passwords", "", 0600));
    }
    cli_check(cli, row);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli check");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
