/*
 * disk/disk_sim_files.h - the helpers of disk_sim.h that reach into the tree by path stand apart from the
 * calls of the seam; they share the tree.
 */
#pragma once

#include "disk/disk_sim_tree.h"

struct disk_node *disk_sim_root(void); /* the simulated file system's; borrowed */
void disk_sim_add_file_system(struct disk_node *top, bool syncs_all);
