#include "delivery/table.h"

#include <errno.h>

#include "delivery/table_internal.h"

static const struct table_kind *const kinds[] = { &table_passwd_kind, &table_sqlite_kind,
                                                  &table_socket_kind };

/* "hash:/etc/aliases" is another server's word, and no file of ours. */
static bool names_a_kind(const char *spec)
{
    size_t len = 0;
    while (g_ascii_isalnum(spec[len]))
        len++;
    return len > 0 && spec[len] == ':';
}

struct table *table_open(const char *spec, const struct table_rules *rules, struct origin at,
                         struct diag *problems)
{
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (g_str_has_prefix(spec, kinds[i]->prefix))
            return kinds[i]->open(spec + strlen(kinds[i]->prefix), rules, at, problems);
    if (*spec != '\0' && !names_a_kind(spec))
        return table_file_kind.open(spec, rules, at, problems);
    diag_add(problems, at,
             "\"%s\" is no table; expected the path of a file, passwd:, sqlite:PATH QUERY or "
             "socket:PATH NAME",
             spec);
    return NULL;
}

void table_free(struct table *t)
{
    if (t != NULL)
        t->kind->free(t);
}

int table_find(struct table *t, const char *name, const char *domain, GPtrArray *ret_values, char **ret_why)
{
    guint before = ret_values->len;
    g_autofree char *why = NULL;
    int r = t->kind->find(t, name, domain, ret_values, &why);
    if (r == 0)
        return ret_values->len > before ? 0 : -ENOENT;
    g_ptr_array_set_size(ret_values, (gint)before);
    if (r == -ENOENT)
        return r;
    *ret_why = why != NULL ? g_steal_pointer(&why) : g_strdup(g_strerror(-r));
    return -EHOSTDOWN;
}

bool table_is_in_memory(const struct table *t)
{
    return t->kind->in_memory;
}

int table_look(struct table *t, struct diag *problems)
{
    return t->kind->look != NULL ? t->kind->look(t, problems) : 0;
}

void table_use(struct table *t)
{
    t->kind->end_look(t, true);
}

void table_refuse(struct table *t)
{
    t->kind->end_look(t, false);
}

bool table_reconsider(struct table *t)
{
    return t->kind->reconsider != NULL && t->kind->reconsider(t);
}

void table_tell_again(struct table *t)
{
    if (t->kind->tell_again != NULL)
        t->kind->tell_again(t);
}

struct table_content *table_content_of(struct table *t, bool waiting)
{
    return t->kind->content != NULL ? t->kind->content(t, waiting) : NULL;
}

/* ---- what kinds have in common ---- */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r'; /* CR: of a line that ends in CR LF */
}

bool table_split_spec(const char *rest, char **ret_path, char **ret_argument)
{
    size_t path_len = strcspn(rest, " \t");
    const char *argument = rest + path_len + strspn(rest + path_len, " \t");
    if (path_len == 0 || *argument == '\0')
        return false;
    *ret_path = g_strndup(rest, path_len);
    *ret_argument = g_strchomp(g_strdup(argument));
    return true;
}

/* The index of the closing quote of the text that is quoted from `at` on, or text.len when there is none. */
static size_t skip_quoted(struct slice text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        if (text.data[at] == '\\')
            at++;
    return MIN(at, text.len);
}

/* The index of the first comma outside of quotes, or text.len. */
static size_t find_comma(struct slice text, bool *ret_unclosed)
{
    size_t at = 0;
    bool unclosed = false;
    for (; at < text.len && text.data[at] != ','; at++)
        if (text.data[at] == '"') {
            at = skip_quoted(text, at);
            unclosed = at == text.len;
            if (unclosed)
                break;
        }
    *ret_unclosed = unclosed;
    return at;
}

struct slice table_trim(struct slice text)
{
    while (text.len > 0 && is_blank(text.data[0]))
        text = slice_skip(text, 1);
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

int table_next_value(struct slice *rest, struct slice *ret_value)
{
    while (rest->len > 0) {
        bool unclosed;
        size_t comma = find_comma(*rest, &unclosed);
        struct slice value = table_trim(slice_first(*rest, comma));
        *rest = slice_skip(*rest, comma + 1);
        if (value.len > 0) {
            *ret_value = value;
            return unclosed ? -EBADMSG : 1;
        }
    }
    return 0;
}

msec_t table_timeout(const struct table_rules *rules)
{
    return rules->timeout > 0 ? rules->timeout : TABLE_TIMEOUT_MS;
}
