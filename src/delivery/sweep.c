#include "delivery/sweep.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "disk/disk.h"

static const int64_t STALE_US = INT64_C(36) * 60 * 60 * 1000000;

enum { DIRECTORIES_PER_JOB = 64 }; /* maildirs and folders; a maildir is not divided */

struct sweep {
    struct reactor *reactor;
    void (*on_done)(void *owner, const struct sweep_result *result);
    void *owner; /* of on_done */
    bool aborted;

    /* The job under way has all this for itself. */
    GPtrArray *roots;     /* paths of the domains' directories */
    guint root;           /* the index of the one in hand */
    GString *names;       /* what is in it, each with a NUL; NULL: not listed yet */
    size_t at;            /* of the next name */
    unsigned directories; /* that this job has looked at */
    int64_t stale_us;     /* what was written to since then is not stale */
    struct sweep_result result;
};

static void sweep_free(struct sweep *s)
{
    g_ptr_array_unref(s->roots);
    if (s->names != NULL)
        g_string_free(s->names, TRUE);
    g_free(s);
}

/* ---- a maildir: in a job ---- */

/* A directory that is being listed. */
struct place {
    struct sweep *sweep;
    int dir;
};

static void note(struct sweep *s, int error)
{
    if (error < 0 && error != -ENOENT) /* what went away is what we want, or somebody's right */
        s->result.failed++;
}

static int sweep_file(void *owner, const char *name)
{
    const struct place *tmp = owner;
    struct sweep *s = tmp->sweep;
    struct disk_stat st;
    int r = disk_stat(tmp->dir, name, &st);
    if (r == 0 && st.type == DISK_FILE && st.modified_us <= s->stale_us) {
        r = disk_unlink(tmp->dir, name);
        s->result.removed += r == 0;
    }
    note(s, r);
    return 0;
}

/* What only looks like one may be somebody's, whose files are none of our business. */
static bool is_maildir(struct sweep *s, int dir)
{
    static const char *const parts[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        struct disk_stat st;
        int r = disk_stat(dir, parts[i], &st);
        note(s, r);
        if (r < 0 || st.type != DISK_DIRECTORY)
            return false;
    }
    return true;
}

static bool sweep_if_maildir(struct sweep *s, int dir)
{
    s->directories++;
    if (!is_maildir(s, dir))
        return false;
    struct place tmp = { s, disk_open_beneath(dir, "tmp") };
    note(s, tmp.dir);
    if (tmp.dir >= 0) {
        note(s, disk_list(tmp.dir, sweep_file, &tmp));
        disk_close(tmp.dir);
    }
    return true;
}

/* What is no directory, and what lies elsewhere, is passed over. */
static int open_if_ours(struct sweep *s, int dir, const char *name)
{
    int fd = disk_open_beneath(dir, name);
    if (fd != -ENOTDIR && fd != -EXDEV && fd != -ELOOP)
        note(s, fd);
    return fd;
}

static int sweep_folder(void *owner, const char *name)
{
    const struct place *maildir = owner;
    if (name[0] != '.' || name[1] == '.')
        return 0;
    auto_disk int folder = open_if_ours(maildir->sweep, maildir->dir, name);
    if (folder >= 0)
        (void)sweep_if_maildir(maildir->sweep, folder); /* else it is no folder */
    return 0;
}

static void sweep_mailbox(struct sweep *s, int root, const char *name)
{
    auto_disk int dir = open_if_ours(s, root, name);
    if (dir < 0 || !sweep_if_maildir(s, dir))
        return;
    struct place maildir = { s, dir };
    note(s, disk_list(dir, sweep_folder, &maildir));
    s->result.mailboxes++;
}

/* ---- a domain's directory: in jobs ---- */

static int keep_name(void *owner, const char *name)
{
    GString *names = owner;
    if (*name != '.') /* no mailbox's name begins so */
        g_string_append_len(names, name, (gssize)strlen(name) + 1);
    return 0;
}

static void list_root(struct sweep *s, int root)
{
    s->names = g_string_new(NULL);
    s->at = 0;
    note(s, disk_list(root, keep_name, s->names));
}

static void sweep_some(struct sweep *s, int root)
{
    s->stale_us = disk_now_us() - STALE_US;
    s->directories = 0;
    while (s->at < s->names->len && s->directories < DIRECTORIES_PER_JOB) {
        const char *name = s->names->str + s->at;
        s->at += strlen(name) + 1;
        sweep_mailbox(s, root, name);
    }
}

static const char *path_of(const struct sweep *s, guint root)
{
    return g_ptr_array_index(s->roots, root);
}

/* Domains may share a directory; they are sorted by it. */
static void leave_root(struct sweep *s)
{
    guint left = s->root;
    if (s->names != NULL)
        g_string_free(g_steal_pointer(&s->names), TRUE);
    do
        s->root++;
    while (s->root < s->roots->len && strcmp(path_of(s, s->root), path_of(s, left)) == 0);
}

static void run(void *arg)
{
    struct sweep *s = arg;
    if (s->root == s->roots->len)
        return; /* there is no domain at all */
    auto_disk int root = disk_open_root(path_of(s, s->root));
    note(s, root);
    if (root >= 0 && s->names == NULL)
        list_root(s, root);
    else if (root >= 0)
        sweep_some(s, root);
    if (root < 0 || s->at == s->names->len)
        leave_root(s);
}

/* ---- on the loop ---- */

static void on_job_done(void *arg)
{
    struct sweep *s = arg;
    if (!s->aborted && s->root < s->roots->len) {
        reactor_submit(s->reactor, run, on_job_done, s);
        return;
    }
    if (!s->aborted)
        s->on_done(s->owner, &s->result);
    sweep_free(s);
}

static void keep_root(void *owner, const struct domain *domain)
{
    g_ptr_array_add(owner, g_strdup(domain->options.maildirs));
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct sweep *sweep_start(struct reactor *r, const struct router *router,
                          void (*on_done)(void *owner, const struct sweep_result *result), void *owner)
{
    struct sweep *s = g_new0(struct sweep, 1);
    s->reactor = r;
    s->on_done = on_done;
    s->owner = owner;
    s->roots = g_ptr_array_new_with_free_func(g_free);
    router_for_each_domain(router, keep_root, s->roots);
    g_ptr_array_sort(s->roots, compare_paths);
    reactor_submit(r, run, on_job_done, s);
    return s;
}

void sweep_abort(struct sweep *s)
{
    if (s != NULL)
        s->aborted = true;
}
