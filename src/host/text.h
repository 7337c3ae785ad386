/*
 * host/text.h - octets that some sender wrote become UTF-8 text.
 * What is wrong in them is replaced, never refused: text is for people. It has no NUL, which becomes U+FFFD,
 * so that nothing is cut off by one. Ownership: appended to strings of the caller. Failure: only an unknown
 * charset.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/slice.h"

/* Octets of no charset, or one that is wrongly called ASCII: what is UTF-8 stays (RFC 6532), of the rest the
 * letters of Latin-1 become those letters, and other octets U+FFFD. */
void host_text_append(GString *out, struct slice octets);

/* Whether text of this charset can be read; any case. */
bool host_text_knows(const char *charset);

/* Octets of that charset. What is no character there becomes U+FFFD. An unknown charset: as above. */
void host_text_convert(GString *out, const char *charset, struct slice octets);

/* The octets that `text` means where `mark` and two hexadecimal digits are one; marks without such digits are
 * kept. */
void host_text_unescape(GString *octets, char mark, struct slice text);
