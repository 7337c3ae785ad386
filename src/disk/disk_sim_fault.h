/*
 * disk/disk_sim_fault.h - which calls of the simulated file system are made to fail, and how many there were.
 */
#pragma once

#include <glib.h>

#include "disk/disk_sim.h"

struct disk_faults {
    GArray *planned; /* struct disk_sim_fault; nth counts down */
    uint64_t calls;
    uint64_t failures;
};

void disk_faults_clear(struct disk_faults *f);
void disk_faults_plan(struct disk_faults *f, struct disk_sim_fault fault);

/* A call of that kind is made now. 0, or the -errno it shall fail with, and *ret_fault says how. */
int disk_faults_next(struct disk_faults *f, enum disk_sim_kind kind, struct disk_sim_fault *ret_fault);
