/*
 * cli/demo.h - the configuration for trying postern out: built in, loopback, port 2525, the domain
 * example.org with the mailboxes alice, bob and postmaster, which are made. It needs no root and no file.
 */
#pragma once

#include "base/diag.h"
#include "config/config.h"

/* Reads the built-in configuration and makes what is missing of DIR/{alice,bob,postmaster}/{cur,new,tmp}. */
void demo_apply(struct config *c, const char *dir, struct diag *problems);
