#include "suite.h"

#include <glib.h>
#include <stdio.h>

#include "delivery/known.h"

static struct smtp_address address_of(const char *local)
{
    struct smtp_address a = { .local_len = (uint8_t)strlen(local), .domain_len = 1, .domain = "d" };
    memcpy(a.local, local, strlen(local));
    return a;
}

struct world {
    struct router *router;
    const struct domain *domain, *other;
    struct known *known;
};

static void setup(struct world *w)
{
    struct smtp_address in_d = address_of("x"), in_e = address_of("x");
    in_e.domain[0] = 'e';
    w->router = router_new();
    assert_int_equal(router_add_domain(w->router, "d", "/d"), 0);
    assert_int_equal(router_add_domain(w->router, "e", "/e"), 0);
    w->domain = router_domain(w->router, &in_d);
    w->other = router_domain(w->router, &in_e);
    w->known = known_new();
}

static void teardown(struct world *w)
{
    known_free(w->known);
    router_free(w->router);
}

static bool finds(const struct world *w, const struct domain *domain, const char *local, msec_t now)
{
    struct smtp_address a = address_of(local);
    auto_ptr(mailbox) m = known_find(w->known, domain, &a, now);
    if (m == NULL)
        return false;
    assert_ptr_equal(m->domain, domain);
    return true;
}

static void add(struct world *w, char *name, msec_t now)
{
    struct mailbox m = { .domain = w->domain, .name = name };
    known_add(w->known, &m, now);
}

static void a_mailbox_is_known_for_a_moment(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    assert_false(finds(&w, w.domain, "alice", 0));
    add(&w, (char[]){ "alice" }, 100);
    assert_true(finds(&w, w.domain, "alice", 100));
    assert_true(finds(&w, w.domain, "ALICE", 100 + KNOWN_MS - 1));
    assert_false(finds(&w, w.domain, "alice", 100 + KNOWN_MS));
    add(&w, (char[]){ "pel\u00e9" }, 200);
    assert_true(finds(&w, w.domain, "PEL\u00c9", 200));
    assert_true(finds(&w, w.domain, "Pele\u0301", 200));
    assert_false(finds(&w, w.domain, "pele", 200));
    add(&w, (char[]){ "alice" }, 5000);
    assert_true(finds(&w, w.domain, "alice", 5000));
    teardown(&w);
}

static void others_are_not_known_by_it(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    add(&w, (char[]){ "alice" }, 0);
    assert_false(finds(&w, w.domain, "bob", 0));
    assert_false(finds(&w, w.other, "alice", 0)); /* of another domain */
    assert_false(finds(&w, w.domain, "../alice", 0));
    assert_false(finds(&w, w.domain, "", 0));
    teardown(&w);
}

static void all_of_a_mailbox_is_kept(void **state)
{
    (void)state;
    struct world w;
    setup(&w);
    {
        g_autofree char *name = g_strdup("alice"), *folder = g_strdup(".lists");
        const struct mailbox m = { .domain = w.domain,
                                   .name = name,
                                   .folder = folder,
                                   .file_system = 7,
                                   .quota = 1000,
                                   .create = true };
        known_add(w.known, &m, 0);
    }
    struct smtp_address a = address_of("alice");
    auto_ptr(mailbox) m = known_find(w.known, w.domain, &a, 0);
    assert_non_null(m);
    assert_string_equal(m->name, "alice");
    assert_string_equal(m->folder, ".lists");
    assert_int_equal(m->file_system, 7);
    assert_int_equal(m->quota, 1000);
    assert_true(m->create);
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
        assert_true(finds(&w, w.domain, name, 0));
    }
    assert_false(finds(&w, w.domain, "box0", 0));
    teardown(&w);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("known");
    suite_add(s, "a mailbox is known for a moment", a_mailbox_is_known_for_a_moment, NULL);
    suite_add(s, "others are not known by it", others_are_not_known_by_it, NULL);
    suite_add(s, "all of a mailbox is kept", all_of_a_mailbox_is_kept, NULL);
    suite_add(s, "the number is bounded", the_number_is_bounded, NULL);
    return suite_run(s, argc, argv);
}
