/*
 * tests/handlers/parsed.h - what GMime makes of a message: it is parsed as a host does it, walked through,
 * and all its header fields are decoded; and how much of everything that was, to be held against what the
 * structure guard counted.
 */
#pragma once

#include <gmime/gmime.h>
#include <stdbool.h>

#include "base/slice.h"

struct parsed {
    bool is_message; /* or GMime took it for none */
    uint64_t parts, depth, header_octets, header_fields, between;
};

void parse_all(struct slice message, struct parsed *ret);

/* The same in a process of its own that may have so many octets of address space, 8 MiB of stack and 20 s of
 * CPU time; 0, or what waitpid told of its death. */
int parse_confined(struct slice message, size_t address_space);
