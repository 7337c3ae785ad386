/*
 * tests/sim/stored.h - a message as it is stored: where it lies by its path, what of it is trace header and
 * what content, the sizes that its name tells; and what a mailbox counts for its quota. Nothing here knows of
 * promises. What is wrong fails (sim.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Of "/mail/BOX/DIR/NAME" the mailbox, one of sim_boxes, if DIR is `dir`; NULL: it is not there. */
const char *stored_box_in(const char *path, const char *dir);
/* The same for new/ and cur/. */
const char *stored_box(const char *path);

struct stored {
    struct slice body;  /* behind the trace header; borrowed */
    const char *sender; /* the reverse-path, with its brackets; interned */
};

/* False: there is no trace header for that mailbox, or not all of it. */
bool stored_read(struct slice file, const char *box, struct stored *ret_stored);

void stored_check_sizes(const char *path, struct slice file);

/* No more than `quota` octets lie in the mailbox, and it counts just these, if it counts. */
void stored_check_quota(const char *box, uint64_t quota);
