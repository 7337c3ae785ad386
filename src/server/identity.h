/*
 * server/identity.h - who the daemon is: the user that it drops to, and privileges that it gives up for good.
 * A value. Failure: -errno; whoever cannot drop must end.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/auto.h"

struct identity {
    char *user;
    uid_t uid;
    gid_t gid;
};

/* -ENOENT when there is no such user. */
int identity_find(const char *user, struct identity *ret_identity);
void identity_clear(struct identity *id);
AUTO_VAL_DEFINE(identity);

/* Becomes that user with its groups, and makes sure that there is no way back. Only for root. */
int identity_assume(const struct identity *id);

/* Gives up, for this process and its children, all capabilities (which root alone has) and all chances to get
 * new ones. */
int identity_shed(void);
