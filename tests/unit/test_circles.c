/*
 * Where the aliases of all domains lead together: rows of domains, with their tables in files of the
 * simulated disk, and what is told of them; and what happens when a file changes.
 */
#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "delivery/circles.h"
#include "delivery/route.h"
#include "delivery/table.h"
#include "delivery/table_content.h"
#include "delivery/tables.h"
#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "table_rig.h"

enum { DOMAINS_MAX = 3 };

/* Its tables are the files NAME.a and NAME.m in /t. */
struct domain_row {
    const char *name;
    const char *aliases,
        *mailboxes; /* what the files say; or a spec with a colon; or "=NAME": the same as there */
    const char *catch_all, *subaddress;
    bool create;
};

/* ---- a world ---- */

struct world {
    struct router *router;
    GPtrArray *tables;
    GHashTable *by_path;
    int64_t now_us;
};

static void free_table(void *table)
{
    table_free(table);
}

static void put(struct world *w, const char *name, const char *content)
{
    auto_disk int dir = disk_open_root("/t");
    (void)disk_unlink(dir, name);
    auto_disk int fd = disk_create(dir, name);
    struct slice part = slice_str(content);
    assert_int_equal(disk_append(fd, &part, 1), 0);
    w->now_us += DISK_SETTLED_US + 1;
    disk_sim_set_time(w->now_us);
}

static struct table *open_table(struct world *w, const char *name, const char *text, bool follows)
{
    const struct table_rules rules = { .follows = follows };
    if (text == NULL)
        return NULL;
    if (*text == '=')
        return g_hash_table_lookup(w->by_path, text + 1);
    bool is_spec = strchr(text, ':') != NULL && g_str_has_prefix(text, "socket:");
    g_autofree char *path = g_build_filename("/t", name, NULL);
    if (!is_spec)
        put(w, name, text);
    struct table *t = rig_open(is_spec ? text : path, &rules);
    g_ptr_array_add(w->tables, t);
    g_hash_table_insert(w->by_path, g_strdup(name), t);
    return t;
}

static void add_domain(struct world *w, const struct domain_row *d)
{
    g_autofree char *aliases = g_strconcat(d->name, ".a", NULL);
    g_autofree char *mailboxes = g_strconcat(d->name, ".m", NULL);
    g_autofree char *maildirs = g_strconcat("/mail/", d->name, NULL);
    const struct domain_options options = {
        .maildirs = maildirs,
        .aliases = open_table(w, aliases, d->aliases, true),
        .mailboxes = open_table(w, mailboxes, d->mailboxes, false),
        .catch_all = d->catch_all,
        .catch_all_at = { "conf", 7 },
        .subaddress = d->subaddress != NULL ? d->subaddress : "+",
        .create = d->create,
    };
    assert_int_equal(router_add_domain(w->router, d->name, &options), 0);
}

/* There are the mailboxes alice, bob and a+b in example.org and alice in example.net. */
static void world_init(struct world *w, const struct domain_row domains[DOMAINS_MAX])
{
    disk_sim_reset(1);
    disk_sim_mkdir_all("/t");
    disk_sim_mkdir_all("/mail/example.org/alice");
    disk_sim_mkdir_all("/mail/example.org/bob");
    disk_sim_mkdir_all("/mail/example.org/a+b");
    disk_sim_mkdir_all("/mail/example.net/alice");
    *w = (struct world){ .router = router_new(),
                         .tables = g_ptr_array_new_with_free_func(free_table),
                         .by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                         .now_us = INT64_C(1795296824) * 1000000 };
    disk_sim_set_time(w->now_us);
    for (size_t i = 0; i < DOMAINS_MAX && domains[i].name != NULL; i++)
        add_domain(w, &domains[i]);
}

static void world_clear(struct world *w)
{
    assert_int_equal(disk_sim_open_descriptors(), 0);
    router_free(w->router);
    g_hash_table_unref(w->by_path);
    g_ptr_array_unref(w->tables);
}

/* ---- rows ---- */

#define END       "; expected each to end at mailboxes"
#define NO_CIRCLE ""

static const struct row {
    const char *name;
    struct domain_row domains[DOMAINS_MAX];
    const char *want;  /* problems, each with a newline between */
    bool on_disk;      /* the disk is asked, too; */
    const char *notes; /* and what is noted then */
} rows[] = {
    /* in one file */
    { "no aliases", { { "example.org" } }, NO_CIRCLE },
    { "aliases of aliases", { { "example.org", "a: b, c\nb: c, d\nc: d, e\n" } }, NO_CIRCLE },
    { "a circle of two",
      { { "example.org", "alice: bob\nbob: alice\n" } },
      "/t/example.org.a:1: a circle: alice -> bob -> alice" END },
    { "a circle of three, in another order",
      { { "example.org", "# c\nc: a\na: x, b\n\nb: c, y\n" } },
      "/t/example.org.a:2: a circle: c -> a -> b -> c" END },
    { "whatever the case",
      { { "example.org", "alice: BOB\nBob: Alice\n" } },
      "/t/example.org.a:1: a circle: alice -> BOB -> Alice" END },
    { "of quoted names",
      { { "example.org", "alice: \"b\\ob\"\nbob: \"alice\"\n" } },
      "/t/example.org.a:1: a circle: alice -> \"b\\ob\" -> \"alice\"" END },
    { "a way into a circle is no part of it",
      { { "example.org", "x: a\na: b\nb: a\n" } },
      "/t/example.org.a:2: a circle: a -> b -> a" END },
    { "a name among its own targets", { { "example.org", "alice: alice, bob\n" } }, NO_CIRCLE },
    { "a name by its address among its own targets",
      { { "example.org", "alice: Alice@Example.ORG, bob\n" } },
      NO_CIRCLE },
    { "a subaddress of a name among its own targets",
      { { "example.org", "alice: alice+lists\n" } },
      NO_CIRCLE },
    { "a subaddress among its name's targets, with an alias of its own",
      { { "example.org", "alice: alice+x\nalice+x: alice\n" } },
      NO_CIRCLE },
    { "in the other order",
      { { "example.org", "alice+x: alice\nalice: bob, Alice+X@example.org\n" } },
      NO_CIRCLE },
    { "a subaddress of the same name elsewhere is another",
      { { "example.org", "alice: alice+x@example.net\n" },
        { "example.net", "alice+x: alice@example.org\n" } },
      "/t/example.org.a:1: a circle: alice -> alice+x@example.net -> alice@example.org" END },
    { "a subaddress of another name, with an alias of its own",
      { { "example.org", "alice: bob+x\nbob: bob\nbob+x: alice\n" } },
      "/t/example.org.a:1: a circle: alice -> bob+x -> alice" END },
    { "no subaddress, as there are none",
      { { "example.org", "alice: alice+x\nalice+x: alice\n", .subaddress = "" } },
      "/t/example.org.a:1: a circle: alice -> alice+x -> alice" END },
    { "a name among its own targets does not excuse a circle",
      { { "example.org", "alice: alice, bob\nbob: alice\n" } },
      "/t/example.org.a:1: a circle: alice -> bob -> alice" END },
    { "two circles that share a name",
      { { "example.org", "a: b, c\nb: a\nc: a\n" } },
      "/t/example.org.a:1: a circle: a -> b -> a" END "\n/t/example.org.a:1: a circle: a -> c -> a" END },
    { "two circles",
      { { "example.org", "a: b\nb: a\nc: d\nd: c\n" } },
      "/t/example.org.a:1: a circle: a -> b -> a" END "\n/t/example.org.a:3: a circle: c -> d -> c" END },
    { "a large circle is not told in full",
      { { "example.org", "a: b\nb: c\nc: d\nd: e\ne: f\nf: g\ng: h\nh: i\ni: j\nj: a\n" } },
      "/t/example.org.a:1: a circle: a -> b -> c -> d -> e -> f -> g -> h -> i -> ... (2 more)" END },

    /* whole addresses, and other files */
    { "by an address in the same domain",
      { { "example.org", "alice: bob@example.org\nbob: alice\n" } },
      "/t/example.org.a:1: a circle: alice -> bob@example.org -> alice" END },
    { "by addresses in the same domain, in any spelling",
      { { "example.org", "x: y@EXAMPLE.org\ny: \"z\"@example.org\nz: X@Example.Org\n" } },
      "/t/example.org.a:1: a circle: x -> y@EXAMPLE.org -> \"z\"@example.org -> X@Example.Org" END },
    { "by another domain's file",
      { { "example.org", "alice: bob@example.net\n" },
        { "example.net", "# c\nbob: carol\ncarol: alice@example.org\n" } },
      "/t/example.org.a:1: a circle: alice -> bob@example.net -> carol -> alice@example.org" END },
    { "by three domains' files",
      { { "example.org", "a: a@example.net\n" },
        { "example.net", "a: a@example.com\n" },
        { "example.com", "a: a@example.org\n" } },
      "/t/example.org.a:1: a circle: a -> a@example.net -> a@example.com -> a@example.org" END },
    { "there and back to another name is none",
      { { "example.org", "a: b@example.net\nc: d\n" }, { "example.net", "b: c@example.org\n" } },
      NO_CIRCLE },
    { "one file of two domains",
      { { "example.org", "a: b\nb: c\n" }, { "example.net", "=example.org.a" } },
      NO_CIRCLE },
    { "one file of two domains, whose names are other ones in each",
      { { "example.org", "a: a@example.net\n" }, { "example.net", "=example.org.a" } },
      NO_CIRCLE },
    { "one file of two domains, and a circle through both",
      { { "example.org", "a: b@example.net\nb: a@example.org\n" }, { "example.net", "=example.org.a" } },
      "/t/example.org.a:1: a circle: a -> b@example.net -> a@example.org" END },
    { "one file of two domains, and a circle in the second alone",
      { { "example.org", "x: a@example.net\na: b\nb: c\nc: alice, a@example.net\n" },
        { "example.net", "=example.org.a" } },
      "/t/example.org.a:2: a circle: a -> b -> c -> a@example.net" END },
    { "in a domain for all beneath",
      { { "*.example.org", "a: b@x.example.org\nb: a@y.example.org\n" } },
      "/t/*.example.org.a:1: a circle: a -> b@x.example.org -> a@y.example.org" END },
    { "in a domain for all beneath, a name that leads to one elsewhere",
      { { "*.example.org", "a: a@x.example.org\n" } },
      NO_CIRCLE },
    { "a domain that has no file",
      { { "example.org", "a: b@example.net\n" }, { "example.net" } },
      NO_CIRCLE },
    { "a domain that is asked elsewhere",
      { { "example.org", "a: b@example.net\n" }, { "example.net", "socket:/none aliases" } },
      NO_CIRCLE },

    /* subaddresses */
    { "by a subaddress",
      { { "example.org", "alice: bob+x\nbob: alice+y@example.org\n" } },
      "/t/example.org.a:1: a circle: alice -> bob+x -> alice+y@example.org" END },
    { "a subaddress that is an alias itself",
      { { "example.org", "alice: bob+x\nbob+x: carol\nbob: alice\n" } },
      NO_CIRCLE },
    { "a subaddress of nobody", { { "example.org", "alice: bob+x\n" } }, NO_CIRCLE },
    { "no subaddresses", { { "example.org", "alice: bob+x\nbob: alice\n", .subaddress = "" } }, NO_CIRCLE },
    { "a subaddress that is a mailbox, as its table says",
      { { "example.org", "c: a+b\na: c\n", .mailboxes = "a+b: x\n" } },
      NO_CIRCLE },
    { "a subaddress that is no mailbox, as its table says",
      { { "example.org", "c: a+b\na: c\n", .mailboxes = "x: x\n" } },
      "/t/example.org.a:1: a circle: c -> a+b -> c" END },

    /* catch-alls */
    { "a catch-all to somebody", { { "example.org", "info: bob\n", .catch_all = "info" } }, NO_CIRCLE },
    { "by a catch-all, of whom the table of mailboxes leaves out",
      { { "example.org", "# c\ninfo: gone\n", .mailboxes = "bob: bob\n", .catch_all = "info" } },
      "/t/example.org.a:2: a circle: info -> gone -> (catch-all) info" END },
    { "by a catch-all, but that one has a mailbox",
      { { "example.org", "info: bob\n", .mailboxes = "bob: bob\n", .catch_all = "info" } },
      NO_CIRCLE },
    { "a catch-all to nobody is none",
      { { "example.org", .mailboxes = "bob: bob\n", .catch_all = "gone" } },
      NO_CIRCLE },
    { "two catch-alls to nobody in each other's domain",
      { { "example.org", .mailboxes = "bob: bob\n", .catch_all = "x@example.net" },
        { "example.net", .mailboxes = "bob: bob\n", .catch_all = "y@example.org" } },
      "conf:7: a circle: catch-all of example.org -> (catch-all) x@example.net -> (catch-all) "
      "y@example.org" END },
    { "by a catch-all of a subaddress",
      { { "example.org", "info: gone+x\n", .mailboxes = "bob: bob\n", .catch_all = "info" } },
      "/t/example.org.a:1: a circle: info -> gone+x -> (catch-all) info" END },
    { "a catch-all that would be asked of the disk",
      { { "example.org", "info: gone\n", .catch_all = "info" } },
      NO_CIRCLE },
    { "a catch-all whose mailboxes are asked elsewhere",
      { { "example.org", "info: gone\n", .mailboxes = "socket:/none mailboxes", .catch_all = "info" } },
      NO_CIRCLE },
    { "a name among its own targets that has no mailbox",
      { { "example.org", "info: info\nbob: info\n", .mailboxes = "alice: alice\n", .catch_all = "bob" } },
      "/t/example.org.a:1: a circle: info -> info -> (catch-all) bob -> info" END },
    { "postmaster's home leads back",
      { { "example.org", "postmaster: postmaster@example.net\n" },
        { "example.net", .mailboxes = "bob: bob\n" } },
      "/t/example.org.a:1: a circle: postmaster -> postmaster@example.net" END },

    /* on the disk */
    { "disk: a catch-all's target that is nobody's",
      { { "example.org", "info: gone\n", .catch_all = "info" } },
      "/t/example.org.a:1: a circle: info -> gone -> (catch-all) info" END,
      true },
    { "disk: a catch-all's target that is somebody's",
      { { "example.org", "info: bob\n", .catch_all = "info" } },
      NO_CIRCLE,
      true },
    { "disk: a subaddress that is a mailbox", { { "example.org", "c: a+b\na: c\n" } }, NO_CIRCLE, true },
    { "disk: targets that are there",
      { { "example.org", "info: alice, bob+x, alice@example.net\n" }, { "example.net" } },
      NO_CIRCLE,
      true },
    { "disk: targets that are nowhere",
      { { "example.org", "info: alice, gone\n\nstaff: bob@example.net\n" }, { "example.net" } },
      NO_CIRCLE,
      true,
      "/t/example.org.a:1: note: info -> gone: there is no such mailbox; mail that would go there waits with "
      "its senders\n"
      "/t/example.org.a:3: note: staff -> bob@example.net: there is no such mailbox; mail that would go "
      "there waits with its senders" },
    { "disk: a catch-all to nowhere",
      { { "example.org", .catch_all = "gone" } },
      NO_CIRCLE,
      true,
      "conf:7: note: catch-all of example.org -> gone: there is no such mailbox; mail that would go there "
      "waits with its "
      "senders" },
    { "disk: what is made when it comes",
      { { "example.org", "info: gone\n", .create = true } },
      NO_CIRCLE,
      true },
    { "disk: who has a mailbox in any case", { { "example.org", "info: postmaster\n" } }, NO_CIRCLE, true },
    { "disk: a subaddress among its name's targets that has no mailbox",
      { { "example.org", "nn: nn+x\nnn+x: bob\n" } },
      NO_CIRCLE,
      true,
      "/t/example.org.a:1: note: nn -> nn+x: there is no such mailbox; mail that would go there waits with "
      "its "
      "senders" },
    { "disk: a subaddress among its name's targets that has one",
      { { "example.org", "bob: bob+x\nbob+x: alice\n" } },
      NO_CIRCLE,
      true },
    { "disk: postmaster's target that is nowhere",
      { { "example.org", "PostMaster: gone\n" } },
      NO_CIRCLE,
      true,
      "/t/example.org.a:1: note: postmaster -> gone: there is no such mailbox; mail that would go there goes "
      "to postmaster's own" },
    { "disk: a directory that is not there", { { "example.com", "info: bob\n" } }, NO_CIRCLE, true },
    { "disk: what is asked elsewhere",
      { { "example.org", "info: gone\n", .mailboxes = "socket:/none m" } },
      NO_CIRCLE,
      true },
};

static void check_text(const struct diag *d, const char *want)
{
    g_autofree char *got = rig_problems(d);
    assert_string_equal(got, want);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    struct world w;
    world_init(&w, row->domains);
    auto_val(diag) problems = { NULL }, notes = { NULL };
    if (row->on_disk)
        circles_find_on_disk(w.router, &problems, &notes);
    else
        circles_find(w.router, NULL, &problems);
    check_text(&problems, row->want);
    check_text(&notes, row->notes != NULL ? row->notes : "");
    world_clear(&w);
}

/* ---- chains, and how much is told ---- */

/* n0: n1, n1: n2 and so on; the last one's is as told. */
static char *chain(unsigned count, const char *last)
{
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i + 1 < count; i++)
        g_string_append_printf(text, "n%u: n%u\n", i, i + 1);
    g_string_append_printf(text, "n%u: %s\n", count - 1, last);
    return g_string_free(text, FALSE);
}

static char *problems_of(const struct domain_row domains[DOMAINS_MAX])
{
    struct world w;
    world_init(&w, domains);
    auto_val(diag) problems = { NULL };
    circles_find(w.router, NULL, &problems);
    world_clear(&w);
    return rig_problems(&problems);
}

static void check_problems(const struct domain_row domains[DOMAINS_MAX], const char *want)
{
    g_autofree char *got = problems_of(domains);
    assert_string_equal(got, want);
}

static void chains_have_an_end(void **state)
{
    (void)state;
    g_autofree char *longest = chain(ROUTE_DEPTH, "alice"), *longer = chain(ROUTE_DEPTH + 1, "alice");
    g_autofree char *over = chain(ROUTE_DEPTH, "more@example.net"), *catching = chain(ROUTE_DEPTH, "gone");
    check_problems((struct domain_row[DOMAINS_MAX]){ { "example.org", longest } }, "");
    check_problems((struct domain_row[DOMAINS_MAX]){ { "example.org", longer } },
                   "/t/example.org.a:1: n0 leads on over more than 16 aliases of aliases; expected fewer");
    check_problems((struct domain_row[DOMAINS_MAX]){ { "example.org", over }, { "example.net" } }, "");
    check_problems(
        (struct domain_row[DOMAINS_MAX]){ { "example.org", over }, { "example.net", "more: alice\n" } },
        "/t/example.org.a:1: n0 leads on over more than 16 aliases of aliases; expected fewer");
    check_problems((struct domain_row[DOMAINS_MAX]){ { "example.org", catching, .mailboxes = "alice: alice\n",
                                                       .catch_all = "alice" } },
                   "/t/example.org.a:1: n0 leads on over more than 16 aliases of aliases; expected fewer");
}

/* route.h agrees: the longest one leads somewhere, and one more does not. */
static void routes_have_the_same_end(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        g_autofree char *text = chain(ROUTE_DEPTH + more, "alice");
        struct world w;
        world_init(&w, (struct domain_row[DOMAINS_MAX]){ { "example.org", text } });
        disk_sim_mkdir_all("/mail/example.org/alice/tmp");
        disk_sim_mkdir_all("/mail/example.org/alice/new");
        struct smtp_address address;
        struct route_start start;
        auto_val(route) route = { NULL };
        assert_int_equal(smtp_address_parse(slice_str("n0@example.org"), &address), 0);
        assert_true(router_start(w.router, &address, &start));
        assert_int_equal(route_find(w.router, &start, NULL, &route), more == 0 ? 0 : -ELOOP);
        world_clear(&w);
    }
}

enum { MANY = 50000 };

/* As long as the file, which recursion or a search from each name anew would not survive. */
static void the_longest_chain(void **state)
{
    (void)state;
    g_autofree char *text = chain(MANY, "alice");
    check_problems(
        (struct domain_row[DOMAINS_MAX]){ { "example.org", text } },
        "/t/example.org.a:49984: n49983 leads on over more than 16 aliases of aliases; expected fewer");
}

/* Each name closes a circle that is as long as the way to it: telling each would take the square of that. */
static void many_circles(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < MANY; i++)
        g_string_append_printf(text, "n%u: n%u@example.org, n0\n", i, i + 1);
    g_autofree char *got = problems_of((struct domain_row[DOMAINS_MAX]){ { "example.org", text->str } });
    g_auto(GStrv) lines = g_strsplit(got, "\n", -1);
    assert_int_equal(g_strv_length(lines), TABLE_PROBLEMS_MAX + 1);
    /* One for each name but the first, and that the chain is too long. */
    assert_true(g_str_has_prefix(lines[0], "/t/example.org.a:1: a circle: n0 -> n1@example.org -> n2@"));
    g_autofree char *rest = g_strdup_printf("aliases: and %d more problems", MANY - TABLE_PROBLEMS_MAX);
    assert_string_equal(lines[TABLE_PROBLEMS_MAX], rest);
}

/* ---- files that change ---- */

static void check_refresh(struct world *w, bool want, const char *want_problems)
{
    auto_val(diag) problems = { NULL };
    assert_int_equal(tables_refresh(w->router, w->tables, &problems), want);
    check_text(&problems, want_problems);
}

static void check_target(const struct world *w, const char *path, const char *name, const char *want)
{
    rig_check(g_hash_table_lookup(w->by_path, path), name, want);
}

static const struct domain_row two_domains[DOMAINS_MAX] = { { "example.org", "a: alice\n" },
                                                            { "example.net", "b: a@example.org\n" } };
#define CIRCLE "/t/example.org.a:2: a circle: a -> b@example.net -> a@example.org" END

static void what_would_close_a_circle_is_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, two_domains);
    check_refresh(&w, false, "");
    put(&w, "example.org.a", "# c\na: b@example.net\n");
    check_refresh(&w, false, CIRCLE);
    check_target(&w, "example.org.a", "a", "alice");
    check_refresh(&w, false, ""); /* told once */
    put(&w, "example.org.a", "a: bob\n");
    check_refresh(&w, true, "");
    check_target(&w, "example.org.a", "a", "bob");
    world_clear(&w);
}

static void it_is_told_at_the_lines_that_are_new(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, (struct domain_row[DOMAINS_MAX]){ { "example.org", "a: b@example.net\n" },
                                                     { "example.net", "b: alice\n" } });
    put(&w, "example.net.a", "# c\n\nb: a@example.org\n");
    check_refresh(&w, false, "/t/example.net.a:3: a circle: b -> a@example.org -> b@example.net" END);
    check_target(&w, "example.net.a", "b", "alice");
    world_clear(&w);
}

static void what_was_refused_is_used_once_it_fits(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, two_domains);
    put(&w, "example.org.a", "# c\na: b@example.net\n");
    check_refresh(&w, false, CIRCLE);
    put(&w, "example.net.a", "b: alice\n");
    check_refresh(&w, true, "");
    check_target(&w, "example.org.a", "a", "b@example.net");
    check_target(&w, "example.net.a", "b", "alice");
    world_clear(&w);
}

/* Whichever is looked at first. */
static void those_that_change_together_are_looked_at_together(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, two_domains);
    put(&w, "example.org.a", "a: b@example.net\n");
    put(&w, "example.net.a", "b: bob@example.org\n");
    check_refresh(&w, true, "");
    check_target(&w, "example.org.a", "a", "b@example.net");
    put(&w, "example.net.a", "b: a@example.org\n");
    put(&w, "example.org.a", "a: alice\n");
    check_refresh(&w, true, "");
    check_target(&w, "example.net.a", "b", "a@example.org");
    world_clear(&w);
}

static void one_that_is_refused_holds_up_no_other(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, two_domains);
    put(&w, "example.org.a", "# c\na: b@example.net\n");
    put(&w, "example.net.a", "b: a@example.org\nnew: bob@example.org\n");
    check_refresh(&w, true, CIRCLE);
    check_target(&w, "example.org.a", "a", "alice");
    check_target(&w, "example.net.a", "new", "bob@example.org");
    world_clear(&w);
}

/* Who is no mailbox any more gets the catch-all's way. */
static void a_table_of_mailboxes_may_close_a_circle(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, (struct domain_row[DOMAINS_MAX]){
                       { "example.org", "info: bob\n", .mailboxes = "bob: bob\n", .catch_all = "info" } });
    put(&w, "example.org.m", "alice: alice\n");
    check_refresh(&w, false, "/t/example.org.a:1: a circle: info -> bob -> (catch-all) info" END);
    check_target(&w, "example.org.m", "bob", "bob");
    put(&w, "example.org.a", "info: alice\n");
    check_refresh(&w, true, "");
    check_target(&w, "example.org.m", "bob", "none");
    world_clear(&w);
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = {
    { "chains have an end", chains_have_an_end },
    { "chains: routes have the same end", routes_have_the_same_end },
    { "chains: the longest", the_longest_chain },
    { "many circles", many_circles },
    { "refresh: what would close a circle is refused", what_would_close_a_circle_is_refused },
    { "refresh: it is told at the lines that are new", it_is_told_at_the_lines_that_are_new },
    { "refresh: what was refused is used once it fits", what_was_refused_is_used_once_it_fits },
    { "refresh: those that change together are looked at together",
      those_that_change_together_are_looked_at_together },
    { "refresh: one that is refused holds up no other", one_that_is_refused_holds_up_no_other },
    { "refresh: a table of mailboxes may close a circle", a_table_of_mailboxes_may_close_a_circle },
};

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery/circles");
    suite_add_rows(s, rows, check_row);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(s, cases[i].name, cases[i].run, NULL);
    return suite_run(s, argc, argv);
}
