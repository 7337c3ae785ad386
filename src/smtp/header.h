/*
 * smtp/header.h - bounds the header section of a message while it streams: counts its octets and fields. It
 * looks at a line no further than to tell a field, a continuation (RFC 5322 2.2.3) and the end of the section
 * apart. The section ends at an empty line, or at a line that is neither field nor continuation; the body
 * behind it costs nothing. A value, zeroed at the start of a message; holds no bytes and cannot fail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum smtp_header_verdict { SMTP_HEADER_WITHIN, SMTP_HEADER_TOO_BIG, SMTP_HEADER_TOO_MANY };

struct smtp_header {
    uint64_t octets; /* of the section, up to the one that showed its end */
    uint64_t fields; /* whose colon was seen */
    uint8_t place;   /* in the line; header.c knows */
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
