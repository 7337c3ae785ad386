/*
 * smtp/address.h - the grammar of mail addresses and paths (RFC 5321 4.1.2, 4.1.3), complete and without
 * allocation. An address is a value: the local part with its quoting undone, the domain as it was written.
 * Failure: -EBADMSG for what the grammar does not have, -E2BIG for what it has but is longer than RFC
 * 5321 4.5.3.1 grants; *ret is then untouched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * RFC 5321 4.5.3.1: a path may have 256 octets and a domain 255. The 64 octets that it grants a local part
 * are what a receiver must take at least; senders with encoded return addresses (VERP) write more, so that
 * only the path's length limits it here.
 */
enum {
    SMTP_PATH_MAX = 256,
    SMTP_LOCAL_MAX = 254,
    SMTP_DOMAIN_MAX = 255,
    SMTP_ADDRESS_TEXT = 2 * SMTP_LOCAL_MAX + SMTP_DOMAIN_MAX + 4, /* every octet quoted, quotes, "@", NUL */
};

struct smtp_address {
    uint8_t local_len;  /* 0 with domain_len 0: the null reverse-path <>; 0 otherwise: the quoted empty local
                           part ""@ */
    uint8_t domain_len; /* 0 with a local part: `postmaster` alone, which only a forward-path may be */
    char local[SMTP_LOCAL_MAX];   /* without quotes and backslashes; printable ASCII and blanks; no NUL at the
                                     end */
    char domain[SMTP_DOMAIN_MAX]; /* a name or a literal in brackets; no NUL at the end */
};

/* A path with its angle brackets at the start of `text`. An a-d-l source route is accepted and ignored (RFC
 * 5321 C, F.2). */
int smtp_path_parse(struct slice text, struct smtp_address *ret_address, size_t *ret_len);

/* The whole of `text` as Mailbox: an address without angle brackets. */
int smtp_address_parse(struct slice text, struct smtp_address *ret_address);

/* Domain, or address-literal: what HELO and EHLO may name, and the right side of an address. The whole of
 * `text`. */
bool smtp_domain_valid(struct slice text);

/* As one writes it, quoted only where it must be; "" for the null path. Never holds a control character. */
const char *smtp_address_format(const struct smtp_address *a, char text[SMTP_ADDRESS_TEXT]);

static inline bool smtp_address_is_null(const struct smtp_address *a)
{
    return a->local_len == 0 && a->domain_len == 0;
}
