/*
 * host/decoded.h - a part's content as a stream that undoes its transfer encoding while it is read, from the
 * beginning to the end. GMime's own such stream says "nothing more" (0) where only a piece of what it reads
 * decodes to nothing, and keeps the last octets of base64 without padding back.
 */
#pragma once

#include <gmime/gmime.h>

/* Takes `take_stored`; the caller's, g_object_unref it. */
GMimeStream *host_decoded_new(GMimeStream *take_stored, GMimeContentEncoding encoding);
