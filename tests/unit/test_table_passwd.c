/* The system's users, as they are on this machine. */
#include "table_rig.h"

#include <glib.h>

#include "delivery/router.h"

/* A user whose name a mailbox can have: every system has at least this one. */
static void root_is_there(void **state)
{
    (void)state;
    auto_ptr(table) t = rig_open("passwd:", &rig_aliases);
    assert_false(table_is_in_memory(t));
    rig_check(t, "root", "root");
    rig_check_refresh(t, "0");
}

static void others_are_not(void **state)
{
    (void)state;
    auto_ptr(table) t = rig_open("passwd:", &rig_aliases);
    rig_check(t, "no-such-user-as-this", "none");
    rig_check(t, "", "none");
    rig_check(t, "root:", "none");
    rig_check(t, "root+lists", "none");
    rig_check(t, "0", "none"); /* a number is no name */
    g_autofree char *longest = g_strnfill(MAILBOX_NAME_MAX, 'x');
    rig_check(t, longest, "none");
}

static bool accepts_size(const void *owner, const char *value, char **ret_expected)
{
    uint64_t size;
    (void)owner;
    *ret_expected = g_strdup("a size such as 2G");
    return pst_parse_size(slice_str(value), UINT64_MAX, &size) == 0;
}

/* As a table of quotas would have them. */
static void names_are_no_other_values(void **state)
{
    (void)state;
    static const struct table_rules sizes = { .accepts = accepts_size };
    g_autofree char *got = rig_refusal("passwd:", &sizes);
    assert_string_equal(
        got,
        "postern.conf:7: passwd: its values are the names of users; expected each to be a size such as 2G");
}

enum { THREADS = 4, QUESTIONS = 50 };

static void *ask(void *table)
{
    for (unsigned i = 0; i < QUESTIONS; i++) {
        g_autofree char *got = rig_find(table, "root");
        if (strcmp(got, "root") != 0)
            return table;
    }
    return NULL;
}

static void many_ask(void **state)
{
    (void)state;
    GThread *threads[THREADS];
    auto_ptr(table) t = rig_open("passwd:", &rig_aliases);
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("ask", ask, t);
    for (unsigned i = 0; i < THREADS; i++)
        assert_null(g_thread_join(threads[i]));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery/table_passwd");
    suite_add(s, "root is there", root_is_there, NULL);
    suite_add(s, "others are not", others_are_not, NULL);
    suite_add(s, "names are no other values", names_are_no_other_values, NULL);
    suite_add(s, "many ask", many_ask, NULL);
    return suite_run(s, argc, argv);
}
