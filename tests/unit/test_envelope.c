/* Who a message goes to: recipients, their mailboxes, and the ways between them. */
#include "suite.h"

#include <glib.h>

#include "address.h"
#include "worker/envelope.h"

enum { RECIPIENTS_MAX = 4 };

/* A recipient, and the mailboxes that it leads to: names in example.org, "net/NAME" in example.net, with a
 * blank between them, and ":FOLDER" behind. */
struct rcpt {
    const char *path, *mailboxes;
};

struct world {
    struct router *router;
    struct envelope envelope;
};

static void world_init(struct world *w)
{
    w->router = router_new();
    const struct domain_options org = { .maildirs = "/mail/org", .subaddress = "+" };
    const struct domain_options net = { .maildirs = "/mail/net", .subaddress = "+" };
    assert_int_equal(router_add_domain(w->router, "example.org", &org), 0);
    assert_int_equal(router_add_domain(w->router, "example.net", &net), 0);
    assert_int_equal(router_add_domain(w->router, "*.example.org", &org), 0);
    envelope_init(&w->envelope);
}

static void world_clear(struct world *w)
{
    envelope_clear(&w->envelope);
    router_free(w->router);
}

static struct mailbox *mailbox_of(const struct world *w, const char *text)
{
    bool elsewhere = g_str_has_prefix(text, "net/");
    g_auto(GStrv) parts = g_strsplit(elsewhere ? text + strlen("net/") : text, ":", 2);
    return mailbox_copy(
        &(struct mailbox){ .domain = router_find_domain(w->router, elsewhere ? "example.net" : "example.org"),
                           .name = parts[0],
                           .folder = parts[1] });
}

static void free_mailbox(void *mailbox)
{
    mailbox_free(mailbox);
}

static void add(struct world *w, const struct rcpt *rcpt, bool counts)
{
    g_autoptr(GPtrArray) mailboxes = g_ptr_array_new_with_free_func(free_mailbox);
    g_auto(GStrv) names = g_strsplit(rcpt->mailboxes, " ", -1);
    for (size_t i = 0; names[i] != NULL; i++)
        g_ptr_array_add(mailboxes, mailbox_of(w, names[i]));
    struct recipient *r = g_new0(struct recipient, 1);
    r->refusal = SMTP_DELIVERED;
    r->address = address_of(rcpt->path);
    r->orcpt = g_strdup("rfc822;x");
    struct route_start start;
    assert_true(router_start(w->router, &r->address, &start));
    envelope_add(&w->envelope, r, &start, mailboxes, counts);
}

/* "ADDRESS>TARGET,TARGET " for each recipient. */
static char *recipients_text(const struct envelope *e)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < e->recipients->len; i++) {
        const struct recipient *r = envelope_recipient(e, i);
        char address[SMTP_ADDRESS_TEXT];
        g_string_append_printf(text, "%s>", smtp_address_format(&r->address, address));
        for (size_t k = 0; k < r->way_count; k++)
            g_string_append_printf(text, "%s%u", k > 0 ? "," : "", r->ways[k]);
        g_string_append_c(text, ' ');
    }
    return g_string_free(text, FALSE);
}

/* "DOMAIN/NAME:FOLDER FIRST" for each target, and an asterisk if it is renamed. */
static char *targets_text(const struct envelope *e)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < e->targets->len; i++) {
        const struct target *t = envelope_target(e, i);
        g_string_append_printf(text, "%s/%s", t->mailbox->domain->name, t->mailbox->name);
        if (t->mailbox->folder != NULL)
            g_string_append_printf(text, ":%s", t->mailbox->folder);
        g_string_append_printf(text, " %u%s\n", t->first, t->is_renamed ? "*" : "");
    }
    return g_string_free(text, FALSE);
}

static const struct row {
    const char *name;
    struct rcpt rcpts[RECIPIENTS_MAX];
    bool counts;
    const char *recipients, *targets;
} rows[] = {
    { "nobody", { { NULL } }, false, "", "" },
    { "one mailbox",
      { { "<alice@example.org>", "alice" } },
      false,
      "alice@example.org>0 ",
      "example.org/alice 0\n" },
    { "case is no other name",
      { { "<ALICE@Example.ORG>", "alice" } },
      false,
      "ALICE@Example.ORG>0 ",
      "example.org/alice 0\n" },
    { "an alias",
      { { "<info@example.org>", "alice bob" } },
      false,
      "info@example.org>0,1 ",
      "example.org/alice 0*\nexample.org/bob 0*\n" },
    { "a subaddress is another name",
      { { "<alice+lists@example.org>", "alice:.lists" } },
      false,
      "alice+lists@example.org>0 ",
      "example.org/alice:.lists 0*\n" },
    { "the same name in another domain is another name",
      { { "<alice@example.org>", "net/alice" } },
      false,
      "alice@example.org>0 ",
      "example.net/alice 0*\n" },
    { "a bare postmaster is the first domain's",
      { { "<postmaster>", "postmaster" } },
      false,
      "postmaster>0 ",
      "example.org/postmaster 0\n" },
    { "a mailbox among others of its alias",
      { { "<alice@example.org>", "alice bob" } },
      false,
      "alice@example.org>0,1 ",
      "example.org/alice 0\nexample.org/bob 0*\n" },
    { "the same mailbox in two domains are two",
      { { "<alice@example.org>", "alice" }, { "<alice@example.net>", "net/alice" } },
      false,
      "alice@example.org>0 alice@example.net>1 ",
      "example.org/alice 0\nexample.net/alice 1\n" },
    { "a recipient twice",
      { { "<alice@example.org>", "alice" }, { "<alice@example.org>", "alice" } },
      false,
      "alice@example.org>0 ",
      "example.org/alice 0\n" },
    { "a recipient twice, where each counts",
      { { "<alice@example.org>", "alice" }, { "<alice@example.org>", "alice" } },
      true,
      "alice@example.org>0 alice@example.org>0 ",
      "example.org/alice 0\n" },
    { "an alias that leads to nothing new",
      { { "<alice@example.org>", "alice" },
        { "<bob@example.org>", "bob" },
        { "<info@example.org>", "bob alice" } },
      false,
      "alice@example.org>0 bob@example.org>1 ",
      "example.org/alice 0\nexample.org/bob 1\n" },
    { "an alias that leads to nothing new, where each counts",
      { { "<alice@example.org>", "alice" },
        { "<bob@example.org>", "bob" },
        { "<info@example.org>", "bob alice" } },
      true,
      "alice@example.org>0 bob@example.org>1 info@example.org>1,0 ",
      "example.org/alice 0\nexample.org/bob 1\n" },
    { "an alias that leads to something new, too",
      { { "<alice@example.org>", "alice" }, { "<info@example.org>", "alice bob net/alice" } },
      false,
      "alice@example.org>0 info@example.org>0,1,2 ",
      "example.org/alice 0\nexample.org/bob 1*\nexample.net/alice 1*\n" },
    { "who led there first says what it is called",
      { { "<info@example.org>", "alice bob" }, { "<alice@example.org>", "alice" } },
      true,
      "info@example.org>0,1 alice@example.org>0 ",
      "example.org/alice 0*\nexample.org/bob 0*\n" },
    { "who led there first says which folder",
      { { "<alice+lists@example.org>", "alice:.lists" },
        { "<alice@example.org>", "alice" },
        { "<bob@example.org>", "bob" } },
      false,
      "alice+lists@example.org>0 bob@example.org>1 ",
      "example.org/alice:.lists 0*\nexample.org/bob 1\n" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < RECIPIENTS_MAX && row->rcpts[i].path != NULL; i++)
        add(&w, &row->rcpts[i], row->counts);
    g_autofree char *recipients = recipients_text(&w.envelope), *targets = targets_text(&w.envelope);
    assert_string_equal(recipients, row->recipients);
    assert_string_equal(targets, row->targets);
    world_clear(&w);
}

/* So many that they are no longer found by looking at each. */
static void many_targets_are_found(void **state)
{
    (void)state;
    enum { MANY = 300 };
    struct world w;
    world_init(&w);
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *path = g_strdup_printf("<box%u@example.org>", i);
        g_autofree char *mailboxes = g_strdup_printf("box%u box%u net/box%u", i, i / 2, i);
        add(&w, &(struct rcpt){ path, mailboxes }, false);
        for (unsigned k = 0; k <= i; k++) {
            g_autofree char *name = g_strdup_printf("%sbox%u", k % 2 == 0 ? "" : "net/", k);
            auto_ptr(mailbox) m = mailbox_of(&w, name);
            unsigned at = UINT_MAX;
            assert_true(envelope_find(&w.envelope, m, &at));
            assert_true(mailbox_equal(envelope_target(&w.envelope, at)->mailbox, m));
        }
        g_autofree char *missing = g_strdup_printf("box%u", i + 1);
        auto_ptr(mailbox) m = mailbox_of(&w, missing);
        unsigned at = 7;
        assert_false(envelope_find(&w.envelope, m, &at));
        assert_int_equal(at, 7);
    }
    assert_int_equal(w.envelope.recipients->len, MANY);
    assert_int_equal(w.envelope.targets->len, 2 * MANY);
    world_clear(&w);
}

static void ways_are_told_one_by_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    add(&w, &(struct rcpt){ "<alice@example.org>", "alice" }, true);
    add(&w, &(struct rcpt){ "<info@example.org>", "bob alice" }, true);
    g_autofree struct delivery_way *ways = envelope_ways(&w.envelope);
    static const struct delivery_way want[] = { { 0, 0 }, { 1, 1 }, { 1, 0 } };
    assert_int_equal(w.envelope.ways, G_N_ELEMENTS(want));
    for (size_t i = 0; i < G_N_ELEMENTS(want); i++) {
        assert_int_equal(ways[i].recipient, want[i].recipient);
        assert_int_equal(ways[i].target, want[i].target);
    }
    world_clear(&w);
}

/* Sanitizers see whether they are freed twice, or not at all. */
static void mailboxes_may_be_given_away(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    add(&w, &(struct rcpt){ "<info@example.org>", "alice bob" }, false);
    struct mailbox *given[] = { envelope_target(&w.envelope, 0)->mailbox,
                                envelope_target(&w.envelope, 1)->mailbox };
    envelope_give(&w.envelope);
    world_clear(&w);
    assert_string_equal(given[0]->name, "alice");
    assert_string_equal(given[1]->name, "bob");
    mailbox_free(given[0]);
    mailbox_free(given[1]);
}

static void a_directory_of_two_domains_has_each_mailbox_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    char name[] = "alice", other[] = "bob";
    const struct mailbox org = { .domain = router_find_domain(w.router, "example.org"), .name = name };
    const struct mailbox beneath = { .domain = router_find_domain(w.router, "*.example.org"), .name = name };
    const struct mailbox net = { .domain = router_find_domain(w.router, "example.net"), .name = name };
    const struct mailbox bob = { .domain = org.domain, .name = other };
    assert_true(mailbox_equal(&org, &beneath) && mailbox_hash(&org) == mailbox_hash(&beneath));
    assert_false(mailbox_equal(&org, &net));
    assert_false(mailbox_equal(&org, &bob));
    envelope_clear(&w.envelope);
    router_free(w.router);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("envelope");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "many targets are found", many_targets_are_found, NULL);
    suite_add(s, "ways are told one by one", ways_are_told_one_by_one, NULL);
    suite_add(s, "mailboxes may be given away", mailboxes_may_be_given_away, NULL);
    suite_add(s, "a directory of two domains has each mailbox once",
              a_directory_of_two_domains_has_each_mailbox_once, NULL);
    return suite_run(s, argc, argv);
}
