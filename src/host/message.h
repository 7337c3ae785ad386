/*
 * host/message.h - the message that the handlers have before them: parsed, edited, replaced. One struct
 * serves one message after the other.
 * Ownership: `mime` is handed to a handler and valid until message_turned(), also when it is replaced.
 * Failure: -errno; a handler that asked for what cannot be is told -EINVAL, and why.
 */
#pragma once

#include <gmime/gmime.h>

#include "handlers/wire.h"
#include "host/content.h"
#include "host/edits.h"

struct message {
    GMimeMessage *mime; /* what the next handler sees: `content` with the edits */
    struct content original, content;
    struct edits edits;
    bool is_binary; /* BINARYMIME: lines may end in anything */
    /* ---- the machinery ---- */
    GMimeParser *parser;
    GByteArray borrowed;   /* the memory that the parser's stream looks at */
    GPtrArray *former;     /* of `mime`, replaced by the handler that runs */
    int descriptor;        /* that came with the message; -1: none did */
    int copy;              /* a memory file, for a handler that wants a descriptor of what came without one */
    bool is_copied;        /* it holds this message */
    int scratch;           /* the file for messages that are replaced */
    uint64_t scratch_size; /* octets of it that are in use */
};

/* Before the sandbox is entered. */
int message_init(struct message *m, int scratch);

/* 0, or -EBADMSG: it is nowhere. `take_fd` may be -1. */
int message_begin(struct message *m, const struct wire_message *from, int take_fd);
/* What GMime cannot read as a message is one without header fields. */
void message_parse(struct message *m);
void message_turned(struct message *m); /* a handler has returned */
void message_end(struct message *m);

int message_add_header(struct message *m, const char *name, const char *value, const char **ret_why);
int message_remove_header(struct message *m, const char *name, const char **ret_why);
int message_replace_header(struct message *m, const char *name, const char *value, const char **ret_why);
int message_replace(struct message *m, GMimeMessage *with, const char **ret_why);
int message_replace_raw(struct message *m, int fd, const char **ret_why);

/* A descriptor of what came, which stays this struct's. */
int message_raw(struct message *m, uint64_t *ret_offset);

/* What is to be stored: `front`, `skip`, `replaced`. `front` is appended to the array, and borrowed. */
int message_result(struct message *m, GByteArray *front, struct wire_verdict *verdict);
