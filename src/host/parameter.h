/*
 * host/parameter.h - a parameter of Content-Type or Content-Disposition as text: "x" of `attachment;
 * filename=x`. RFC 2231's continuations (in any order), charsets and %-octets, encoded-words in quotes
 * (RFC 2047 forbids them there, and many senders write them), and octets above ASCII are decoded;
 * GMime 3.2.13 knows the charset only of a section that comes first, loses what follows a base64 word that
 * ends in `=`, and takes octets above ASCII for the locale's. Where both are sent, RFC 2231's form goes
 * before the plain one. Ownership: the caller's, g_free it.
 */
#pragma once

/* From the field's value as it was sent. NULL: it has none, or an empty one. */
char *host_parameter(const char *raw, const char *name);
