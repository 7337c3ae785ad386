/*
 * reactor/sim_queue.h - the events of the simulated twin, in the order in which they happen: by their
 * instant, and then by when they were put in. An event lies by value in the object that it happens to, which
 * takes it out before it goes.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "reactor/reactor_sim.h"

struct sim_event {
    void (*happen)(void *object); /* may free the object */
    void *object;
    enum reactor_sim_party party; /* whose it is */
    int64_t at_us;
    uint64_t order; /* of what happens at the same instant */
    guint place;    /* in the queue, from 1; 0: it is not in there */
};

struct sim_queue {
    GPtrArray *heap; /* struct sim_event; none is before the one at half its place. [0] is unused */
    uint64_t next_order;
};

void sim_queue_init(struct sim_queue *q);
void sim_queue_clear(struct sim_queue *q);

struct sim_event *sim_queue_first(const struct sim_queue *q);                /* NULL: it is empty */
void sim_queue_add(struct sim_queue *q, struct sim_event *e, int64_t at_us); /* one that is not in there */
void sim_queue_remove(struct sim_queue *q, struct sim_event *e);             /* one that is */
