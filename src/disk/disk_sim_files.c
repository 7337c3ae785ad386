#include "disk/disk_sim_files.h"

#include <string.h>

#include "base/assert.h"
#include "disk/disk_sim.h"

/* The directory at `path`, made where it is missing. */
static struct disk_node *make_directories(const char *path)
{
    struct disk_node *at = disk_sim_root();
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    for (char **name = names; *name != NULL; name++) {
        if (**name == '\0')
            continue;
        struct disk_node *next = disk_node_find(at, *name);
        if (next == NULL) {
            next = disk_node_new(DISK_DIRECTORY, 0);
            disk_node_add_durably(at, *name, next);
            disk_node_unref(next);
        }
        pst_assert(next->type == DISK_DIRECTORY);
        at = next;
    }
    return at;
}

void disk_sim_mkdir_all(const char *path)
{
    (void)make_directories(path); /* the node stays the tree's */
}

/* The node stays its directory's. */
static struct disk_node *place(const char *path, enum disk_type type)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    struct disk_node *at = make_directories(dir[0] == '.' ? "" : dir);
    pst_assert(disk_node_find(at, name) == NULL);
    struct disk_node *n = disk_node_new(type, 0);
    disk_node_add_durably(at, name, n);
    disk_node_unref(n);
    return n;
}

void disk_sim_write_file(const char *path, struct slice content)
{
    struct disk_node *file = place(path, DISK_FILE);
    disk_node_append(file, content);
    disk_node_sync(file);
}

void disk_sim_mount(const char *path, bool syncs_all)
{
    struct disk_node *top = make_directories(path);
    pst_assert(top->file_system == 0 && g_tree_nnodes(top->names) == 0);
    disk_sim_add_file_system(top, syncs_all);
}

void disk_sim_symlink(const char *path, const char *target)
{
    place(path, DISK_LINK)->target = g_strdup(target);
}

void disk_sim_special(const char *path)
{
    (void)place(path, DISK_OTHER); /* there is nothing to fill in */
}

static struct disk_node *look(const char *path, enum disk_type type)
{
    struct disk_node *n = NULL;
    return disk_tree_walk(disk_sim_root(), NULL, path, &n) == 0 && n->type == type ? n : NULL;
}

char *disk_sim_read_file(const char *path, size_t *ret_len)
{
    const struct disk_node *n = look(path, DISK_FILE);
    if (n == NULL)
        return NULL;
    size_t len = n->content->len;
    if (ret_len != NULL)
        *ret_len = len;
    char *copy = g_malloc0(len + 1); /* not slice_dup: content may hold NUL */
    if (len > 0)
        memcpy(copy, n->content->data, len);
    return copy;
}

/* What has the name now, and after a crash that loses all changes. */
static struct disk_node *find_durable(struct disk_node *dir, const char *name)
{
    struct disk_node *n = g_tree_lookup(dir->durable_names, name);
    return n == disk_node_find(dir, name) ? n : NULL;
}

bool disk_sim_is_durable(const char *path)
{
    struct disk_node *at = disk_sim_root();
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    for (char **name = names; *name != NULL && at != NULL; name++)
        if (**name != '\0')
            at = at->type == DISK_DIRECTORY ? find_durable(at, *name) : NULL;
    return at != NULL && (at->type != DISK_FILE || at->durable == at->content->len);
}

bool disk_sim_is_synced(const char *path)
{
    const struct disk_node *n = look(path, DISK_FILE);
    return n != NULL && n->durable == n->content->len;
}

char **disk_sim_names(const char *path)
{
    struct disk_node *n = look(path, DISK_DIRECTORY);
    if (n == NULL)
        return NULL;
    GPtrArray *names = disk_node_names(n);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}
