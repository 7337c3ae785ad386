/*
 * base/number.h - text to numbers, the only place where that happens, and numbers to text where that happens
 * for each message.
 * Digits only: no sign, no blank, no base but ten. On failure -EINVAL (not such a number) or -ERANGE (too
 * large for `max` or for 64 bits), and *ret is untouched. What goes the other way cannot fail.
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

/*
 * Numbers to text: they write their digits, no NUL, and return where these end, as mempcpy() does. The caller
 * has room.
 */
enum { PST_DECIMAL_MAX = 20 }; /* of any 64 bits, with the sign */
char *pst_put_u64(char *to, uint64_t value);
char *pst_put_i64(char *to, int64_t value);

/* The last `digits` of the value, with zeros in front; hexadecimal ones in lower case. */
char *pst_put_decimal(char *to, uint64_t value, unsigned digits);
char *pst_put_hex(char *to, uint64_t value, unsigned digits);
