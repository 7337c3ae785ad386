/*
 * tests/sim/replies.h - what is heard, as replies: lines of RFC 5321 4.2.1, put together where they come in
 * pieces. What is no such line is the server's fault: sim_fail. A value, zeroed at the start.
 */
#pragma once

#include "base/slice.h"

enum { REPLIES_LINE = 512 }; /* RFC 5321 4.5.3.1.5 */

struct replies {
    char line[REPLIES_LINE]; /* the beginning of one whose end has not come */
    size_t len;
};

struct reply_line {
    unsigned code;
    bool is_last;
    struct slice line; /* with its CR LF */
    struct slice text; /* behind the code and what follows it */
};

/* For each whole line, in order. */
void replies_take(struct replies *r, struct slice octets,
                  void (*on_line)(void *owner, const struct reply_line *line), void *owner);

bool reply_begins(const struct reply_line *line, const char *prefix); /* "550 5.1.1", "4" */
