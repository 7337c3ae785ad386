#include "cli/given.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/demo.h"

static const struct cli_option rows[] = {
    { "config", 'c', "FILE", "read the configuration from FILE, see postern.conf(5)" },
    { "demo", 0, "DIR", "use the built-in demonstration, with maildirs under DIR, which are made" },
    { "listen", 0, "[NAME=]URL",
      "listen at smtp://HOST:PORT, lmtp://HOST:PORT, smtp://unix:PATH or lmtp://unix:PATH, too; smtps:// and "
      "lmtps:// begin with TLS" },
    { "domain", 0, "DOMAIN=DIR", "take mail for DOMAIN, too; its maildirs are in DIR" },
    { "hostname", 0, "NAME", "what the server calls itself", "server", "hostname" },
    { "user", 0, "USER", "who to become once the sockets are bound, when started as root", "server", "user" },
    { "workers", 0, "N", "how many worker processes to start, or auto", "server", "workers" },
    { "log", 0, "TARGET", "where to log: stderr, syslog or file:PATH", "log", "target" },
    { "log-format", 0, "FORMAT", "how to log: logfmt or json", "log", "format" },
    { "log-level", 0, "LEVEL", "what to log: debug, info, warning, ...", "log", "level" },
    { "tls-certificate", 0, "FILE",
      "the certificate; where --listen says smtp or lmtp, STARTTLS is offered then", "tls", "certificate" },
    { "tls-key", 0, "FILE", "the certificate's private key", "tls", "private-key" },
    { "handler", 0, "FILE", "let the shared object FILE handle messages, too; x.so is then the handler x" },
    { "handler-option", 0, "NAME.KEY=VALUE", "hand the option KEY to the handler NAME" },
    { "set", 0, "SECTION.KEY=VALUE", "any other key of postern.conf, as in --set limits.message-size=10M" },
};
const struct cli_options given_options = { rows, G_N_ELEMENTS(rows) };

struct value {
    const struct cli_option *option;
    const char *text;
};

static void add_value(struct given *g, const struct cli_option *option, const char *text)
{
    struct value v = { option, text };
    if (g->values == NULL)
        g->values = g_array_new(FALSE, FALSE, sizeof v);
    g_array_append_val(g->values, v);
}

bool given_take(struct given *g, const struct cli_option *option, const char *value)
{
    if (option < rows || option >= rows + G_N_ELEMENTS(rows))
        return false;
    if (strcmp(option->name, "config") == 0) {
        g->file = value;
    } else if (strcmp(option->name, "demo") == 0) {
        g->demo = value;
    } else {
        add_value(g, option, value);
    }
    return true;
}

void given_handler(struct given *g, const char *file)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, "handler") == 0)
            add_value(g, &rows[i], file);
}

bool given_is_empty(const struct given *g)
{
    return g->file == NULL && g->demo == NULL && g->values == NULL;
}

void given_clear(struct given *g)
{
    g_clear_pointer(&g->values, g_array_unref);
}

/* ---- values that say more than one key ---- */

/* A name that no section has yet: "smtp-1", or further on. */
static char *free_name(const struct config *c, const char *protocol)
{
    for (unsigned i = 1;; i++) {
        g_autofree char *name = g_strdup_printf("%s-%u", protocol, i);
        if (config_find(c, "listen", name) == NULL)
            return g_steal_pointer(&name);
    }
}

static bool has_option(const struct given *g, const char *name)
{
    for (guint i = 0; g->values != NULL && i < g->values->len; i++)
        if (strcmp(g_array_index(g->values, struct value, i).option->name, name) == 0)
            return true;
    return false;
}

/* Who names a certificate wants it used; what else says how goes before that. */
static void apply_listen_tls(struct config *c, const char *name, bool is_implicit, bool has_certificate,
                             struct origin at)
{
    const struct config_section *section = config_find(c, "listen", name);
    if (is_implicit)
        config_set(c, "listen", name, "tls", "implicit", at);
    else if (has_certificate && section != NULL && !config_key_is_given(section, "tls"))
        config_set(c, "listen", name, "tls", "optional", at);
}

/* "[NAME=]PROTOCOL://ADDRESS" */
static void apply_listen(const struct given *g, struct config *c, const char *text, struct origin at,
                         struct diag *problems)
{
    const char *separator = strstr(text, "://");
    if (separator == NULL) {
        diag_add(problems, at,
                 "expected [NAME=]smtp://HOST:PORT, or lmtp://, or unix:PATH instead of HOST:PORT");
        return;
    }
    g_autofree char *head = g_strndup(text, (size_t)(separator - text));
    char *equals = strchr(head, '=');
    char *protocol = equals != NULL ? equals + 1 : head;
    g_autofree char *name =
        equals != NULL ? g_strndup(head, (size_t)(equals - head)) : free_name(c, protocol);
    bool is_implicit = strcmp(protocol, "smtps") == 0 || strcmp(protocol, "lmtps") == 0;
    if (is_implicit)
        protocol[strlen("smtp")] = '\0';
    config_set(c, "listen", name, "protocol", protocol, at);
    config_set(c, "listen", name, "address", separator + strlen("://"), at);
    apply_listen_tls(c, name, is_implicit, has_option(g, "tls-certificate"), at);
}

/* "DOMAIN=DIR" */
static void apply_domain(struct config *c, const char *text, struct origin at, struct diag *problems)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        diag_add(problems, at, "expected DOMAIN=DIR");
        return;
    }
    g_autofree char *name = g_strndup(text, (size_t)(equals - text));
    config_set(c, "domain", name, "maildirs", equals + 1, at);
}

/* Names and keys may have dots in them: a key that there is, as long as can be, or what is behind the last
 * dot. */
static const char *find_key(const struct config *c, const char *place)
{
    g_autofree char *kind = g_strndup(place, strcspn(place, " ."));
    for (const char *dot = strchr(place, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
        if (config_knows_key(c, kind, dot + 1))
            return dot + 1;
    const char *last = strrchr(place, '.');
    return last != NULL ? last + 1 : NULL;
}

/* "SECTION.KEY=VALUE", where SECTION can be "log" or "domain example.org". */
static void apply_set(struct config *c, const char *text, struct origin at, struct diag *problems)
{
    size_t len = strcspn(text, "=");
    g_autofree char *place = g_strndup(text, len);
    const char *key = find_key(c, place);
    if (text[len] == '\0' || key == NULL || key == place + 1) {
        diag_add(problems, at, "expected SECTION.KEY=VALUE");
        return;
    }
    g_autofree char *kind = g_strndup(place, (size_t)(key - 1 - place));
    char *blank = strchr(kind, ' ');
    if (blank != NULL)
        *blank = '\0';
    config_set(c, kind, blank != NULL ? blank + 1 : NULL, key, text + len + 1, at);
}

/* "./x.so": the handler x. */
static void apply_handler(struct config *c, const char *text, struct origin at)
{
    g_autofree char *name = g_path_get_basename(text);
    if (g_str_has_suffix(name, ".so") && strcmp(name, ".so") != 0)
        name[strlen(name) - strlen(".so")] = '\0';
    config_set(c, "handler", name, "load", text, at);
}

/* "NAME.KEY=VALUE"; a NAME with dots in it is one that there is. */
static void apply_handler_option(struct config *c, const char *text, struct origin at, struct diag *problems)
{
    size_t len = strcspn(text, "=");
    g_autofree char *place = g_strndup(text, len);
    bool is_option = text[len] != '\0' && strchr(place, '.') != NULL;
    for (char *dot = strchr(place, '.'); is_option && dot != NULL; dot = strchr(dot + 1, '.')) {
        *dot = '\0';
        g_autofree char *key = g_strconcat("option.", dot + 1, NULL);
        if (config_find(c, "handler", place) != NULL) {
            config_set(c, "handler", place, key, text + len + 1, at);
            return;
        }
        *dot = '.';
    }
    diag_add(problems, at,
             is_option ? "there is no such handler; expected NAME.KEY=VALUE with the NAME of one"
                       : "expected NAME.KEY=VALUE");
}

static void apply(const struct given *g, struct config *c, const struct value *v, struct diag *problems)
{
    g_autofree char *label = g_strdup_printf("--%s %s", v->option->name, v->text);
    struct origin at = { .file = label };
    if (v->option->kind != NULL)
        config_set(c, v->option->kind, NULL, v->option->key, v->text, at);
    else if (strcmp(v->option->name, "listen") == 0)
        apply_listen(g, c, v->text, at, problems);
    else if (strcmp(v->option->name, "domain") == 0)
        apply_domain(c, v->text, at, problems);
    else if (strcmp(v->option->name, "handler") == 0)
        apply_handler(c, v->text, at);
    else if (strcmp(v->option->name, "handler-option") == 0)
        apply_handler_option(c, v->text, at, problems);
    else
        apply_set(c, v->text, at, problems);
}

struct config *given_config(const struct given *g, struct diag *problems)
{
    auto_ptr(config) c = settings_config_new(problems);
    if (g->file != NULL && config_read_file(c, g->file) < 0)
        return NULL;
    if (g->demo != NULL)
        demo_apply(c, g->demo, problems);
    /* What is for a handler may stand in front of the handler. */
    for (int late = 0; late <= 1; late++) {
        for (guint i = 0; g->values != NULL && i < g->values->len; i++) {
            const struct value *v = &g_array_index(g->values, struct value, i);
            if (late == (strcmp(v->option->name, "handler-option") == 0))
                apply(g, c, v, problems);
        }
    }
    return g_steal_pointer(&c);
}

struct settings *given_settings(const struct given *g, struct diag *problems)
{
    struct config *c = given_config(g, problems);
    return c != NULL ? settings_new(c, problems) : NULL;
}

/* ---- a command that looks at it ---- */

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    (void)given_take(owner, option, value);
}

int given_parse(struct given *g, const struct command *self, int argc, char **argv, const char *wants,
                const char **ret_argument)
{
    int rest, status;
    if (command_parse(self, argc, argv, on_option, g, &rest, &status) < 0)
        return status;
    if (wants == NULL && rest < argc)
        return command_misuse(self, "\"%s\" is no option", argv[rest]);
    if (wants != NULL && argc - rest != 1)
        return command_misuse(self, "expected %s", wants);
    if (given_is_empty(g))
        return command_misuse(self, "expected -c FILE");
    if (wants != NULL)
        *ret_argument = argv[rest];
    return -1;
}
