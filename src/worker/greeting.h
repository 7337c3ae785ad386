/*
 * worker/greeting.h - how long a client waits for its greeting, and must not speak. Many that send spam do
 * not wait; whoever has written a client of SMTP lets it wait, as RFC 5321 3.1 and 4.3.1 want.
 */
#pragma once

#include "net/address.h"
#include "smtp/session.h"

/* Besides a duration, what the option may be. */
enum { GREETING_DELAY_AUTO = -1, GREETING_DELAY_MAX = 60 * 1000 };

/*
 * With `auto`, the clients of SMTP that are not on this host wait for a moment: a tenth of a second, which is
 * no more than a slow network takes from them, and enough to tell who has sent all at once. Programs of this
 * host, and those that hand over what they have taken themselves (LMTP), are greeted at once.
 */
msec_t greeting_delay(msec_t option, enum smtp_protocol protocol, const struct net_address *client);
