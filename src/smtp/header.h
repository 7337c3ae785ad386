/*
 * smtp/header.h - bounds the header section of a message while it streams: counts its octets and fields. A
 * message has one if its first line is a field, or a mailbox file's "From " line. It ends at the first empty
 * line and nowhere else, since readers differ in what they make of a line that is no field: each such line
 * counts as one, unless it continues the one before (RFC 5322 2.2.3). The body costs nothing. A value, zeroed
 * at the start of a message; holds no bytes and cannot fail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum smtp_header_verdict { SMTP_HEADER_WITHIN, SMTP_HEADER_TOO_BIG, SMTP_HEADER_TOO_MANY };

struct smtp_header {
    uint64_t octets; /* of the section so far, without the empty line */
    uint64_t fields; /* lines that continue no other */
    uint8_t place;   /* in the line; header.c knows */
    uint8_t from;    /* octets of "From" that the first line begins with */
    bool ended;      /* the section is over, or a limit was passed: nothing more is looked at */
    uint8_t verdict; /* enum smtp_header_verdict; stays what it is when it is not WITHIN */
};

enum smtp_header_verdict smtp_header_look(struct smtp_header *h, struct slice run, uint64_t max_octets,
                                          uint64_t max_fields);

/* The next octets of the message, cut anywhere. The limit that was passed first is told, now and from now on.
 */
static inline enum smtp_header_verdict smtp_header_take(struct smtp_header *h, struct slice run,
                                                        uint64_t max_octets, uint64_t max_fields)
{
    return h->ended ? (enum smtp_header_verdict)h->verdict : smtp_header_look(h, run, max_octets, max_fields);
}
