/*
 * message/mime_type.h - what a Content-Type field says of a message's structure: whether other parts are in
 * this one, and what stands between them. Read as GMime reads it, which is not always as RFC 2045 has it,
 * since the guard (message/guard.h) must find the parts that GMime finds. Pure; what is not sure to be read
 * alike by GMime and here is told as MIME_UNSURE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum mime_kind {
    MIME_UNREADABLE, /* no type and subtype: the part is what it would be without the field */
    MIME_LEAF,
    MIME_MESSAGE,   /* message/rfc822 and its kin */
    MIME_MULTIPART, /* also one without a boundary */
    MIME_UNSURE,    /* a multipart, but who knows which boundary it has */
};

enum { MIME_BOUNDARY_MAX = 250 }; /* RFC 2046 5.1.1 allows 70; a longer one is MIME_UNSURE */

struct mime_type {
    enum mime_kind kind;
    bool is_digest;               /* MULTIPART: its parts are messages unless they say otherwise */
    bool has_boundary;            /* MULTIPART */
    size_t len;                   /* of the boundary */
    char text[MIME_BOUNDARY_MAX]; /* the boundary, as it stands behind "--" */
};

/* `value` is all that stands behind the colon, line ends of folded lines and all. */
void mime_type_read(struct slice value, struct mime_type *ret_type);

/* Whether a part with this Content-Transfer-Encoding (what stands behind the colon) is told apart from its
 * text, so that nobody looks for a message in it. */
bool mime_is_encoded(struct slice value);

/* Blanks, CR and LF. */
static inline bool mime_is_space(uint8_t octet)
{
    return octet == ' ' || octet == '\t' || octet == '\n' || octet == '\r';
}
