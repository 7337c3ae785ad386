/*
 * config/ini.h - the lines of an INI text, checked and taken apart.
 * inih takes a key from its value and a comment from both, but it is lenient where an operator must be told:
 * it cuts lines at 199 octets and names of sections at 49, and reads on in the old section behind a header
 * that it does not understand. So each line is checked here, and inih is asked for one line at a time.
 *
 * What the text may hold: [section] and [section NAME] headers, `key = value`, empty lines, comments from ;
 * or # on lines of their own, and from a blank and ; at the end of others. One line, one thing, from the
 * first column on.
 */
#pragma once

#include "base/diag.h"
#include "base/slice.h"

/* Octets of a line that holds something; comments may be longer. */
enum { INI_LINE_MAX = 197 };

struct ini_events {
    /* A header: what stands between its brackets, blanks around it removed; NULL: it could not be understood.
     */
    void (*on_section)(void *owner, unsigned line, const char *name);
    void (*on_key)(void *owner, unsigned line, const char *key, const char *value);
};

/* Tells what is in the text, line by line, and adds a problem to `problems` for each line that is no such
 * thing. `label` names the text. */
void ini_read(const char *label, struct slice text, struct diag *problems, const struct ini_events *events,
              void *owner);
