#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/given.h"
#include "server/show_tlsa.h"

static const struct cli_option own_rows[] = {
    { "host", 0, "NAME", "the server's name in the MX records; without it, hostname of [server]" },
    { "port", 0, "N", "a port that others see; without it, those of the listeners of SMTP that offer TLS" },
    { "policy", 0, NULL, "just the MTA-STS policy, for the file that a web server hands out" },
};

struct tlsa {
    struct given given;
    struct tlsa_request request;
    const char *port;
};

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    struct tlsa *t = owner;
    if (given_take(&t->given, option, value))
        return;
    if (option == &own_rows[0])
        t->request.host = value;
    else if (option == &own_rows[1])
        t->port = value;
    else
        t->request.policy_only = true;
}

/* 0, or the exit status of a mistake that is told. */
static int take_own(struct tlsa *t, const struct command *self)
{
    uint64_t port = 0;
    if (t->port != NULL && (pst_parse_u64(slice_str(t->port), UINT16_MAX, &port) < 0 || port == 0))
        return command_misuse(self, "--port %s: expected a whole number from 1 to 65535", t->port);
    if (t->request.host != NULL && !smtp_domain_valid(slice_str(t->request.host)))
        return command_misuse(self, "--host %s: expected a domain name such as mx.example.org",
                              t->request.host);
    t->request.port = (unsigned)port;
    return 0;
}

static int tell(const struct tlsa *t)
{
    auto_val(diag) problems = { 0 }, notes = { 0 };
    auto_ptr(settings) settings = given_settings(&t->given, &problems);
    if (settings != NULL)
        (void)settings_load_certificates(settings, &problems); /* what it says are problems */
    if (diag_count(&problems) == 0)
        show_tlsa(settings, &t->request, stdout, &problems, &notes);
    diag_print(&problems, stderr);
    diag_print(&notes, stderr);
    return diag_count(&problems) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct tlsa t = { 0 };
    int rest, status;
    if (command_parse(self, argc, argv, on_option, &t, &rest, &status) == 0) {
        if (rest < argc)
            status = command_misuse(self, "\"%s\" is no option", argv[rest]);
        else if (given_is_empty(&t.given))
            status = command_misuse(self, "expected -c FILE");
        else if ((status = take_own(&t, self)) == 0)
            status = tell(&t);
    }
    given_clear(&t.given);
    return status;
}

static const struct cli_options own_options = { own_rows, G_N_ELEMENTS(own_rows) };
static const struct cli_options *const options[] = { &given_options, &own_options, NULL };

const struct command command_tlsa = {
    .name = "tlsa",
    .arguments = "-c FILE [--host NAME] [--port N] [--policy] [OPTION...]",
    .summary = "Prints the TLSA records (DANE) and the MTA-STS policy of the certificates",
    .text = "The records are lines of a zone; those of TLSA count only where the zone is signed (DNSSEC).\n"
            "It reads the private keys as the server does, and so must be run by who may.\n"
            "The options are those of serve, which add to the file or override it.\n",
    .options = options,
    .run = run,
};
