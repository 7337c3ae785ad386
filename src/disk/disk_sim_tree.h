/*
 * disk/disk_sim_tree.h - what the simulated file system consists of: files, directories and links, each as it
 * is and as much of it as is durable. It knows nothing of descriptors, faults and calls.
 * A node belongs to all who hold a reference: names, unsynced changes, descriptors. Directories form a tree;
 * none is ever moved. Files may have several names.
 */
#pragma once

#include <glib.h>

#include "base/random.h"
#include "base/slice.h"
#include "disk/disk.h"
#include "disk/disk_sim.h"

struct disk_node {
    unsigned refs;
    enum disk_type type;
    int64_t modified_us;
    uint64_t id;    /* 0 until someone asks */
    uint64_t error; /* the number of the latest failed sync of the file system that forgot something of it */

    /* DISK_FILE */
    GByteArray *content;
    size_t durable;   /* octets that survive any crash */
    size_t forgotten; /* octets from here on survive none; SIZE_MAX */

    /* DISK_LINK */
    char *target;

    /* DISK_DIRECTORY */
    struct disk_node *parent; /* not owned; NULL: the root, or it was removed */
    uint64_t file_system;     /* the number of that which begins here, or 0 */
    GTree *names;             /* char * -> struct disk_node *, as they are; sorted, for the sake of replays */
    GTree *durable_names;     /* as they are after a crash that loses all changes */
    GPtrArray *changes;       /* struct change *, those not synced, oldest first */
};

/* An unsynced change of a directory's names. Both at once is a rename. */
struct disk_change {
    char *removed; /* or NULL */
    char *added;   /* or NULL */
    struct disk_node *node;
};

struct disk_node *disk_node_new(enum disk_type type, int64_t wall_us);
struct disk_node *disk_node_ref(struct disk_node *n);
void disk_node_unref(struct disk_node *n); /* NULL is welcome */

/* Names of a directory. The caller has looked whether a name is free or there. Names take references. */
struct disk_node *disk_node_find(struct disk_node *dir, const char *name); /* or NULL */
void disk_node_add(struct disk_node *dir, const char *name, struct disk_node *n);
void disk_node_remove(struct disk_node *dir, const char *name);
void disk_node_rename(struct disk_node *dir, const char *from, const char *to);
void disk_node_add_durably(struct disk_node *dir, const char *name, struct disk_node *n);
GPtrArray *disk_node_names(struct disk_node *dir); /* sorted copies, which the array owns */

void disk_node_append(struct disk_node *file, struct slice bytes);

uint64_t disk_node_file_system(const struct disk_node *dir); /* that it lies in */

size_t disk_node_survivable(const struct disk_node *file); /* octets: as much of it as a crash can leave */
/* What the directory holds after a crash that loses all changes, and `names` once a change was kept. */
GTree *disk_node_durable_names(struct disk_node *dir);
void disk_change_keep(const struct disk_change *c, GTree *names);

/* Of a directory's names or a file's content: */
void disk_node_sync(struct disk_node *n);   /* all but what is forgotten becomes durable */
void disk_node_forget(struct disk_node *n); /* what is not durable never will be */

/*
 * Follows `path` and all links in it. `top`: it starts there, may not lead out of there, and a link at its
 * end is -ENOTDIR; else it starts at the root. 0, -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG or -EXDEV.
 */
int disk_tree_walk(struct disk_node *root, struct disk_node *top, const char *path,
                   struct disk_node **ret_node);

/* Of `dir` and all beneath it in the same file system, content and names: */
void disk_tree_sync(struct disk_node *dir);
void disk_tree_forget(struct disk_node *dir,
                      uint64_t error); /* `error` is noted where something was forgotten */

/* All beneath `dir` becomes what is left after a crash. */
void disk_tree_crash(struct disk_node *dir, enum disk_sim_policy policy, struct pst_random *random);
uint64_t disk_tree_octets(struct disk_node *dir);
/* Of `dir` and all beneath it, as it is, durably. `copies`: of what was copied already, by its original. */
struct disk_node *disk_tree_copy(const struct disk_node *dir, GHashTable *copies);
