/*
 * host/limits.h - what the runner may use of the machine: memory, stack, processor time, file size. Set
 * before user code is loaded, and for good; only processor time is granted anew for each message.
 */
#pragma once

#include <stdint.h>

#include "handlers/wire.h"

struct limits {
    uint64_t cpu_seconds;   /* for one message; 0: no limit */
    uint64_t granted_until; /* seconds of processor time since the runner began */
};

/* -errno, and a sentence that is to be g_freed. */
int limits_enter(struct limits *l, const struct wire_config *config, char **ret_problem);
void limits_renew(struct limits *l); /* a message begins */
