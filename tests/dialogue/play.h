/*
 * tests/dialogue/play.h - plays a script against a server, whatever it is: a player is one connection to it
 * and a look into its mailboxes. Ownership: who makes a player frees it, through player_free; it borrows the
 * script. Failure: false with *ret_problem (g_free), which says what was there instead.
 */
#pragma once

#include <glib.h>

#include "base/auto.h"
#include "base/slice.h"
#include "script.h"

struct message {
    GByteArray *bytes;  /* as they came over the wire: without trace fields, lines end in CR LF */
    GByteArray *octets; /* as they are stored, without trace fields */
    char *sender;       /* "<reverse path>" */
};
struct message *message_new(struct slice bytes, struct slice octets, const char *reverse_path);
void message_free(void *message);

struct player {
    const struct player_ops *ops;
    const struct script *script;
    GByteArray *received; /* replies that nobody has read yet */
    bool closed;          /* the server ended the connection */
};

struct player_ops {
    bool (*send)(struct player *p, struct slice bytes, char **ret_problem);
    /* Waits until there is more in `received` or the connection is closed. */
    bool (*receive)(struct player *p, char **ret_problem);
    /* Ends the connection as the client does; returns when the server has seen it. */
    bool (*hang_up)(struct player *p, char **ret_problem);
    /* What a mailbox holds, struct message *; NULL on failure. */
    GPtrArray *(*messages)(struct player *p, const char *mailbox, char **ret_problem);
    /* Steps that only the core knows, and STEP_NOTHING. */
    bool (*control)(struct player *p, const struct step *step, char **ret_problem);
    /* The script is over: whatever must be true then. */
    bool (*finish)(struct player *p, char **ret_problem);
    void (*free)(struct player *p);
};

struct failure {
    unsigned line; /* of the script; 0: none in particular */
    char *got;
};

bool play(struct player *p, struct failure *ret_failure);
void player_free(struct player *p);
AUTO_PTR_DEFINE(player);
