#include "server/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "auth/auth.h"
#include "delivery/table.h"
#include "disk/disk.h"
#include "message/guard.h"
#include "server/domains.h"
#include "server/handlers.h"
#include "server/listeners.h"
#include "server/metrics.h"
#include "server/values.h"

/* ---- the sections ---- */

struct server_section {
    char *hostname;
    char *user;
    uint64_t workers;
};

static const struct option_row server_rows[] = {
    { .name = "hostname",
      .kind = OPTION_TEXT,
      .offset = OPTION_OFFSET(server_section, hostname),
      .expected = "a domain name such as mx.example.org",
      .sentence = "The name that the server gives itself towards clients and in the Received field. "
                  "Without it, the machine's name." },
    { .name = "user",
      .kind = OPTION_TEXT,
      .offset = OPTION_OFFSET(server_section, user),
      .expected = "the name of a user of this system",
      .sentence = "The user to become once the sockets are bound, when started as root; the maildirs must "
                  "belong to it. "
                  "Started by anybody else, the server stays who it is." },
    { .name = "workers",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(server_section, workers),
      .fallback = "auto",
      .parse = value_workers,
      .expected = "auto, or a whole number from 1 to 256",
      .sentence = "How many processes share the work, each with an event loop and threads beside it; auto: one "
                  "for every two processors." },
};
static const size_t server_row_count = G_N_ELEMENTS(server_rows);
static const struct config_table server_tables[] = { { server_rows, &server_row_count, 0 } };

static const struct option_row log_rows[] = {
    { .name = "target",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(log_options, target),
      .fallback = "stderr",
      .parse = value_log_target,
      .clear = value_log_target_clear,
      .expected = "stderr, syslog, or file:PATH",
      .sentence = "Where log lines go. A file is opened once, before the server drops to its user, and only "
                  "appended to." },
    { .name = "format",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(log_options, format),
      .fallback = "logfmt",
      .choices = pst_log_format_names,
      .sentence = "How an event is written: key=value pairs, or one JSON object a line." },
    { .name = "level",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(log_options, level),
      .fallback = "info",
      .choices = pst_log_level_names,
      .sentence = "Events of less weight than this are not logged." },
};
static const size_t log_row_count = G_N_ELEMENTS(log_rows);
static const struct config_table log_tables[] = { { log_rows, &log_row_count, 0 } };

struct limits_section {
    struct smtp_limits smtp;
    struct guard_limits guard;
    struct worker_limits worker;
};

static const struct config_table limits_tables[] = {
    { smtp_limit_rows, &smtp_limit_row_count, OPTION_OFFSET(limits_section, smtp) },
    { guard_limit_rows, &guard_limit_row_count, OPTION_OFFSET(limits_section, guard) },
    { worker_limit_rows, &worker_limit_row_count, OPTION_OFFSET(limits_section, worker) },
};

static const struct config_table auth_tables[] = { { auth_rows, &auth_row_count, 0 } };

struct delivery_section {
    int sync;
    bool single_instance;
};

static const struct option_row delivery_rows[] = {
    { .name = "sync",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(delivery_section, sync),
      .fallback = "group",
      .choices = delivery_sync_names,
      .sentence = "How a message is made durable before the client is told 250: together with others that "
                  "wait at the same time, or each by itself. With none it is not: a crash of the system can "
                  "lose mail, which only tests and measurements bear." },
    { .name = "single-instance",
      .kind = OPTION_BOOL,
      .offset = OPTION_OFFSET(delivery_section, single_instance),
      .fallback = "no",
      .sentence =
          "Whether a message for several mailboxes is one file with several names (hard links), where "
          "they lie in one file system. Its copies then have no Delivered-To, and are not told "
          "apart: for readers that never write into messages." },
};
static const size_t delivery_row_count = G_N_ELEMENTS(delivery_rows);
static const struct config_table delivery_tables[] = { { delivery_rows, &delivery_row_count, 0 } };

#define KIND(kind, struct_type, tables_of_kind)                                                              \
    .name = (kind), .tables = (tables_of_kind), .table_count = G_N_ELEMENTS(tables_of_kind),                 \
    .size = sizeof(struct struct_type)

const struct config_kind settings_kinds[] = {
    { KIND("server", server_section, server_tables), .sentence = "The server as a whole." },
    { KIND("log", log_options, log_tables), .sentence = "What is told about it all." },
    { KIND("limits", limits_section, limits_tables), .sentence = "What clients may ask for, at most." },
    { .name = "listen",
      .tables = listen_tables,
      .table_count = 1,
      .size = sizeof(struct listen_section),
      .named = "NAME",
      .sentence = "A place to listen. The name is for the log." },
    { KIND("tls", tls_section, tls_tables),
      .sentence = "Certificates, and how TLS is spoken, for the listeners that have it. Clients that ask for "
                  "a name that no certificate has, or for none, get the certificates of this section, or of "
                  "the first one with a name if there are none in this one." },
    { KIND("tls", tls_files, tls_host_tables), .named = "NAME",
      .sentence = "More certificates. Clients get them that ask for one of the names in them (SNI); the "
                  "section's own is for the log." },
    { KIND("auth", auth_settings, auth_tables),
      .sentence = "Who knows the users and their passwords, for the listeners that have auth." },
    { .name = "domain",
      .tables = domain_tables,
      .table_count = 1,
      .size = sizeof(struct domain_section),
      .named = "DOMAIN",
      .sentence =
          "A domain that mail is taken for; *.example.org stands for all beneath example.org that have no "
          "section of their own, and * for all others. The first one also has the postmaster without a "
          "domain, and the mail for postmaster of all that have none." },
    { KIND("delivery", delivery_section, delivery_tables), .sentence = "How messages reach the disk." },
    { .name = "handlers",
      .tables = handlers_tables,
      .table_count = 1,
      .size = sizeof(struct handlers_section),
      .sentence = "The processes in which handlers run, if there are any." },
    { .name = "handler",
      .tables = handler_tables,
      .table_count = 1,
      .size = sizeof(struct handler_section),
      .named = "NAME",
      .sentence =
          "Code that gets each message before it is delivered, and decides what becomes of it, see "
          "postern-handler(3). Messages go through all handlers in the order of their sections, of which "
          "there may be 64. The name is for the log." },
    { .name = "metrics",
      .tables = metrics_tables,
      .table_count = 1,
      .size = sizeof(struct metrics_section),
      .sentence = "What the server counts, for those who watch it." },
};
const size_t settings_kind_count = G_N_ELEMENTS(settings_kinds);

struct config *settings_config_new(struct diag *problems)
{
    return config_new(settings_kinds, settings_kind_count, problems);
}

/* ---- from sections to settings ---- */

static const void *values_of(const struct config *c, const char *kind)
{
    return config_section_values(config_next(c, kind, NULL));
}

/* A loop keeps a second processor busy with what its pool does: files, syncs, handshakes. And messages of one
 * loop share their syncs. */
static unsigned default_workers(void)
{
    cpu_set_t usable;
    if (sched_getaffinity(0, sizeof usable, &usable) < 0)
        return 1; /* more than 1024 processors, or none of our business: the operator can say a number */
    return ((unsigned)CPU_COUNT(&usable) + 1) / 2;
}

static void take_hostname(struct settings *s, const struct config_section *section, const char *given,
                          struct diag *d)
{
    char machine[256] = "";
    if (given == NULL && gethostname(machine, sizeof machine - 1) < 0)
        machine[0] = '\0';
    s->hostname = g_strdup(given != NULL ? given : machine);
    s->worker.hostname = s->hostname;
    if (smtp_domain_valid(slice_str(s->hostname)))
        return;
    if (given != NULL)
        diag_add(d, config_key_origin(section, "hostname"),
                 "hostname = %s: expected a domain name such as mx.example.org", given);
    else
        diag_add(d, config_section_origin(section),
                 "the machine's name \"%s\" is no domain name; expected hostname = NAME in [server]",
                 machine);
}

static void take_user(struct settings *s, const struct config_section *section, const char *user,
                      struct diag *d)
{
    if (user == NULL)
        return;
    int r = identity_find(user, &s->identity);
    if (r == -ENOENT)
        diag_add(d, config_key_origin(section, "user"),
                 "user = %s: there is no such user; expected the name of a user of this system", user);
    else if (r < 0)
        diag_add(d, config_key_origin(section, "user"), "user = %s: cannot be looked up: %s", user,
                 g_strerror(-r));
}

static void take_server(struct settings *s, bool is_whole, struct diag *d)
{
    const struct config_section *section = config_next(s->config, "server", NULL);
    const struct server_section *values = config_section_values(section);
    if (is_whole || values->hostname != NULL)
        take_hostname(s, section, values->hostname, d);
    take_user(s, section, values->user, d);
    s->workers = values->workers > 0 ? (unsigned)values->workers : default_workers();
}

static void check_folder(const struct settings *s, const struct config_section *at, struct diag *d)
{
    const struct domain_section *values = config_section_values(at);
    if (values->options.maildirs == NULL)
        return; /* told already */
    int fd = disk_open_root(values->options.maildirs);
    int error = fd < 0 ? -fd : 0;
    if (fd >= 0 && faccessat(fd, ".", X_OK, AT_EACCESS) < 0)
        error = errno;
    if (fd >= 0)
        disk_close(fd);
    /* What root may not enter (NFS often lets it nowhere) its user may: that one asks again. */
    bool asks_again = geteuid() == 0 && s->identity.user != NULL && s->identity.uid != 0;
    if (error == 0 || (error == EACCES && asks_again))
        return;
    bool dropped = s->identity.user != NULL && geteuid() == s->identity.uid;
    diag_add(d, config_key_origin(at, "maildirs"),
             "maildirs = %s: %s%s%s; expected a directory whose directories are maildirs",
             values->options.maildirs, g_strerror(error), dropped ? " to user " : "",
             dropped ? s->identity.user : "");
}

void settings_check_folders(const struct settings *s, struct diag *problems)
{
    for (const struct config_section *at = NULL; (at = config_next(s->config, "domain", at)) != NULL;)
        check_folder(s, at, problems);
}

int settings_drop_privileges(const struct settings *s, struct diag *problems)
{
    if (s->identity.user == NULL && config_key_is_given(config_next(s->config, "server", NULL), "user"))
        return -ENOENT;
    int r = geteuid() == 0 && s->identity.user != NULL ? identity_assume(&s->identity) : 0;
    if (r >= 0)
        r = identity_shed();
    if (r < 0)
        diag_add(problems, config_origin(s->config), "cannot drop privileges%s%s: %s",
                 s->identity.user != NULL ? " to user " : "",
                 s->identity.user != NULL ? s->identity.user : "", g_strerror(-r));
    if (r < 0)
        return r;
    settings_check_folders(s, problems);
    g_autofree char *whom =
        s->identity.user != NULL ? g_strconcat(" to user ", s->identity.user, NULL) : g_strdup("");
    domains_check_access(s->config, whom, problems);
    if (s->worker.auth != NULL)
        auth_check(s->worker.auth, true, config_section_origin(config_next(s->config, "auth", NULL)),
                   problems);
    return 0;
}

int settings_load_certificates(struct settings *s, struct diag *problems)
{
    int r = tls_settings_load(&s->tls, g_get_real_time() / G_USEC_PER_SEC, problems);
    s->worker.tls = s->tls.store;
    return r;
}

void settings_check_certificates(const struct settings *s, struct diag *problems, struct diag *notes)
{
    tls_settings_check_dates(&s->tls, g_get_real_time() / G_USEC_PER_SEC, problems, notes);
    bool is_used = false;
    for (size_t i = 0; i < s->listener_count; i++)
        is_used |= s->listeners[i].listener.tls != WORKER_TLS_OFF;
    if (s->tls.store != NULL && !is_used)
        diag_add(
            notes, config_section_origin(config_next(s->config, "tls", NULL)),
            "no [listen NAME] uses the certificates; expected tls = optional, required or implicit in one");
}

void settings_probe_handlers(const struct settings *s, struct diag *problems)
{
    handlers_probe(s->config, &s->handlers, problems);
}

static void take_domains(struct settings *s, bool is_whole, struct diag *d)
{
    if (is_whole && config_next(s->config, "domain", NULL) == NULL)
        diag_add(d, config_origin(s->config),
                 "there is no domain to take mail for; expected a section [domain NAME] with maildirs = "
                 "DIRECTORY");
    domains_take(s->config, s->router, s->tables, d);
}

static void take_handlers(struct settings *s, struct diag *d)
{
    const struct smtp_limits *limits = &s->worker.smtp;
    uint64_t largest = limits->message_size + limits->header_size; /* a message that got fields */
    handlers_take(s->config, s->router, largest, &s->handlers, d);
    s->worker.handlers = s->handlers.config.handler_count > 0 ? &s->handlers : NULL;
}

/* Wrong or right. */
static bool certificates_are_given(const struct config *c)
{
    for (const struct config_section *at = NULL; (at = config_next(c, "tls", at)) != NULL;)
        if (config_key_is_given(at, "certificate") || config_key_is_given(at, "private-key"))
            return true;
    return false;
}

static void take_listeners(struct settings *s, bool is_whole, struct diag *d)
{
    const struct config_section *auth = config_next(s->config, "auth", NULL);
    bool has_source = config_key_is_given(auth, "passwords") || config_key_is_given(auth, "dovecot");
    const struct listen_means means = {
        .certificates = certificates_are_given(s->config),
        .client_ca = config_key_is_given(config_next(s->config, "tls", NULL), "client-ca"),
        .auth = has_source ? config_section_values(auth) : NULL,
    };
    s->listeners = listeners_take(s->config, is_whole, &means, &s->listener_count, d);
}

static char *path_of(const struct config_section *at, const char *key, const char *value)
{
    return value != NULL ? value_path(value, config_key_origin(at, key)) : NULL;
}

static void take_auth(struct settings *s, struct diag *d)
{
    const struct config_section *at = config_next(s->config, "auth", NULL);
    const struct auth_settings *values = config_section_values(at);
    if (config_key_is_given(at, "passwords") && config_key_is_given(at, "dovecot"))
        diag_add(d, config_key_origin(at, "dovecot"),
                 "dovecot beside passwords: there would be two who know; expected one of them");
    s->auth = *values;
    s->auth.passwords = path_of(at, "passwords", values->passwords);
    s->auth.dovecot = path_of(at, "dovecot", values->dovecot);
    s->worker.auth = auth_is_configured(&s->auth) ? &s->auth : NULL;
}

static void free_table(void *table)
{
    table_free(table);
}

static struct settings *new_settings(struct config *take_config, bool is_whole, struct diag *problems)
{
    config_finish(take_config);
    struct settings *s = g_new0(struct settings, 1);
    s->config = take_config;
    s->router = router_new();
    s->tables = g_ptr_array_new_with_free_func(free_table);
    s->log = *(const struct log_options *)values_of(s->config, "log");
    const struct limits_section *limits = values_of(s->config, "limits");
    const struct delivery_section *delivery = values_of(s->config, "delivery");
    s->worker.smtp = limits->smtp;
    s->worker.limits = limits->worker;
    s->worker.guard = limits->guard;
    s->worker.sync = (enum delivery_sync)delivery->sync;
    s->worker.single_instance = delivery->single_instance;
    s->worker.router = s->router;
    s->worker.tables = s->tables;
    take_server(s, is_whole, problems);
    take_listeners(s, is_whole, problems);
    tls_settings_take(s->config, &s->tls, problems);
    take_auth(s, problems);
    s->metrics = metrics_take(s, problems);
    take_domains(s, is_whole, problems);
    settings_check_folders(s, problems);
    take_handlers(s, problems);
    return s;
}

struct settings *settings_new(struct config *take_config, struct diag *problems)
{
    return new_settings(take_config, true, problems);
}

struct settings *settings_new_partial(struct config *take_config, struct diag *problems)
{
    return new_settings(take_config, false, problems);
}

void settings_free(struct settings *s)
{
    if (s == NULL)
        return;
    handler_settings_clear(&s->handlers);
    tls_settings_clear(&s->tls);
    router_free(s->router);
    g_ptr_array_unref(s->tables);
    g_free(s->auth.passwords);
    g_free(s->auth.dovecot);
    identity_clear(&s->identity);
    g_free(s->listeners);
    g_free(s->metrics);
    g_free(s->hostname);
    config_free(s->config);
    g_free(s);
}
