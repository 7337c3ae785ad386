/*
 * message/lines.h - from the wire's line ends to the file's. A run of message bytes in which CR LF ends a
 * line becomes one in which LF does; a CR or LF alone (which only binary messages have) stays as it is. Runs
 * may be cut anywhere, also between CR and LF.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct line_ends {
    bool held_cr; /* the last run ended in CR: it is written unless LF follows */
};

/* Writes into `to`, which has room for in.len + 1 octets, and returns how many were written. */
size_t line_ends_convert(struct line_ends *state, struct slice in, uint8_t *to);

/*
 * The LFs in a run that no CR precedes: as many octets more the text has for those who end lines in CR LF.
 * `after_cr` is whether a CR came just before the run (false at the beginning), and tells the same of the
 * next.
 */
uint64_t line_ends_bare(struct slice run, bool *after_cr);

/* At the end of the message: 1 if a held CR had to be written, else 0. */
size_t line_ends_finish(struct line_ends *state, uint8_t *to);
