/*
 * host/functions.h - the table of functions that handlers call, and what is behind the pointers that they
 * hand back. Whatever a handler says is checked; -EINVAL, and the log says why.
 */
#pragma once

#include <postern/handler.h>

#include "host/delivery.h"
#include "host/load.h"

extern const postern_functions host_functions;

struct setup { /* behind postern_setup, while init runs */
    postern_setup face;
    struct handler *handler;
    struct channel *channel;
    char *failure; /* owned; NULL: none was told */
};
