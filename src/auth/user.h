/*
 * auth/user.h - names of users and passwords as they are compared: prepared by SASLprep (RFC 4013), so that
 * what looks the same is the same, however it was typed.
 */
#pragma once

#include <stdbool.h>

enum user_origin {
    USER_ASKED,  /* by a client: characters that Unicode had not assigned yet are let through (RFC 3454 7) */
    USER_STORED, /* in a file */
};

/* g_free'd; NULL when it is not UTF-8, holds what is prohibited, control characters among it, is empty, or is
 * longer than AUTH_USER_MAX. */
char *user_prepare(const char *name, enum user_origin origin);

/* From 1 to AUTH_USER_MAX octets of UTF-8 without control characters: what may be repeated as it is. */
bool user_is_presentable(const char *name);

/* Nothing is left of it when it is prepared. */
bool user_is_nothing(const char *name);

/* The same as user_prepare for a password; password_wipe() it. Its bound is crypt(3)'s. */
char *password_prepare(const char *password, enum user_origin origin);

/* Overwrites and frees it; NULL is welcome. */
void password_wipe(char *password);
static inline void auto_password_wipe(char **at)
{
    password_wipe(*at);
}
#define auto_password __attribute__((cleanup(auto_password_wipe)))
