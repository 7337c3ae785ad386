#include <postern/handler.h>

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    if (g_strcmp0(g_mime_message_get_subject(message), "unsubscribe") == 0)
        return postern_reject(delivery, 550, "5.7.1", "use the web form, please");
    postern_add_header(delivery, "X-Client", envelope->client);
    return POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "example", .on_message = on_message)
