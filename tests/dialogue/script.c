#include "script.h"

#include <errno.h>

#include "bytes.h"

struct parser {
    struct script *script;
    struct diag *diag;
    unsigned line;
    GPtrArray *limits; /* "name=value" */
};

static void problem(struct parser *p, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void problem(struct parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    diag_add(p->diag, (struct origin){ p->script->path, p->line }, "%s", text);
}

static struct step *add_step(struct parser *p, enum step_kind kind)
{
    GArray *steps = p->script->steps;
    g_array_set_size(steps, steps->len + 1); /* cleared */
    struct step *step = &g_array_index(steps, struct step, steps->len - 1);
    step->kind = kind;
    step->line = p->line;
    return step;
}

static void step_clear(void *data)
{
    struct step *step = data;
    if (step->bytes != NULL)
        g_string_free(step->bytes, TRUE);
    want_free(step->want);
    g_free(step->mailbox);
}

/* The first word of `rest`, which moves behind it and the blanks that follow. */
static char *take_word(const char **rest)
{
    size_t len = strcspn(*rest, " ");
    char *word = g_strndup(*rest, len);
    *rest += len + strspn(*rest + len, " ");
    return word;
}

static bool take_count(struct parser *p, const char **rest, unsigned *ret_count)
{
    g_autofree char *word = take_word(rest);
    uint64_t count = 0;
    if (pst_parse_u64(slice_str(word), 1000000, &count) < 0) {
        problem(p, "'%s' is no number", word);
        return false;
    }
    *ret_count = (unsigned)count;
    return true;
}

static bool take_outcome(struct parser *p, const char **rest, enum smtp_outcome *ret_outcome)
{
    g_autofree char *word = take_word(rest);
    for (int i = 0; i < SMTP_OUTCOMES; i++) {
        if (g_strcmp0(smtp_outcome_name((enum smtp_outcome)i), word) == 0) {
            *ret_outcome = (enum smtp_outcome)i;
            return true;
        }
    }
    problem(p, "'%s' is no outcome of smtp/outcome.c", word);
    return false;
}

static GString *take_bytes(struct parser *p, const char *rest)
{
    const char *why = NULL;
    GString *bytes = g_string_new(NULL);
    if (bytes_parse(rest, bytes, &why) < 0)
        problem(p, "%s", why);
    return bytes;
}

static bool has_mailbox(const struct script *s, const char *name)
{
    return g_ptr_array_find_with_equal_func(s->mailboxes, name, g_str_equal, NULL);
}

static char *take_mailbox(struct parser *p, const char **rest)
{
    char *name = take_word(rest);
    if (!has_mailbox(p->script, name))
        problem(p, "there is no mailbox '%s'", name);
    return name;
}

/* ---- what a script is about ---- */

static void parse_protocol(struct parser *p, const char *rest)
{
    for (int i = 0; smtp_protocol_names[i] != NULL; i++) {
        if (strcmp(smtp_protocol_names[i], rest) == 0) {
            p->script->protocol = (enum smtp_protocol)i;
            return;
        }
    }
    problem(p, "'%s' is no protocol", rest);
}

static void parse_only(struct parser *p, const char *rest)
{
    p->script->only_core = strcmp(rest, "core") == 0;
    p->script->only_daemon = strcmp(rest, "daemon") == 0;
    if (!p->script->only_core && !p->script->only_daemon)
        problem(p, "expected 'only core' or 'only daemon'");
}

static void parse_mailbox(struct parser *p, const char *rest)
{
    if (*rest == '\0' || strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789-+_.") != strlen(rest) ||
        rest[0] == '.')
        problem(p, "'%s' can be no mailbox's name", rest);
    else
        g_ptr_array_add(p->script->mailboxes, g_strdup(rest));
}

static void parse_limit(struct parser *p, const char *rest)
{
    g_autofree char *name = take_word(&rest);
    const struct option_row *row = option_find(smtp_limit_rows, smtp_limit_row_count, name);
    g_autofree char *why = NULL;
    if (row == NULL)
        problem(p, "there is no limit '%s'", name);
    else if (option_set(row, &p->script->limits, rest, &why) < 0)
        problem(p, "limit %s: %s", name, why);
    else
        g_ptr_array_add(p->limits, g_strdup_printf("%s=%s", name, rest));
}

static void parse_may(struct parser *p, const char *rest)
{
    bool xclient = strcmp(rest, "xclient") == 0;
    if (!xclient && strcmp(rest, "xforward") != 0)
        problem(p, "expected 'may xclient' or 'may xforward'");
    *(xclient ? &p->script->client.may_xclient : &p->script->client.may_xforward) = true;
    g_ptr_array_add(p->limits, g_strdup_printf("listen.%s=127.0.0.0/8,unix", rest));
}

static void parse_greeting_delay(struct parser *p, const char *rest)
{
    if (pst_parse_duration(slice_str(rest), 60000, &p->script->client.greeting_delay) < 0)
        problem(p, "'%s' is no duration", rest);
    g_ptr_array_add(p->limits, g_strdup_printf("listen.greeting-delay=%s", rest));
}

static void parse_tls(struct parser *p, const char *rest)
{
    static const char *const names[] = {
        [SMTP_TLS_OFFERED] = "optional", [SMTP_TLS_REQUIRED] = "required", [SMTP_TLS_ACTIVE] = "implicit"
    };
    for (size_t i = SMTP_TLS_OFFERED; i < G_N_ELEMENTS(names); i++)
        if (strcmp(rest, names[i]) == 0)
            p->script->client.tls = (enum smtp_tls)i;
    if (p->script->client.tls == SMTP_TLS_NONE)
        problem(p, "expected 'tls optional', 'tls required' or 'tls implicit'");
    g_ptr_array_add(p->limits, g_strdup_printf("listen.tls=%s", rest));
}

static void parse_auth(struct parser *p, const char *rest)
{
    p->script->client.auth_required = strcmp(rest, "required") == 0;
    if (!p->script->client.auth_required && strcmp(rest, "optional") != 0)
        problem(p, "expected 'auth optional' or 'auth required'");
    p->script->mechanisms = "PLAIN LOGIN";
    g_ptr_array_add(p->limits, g_strdup_printf("listen.auth=%s", rest));
}

static void parse_auth_without_tls(struct parser *p, const char *rest)
{
    (void)rest;
    if (p->script->mechanisms == NULL)
        problem(p, "'auth-without-tls' needs 'auth' before it");
    p->script->client.mechanisms = p->script->mechanisms;
    g_ptr_array_add(p->limits, g_strdup("listen.auth-without-tls=yes"));
}

static void parse_proxy(struct parser *p, const char *rest)
{
    (void)rest;
    if (!p->script->only_daemon)
        problem(p, "'proxy' needs 'only daemon' before it");
    g_ptr_array_add(p->limits, g_strdup("listen.proxy=127.0.0.0/8,unix"));
}

static void parse_domain(struct parser *p, const char *rest)
{
    char name[SMTP_DOMAIN_MAX + 1];
    if (p->script->domain != NULL)
        problem(p, "one domain besides example.org must do");
    else if (smtp_domain_canonical(slice_str(rest), name) < 0)
        problem(p, "'%s' is no domain", rest);
    else
        g_ptr_array_add(p->limits, g_strdup_printf("domain=%s", p->script->domain = g_strdup(rest)));
}

/* ---- what the client does, and what it must see ---- */

static void add_line(struct parser *p, const char *line)
{
    struct step *step = add_step(p, STEP_SEND);
    step->bytes = g_string_new(line);
    g_string_append(step->bytes, "\r\n");
}

static void add_want(struct parser *p, unsigned count, const char *text, bool set)
{
    g_autofree char *why = NULL;
    struct want *want = want_parse(text, set, &why);
    if (want == NULL) {
        problem(p, "%s", why);
        return;
    }
    struct step *step = add_step(p, STEP_WANT);
    step->want = want;
    step->count = count;
}

static void parse_hello(struct parser *p, const char *rest)
{
    (void)rest;
    add_want(p, 1, "220", false);
    add_line(p, p->script->protocol == SMTP_PROTOCOL_LMTP ? "LHLO client.example.net"
                                                          : "EHLO client.example.net");
    add_want(p, 1, "250", false);
}

static void parse_bye(struct parser *p, const char *rest)
{
    (void)rest;
    add_line(p, "QUIT");
    add_want(p, 1, "221 2.0.0", false);
    add_step(p, STEP_WANT_CLOSE);
}

static void parse_raw(struct parser *p, const char *rest)
{
    GString *bytes = take_bytes(p, rest);
    add_step(p, STEP_SEND)->bytes = bytes;
}

static void parse_want(struct parser *p, const char *rest)
{
    add_want(p, 1, rest, false);
}

static void parse_want_each(struct parser *p, const char *rest)
{
    unsigned count = 0;
    if (take_count(p, &rest, &count))
        add_want(p, count, rest, false);
}

static void parse_want_lines(struct parser *p, const char *rest)
{
    add_want(p, 1, rest, true);
}

static void parse_nothing(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_NOTHING);
}

static void parse_want_close(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_WANT_CLOSE);
}

static void parse_handshake(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_HANDSHAKE);
}

static void parse_hangup(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_HANGUP);
}

/* ---- what was stored ---- */

static void parse_stored(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_STORED_COUNT);
    step->mailbox = take_mailbox(p, &rest);
    bool contains = g_str_has_prefix(rest, "contains ");
    if (contains || g_str_has_prefix(rest, "lacks ")) {
        step->kind = contains ? STEP_STORED_CONTAINS : STEP_STORED_LACKS;
        step->bytes = take_bytes(p, strchr(rest, ' ') + 1);
    } else {
        (void)take_count(p, &rest, &step->count);
    }
}

static void parse_message(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_STORED_MESSAGE);
    step->mailbox = take_mailbox(p, &rest);
    step->bytes = take_bytes(p, rest);
}

static void parse_octets(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_STORED_OCTETS);
    step->mailbox = take_mailbox(p, &rest);
    step->bytes = take_bytes(p, rest);
}

static void parse_sender(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_STORED_SENDER);
    step->mailbox = take_mailbox(p, &rest);
    step->bytes = g_string_new(rest);
}

/* ---- what only the core's owner can do ---- */

static void parse_wait(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_WAIT);
    if (pst_parse_duration(slice_str(rest), INT64_C(1) << 40, &step->wait_ms) < 0)
        problem(p, "'%s' is no duration", rest);
}

static void parse_refuse(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_REFUSE);
    step->mailbox = take_mailbox(p, &rest);
    (void)take_outcome(p, &rest, &step->outcome);
}

static void parse_fail(struct parser *p, const char *rest)
{
    struct step *step = add_step(p, STEP_FAIL);
    (void)take_outcome(p, &rest, &step->outcome);
    if (*rest != '\0')
        step->mailbox = take_mailbox(p, &rest);
}

static void parse_answer_auth(struct parser *p, const char *rest)
{
    (void)take_outcome(p, &rest, &add_step(p, STEP_ANSWER_AUTH)->outcome);
}

static void parse_hold(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_HOLD);
}

static void parse_release(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_RELEASE);
}

static void parse_shut(struct parser *p, const char *rest)
{
    (void)rest;
    add_step(p, STEP_SHUT);
}

static const struct directive {
    const char *name;
    void (*parse)(struct parser *p, const char *rest);
    enum { NO_ARGUMENT, ARGUMENT, LINE } takes;
    bool core; /* needs `only core` */
} directives[] = {
    { "protocol", parse_protocol, ARGUMENT },
    { "only", parse_only, ARGUMENT },
    { "mailbox", parse_mailbox, ARGUMENT },
    { "limit", parse_limit, ARGUMENT },
    { "may", parse_may, ARGUMENT },
    { "greeting-delay", parse_greeting_delay, ARGUMENT },
    { "tls", parse_tls, ARGUMENT },
    { "auth", parse_auth, ARGUMENT },
    { "auth-without-tls", parse_auth_without_tls, NO_ARGUMENT },
    { "proxy", parse_proxy, NO_ARGUMENT },
    { "domain", parse_domain, ARGUMENT },
    { "hello", parse_hello, NO_ARGUMENT },
    { "send", add_line, LINE },
    { "raw", parse_raw, ARGUMENT },
    { "want", parse_want, ARGUMENT },
    { "want-each", parse_want_each, ARGUMENT },
    { "want-lines", parse_want_lines, ARGUMENT },
    { "nothing", parse_nothing, NO_ARGUMENT },
    { "want-close", parse_want_close, NO_ARGUMENT },
    { "bye", parse_bye, NO_ARGUMENT },
    { "handshake", parse_handshake, NO_ARGUMENT },
    { "hangup", parse_hangup, NO_ARGUMENT },
    { "stored", parse_stored, ARGUMENT },
    { "message", parse_message, ARGUMENT },
    { "octets", parse_octets, ARGUMENT },
    { "sender", parse_sender, ARGUMENT },
    { "wait", parse_wait, ARGUMENT, true },
    { "refuse", parse_refuse, ARGUMENT, true },
    { "fail", parse_fail, ARGUMENT, true },
    { "answer-auth", parse_answer_auth, ARGUMENT, true },
    { "hold", parse_hold, NO_ARGUMENT, true },
    { "release", parse_release, NO_ARGUMENT, true },
    { "shut", parse_shut, NO_ARGUMENT, true },
};

/* ---- lines ---- */

static const struct directive *find_directive(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(directives); i++)
        if (strcmp(directives[i].name, name) == 0)
            return &directives[i];
    return NULL;
}

static void parse_line(struct parser *p, const char *line)
{
    if (line[0] == '\0' || line[0] == '#')
        return;
    const char *rest = line;
    g_autofree char *name = take_word(&rest);
    const struct directive *d = find_directive(name);
    if (d == NULL)
        problem(p, "'%s' is no directive", name);
    else if (g_ascii_isspace(line[strlen(line) - 1]))
        problem(p, "a blank at the end of a line cannot be seen; write \"raw\"");
    else if (d->takes == NO_ARGUMENT && *rest != '\0')
        problem(p, "'%s' takes no argument", name);
    else if (d->takes == ARGUMENT && *rest == '\0')
        problem(p, "'%s' needs an argument", name);
    else if (d->core && !p->script->only_core)
        problem(p, "'%s' needs 'only core' before it", name);
    else
        d->parse(p, rest);
}

/* "# r0042: why (RFC 5321 4.2)". Without the section, nobody could tell a rule from a habit of ours. */
static void parse_title(struct parser *p, const char *line)
{
    g_autoptr(GRegex) form = g_regex_new("^# (r[0-9]{4}): ([^#]*[^# ])$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(form, line, 0, &match)) {
        problem(p, "the first line must be '# rNNNN: reason', without another #");
        return;
    }
    p->script->id = g_match_info_fetch(match, 1);
    p->script->reason = g_match_info_fetch(match, 2);
    if (!g_regex_match_simple("\\bRFC [0-9]+ [0-9]", p->script->reason, 0, 0))
        problem(p, "the reason names no RFC section, as in '(RFC 5321 4.5.2)'");
}

static char *name_of(const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    char *dot = strrchr(base, '.');
    return dot != NULL ? g_strndup(base, (gsize)(dot - base)) : g_strdup(base);
}

static int compare_limits(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *join_limits(GPtrArray *limits)
{
    g_ptr_array_sort(limits, compare_limits);
    g_ptr_array_add(limits, NULL);
    return g_strjoinv(" ", (char **)limits->pdata);
}

static struct script *script_new(const char *path, const char *text)
{
    struct script *s = g_new0(struct script, 1);
    s->path = g_strdup(path);
    s->name = name_of(path);
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &s->limits);
    s->mailboxes = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(s->mailboxes, g_strdup("alice"));
    g_ptr_array_add(s->mailboxes, g_strdup("bob"));
    g_ptr_array_add(s->mailboxes, g_strdup("postmaster"));
    s->steps = g_array_new(FALSE, TRUE, sizeof(struct step));
    g_array_set_clear_func(s->steps, step_clear);
    char **lines = g_strsplit(text, "\n", -1);
    s->lines = g_ptr_array_new_with_free_func(g_free);
    for (char **line = lines; *line != NULL; line++)
        g_ptr_array_add(s->lines, *line);
    g_free(lines);
    return s;
}

int script_parse(const char *path, const char *text, struct diag *diag, struct script **ret_script)
{
    auto_ptr(script) s = script_new(path, text);
    g_autoptr(GPtrArray) limits = g_ptr_array_new_with_free_func(g_free);
    struct parser p = { .script = s, .diag = diag, .limits = limits };
    unsigned before = diag_count(diag);
    for (guint i = 0; i < s->lines->len; i++) {
        p.line = i + 1;
        (i == 0 ? parse_title : parse_line)(&p, g_ptr_array_index(s->lines, i));
    }
    if (s->client.tls == SMTP_TLS_ACTIVE)
        s->client.mechanisms = s->mechanisms;
    s->client.auth_in_tls = s->mechanisms != NULL && s->client.tls != SMTP_TLS_NONE;
    s->limits_text = join_limits(limits);
    if (diag_count(diag) > before)
        return -EINVAL;
    *ret_script = g_steal_pointer(&s);
    return 0;
}

int script_load(const char *path, struct diag *diag, struct script **ret_script)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, NULL, &error)) {
        diag_add(diag, (struct origin){ path, 0 }, "%s", error->message);
        return -ENOENT;
    }
    return script_parse(path, text, diag, ret_script);
}

void script_free(struct script *s)
{
    if (s == NULL)
        return;
    g_free(s->path);
    g_free(s->name);
    g_free(s->id);
    g_free(s->reason);
    g_free(s->domain);
    g_free(s->limits_text);
    g_ptr_array_unref(s->mailboxes);
    g_array_unref(s->steps);
    g_ptr_array_unref(s->lines);
    g_free(s);
}
