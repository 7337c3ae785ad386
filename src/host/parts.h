/*
 * host/parts.h - the leaf parts of a message, those of embedded messages among them, in their order: what
 * handlers know as postern_parts (postern/handler.h). A leaf has no parts, which a
 * multipart may lack, too: then its text is its content. No part is held in memory, and the depth of nesting
 * costs no stack. Ownership: the iterator holds the message; the message must not change while one is at
 * work.
 */
#pragma once

#include <gmime/gmime.h>
#include <postern/handler.h>

/* `functions` is what the inline functions of handler.h call; they outlive the iterator. */
postern_parts *host_parts_new(GMimeMessage *message, const postern_functions *functions);

/* Whether there was one more. Its name and type are valid until the next call. */
int host_parts_next(postern_parts *parts, postern_part *ret_part);
void host_parts_free(postern_parts *parts); /* NULL is welcome */

/* The content, decoded as its transfer encoding says, to be read once; others of the message can be read at
 * the same time. The caller's: g_object_unref it. NULL: there is none. */
GMimeStream *host_part_open(const postern_part *part);

/* Octets of the same. -errno: it cannot be read. */
int64_t host_part_size(const postern_part *part);
