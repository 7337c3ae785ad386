#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/given.h"
#include "server/trial.h"

static const struct cli_option own_rows[] = {
    { "client", 0, "IP", "be a client at this address, or unix for one at a unix socket" },
    { "listener", 0, "NAME",
      "be at the listener of the section [listen NAME]; without it, at the first one" },
    { "quiet", 'q', NULL, "log nothing" },
};

struct attempt {
    struct given given;
    const char *client;   /* NULL: as the listener's clients are */
    const char *listener; /* NULL: the first one */
    bool quiet;
};

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    struct attempt *t = owner;
    if (given_take(&t->given, option, value))
        return;
    if (option == &own_rows[0])
        t->client = value;
    else if (option == &own_rows[1])
        t->listener = value;
    else
        t->quiet = true;
}

/* An address without a port, or "unix". */
static int parse_client(const char *text, struct net_address *ret_client)
{
    if (strcmp(text, "unix") == 0) {
        *ret_client = (struct net_address){ .storage.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
        return 0;
    }
    g_autofree char *with_port = g_strdup_printf(strchr(text, ':') != NULL ? "[%s]:0" : "%s:0", text);
    struct net_address client;
    int r = net_address_parse(with_port, &client);
    if (r < 0 || net_address_is_unix(&client))
        return -EINVAL;
    *ret_client = client;
    return 0;
}

static const struct worker_listener *find_listener(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->listener_count; i++)
        if (name == NULL || strcmp(s->listeners[i].listener.name, name) == 0)
            return &s->listeners[i].listener;
    return NULL;
}

/* "inbound, lmtp": each name once, though a section can have several addresses. */
static char *listener_names(const struct settings *s)
{
    GString *names = g_string_new(NULL);
    for (size_t i = 0; i < s->listener_count; i++) {
        const char *name = s->listeners[i].listener.name;
        if (i == 0 || strcmp(name, s->listeners[i - 1].listener.name) != 0)
            g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", name);
    }
    return g_string_free(names, FALSE);
}

static int try_settings(const struct attempt *t, const struct settings *settings, const struct command *self)
{
    struct trial trial = {
        .settings = settings,
        .listener = find_listener(settings, t->listener),
        .quiet = t->quiet,
        .in = STDIN_FILENO,
        .out = STDOUT_FILENO,
    };
    if (trial.listener == NULL) {
        g_autofree char *names = listener_names(settings);
        return command_misuse(self, "\"%s\" is no listener; expected one of %s", t->listener, names);
    }
    const char *usual = net_address_is_unix(&trial.listener->address) ? "unix" : "127.0.0.1";
    const char *client = t->client != NULL ? t->client : usual;
    if (parse_client(client, &trial.client) < 0)
        return command_misuse(
            self, "--client %s: expected an address such as 192.0.2.1 or 2001:db8::1, or unix", client);
    auto_val(diag) problems = { 0 };
    settings_drop_privileges(settings, &problems);
    if (diag_count(&problems) > 0) {
        diag_print(&problems, stderr);
        return EXIT_FAILURE;
    }
    int r = trial_run(&trial);
    if (r < 0)
        (void)fprintf(stderr, "postern try: cannot read or write: %s\n", g_strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int try_given(const struct attempt *t, const struct command *self)
{
    auto_val(diag) problems = { 0 };
    auto_ptr(settings) settings = given_settings(&t->given, &problems);
    if (diag_count(&problems) > 0) {
        diag_print(&problems, stderr);
        return EXIT_FAILURE;
    }
    return try_settings(t, settings, self);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct attempt t = { 0 };
    int rest, status;
    if (command_parse(self, argc, argv, on_option, &t, &rest, &status) == 0) {
        if (rest < argc)
            status = command_misuse(self, "\"%s\" is no option", argv[rest]);
        else if (given_is_empty(&t.given))
            status = command_misuse(self, "expected -c FILE, or --listen and --domain, or --demo DIR");
        else
            status = try_given(&t, self);
    }
    given_clear(&t.given);
    return status;
}

static const struct cli_options own_options = { own_rows, G_N_ELEMENTS(own_rows) };
static const struct cli_options *const options[] = { &given_options, &own_options, NULL };

const struct command command_try = {
    .name = "try",
    .arguments = "-c FILE [--client IP] [--listener NAME] [OPTION...]",
    .summary = "Holds a session on standard input and output, and delivers nothing",
    .text =
        "What a client at that address would be told, for debugging a configuration; the log, on standard\n"
        "error, tells which mailbox each recipient is. Nothing is written into any maildir.\n"
        "When the first line typed or piped ends in LF alone, each LF alone is taken as CR LF.\n",
    .options = options,
    .run = run,
};
