/*
 * server/show_route.h - tells people which way mail for an address takes, step by step: `postern route`.
 */
#pragma once

#include <stdio.h>

#include "server/settings.h"

/* Whether mail for `address` would be taken for some mailbox. Asks disk and tables on the spot. -EBADMSG, and
 * nothing printed, when it is no address. */
int show_route(const struct settings *s, const char *address, FILE *to);
