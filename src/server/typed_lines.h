/*
 * server/typed_lines.h - line ends of input that somebody may have typed. What a terminal or a text file
 * sends ends in LF alone, which is no line end in mail: there each bare LF becomes CR LF. Input whose first
 * line ends in CR LF comes from a program that knows, and stays as it is to the octet, so that it can show
 * what a bare LF does. A value; it keeps one octet of memory and cannot fail.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

enum typed_lines_kind {
    TYPED_LINES_UNKNOWN, /* the first line will tell */
    TYPED_LINES_TEXT,
    TYPED_LINES_EXACT,
};

struct typed_lines {
    enum typed_lines_kind kind;
    bool after_cr; /* the last octet was a CR */
};

/* Into `to`, which has room for twice as many octets. The octets written. */
size_t typed_lines_convert(struct typed_lines *l, struct slice in, uint8_t *to);
