#include "delivery/router.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "base/assert.h"
#include "disk/disk.h"

struct domain {
    char *name; /* canonical, see smtp_domain_canonical() */
    char *maildirs;
};

struct router {
    GHashTable *domains;  /* the domain's name to the domain, which the table owns */
    struct domain *first; /* NULL while there is none */
};

static void domain_free(void *data)
{
    struct domain *d = data;
    g_free(d->name);
    g_free(d->maildirs);
    g_free(d);
}

struct router *router_new(void)
{
    struct router *r = g_new0(struct router, 1);
    r->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, domain_free);
    return r;
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    g_hash_table_unref(r->domains);
    g_free(r);
}

int router_add_domain(struct router *r, const char *name, const char *maildirs)
{
    char canonical[SMTP_DOMAIN_MAX + 1];
    int e = smtp_domain_canonical(slice_str(name), canonical);
    if (e < 0)
        return e;
    if (g_hash_table_contains(r->domains, canonical))
        return -EEXIST;
    struct domain *d = g_new0(struct domain, 1);
    d->name = g_strdup(canonical);
    d->maildirs = g_strdup(maildirs);
    g_hash_table_insert(r->domains, d->name, d);
    if (r->first == NULL)
        r->first = d;
    return 0;
}

const struct domain *router_domain(const struct router *r, const struct smtp_address *address)
{
    if (smtp_address_is_null(address))
        return NULL;
    if (address->domain_len == 0)
        return r->first;
    char name[SMTP_DOMAIN_MAX + 1];
    if (smtp_domain_canonical(slice_of(address->domain, address->domain_len), name) < 0)
        return NULL;
    return g_hash_table_lookup(r->domains, name);
}

void router_for_each_domain(const struct router *r, void (*each)(void *owner, const struct domain *domain),
                            void *owner)
{
    GHashTableIter at;
    void *domain;
    g_hash_table_iter_init(&at, r->domains);
    while (g_hash_table_iter_next(&at, NULL, &domain))
        each(owner, domain);
}

const char *domain_maildirs(const struct domain *d)
{
    return d->maildirs;
}

/*
 * atext of RFC 5322 3.2.3 and the dot, but no slash; and what words of all scripts are written with. Closed,
 * so that what it does not name cannot reach a path: no blanks, symbols, controls, marks of direction, nor
 * what Unicode does not know.
 */
static bool is_name_character(gunichar c)
{
    if (c < 0x80)
        return g_ascii_isalnum((char)c) || (c != '\0' && strchr("!#$%&'*+-=?^_`{|}~.", (int)c) != NULL);
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
        if (!is_name_character(text.data[i]))
            return -ENOENT;
    for (size_t i = 0; i < text.len; i++)
        ret_name[i] = g_ascii_tolower((char)text.data[i]);
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

/*
 * What is there but is no maildir yet, or no more: half made, or a link to what is not mounted. That is the
 * operator's to mend, and nobody's mail may bounce for it. A file has never been a maildir.
 */
static int judge_missing(int root, const char *name)
{
    struct disk_stat st;
    int r = disk_stat(root, name, &st);
    if (r < 0)
        return r;
    return st.type == DISK_DIRECTORY || st.type == DISK_LINK ? -ENODEV : -ENOENT;
}

/* When the whole domain's directory is missing, it is more likely not mounted yet. */
static int look_for(const struct domain *d, const char *name, uint64_t *ret_file_system)
{
    auto_disk int root = disk_open_root(d->maildirs);
    if (root < 0)
        return root == -ENOENT ? -ENODEV : root;
    char path[MAILBOX_NAME_MAX + sizeof "/new"];
    (void)snprintf(path, sizeof path, "%s/new", name);
    auto_disk int new = disk_open_beneath(root, path);
    if (new < 0)
        return new == -ENOENT || new == -ENOTDIR ? judge_missing(root, name) : new;
    uint64_t id = 0;
    int r = disk_can_sync_all(new, &id);
    if (r < 0 && r != -EOPNOTSUPP)
        return r;
    *ret_file_system = id;
    return 0;
}

int domain_find_mailbox(const struct domain *d, const struct smtp_address *address,
                        struct mailbox **ret_mailbox)
{
    char name[MAILBOX_NAME_MAX + 1];
    int r = mailbox_name(slice_of(address->local, address->local_len), name);
    if (r < 0)
        return r;
    uint64_t file_system;
    r = look_for(d, name, &file_system);
    if (r < 0)
        return r;
    struct mailbox *m = g_new0(struct mailbox, 1);
    m->domain = d;
    m->name = g_strdup(name);
    m->file_system = file_system;
    *ret_mailbox = m;
    return 0;
}

unsigned mailbox_hash(const void *mailbox)
{
    const struct mailbox *m = mailbox;
    return g_str_hash(m->name) ^ g_direct_hash(m->domain);
}

int mailbox_equal(const void *left, const void *right)
{
    const struct mailbox *a = left, *b = right;
    return a->domain == b->domain && strcmp(a->name, b->name) == 0;
}

void mailbox_free(struct mailbox *m)
{
    if (m == NULL)
        return;
    g_free(m->name);
    g_free(m->folder);
    g_free(m);
}
