/*
 * message/trace.h - the header fields that a final delivery puts in front of a message: Return-Path,
 * Delivered-To, X-Original-To and one Received (RFC 5321 4.4, `with` per RFC 3848). Pure text; lines end in
 * LF. Addresses in UTF-8 stand there as they came (RFC 6532).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "smtp/address.h"

/* What is the same for all recipients of one message. All strings are borrowed. */
struct trace {
    const char *id;          /* of the message: stands in Received, the log and the reply */
    const char *hostname;    /* ours */
    const char *protocol;    /* what trace_protocol() says */
    const char *helo;        /* what the client said, valid as Domain or address-literal */
    const char *client;      /* its address: "192.0.2.1", "IPv6:2001:db8::1", "unix", or "unknown" */
    const char *client_name; /* a Domain that a trusted relay knows it by; or NULL */
    const struct smtp_address *reverse_path;
    int64_t arrived_us; /* microseconds since 1970 UTC */
    /* Comments of Received; each of any text, or NULL. */
    const char *tls_version, *tls_cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
    const char *tls_server_name;          /* whom the client thought it was connecting to */
    const char *tls_client;               /* the subject of its certificate */
    bool tls_client_is_verified;          /* else anybody can have made one that says so */
    const char *user;                     /* whom it authenticated as */
};

/*
 * The word of `with`, "ESMTPSA" or another (RFC 3848, 6531 4.3). `extended`: EHLO, not HELO, whose "SMTP" has
 * no form for the rest.
 */
const char *trace_protocol(bool lmtp, bool extended, bool utf8, bool secure, bool authenticated);

/*
 * Appends the fields for one copy. `mailbox` is the address of the mailbox that it goes into; NULL: that is
 * not told, since the copy is for several. `original` is what the client called it, where that is another
 * address; or NULL. `only_recipient` is for the `for` clause, and NULL when there are more (RFC 5321 7.2: it
 * would tell blind copies); one without a domain (`postmaster`) gets the hostname.
 */
void trace_append(GString *to, const struct trace *t, const struct smtp_address *mailbox,
                  const struct smtp_address *original, const struct smtp_address *only_recipient);
