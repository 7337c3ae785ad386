/* The system's users, as they are on this machine; but one name is asked for at a server that hangs. */
#define _GNU_SOURCE 1 /* RTLD_NEXT */
#include "table_rig.h"

#include <dlfcn.h>
#include <glib.h>
#include <pwd.h>

#include "delivery/router.h"

#define HANGS "hangs"

static GMutex server; /* locked: it hangs */
static int hanging;

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **ret_found)
{
    int (*real)(const char *, struct passwd *, char *, size_t, struct passwd **);
    *(void **)&real = dlsym(RTLD_NEXT, "getpwnam_r");
    if (strcmp(name, HANGS) == 0) {
        g_atomic_int_inc(&hanging);
        g_mutex_lock(&server);
        g_mutex_unlock(&server);
        g_atomic_int_add(&hanging, -1);
    }
    return real(name, entry, buffer, size, ret_found);
}

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

static const struct table_rules hasty = { .timeout = 20 };

static void wait_for_none(void)
{
    while (g_atomic_int_get(&hanging) > 0)
        g_thread_yield();
}

static void who_hangs_is_not_waited_for(void **state)
{
    (void)state;
    auto_ptr(table) t = rig_open("passwd:", &hasty);
    g_mutex_lock(&server);
    rig_check(t, HANGS, "unknown: it took too long");
    rig_check(t, "root", "root");
    g_mutex_unlock(&server);
    wait_for_none();
}

/* Those who were left alone live on, also when the table does not. */
static void not_more_are_left_alone_than_so_many(void **state)
{
    enum { QUESTIONS_MAX = 64 };
    (void)state;
    g_mutex_lock(&server);
    {
        auto_ptr(table) t = rig_open("passwd:", &hasty);
        for (int i = 0; i < QUESTIONS_MAX; i++)
            rig_check(t, HANGS, "unknown: it took too long");
        rig_check(t, HANGS, "unknown: too many questions have not been answered yet");
        rig_check(t, "root", "unknown: too many questions have not been answered yet");
    }
    g_mutex_unlock(&server);
    wait_for_none();
    auto_ptr(table) t = rig_open("passwd:", &hasty);
    rig_check(t, "root", "root");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery/table_passwd");
    suite_add(s, "root is there", root_is_there, NULL);
    suite_add(s, "others are not", others_are_not, NULL);
    suite_add(s, "names are no other values", names_are_no_other_values, NULL);
    suite_add(s, "many ask", many_ask, NULL);
    suite_add(s, "who hangs is not waited for", who_hangs_is_not_waited_for, NULL);
    suite_add(s, "not more are left alone than so many", not_more_are_left_alone_than_so_many, NULL);
    return suite_run(s, argc, argv);
}
