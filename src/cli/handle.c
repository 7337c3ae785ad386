#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/given.h"
#include "server/offline_report.h"
#include "server/spool.h"

enum { DISCARDED = 99 }; /* sysexits.h has none for it; qmail's programs say so */

enum option { LOAD, FROM, TO, LISTENER, CLIENT, HELO, PROTOCOL, JSON, OUTPUT };
static const struct cli_option own_rows[] = {
    [LOAD] = { "load", 0, "FILE", "the same as --handler" },
    [FROM] = { "from", 0, "ADDRESS", "the sender; may be empty. Without it, sender@example.org" },
    [TO] = { "to", 0, "ADDRESS", "a recipient; can be given again. Without it, recipient@example.org" },
    [LISTENER] = { "listener", 0, "NAME", "the [listen NAME] that the message came through" },
    [CLIENT] = { "client", 0, "IP", "the client's address, or unix. Without it, 127.0.0.1" },
    [HELO] = { "helo", 0, "NAME", "what the client called itself. Without it, localhost" },
    [PROTOCOL] = { "protocol", 0, "NAME", "what the Received field would say. Without it, ESMTP or LMTP" },
    [JSON] = { "json", 0, NULL, "tell the verdict as JSON" },
    [OUTPUT] = { "output", 0, "FILE", "write the message as it would be stored; -: to standard output" },
};

struct handle {
    struct given given;
    const char *values[G_N_ELEMENTS(own_rows)];
    GPtrArray *to;
};

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    struct handle *h = owner;
    if (given_take(&h->given, option, value))
        return;
    size_t i = (size_t)(option - own_rows);
    if (i == LOAD)
        given_handler(&h->given, value);
    else if (i == TO)
        g_ptr_array_add(h->to, (char *)value);
    else
        h->values[i] = value != NULL ? value : "";
}

static const char *value_of(const struct handle *h, enum option option, const char *fallback)
{
    return h->values[option] != NULL ? h->values[option] : fallback;
}

/* ---- what is told ---- */

static void print_log(void *owner, const char *handler, const char *level, const char *text)
{
    (void)owner;
    g_autofree char *clean = g_strdup(text);
    for (char *c = clean; *c != '\0'; c++)
        if (g_ascii_iscntrl(*c))
            *c = *c == '\n' || *c == '\t' ? ' ' : '?';
    (void)fprintf(stderr, "%s: %s: %s\n", handler, level, clean);
}

/* Over SMTP one recipient that is refused spoils it for all. */
static bool is_kept(const struct offline_question *q, const struct offline_answer *a)
{
    if (a->result != OFFLINE_DELIVER && (a->result == OFFLINE_FAILURE || strstr(q->protocol, "LMTP") == NULL))
        return false;
    bool is_kept = false;
    for (uint32_t i = 0; i < a->verdict.fate_count; i++)
        is_kept |= a->verdict.fates[i].decision == WIRE_DELIVER;
    return is_kept;
}

static int write_message(const struct offline_question *q, const struct offline_answer *a, const char *path)
{
    if (strcmp(path, "-") == 0)
        return offline_write_message(q, a, stdout);
    FILE *to = fopen(path, "we");
    if (to == NULL)
        return -errno;
    int r = offline_write_message(q, a, to);
    return fclose(to) == 0 || r < 0 ? r : -EIO;
}

static int tell(const struct handle *h, const struct offline_question *q, const struct offline_answer *a)
{
    const char *output = h->values[OUTPUT];
    FILE *to = g_strcmp0(output, "-") == 0 ? stderr : stdout;
    int r = h->values[JSON] != NULL ? offline_report_json(q, a, to) : offline_report_text(q, a, to);
    if (r == 0 && output != NULL && is_kept(q, a))
        r = write_message(q, a, output);
    if (r < 0)
        (void)fprintf(stderr, "postern handle: %s: %s\n", output != NULL ? output : "cannot write",
                      g_strerror(-r));
    return r;
}

/* ---- the question ---- */

/* What a client at that listener says, if it is like most. */
static const char *usual_protocol(const struct settings *s, const char *listener)
{
    for (size_t i = 0; i < s->listener_count; i++)
        if (strcmp(s->listeners[i].listener.name, listener) == 0)
            return s->listeners[i].listener.protocol == SMTP_PROTOCOL_LMTP ? "LMTP" : "ESMTP";
    return "ESMTP";
}

static int handle_message(struct handle *h, const struct settings *settings)
{
    static const int statuses[] = { [OFFLINE_DELIVER] = EXIT_SUCCESS,
                                    [OFFLINE_REJECT] = EX_UNAVAILABLE,
                                    [OFFLINE_DEFER] = EX_TEMPFAIL,
                                    [OFFLINE_DISCARD] = DISCARDED,
                                    [OFFLINE_FAILURE] = EX_SOFTWARE };
    const char *first = settings->listener_count > 0 ? settings->listeners[0].listener.name : "offline";
    if (h->to->len == 0)
        g_ptr_array_add(h->to, (char *)"recipient@example.org");
    g_ptr_array_add(h->to, NULL);
    struct offline_question q = {
        .settings = settings,
        .listener = value_of(h, LISTENER, first),
        .protocol = value_of(h, PROTOCOL, usual_protocol(settings, value_of(h, LISTENER, first))),
        .client = value_of(h, CLIENT, "127.0.0.1"),
        .helo = value_of(h, HELO, "localhost"),
        .from = value_of(h, FROM, "sender@example.org"),
        .to = (char **)h->to->pdata,
    };
    auto_fd int message = -1;
    int r = spool_message(STDIN_FILENO, &message, &q.size);
    if (r < 0) {
        (void)fprintf(stderr, "postern handle: the message cannot be read: %s\n", g_strerror(-r));
        return EX_IOERR;
    }
    q.message = message;
    const struct offline_log log = { .tell = print_log };
    auto_val(offline_answer) answer = { 0 };
    offline_ask(&q, &log, &answer);
    return tell(h, &q, &answer) < 0 ? EX_IOERR : statuses[answer.result];
}

static bool is_address(const char *text)
{
    struct smtp_address address;
    return g_ascii_strcasecmp(text, "postmaster") == 0 || smtp_address_parse(slice_str(text), &address) == 0;
}

/* Before anything is asked: 0, or the status of a command line that makes no sense. */
static int check_envelope(const struct handle *h, const struct settings *settings, const struct command *self)
{
    const char *from = value_of(h, FROM, ""), *listener = h->values[LISTENER];
    const char *client = value_of(h, CLIENT, "unix");
    if (strcmp(client, "unix") != 0 && !g_hostname_is_ip_address(client))
        return command_misuse(self, "--client %s: expected an IP address, or unix", client);
    if (*from != '\0' && !is_address(from))
        return command_misuse(self, "--from %s: expected an address such as alice@example.org", from);
    for (guint i = 0; i < h->to->len; i++)
        if (!is_address(h->to->pdata[i]))
            return command_misuse(self, "--to %s: expected an address such as alice@example.org",
                                  (const char *)h->to->pdata[i]);
    bool is_there = listener == NULL || config_find(settings->config, "listen", listener) != NULL;
    if (!is_there && config_next(settings->config, "listen", NULL) != NULL)
        return command_misuse(self, "\"%s\" is no listener; expected the name of a section [listen NAME]",
                              listener);
    return 0;
}

static int handle(struct handle *h, const struct command *self)
{
    auto_val(diag) problems = { 0 };
    struct config *config = given_config(&h->given, &problems);
    auto_ptr(settings) settings = config != NULL ? settings_new_partial(config, &problems) : NULL;
    if (diag_count(&problems) == 0 && settings->worker.handlers == NULL)
        return command_misuse(self, "expected --load FILE, or -c FILE with a [handler NAME] in it");
    int misuse = diag_count(&problems) == 0 ? check_envelope(h, settings, self) : 0;
    if (misuse != 0)
        return misuse;
    if (diag_count(&problems) == 0)
        settings_drop_privileges(settings, &problems);
    if (diag_count(&problems) == 0)
        return handle_message(h, settings);
    diag_print(&problems, stderr);
    return EX_CONFIG;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct handle h = { .to = g_ptr_array_new() };
    int rest, status;
    if (command_parse(self, argc, argv, on_option, &h, &rest, &status) == 0)
        status = rest < argc ? command_misuse(self, "\"%s\" is no option", argv[rest]) : handle(&h, self);
    given_clear(&h.given);
    g_ptr_array_unref(h.to);
    return status;
}

static const struct cli_options own_options = { own_rows, G_N_ELEMENTS(own_rows) };
static const struct cli_options *const options[] = { &own_options, &given_options, NULL };

const struct command command_handle = {
    .name = "handle",
    .arguments = "--load FILE [OPTION...] <MESSAGE",
    .summary = "Runs handlers on one message, and delivers nothing",
    .text =
        "Tells the verdict for each recipient, and which header fields went (-) and came (+); what handlers\n"
        "log goes to standard error. Exit status: 0 deliver, 69 reject, 75 defer, 99 discard, 70 a handler\n"
        "failed; 64 or 78 where the command line or the configuration is wrong, 74 for input and output.\n"
        "The other options are those of serve, of which those about handlers and domains matter.\n",
    .options = options,
    .run = run,
};
