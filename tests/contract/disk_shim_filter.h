/*
 * tests/contract/disk_shim_filter.h - whether the contract runs on the kernel as it is or on one that lacks
 * what is newer than POSIX. Two implementations, chosen at link time, as those of the seam.
 */
#pragma once

/* NULL, or why it cannot be done here. */
const char *filter_install(void);
