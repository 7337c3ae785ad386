#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/given.h"
#include "server/background.h"
#include "server/master.h"
#include "server/pid_file.h"

static const struct cli_option own_rows[] = {
    { "daemon", 0, NULL, "detach from the terminal once connections are taken" },
    { "pid-file", 0, "FILE", "keep the number of the master process in FILE" },
};

struct serve {
    struct given given;
    bool daemon;
    const char *pid_path;
    struct background background;
};

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    struct serve *s = owner;
    if (given_take(&s->given, option, value))
        return;
    if (option == &own_rows[0])
        s->daemon = true;
    else
        s->pid_path = value;
}

static void on_started(void *owner)
{
    struct serve *s = owner;
    background_ready(&s->background);
}

static struct settings *load(void *owner, struct diag *problems)
{
    const struct serve *s = owner;
    struct settings *settings = given_settings(&s->given, problems);
    if (settings != NULL)
        (void)settings_load_certificates(settings, problems); /* what it says are problems */
    return settings;
}

static int serve_in_process(struct serve *s, struct settings *take_settings)
{
    static const struct master_events events = { .on_started = on_started, .load = load };
    auto_ptr(settings) settings = take_settings;
    auto_val(pid_file) pid_file = PID_FILE_NONE;
    int r = s->pid_path != NULL ? pid_file_write(&pid_file, s->pid_path) : 0;
    if (r < 0) {
        (void)fprintf(stderr, "postern serve: %s: %s\n", s->pid_path,
                      r == -EWOULDBLOCK ? "another postern that runs holds this file" : g_strerror(-r));
        return EXIT_FAILURE;
    }
    return master_run(g_steal_pointer(&settings), &events, s);
}

static int serve_in_background(struct serve *s, struct settings *take_settings)
{
    auto_ptr(settings) settings = take_settings;
    bool waited;
    int status;
    int r = background_enter(&s->background, &waited, &status);
    if (r < 0) {
        (void)fprintf(stderr, "postern serve: cannot detach: %s\n", g_strerror(-r));
        return EXIT_FAILURE;
    }
    return waited ? status : serve_in_process(s, g_steal_pointer(&settings));
}

static int serve(struct serve *s, const struct command *self)
{
    auto_val(diag) problems = { 0 };
    auto_ptr(settings) settings = load(s, &problems);
    if (diag_count(&problems) > 0) {
        diag_print(&problems, stderr);
        return EXIT_FAILURE;
    }
    if (!s->daemon)
        return serve_in_process(s, g_steal_pointer(&settings));
    if (settings->log.target.kind == LOG_TO_STDERR)
        return command_misuse(self,
                              "--daemon has no standard error; expected --log syslog or --log file:PATH");
    return serve_in_background(s, g_steal_pointer(&settings));
}

static int run(const struct command *self, int argc, char **argv)
{
    struct serve s = { .background = BACKGROUND_NONE };
    int rest, status;
    if (command_parse(self, argc, argv, on_option, &s, &rest, &status) == 0) {
        if (rest < argc)
            status = command_misuse(self, "\"%s\" is no option", argv[rest]);
        else if (given_is_empty(&s.given))
            status = command_misuse(self, "expected -c FILE, or --listen and --domain, or --demo DIR");
        else
            status = serve(&s, self);
    }
    given_clear(&s.given);
    return status;
}

static const struct cli_options own_options = { own_rows, G_N_ELEMENTS(own_rows) };
static const struct cli_options *const options[] = { &given_options, &own_options, NULL };

const struct command command_serve = {
    .name = "serve",
    .arguments = "[-c FILE] [OPTION...]",
    .summary = "Receives mail, in the foreground, until SIGTERM or SIGINT",
    .text = "With no file at all:\n"
            "  postern serve --listen smtp://127.0.0.1:2525 --domain example.org=DIR\n"
            "The mailbox alice@example.org is the maildir DIR/alice. With STARTTLS, and with TLS from the "
            "start:\n"
            "  postern serve --listen smtp://127.0.0.1:2525 --listen smtps://127.0.0.1:4650 \\\n"
            "    --domain example.org=DIR --tls-certificate cert.pem --tls-key key.pem\n",
    .options = options,
    .run = run,
};
