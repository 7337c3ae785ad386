/*
 * handlers/verdict.h - whether what a host has decided makes sense: hosts run user code, and what they say
 * goes into replies, names and files. Pure.
 */
#pragma once

#include "handlers/wire.h"

enum {
    HANDLER_REPLY_MAX = 512,   /* octets of a reply line with its end: RFC 5321 4.5.3.1.5 */
    HANDLER_ADDRESS_MAX = 320, /* of a redirect */
    HANDLER_FOLDER_MAX = 255,
    HANDLER_REDIRECTS_MAX = 100, /* of one recipient */
};

struct handler_bounds {
    uint32_t recipients, handlers;
    uint64_t message_size, scratch_size; /* octets */
};

/* 421 would say that the connection ends (RFC 5321 3.8), which it does not. */
static inline uint32_t handler_reply_code(uint32_t code)
{
    return code == 421 ? 451 : code;
}

/*
 * NULL, or what is wrong with it. Codes are 5NN and 4NN, enhanced codes alike, texts printable ASCII, flags
 * letters of "DFPRST", each once, and folders and addresses without control characters; whether they name
 * anything is not known here.
 */
const char *handler_verdict_problem(const struct wire_verdict *v, const struct handler_bounds *bounds);
