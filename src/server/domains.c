#include "server/domains.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/option.h"
#include "delivery/circles.h"
#include "delivery/route.h"
#include "delivery/table.h"

enum over_quota { DEFER, REJECT };
static const char *const over_quota_names[] = { "defer", "reject", NULL };

static const char table_expected[] =
    "the path of a file, or passwd:, sqlite:PATH QUERY, or socket:PATH NAME, see postern-tables(5)";

/* What names of mailboxes may hold besides letters and digits. */
#define SUBADDRESS_CHARACTERS "!#$%&'*+-=?^_`{|}~."
#define SUBADDRESS_EXPECTED   "characters such as + or -, or none"

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(domain_section, field), __VA_ARGS__                                          \
    }

static const struct option_row domain_rows[] = {
    ROW(options.maildirs, .name = "maildirs", .kind = OPTION_TEXT, .required = true,
        .expected = "a directory whose directories are maildirs",
        .sentence =
            "The directory of the domain's maildirs: mail for the mailbox alice goes into the maildir "
            "alice, and a mailbox exists when its maildir does."),
    ROW(aliases, .name = "aliases", .kind = OPTION_TEXT, .expected = table_expected,
        .sentence =
            "A table of aliases: names, and the mailboxes that their mail goes to, in any domain that "
            "has a section. A file that changes is read anew within a second."),
    ROW(mailboxes, .name = "mailboxes", .kind = OPTION_TEXT, .expected = table_expected,
        .sentence = "A table of the mailboxes that there are: names, and those of their maildirs. Without "
                    "it, there are those whose maildirs are there."),
    ROW(options.catch_all, .name = "catch-all", .kind = OPTION_TEXT,
        .expected = "a mailbox such as postmaster, or an address in a domain that has a section",
        .sentence = "Who gets the mail for names that lead nowhere else. Without it, such mail is refused."),
    ROW(options.subaddress, .name = "subaddress", .kind = OPTION_TEXT, .fallback = "+",
        .expected = SUBADDRESS_EXPECTED,
        .sentence = "The characters behind which an address says more than the mailbox's name: mail for "
                    "alice+lists goes to alice, and there into the folder .lists if it exists. With none, "
                    "they are characters like others."),
    ROW(options.create, .name = "create", .kind = OPTION_BOOL, .fallback = "no",
        .sentence =
            "Whether a missing maildir is made when its first message comes: of those in the table of "
            "mailboxes, or without one, of whatever name mail comes for."),
    ROW(options.quota, .name = "quota", .kind = OPTION_SIZE, .fallback = "0",
        .sentence = "How much a mailbox may hold, in octets, counted as Maildir++ has it in the file "
                    "maildirsize. 0 sets no limit."),
    ROW(quotas, .name = "quotas", .kind = OPTION_TEXT, .expected = table_expected,
        .sentence = "A table of the mailboxes with a quota of their own: names, and sizes such as 2G."),
    ROW(over_quota, .name = "over-quota", .kind = OPTION_CHOICE, .fallback = "defer",
        .choices = over_quota_names,
        .sentence = "What is said of mail for a mailbox that has no room for it: defer, to try again (452), "
                    "or reject, that it cannot be (552)."),
};
static const size_t domain_row_count = G_N_ELEMENTS(domain_rows);
const struct config_table domain_tables[] = { { domain_rows, &domain_row_count, 0 } };
const size_t domain_table_count = G_N_ELEMENTS(domain_tables);

/* ---- domains ---- */

static void add_domain(const struct config_section *at, struct router *router, struct diag *d)
{
    const struct domain_section *values = config_section_values(at);
    const char *name = config_section_name(at);
    struct domain_options options = values->options;
    options.refuse_over_quota = values->over_quota == REJECT;
    options.catch_all_at = config_key_origin(at, "catch-all");
    if (g_strcmp0(options.subaddress, "none") == 0)
        options.subaddress = "";
    if (options.subaddress[strspn(options.subaddress, SUBADDRESS_CHARACTERS)] != '\0')
        diag_add(d, config_key_origin(at, "subaddress"), "subaddress = %s: expected " SUBADDRESS_EXPECTED,
                 options.subaddress);
    int r = router_add_domain(router, name, &options);
    if (r == -EEXIST)
        diag_add(
            d, config_section_origin(at),
            "[domain %s] is there already; expected it once (case does not count, nor whether labels are "
            "in UTF-8)",
            name);
    else if (r < 0)
        diag_add(d, config_section_origin(at),
                 "[domain %s]: expected a domain name such as example.org, *.example.org for all beneath it, "
                 "or * for all others",
                 name);
}

/* Who catches all leaves nobody to make a maildir for. */
static void check_domain(const struct config_section *at, const struct router *router, struct diag *d)
{
    const struct domain_section *values = config_section_values(at);
    const char *target = values->options.catch_all;
    g_autofree char *expected = NULL;
    if (target != NULL && !route_accepts_target(router, target, &expected))
        diag_add(d, config_key_origin(at, "catch-all"), "catch-all = %s: expected %s", target, expected);
    if (target != NULL && values->options.create && values->mailboxes == NULL)
        diag_add(
            d, config_key_origin(at, "create"),
            "create = yes beside catch-all makes no maildir; expected mailboxes = TABLE, or one of the two");
}

/* ---- tables ---- */

static bool accepts_quota(const void *owner, const char *value, char **ret_expected)
{
    (void)owner;
    uint64_t octets;
    if (pst_parse_size(slice_str(value), UINT64_MAX / 2, &octets) == 0)
        return true;
    *ret_expected = g_strdup("a size such as 2G");
    return false;
}

static bool accepts_name(const void *owner, const char *value, char **ret_expected)
{
    (void)owner;
    char name[MAILBOX_NAME_MAX + 1];
    if (mailbox_name(slice_str(value), name) == 0)
        return true;
    *ret_expected = g_strdup("the name of a maildir");
    return false;
}

struct opening {
    GPtrArray *tables;
    GHashTable *by_spec; /* "key=spec" to struct table, or NULL if it is broken: one that several name */
    struct diag *problems;
};

static struct table *open_table(struct opening *o, const struct config_section *at, const char *key,
                                const char *spec, const struct table_rules *rules)
{
    if (spec == NULL)
        return NULL;
    g_autofree char *id = g_strconcat(key, "=", spec, NULL);
    void *known;
    if (g_hash_table_lookup_extended(o->by_spec, id, NULL, &known))
        return known;
    struct table *table = table_open(spec, rules, config_key_origin(at, key), o->problems);
    if (table != NULL)
        g_ptr_array_add(o->tables, table);
    g_hash_table_insert(o->by_spec, g_steal_pointer(&id), table);
    return table;
}

static void open_tables(struct opening *o, const struct config_section *at, struct router *router)
{
    static const struct table_rules names = { .accepts = accepts_name };
    static const struct table_rules sizes = { .accepts = accepts_quota };
    const struct table_rules targets = { .accepts = route_accepts_target, .owner = router, .follows = true };
    const struct domain_section *values = config_section_values(at);
    struct domain *domain = router_find_domain(router, config_section_name(at));
    if (domain == NULL)
        return; /* told already */
    domain->options.aliases = open_table(o, at, "aliases", values->aliases, &targets);
    domain->options.mailboxes = open_table(o, at, "mailboxes", values->mailboxes, &names);
    domain->options.quotas = open_table(o, at, "quotas", values->quotas, &sizes);
}

void domains_take(const struct config *c, struct router *router, GPtrArray *tables, struct diag *problems)
{
    const struct config_section *at = NULL;
    while ((at = config_next(c, "domain", at)) != NULL)
        add_domain(at, router, problems);
    g_autoptr(GHashTable) by_spec = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    struct opening o = { tables, by_spec, problems };
    while ((at = config_next(c, "domain", at)) != NULL) {
        check_domain(at, router, problems);
        open_tables(&o, at, router); /* which want to know all domains */
    }
    circles_find(router, NULL, problems);
}

/* Of a file or a database; NULL: of none. */
static char *path_of(const char *spec)
{
    if (spec == NULL || g_str_has_prefix(spec, "passwd:") || g_str_has_prefix(spec, "socket:"))
        return NULL;
    if (!g_str_has_prefix(spec, "sqlite:"))
        return g_strdup(spec);
    spec += strlen("sqlite:");
    return g_strndup(spec, strcspn(spec, " \t"));
}

void domains_check_access(const struct config *c, const char *whom, struct diag *problems)
{
    for (const struct config_section *at = NULL; (at = config_next(c, "domain", at)) != NULL;) {
        const struct domain_section *values = config_section_values(at);
        const struct {
            const char *key, *spec;
        } tables[] = { { "aliases", values->aliases },
                       { "mailboxes", values->mailboxes },
                       { "quotas", values->quotas } };
        for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
            g_autofree char *path = path_of(tables[i].spec);
            if (path != NULL && faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
                diag_add(problems, config_key_origin(at, tables[i].key),
                         "%s: %s: %s%s; expected what the server's user can read", tables[i].key, path,
                         g_strerror(errno), whom);
        }
    }
}
