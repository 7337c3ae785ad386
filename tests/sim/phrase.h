/*
 * tests/sim/phrase.h - one command line, read as the RFCs have it, for the oracle: which command it is,
 * whether it is well-formed, and what it says. Whether it may be said now is not its matter. A value; nothing
 * fails.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum phrase_verb {
    PHRASE_HELLO, /* is_lhlo, is_extended */
    PHRASE_MAIL,  /* has_utf8, is_utf8, is_binary, size */
    PHRASE_RCPT,  /* is_utf8, is_ours, boxes */
    PHRASE_DATA,
    PHRASE_BDAT, /* octets, is_last */
    PHRASE_RSET,
    PHRASE_NOOP,
    PHRASE_VRFY,
    PHRASE_EXPN,
    PHRASE_HELP,
    PHRASE_QUIT,
    PHRASE_STARTTLS,
    PHRASE_AUTH,
    PHRASE_CLIENT,     /* XCLIENT, XFORWARD */
    PHRASE_UNKNOWN,    /* or it has control characters, or is too long */
    PHRASE_FOREIGN,    /* another protocol's */
    PHRASE_LOST_CHUNK, /* of BDAT, but how many octets follow cannot be told */
    PHRASE_VERBS,
};

enum phrase_form { PHRASE_GOOD, PHRASE_UNSURE, PHRASE_BAD };

struct phrase {
    enum phrase_verb verb;
    enum phrase_form form;
    bool is_lhlo, is_extended;
    bool has_utf8;      /* MAIL with SMTPUTF8 */
    bool is_utf8;       /* its address is beyond ASCII */
    const char *sender; /* of MAIL: "<a@b>", interned; a quoted one is written without quotes */
    bool is_binary;     /* BODY=BINARYMIME */
    bool is_last;
    bool is_ours;   /* its domain */
    unsigned boxes; /* bits, of sim_boxes: to whom it leads */
    uint64_t size;  /* declared; 0: none */
    uint64_t octets;
};

/* `line` is without its CR LF; `max` how long one may be with it. */
struct phrase phrase_read(struct slice line, uint64_t max);

/* What begins like another protocol's binary greeting: no end of a line is awaited. */
bool phrase_is_binary(struct slice text);

const char *phrase_verb_name(enum phrase_verb verb);
