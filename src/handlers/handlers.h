/*
 * handlers/handlers.h - what a configuration says about handlers, in the shape that the worker and its hosts
 * use. Ownership: whoever made the settings; all else borrows them, and they do not change. Nothing here
 * fails.
 */
#pragma once

#include "base/auto.h"
#include "base/number.h"
#include "handlers/wire.h"

/* What a handler is limited to; the worker asks, and hosts never know. */
struct handler_scope {
    char **domains;   /* canonical, as delivery/router.h names them; ends in NULL. NULL: all */
    char **listeners; /* names of [listen NAME]; ends in NULL. NULL: all */
};

struct handler_settings {
    const char *program;          /* postern-host */
    struct wire_config config;    /* the handlers, and the limits of each host */
    struct handler_scope *scopes; /* one for each handler of `config` */
    unsigned processes;           /* hosts of a worker */
    uint64_t spare_processors;    /* on which no host runs */
    /* For a message that waits for a host, anew once a host has it, and for a host to be ready. */
    msec_t timeout;
    bool deliver_on_failure; /* what no host could handle; else the sender shall try again */
};

/* All but itself. One that is all zero is welcome. */
void handler_settings_clear(struct handler_settings *s);
AUTO_VAL_DEFINE(handler_settings);

/* Whether a message from there, or a recipient in that domain, is for the handler. */
bool handler_scope_has_listener(const struct handler_scope *scope, const char *listener);
bool handler_scope_has_domain(const struct handler_scope *scope, const char *domain);

/*
 * Where postern-host lies: beside the program that runs, as in the tree that it was built in, or else where
 * it was installed. g_free it.
 */
char *handler_program(void);
