/*
 * base/number.h - text to numbers, the only place where that happens.
 * Digits only: no sign, no blank, no base but ten. On failure -EINVAL (not such a number) or -ERANGE (too
 * large for `max` or for 64 bits), and *ret is untouched.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"

/* Milliseconds: an instant of the reactor's monotonic clock, or a duration. */
typedef int64_t msec_t;
#define MSEC_NEVER INT64_MAX

int pst_parse_u64(struct slice text, uint64_t max, uint64_t *ret);

/* Octets: digits and an optional K, M, G or T (powers of 1024), as in "50M". */
int pst_parse_size(struct slice text, uint64_t max, uint64_t *ret);

/* Digits and a unit, ms, s, m, h or d, as in "5m"; "0" needs none. */
int pst_parse_duration(struct slice text, msec_t max, msec_t *ret);
