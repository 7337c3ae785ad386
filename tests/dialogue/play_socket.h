/*
 * tests/dialogue/play_socket.h - a running daemon, over TCP or a unix socket, within TLS where the script
 * wants it, and the maildirs of its domain. The folder of maildirs is wiped for each script, and so must say
 * that it may be: it holds a file named SCRATCH_MARK.
 */
#pragma once

#include "play.h"

#define SCRATCH_MARK "dialogue-scratch"

/* How what goes out in one piece is cut into records of TLS; without TLS it is never cut. */
enum record_cut { RECORD_WHOLE, RECORD_LINES, RECORD_BYTES, RECORD_CUTS };
extern const char *const record_cut_names[]; /* "whole", ..., NULL */

struct socket_place {
    char *smtp, *lmtp; /* "127.0.0.1:2525" or "unix:/path", or NULL */
    char *maildirs;    /* the domain's directory */
};

/* NULL and *ret_problem (g_free) when there is no connection to be had. */
struct player *player_socket_new(const struct script *script, const struct socket_place *place,
                                 enum record_cut cut, char **ret_problem);
