/* A handler that does nothing at all. */
#include <postern/handler.h>

POSTERN_HANDLER(.name = "no-function")
