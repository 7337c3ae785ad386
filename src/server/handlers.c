#include "server/handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/option.h"
#include "config/nearest.h"
#include "handlers/probe.h"
#include "server/values.h"

/* ---- the sections ---- */

enum on_failure { DEFER, DELIVER };
static const char *const on_failure_names[] = { "defer", "deliver", NULL };

static const struct option_row handlers_rows[] = {
    { .name = "processes",
      .kind = OPTION_COUNT,
      .offset = OPTION_OFFSET(handlers_section, processes),
      .fallback = "2",
      .min = 1,
      .max = 64,
      .sentence = "How many hosts each worker has: processes that take one message at a time and run all "
                  "handlers on it." },
    { .name = "timeout",
      .kind = OPTION_DURATION,
      .offset = OPTION_OFFSET(handlers_section, timeout),
      .fallback = "30s",
      .min = 100,
      .max = 600000, /* RFC 5321 4.5.3.2.6: clients wait ten minutes */
      .sentence = "How long a host may take for a message, all handlers together, before it is ended and the "
                  "message counts as failed. So long may a message wait for a host, too, and a host for its "
                  "handlers to be ready." },
    { .name = "memory",
      .kind = OPTION_SIZE,
      .offset = OPTION_OFFSET(handlers_section, memory),
      .fallback = "512M",
      .sentence = "How much address space a host may have, with all code that it loads. "
                  "0 sets no limit." },
    { .name = "stack",
      .kind = OPTION_SIZE,
      .offset = OPTION_OFFSET(handlers_section, stack),
      .fallback = "8M",
      .min = 256 * 1024,
      .sentence = "How large the stack of a host may become." },
    { .name = "spare-processors",
      .kind = OPTION_COUNT,
      .offset = OPTION_OFFSET(handlers_section, spare_processors),
      .fallback = "1",
      .max = 1024,
      .sentence = "On how many of the processors that the daemon may use no handler runs, so that those that "
                  "loop cannot hold up all others. One is left to handlers in any case." },
    { .name = "on-failure",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(handlers_section, on_failure),
      .fallback = "defer",
      .choices = on_failure_names,
      .sentence = "What becomes of a message whose host failed or took too long: defer, the client shall try "
                  "again (451), or deliver, as if there were no handlers. "
                  "A message that cannot even be parsed is refused in both cases (554)." },
};
static const size_t handlers_row_count = G_N_ELEMENTS(handlers_rows);
const struct config_table handlers_tables[] = { { handlers_rows, &handlers_row_count, 0 } };

static void clear_option(void *option)
{
    const struct wire_option *o = option;
    g_free((char *)o->name);
    g_free((char *)o->value);
}

/* What comes later, from the command line, takes the place of what was there. */
static int parse_option(const char *name, const char *text, void *field, char **ret_problem)
{
    (void)ret_problem; /* any text will do */
    GArray **options = field;
    if (*options == NULL) {
        *options = g_array_new(FALSE, FALSE, sizeof(struct wire_option));
        g_array_set_clear_func(*options, clear_option);
    }
    for (guint i = 0; i < (*options)->len; i++) {
        struct wire_option *o = &g_array_index(*options, struct wire_option, i);
        if (strcmp(o->name, name) == 0) {
            g_free((char *)o->value);
            o->value = g_strdup(text);
            return 0;
        }
    }
    struct wire_option option = { .name = g_strdup(name), .value = g_strdup(text) };
    g_array_append_val(*options, option);
    return 0;
}

static void clear_options(void *field)
{
    g_clear_pointer((GArray **)field, g_array_unref);
}

#define WORDS_ROW(key, field, parser, what, text)                                                            \
    {                                                                                                        \
        .name = (key), .kind = OPTION_CUSTOM, .offset = OPTION_OFFSET(handler_section, field),               \
        .parse = (parser), .clear = value_words_clear, .expected = (what), .sentence = (text)                \
    }
#define PATHS_EXPECTED "absolute paths of what there is, separated by commas"

static const struct option_row handler_rows[] = {
    { .name = "load",
      .kind = OPTION_TEXT,
      .offset = OPTION_OFFSET(handler_section, load),
      .required = true,
      .expected = "the path of a shared object",
      .sentence = "The shared object that the handler is. "
                  "A relative path begins where this file lies, or on the command line in the working "
                  "directory." },
    WORDS_ROW("domains", domains, value_words, "names of sections [domain NAME], separated by commas",
              "The handler gets messages for recipients in these domains only, and decides about no others. "
              "Without this key, for all recipients."),
    WORDS_ROW("listeners", listeners, value_words, "names of sections [listen NAME], separated by commas",
              "The handler gets messages that came in through these sections only. "
              "Without this key, through all."),
    WORDS_ROW("paths", paths, value_paths, PATHS_EXPECTED,
              "Files, and directories with all beneath them, that the handler may read and execute, besides "
              "its message and the system's libraries. "
              "A host runs all handlers: what one of them may, all may."),
    WORDS_ROW("writable-paths", writable, value_paths, PATHS_EXPECTED,
              "Files, and directories with all beneath them, that it may read and change; to execute what it "
              "finds there, paths must name it as well."),
    { .name = "network",
      .kind = OPTION_BOOL,
      .offset = OPTION_OFFSET(handler_section, network),
      .fallback = "no",
      .sentence = "Whether the handler may use the network and unix sockets, and so with it all others." },
    { .name = "option.*",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(handler_section, options),
      .parse_rest = parse_option,
      .clear = clear_options,
      .expected = "a text",
      .sentence = "Any number of keys that are for the handler itself, which knows what there can be: its "
                  "option queue is the key option.queue." },
};
static const size_t handler_row_count = G_N_ELEMENTS(handler_rows);
const struct config_table handler_tables[] = { { handler_rows, &handler_row_count, 0 } };

/* ---- names of other sections ---- */

static void tell_unknown_name(const struct config *c, const struct config_section *at, const char *key,
                              const char *kind, const char *name, struct diag *d)
{
    g_autoptr(GString) known = g_string_new(NULL);
    const char *proposal = NULL;
    size_t best = SIZE_MAX;
    for (const struct config_section *s = NULL; (s = config_next(c, kind, s)) != NULL;) {
        const char *other = config_section_name(s);
        g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", other);
        if (nearest_improves(name, other, &best))
            proposal = other;
    }
    struct origin origin = config_key_origin(at, key);
    if (proposal != NULL)
        diag_add(d, origin, "%s: there is no section [%s %s]; did you mean %s? (known: %s)", key, kind, name,
                 proposal, known->str);
    else
        diag_add(d, origin, "%s: there is no section [%s %s]; expected one of %s", key, kind, name,
                 known->len > 0 ? known->str : "those that there are");
}

/* As the router calls them. NULL: all. */
static char **take_domains(const struct config *c, const struct config_section *at, struct router *router,
                           char **names, struct diag *d)
{
    if (names == NULL)
        return NULL;
    g_autoptr(GStrvBuilder) list = g_strv_builder_new();
    for (char **name = names; *name != NULL; name++) {
        const struct domain *domain = router_find_domain(router, *name);
        if (domain != NULL)
            g_strv_builder_add(list, domain->name);
        else
            tell_unknown_name(c, at, "domains", "domain", *name, d);
    }
    return g_strv_builder_end(list);
}

static char **take_listeners(const struct config *c, const struct config_section *at, char **names,
                             struct diag *d)
{
    for (char **name = names; name != NULL && *name != NULL; name++)
        if (config_find(c, "listen", *name) == NULL)
            tell_unknown_name(c, at, "listeners", "listen", *name, d);
    return g_strdupv(names);
}

/* ---- files ---- */

/* 0, or what is the matter with what should be a shared object. */
static int file_error(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
        return errno;
    return S_ISDIR(st.st_mode) ? EISDIR : 0;
}

/* What root may not enter (NFS often lets it nowhere) its user may, as which it will be loaded. */
static bool is_decided_later(int error)
{
    return error == EACCES && geteuid() == 0;
}

static char *take_file(const struct config_section *at, const char *load, struct diag *d)
{
    if (load == NULL)
        return g_strdup(""); /* told already */
    struct origin origin = config_key_origin(at, "load");
    /* One without a slash would be looked for among the system's libraries. */
    char *file = value_path(load, origin);
    int error = file_error(file);
    if (error != 0 && !is_decided_later(error))
        diag_add(d, origin, "load = %s: %s; expected a shared object that can be read", file,
                 g_strerror(error));
    return file;
}

/* Each path once, however many handlers name it. */
static void take_paths(const struct config_section *at, const char *key, char **paths, GPtrArray *to,
                       struct diag *d)
{
    for (char **path = paths; path != NULL && *path != NULL; path++) {
        if (faccessat(AT_FDCWD, *path, F_OK, AT_EACCESS) < 0 && !is_decided_later(errno))
            diag_add(d, config_key_origin(at, key), "%s = %s: %s; expected " PATHS_EXPECTED, key, *path,
                     g_strerror(errno));
        if (!g_ptr_array_find_with_equal_func(to, *path, g_str_equal, NULL))
            g_ptr_array_add(to, g_strdup(*path));
    }
}

/* ---- the whole ---- */

static void take_options(const GArray *options, struct wire_handler *to)
{
    to->option_count = options != NULL ? options->len : 0;
    to->options = g_new0(struct wire_option, to->option_count);
    for (uint32_t i = 0; i < to->option_count; i++) {
        const struct wire_option *o = &g_array_index(options, struct wire_option, i);
        to->options[i] = (struct wire_option){ .name = g_strdup(o->name), .value = g_strdup(o->value) };
    }
}

static uint32_t count_sections(const struct config *c, struct diag *d)
{
    uint32_t count = 0;
    for (const struct config_section *at = NULL; (at = config_next(c, "handler", at)) != NULL;)
        if (++count > WIRE_HANDLERS_MAX)
            diag_add(d, config_section_origin(at),
                     "[handler %s] is one too many; expected %d handlers at most", config_section_name(at),
                     WIRE_HANDLERS_MAX);
    return count;
}

static void take_handlers(const struct config *c, struct router *router, struct handler_settings *s,
                          struct diag *d)
{
    uint32_t count = count_sections(c, d);
    g_autoptr(GPtrArray) paths = g_ptr_array_new(), writable = g_ptr_array_new();
    s->config.handlers = g_new0(struct wire_handler, count);
    s->scopes = g_new0(struct handler_scope, count);
    for (const struct config_section *at = NULL; (at = config_next(c, "handler", at)) != NULL;) {
        const struct handler_section *values = config_section_values(at);
        struct wire_handler *h = &s->config.handlers[s->config.handler_count];
        struct handler_scope *scope = &s->scopes[s->config.handler_count++];
        h->name = g_strdup(config_section_name(at));
        h->file = take_file(at, values->load, d);
        take_options(values->options, h);
        scope->domains = take_domains(c, at, router, values->domains, d);
        scope->listeners = take_listeners(c, at, values->listeners, d);
        take_paths(at, "paths", values->paths, paths, d);
        take_paths(at, "writable-paths", values->writable, writable, d);
        s->config.network |= values->network;
    }
    s->config.paths.count = paths->len;
    s->config.paths.texts = (const char **)g_ptr_array_steal(paths, NULL);
    s->config.writable.count = writable->len;
    s->config.writable.texts = (const char **)g_ptr_array_steal(writable, NULL);
}

void handlers_take(const struct config *c, struct router *router, uint64_t file_size,
                   struct handler_settings *ret_settings, struct diag *problems)
{
    const struct handlers_section *values = config_section_values(config_next(c, "handlers", NULL));
    *ret_settings = (struct handler_settings){
        .program = handler_program(),
        .processes = (unsigned)values->processes,
        .spare_processors = values->spare_processors,
        .timeout = values->timeout,
        .deliver_on_failure = values->on_failure == DELIVER,
    };
    ret_settings->config.memory = values->memory;
    ret_settings->config.stack = values->stack;
    ret_settings->config.file_size = file_size;
    ret_settings->config.cpu_seconds = (uint64_t)(values->timeout + 999) / 1000;
    take_handlers(c, router, ret_settings, problems);
}

struct probing {
    const struct config *config;
    struct diag *problems;
};

static void tell_problem(void *owner, int handler, const char *problem)
{
    const struct probing *p = owner;
    const struct config_section *at = handler < 0 ? NULL : config_next(p->config, "handler", NULL);
    for (int i = 0; i < handler; i++)
        at = config_next(p->config, "handler", at);
    if (at != NULL)
        diag_add(p->problems, config_key_origin(at, "load"), "%s", problem);
    else
        diag_add(p->problems, config_section_origin(config_next(p->config, "handlers", NULL)),
                 "all handlers together: %s", problem);
}

void handlers_probe(const struct config *c, const struct handler_settings *settings, struct diag *problems)
{
    struct probing probing = { c, problems };
    probe_handlers(settings, tell_problem, &probing);
}
