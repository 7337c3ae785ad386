/* A handler that was made without POSTERN_HANDLER. */
#include <postern/handler.h>

const postern_handler postern_handler_entry = { .abi = POSTERN_HANDLER_ABI };
