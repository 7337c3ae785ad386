/*
 * auth/mechanism.h - the SASL mechanisms that there are here, and sets of them. Nothing is allocated.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/* The best ones first, as they are offered. */
enum mechanism {
    MECHANISM_EXTERNAL,
    MECHANISM_SCRAM_SHA_256_PLUS,
    MECHANISM_SCRAM_SHA_256,
    MECHANISM_PLAIN,
    MECHANISM_LOGIN,
    MECHANISM_COUNT,
};
extern const char *const mechanism_names[MECHANISM_COUNT];

/* Sets are of these bits. */
#define MECHANISM_BIT(mechanism) (1u << (mechanism))
enum { MECHANISMS_ALL = (1u << MECHANISM_COUNT) - 1 };

/* Whatever the case of its letters is; -1 for one that is none of ours. */
int mechanism_find(struct slice name);

/* The server has something to say before the client has. */
bool mechanism_server_begins(enum mechanism m);
bool mechanism_is_scram(enum mechanism m);
