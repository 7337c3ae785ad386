/* A handler that was not linked with what it needs. */
#include <postern/handler.h>

postern_verdict nobody_has_this(postern_delivery *, const postern_envelope *, GMimeMessage *);

POSTERN_HANDLER(.name = "undefined", .on_message = nobody_has_this)
