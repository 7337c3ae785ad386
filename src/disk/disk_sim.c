#include "disk/disk_sim.h"

#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "disk/disk.h"
#include "disk/disk_name.h"
#include "disk/disk_sim_descriptor.h"
#include "disk/disk_sim_fault.h"
#include "disk/disk_sim_files.h"
#include "disk/disk_sim_tree.h"
#include "disk/disk_sim_worlds.h"

/* The one mutable global: the seam's calls name no file system, as the system's do not. */
static struct {
    struct disk_node *root; /* NULL: never reset */
    GThread *thread;
    struct disk_descriptors descriptors;
    struct disk_faults faults;
    struct pst_random random;
    int64_t wall_us;
    uint64_t ids;         /* given to nodes that were asked for theirs */
    GArray *file_systems; /* struct file_system; that of the root first */
    uint64_t errors;      /* syncs of all that failed and forgot */
    uint64_t capacity;
    int capacity_error;
    void (*hook)(void *owner, const struct disk_sim_call *call);
    void *hook_owner;
} sim;

struct file_system {
    struct disk_node *top; /* not owned */
    bool syncs_all;
    uint64_t error; /* the number of the latest sync of all that failed and forgot something here */
};

static struct file_system *file_system_of(const struct disk_node *dir)
{
    return &g_array_index(sim.file_systems, struct file_system, disk_node_file_system(dir) - 1);
}

/* ---- descriptors ---- */

static struct disk_node *node_at(int fd)
{
    const struct disk_descriptor *d = disk_descriptors_find(&sim.descriptors, fd);
    return d != NULL ? d->node : NULL;
}

/* The path by which `fd` was opened, or that of a name in it. */
static char *path_at(int fd, const char *name)
{
    const struct disk_descriptor *d = disk_descriptors_find(&sim.descriptors, fd);
    const char *at = d != NULL ? d->path : "?";
    return name == NULL ? g_strdup(at) : g_build_filename(at, name, NULL);
}

static int open_node(struct disk_node *n, char *take_path, bool writable)
{
    int fd = disk_descriptors_open(&sim.descriptors, n, take_path, writable);
    if (fd >= 0)
        (void)disk_descriptors_tell(&sim.descriptors, fd,
                                    sim.errors); /* of what was before, it is not told */
    return fd;
}

static int need_descriptor(void)
{
    return disk_descriptors_room(&sim.descriptors);
}

void disk_close(int fd)
{
    disk_descriptors_close(&sim.descriptors, fd);
}

/* ---- the way into every call ---- */

struct subject {
    enum disk_sim_kind kind;
    const char *path; /* of disk_open_root and disk_open_path; else NULL */
    int dir;
    const char *name; /* NULL: `dir` itself */
    int to_dir;       /* of the calls that have two */
    const char *to;
};

static void tell_hook(const struct subject *s)
{
    bool pair = s->to != NULL || s->kind == DISK_SIM_APPEND_COPY;
    g_autofree char *path = s->path != NULL ? g_strdup(s->path) : path_at(s->dir, s->name);
    g_autofree char *to = pair ? path_at(s->to_dir, s->to) : NULL;
    const struct disk_sim_call call = {
        .kind = s->kind, .number = sim.faults.calls + 1, .path = path, .to = to
    };
    sim.hook(sim.hook_owner, &call);
}

/* 0, or what the call shall fail with. */
static int begin_faulty(struct subject s, struct disk_sim_fault *ret_fault)
{
    pst_assert(sim.root != NULL && sim.thread == g_thread_self());
    if (sim.hook != NULL)
        tell_hook(&s);
    return disk_faults_next(&sim.faults, s.kind, ret_fault);
}

static int begin(struct subject s)
{
    struct disk_sim_fault unused;
    return begin_faulty(s, &unused);
}
#define BEGIN(...) begin((struct subject){ __VA_ARGS__ })

static int directory_at(int dir, struct disk_node **ret_dir)
{
    struct disk_node *n = node_at(dir);
    if (n == NULL)
        return -EBADF;
    if (n->type != DISK_DIRECTORY)
        return -ENOTDIR;
    *ret_dir = n;
    return 0;
}

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
        r = directory_at(dir, &at);
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
    return dir != sim.root && dir->parent == NULL;
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

/* ---- directories and names ---- */

static int open_directory(struct disk_node *top, const char *path, char *take_path)
{
    struct disk_node *n = NULL;
    g_autofree char *name = take_path;
    int r = need_descriptor();
    if (r == 0)
        r = disk_tree_walk(sim.root, top, path, &n);
    if (r != 0)
        return r;
    return n->type == DISK_DIRECTORY ? open_node(n, g_steal_pointer(&name), false) : -ENOTDIR;
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
        return open_node(n, g_steal_pointer(&path), writable);
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
        r = need_descriptor();
    if (r == 0)
        r = disk_tree_walk(sim.root, NULL, path, &n);
    return r != 0 ? r : open_regular(n, g_strdup(path), false);
}

int disk_open_beneath(int dir, const char *path)
{
    struct disk_node *top = NULL;
    int r = BEGIN(.kind = DISK_SIM_OPEN_BENEATH, .dir = dir, .name = path);
    if (r == 0)
        r = directory_at(dir, &top);
    return r != 0 ? r : open_directory(top, path, path_at(dir, path));
}

static struct disk_stat stat_of(struct disk_node *n)
{
    if (n->id == 0)
        n->id = ++sim.ids;
    struct disk_stat st = {
        .type = n->type,
        .modified_us = n->modified_us,
        .changed_us = n->modified_us, /* here, nobody sets the one without the other */
        .device = 1,
        .id = n->id,
        .settled = llabs(sim.wall_us - n->modified_us) > DISK_SETTLED_US,
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
    struct disk_node *n = node_at(fd);
    if (n == NULL)
        return -EBADF;
    *ret_stat = stat_of(n);
    return 0;
}

int64_t disk_now_us(void)
{
    return sim.wall_us;
}

static void touch(struct disk_node *n)
{
    n->modified_us = sim.wall_us;
}

/* The new node stays its directory's. */
static struct disk_node *make(const struct entry *e, const char *name, enum disk_type type)
{
    struct disk_node *n = disk_node_new(type, sim.wall_us);
    disk_node_add(e->dir, name, n);
    disk_node_unref(n);
    touch(e->dir);
    return n;
}

int disk_create(int dir, const char *name)
{
    struct entry e = { NULL };
    int r = BEGIN(.kind = DISK_SIM_CREATE, .dir = dir, .name = name);
    if (r == 0)
        r = free_entry_at(dir, name, &e);
    if (r == 0)
        r = need_descriptor();
    if (r != 0)
        return r;
    return open_node(make(&e, name, DISK_FILE), path_at(dir, name), true);
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
    touch(e.dir);
    return 0;
}

static int open_file(enum disk_sim_kind kind, int dir, const char *name, bool writable)
{
    struct entry e = { NULL };
    int r = begin_at(kind, dir, name, &e);
    if (r == 0)
        r = need_descriptor();
    if (r != 0)
        return r;
    return e.node == NULL ? -ENOENT : open_regular(e.node, path_at(dir, name), writable);
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
    touch(old->dir);
    touch(new->dir);
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
    if (r == 0 && file_system_of(old->dir) != file_system_of(new->dir))
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
    int fault = begin_faulty(s, &how);
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
    touch(new.dir);
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
    touch(e.dir);
    return 0;
}

/* No order is promised, so none is given that someone could come to rely on. */
static void shuffle(GPtrArray *list)
{
    for (guint i = list->len; i > 1; i--) {
        guint other = (guint)pst_random_below(&sim.random, i);
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
        r = directory_at(dir, &at);
    if (r == 0)
        r = need_descriptor();
    if (r != 0)
        return r;
    g_autoptr(GPtrArray) names = disk_node_names(at); /* `each` may change the directory */
    shuffle(names);
    for (guint i = 0; r == 0 && i < names->len; i++)
        r = each(owner, g_ptr_array_index(names, i));
    return r;
}

/* ---- content ---- */

/* How many octets of `wanted` an append writes whose injected fault is `fault` (or 0). */
static uint64_t append_room(int fault, uint64_t wanted)
{
    if (fault != 0)
        return pst_random_below(&sim.random, wanted + 1);
    if (sim.capacity == UINT64_MAX)
        return wanted;
    uint64_t used = disk_tree_octets(sim.root);
    return used < sim.capacity ? MIN(wanted, sim.capacity - used) : 0;
}

static int append(int fault, int fd, const struct slice *parts, size_t count)
{
    const struct disk_descriptor *d = disk_descriptors_find(&sim.descriptors, fd);
    if (d == NULL || !d->writable)
        return -EBADF;
    uint64_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        wanted += parts[i].len;
    uint64_t room = append_room(fault, wanted);
    int full = room < wanted ? -sim.capacity_error : 0;
    for (size_t i = 0; i < count && room > 0; i++) {
        struct slice part = slice_first(parts[i], room);
        disk_node_append(d->node, part);
        room -= part.len;
    }
    touch(d->node);
    return fault != 0 ? fault : full;
}

int disk_append(int fd, const struct slice *parts, size_t count)
{
    int fault = BEGIN(.kind = DISK_SIM_APPEND, .dir = fd);
    return append(fault, fd, parts, count);
}

/* What the file holds at and after `offset`, until it changes. */
static int content_from(int fd, uint64_t offset, struct slice *ret_rest)
{
    const struct disk_node *n = node_at(fd);
    if (n == NULL)
        return -EBADF;
    if (n->type != DISK_FILE)
        return -EISDIR;
    size_t len = n->content->len;
    *ret_rest = offset < len ? slice_of(n->content->data + offset, len - offset) : slice_of(NULL, 0);
    return 0;
}

int64_t disk_read(int fd, uint64_t offset, void *ret_bytes, size_t len)
{
    struct slice rest = { NULL };
    int r = BEGIN(.kind = DISK_SIM_READ, .dir = fd);
    if (r == 0)
        r = content_from(fd, offset, &rest);
    if (r != 0)
        return r;
    if (offset > INT64_MAX)
        return -EINVAL;
    struct slice got = slice_first(rest, len);
    if (got.len > 0)
        memcpy(ret_bytes, got.data, got.len);
    return (int64_t)got.len;
}

int disk_append_copy(int to, int from, uint64_t offset)
{
    struct slice rest = { NULL };
    int fault = BEGIN(.kind = DISK_SIM_APPEND_COPY, .dir = from, .to_dir = to);
    int r = to == from ? -EINVAL : content_from(from, offset, &rest);
    if (r != 0)
        return r;
    /* A copy: `to` may be the same file, whose content moves as it grows. */
    g_autoptr(GBytes) copy = g_bytes_new(rest.data, rest.len);
    rest = slice_of(g_bytes_get_data(copy, NULL), rest.len);
    return append(fault, to, &rest, 1);
}

static int sync_node(enum disk_sim_kind kind, int fd)
{
    struct disk_sim_fault how = { .forgets = false };
    int fault = begin_faulty((struct subject){ .kind = kind, .dir = fd }, &how);
    struct disk_node *n = node_at(fd);
    if (n == NULL)
        return -EBADF;
    /* The system would take either call for either; but each promises something only for its own kind. */
    bool directory = kind == DISK_SIM_SYNC_DIR;
    pst_assert(directory == (n->type == DISK_DIRECTORY));
    /* What a failed sync of all forgot is told to whoever had it open then, once. */
    if (fault == 0 && disk_descriptors_tell(&sim.descriptors, fd, n->error))
        return -EIO;
    if (fault == 0)
        disk_node_sync(n);
    else if (how.forgets)
        disk_node_forget(n);
    return fault;
}

int disk_sync(int fd)
{
    return sync_node(DISK_SIM_SYNC, fd);
}

int disk_sync_dir(int dir)
{
    return sync_node(DISK_SIM_SYNC_DIR, dir);
}

int disk_can_sync_all(int dir, uint64_t *ret_file_system)
{
    struct disk_node *n;
    int r = BEGIN(.kind = DISK_SIM_CAN_SYNC_ALL, .dir = dir);
    if (r == 0)
        r = directory_at(dir, &n);
    if (r != 0)
        return r;
    if (!file_system_of(n)->syncs_all)
        return -EOPNOTSUPP;
    *ret_file_system = disk_node_file_system(n);
    return 0;
}

int disk_sync_all(int dir)
{
    struct disk_sim_fault how = { .forgets = false };
    struct disk_node *n;
    int fault = begin_faulty((struct subject){ .kind = DISK_SIM_SYNC_ALL, .dir = dir }, &how);
    int r = directory_at(dir, &n);
    if (r < 0)
        return r;
    struct file_system *fs = file_system_of(n);
    pst_assert(fs->syncs_all);
    if (fault == 0 && disk_descriptors_tell(&sim.descriptors, dir, fs->error))
        return -EIO;
    if (fault == 0) {
        disk_tree_sync(fs->top);
    } else if (how.forgets) {
        fs->error = ++sim.errors;
        disk_tree_forget(fs->top, fs->error);
    }
    (void)disk_descriptors_tell(&sim.descriptors, dir, fs->error); /* this one knows now */
    return fault;
}

/* ---- what a test does ---- */

void disk_sim_reset(uint64_t seed)
{
    disk_descriptors_clear(&sim.descriptors);
    g_clear_pointer(&sim.root, disk_node_unref);
    g_clear_pointer(&sim.file_systems, g_array_unref);
    disk_faults_clear(&sim.faults);
    memset(&sim, 0, sizeof sim);
    pst_random_seed(&sim.random, seed);
    sim.thread = g_thread_self();
    sim.root = disk_node_new(DISK_DIRECTORY, 0);
    sim.file_systems = g_array_new(FALSE, FALSE, sizeof(struct file_system));
    disk_sim_add_file_system(sim.root, true);
    disk_descriptors_init(&sim.descriptors);
    disk_sim_heal();
}

struct disk_node *disk_sim_root(void)
{
    pst_assert(sim.root != NULL);
    return sim.root;
}

void disk_sim_add_file_system(struct disk_node *top, bool syncs_all)
{
    const struct file_system fs = { .top = top, .syncs_all = syncs_all };
    g_array_append_val(sim.file_systems, fs);
    top->file_system = sim.file_systems->len;
}

uint64_t disk_sim_worlds(uint64_t most, void (*look)(void *owner), void *owner)
{
    return disk_worlds(sim.root, most, &sim.random, look, owner);
}

void disk_sim_crash(enum disk_sim_policy policy)
{
    disk_descriptors_crash(&sim.descriptors);
    disk_tree_crash(sim.root, policy, &sim.random);
}

void disk_sim_fail(struct disk_sim_fault fault)
{
    disk_faults_plan(&sim.faults, fault);
}

uint64_t disk_sim_failures(void)
{
    return sim.faults.failures;
}

void disk_sim_heal(void)
{
    if (sim.faults.planned != NULL)
        g_array_set_size(sim.faults.planned, 0);
    sim.capacity = UINT64_MAX;
    sim.descriptors.limit = SIZE_MAX;
}

void disk_sim_set_capacity(uint64_t octets, int error)
{
    pst_assert(error > 0);
    sim.capacity = octets;
    sim.capacity_error = error;
}

void disk_sim_set_descriptor_limit(size_t count)
{
    sim.descriptors.limit = count;
}

size_t disk_sim_open_descriptors(void)
{
    return sim.descriptors.open;
}

uint64_t disk_sim_calls(void)
{
    return sim.faults.calls;
}

void disk_sim_set_hook(void (*hook)(void *owner, const struct disk_sim_call *call), void *owner)
{
    sim.hook = hook;
    sim.hook_owner = owner;
}

void disk_sim_set_time(int64_t wall_us)
{
    sim.wall_us = wall_us;
}
