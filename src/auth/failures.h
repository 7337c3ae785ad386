/*
 * auth/failures.h - how long a client that gives wrong credentials waits for its answer: the longer, the more
 * often it did lately. Who is one client, auth/network.h says.
 *
 * Bounded: when FAILURES_CLIENTS are known, whoever failed longest ago is forgotten for a new one. Time is an
 * argument. Nothing fails.
 */
#pragma once

#include <stddef.h>

#include "base/auto.h"
#include "base/number.h"

enum {
    FAILURES_CLIENTS = 4096,
    FAILURES_DOUBLINGS = 3, /* at most 8 times the delay */
    FAILURES_FORGOTTEN_MS = 10 * 60 * 1000,
};

struct failures;

struct failures *failures_new(void);
void failures_free(struct failures *f); /* NULL is welcome */
AUTO_PTR_DEFINE(failures);

/*
 * One more of this client: an address as text. How long its answer waits: `delay`, and twice as long each
 * time it fails again within FAILURES_FORGOTTEN_MS. NULL, or what is no address, is not counted: behind a
 * unix socket is another server, whose clients are not told apart.
 */
msec_t failures_add(struct failures *f, const char *client, msec_t delay, msec_t now);

size_t failures_count(const struct failures *f); /* clients that are known */
