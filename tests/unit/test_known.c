/* Routes that were found a moment ago: for how long, how many, and that nothing else is known by them. */
#include "suite.h"

#include <glib.h>
#include <stdio.h>

#include "delivery/known.h"

struct world {
    struct router *router;
    const struct domain *domain;
    struct known *known;
};

static void setup(struct world *w)
{
    w->router = router_new();
    assert_int_equal(
        router_add_domain(w->router, "example.org", &(struct domain_options){ .maildirs = "/d" }), 0);
    w->domain = router_find_domain(w->router, "example.org");
    w->known = known_new();
}

static void teardown(struct world *w)
{
    known_free(w->known);
    router_free(w->router);
}

static struct route_start start_of(const struct world *w, const char *name, const char *domain_name)
{
    struct route_start s = { .domain = w->domain };
    (void)g_strlcpy(s.name, name, sizeof s.name);
    (void)g_strlcpy(s.domain_name, domain_name, sizeof s.domain_name);
    return s;
}

static const GPtrArray *find(const struct world *w, const char *name, msec_t now)
{
    struct route_start s = start_of(w, name, "example.org");
    return known_find(w->known, &s, now);
}

/* A route to so many mailboxes, which are gone after the call. */
static void add_many(struct world *w, const char *name, unsigned mailboxes, msec_t now)
{
    struct route_start s = start_of(w, name, "example.org");
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    for (unsigned i = 0; i < mailboxes; i++)
        g_ptr_array_add(list, mailbox_copy(&(struct mailbox){ .domain = w->domain, .name = (char *)name }));
    known_add(w->known, &s, list, now);
    for (unsigned i = 0; i < mailboxes; i++)
        mailbox_free(g_ptr_array_index(list, i));
    memset(&s, 'x', sizeof s);
}

static void add(struct world *w, const char *name, msec_t now)
{
    add_many(w, name, 1, now);
}

static void a_route_is_known_for_a_moment(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    assert_null(find(&w, "alice", 0));
    add(&w, "alice", 100);
    assert_non_null(find(&w, "alice", 100));
    const GPtrArray *mailboxes = find(&w, "alice", 100 + KNOWN_MS - 1);
    assert_non_null(mailboxes);
    assert_int_equal(mailboxes->len, 1);
    assert_string_equal(((const struct mailbox *)g_ptr_array_index(mailboxes, 0))->name, "alice");
    assert_null(find(&w, "alice", 100 + KNOWN_MS));
    add(&w, "alice", 5000);
    assert_non_null(find(&w, "alice", 5000));
    teardown(&w);
}

static void others_are_not_known_by_it(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    add(&w, "alice", 0);
    assert_null(find(&w, "bob", 0));
    assert_null(find(&w, "alic", 0));
    assert_null(find(&w, "", 0));
    /* The same section may be that of several domains, whose aliases a table may tell apart. */
    struct route_start elsewhere = start_of(&w, "alice", "mail.example.org");
    assert_null(known_find(w.known, &elsewhere, 0));
    teardown(&w);
}

/* One that cannot be a mailbox's name stands for many addresses, which the name does not tell apart. */
static void one_without_a_name_is_not_kept(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    add(&w, "", 0);
    assert_null(find(&w, "", 0));
    teardown(&w);
}

static void all_mailboxes_of_a_route_are_kept(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    struct route_start s = start_of(&w, "all", "example.org");
    {
        g_autofree char *alice = g_strdup("alice"), *folder = g_strdup(".lists"), *bob = g_strdup("bob");
        struct mailbox first = { .domain = w.domain,
                                 .name = alice,
                                 .folder = folder,
                                 .file_system = 7,
                                 .quota = 1000,
                                 .create = true };
        struct mailbox second = { .domain = w.domain, .name = bob };
        g_autoptr(GPtrArray) list = g_ptr_array_new();
        g_ptr_array_add(list, &first);
        g_ptr_array_add(list, &second);
        known_add(w.known, &s, list, 0);
    }
    const GPtrArray *found = known_find(w.known, &s, 0);
    assert_non_null(found);
    assert_int_equal(found->len, 2);
    const struct mailbox *m = g_ptr_array_index(found, 0);
    assert_ptr_equal(m->domain, w.domain);
    assert_string_equal(m->name, "alice");
    assert_string_equal(m->folder, ".lists");
    assert_int_equal(m->file_system, 7);
    assert_int_equal(m->quota, 1000);
    assert_true(m->create);
    assert_string_equal(((const struct mailbox *)g_ptr_array_index(found, 1))->name, "bob");
    teardown(&w);
}

static void a_route_that_is_found_anew_replaces_the_old_one(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    add_many(&w, "alice", 2, 0);
    add_many(&w, "alice", 3, 900);
    assert_int_equal(find(&w, "alice", 1000)->len, 3);
    /* And is not counted for it: as often as it comes, the others stay. */
    add(&w, "bob", 900);
    for (unsigned i = 0; i < 2 * KNOWN_MAX; i++)
        add_many(&w, "alice", 3, 900);
    assert_non_null(find(&w, "bob", 900));
    teardown(&w);
}

static void all_is_forgotten_at_once(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    add(&w, "alice", 0);
    add(&w, "bob", 0);
    known_forget(w.known);
    assert_null(find(&w, "alice", 0));
    assert_null(find(&w, "bob", 0));
    for (unsigned i = 0; i < KNOWN_MAX / 4 * 4; i++) { /* there is room for all again */
        char name[16];
        (void)snprintf(name, sizeof name, "box%u", i);
        add(&w, name, 0);
    }
    assert_non_null(find(&w, "box0", 0));
    teardown(&w);
}

static void the_number_is_bounded(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    for (unsigned i = 0; i < 3 * KNOWN_MAX + 1; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "box%u", i);
        add(&w, name, 0);
        assert_non_null(find(&w, name, 0));
    }
    assert_null(find(&w, "box0", 0));
    teardown(&w);
}

static void what_counts_is_mailboxes(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    add_many(&w, "one", KNOWN_MAX / 4, 0);
    add_many(&w, "two", KNOWN_MAX / 4, 0);
    add_many(&w, "three", KNOWN_MAX / 4, 0);
    add_many(&w, "four", KNOWN_MAX / 4, 0);
    assert_non_null(find(&w, "one", 0));
    add(&w, "five", 0);
    assert_null(find(&w, "one", 0));
    assert_non_null(find(&w, "five", 0));
    add_many(&w, "a large one", KNOWN_MAX / 4 + 1, 0); /* would drive out all others */
    assert_null(find(&w, "a large one", 0));
    assert_non_null(find(&w, "five", 0));
    teardown(&w);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("known");
    suite_add(s, "a route is known for a moment", a_route_is_known_for_a_moment, NULL);
    suite_add(s, "others are not known by it", others_are_not_known_by_it, NULL);
    suite_add(s, "one without a name is not kept", one_without_a_name_is_not_kept, NULL);
    suite_add(s, "all mailboxes of a route are kept", all_mailboxes_of_a_route_are_kept, NULL);
    suite_add(s, "a route that is found anew replaces the old one",
              a_route_that_is_found_anew_replaces_the_old_one, NULL);
    suite_add(s, "all is forgotten at once", all_is_forgotten_at_once, NULL);
    suite_add(s, "the number is bounded", the_number_is_bounded, NULL);
    suite_add(s, "what counts is mailboxes", what_counts_is_mailboxes, NULL);
    return suite_run(s, argc, argv);
}
