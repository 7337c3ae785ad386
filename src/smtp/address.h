/*
 * smtp/address.h - the grammar of mail addresses and paths (RFC 5321 4.1.2, 4.1.3), complete, with the UTF-8
 * that RFC 6531 3.3 adds; only domains with U-labels allocate, for the time of the call. An address is a
 * value: the local part with its quoting undone, the domain as it was written. Whether it may hold UTF-8 is
 * for the caller to ask: the path's `ascii`. Failure: -EBADMSG for what the grammar does not have
 * (malformed UTF-8 is in no grammar, nor is a U-label that is not what its A-label stands for), -E2BIG for
 * what it has but is longer than RFC 5321 4.5.3.1 grants; *ret is then untouched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * RFC 5321 4.5.3.1: a path may have 256 octets and a domain 255 (octets also in UTF-8, RFC 6531 3.3). The 64
 * octets that it grants a local part are what a receiver must take at least; senders with encoded return
 * addresses (VERP) write more, so that only the path's length limits it here.
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
    char local[SMTP_LOCAL_MAX];   /* without quotes and backslashes; printable ASCII, blanks, and what
                                     smtp_utf8_len() knows; no NUL at the end */
    char domain[SMTP_DOMAIN_MAX]; /* a name or a literal in brackets; no NUL at the end */
};

/* A path in the text that it was read from: where its parts begin, and how long they are. */
struct smtp_path {
    uint16_t len;                /* with its angle brackets */
    uint16_t local, local_len;   /* without quotes, but with backslashes */
    uint16_t domain, domain_len; /* lengths of 0 mean what they mean in struct smtp_address */
    bool quoted;                 /* the local part */
    bool ascii;                  /* no octet above 127: what a peer may say who did not ask for SMTPUTF8 */
};

/* A path with its angle brackets at the start of `text`. An a-d-l source route is accepted and ignored (RFC
 * 5321 C, F.2). */
int smtp_path_read(struct slice text, struct smtp_path *ret_path);

/* Its address. `text` is what it was read from. */
void smtp_path_address(const struct smtp_path *path, struct slice text, struct smtp_address *ret_address);

/* The whole of `text` as Mailbox: an address without angle brackets, as people write it. */
int smtp_address_parse(struct slice text, struct smtp_address *ret_address);

/* Domain of ASCII, or address-literal: what HELO and EHLO may name. The whole of `text`. */
bool smtp_domain_valid(struct slice text);

/*
 * The one name that all spellings of a Domain share, for comparing: A-labels, lower case, ends in NUL. An
 * address literal is only put into lower case.
 */
int smtp_domain_canonical(struct slice text, char ret_name[SMTP_DOMAIN_MAX + 1]);

/*
 * The length in octets of the UTF8-non-ascii character (RFC 6532 3.1) that `text` begins with; 0 if it begins
 * with none: with ASCII, malformed UTF-8, or what no address needs and a header or terminal may suffer from
 * (C1 controls, U+2028, U+2029, what turns the direction of text, noncharacters). Never reads behind `text`.
 */
size_t smtp_utf8_len(struct slice text);

/* As one writes it, quoted only where it must be; "" for the null path. Never holds a control character. */
const char *smtp_address_format(const struct smtp_address *a, char text[SMTP_ADDRESS_TEXT]);

static inline bool smtp_path_is_null(const struct smtp_path *path)
{
    return path->local_len == 0 && path->domain_len == 0;
}

static inline bool smtp_address_is_null(const struct smtp_address *a)
{
    return a->local_len == 0 && a->domain_len == 0;
}
