#include "delivery/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "delivery/table.h"
#include "disk/disk.h"

struct walk {
    const struct router *router;
    const struct route_observer *observer;
    struct route *route;
    GHashTable *seen;    /* addresses to whether their way is still being gone (ON_THE_WAY) or was (GONE) */
    GHashTable *reached; /* the mailboxes of the route, as a set */
};

#define ON_THE_WAY GINT_TO_POINTER(1)
#define GONE       GINT_TO_POINTER(2)

G_GNUC_PRINTF(4, 5)
static void tell(const struct walk *w, unsigned depth, const char *step, const char *format, ...)
{
    if (w->observer == NULL)
        return;
    va_list args;
    va_start(args, format);
    g_autofree char *result = g_strdup_vprintf(format, args);
    va_end(args);
    w->observer->tell(w->observer->owner, depth, step, result);
}

/* Why the route failed, for the log; the first reason is kept. */
G_GNUC_PRINTF(3, 4)
static int fail(const struct walk *w, int error, const char *format, ...)
{
    if (w->route->why != NULL)
        return error;
    va_list args;
    va_start(args, format);
    w->route->why = g_strdup_vprintf(format, args);
    va_end(args);
    return error;
}

/* Where the tables say so. What cannot be found out now, of tables or on the disk, is another matter. */
static bool is_nowhere(int r)
{
    return r == -ENOENT || r == -ENOLINK || r == -ELOOP;
}

/* RFC 5321 4.5.1: mail for it is always taken. Where the tables lead nowhere, it goes on as without them. */
static bool is_postmaster(const struct route_start *s)
{
    return strcmp(s->name, "postmaster") == 0;
}

static void forget_why(const struct walk *w)
{
    g_clear_pointer(&w->route->why, g_free);
}

/* ---- tables ---- */

/* 0 with at least one value; -ENOENT; -EHOSTDOWN. */
static int ask(const struct walk *w, struct table *table, const char *what, const struct route_start *s,
               const char *name, GPtrArray *ret_values)
{
    g_autofree char *why = NULL;
    int r = table_find(table, name, s->domain_name, ret_values, &why);
    if (r == -ENOENT || (r == 0 && ret_values->len == 0))
        return -ENOENT;
    return r == 0 ? 0 : fail(w, r, "%s of %s@%s: %s", what, name, s->domain_name, why);
}

static int find_quota(const struct walk *w, const struct route_start *s, struct mailbox *m)
{
    m->quota = s->domain->options.quota;
    if (s->domain->options.quotas == NULL)
        return 0;
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    int r = ask(w, s->domain->options.quotas, "quota", s, m->name, values);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    const char *text = g_ptr_array_index(values, 0);
    if (pst_parse_size(slice_str(text), UINT64_MAX / 2, &m->quota) < 0)
        return fail(w, -EHOSTDOWN, "quota of %s@%s: \"%s\" is no size", m->name, s->domain_name, text);
    return 0;
}

/* ---- the disk ---- */

struct found {
    uint64_t file_system;
    bool is_half_made; /* there is a directory, but it is no maildir yet */
};

/*
 * What is there but is no maildir yet, or no more: half made, or a link to what is not mounted. That is the
 * operator's to mend, and nobody's mail may bounce for it. A file has never been a maildir.
 */
static int judge_missing(int root, const char *name, struct found *ret_found)
{
    struct disk_stat st;
    int r = disk_stat(root, name, &st);
    if (r < 0)
        return r;
    ret_found->is_half_made = st.type == DISK_DIRECTORY;
    return st.type == DISK_DIRECTORY || st.type == DISK_LINK ? -ENODEV : -ENOENT;
}

/* Both directories that a delivery needs. */
static int find_parts(int root, const char *folder, struct found *ret_found)
{
    char path[2 * MAILBOX_NAME_MAX + sizeof "/./new"];
    (void)snprintf(path, sizeof path, "%s/tmp", folder);
    auto_disk int tmp = disk_open_beneath(root, path);
    if (tmp < 0)
        return tmp;
    (void)snprintf(path, sizeof path, "%s/new", folder);
    auto_disk int new = disk_open_beneath(root, path);
    if (new < 0)
        return new;
    int r = disk_can_sync_all(new, &ret_found->file_system);
    return r == -EOPNOTSUPP ? 0 : r;
}

/* When the whole domain's directory is missing, it is more likely not mounted yet. A folder that is missing
 * is none. */
static int look_for(const struct domain *d, const char *name, char **folder, struct found *ret_found)
{
    auto_disk int root = disk_open_root(d->options.maildirs);
    if (root < 0)
        return root == -ENOENT ? -ENODEV : root;
    int r = find_parts(root, name, ret_found);
    if (r == -ENOENT || r == -ENOTDIR)
        return judge_missing(root, name, ret_found);
    if (r < 0 || *folder == NULL)
        return r;
    g_autofree char *path = g_strconcat(name, "/", *folder, NULL);
    r = find_parts(root, path, ret_found);
    if (r == -ENOENT || r == -ENOTDIR)
        g_clear_pointer(folder, g_free);
    return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

/* Those errors that say something about tables (route.h) are told as another when a disk has them: a link
 * that leads to itself is no alias that does. */
static int error_of_disk(int error)
{
    return error == -ELOOP || error == -ENOLINK || error == -EHOSTDOWN || error == -E2BIG ? -ENODEV : error;
}

/* ---- mailboxes ---- */

static int reach(struct walk *w, const struct route_start *s, struct mailbox *take_mailbox)
{
    auto_ptr(mailbox) m = take_mailbox;
    if (g_hash_table_contains(w->reached, m))
        return 0;
    if (w->route->mailboxes->len == ROUTE_MAILBOXES)
        return fail(w, -E2BIG, "aliases lead to more than %d mailboxes", ROUTE_MAILBOXES);
    int r = find_quota(w, s, m);
    if (r < 0)
        return r;
    (void)g_hash_table_add(w->reached, m);
    g_ptr_array_add(w->route->mailboxes, g_steal_pointer(&m));
    return 0;
}

static struct mailbox *mailbox_new(const struct route_start *s, const char *name, const char *folder)
{
    struct mailbox *m = g_new0(struct mailbox, 1);
    m->domain = s->domain;
    m->name = g_strdup(name);
    m->folder = g_strdup(folder);
    if (strcmp(s->domain->name, s->domain_name) != 0)
        m->subdomain = g_strdup(s->domain_name);
    return m;
}

static int reach_new(struct walk *w, const struct route_start *s, const char *name, unsigned depth)
{
    tell(w, depth, "create", "%s/%s, at its first delivery", s->domain->options.maildirs, name);
    struct mailbox *m = mailbox_new(s, name, NULL);
    m->create = true;
    return reach(w, s, m);
}

/* `folder`, or NULL, is taken if it exists. */
static int reach_existing(struct walk *w, const struct route_start *s, const char *name, const char *folder,
                          bool is_listed, unsigned depth)
{
    const struct domain_options *o = &s->domain->options;
    g_autofree char *found_folder = g_strdup(folder);
    struct found found = { 0 };
    int r = look_for(s->domain, name, &found_folder, &found);
    if (o->create && ((r == -ENOENT && is_listed) || (r == -ENODEV && found.is_half_made)))
        return reach_new(w, s, name, depth);
    if (r == -ENOENT && is_listed)
        r = -ENODEV; /* who is listed has a mailbox; it is only not there yet, or not mounted */
    if (r == -ENOENT) {
        tell(w, depth, "mailbox", "%s: none", name);
        return r;
    }
    if (r < 0) {
        tell(w, depth, "mailbox", "%s/%s: %s", o->maildirs, name, g_strerror(-r));
        return fail(w, error_of_disk(r), "%s/%s: %s", o->maildirs, name, g_strerror(-r));
    }
    struct mailbox *m = mailbox_new(s, name, found_folder);
    m->file_system = found.file_system;
    tell(w, depth, "mailbox", "%s/%s%s%s", o->maildirs, name, found_folder != NULL ? "/" : "",
         found_folder != NULL ? found_folder : "");
    return reach(w, s, m);
}

static int by_mailbox(struct walk *w, const struct route_start *s, const char *name, const char *folder,
                      unsigned depth)
{
    struct table *table = s->domain->options.mailboxes;
    if (table == NULL)
        return reach_existing(w, s, name, folder, false, depth);
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    int r = ask(w, table, "mailbox", s, name, values);
    tell(w, depth, "mailboxes", "%s: %s", name, r == 0 ? "listed" : r == -ENOENT ? "none" : w->route->why);
    if (r < 0)
        return r;
    char mapped[MAILBOX_NAME_MAX + 1];
    const char *value = g_ptr_array_index(values, 0);
    if (mailbox_name(slice_str(value), mapped) < 0)
        return fail(w, -ENOLINK, "mailbox of %s@%s: \"%s\" can be no mailbox's name", name, s->domain_name,
                    value);
    return reach_existing(w, s, mapped, folder, true, depth);
}

/* ---- targets ---- */

/* A local part is one in `domain`; an at in quotes is part of it. */
static int parse_target(const char *text, const char *domain, struct smtp_address *ret_address)
{
    if (smtp_address_parse(slice_str(text), ret_address) == 0)
        return 0;
    g_autofree char *local = g_strdup_printf("%s@%s", text, domain);
    return smtp_address_parse(slice_str(local), ret_address);
}

bool route_accepts_target(const void *router, const char *target, char **ret_expected)
{
    struct smtp_address address;
    struct route_start start;
    bool is_whole = smtp_address_parse(slice_str(target), &address) == 0;
    if (is_whole ? router_start(router, &address, &start) : parse_target(target, "localhost", &address) == 0)
        return true;
    *ret_expected =
        g_strdup(is_whole ? "an address in a domain with a section: mail is not sent on to other servers"
                          : "an address, or its part before the @");
    return false;
}

static int go(struct walk *w, const struct route_start *s, bool asks_aliases, unsigned depth);

/* The mailbox's name in front of a subaddress; 0 when there is none. */
static size_t base_length(const struct route_start *s)
{
    size_t len = strcspn(s->name, s->domain->options.subaddress);
    return s->name[len] != '\0' ? len : 0;
}

static bool is_same(const struct route_start *a, const struct route_start *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->domain_name, b->domain_name) == 0;
}

static bool is_subaddress_of(const struct route_start *a, const struct route_start *b)
{
    size_t len = base_length(a);
    return len > 0 && len == strlen(b->name) && memcmp(a->name, b->name, len) == 0 &&
           strcmp(a->domain_name, b->domain_name) == 0;
}

/* A name among its own targets, or a subaddress of it, is the mailbox itself: for mail to a subaddress
 * (`asked`) of the name, with that. */
static int go_to_target(struct walk *w, const struct route_start *alias, const struct route_start *asked,
                        const char *text, unsigned depth)
{
    struct smtp_address address;
    struct route_start s;
    if (parse_target(text, alias->domain_name, &address) < 0 || !router_start(w->router, &address, &s))
        return fail(w, -ENOLINK, "%s@%s leads to %s, which is no address in a domain of ours", alias->name,
                    alias->domain_name, text);
    if (depth > ROUTE_DEPTH)
        return fail(w, -ELOOP, "aliases of aliases lead to %s@%s, and are more than %d", s.name,
                    s.domain_name, ROUTE_DEPTH);
    tell(w, depth, "address", "%s@%s", *s.name != '\0' ? s.name : text, s.domain_name);
    bool is_itself = is_same(&s, alias) || is_subaddress_of(&s, alias);
    int r = go(w, is_same(&s, alias) ? asked : &s, !is_itself, depth);
    if (r == -ENOENT)
        return fail(w, -ENOLINK, "%s@%s leads to %s, which is no mailbox", alias->name, alias->domain_name,
                    text);
    return r;
}

/* What a target is instead that leads nowhere, so that the others keep theirs. */
static int go_without_alias(struct walk *w, const struct route_start *s, const char *target, unsigned depth)
{
    forget_why(w);
    tell(w, depth, "postmaster", "%s leads nowhere: on as if there were no alias", target);
    return go(w, s, false, depth);
}

static int by_alias(struct walk *w, const struct route_start *s, const char *name, unsigned depth)
{
    struct table *table = s->domain->options.aliases;
    if (table == NULL)
        return -ENOENT;
    g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(g_free);
    int r = ask(w, table, "alias", s, name, targets);
    if (r < 0) {
        tell(w, depth, "alias", "%s: %s", name, r == -ENOENT ? "none" : w->route->why);
        return r;
    }
    struct route_start alias = *s;
    (void)g_strlcpy(alias.name, name, sizeof alias.name);
    for (guint i = 0; i < targets->len && r == 0; i++) {
        const char *target = g_ptr_array_index(targets, i);
        tell(w, depth, "alias", "%s: %s", name, target);
        r = go_to_target(w, &alias, s, target, depth + 1);
        if (is_nowhere(r) && is_postmaster(s))
            r = go_without_alias(w, s, target, depth);
    }
    return r;
}

static int by_subaddress(struct walk *w, const struct route_start *s, bool asks_aliases, unsigned depth)
{
    size_t len = base_length(s);
    if (len == 0)
        return -ENOENT;
    g_autofree char *base = g_strndup(s->name, len);
    char name[MAILBOX_NAME_MAX + 1];
    g_autofree char *folder = NULL;
    if (mailbox_name(slice_str(s->name + len + 1), name) == 0)
        folder = g_strconcat(".", name, NULL);
    if (folder != NULL)
        tell(w, depth, "subaddress", "%s, folder %s if it is there", base, folder);
    else
        tell(w, depth, "subaddress", "%s", base);
    int r = asks_aliases ? by_alias(w, s, base, depth) : -ENOENT;
    return r == -ENOENT ? by_mailbox(w, s, base, folder, depth) : r;
}

static int by_catch_all(struct walk *w, const struct route_start *s, unsigned depth)
{
    const char *target = s->domain->options.catch_all;
    struct smtp_address address;
    struct route_start at;
    if (target == NULL)
        return -ENOENT;
    bool leads_here = parse_target(target, s->domain_name, &address) == 0 &&
                      router_start(w->router, &address, &at) && is_same(s, &at);
    tell(w, depth, "catch-all", "%s%s", target, leads_here ? ": that is this address" : "");
    return leads_here ? -ENOENT : go_to_target(w, s, s, target, depth + 1);
}

/* If there is no list of those who may have one: whoever can be a name. A subaddress makes none. */
static int by_creating(struct walk *w, const struct route_start *s, unsigned depth)
{
    const struct domain_options *o = &s->domain->options;
    if (!o->create || o->mailboxes != NULL)
        return -ENOENT;
    size_t len = base_length(s);
    g_autofree char *name = g_strndup(s->name, len > 0 ? len : strlen(s->name));
    return reach_new(w, s, name, depth);
}

/* There is always one: that of the first domain is made when it gets mail. If that is what led here, it is
 * its mailbox and not its alias. */
static int by_right_of_postmaster(struct walk *w, const struct route_start *s, unsigned depth)
{
    static const struct smtp_address postmaster = { .local_len = sizeof "postmaster" - 1,
                                                    .local = "postmaster" };
    struct route_start first;
    if (!router_start(w->router, &postmaster, &first))
        return -ENOENT;
    forget_why(w);
    if (first.domain == s->domain)
        return reach_new(w, s, s->name, depth);
    tell(w, depth, "postmaster", "that of %s", first.domain_name);
    int r = go(w, &first, true, depth);
    if (r == -ELOOP) {
        forget_why(w);
        r = go(w, &first, false, depth);
    }
    if (r == -ELOOP) {
        forget_why(w);
        r = reach_new(w, &first, first.name, depth);
    }
    return r;
}

static int try_all(struct walk *w, const struct route_start *s, bool asks_aliases, unsigned depth)
{
    if (*s->name == '\0') {
        tell(w, depth, "mailbox", "that can be no mailbox's name");
        return by_catch_all(w, s, depth);
    }
    int r = asks_aliases ? by_alias(w, s, s->name, depth) : -ENOENT;
    if (r == -ENOENT)
        r = by_mailbox(w, s, s->name, NULL, depth);
    if (r == -ENOENT)
        r = by_subaddress(w, s, asks_aliases, depth);
    if (r == -ENOENT)
        r = by_catch_all(w, s, depth);
    if (r == -ENOENT)
        r = by_creating(w, s, depth);
    return is_nowhere(r) && is_postmaster(s) ? by_right_of_postmaster(w, s, depth) : r;
}

/* Each address once; one that leads to itself leads nowhere. One that failed does so each time, as what led
 * to it may be postmaster's, which goes on. */
static int go(struct walk *w, const struct route_start *s, bool asks_aliases, unsigned depth)
{
    g_autofree char *key = g_strdup_printf("%s@%s%s", s->name, s->domain_name, asks_aliases ? "" : " itself");
    void *state = g_hash_table_lookup(w->seen, key);
    if (state == ON_THE_WAY)
        return fail(w, -ELOOP, "%s@%s leads to itself", s->name, s->domain_name);
    if (state == GONE)
        return 0;
    g_hash_table_insert(w->seen, g_strdup(key), ON_THE_WAY);
    int r = try_all(w, s, asks_aliases, depth);
    if (r == 0)
        g_hash_table_insert(w->seen, g_steal_pointer(&key), GONE);
    else
        (void)g_hash_table_remove(w->seen, key);
    return r;
}

static void free_mailbox(void *mailbox)
{
    mailbox_free(mailbox);
}

int route_find(const struct router *r, const struct route_start *start, const struct route_observer *observer,
               struct route *ret_route)
{
    *ret_route = (struct route){ .mailboxes = g_ptr_array_new_with_free_func(free_mailbox) };
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) reached = g_hash_table_new(mailbox_hash, mailbox_equal);
    struct walk w = {
        .router = r, .observer = observer, .route = ret_route, .seen = seen, .reached = reached
    };
    tell(&w, 0, "domain", "%s: [domain %s]", start->domain_name, start->domain->name);
    return go(&w, start, true, 0);
}

void route_clear(struct route *r)
{
    g_clear_pointer(&r->mailboxes, g_ptr_array_unref);
    g_clear_pointer(&r->why, g_free);
}
