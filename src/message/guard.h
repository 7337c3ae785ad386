/*
 * message/guard.h - the structure guard: counts, while a message streams, what would cost the handlers'
 * parser (GMime, which a message can crash or make use gigabytes) too much, so that such a message is refused
 * before any parser sees it. It goes through header sections and parts as GMime does, at least as far; where
 * it cannot be sure what GMime would see, the message is refused, too. Ownership: the caller frees the guard;
 * pieces are read and not kept. Memory is bounded by the limits: some kilobytes, and a boundary for each
 * level of nesting. Nothing here fails.
 */
#pragma once

#include "base/auto.h"
#include "base/option.h"
#include "base/slice.h"

struct guard_limits {
    uint64_t parts, depth, header_octets, header_fields, list_items, between;
};
extern const struct option_row guard_limit_rows[];
extern const size_t guard_limit_row_count;

struct guard;

/* is_verbatim: parsers will see CR LF as it came (RFC 3030's BINARYMIME), not LF in its place. */
struct guard *guard_new(const struct guard_limits *limits, bool is_verbatim);
void guard_free(struct guard *g); /* NULL is welcome */

/* The next octets of the message, cut anywhere. Lines end in LF, with or without a CR before it. */
void guard_take(struct guard *g, struct slice piece);

/*
 * NULL, or the name of the limit that the message exceeds, a stable word for the log: that of an option row;
 * "mime-type" (of a multipart whose boundary is not sure), "mime-boundary" (one that may hide in a line),
 * "mime-groups" (of addresses), or "mime-work" (what would keep the parser busy for seconds). Final once it
 * is not NULL.
 */
const char *guard_exceeded(const struct guard *g);

/* What was counted, for tests: parts and messages within the message, itself included. */
uint64_t guard_parts(const struct guard *g);
AUTO_PTR_DEFINE(guard);
