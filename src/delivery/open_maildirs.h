/*
 * delivery/open_maildirs.h - the maildirs of a batch, each opened once and shared by all copies in it; and,
 * for a batch that is worth it, the file systems that they lie in, each synced as a whole. For one job.
 */
#pragma once

#include <stdbool.h>

#include "base/auto.h"
#include "delivery/maildir.h"

struct open_maildirs;

/* `sync_all`: where the system promises enough, files and directories are not synced one by one. */
struct open_maildirs *open_maildirs_new(bool sync_all);
void open_maildirs_free(struct open_maildirs *m); /* NULL is welcome */
AUTO_PTR_DEFINE(open_maildirs);

/* Borrowed, and open as long as the set. -errno when it cannot be opened. */
int open_maildirs_get(struct open_maildirs *m, const struct mailbox *mailbox, struct maildir **ret_maildir);

/*
 * Makes durable what was written so far in those maildirs of the set that are synced as a whole; what came of
 * it stands in each. After a failure nothing in that file system can be trusted, even if it were synced once
 * more: what was to be written may count as written now.
 */
void open_maildirs_sync_data(struct open_maildirs *m);
/*
 * The same for what was renamed so far. Of a single maildir it leaves that to settling a copy: to sync one
 * directory costs less than to sync a file system, and to sync two costs more.
 */
void open_maildirs_sync_names(struct open_maildirs *m);
