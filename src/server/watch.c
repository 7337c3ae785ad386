#include "server/watch.h"

#include <errno.h>
#include <glib.h>
#include <sys/stat.h>

/* What tells one version of a file from another. The time of its inode's last change is there for owner and
 * mode, and for what was written without a trace in the time of the content. */
struct look {
    int error;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct file {
    char *path;
    struct look known, last;
};

struct watch {
    GArray *files; /* struct file */
};

static struct look look_at(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct look){ .error = errno };
    return (struct look){ 0, st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->error == b->error && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(&a->modified, &b->modified) && is_same_time(&a->changed, &b->changed);
}

static void file_clear(void *file)
{
    g_free(((struct file *)file)->path);
}

struct watch *watch_new(const char *const *paths)
{
    struct watch *w = g_new0(struct watch, 1);
    w->files = g_array_new(FALSE, FALSE, sizeof(struct file));
    g_array_set_clear_func(w->files, file_clear);
    for (const char *const *path = paths; *path != NULL; path++) {
        struct file f = { .path = g_strdup(*path) };
        f.known = f.last = look_at(*path);
        g_array_append_val(w->files, f);
    }
    return w;
}

void watch_free(struct watch *w)
{
    if (w == NULL)
        return;
    g_array_unref(w->files);
    g_free(w);
}

bool watch_has_changed(struct watch *w)
{
    bool is_new = false, is_settled = true;
    for (guint i = 0; i < w->files->len; i++) {
        struct file *f = &g_array_index(w->files, struct file, i);
        struct look now = look_at(f->path);
        is_new |= !is_same(&now, &f->known);
        is_settled &= is_same(&now, &f->last);
        f->last = now;
    }
    if (!is_new || !is_settled)
        return false;
    for (guint i = 0; i < w->files->len; i++) {
        struct file *f = &g_array_index(w->files, struct file, i);
        f->known = f->last;
    }
    return true;
}
