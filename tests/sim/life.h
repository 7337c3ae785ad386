/*
 * tests/sim/life.h - the life of one worker in a world: its network and clients, faults of its disk, and its
 * end, by being drained, killed, or with the power. What it leaves is the disk, which is the world's.
 */
#pragma once

#include <glib.h>

#include "base/number.h"
#include "delivery/router.h"
#include "mail.h"
#include "net/network.h"
#include "world.h"

/* What all lives of a world share. */
struct life_world {
    const struct plan *plan;
    struct trace_log *trace;
    struct figures *figures;
    const struct router *router;
    const struct net_networks *proxies; /* NULL: clients come as they are */
    GPtrArray *promises;
    struct mail *mail;
    msec_t now; /* of all reactors: it goes on from life to life */
};

/* The `number`th, from 0: from the start of its worker until all of it is gone. The disk is as the next one
 * will find it. */
void life_run(struct life_world *w, unsigned number);
