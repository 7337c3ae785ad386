#include "worker/greeting.h"

enum { AUTO_MS = 100 };

msec_t greeting_delay(msec_t option, enum smtp_protocol protocol, const struct net_address *client)
{
    if (option != GREETING_DELAY_AUTO)
        return option;
    return protocol == SMTP_PROTOCOL_SMTP && !net_address_is_local(client) ? AUTO_MS : 0;
}
