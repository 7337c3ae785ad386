#include "disk/disk_sim_descriptor.h"

#include <errno.h>

#include "base/assert.h"

enum { FIRST = 1 << 24 };

static void release(void *at)
{
    struct disk_descriptor *d = at;
    g_clear_pointer(&d->node, disk_node_unref);
    g_clear_pointer(&d->path, g_free);
}

void disk_descriptors_init(struct disk_descriptors *t)
{
    *t = (struct disk_descriptors){ .limit = SIZE_MAX };
    t->all = g_array_new(FALSE, FALSE, sizeof(struct disk_descriptor));
    g_array_set_clear_func(t->all, release);
}

void disk_descriptors_clear(struct disk_descriptors *t)
{
    g_clear_pointer(&t->all, g_array_unref);
}

int disk_descriptors_room(const struct disk_descriptors *t)
{
    return t->open < t->limit ? 0 : -EMFILE;
}

int disk_descriptors_open(struct disk_descriptors *t, struct disk_node *n, char *take_path, bool writable)
{
    int r = disk_descriptors_room(t);
    if (r < 0) {
        g_free(take_path);
        return r;
    }
    struct disk_descriptor d = { .node = disk_node_ref(n), .path = take_path, .writable = writable };
    g_array_append_val(t->all, d);
    t->open++;
    return FIRST + (int)t->all->len - 1;
}

static struct disk_descriptor *at(const struct disk_descriptors *t, int fd)
{
    if (fd < FIRST || (guint)(fd - FIRST) >= t->all->len)
        return NULL;
    return &g_array_index(t->all, struct disk_descriptor, fd - FIRST);
}

const struct disk_descriptor *disk_descriptors_find(const struct disk_descriptors *t, int fd)
{
    const struct disk_descriptor *d = at(t, fd);
    return d != NULL && d->node != NULL ? d : NULL;
}

bool disk_descriptors_tell(struct disk_descriptors *t, int fd, uint64_t error)
{
    struct disk_descriptor *d = &g_array_index(t->all, struct disk_descriptor, (guint)(fd - FIRST));
    bool is_new = error > d->told;
    if (is_new)
        d->told = error;
    return is_new;
}

void disk_descriptors_close(struct disk_descriptors *t, int fd)
{
    struct disk_descriptor *d = at(t, fd);
    pst_assert(d != NULL && !d->closed);
    d->closed = true;
    if (d->node != NULL) {
        t->open--;
        release(d);
    }
}

void disk_descriptors_crash(struct disk_descriptors *t)
{
    for (guint i = 0; i < t->all->len; i++)
        release(&g_array_index(t->all, struct disk_descriptor, i));
    t->open = 0;
}
