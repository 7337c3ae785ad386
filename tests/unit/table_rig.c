#include "table_rig.h"

#include <errno.h>
#include <glib.h>

#include "delivery/router.h"

static bool accepts(const void *owner, const char *value, char **ret_expected)
{
    (void)owner;
    char name[MAILBOX_NAME_MAX + 1];
    struct smtp_address a;
    if (mailbox_name(slice_str(value), name) == 0)
        return true;
    if (smtp_address_parse(slice_str(value), &a) == 0 &&
        slice_equal_nocase(slice_of(a.domain, a.domain_len), "example.org"))
        return true;
    *ret_expected = g_strdup("an address of ours");
    return false;
}

const struct table_rules rig_aliases = { .accepts = accepts, .follows = true };

static const struct origin at = { "postern.conf", 7 };

char *rig_problems(const struct diag *d)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(d); i++)
        g_string_append_printf(text, "%s%s", i > 0 ? "\n" : "", (char *)g_ptr_array_index(d->problems, i));
    return g_strdup(text->str);
}

struct table *rig_open(const char *spec, const struct table_rules *rules)
{
    auto_val(diag) problems = { NULL };
    struct table *t = table_open(spec, rules, at, &problems);
    diag_print(&problems, stderr);
    assert_int_equal(diag_count(&problems), 0);
    assert_non_null(t);
    return t;
}

char *rig_refusal(const char *spec, const struct table_rules *rules)
{
    auto_val(diag) problems = { NULL };
    assert_null(table_open(spec, rules, at, &problems));
    assert_int_not_equal(diag_count(&problems), 0);
    return rig_problems(&problems);
}

char *rig_find(struct table *t, const char *name)
{
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *why = NULL;
    g_ptr_array_add(values, g_strdup("before")); /* what is there stays */
    int r = table_find(t, name, "example.org", values, &why);
    assert_string_equal(g_ptr_array_index(values, 0), "before");
    assert_true(r == 0 || r == -ENOENT || r == -EHOSTDOWN);
    assert_int_equal(values->len > 1, r == 0);
    assert_int_equal(why != NULL, r == -EHOSTDOWN);
    if (r == -EHOSTDOWN)
        return g_strdup_printf("unknown: %s", why);
    if (r == -ENOENT)
        return g_strdup("none");
    g_ptr_array_remove_index(values, 0);
    g_ptr_array_add(values, NULL);
    return g_strjoinv(", ", (char **)values->pdata);
}

void rig_check(struct table *t, const char *name, const char *want)
{
    g_autofree char *got = rig_find(t, name);
    assert_string_equal(got, want);
}

char *rig_refresh(struct table *t)
{
    auto_val(diag) problems = { NULL };
    int r = table_look(t, &problems);
    if (r > 0)
        table_use(t);
    g_autofree char *text = rig_problems(&problems);
    return g_strdup_printf("%d%s%s", r, *text != '\0' ? "\n" : "", text);
}

void rig_check_refresh(struct table *t, const char *want)
{
    g_autofree char *got = rig_refresh(t);
    assert_string_equal(got, want);
}
