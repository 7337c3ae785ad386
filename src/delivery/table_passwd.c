#include "delivery/table.h"

#include <errno.h>
#include <pwd.h>

#include "delivery/table_internal.h"

/* The users of this system, however it looks them up: in a file, or at a server; how long that may take is
 * configured there. The value of a user's name is that name. */

enum {
    BUFFER_MIN = 1024,
    BUFFER_MAX = 1024 * 1024, /* more is no user */
};

static void passwd_free(struct table *t)
{
    g_free(t);
}

static struct table *passwd_open(const char *rest, const struct table_rules *rules, struct origin at,
                                 struct diag *problems)
{
    g_autofree char *expected = NULL;
    if (*rest != '\0') {
        diag_add(problems, at, "passwd:%s: expected nothing behind passwd:", rest);
        return NULL;
    }
    /* A user's name is a mailbox's or none; but where names cannot be values, all would be wrong. */
    if (rules->accepts != NULL && !rules->accepts(rules->owner, "user", &expected)) {
        diag_add(problems, at, "passwd: its values are the names of users; expected each to be %s", expected);
        return NULL;
    }
    struct table *t = g_new0(struct table, 1);
    t->kind = &table_passwd_kind;
    return t;
}

static int passwd_find(struct table *t, const char *name, const char *domain, GPtrArray *values,
                       char **ret_why)
{
    (void)t, (void)domain, (void)ret_why;
    for (size_t size = BUFFER_MIN; size <= BUFFER_MAX; size *= 2) {
        g_autofree char *buffer = g_malloc(size);
        struct passwd entry, *found;
        int error = getpwnam_r(name, &entry, buffer, size, &found);
        if (error == ERANGE)
            continue;
        if (found != NULL)
            g_ptr_array_add(values, g_strdup(found->pw_name));
        /* Some ways of looking up say "no such user" with one of these. */
        return error == ENOENT || error == ESRCH ? -ENOENT : -error;
    }
    return -ERANGE;
}

const struct table_kind table_passwd_kind = {
    .prefix = "passwd:",
    .open = passwd_open,
    .free = passwd_free,
    .find = passwd_find,
};
