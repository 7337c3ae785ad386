/*
 * server/watch.h - whether some files have changed: by looking at them every now and then, since who replaces
 * files renames, writes in place or turns links, and all that matters is what lies there in the end.
 * A change counts once a second look found all as the first one did: files that belong together, a
 * certificate and its key, are seldom replaced in one instant.
 *
 * Ownership: paths are copied. Failure: a file that is missing is one more thing to look like.
 */
#pragma once

#include <stdbool.h>

#include "base/auto.h"

struct watch;

/* Looks for the first time. `paths` ends with NULL. */
struct watch *watch_new(const char *const *paths);
void watch_free(struct watch *w); /* NULL is welcome */
AUTO_PTR_DEFINE(watch);

/* Looks. True once for each change: of what a file looks like, since the last time that this was true. */
bool watch_has_changed(struct watch *w);
