/*
 * auth/dovecot_line.h - the lines of Dovecot's authentication protocol, version 1.2, as a client writes and
 * reads them. A line is words with tabs between them; in a value, \001 quotes what would be taken for syntax.
 */
#pragma once

#include <glib.h>

#include "auth/auth.h"
#include "auth/mechanism.h"

/* The first lines of a connection. */
char *dovecot_hello(int pid);

/* With the line's end; the caller puts in nothing but base64 as `response` (NULL: none). */
char *dovecot_line_auth(uint32_t id, enum mechanism m, const struct auth_facts *facts, const char *response);
char *dovecot_line_cont(uint32_t id, const char *response);
char *dovecot_line_cancel(uint32_t id);

enum dovecot_verb {
    DOVECOT_OTHER, /* to be ignored, as the protocol wants it */
    DOVECOT_VERSION,
    DOVECOT_MECH,
    DOVECOT_DONE,
    DOVECOT_OK,
    DOVECOT_FAIL,
    DOVECOT_CONT,
};

struct dovecot_reply {
    enum dovecot_verb verb;
    uint32_t id;         /* OK, FAIL, CONT */
    uint64_t major;      /* VERSION */
    int mechanism;       /* MECH; -1: none of ours */
    char *challenge;     /* CONT: base64 */
    char *user;          /* OK, FAIL; NULL: none is told, or none that can be repeated */
    enum auth_kind kind; /* FAIL: AUTH_FAILED or AUTH_UNAVAILABLE */
    const char *reason;  /* FAIL: a stable word */
};
void dovecot_reply_clear(struct dovecot_reply *r);
AUTO_VAL_DEFINE(dovecot_reply);

/* A line without its end. -EBADMSG for what cannot be one, after which nothing else can be trusted. */
int dovecot_reply_parse(struct slice line, struct dovecot_reply *ret_reply);
