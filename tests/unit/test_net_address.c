#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <sys/un.h>

#include "net/address.h"

static const struct row {
    const char *name, *input;
    const char *text, *host; /* NULL: refused */
} rows[] = {
    { "IPv4", "127.0.0.1:25", "127.0.0.1:25", "127.0.0.1" },
    { "IPv4, any port", "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0" },
    { "IPv6", "[::1]:2525", "[::1]:2525", "::1" },
    { "IPv4 mapped into IPv6 is told as IPv4", "[::ffff:192.0.2.1]:25", "192.0.2.1:25", "192.0.2.1" },
    { "unix socket", "unix:/run/postern/lmtp.sock", "unix:/run/postern/lmtp.sock", "unix" },
    { "unix socket, relative", "unix:s", "unix:s", "unix" },
    { "unix socket without a path", "unix:", NULL, NULL },
    { "no port", "127.0.0.1", NULL, NULL },
    { "empty port", "127.0.0.1:", NULL, NULL },
    { "port too large", "127.0.0.1:65536", NULL, NULL },
    { "port with a sign", "127.0.0.1:+25", NULL, NULL },
    { "IPv6 without brackets", "::1:25", NULL, NULL },
    { "a name is not looked up", "localhost:25", NULL, NULL },
    { "short IPv4", "127.1:25", NULL, NULL },
    { "nothing", "", NULL, NULL },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct net_address a;
    char text[NET_ADDRESS_TEXT];
    int r = net_address_parse(row->input, &a);
    if (row->text == NULL) {
        assert_int_equal(r, -EINVAL);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(net_address_format(&a, text), row->text);
    assert_string_equal(net_address_host(&a, text), row->host);
}

static void a_path_that_no_socket_can_have(void **state)
{
    (void)state;
    struct net_address a;
    size_t longest = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    g_autofree char *fits = g_strnfill(longest, 'x');
    g_autofree char *good = g_strconcat("unix:", fits, NULL);
    g_autofree char *bad = g_strconcat("unix:x", fits, NULL);
    char text[NET_ADDRESS_TEXT];
    assert_int_equal(net_address_parse(good, &a), 0);
    assert_string_equal(net_address_format(&a, text), good);
    assert_int_equal(net_address_parse(bad, &a), -EINVAL);
}

static void a_client_without_a_name(void **state)
{
    (void)state;
    struct net_address a = { .storage.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
    char text[NET_ADDRESS_TEXT];
    assert_string_equal(net_address_format(&a, text), "unix:");
}

static const struct local_row {
    const char *name, *address;
    bool is_local;
} local_rows[] = {
    { "local: 127.0.0.1", "127.0.0.1:25", true },
    { "local: all that is loopback", "127.255.0.9:25", true },
    { "local: ::1", "[::1]:25", true },
    { "local: loopback mapped into IPv6", "[::ffff:127.0.0.1]:25", true },
    { "local: a unix socket", "unix:/s", true },
    { "not local: 126.0.0.1", "126.0.0.1:25", false },
    { "not local: 128.0.0.1", "128.0.0.1:25", false },
    { "not local: 1.0.0.127", "1.0.0.127:25", false },
    { "not local: any address", "0.0.0.0:25", false },
    { "not local: ::", "[::]:25", false },
    { "not local: ::2", "[::2]:25", false },
    { "not local: compatible with IPv4", "[::127.0.0.1]:25", false },
    { "not local: another that is mapped into IPv6", "[::ffff:192.0.2.1]:25", false },
};

static void check_local(void **state)
{
    const struct local_row *row = *state;
    struct net_address a;
    assert_int_equal(net_address_parse(row->address, &a), 0);
    assert_int_equal(net_address_is_local(&a), row->is_local);
}

static void nobody_knows_where(void **state)
{
    (void)state;
    struct net_address a = { 0 };
    assert_false(net_address_is_local(&a));
}

static void equality(void **state)
{
    (void)state;
    struct net_address a, b;
    assert_int_equal(net_address_parse("127.0.0.1:25", &a), 0);
    assert_int_equal(net_address_parse("127.0.0.1:25", &b), 0);
    assert_true(net_address_equal(&a, &b));
    assert_int_equal(net_address_parse("127.0.0.1:26", &b), 0);
    assert_false(net_address_equal(&a, &b));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("net/address");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "a path that no socket can have", a_path_that_no_socket_can_have, NULL);
    suite_add(s, "a client without a name", a_client_without_a_name, NULL);
    suite_add_rows(s, local_rows, check_local);
    suite_add(s, "not local: an address that is not known", nobody_knows_where, NULL);
    suite_add(s, "equality", equality, NULL);
    return suite_run(s, argc, argv);
}
