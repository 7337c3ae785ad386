/* A handler that misbehaves as soon as it is loaded: AT_LOAD is what it does. */
#include <postern/handler.h>

#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void at_load(void)
{
    AT_LOAD;
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)delivery;
    (void)envelope;
    (void)message;
    return POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "at-load", .on_message = on_message)
