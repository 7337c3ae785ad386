/*
 * tests/contract/disk_contract.h - what disk.h promises, as one suite for all who implement it. Each
 * implementation brings a shim with what the seam itself cannot do; the suite's cases know only disk.h and
 * the shim.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "disk/disk.h"
#include "suite.h"

/* A case gets an open directory, new and empty, and leaves no descriptor behind. */
struct contract_case {
    const char *name;
    void (*run)(int root);
};
void contract_run(void **state); /* for suite_add_rows over contract_cases */
void contract_run_row(void (*run)(int root, const void *row),
                      const void *row); /* for those over other rows */

void contract_add_paths(struct suite *s);     /* disk_open_root, disk_open_path, disk_open_beneath */
void contract_add_names(struct suite *s);     /* what works on names */
void contract_add_content(struct suite *s);   /* what works on files */
void contract_add_arguments(struct suite *s); /* all, with what is no descriptor or no name */

/* ---- for cases ---- */
void make_file(int dir, const char *name, const char *content);
int make_open_file(int dir, const char *name, const char *content); /* as disk_create left it */
int make_directory(int dir, const char *name);                      /* open */
void assert_content(int dir, const char *name, const char *want);
void assert_file(int fd, const void *want, size_t len);
void assert_missing(int dir, const char *name);
unsigned count_names(int dir);

/* ---- the shim ---- */
extern const bool shim_has_beneath; /* links and ".." that stay beneath are followed */

/* NULL, or why the suite cannot run here. */
const char *shim_start(void);

/* A new, empty directory; what the last case left is removed. Its absolute path. */
void shim_make_root(void);
const char *shim_root(void);
void shim_symlink(const char *name, const char *target); /* in the root */
void shim_special(const char *name); /* neither file, directory nor link; one that blocks who opens it */
size_t shim_open_descriptors(void);
int64_t shim_now_us(void);
void shim_pass_us(int64_t us);  /* so much time, or a little more */
void shim_add(struct suite *s); /* cases that only this implementation can have */
