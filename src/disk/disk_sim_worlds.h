/*
 * disk/disk_sim_worlds.h - each world that a crash of the simulated file system could leave, one after the
 * other, without a crash: the tree is changed, looked at, and changed back.
 */
#pragma once

#include "disk/disk_sim_tree.h"

/* See disk_sim_worlds. */
uint64_t disk_worlds(struct disk_node *root, uint64_t most, struct pst_random *random,
                     void (*look)(void *owner), void *owner);
