/*
 * tests/handlers/mess.h - messages for the structure guard: random ones made of what matters to structure,
 * and those that a parser dies of. Callers free the text.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/random.h"

/* Lines of headers, boundaries and junk, mostly well-formed, of up to some kilobytes each. */
GString *mess_random(struct pst_random *random);

/* What a parser sees of a message that came so: unless verbatim, LF in the place of CR LF. */
GString *mess_as_stored(const GString *wire, bool is_verbatim);

/* A header field whose value is `item` again and again, `octets` in all; then a body. */
GString *mess_field(const char *name, const char *item, size_t octets);

/* `front`, then `item` again and again, `count` times, each %u in it its number. */
GString *mess_repeat(const char *front, const char *item, unsigned count);
