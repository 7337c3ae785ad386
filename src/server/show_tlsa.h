/*
 * server/show_tlsa.h - what belongs into DNS and onto a web server so that senders insist on TLS with our
 * certificates: TLSA records (DANE: RFC 6698, RFC 7672) and an MTA-STS policy with its TXT records (RFC
 * 8461). Blocking; for the command line.
 */
#pragma once

#include <stdio.h>

#include "server/settings.h"

struct tlsa_request {
    const char *host; /* the name in the MX records; NULL: the server's */
    unsigned port;    /* 0: those of the listeners that offer TLS */
    bool policy_only; /* just the policy, for the web server's file */
};

/*
 * The certificates are loaded. What can be told is written to `to`: a fragment of a zone with comments, and
 * the policy. Problems: there is nothing to tell. Notes: what does not fit together.
 */
void show_tlsa(const struct settings *s, const struct tlsa_request *request, FILE *to, struct diag *problems,
               struct diag *notes);
