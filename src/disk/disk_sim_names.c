/* The simulated file system's calls on names: opening, making, moving and removing what has one. */
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/disk_name.h"
#include "disk/disk_sim_internal.h"

/* A name's directory, and what the name stands for, if it is there. */
struct entry {
    struct disk_node *dir;
    struct disk_node *node; /* or NULL */
};

static int entry_at(int dir, const char *name, struct entry *ret_entry)
{
    struct disk_node *at = NULL;
    int r = disk_name_check(dir, name);
    if (r == 0)
        r = disk_sim_directory_at(dir, &at);
    if (r != 0)
        return r;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    *ret_entry = (struct entry){ .dir = at, .node = disk_node_find(at, name) };
    return 0;
}

/* For calls on a name. */
static int begin_at(enum disk_sim_kind kind, int dir, const char *name, struct entry *ret_entry)
{
    int r = BEGIN(.kind = kind, .dir = dir, .name = name);
    return r != 0 ? r : entry_at(dir, name, ret_entry);
}

static bool is_removed(const struct disk_node *dir)
{
    return dir != disk_sim.root && dir->parent == NULL;
}

/* A name that is to be made: none can be in a directory that was removed. */
static int free_entry_at(int dir, const char *name, struct entry *ret_entry)
{
    int r = entry_at(dir, name, ret_entry);
    if (r != 0)
        return r;
    if (ret_entry->node != NULL)
        return -EEXIST;
    return is_removed(ret_entry->dir) ? -ENOENT : 0;
}

static int open_directory(struct disk_node *top, const char *path, char *take_path)
{
    struct disk_node *n = NULL;
    g_autofree char *name = take_path;
    int r = disk_sim_need_descriptor();
    if (r == 0)
        r = disk_tree_walk(disk_sim.root, top, path, &n);
    if (r != 0)
        return r;
    return n->type == DISK_DIRECTORY ? disk_sim_open_node(n, g_steal_pointer(&name), false) : -ENOTDIR;
}

int disk_open_root(const char *path)
{
    int r = BEGIN(.kind = DISK_SIM_OPEN_ROOT, .path = path);
    return r != 0 ? r : open_directory(NULL, path, g_strdup(path));
}

/* What is no directory. */
static int open_regular(struct disk_node *n, char *take_path, bool writable)
{
    g_autofree char *path = take_path;
    switch (n->type) {
    case DISK_FILE:
        return disk_sim_open_node(n, g_steal_pointer(&path), writable);
    case DISK_LINK:
        return -ELOOP;
    case DISK_DIRECTORY:
        return -EISDIR;
    case DISK_OTHER:
        break;
    }
    return -EINVAL;
}

int disk_open_path(const char *path)
{
    struct disk_node *n = NULL;
    int r = BEGIN(.kind = DISK_SIM_OPEN_PATH, .path = path);
    if (r == 0)
        r = disk_sim_need_descriptor();
    if (r == 0)
        r = disk_tree_walk(disk_sim.root, NULL, path, &n);
    return r != 0 ? r : open_regular(n, g_strdup(path), false);
}

int disk_open_beneath(int dir, const char *path)
{
    struct disk_node *top = NULL;
    int r = BEGIN(.kind = DISK_SIM_OPEN_BENEATH, .dir = dir, .name = path);
    if (r == 0)
        r = disk_sim_directory_at(dir, &top);
    return r != 0 ? r : open_directory(top, path, disk_sim_path_at(dir, path));
}

static struct disk_stat stat_of(struct disk_node *n)
{
    if (n->id == 0)
        n->id = ++disk_sim.ids;
    struct disk_stat st = {
        .type = n->type,
        .modified_us = n->modified_us,
        .changed_us = n->modified_us, /* here, nobody sets the one without the other */
        .device = 1,
        .id = n->id,
        .settled = llabs(disk_sim.wall_us - n->modified_us) > DISK_SETTLED_US,
    };
    if (n->type == DISK_FILE)
        st.size = n->content->len;
    else if (n->type == DISK_LINK)
        st.size = strlen(n->target);
    return st;
}

int disk_stat(int dir, const char *name, struct disk_stat *ret_stat)
{
    struct entry e = { NULL };
    int r = begin_at(DISK_SIM_STAT, dir, name, &e);
    if (r != 0)
        return r;
    if (e.node == NULL)
        return -ENOENT;
    *ret_stat = stat_of(e.node);
    return 0;
}

int disk_stat_open(int fd, struct disk_stat *ret_stat)
{
    int r = BEGIN(.kind = DISK_SIM_STAT_OPEN, .dir = fd);
    if (r != 0)
        return r;
    struct disk_node *n = disk_sim_node_at(fd);
    if (n == NULL)
        return -EBADF;
    *ret_stat = stat_of(n);
    return 0;
}

int64_t disk_now_us(void)
{
    return disk_sim.wall_us;
}

/* The new node stays its directory's. */
static struct disk_node *make(const struct entry *e, const char *name, enum disk_type type)
{
    struct disk_node *n = disk_node_new(type, disk_sim.wall_us);
    disk_node_add(e->dir, name, n);
    disk_node_unref(n);
    disk_sim_touch(e->dir);
    return n;
}

int disk_create(int dir, const char *name)
{
    struct entry e = { NULL };
    int r = BEGIN(.kind = DISK_SIM_CREATE, .dir = dir, .name = name);
    if (r == 0)
        r = free_entry_at(dir, name, &e);
    if (r == 0)
        r = disk_sim_need_descriptor();
    if (r != 0)
        return r;
    return disk_sim_open_node(make(&e, name, DISK_FILE), disk_sim_path_at(dir, name), true);
}

int disk_mkdir(int dir, const char *name)
{
    struct entry e = { NULL };
    int r = BEGIN(.kind = DISK_SIM_MKDIR, .dir = dir, .name = name);
    if (r == 0)
        r = free_entry_at(dir, name, &e);
    if (r != 0)
        return r;
    (void)make(&e, name, DISK_DIRECTORY); /* opened by who wants it */
    return 0;
}

int disk_rmdir(int dir, const char *name)
{
    struct entry e = { NULL };
    int r = begin_at(DISK_SIM_RMDIR, dir, name, &e);
    if (r != 0)
        return r;
    if (e.node == NULL)
        return -ENOENT;
    if (e.node->type != DISK_DIRECTORY)
        return -ENOTDIR;
    if (g_tree_nnodes(e.node->names) > 0)
        return -ENOTEMPTY;
    disk_node_remove(e.dir, name);
    disk_sim_touch(e.dir);
    return 0;
}

static int open_file(enum disk_sim_kind kind, int dir, const char *name, bool writable)
{
    struct entry e = { NULL };
    int r = begin_at(kind, dir, name, &e);
    if (r == 0)
        r = disk_sim_need_descriptor();
    if (r != 0)
        return r;
    return e.node == NULL ? -ENOENT : open_regular(e.node, disk_sim_path_at(dir, name), writable);
}

int disk_open_file(int dir, const char *name)
{
    return open_file(DISK_SIM_OPEN_FILE, dir, name, false);
}

int disk_open_append(int dir, const char *name)
{
    return open_file(DISK_SIM_OPEN_APPEND, dir, name, true);
}

/* What has the new name, if something has, is given up. */
static int move(const struct entry *old, const char *from, const struct entry *new, const char *to)
{
    if (old->node->type == DISK_DIRECTORY) /* what the least of file systems would say */
        return -EPERM;
    if (old->dir != new->dir) {
        disk_node_add(new->dir, to, old->node);
        disk_node_remove(old->dir, from);
    } else if (strcmp(from, to) != 0) {
        disk_node_rename(old->dir, from, to);
    }
    disk_sim_touch(old->dir);
    disk_sim_touch(new->dir);
    return 0;
}

static int entries_at(struct entry *old, int from_dir, const char *from, struct entry *new, int to_dir,
                      const char *to)
{
    int r = entry_at(from_dir, from, old);
    if (r == 0)
        r = entry_at(to_dir, to, new);
    if (r == 0 && (old->node == NULL || is_removed(new->dir)))
        r = -ENOENT;
    if (r == 0 && disk_sim_file_system(old->dir) != disk_sim_file_system(new->dir))
        r = -EXDEV;
    return r;
}

static int begin_move(enum disk_sim_kind kind, struct entry *old, int from_dir, const char *from,
                      struct entry *new, int to_dir, const char *to)
{
    int r = BEGIN(.kind = kind, .dir = from_dir, .name = from, .to_dir = to_dir, .to = to);
    return r != 0 ? r : entries_at(old, from_dir, from, new, to_dir, to);
}

int disk_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    const struct subject s = {
        .kind = DISK_SIM_RENAME, .dir = from_dir, .name = from, .to_dir = to_dir, .to = to
    };
    struct disk_sim_fault how = { .happens = false };
    int fault = disk_sim_begin_faulty(s, &how);
    if (fault != 0 && !how.happens)
        return fault;
    struct entry old = { NULL }, new = { NULL };
    int r = entries_at(&old, from_dir, from, &new, to_dir, to);
    if (r == 0)
        r = new.node != NULL ? -EEXIST : move(&old, from, &new, to);
    return fault != 0 ? fault : r;
}

int disk_replace(int from_dir, const char *from, int to_dir, const char *to)
{
    struct entry old = { NULL }, new = { NULL };
    int r = begin_move(DISK_SIM_REPLACE, &old, from_dir, from, &new, to_dir, to);
    if (r != 0)
        return r;
    const struct disk_node *there = new.node;
    return there != NULL && there->type == DISK_DIRECTORY ? -EISDIR : move(&old, from, &new, to);
}

int disk_link(int from_dir, const char *from, int to_dir, const char *to)
{
    struct entry old = { NULL }, new = { NULL };
    int r = begin_move(DISK_SIM_LINK, &old, from_dir, from, &new, to_dir, to);
    if (r != 0)
        return r;
    if (new.node != NULL)
        return -EEXIST;
    if (old.node->type == DISK_DIRECTORY)
        return -EPERM;
    disk_node_add(new.dir, to, old.node);
    disk_sim_touch(new.dir);
    return 0;
}

int disk_unlink(int dir, const char *name)
{
    struct entry e = { NULL };
    int r = begin_at(DISK_SIM_UNLINK, dir, name, &e);
    if (r != 0)
        return r;
    if (e.node == NULL)
        return -ENOENT;
    if (e.node->type == DISK_DIRECTORY)
        return -EISDIR;
    disk_node_remove(e.dir, name);
    disk_sim_touch(e.dir);
    return 0;
}

/* No order is promised, so none is given that someone could come to rely on. */
static void shuffle(GPtrArray *list)
{
    for (guint i = list->len; i > 1; i--) {
        guint other = (guint)pst_random_below(&disk_sim.random, i);
        void *swapped = g_ptr_array_index(list, i - 1);
        g_ptr_array_index(list, i - 1) = g_ptr_array_index(list, other);
        g_ptr_array_index(list, other) = swapped;
    }
}

int disk_list(int dir, int (*each)(void *owner, const char *name), void *owner)
{
    struct disk_node *at = NULL;
    int r = BEGIN(.kind = DISK_SIM_LIST, .dir = dir);
    if (r == 0)
        r = disk_sim_directory_at(dir, &at);
    if (r == 0)
        r = disk_sim_need_descriptor();
    if (r != 0)
        return r;
    g_autoptr(GPtrArray) names = disk_node_names(at); /* `each` may change the directory */
    shuffle(names);
    for (guint i = 0; r == 0 && i < names->len; i++)
        r = each(owner, g_ptr_array_index(names, i));
    return r;
}
