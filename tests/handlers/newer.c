/* A handler that knows functions that this postern does not have. */
#include <postern/handler.h>

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)delivery, (void)envelope, (void)message;
    return POSTERN_DELIVER;
}

const postern_handler postern_handler_entry = { .abi = POSTERN_HANDLER_ABI,
                                                .size = sizeof(postern_handler),
                                                .functions_size = sizeof(postern_functions) + sizeof(void *),
                                                .envelope_size = sizeof(postern_envelope),
                                                .on_message = on_message };
