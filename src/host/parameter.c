#include "host/parameter.h"

#include "host/header_text.h"
#include "host/text.h"

enum { PLAIN = -1, MAX_SECTION = 9999 };

/* `name*1*=value` */
struct section {
    int number;   /* PLAIN: it has none */
    bool encoded; /* %-octets, and in the first one the charset */
    GString *value;
};

static void section_clear(void *data)
{
    g_string_free(((struct section *)data)->value, TRUE);
}

static int compare_sections(const void *a, const void *b)
{
    int left = ((const struct section *)a)->number, right = ((const struct section *)b)->number;
    return (left > right) - (left < right);
}

/* RFC 5322 folding and comments, which may be nested. */
static const char *skip_comments(const char *p)
{
    unsigned depth = 0;
    for (; *p != '\0'; p++) {
        if (*p == '(')
            depth++;
        else if (*p == ')' && depth > 0)
            depth--;
        else if (*p == '\\' && depth > 0 && p[1] != '\0')
            p++;
        else if (depth == 0 && strchr(" \t\r\n", *p) == NULL)
            break;
    }
    return p;
}

/* Up to what follows the closing quote, or the end. */
static const char *read_quoted(const char *p, GString *value)
{
    for (p++; *p != '\0' && *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        if (*p != '\r' && *p != '\n')
            g_string_append_c(value, *p);
    }
    return *p == '"' ? p + 1 : p;
}

/* Up to the semicolon: names with blanks and brackets come without quotes, too. */
static const char *read_token(const char *p, GString *value)
{
    size_t len = strcspn(p, ";");
    for (size_t i = 0; i < len; i++)
        if (p[i] != '\r' && p[i] != '\n')
            g_string_append_c(value, p[i]);
    while (value->len > 0 && strchr(" \t", value->str[value->len - 1]) != NULL)
        g_string_truncate(value, value->len - 1);
    return p + len;
}

/* To the next semicolon that is neither in quotes nor in a comment, or the end. */
static const char *skip_value(const char *p)
{
    for (p = skip_comments(p); *p != '\0' && *p != ';'; p = skip_comments(p)) {
        if (*p == '"') {
            g_autoptr(GString) ignored = g_string_new(NULL);
            p = read_quoted(p, ignored);
        } else {
            p++;
        }
    }
    return p;
}

/* Whether "name", "name*", "name*7" or "name*7*" is this parameter. */
static bool parse_attribute(struct slice attribute, const char *name, struct section *ret_section)
{
    struct slice rest = slice_skip(attribute, strlen(name));
    if (!slice_has_prefix_nocase(attribute, name) || (rest.len > 0 && rest.data[0] != '*'))
        return false;
    int number = rest.len > 0 ? 0 : PLAIN;
    rest = slice_skip(rest, 1);
    bool encoded = number == 0 && rest.len == 0; /* "name*" is a whole one */
    if (rest.len > 0 && g_ascii_isdigit(rest.data[0])) {
        for (; rest.len > 0 && g_ascii_isdigit(rest.data[0]); rest = slice_skip(rest, 1))
            number = MIN(number * 10 + g_ascii_digit_value((char)rest.data[0]), MAX_SECTION);
        encoded = rest.len == 1 && rest.data[0] == '*';
        rest = slice_skip(rest, encoded);
    }
    ret_section->number = number;
    ret_section->encoded = encoded;
    return rest.len == 0;
}

static GArray *find_sections(const char *raw, const char *name)
{
    GArray *sections = g_array_new(FALSE, FALSE, sizeof(struct section));
    g_array_set_clear_func(sections, section_clear);
    for (const char *p = skip_value(raw); *p == ';'; p = skip_value(p)) {
        p = skip_comments(p + 1);
        struct slice attribute = slice_of(p, strcspn(p, "=; \t\r\n("));
        p = skip_comments(p + attribute.len);
        struct section section;
        if (*p != '=' || !parse_attribute(attribute, name, &section))
            continue;
        p = skip_comments(p + 1);
        section.value = g_string_new(NULL);
        p = *p == '"' ? read_quoted(p, section.value) : read_token(p, section.value);
        g_array_append_val(sections, section);
    }
    return sections;
}

/* Cuts charset'language' off the front of the first section. */
static char *take_charset(struct section *first)
{
    const char *charset_end = strchr(first->value->str, '\'');
    const char *language_end = charset_end != NULL ? strchr(charset_end + 1, '\'') : NULL;
    if (!first->encoded || language_end == NULL)
        return g_strdup("");
    char *charset = g_strndup(first->value->str, (size_t)(charset_end - first->value->str));
    g_string_erase(first->value, 0, language_end + 1 - first->value->str);
    return charset;
}

static char *join_sections(GArray *sections, unsigned from)
{
    g_autoptr(GString) octets = g_string_new(NULL);
    g_autofree char *charset = take_charset(&g_array_index(sections, struct section, from));
    for (unsigned i = from; i < sections->len; i++) {
        const struct section *section = &g_array_index(sections, struct section, i);
        if (section->encoded)
            host_text_unescape(octets, '%', slice_of(section->value->str, section->value->len));
        else
            g_string_append_len(octets, section->value->str, (gssize)section->value->len);
    }
    GString *text = g_string_new(NULL);
    host_text_convert(text, charset, slice_of(octets->str, octets->len));
    return g_string_free(text, FALSE);
}

char *host_parameter(const char *raw, const char *name)
{
    g_autoptr(GArray) sections = find_sections(raw, name);
    g_array_sort(sections, compare_sections); /* which leaves equal ones in their order */
    unsigned numbered = 0;
    while (numbered < sections->len && g_array_index(sections, struct section, numbered).number == PLAIN)
        numbered++;
    g_autofree char *value = NULL;
    if (numbered < sections->len)
        value = join_sections(sections, numbered);
    else if (sections->len > 0)
        value = host_header_decode(g_array_index(sections, struct section, 0).value->str);
    return value != NULL && value[0] != '\0' ? g_steal_pointer(&value) : NULL;
}
