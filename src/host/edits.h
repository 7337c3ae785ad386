/*
 * host/edits.h - what handlers want changed in a message's header section, and what it comes to: fields in
 * front of the message as it is, or a header section in place of its own. Fields that nobody touched stay
 * byte for byte. Ownership: the content must stay until the edits are cleared.
 */
#pragma once

#include <stdbool.h>

#include "base/auto.h"
#include "host/content.h"

struct edits {
    const struct content *content;
    GPtrArray *added;   /* texts of fields, the oldest first; NULL: none */
    GPtrArray *owned;   /* texts of the fields that were replaced */
    GArray *fields;     /* the message's own, once they were asked for; NULL: not yet */
    GByteArray *begin;  /* what they lie in, if it had to be read */
    size_t len;         /* octets of the message's own header section */
    struct slice blank; /* the line at its end; empty: there is none */
    bool is_changed;    /* one of the message's own was removed or replaced */
};

void edits_init(struct edits *e, const struct content *content);
void edits_clear(struct edits *e);

/* `take_text` is the whole field, which is freed in any case. 0, or how many there were; or -errno: the
 * message's own could not be read. */
void edits_add(struct edits *e, char *take_text);
int edits_remove(struct edits *e, const char *name);
int edits_replace(struct edits *e, const char *name, char *take_text);

/* What goes in front of the message without its first *ret_skip octets, appended to `front`. */
void edits_result(const struct edits *e, GByteArray *front, size_t *ret_skip);
