/*
 * tests/sim/content.h - a message as it is said, and what must be stored of it: RFC 5321 4.5.2's dots, CR LF,
 * and what is wrong with it. For the oracle. Values; nothing fails.
 */
#pragma once

#include <glib.h>

#include "base/slice.h"
#include "smtp/session.h"

/* What refuses a message. Where it is not sure, both answers will do. */
struct content_faults {
    bool has_bare;   /* a CR or LF alone, where DATA has none: 550 5.6.0 */
    bool is_too_big; /* 552 5.3.4 */
    bool has_many;   /* header fields: 554 5.6.0 */
    bool may_exceed; /* a limit of the header section: 552 5.3.4 or 554 5.6.0 */
};

/*
 * Where what was said behind DATA ends: the octets with the end itself, or 0: not yet. *scanned is how much
 * was searched before (0 at first), and moves on.
 */
size_t content_end(struct slice said, size_t *scanned);

/* As it must be stored. `said` is with its end. What has bare CRs or LFs is not stored: NULL. */
GBytes *content_of_data(struct slice said, const struct smtp_limits *limits,
                        struct content_faults *ret_faults);

/* The same of all chunks together. */
GBytes *content_of_chunks(struct slice said, bool verbatim, const struct smtp_limits *limits,
                          struct content_faults *ret_faults);

/* Only what is wrong with chunks, so far. */
struct content_faults content_faults_of_chunks(struct slice said, const struct smtp_limits *limits);
