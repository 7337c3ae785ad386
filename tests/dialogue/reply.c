#include "reply.h"

#include <errno.h>
#include <stdbool.h>

enum { REPLY_LINE_MAX = 512 }; /* RFC 5321 4.5.3.1.5 */

/* ---- what the server said ---- */

/* The length of "5.1.1" at the start of a text that goes on with a blank, or 0. */
static size_t enhanced_length(const char *text)
{
    size_t i = 0, dots = 0;
    for (; g_ascii_isdigit(text[i]) || text[i] == '.'; i++)
        dots += text[i] == '.';
    bool like = i >= 5 && dots == 2 && strchr("245", text[0]) != NULL && text[1] == '.' && text[i - 1] != '.';
    return like && (text[i] == ' ' || text[i] == '\0') ? i : 0;
}

static const char *line_problem(struct slice line)
{
    if (line.len + 2 > REPLY_LINE_MAX)
        return "a reply line is longer than 512 octets";
    if (line.len < 4)
        return "a reply line is too short for a code and a separator";
    for (size_t i = 0; i < line.len; i++)
        if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] > 0x7e)
            return "a reply line holds what is not printable ASCII";
    for (size_t i = 0; i < 3; i++)
        if (!g_ascii_isdigit(line.data[i]))
            return "a reply line begins with no code";
    if (line.data[0] < '2' || line.data[0] > '5')
        return "a reply code begins with neither 2, 3, 4 nor 5";
    if (line.data[3] != ' ' && line.data[3] != '-')
        return "a reply code is followed by neither blank nor hyphen";
    return NULL;
}

/* Adds one line, whose form is right, to the reply that it continues. */
static const char *add_line(struct reply *r, struct slice line)
{
    g_autofree char *text = slice_dup(slice_skip(line, 4));
    size_t enhanced = enhanced_length(text);
    g_autofree char *status = enhanced > 0 ? g_strndup(text, enhanced) : NULL;
    if (r->lines->len == 0) {
        memcpy(r->code, line.data, 3);
        r->enhanced = g_strdup(status);
        if (status != NULL && status[0] != r->code[0])
            return "the enhanced status code is of another class than the reply code";
    } else if (memcmp(r->code, line.data, 3) != 0) {
        return "the lines of a reply have different codes";
    } else if (g_strcmp0(r->enhanced, status) != 0) {
        return "the lines of a reply have different enhanced status codes";
    }
    g_ptr_array_add(r->lines, g_strdup(text + enhanced + (enhanced > 0 && text[enhanced] == ' ')));
    return NULL;
}

int reply_take(struct slice in, struct reply *ret, size_t *ret_len, char **ret_problem)
{
    auto_val(reply) reply = { .lines = g_ptr_array_new_with_free_func(g_free) };
    for (size_t at = 0;;) {
        size_t end = slice_find(in, at, '\n');
        if (end == in.len)
            return 0;
        const char *problem = "a reply line ends in a bare LF";
        struct slice line = slice_of(in.data + at, end - at);
        if (line.len > 0 && line.data[line.len - 1] == '\r') {
            line.len--;
            problem = line_problem(line);
        }
        if (problem == NULL)
            problem = add_line(&reply, line);
        if (problem != NULL) {
            g_autofree char *escaped = slice_dup(line);
            *ret_problem = g_strdup_printf("%s: %s", problem, escaped);
            return -EBADMSG;
        }
        at = end + 1;
        if (line.data[3] == ' ') {
            *ret = reply;
            reply = (struct reply){ 0 };
            *ret_len = at;
            return 1;
        }
    }
}

void reply_clear(struct reply *r)
{
    g_clear_pointer(&r->enhanced, g_free);
    g_clear_pointer(&r->lines, g_ptr_array_unref);
}

static char *joined_text(const struct reply *r, const char *separator)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < r->lines->len; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? separator : "",
                               (const char *)g_ptr_array_index(r->lines, i));
    return g_string_free(text, FALSE);
}

char *reply_text(const struct reply *r)
{
    g_autofree char *text = joined_text(r, " / ");
    return g_strdup_printf("%s%s%s %s", r->code, r->enhanced != NULL ? " " : "",
                           r->enhanced != NULL ? r->enhanced : "", text);
}

/* ---- what the script wants ---- */

static GRegex *regex_of(const char *pattern, GRegexCompileFlags flags, char **ret_problem)
{
    g_autoptr(GError) error = NULL;
    GRegex *regex = g_regex_new(pattern, flags, 0, &error);
    if (regex == NULL)
        *ret_problem = g_strdup(error->message);
    return regex;
}

/* "5.1.x|5.7.1" matches whole, x any number. */
static GRegex *digits_regex(const char *word, char **ret_problem)
{
    GString *pattern = g_string_new("^(?:");
    for (; *word != '\0'; word++)
        g_string_append(pattern, *word == 'x' ? "[0-9]+" : *word == '.' ? "\\." : (char[]){ *word, '\0' });
    g_string_append(pattern, ")$");
    GRegex *regex = regex_of(pattern->str, 0, ret_problem);
    g_string_free(pattern, TRUE);
    return regex;
}

static bool is_pattern_of(const char *word, const char *one)
{
    g_autofree char *pattern = g_strdup_printf("^%s(\\|%s)*$", one, one);
    return g_regex_match_simple(pattern, word, 0, 0);
}

/* The first word of *at, which moves behind it and the blanks that follow. */
static char *next_word(const char **at)
{
    size_t len = strcspn(*at, " ");
    char *word = g_strndup(*at, len);
    *at += len + strspn(*at + len, " ");
    return word;
}

static GRegex *text_regex(const char *text, char **ret_problem)
{
    size_t len = strlen(text);
    g_autofree char *pattern = len >= 2 && text[0] == '/' && text[len - 1] == '/'
                                   ? g_strndup(text + 1, len - 2)
                                   : g_regex_escape_string(text, -1);
    return regex_of(pattern, G_REGEX_MULTILINE, ret_problem);
}

static bool parse_lines(struct want *w, const char *text, char **ret_problem)
{
    w->lines = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
    g_auto(GStrv) items = g_strsplit(text, ",", -1);
    for (char **item = items; *item != NULL; item++) {
        g_autofree char *pattern = g_strdup_printf("^(?:%s)$", g_strstrip(*item));
        GRegex *regex = regex_of(pattern, 0, ret_problem);
        if (regex == NULL)
            return false;
        g_ptr_array_add(w->lines, regex);
    }
    return true;
}

static bool parse_want(struct want *w, const char *text, bool set, char **ret_problem)
{
    g_autofree char *code = next_word(&text);
    if (!is_pattern_of(code, "[2-5][0-9x][0-9x]")) {
        *ret_problem = g_strdup_printf("'%s' is no reply code", code);
        return false;
    }
    w->code = digits_regex(code, ret_problem);
    if (w->code == NULL)
        return false;
    if (set)
        return parse_lines(w, text, ret_problem);
    const char *rest = text;
    g_autofree char *enhanced = next_word(&rest);
    if (is_pattern_of(enhanced, "[245]\\.[0-9x]+\\.[0-9x]+")) {
        w->enhanced = digits_regex(enhanced, ret_problem);
        if (w->enhanced == NULL)
            return false;
        text = rest;
    }
    if (*text != '\0')
        w->text = text_regex(text, ret_problem);
    return *text == '\0' || w->text != NULL;
}

struct want *want_parse(const char *text, bool set, char **ret_problem)
{
    struct want *w = g_new0(struct want, 1);
    w->source = g_strdup(text);
    if (parse_want(w, text, set, ret_problem))
        return w;
    want_free(w);
    return NULL;
}

/* Each wanted line is there once, and no other is: greedy is right, as no line matches two keywords. */
static bool lines_match(GPtrArray *wanted, GPtrArray *lines)
{
    if (lines->len != wanted->len + 1)
        return false;
    for (guint i = 0; i < wanted->len; i++) {
        guint found = 0;
        for (guint j = 1; j < lines->len; j++)
            found += g_regex_match(g_ptr_array_index(wanted, i), g_ptr_array_index(lines, j), 0, NULL);
        if (found != 1)
            return false;
    }
    return true;
}

bool want_matches(const struct want *w, const struct reply *r)
{
    g_autofree char *text = joined_text(r, "\n");
    return g_regex_match(w->code, r->code, 0, NULL) &&
           (w->enhanced == NULL ||
            (r->enhanced != NULL && g_regex_match(w->enhanced, r->enhanced, 0, NULL))) &&
           (w->text == NULL || g_regex_match(w->text, text, 0, NULL)) &&
           (w->lines == NULL || lines_match(w->lines, r->lines));
}

void want_free(struct want *w)
{
    if (w == NULL)
        return;
    g_free(w->source);
    g_clear_pointer(&w->code, g_regex_unref);
    g_clear_pointer(&w->enhanced, g_regex_unref);
    g_clear_pointer(&w->text, g_regex_unref);
    g_clear_pointer(&w->lines, g_ptr_array_unref);
    g_free(w);
}
