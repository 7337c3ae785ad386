#include "delivery/open_maildirs.h"

#include <errno.h>
#include <glib.h>

#include "disk/disk.h"

struct file_system {
    uint64_t id;
    int dir; /* a directory in it, open since before anything was written there: it is told of every error */
    int error; /* -errno of a sync: nothing in it can be trusted any more */
    struct file_system *next;
};

struct open_maildirs {
    GHashTable *by_mailbox; /* struct maildir by its own mailbox, whose folder counts here */
    bool sync_all;
    struct file_system *file_systems;
};

/* Two messages for one mailbox may go into two folders of it; so few do that the hash leaves it out. */
static int same_place(const void *left, const void *right)
{
    const struct mailbox *a = left, *b = right;
    return mailbox_equal(a, b) && g_strcmp0(a->folder, b->folder) == 0;
}

static void unref(void *maildir)
{
    maildir_unref(maildir);
}

struct open_maildirs *open_maildirs_new(bool sync_all)
{
    struct open_maildirs *m = g_new0(struct open_maildirs, 1);
    m->by_mailbox = g_hash_table_new_full(mailbox_hash, same_place, NULL, unref);
    m->sync_all = sync_all;
    return m;
}

void open_maildirs_free(struct open_maildirs *m)
{
    if (m == NULL)
        return;
    g_hash_table_unref(m->by_mailbox);
    for (struct file_system *fs = m->file_systems, *next; fs != NULL; fs = next) {
        next = fs->next;
        g_free(fs);
    }
    g_free(m);
}

static struct file_system *find_file_system(const struct open_maildirs *m, uint64_t id)
{
    struct file_system *fs = m->file_systems;
    while (fs != NULL && fs->id != id)
        fs = fs->next;
    return fs;
}

/* Where `maildir` lies in a file system that is synced as a whole, it will be. */
static int join_file_system(struct open_maildirs *m, struct maildir *maildir)
{
    uint64_t id;
    int r = disk_can_sync_all(maildir->tmp, &id);
    if (r < 0)
        return r == -EOPNOTSUPP ? 0 : r;
    struct file_system *fs = find_file_system(m, id);
    if (fs == NULL) {
        fs = g_new0(struct file_system, 1);
        *fs = (struct file_system){ .id = id, .dir = maildir->tmp, .next = m->file_systems };
        m->file_systems = fs;
    }
    maildir->synced_as_a_whole = &fs->error;
    return 0;
}

int open_maildirs_get(struct open_maildirs *m, const struct mailbox *mailbox, struct maildir **ret_maildir)
{
    struct maildir *maildir = g_hash_table_lookup(m->by_mailbox, mailbox);
    if (maildir == NULL) {
        int r = maildir_open_or_make(mailbox, &maildir);
        if (r >= 0 && m->sync_all && (r = join_file_system(m, maildir)) < 0)
            maildir_unref(maildir);
        if (r < 0)
            return r;
        g_hash_table_insert(m->by_mailbox, (void *)mailbox, maildir);
    }
    *ret_maildir = maildir;
    return 0;
}

void open_maildirs_sync_data(struct open_maildirs *m)
{
    for (struct file_system *fs = m->file_systems; fs != NULL; fs = fs->next)
        if (fs->error == 0)
            fs->error = disk_sync_all(fs->dir);
}

static void mark_names(void *mailbox, void *open, void *unused)
{
    (void)mailbox, (void)unused;
    struct maildir *maildir = open;
    if (maildir->synced_as_a_whole == NULL)
        return;
    int error = *maildir->synced_as_a_whole;
    maildir->new.error = maildir->cur.error = error;
    maildir->new.state = maildir->cur.state = error < 0 ? MAILDIR_FAILED : MAILDIR_SYNCED;
}

void open_maildirs_sync_names(struct open_maildirs *m)
{
    if (g_hash_table_size(m->by_mailbox) == 1)
        return;
    open_maildirs_sync_data(m); /* that of a file system makes no difference */
    g_hash_table_foreach(m->by_mailbox, mark_names, NULL);
}
