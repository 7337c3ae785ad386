/* How long which clients wait for their greeting. */
#include "suite.h"

#include "worker/greeting.h"

static const struct row {
    const char *name;
    msec_t option;
    enum smtp_protocol protocol;
    const char *client; /* NULL: gone before anybody asked who it was */
    msec_t want;
} rows[] = {
#define AUTO GREETING_DELAY_AUTO
#define SMTP SMTP_PROTOCOL_SMTP
#define LMTP SMTP_PROTOCOL_LMTP
    { "auto, a client from elsewhere", AUTO, SMTP, "192.0.2.1:5", 100 },
    { "auto, a client from elsewhere by IPv6", AUTO, SMTP, "[2001:db8::1]:5", 100 },
    { "auto, a client of this network", AUTO, SMTP, "10.0.0.1:5", 100 },
    { "auto, an unknown client", AUTO, SMTP, NULL, 100 },
    { "auto, loopback", AUTO, SMTP, "127.0.0.1:5", 0 },
    { "auto, loopback by IPv6", AUTO, SMTP, "[::1]:5", 0 },
    { "auto, a unix socket", AUTO, SMTP, "unix:/s", 0 },
    { "auto, LMTP from elsewhere", AUTO, LMTP, "192.0.2.1:5", 0 },
    { "auto, LMTP on this host", AUTO, LMTP, "unix:/s", 0 },
    { "a duration holds for clients from elsewhere", 5000, SMTP, "192.0.2.1:5", 5000 },
    { "a duration holds on this host", 5000, SMTP, "127.0.0.1:5", 5000 },
    { "a duration holds for LMTP", 5000, LMTP, "unix:/s", 5000 },
    { "none", 0, SMTP, "192.0.2.1:5", 0 },
#undef AUTO
#undef SMTP
#undef LMTP
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct net_address client = { 0 };
    if (row->client != NULL)
        assert_int_equal(net_address_parse(row->client, &client), 0);
    assert_int_equal(greeting_delay(row->option, row->protocol, &client), row->want);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("greeting");
    suite_add_rows(s, rows, check_row);
    return suite_run(s, argc, argv);
}
