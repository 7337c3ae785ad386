#include "delivery/mailbox.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "delivery/router.h"

/*
 * atext of RFC 5322 3.2.3 and the dot, but no slash; and what words of all scripts are written with. Closed,
 * so that what it does not name cannot reach a path: no blanks, symbols, controls, marks of direction, nor
 * what Unicode does not know.
 */
static const bool ascii_name_characters[0x80] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['='] = true,         ['?'] = true,  ['^'] = true,
    ['_'] = true,         ['`'] = true,         ['{'] = true,         ['|'] = true,  ['}'] = true,
    ['~'] = true,         ['.'] = true,
};

static bool is_name_character(gunichar c)
{
    if (c < 0x80)
        return ascii_name_characters[c];
    switch (g_unichar_type(c)) {
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_ENCLOSING_MARK:
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_SPACING_MARK:
    case G_UNICODE_DECIMAL_NUMBER:
        return true;
    default:
        return false;
    }
}

static int ascii_name(struct slice text, char ret_name[MAILBOX_NAME_MAX + 1])
{
    if (text.len == 0 || text.len > MAILBOX_NAME_MAX || text.data[0] == '.')
        return -ENOENT;
    for (size_t i = 0; i < text.len; i++)
        if (!ascii_name_characters[text.data[i]])
            return -ENOENT;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        ret_name[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    ret_name[text.len] = '\0';
    return 0;
}

/* GLib makes a plain i of the capital I with a dot (U+0130), which would be another's mailbox: Unicode has i
 * and that dot (U+0307). */
static void append_lower(GString *to, gunichar c)
{
    g_string_append_unichar(to, g_unichar_tolower(c));
    if (c == 0x0130)
        g_string_append_unichar(to, 0x0307);
}

/*
 * Composed, lower case, and composed anew, since the lower case of a letter may compose with what follows.
 * Case is not folded: that would take the mail of one user (the sharp s) to another's (ss). Letter by letter:
 * g_utf8_strdown() asks the locale. NULL if it is no UTF-8.
 */
static char *normal_form(struct slice text)
{
    if (!g_utf8_validate_len((const char *)text.data, text.len, NULL))
        return NULL;
    g_autofree char *composed =
        g_utf8_normalize((const char *)text.data, (gssize)text.len, G_NORMALIZE_DEFAULT_COMPOSE);
    g_autoptr(GString) lower = g_string_sized_new(text.len);
    for (const char *at = composed; *at != '\0'; at = g_utf8_next_char(at))
        append_lower(lower, g_utf8_get_char(at));
    return g_utf8_normalize(lower->str, (gssize)lower->len, G_NORMALIZE_DEFAULT_COMPOSE);
}

/* A mark in front would stand on the slash of the path. */
static int utf8_name(struct slice text, char ret_name[MAILBOX_NAME_MAX + 1])
{
    g_autofree char *name = normal_form(text);
    if (name == NULL || g_unichar_ismark(g_utf8_get_char(name)))
        return -ENOENT;
    for (const char *at = name; *at != '\0'; at = g_utf8_next_char(at))
        if (!is_name_character(g_utf8_get_char(at)))
            return -ENOENT;
    size_t len = strlen(name);
    if (len > MAILBOX_NAME_MAX || *name == '.')
        return -ENOENT;
    memcpy(ret_name, name, len + 1);
    return 0;
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

int mailbox_name(struct slice local_part, char ret_name[MAILBOX_NAME_MAX + 1])
{
    return is_ascii(local_part) ? ascii_name(local_part, ret_name) : utf8_name(local_part, ret_name);
}

static bool is_folder_part(const char *part)
{
    if (*part == '\0')
        return false;
    for (const char *at = part; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if (c == '.' || g_unichar_iscntrl(c))
            return false;
    }
    return true;
}

/* The dot separates the parts of its name on the disk, as the slash does for people. */
int mailbox_folder(const char *text, char ret_folder[FOLDER_MAX + 1])
{
    size_t len = strlen(text);
    if (len == 0 || len >= FOLDER_MAX || !g_utf8_validate(text, (gssize)len, NULL))
        return -EINVAL;
    if (g_ascii_strcasecmp(text, "INBOX") == 0) {
        ret_folder[0] = '\0';
        return 0;
    }
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    for (char **part = parts; *part != NULL; part++)
        if (!is_folder_part(*part))
            return -EINVAL;
    ret_folder[0] = '.';
    for (size_t i = 0; i <= len; i++)
        ret_folder[i + 1] = (char)(text[i] == '/' ? '.' : text[i]);
    return 0;
}

unsigned mailbox_hash(const void *mailbox)
{
    const struct mailbox *m = mailbox;
    return g_str_hash(m->name);
}

int mailbox_equal(const void *left, const void *right)
{
    const struct mailbox *a = left, *b = right;
    return strcmp(a->name, b->name) == 0 &&
           (a->domain == b->domain || strcmp(a->domain->options.maildirs, b->domain->options.maildirs) == 0);
}

void mailbox_address(const struct mailbox *m, struct smtp_address *ret_address)
{
    const char *domain = m->subdomain != NULL ? m->subdomain : m->domain->name;
    *ret_address =
        (struct smtp_address){ .local_len = (uint8_t)strlen(m->name), .domain_len = (uint8_t)strlen(domain) };
    memcpy(ret_address->local, m->name, ret_address->local_len);
    memcpy(ret_address->domain, domain, ret_address->domain_len);
}

struct mailbox *mailbox_copy(const struct mailbox *m)
{
    struct mailbox *copy = g_new(struct mailbox, 1);
    *copy = *m;
    copy->name = g_strdup(m->name);
    copy->folder = g_strdup(m->folder);
    copy->subdomain = g_strdup(m->subdomain);
    return copy;
}

void mailbox_free(struct mailbox *m)
{
    if (m == NULL)
        return;
    g_free(m->name);
    g_free(m->folder);
    g_free(m->subdomain);
    g_free(m);
}
