/*
 * smtp/xtext.h - the encoding of values that may hold any octet (RFC 3461 4): printable ASCII stands for
 * itself, "+" and two upper-case hexadecimal digits for any octet.
 */
#pragma once

#include <stddef.h>

#include "base/slice.h"

/*
 * What `in` stands for, into `text`, without a NUL at its end; it may hold any octet, and is never longer
 * than `in`. The number of octets, or -EBADMSG for what is no xtext, -ENOBUFS for more than `size` octets;
 * `text` is then not to be read.
 */
int smtp_xtext_decode(struct slice in, char *text, size_t size);
