/*
 * delivery/maildirsize.h - the text of a maildirsize file, as Maildir++ has it and Dovecot and Courier read
 * and write it: a line of limits ("1000000S,5000C": octets and messages), then a line for each change, octets
 * and messages, which may be negative ("4711 1"). What is used is their sum. Without I/O; nothing is owned.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define MAILDIRSIZE_NAME "maildirsize"

enum {
    MAILDIRSIZE_MAX = 5120,       /* octets; one that has more is to be written anew */
    MAILDIRSIZE_CHANGE_SIZE = 32, /* a line with a change, and a NUL */
    MAILDIRSIZE_TEXT_SIZE = 96,   /* a whole new file, and a NUL */
};

struct maildirsize {
    uint64_t limit; /* octets; 0: it names none. That of messages is not ours */
    uint64_t octets, messages;
    size_t changes; /* lines */
};

/*
 * -EBADMSG when it is none: a line that is not two numbers or has no end, a sum below zero or beyond all
 * measure, or nothing but limits. Of the limits, what is not understood is passed over.
 */
int maildirsize_parse(struct slice text, struct maildirsize *ret_maildirsize);

/* With `limit`, `octets` and `messages` alone. Octets in `text`, without the NUL. */
size_t maildirsize_format(const struct maildirsize *m, char text[MAILDIRSIZE_TEXT_SIZE]);

/* A message that comes, or goes (`back`). */
size_t maildirsize_format_change(bool back, uint64_t octets, char text[MAILDIRSIZE_CHANGE_SIZE]);
