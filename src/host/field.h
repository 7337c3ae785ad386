/*
 * host/field.h - header fields as octets: told apart in a header section, and made from a name and a value.
 * Pure. GMime's own folding of a value that looks like an encoded-word loses octets, or leaves a line that
 * begins without a blank, so that it is another field: values are encoded here.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

struct field {
    struct slice octets; /* all of its lines, with their ends */
    struct slice name;   /* empty: a line that is no field, as GMime sees it, too */
};

/*
 * The fields of a message that begins so, appended to `fields` (of struct field), which borrow from it; how
 * many octets they are, with the blank line behind them, is in *ret_len. False: `begin` is cut off before the
 * section's end, and nothing was done. A text without any field has no section. `all`: it is not cut off.
 */
bool fields_find(struct slice begin, bool all, GArray *fields, size_t *ret_len);

bool field_name_is_valid(const char *name); /* RFC 5322, 3.6.8 */

/*
 * "Name: value\n", folded, encoded where it must be (RFC 2047); to be g_freed. NULL, and why: a value with
 * line ends or other controls, that is not UTF-8, or, of a field of addresses or parameters, that cannot be
 * read as such or holds words too long for a line.
 */
char *field_make(const char *name, const char *value, const char **ret_why);
