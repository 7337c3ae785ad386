/*
 * disk/disk_sim_internal.h - what the calls of the simulated file system have in common: those on content
 * and syncs are in disk_sim.c, those on names in disk_sim_names.c.
 */
#pragma once

#include <glib.h>

#include "base/random.h"
#include "disk/disk_sim.h"
#include "disk/disk_sim_descriptor.h"
#include "disk/disk_sim_fault.h"
#include "disk/disk_sim_tree.h"

struct file_system {
    struct disk_node *top; /* not owned */
    bool syncs_all;
    uint64_t error; /* the number of the latest failed write-back that lost something here */
};

/* The one mutable global: the seam's calls name no file system, as the system's do not. */
extern struct disk_sim {
    struct disk_node *root; /* NULL: never reset */
    GThread *thread;
    struct disk_descriptors descriptors;
    struct disk_faults faults;
    struct pst_random random;
    int64_t wall_us;
    uint64_t ids;         /* given to nodes that were asked for theirs */
    GArray *file_systems; /* struct file_system; that of the root first */
    uint64_t errors;      /* write-backs that failed and lost something */
    uint64_t capacity;
    int capacity_error;
    void (*hook)(void *owner, const struct disk_sim_call *call);
    void *hook_owner;
} disk_sim;

struct file_system *disk_sim_file_system(const struct disk_node *dir);

/* ---- the way into every call ---- */

struct subject {
    enum disk_sim_kind kind;
    const char *path; /* of disk_open_root and disk_open_path; else NULL */
    int dir;
    const char *name; /* NULL: `dir` itself */
    int to_dir;       /* of the calls that have two */
    const char *to;
};

/* 0, or what the call shall fail with. */
int disk_sim_begin_faulty(struct subject s, struct disk_sim_fault *ret_fault);
int disk_sim_begin(struct subject s);
#define BEGIN(...) disk_sim_begin((struct subject){ __VA_ARGS__ })

/* ---- descriptors ---- */

struct disk_node *disk_sim_node_at(int fd); /* NULL: it is not open */
int disk_sim_directory_at(int dir, struct disk_node **ret_dir);
/* The path by which `fd` was opened, or that of a name in it; to g_free. */
char *disk_sim_path_at(int fd, const char *name);
int disk_sim_open_node(struct disk_node *n, char *take_path, bool writable);
int disk_sim_need_descriptor(void); /* 0 or -EMFILE */

void disk_sim_touch(struct disk_node *n); /* it is changed now */
