#include "disk/disk_sim_worlds.h"

#include <string.h>

#include "base/auto.h"

/* What becomes of octets that were written and not synced. All files share a fate: what one has lost cannot
 * make up for what another has. */
enum fate {
    FATE_LOST,
    FATE_CUT,
    FATE_ZEROED, /* the size was written, and the octets were not */
    FATE_KEPT,
    FATES,
};

struct directory {
    struct disk_node *node;
    GTree *names; /* as they are */
};

struct file {
    struct disk_node *node;
    guint len; /* as it is */
    guint cut;
    uint8_t *rest; /* what is not durable */
};

struct worlds {
    GHashTable *met;     /* struct disk_node: a set */
    GArray *directories; /* struct directory, those with unsynced changes */
    GArray *files;       /* struct file, those with unsynced octets */
    size_t changes;
    uint8_t *kept; /* of each change: whether it is */
};

/* ---- all that a crash decides about ---- */

static void collect(struct worlds *w, struct disk_node *n);

static gboolean collect_entry(void *name, void *node, void *worlds)
{
    (void)name;
    collect(worlds, node);
    return FALSE;
}

static void collect_directory(struct worlds *w, struct disk_node *n)
{
    if (n->changes->len > 0) {
        const struct directory d = { .node = n, .names = n->names };
        g_array_append_val(w->directories, d);
        w->changes += n->changes->len;
    }
    g_tree_foreach(n->names, collect_entry, w);
    g_tree_foreach(n->durable_names, collect_entry, w);
    for (guint i = 0; i < n->changes->len; i++) {
        const struct disk_change *c = g_ptr_array_index(n->changes, i);
        if (c->node != NULL)
            collect(w, c->node);
    }
}

static void collect_file(struct worlds *w, struct disk_node *n)
{
    size_t len = n->content->len;
    if (n->durable == len)
        return;
    const struct file f = { .node = n,
                            .len = (guint)len,
                            .rest = g_memdup2(n->content->data + n->durable, len - n->durable) };
    g_array_append_val(w->files, f);
}

static void collect(struct worlds *w, struct disk_node *n)
{
    if (!g_hash_table_add(w->met, n))
        return;
    if (n->type == DISK_DIRECTORY)
        collect_directory(w, n);
    else if (n->type == DISK_FILE)
        collect_file(w, n);
}

/* ---- one world ---- */

static void change_names(struct worlds *w)
{
    const uint8_t *kept = w->kept;
    for (guint i = 0; i < w->directories->len; i++) {
        struct disk_node *n = g_array_index(w->directories, struct directory, i).node;
        n->names = disk_node_durable_names(n);
        for (guint c = 0; c < n->changes->len; c++)
            if (*kept++)
                disk_change_keep(g_ptr_array_index(n->changes, c), n->names);
    }
}

static void restore_names(struct worlds *w)
{
    for (guint i = 0; i < w->directories->len; i++) {
        const struct directory *d = &g_array_index(w->directories, struct directory, i);
        g_tree_unref(d->node->names);
        d->node->names = d->names;
    }
}

/* The array keeps what is beyond its length. */
static void change_content(const struct file *f, enum fate fate)
{
    size_t durable = f->node->durable, most = disk_node_survivable(f->node);
    size_t left = fate == FATE_LOST ? durable : fate == FATE_CUT ? f->cut : most;
    if (fate == FATE_ZEROED)
        memset(f->node->content->data + durable, 0, most - durable);
    f->node->content->len = (guint)left;
}

static void restore_content(const struct file *f)
{
    memcpy(f->node->content->data + f->node->durable, f->rest, f->len - f->node->durable);
    f->node->content->len = f->len;
}

static void look_at(struct worlds *w, enum fate fate, void (*look)(void *owner), void *owner)
{
    for (guint i = 0; i < w->files->len; i++)
        change_content(&g_array_index(w->files, struct file, i), fate);
    look(owner);
    for (guint i = 0; i < w->files->len; i++)
        restore_content(&g_array_index(w->files, struct file, i));
}

/* ---- all of them ---- */

static bool are_all_enumerated(const struct worlds *w, uint64_t most)
{
    return w->changes < 64 && (UINT64_C(1) << w->changes) <= most;
}

/* The first combination loses all and the last one keeps all, also where the others are drawn. */
static void choose(struct worlds *w, bool all, uint64_t number, uint64_t count, struct pst_random *random)
{
    for (size_t i = 0; i < w->changes; i++)
        w->kept[i] = all                   ? number >> i & 1
                     : number == 0         ? 0
                     : number == count - 1 ? 1
                                           : (uint8_t)pst_random_below(random, 2);
    for (guint i = 0; i < w->files->len; i++) {
        struct file *f = &g_array_index(w->files, struct file, i);
        size_t durable = f->node->durable;
        f->cut = (guint)(durable + pst_random_below(random, disk_node_survivable(f->node) - durable + 1));
    }
}

static void clear_file(void *file)
{
    g_free(((struct file *)file)->rest);
}

uint64_t disk_worlds(struct disk_node *root, uint64_t most, struct pst_random *random,
                     void (*look)(void *owner), void *owner)
{
    g_autoptr(GHashTable) met = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) directories = g_array_new(FALSE, FALSE, sizeof(struct directory));
    g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(struct file));
    g_array_set_clear_func(files, clear_file);
    struct worlds w = { .met = met, .directories = directories, .files = files };
    collect(&w, root);
    g_autofree uint8_t *kept = g_malloc0(w.changes);
    w.kept = kept;
    bool all = are_all_enumerated(&w, most);
    uint64_t count = all ? UINT64_C(1) << w.changes : most;
    int fates = files->len > 0 ? FATES : 1;
    for (uint64_t number = 0; number < count; number++) {
        choose(&w, all, number, count, random);
        change_names(&w);
        for (int fate = 0; fate < fates; fate++)
            look_at(&w, (enum fate)fate, look, owner);
        restore_names(&w);
    }
    return count * (uint64_t)fates;
}
