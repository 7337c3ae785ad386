/*
 * tests/unit/test_disk_sim.h - what the cases of test_disk_sim have in common: each starts with two
 * directories, durably there and open, and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "suite.h"

enum { SEEDS = 300 }; /* enough for each of eight equally likely outcomes to come up */

struct sim_case {
    const char *name;
    void (*run)(void);
};
void run_case(void **state); /* for suite_add_rows over sim_case: starts with seed 1 */

void add_crash_cases(struct suite *s);
void add_fault_cases(struct suite *s);
void add_world_cases(struct suite *s);

#define FAULT(...) disk_sim_fail((struct disk_sim_fault){ __VA_ARGS__ })

extern int tmp, new; /* descriptors of /mail/tmp and /mail/new */

void start(uint64_t seed); /* all anew */
int append(int fd, const char *text);
int create_with(int dir, const char *name, const char *content);    /* nothing synced; open */
void create_synced(int dir, const char *name, const char *content); /* the content synced, its name not */
void assert_content(const char *path, const char *want);
void assert_names(const char *path, const char *want); /* sorted, with blanks between */
bool exists(const char *path);
