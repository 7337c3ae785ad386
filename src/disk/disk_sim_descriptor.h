/*
 * disk/disk_sim_descriptor.h - the simulated file system's table of descriptors.
 * Numbers are never given out twice: who uses a closed one is told so, and does not hit another file by luck.
 * They lie far from those that the system gives out, so that one that strays into a real close() hits
 * nothing.
 */
#pragma once

#include <glib.h>

#include "disk/disk_sim_tree.h"

struct disk_descriptor {
    struct disk_node *node; /* NULL: not open any more */
    char *path;             /* by which it was opened */
    bool writable;
    bool closed;   /* by its owner, not by a crash */
    uint64_t told; /* the number of the latest error of the file system that it was told of, or that was
                      before it */
};

struct disk_descriptors {
    GArray *all; /* struct disk_descriptor, in the order of their opening */
    size_t open, limit;
};

void disk_descriptors_init(struct disk_descriptors *t);
void disk_descriptors_clear(struct disk_descriptors *t); /* a zeroed one is welcome */

/*
 * Takes a reference to `n`. A number, or -EMFILE; `room` tells beforehand, when nothing may have been done
 * yet.
 */
int disk_descriptors_open(struct disk_descriptors *t, struct disk_node *n, char *take_path, bool writable);
int disk_descriptors_room(const struct disk_descriptors *t); /* 0 or -EMFILE */

const struct disk_descriptor *disk_descriptors_find(const struct disk_descriptors *t,
                                                    int fd); /* NULL: not open */
/* True, once, when `error` is a later one than this descriptor was told of. */
bool disk_descriptors_tell(struct disk_descriptors *t, int fd, uint64_t error);
void disk_descriptors_close(struct disk_descriptors *t,
                            int fd); /* twice is a bug; after a crash it does nothing */
void disk_descriptors_crash(struct disk_descriptors *t);
