/* A handler that does nothing: what it costs is what handlers cost. */
#include <postern/handler.h>

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)delivery;
    (void)envelope;
    (void)message;
    return POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "noop", .on_message = on_message)
