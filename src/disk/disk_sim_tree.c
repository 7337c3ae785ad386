#include "disk/disk_sim_tree.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/assert.h"

enum { LINKS_MAX = 40 }; /* as Linux has it */

static void change_free(void *data)
{
    struct disk_change *c = data;
    g_free(c->removed);
    g_free(c->added);
    disk_node_unref(c->node);
    g_free(c);
}

static int compare_names(const void *a, const void *b, void *unused)
{
    (void)unused;
    return strcmp(a, b);
}

static void unref_value(void *node)
{
    disk_node_unref(node);
}

static GTree *names_new(void)
{
    return g_tree_new_full(compare_names, NULL, g_free, unref_value);
}

static void names_set(GTree *names, const char *name, struct disk_node *n)
{
    g_tree_insert(names, g_strdup(name), disk_node_ref(n));
}

/* ---- nodes ---- */

struct disk_node *disk_node_new(enum disk_type type, int64_t wall_us)
{
    struct disk_node *n = g_new0(struct disk_node, 1);
    n->refs = 1;
    n->type = type;
    n->modified_us = wall_us;
    n->forgotten = SIZE_MAX;
    if (type == DISK_FILE) {
        n->content = g_byte_array_new();
    } else if (type == DISK_DIRECTORY) {
        n->names = names_new();
        n->durable_names = names_new();
        n->changes = g_ptr_array_new_with_free_func(change_free);
    }
    return n;
}

struct disk_node *disk_node_ref(struct disk_node *n)
{
    n->refs++;
    return n;
}

void disk_node_unref(struct disk_node *n)
{
    if (n == NULL || --n->refs > 0)
        return;
    g_clear_pointer(&n->content, g_byte_array_unref);
    g_clear_pointer(&n->names, g_tree_unref);
    g_clear_pointer(&n->durable_names, g_tree_unref);
    g_clear_pointer(&n->changes, g_ptr_array_unref);
    g_free(n->target);
    g_free(n);
}

/* ---- names ---- */

struct disk_node *disk_node_find(struct disk_node *dir, const char *name)
{
    return g_tree_lookup(dir->names, name);
}

static void note_change(struct disk_node *dir, const char *removed, const char *added, struct disk_node *n)
{
    struct disk_change *c = g_new0(struct disk_change, 1);
    c->removed = g_strdup(removed);
    c->added = g_strdup(added);
    c->node = n != NULL ? disk_node_ref(n) : NULL;
    g_ptr_array_add(dir->changes, c);
}

static void adopt(struct disk_node *dir, struct disk_node *n)
{
    if (n->type != DISK_DIRECTORY)
        return;
    pst_assert(n->parent == NULL); /* moved directories could, half lost, form a ring */
    n->parent = dir;
}

void disk_node_add(struct disk_node *dir, const char *name, struct disk_node *n)
{
    adopt(dir, n);
    names_set(dir->names, name, n);
    note_change(dir, NULL, name, n);
}

void disk_node_remove(struct disk_node *dir, const char *name)
{
    struct disk_node *n = disk_node_find(dir, name);
    if (n->type == DISK_DIRECTORY)
        n->parent = NULL;
    g_tree_remove(dir->names, name);
    note_change(dir, name, NULL, NULL);
}

void disk_node_rename(struct disk_node *dir, const char *from, const char *to)
{
    struct disk_node *n = disk_node_find(dir, from);
    names_set(dir->names, to, n);
    note_change(dir, from, to, n);
    g_tree_remove(dir->names, from);
}

void disk_node_add_durably(struct disk_node *dir, const char *name, struct disk_node *n)
{
    adopt(dir, n);
    names_set(dir->names, name, n);
    names_set(dir->durable_names, name, n);
}

static gboolean collect_name(void *name, void *node, void *list)
{
    (void)node;
    g_ptr_array_add(list, g_strdup(name));
    return FALSE;
}

uint64_t disk_node_file_system(const struct disk_node *dir)
{
    while (dir->file_system == 0 && dir->parent != NULL)
        dir = dir->parent;
    return dir->file_system != 0 ? dir->file_system : 1; /* of what was removed nobody can tell */
}

GPtrArray *disk_node_names(struct disk_node *dir)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    g_tree_foreach(dir->names, collect_name, list);
    return list;
}

/* ---- durability ---- */

void disk_node_append(struct disk_node *file, struct slice bytes)
{
    pst_assert(bytes.len <= G_MAXUINT - file->content->len);
    g_byte_array_append(file->content, bytes.data, (guint)bytes.len);
}

void disk_change_keep(const struct disk_change *c, GTree *names)
{
    if (c->removed != NULL)
        g_tree_remove(names, c->removed);
    if (c->added != NULL)
        names_set(names, c->added, c->node);
}

static void sync_names(struct disk_node *dir)
{
    for (guint i = 0; i < dir->changes->len; i++)
        disk_change_keep(g_ptr_array_index(dir->changes, i), dir->durable_names);
    g_ptr_array_set_size(dir->changes, 0);
}

size_t disk_node_survivable(const struct disk_node *file)
{
    return MIN(file->content->len, file->forgotten);
}

void disk_node_sync(struct disk_node *n)
{
    if (n->type == DISK_DIRECTORY)
        sync_names(n);
    else
        n->durable = disk_node_survivable(n);
}

void disk_node_forget(struct disk_node *n)
{
    if (n->type == DISK_DIRECTORY)
        g_ptr_array_set_size(n->changes, 0); /* nobody will ever write them */
    else if (n->durable < disk_node_survivable(n))
        n->forgotten = n->durable;
}

/* ---- crash ---- */

static bool change_survives(enum disk_sim_policy policy, struct pst_random *random)
{
    return policy == DISK_SIM_KEEP || (policy == DISK_SIM_SEEDED && pst_random_below(random, 2) == 0);
}

static gboolean restore_name(void *name, void *node, void *dir)
{
    struct disk_node *n = node, *parent = dir;
    names_set(parent->names, name, n);
    if (n->type == DISK_DIRECTORY)
        n->parent = parent; /* again, when it was removed */
    return FALSE;
}

static gboolean copy_name(void *name, void *node, void *names)
{
    names_set(names, name, node);
    return FALSE;
}

GTree *disk_node_durable_names(struct disk_node *dir)
{
    GTree *names = names_new();
    g_tree_foreach(dir->durable_names, copy_name, names);
    return names;
}

static void crash_names(struct disk_node *dir, enum disk_sim_policy policy, struct pst_random *random)
{
    for (guint i = 0; i < dir->changes->len; i++)
        if (change_survives(policy, random))
            disk_change_keep(g_ptr_array_index(dir->changes, i), dir->durable_names);
    g_ptr_array_set_size(dir->changes, 0);
    g_tree_unref(dir->names);
    dir->names = names_new();
    g_tree_foreach(dir->durable_names, restore_name, dir);
}

static void crash_content(struct disk_node *file, enum disk_sim_policy policy, struct pst_random *random)
{
    size_t most = disk_node_survivable(file);
    size_t left = policy == DISK_SIM_KEEP ? most : file->durable;
    if (policy == DISK_SIM_SEEDED && most > file->durable) {
        switch (pst_random_below(random, 3)) {
        case 0:
            left = most;
            break;
        case 1:
            left += pst_random_below(random, most - file->durable);
            break;
        default:
            break;
        }
    }
    g_byte_array_set_size(file->content, (guint)left);
    file->durable = left;
}

void disk_tree_crash(struct disk_node *dir, enum disk_sim_policy policy, struct pst_random *random)
{
    crash_names(dir, policy, random);
    g_autoptr(GPtrArray) names = disk_node_names(dir);
    for (guint i = 0; i < names->len; i++) {
        struct disk_node *n = disk_node_find(dir, g_ptr_array_index(names, i));
        if (n->type == DISK_DIRECTORY)
            disk_tree_crash(n, policy, random);
        else if (n->type == DISK_FILE)
            crash_content(n, policy, random);
    }
}

struct census {
    GHashTable *files; /* those that were counted */
    uint64_t octets;
};

static gboolean add_octets(void *name, void *node, void *census)
{
    (void)name;
    struct disk_node *n = node;
    struct census *c = census;
    if (n->type == DISK_FILE && g_hash_table_add(c->files, n))
        c->octets += n->content->len;
    else if (n->type == DISK_DIRECTORY)
        g_tree_foreach(n->names, add_octets, c);
    return FALSE;
}

uint64_t disk_tree_octets(struct disk_node *dir)
{
    g_autoptr(GHashTable) files = g_hash_table_new(NULL, NULL);
    struct census c = { .files = files };
    g_tree_foreach(dir->names, add_octets, &c);
    return c.octets;
}

/* ---- copies ---- */

struct copying {
    struct disk_node *dir;
    GHashTable *copies;
};

static gboolean copy_entry(void *name, void *node, void *copying)
{
    const struct copying *c = copying;
    struct disk_node *copy = g_hash_table_lookup(c->copies, node);
    copy = copy != NULL ? disk_node_ref(copy) : disk_tree_copy(node, c->copies);
    disk_node_add_durably(c->dir, name, copy);
    disk_node_unref(copy);
    return FALSE;
}

struct disk_node *disk_tree_copy(const struct disk_node *n, GHashTable *copies)
{
    struct disk_node *copy = disk_node_new(n->type, n->modified_us);
    copy->id = n->id;
    copy->file_system = n->file_system;
    copy->target = g_strdup(n->target);
    g_hash_table_insert(copies, (void *)n, copy);
    if (n->type == DISK_FILE) {
        g_byte_array_append(copy->content, n->content->data, n->content->len);
        copy->durable = n->content->len;
    } else if (n->type == DISK_DIRECTORY) {
        g_tree_foreach(n->names, copy_entry, &(struct copying){ copy, copies });
    }
    return copy;
}

/* ---- all at once ---- */

static bool is_synced(const struct disk_node *n)
{
    return n->type == DISK_DIRECTORY ? n->changes->len == 0 : n->durable == disk_node_survivable(n);
}

static void sync_or_forget(struct disk_node *n, uint64_t error)
{
    if (error > 0 && !is_synced(n)) {
        disk_node_forget(n);
        n->error = error;
    } else if (error == 0) {
        disk_node_sync(n);
    }
}

static gboolean for_entry(void *key, void *node, void *error)
{
    (void)key;
    struct disk_node *n = node;
    if (n->file_system != 0)
        return FALSE; /* another one */
    if (n->type == DISK_DIRECTORY)
        g_tree_foreach(n->names, for_entry, error);
    if (n->type == DISK_DIRECTORY || n->type == DISK_FILE)
        sync_or_forget(n, *(const uint64_t *)error);
    return FALSE;
}

void disk_tree_forget(struct disk_node *dir, uint64_t error)
{
    g_tree_foreach(dir->names, for_entry, &error);
    sync_or_forget(dir, error);
}

void disk_tree_sync(struct disk_node *dir)
{
    disk_tree_forget(dir, 0);
}

/* ---- paths ---- */

struct walk {
    struct disk_node *root, *top; /* top: NULL or the way's boundary */
    struct disk_node *at;
    unsigned links;
};

static int walk_path(struct walk *w, const char *path, bool follow_last);

static int walk_up(struct walk *w)
{
    if (w->at == w->top)
        return -EXDEV;
    if (w->at->parent != NULL)
        w->at = w->at->parent;
    return 0;
}

static int walk_component(struct walk *w, const char *name, bool follow)
{
    if (w->at->type != DISK_DIRECTORY)
        return -ENOTDIR;
    if (*name == '\0' || strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0)
        return walk_up(w);
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    struct disk_node *next = disk_node_find(w->at, name);
    if (next == NULL)
        return -ENOENT;
    if (next->type == DISK_LINK && !follow)
        return -ENOTDIR;
    if (next->type == DISK_LINK)
        return ++w->links > LINKS_MAX
                   ? -ELOOP
                   : walk_path(w, next->target, true); /* from the directory that holds it */
    w->at = next;
    return 0;
}

static int walk_path(struct walk *w, const char *path, bool follow_last)
{
    if (*path == '\0')
        return -ENOENT;
    if (*path == '/') {
        if (w->top != NULL)
            return -EXDEV;
        w->at = w->root;
    }
    g_auto(GStrv) components = g_strsplit(path, "/", -1);
    for (char **name = components; *name != NULL; name++) {
        int r = walk_component(w, *name, follow_last || name[1] != NULL);
        if (r < 0)
            return r;
    }
    return 0;
}

int disk_tree_walk(struct disk_node *root, struct disk_node *top, const char *path,
                   struct disk_node **ret_node)
{
    struct walk w = { .root = root, .top = top, .at = top != NULL ? top : root };
    int r = walk_path(&w, path, top == NULL);
    if (r == 0)
        *ret_node = w.at;
    return r;
}
