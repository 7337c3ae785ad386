/*
 * tests/dialogue/reply.h - what a server said, taken apart, and what a script wants it to be.
 * A reply is read strictly (RFC 5321 4.2): CR LF, at most 512 octets a line, one code on all lines, printable
 * text only, and where there is an enhanced status code, on each line the same, of the class of the reply
 * (RFC 2034 4). Whatever is not so fails every script. Ownership: reply_clear and want_free release what was
 * filled or made here.
 */
#pragma once

#include <glib.h>

#include "base/auto.h"
#include "base/slice.h"

struct reply {
    char code[4];
    char *enhanced;   /* "5.1.1", or NULL */
    GPtrArray *lines; /* char *: each line's text, without codes */
};

/* 1: *ret is the first reply of `in`, *ret_len octets; 0: not complete; -EBADMSG: *ret_problem says why it is
 * none (g_free). */
int reply_take(struct slice in, struct reply *ret, size_t *ret_len, char **ret_problem);
void reply_clear(struct reply *r);
char *reply_text(const struct reply *r); /* as one line, for a report; g_free */
AUTO_VAL_DEFINE(reply);

/*
 * `CODE [ENHANCED] [TEXT]`: codes are digits and x ("5xx") with | between alternatives; the text is a
 * fragment of the reply's text, or /a regular expression/. Each may match as little as the RFCs leave open.
 */
struct want {
    char *source; /* as the script has it */
    GRegex *code;
    GRegex *enhanced; /* NULL: any, and none */
    GRegex *text;     /* NULL: any */
    GPtrArray *lines; /* GRegex *: the second and later lines, in any order, no others; NULL: any */
};

/* NULL and *ret_problem (g_free) when `text` is no such thing. With `set`, what follows CODE are the lines:
 * ITEM, ITEM, ITEM. */
struct want *want_parse(const char *text, bool set, char **ret_problem);
bool want_matches(const struct want *w, const struct reply *r);
void want_free(struct want *w);
