/*
 * From an address to mailboxes: rows of domains, with their tables in files of the simulated disk, an
 * address, and what comes of it, step by step. And each of them on a disk that fails.
 */
#include "test_route.h"

#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "address.h"
#include "delivery/route.h"
#include "delivery/table.h"
#include "disk/disk_sim.h"

/* ---- domains ---- */

struct world {
    struct router *router;
    GPtrArray *tables;
};

static void free_table(void *table)
{
    table_free(table);
}

/* Its values are not looked at before they are used: what the router does with those that are wrong, and with
 * circles, is what is tested here. */
static struct table *open_table(struct world *w, const char *text)
{
    static const struct table_rules rules = { 0 };
    if (text == NULL)
        return NULL;
    auto_val(diag) problems = { 0 };
    g_autofree char *path = g_strdup_printf("/tables/%u", w->tables->len);
    bool is_spec = g_str_has_prefix(text, "socket:");
    if (!is_spec)
        disk_sim_write_file(path, slice_str(text));
    struct table *t = table_open(is_spec ? text : path, &rules, (struct origin){ "test", 1 }, &problems);
    diag_print(&problems, stderr);
    assert_non_null(t);
    g_ptr_array_add(w->tables, t);
    return t;
}

static void add_domain(struct world *w, const struct route_domain *c)
{
    g_autofree char *maildirs = g_strconcat("/mail/", c->name, NULL);
    const struct domain_options options = {
        .maildirs = maildirs,
        .aliases = open_table(w, c->aliases),
        .mailboxes = open_table(w, c->mailboxes),
        .quotas = open_table(w, c->quotas),
        .catch_all = c->catch_all,
        .subaddress = c->subaddress != NULL ? c->subaddress : "+",
        .quota = c->quota,
        .create = c->create,
    };
    assert_int_equal(router_add_domain(w->router, c->name, &options), 0);
}

static void make_maildirs(void)
{
    static const char *const directories[] = {
        "/mail/example.org/alice/new",
        "/mail/example.org/alice/.lists/new",
        "/mail/example.org/alice/.lists.2024/new",
        "/mail/example.org/alice/.half/tmp",
        "/mail/example.org/bob/new",
        "/mail/example.org/bob/.lists/new",
        "/mail/example.org/a+b/new",
        "/mail/example.org/1001/new",
        "/mail/example.org/1001/.lists/new",
        "/mail/example.org/pel\u00e9/new",
        "/mail/example.org/no-new/tmp",
        "/mail/example.org/new-is-file/tmp",
        "/mail/example.org/linked-new/tmp",
        "/mail/example.org/round-new/tmp",
        "/mail/example.net/alice/new",
        "/mail/example.net/dave/new",
        "/mail/example.net/postmaster/new",
        "/mail/*.example.org/alice/new",
        "/mail/*.a.example.org/alice/new",
        "/mail/*/alice/new",
        "/mail/empty.example",
        "/mail/other/eve/new",
        "/tables",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *parent = g_path_get_dirname(directories[i]);
        g_autofree char *tmp = g_strconcat(parent, "/tmp", NULL);
        if (g_str_has_suffix(directories[i], "/new"))
            disk_sim_mkdir_all(tmp);
        disk_sim_mkdir_all(directories[i]);
    }
    disk_sim_write_file("/mail/example.org/file", slice_str("x"));
    disk_sim_write_file("/mail/example.org/alice/.file", slice_str("x"));
    disk_sim_write_file("/mail/example.org/new-is-file/new", slice_str("x"));
    disk_sim_symlink("/mail/example.org/inside", "alice");
    disk_sim_symlink("/mail/example.org/dangling", "gone");
    disk_sim_symlink("/mail/example.org/outside", "../other/eve");
    disk_sim_symlink("/mail/example.org/absolute", "/mail/other/eve");
    disk_sim_symlink("/mail/example.org/linked-new/new", "../../other/eve/new");
    disk_sim_symlink("/mail/example.org/alice/.outside", "../../other/eve");
    disk_sim_symlink("/mail/example.org/round", "round");
    disk_sim_symlink("/mail/example.org/round-new/new", "new");
    disk_sim_symlink("/mail/example.org/alice/.round", ".round");
    disk_sim_symlink("/mail/round.example", "round.example");
    disk_sim_special("/mail/example.org/fifo");
}

static void world_init(struct world *w, const struct route_domain domains[ROUTE_DOMAINS_MAX])
{
    disk_sim_reset(1);
    make_maildirs();
    *w = (struct world){ router_new(), g_ptr_array_new_with_free_func(free_table) };
    for (size_t i = 0; i < ROUTE_DOMAINS_MAX && domains[i].name != NULL; i++)
        add_domain(w, &domains[i]);
}

static void world_clear(struct world *w)
{
    assert_int_equal(disk_sim_open_descriptors(), 0);
    router_free(w->router);
    g_ptr_array_unref(w->tables);
}

/* ---- routes ---- */

static void keep_step(void *owner, unsigned depth, const char *step, const char *result)
{
    g_string_append_printf(owner, "%u %s %s\n", depth, step, result);
}

static char *mailboxes_text(const GPtrArray *mailboxes)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < mailboxes->len; i++) {
        const struct mailbox *m = g_ptr_array_index(mailboxes, i);
        g_string_append_printf(text, "%s/%s", m->domain->name, m->name);
        if (m->folder != NULL)
            g_string_append_printf(text, "/%s", m->folder);
        if (m->subdomain != NULL)
            g_string_append_printf(text, " at %s", m->subdomain);
        if (m->quota > 0)
            g_string_append_printf(text, " quota %" G_GUINT64_FORMAT, m->quota);
        g_string_append(text, m->create ? " create\n" : "\n");
        assert_int_equal(m->file_system != 0, !m->create);
    }
    return g_string_free(text, FALSE);
}

static int find(const struct world *w, const char *path, const struct route_observer *observer,
                struct route *ret_route)
{
    struct smtp_address a = address_of(path);
    struct route_start start;
    assert_true(router_start(w->router, &a, &start));
    return route_find(w->router, &start, observer, ret_route);
}

/* Behind "alias of x@y: " comes what the table has to say, which is its own. */
static void check_why(const char *why, const char *want)
{
    assert_int_equal(why != NULL, want != NULL);
    if (want != NULL && g_str_has_suffix(want, ": "))
        assert_true(g_str_has_prefix(why, want));
    else if (want != NULL)
        assert_string_equal(why, want);
}

static void check_row(void **state)
{
    const struct route_row *row = *state;
    struct world w;
    world_init(&w, row->domains);
    g_autoptr(GString) steps = g_string_new(NULL);
    const struct route_observer observer = { keep_step, steps };
    auto_val(route) watched = { 0 }, route = { 0 };
    int result = find(&w, row->path, &observer, &watched);
    if (result == 0) {
        g_autofree char *mailboxes = mailboxes_text(watched.mailboxes);
        assert_string_equal(mailboxes, row->want == 0 ? row->result : "a failure");
        assert_null(watched.why);
    } else {
        check_why(watched.why, row->result);
    }
    assert_int_equal(result, row->want);
    if (row->steps != NULL)
        assert_string_equal(steps->str, row->steps);
    assert_int_equal(find(&w, row->path, NULL, &route), row->want); /* nobody needs to watch */
    world_clear(&w);
}

/* A disk that cannot tell is no answer: neither that there is no such mailbox, nor fewer than there are. */
static void check_on_a_failing_disk(void **state)
{
    const struct route_row *row = *state;
    for (uint64_t nth = 1;; nth++) {
        struct world w;
        world_init(&w, row->domains);
        disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EACCES });
        auto_val(route) route = { 0 };
        int result = find(&w, row->path, NULL, &route);
        bool struck = disk_sim_failures() > 0;
        world_clear(&w);
        assert_int_equal(result, struck ? -EACCES : row->want);
        if (!struck)
            break;
        assert_non_null(route.why);
    }
}

/* ---- bounds ---- */

/* "a0: a1", "a1: a2", ..., and the last is alice's. */
static char *chain(unsigned length)
{
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i + 1 < length; i++)
        g_string_append_printf(text, "a%u: a%u\n", i, i + 1);
    g_string_append_printf(text, "a%u: alice\n", length - 1);
    return g_string_free(text, FALSE);
}

static void check_chain(unsigned length, int want)
{
    g_autofree char *aliases = chain(length);
    struct world w;
    world_init(&w, (struct route_domain[ROUTE_DOMAINS_MAX]){ { .name = "example.org", .aliases = aliases } });
    auto_val(route) route = { 0 };
    assert_int_equal(find(&w, "<a0@example.org>", NULL, &route), want);
    if (want == 0)
        assert_int_equal(route.mailboxes->len, 1);
    else
        assert_string_equal(route.why, "aliases of aliases lead to alice@example.org, and are more than 16");
    world_clear(&w);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    check_chain(1, 0);
    check_chain(ROUTE_DEPTH, 0);
    check_chain(ROUTE_DEPTH + 1, -ELOOP);
}

/* "all: box0, box1, ..." twice, which is no more than once. */
static void check_width(unsigned width, int want)
{
    g_autoptr(GString) aliases = g_string_new("all: twice, twice\ntwice: box0");
    for (unsigned i = 1; i < width; i++)
        g_string_append_printf(aliases, ", box%u", i);
    g_string_append_c(aliases, '\n');
    struct world w;
    const struct route_domain domain = { .name = "empty.example", .aliases = aliases->str, .create = true };
    world_init(&w, (struct route_domain[ROUTE_DOMAINS_MAX]){ domain });
    auto_val(route) route = { 0 };
    assert_int_equal(find(&w, "<all@empty.example>", NULL, &route), want);
    if (want == 0)
        assert_int_equal(route.mailboxes->len, width);
    else
        assert_string_equal(route.why, "aliases lead to more than 10000 mailboxes");
    world_clear(&w);
}

static void the_number_of_mailboxes_is_bounded(void **state)
{
    (void)state;
    check_width(ROUTE_MAILBOXES, 0);
    check_width(ROUTE_MAILBOXES + 1, -E2BIG);
}

/* Each of so many levels leads to the next in two ways: 2^15 ways, one of which is gone. */
static void each_address_is_asked_for_once(void **state)
{
    (void)state;
    g_autoptr(GString) aliases = g_string_new(NULL);
    for (unsigned i = 0; i + 1 < ROUTE_DEPTH; i++)
        g_string_append_printf(aliases, "a%u: a%u, a%u@example.org\n", i, i + 1, i + 1);
    g_string_append_printf(aliases, "a%u: alice, bob\n", ROUTE_DEPTH - 1);
    struct world w;
    world_init(
        &w, (struct route_domain[ROUTE_DOMAINS_MAX]){ { .name = "example.org", .aliases = aliases->str } });
    g_autoptr(GString) steps = g_string_new(NULL);
    const struct route_observer observer = { keep_step, steps };
    auto_val(route) route = { 0 };
    assert_int_equal(find(&w, "<a0@example.org>", &observer, &route), 0);
    assert_int_equal(route.mailboxes->len, 2);
    g_auto(GStrv) lines = g_strsplit(steps->str, "\n", -1);
    assert_true(g_strv_length(lines) < 8 * ROUTE_DEPTH);
    world_clear(&w);
}

/* ---- postmaster ---- */

static const char *any(GRand *random, const char *const *texts, guint count)
{
    return texts[g_rand_int_range(random, 0, (gint32)count)];
}

/* "postmaster: gone, b@example.net\n..." */
static char *any_aliases(GRand *random)
{
    static const char *const names[] = { "postmaster", "postmaster+x", "a", "a+x", "b" };
    static const char *const targets[] = { "postmaster",
                                           "postmaster+x",
                                           "postmaster@empty.example",
                                           "postmaster@other",
                                           "postmaster@example.org",
                                           "a",
                                           "a+x",
                                           "b@empty.example",
                                           "b@example.org",
                                           "gone",
                                           "a@other",
                                           "x@elsewhere.example" };
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_rand_boolean(random))
            continue;
        g_string_append_printf(text, "%s: %s", names[i], any(random, targets, G_N_ELEMENTS(targets)));
        while (g_rand_boolean(random))
            g_string_append_printf(text, ", %s", any(random, targets, G_N_ELEMENTS(targets)));
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}

static void check_any_world(GRand *random)
{
    static const char *const names[] = { "empty.example", "other", "example.org" };
    static const char *const catch_alls[] = {
        NULL, NULL, "gone", "a", "postmaster", "postmaster@empty.example", "postmaster@other", "b@example.org"
    };
    static const char *const paths[] = { "<postmaster>", "<postmaster@empty.example>", "<postmaster@other>",
                                         "<postmaster@example.org>" };
    g_autoptr(GPtrArray) aliases = g_ptr_array_new_with_free_func(g_free);
    struct route_domain domains[ROUTE_DOMAINS_MAX] = { 0 };
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_ptr_array_add(aliases, any_aliases(random));
        domains[i] = (struct route_domain){ names[i], g_ptr_array_index(aliases, i),
                                            .catch_all = any(random, catch_alls, G_N_ELEMENTS(catch_alls)) };
    }
    struct world w;
    world_init(&w, domains);
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GString) steps = g_string_new(NULL);
        const struct route_observer observer = { keep_step, steps };
        auto_val(route) route = { 0 };
        int r = find(&w, paths[i], &observer, &route);
        if (r < 0)
            print_error("%s%s", steps->str, route.why);
        assert_int_equal(r, 0);
        assert_true(route.mailboxes->len > 0);
        assert_null(route.why);
    }
    world_clear(&w);
}

static void whatever_the_tables_say_postmaster_has_a_home(void **state)
{
    (void)state;
    GRand *random = g_rand_new_with_seed(1);
    for (unsigned i = 0; i < 3000; i++)
        check_any_world(random);
    g_rand_free(random);
}

/* ---- targets ---- */

static const struct target_row {
    const char *name, *target;
    const char *expected; /* NULL: accepted */
} target_rows[] = {
    { "a local part", "alice", NULL },
    { "a local part with a subaddress", "alice+lists", NULL },
    { "a quoted local part", "\"a b\"", NULL },
    { "a quoted local part with an at", "\"a@b\"", NULL },
    { "an address of ours", "alice@example.org", NULL },
    { "an address of ours in capitals", "Alice@EXAMPLE.ORG", NULL },
    { "an address beneath a pattern", "alice@mail.example.net", NULL },
    { "a quoted one of ours", "\"a@b\"@example.org", NULL },
    { "a local part in UTF-8", "pel\u00e9", NULL },
    { "an address of another server", "alice@example.com",
      "an address in a domain with a section: mail is not sent on to other servers" },
    { "a literal of another server", "alice@[192.0.2.1]",
      "an address in a domain with a section: mail is not sent on to other servers" },
    { "the literal of this host", "alice@[127.0.0.1]",
      "an address in a domain with a section: mail is not sent on to other servers" },
    { "what a pattern is named by", "alice@example.net",
      "an address in a domain with a section: mail is not sent on to other servers" },
    { "nothing", "", "an address, or its part before the @" },
    { "only a domain", "@example.org", "an address, or its part before the @" },
    { "no domain behind the at", "alice@", "an address, or its part before the @" },
    { "two local parts", "a b", "an address, or its part before the @" },
    { "two addresses", "alice@example.org,bob@example.org", "an address, or its part before the @" },
    { "an address in angle brackets", "<alice@example.org>", "an address, or its part before the @" },
    { "more behind a path", "alice@example.org> SIZE=1", "an address, or its part before the @" },
    { "an address with a name", "Alice <alice@example.org>", "an address, or its part before the @" },
    { "malformed UTF-8", "pel\xe9", "an address, or its part before the @" },
};

static void check_target(void **state)
{
    const struct target_row *row = *state;
    struct world w;
    world_init(&w, (struct route_domain[ROUTE_DOMAINS_MAX]){ { .name = "example.org" },
                                                             { .name = "*.example.net" } });
    g_autofree char *expected = NULL;
    assert_int_equal(route_accepts_target(w.router, row->target, &expected), row->expected == NULL);
    assert_string_equal(expected != NULL ? expected : "", row->expected != NULL ? row->expected : "");
    world_clear(&w);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("route");
    for (size_t i = 0; i < route_row_count; i++)
        suite_add(s, route_rows[i].name, check_row, (void *)&route_rows[i]);
    for (size_t i = 0; i < route_row_count; i++) {
        g_autofree char *name = g_strdup_printf("on a failing disk: %s", route_rows[i].name);
        suite_add(s, name, check_on_a_failing_disk, (void *)&route_rows[i]);
    }
    suite_add(s, "depth is bounded", depth_is_bounded, NULL);
    suite_add(s, "the number of mailboxes is bounded", the_number_of_mailboxes_is_bounded, NULL);
    suite_add(s, "each address is asked for once", each_address_is_asked_for_once, NULL);
    suite_add(s, "whatever the tables say, postmaster has a home",
              whatever_the_tables_say_postmaster_has_a_home, NULL);
    suite_add_rows(s, target_rows, check_target);
    return suite_run(s, argc, argv);
}
