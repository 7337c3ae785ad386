#include "auth/mechanism.h"

const char *const mechanism_names[MECHANISM_COUNT] = {
    [MECHANISM_EXTERNAL] = "EXTERNAL",
    [MECHANISM_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
    [MECHANISM_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [MECHANISM_PLAIN] = "PLAIN",
    [MECHANISM_LOGIN] = "LOGIN",
};

int mechanism_find(struct slice name)
{
    for (int m = 0; m < MECHANISM_COUNT; m++)
        if (slice_equal_nocase(name, mechanism_names[m]))
            return m;
    return -1;
}

bool mechanism_server_begins(enum mechanism m)
{
    return m == MECHANISM_LOGIN;
}

bool mechanism_is_scram(enum mechanism m)
{
    return m == MECHANISM_SCRAM_SHA_256 || m == MECHANISM_SCRAM_SHA_256_PLUS;
}
