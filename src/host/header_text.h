/*
 * host/header_text.h - the text of a header field, for people: unfolded, and encoded-words (RFC 2047) decoded
 * wherever they stand, in quotes and within words, too, as senders write them. GMime 3.2.13 loses what
 * follows a base64 word that ends in `=`, and characters that were cut between two words. What is malformed,
 * or of an unknown charset, stays as it is. Addresses must not be taken from this text but from GMime's
 * lists: a decoded word may hold any character, commas, brackets and line ends among them. Ownership: strings
 * are the caller's, g_free them.
 */
#pragma once

#include <gmime/gmime.h>

/* NULL: there is no such field. Of many, the first. A message has the Content-* fields of its content. */
char *host_header_text(GMimeObject *object, const char *name);

/* The field's text as it was sent, without its name, folded or not, or NULL. Borrowed from the object. */
const char *host_header_raw(GMimeObject *object, const char *name);

/* The text of a field's value as it was sent. */
char *host_header_decode(const char *raw);
