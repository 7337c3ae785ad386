#include "disk/disk_sim.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/assert.h"
#include "disk/disk.h"
#include "disk/disk_sim_files.h"
#include "disk/disk_sim_internal.h"
#include "disk/disk_sim_worlds.h"

struct disk_sim disk_sim;

struct file_system *disk_sim_file_system(const struct disk_node *dir)
{
    return &g_array_index(disk_sim.file_systems, struct file_system, disk_node_file_system(dir) - 1);
}

/* ---- descriptors ---- */

struct disk_node *disk_sim_node_at(int fd)
{
    const struct disk_descriptor *d = disk_descriptors_find(&disk_sim.descriptors, fd);
    return d != NULL ? d->node : NULL;
}

char *disk_sim_path_at(int fd, const char *name)
{
    const struct disk_descriptor *d = disk_descriptors_find(&disk_sim.descriptors, fd);
    const char *at = d != NULL ? d->path : "?";
    char *path = name == NULL ? g_strdup(at) : g_build_filename(at, name, NULL);
    if (g_str_has_suffix(path, "/."))
        path[strlen(path) - 2] = '\0'; /* a directory has one name, however it was opened */
    return path;
}

int disk_sim_open_node(struct disk_node *n, char *take_path, bool writable)
{
    int fd = disk_descriptors_open(&disk_sim.descriptors, n, take_path, writable);
    if (fd >= 0)
        (void)disk_descriptors_tell(&disk_sim.descriptors, fd,
                                    disk_sim.errors); /* of what was before, it is not told */
    return fd;
}

int disk_sim_need_descriptor(void)
{
    return disk_descriptors_room(&disk_sim.descriptors);
}

void disk_close(int fd)
{
    disk_descriptors_close(&disk_sim.descriptors, fd);
}

/* ---- the way into every call ---- */

static void tell_hook(const struct subject *s)
{
    bool pair = s->to != NULL || s->kind == DISK_SIM_APPEND_COPY;
    g_autofree char *path = s->path != NULL ? g_strdup(s->path) : disk_sim_path_at(s->dir, s->name);
    g_autofree char *to = pair ? disk_sim_path_at(s->to_dir, s->to) : NULL;
    const struct disk_sim_call call = {
        .kind = s->kind, .number = disk_sim.faults.calls + 1, .path = path, .to = to
    };
    disk_sim.hook(disk_sim.hook_owner, &call);
}

int disk_sim_begin_faulty(struct subject s, struct disk_sim_fault *ret_fault)
{
    pst_assert(disk_sim.root != NULL && disk_sim.thread == g_thread_self());
    if (disk_sim.hook != NULL)
        tell_hook(&s);
    return disk_faults_next(&disk_sim.faults, s.kind, ret_fault);
}

int disk_sim_begin(struct subject s)
{
    struct disk_sim_fault unused;
    return disk_sim_begin_faulty(s, &unused);
}

int disk_sim_directory_at(int dir, struct disk_node **ret_dir)
{
    struct disk_node *n = disk_sim_node_at(dir);
    if (n == NULL)
        return -EBADF;
    if (n->type != DISK_DIRECTORY)
        return -ENOTDIR;
    *ret_dir = n;
    return 0;
}

void disk_sim_touch(struct disk_node *n)
{
    n->modified_us = disk_sim.wall_us;
}

/* ---- content ---- */

/* How many octets of `wanted` an append writes whose injected fault is `fault` (or 0). */
static uint64_t append_room(int fault, bool clean, uint64_t wanted)
{
    if (fault != 0)
        return clean ? 0 : pst_random_below(&disk_sim.random, wanted + 1);
    if (disk_sim.capacity == UINT64_MAX)
        return wanted;
    uint64_t used = disk_tree_octets(disk_sim.root);
    return used < disk_sim.capacity ? MIN(wanted, disk_sim.capacity - used) : 0;
}

static int append(int fault, bool clean, int fd, const struct slice *parts, size_t count)
{
    const struct disk_descriptor *d = disk_descriptors_find(&disk_sim.descriptors, fd);
    if (d == NULL || !d->writable)
        return -EBADF;
    uint64_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        wanted += parts[i].len;
    uint64_t room = append_room(fault, clean, wanted);
    int full = room < wanted ? -disk_sim.capacity_error : 0;
    for (size_t i = 0; i < count && room > 0; i++) {
        struct slice part = slice_first(parts[i], room);
        disk_node_append(d->node, part);
        room -= part.len;
    }
    disk_sim_touch(d->node);
    return fault != 0 ? fault : full;
}

int disk_append(int fd, const struct slice *parts, size_t count)
{
    struct disk_sim_fault how = { .clean = false };
    int fault = disk_sim_begin_faulty((struct subject){ .kind = DISK_SIM_APPEND, .dir = fd }, &how);
    return append(fault, how.clean, fd, parts, count);
}

/* What the file holds at and after `offset`, until it changes. */
static int content_from(int fd, uint64_t offset, struct slice *ret_rest)
{
    const struct disk_node *n = disk_sim_node_at(fd);
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
    struct disk_sim_fault how = { .clean = false };
    int fault = disk_sim_begin_faulty(
        (struct subject){ .kind = DISK_SIM_APPEND_COPY, .dir = from, .to_dir = to }, &how);
    int r = to == from ? -EINVAL : content_from(from, offset, &rest);
    if (r != 0)
        return r;
    /* A copy: `to` may be the same file, whose content moves as it grows. */
    g_autoptr(GBytes) copy = g_bytes_new(rest.data, rest.len);
    rest = slice_of(g_bytes_get_data(copy, NULL), rest.len);
    return append(fault, how.clean, to, &rest, 1);
}

/* In no directory: what it holds counts for no capacity, and goes with its last descriptor. */
int disk_scratch(void)
{
    int r = BEGIN(.kind = DISK_SIM_SCRATCH, .path = "(scratch)");
    if (r == 0)
        r = disk_sim_need_descriptor();
    if (r != 0)
        return r;
    struct disk_node *n = disk_node_new(DISK_FILE, disk_sim.wall_us);
    int fd = disk_sim_open_node(n, g_strdup("(scratch)"), true);
    disk_node_unref(n);
    return fd;
}

int disk_truncate(int fd)
{
    int fault = BEGIN(.kind = DISK_SIM_TRUNCATE, .dir = fd);
    const struct disk_descriptor *d = disk_descriptors_find(&disk_sim.descriptors, fd);
    if (d == NULL)
        return -EBADF;
    if (fault != 0 || !d->writable)
        return fault != 0 ? fault : -EINVAL;
    pst_assert(d->node->durable == 0); /* files that are to survive only grow */
    g_byte_array_set_size(d->node->content, 0);
    disk_sim_touch(d->node);
    return 0;
}

static int sync_node(enum disk_sim_kind kind, int fd)
{
    struct disk_sim_fault how = { .forgets = false };
    int fault = disk_sim_begin_faulty((struct subject){ .kind = kind, .dir = fd }, &how);
    struct disk_node *n = disk_sim_node_at(fd);
    if (n == NULL)
        return -EBADF;
    /* The system would take either call for either; but each promises something only for its own kind. */
    bool directory = kind == DISK_SIM_SYNC_DIR;
    pst_assert(directory == (n->type == DISK_DIRECTORY));
    /* What a failed sync of all forgot is told to whoever had it open then, once. */
    if (fault == 0 && disk_descriptors_tell(&disk_sim.descriptors, fd, n->error))
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

/* What is under way is lost in a crash, as it may be: that is what a program has to bear with. */
int disk_write_out(int fd, uint64_t from, uint64_t to)
{
    struct disk_sim_fault how = { .forgets = false };
    int fault = disk_sim_begin_faulty((struct subject){ .kind = DISK_SIM_WRITE_OUT, .dir = fd }, &how);
    struct disk_node *n = disk_sim_node_at(fd);
    if (n == NULL)
        return -EBADF;
    pst_assert(n->type != DISK_DIRECTORY && from <= to && to <= n->content->len);
    if (fault != 0 && how.forgets)
        disk_node_forget(n);
    return fault;
}

/* Nothing is written behind a program's back here, so that only a sync loses something, or a fault says so.
 */
int disk_check(int fd)
{
    int fault = BEGIN(.kind = DISK_SIM_CHECK, .dir = fd);
    const struct disk_node *n = disk_sim_node_at(fd);
    if (n == NULL)
        return -EBADF;
    return fault == 0 && disk_descriptors_tell(&disk_sim.descriptors, fd, n->error) ? -EIO : fault;
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
        r = disk_sim_directory_at(dir, &n);
    if (r != 0)
        return r;
    if (!disk_sim_file_system(n)->syncs_all)
        return -EOPNOTSUPP;
    *ret_file_system = disk_node_file_system(n);
    return 0;
}

static void lose(struct file_system *fs)
{
    fs->error = ++disk_sim.errors;
    disk_tree_forget(fs->top, fs->error);
}

int disk_sync_all(int dir)
{
    struct disk_sim_fault how = { .forgets = false };
    struct disk_node *n;
    int fault = disk_sim_begin_faulty((struct subject){ .kind = DISK_SIM_SYNC_ALL, .dir = dir }, &how);
    int r = disk_sim_directory_at(dir, &n);
    if (r < 0)
        return r;
    struct file_system *fs = disk_sim_file_system(n);
    pst_assert(fs->syncs_all);
    if (fault == 0 && disk_descriptors_tell(&disk_sim.descriptors, dir, fs->error))
        return -EIO;
    if (fault == 0) {
        disk_tree_sync(fs->top);
    } else if (how.forgets) {
        lose(fs);
    }
    (void)disk_descriptors_tell(&disk_sim.descriptors, dir, fs->error); /* this one knows now */
    return fault;
}

/* ---- what a test does ---- */

static void clear(void)
{
    disk_descriptors_clear(&disk_sim.descriptors);
    g_clear_pointer(&disk_sim.root, disk_node_unref);
    g_clear_pointer(&disk_sim.file_systems, g_array_unref);
    disk_faults_clear(&disk_sim.faults);
}

void disk_sim_reset(uint64_t seed)
{
    clear();
    memset(&disk_sim, 0, sizeof disk_sim);
    pst_random_seed(&disk_sim.random, seed);
    disk_sim.thread = g_thread_self();
    disk_sim.root = disk_node_new(DISK_DIRECTORY, 0);
    disk_sim.file_systems = g_array_new(FALSE, FALSE, sizeof(struct file_system));
    disk_sim_add_file_system(disk_sim.root, true);
    disk_descriptors_init(&disk_sim.descriptors);
    disk_sim_heal();
}

struct disk_node *disk_sim_root(void)
{
    pst_assert(disk_sim.root != NULL);
    return disk_sim.root;
}

void disk_sim_add_file_system(struct disk_node *top, bool syncs_all)
{
    const struct file_system fs = { .top = top, .syncs_all = syncs_all };
    g_array_append_val(disk_sim.file_systems, fs);
    top->file_system = disk_sim.file_systems->len;
}

uint64_t disk_sim_worlds(uint64_t most, void (*look)(void *owner), void *owner)
{
    return disk_worlds(disk_sim.root, most, &disk_sim.random, look, owner);
}

/* The same, of the copies. One whose top is not there any more cannot be reached. */
static GArray *copy_file_systems(const GArray *originals, GHashTable *copies)
{
    GArray *array = g_array_new(FALSE, FALSE, sizeof(struct file_system));
    for (guint i = 0; i < originals->len; i++) {
        const struct file_system *original = &g_array_index(originals, struct file_system, i);
        const struct file_system copy = { .top = g_hash_table_lookup(copies, original->top),
                                          .syncs_all = original->syncs_all };
        g_array_append_val(array, copy);
    }
    return array;
}

void disk_sim_branch(void (*live)(void *owner), void *owner)
{
    struct disk_sim here = disk_sim;
    g_autoptr(GHashTable) copies = g_hash_table_new(NULL, NULL);
    disk_sim = (struct disk_sim){
        .root = disk_tree_copy(here.root, copies),
        .thread = here.thread,
        .random = here.random,
        .wall_us = here.wall_us,
        .ids = here.ids,
    };
    disk_sim.file_systems = copy_file_systems(here.file_systems, copies);
    disk_descriptors_init(&disk_sim.descriptors);
    disk_sim_heal();
    live(owner);
    clear();
    disk_sim = here;
}

void disk_sim_crash(enum disk_sim_policy policy)
{
    disk_descriptors_crash(&disk_sim.descriptors);
    disk_tree_crash(disk_sim.root, policy, &disk_sim.random);
}

void disk_sim_kill(void)
{
    disk_descriptors_crash(&disk_sim.descriptors);
}

void disk_sim_fail(struct disk_sim_fault fault)
{
    disk_faults_plan(&disk_sim.faults, fault);
}

uint64_t disk_sim_failures(void)
{
    return disk_sim.faults.failures;
}

void disk_sim_lose_writes(const char *path)
{
    struct disk_node *dir = NULL;
    int r = disk_tree_walk(disk_sim.root, NULL, path, &dir);
    pst_assert(r == 0 && dir->type == DISK_DIRECTORY);
    lose(disk_sim_file_system(dir));
}

void disk_sim_heal(void)
{
    if (disk_sim.faults.planned != NULL)
        g_array_set_size(disk_sim.faults.planned, 0);
    disk_sim.capacity = UINT64_MAX;
    disk_sim.descriptors.limit = SIZE_MAX;
}

void disk_sim_set_capacity(uint64_t octets, int error)
{
    pst_assert(error > 0);
    disk_sim.capacity = octets;
    disk_sim.capacity_error = error;
}

void disk_sim_set_descriptor_limit(size_t count)
{
    disk_sim.descriptors.limit = count;
}

size_t disk_sim_open_descriptors(void)
{
    return disk_sim.descriptors.open;
}

uint64_t disk_sim_calls(void)
{
    return disk_sim.faults.calls;
}

void disk_sim_set_hook(void (*hook)(void *owner, const struct disk_sim_call *call), void *owner)
{
    disk_sim.hook = hook;
    disk_sim.hook_owner = owner;
}

void disk_sim_set_time(int64_t wall_us)
{
    disk_sim.wall_us = wall_us;
}
