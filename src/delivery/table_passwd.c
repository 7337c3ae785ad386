#include "delivery/table.h"

#include <errno.h>
#include <pwd.h>

#include "delivery/table_internal.h"

/*
 * The users of this system, however it looks them up: in a file, or at a server, which may take as long as it
 * likes, and cannot be told to end. So each question has a thread, which is left alone when it takes too
 * long. The value of a user's name is that name.
 */

enum {
    BUFFER_MIN = 1024,
    BUFFER_MAX = 1024 * 1024, /* more is no user */
    QUESTIONS_MAX = 64,       /* under way, with those that were left alone */
};

struct passwd_table {
    struct table base;
    msec_t timeout;
    int *under_way; /* counts references: questions that were left alone outlive the table */
};

/* Counts references: who asks, and who answers. */
struct question {
    char *name;
    int *under_way;
    GMutex lock; /* of: */
    GCond answered;
    bool is_answered;
    char *found; /* NULL: nobody */
    int error;
};

static void question_clear(void *question)
{
    struct question *q = question;
    g_atomic_rc_box_release(q->under_way);
    g_mutex_clear(&q->lock);
    g_cond_clear(&q->answered);
    g_free(q->name);
    g_free(q->found);
}

static void question_unref(struct question *q)
{
    g_atomic_rc_box_release_full(q, question_clear);
}

static void passwd_free(struct table *t)
{
    struct passwd_table *p = (struct passwd_table *)t;
    g_atomic_rc_box_release(p->under_way);
    g_free(p);
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
    struct passwd_table *p = g_new0(struct passwd_table, 1);
    p->base.kind = &table_passwd_kind;
    p->timeout = table_timeout(rules);
    p->under_way = g_atomic_rc_box_new0(int);
    return &p->base;
}

/* 0 or an errno; `ret_found` NULL: nobody. */
static int find_user(const char *name, char **ret_found)
{
    for (size_t size = BUFFER_MIN; size <= BUFFER_MAX; size *= 2) {
        g_autofree char *buffer = g_malloc(size);
        struct passwd entry, *found;
        int error = getpwnam_r(name, &entry, buffer, size, &found);
        if (error == ERANGE)
            continue;
        *ret_found = found != NULL ? g_strdup(found->pw_name) : NULL;
        /* Some ways of looking up say "no such user" with one of these. */
        return error == ESRCH ? ENOENT : error;
    }
    return ERANGE;
}

static void *answer(void *question)
{
    struct question *q = question;
    char *found = NULL;
    int error = find_user(q->name, &found);
    g_mutex_lock(&q->lock);
    q->found = found;
    q->error = error;
    q->is_answered = true;
    g_cond_signal(&q->answered);
    g_mutex_unlock(&q->lock);
    g_atomic_int_add(q->under_way, -1);
    question_unref(q);
    return NULL;
}

static struct question *ask(const struct passwd_table *p, const char *name, char **ret_why)
{
    g_autoptr(GError) error = NULL;
    struct question *q = g_atomic_rc_box_new0(struct question);
    q->name = g_strdup(name);
    q->under_way = g_atomic_rc_box_acquire(p->under_way);
    g_mutex_init(&q->lock);
    g_cond_init(&q->answered);
    GThread *thread = NULL;
    if (g_atomic_int_add(q->under_way, 1) >= QUESTIONS_MAX)
        *ret_why = g_strdup("too many questions have not been answered yet");
    else if ((thread = g_thread_try_new("passwd", answer, g_atomic_rc_box_acquire(q), &error)) == NULL)
        *ret_why = g_strdup(error->message);
    if (thread != NULL) {
        g_thread_unref(thread);
        return q;
    }
    g_atomic_int_add(q->under_way, -1);
    if (error != NULL)
        question_unref(q); /* which the thread would have had */
    question_unref(q);
    return NULL;
}

static int passwd_find(struct table *t, const char *name, const char *domain, GPtrArray *values,
                       char **ret_why)
{
    (void)domain;
    const struct passwd_table *p = (const struct passwd_table *)t;
    gint64 end_us = g_get_monotonic_time() + p->timeout * 1000;
    struct question *q = ask(p, name, ret_why);
    if (q == NULL)
        return -EIO;
    g_mutex_lock(&q->lock);
    while (!q->is_answered && g_cond_wait_until(&q->answered, &q->lock, end_us))
        ;
    int r = q->is_answered ? -q->error : -EIO;
    if (!q->is_answered)
        *ret_why = g_strdup("it took too long");
    else if (q->found != NULL)
        g_ptr_array_add(values, g_steal_pointer(&q->found));
    g_mutex_unlock(&q->lock);
    question_unref(q);
    return r;
}

const struct table_kind table_passwd_kind = {
    .prefix = "passwd:",
    .open = passwd_open,
    .free = passwd_free,
    .find = passwd_find,
};
