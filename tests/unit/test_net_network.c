#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <netinet/in.h>

#include "net/network.h"

/* ---- which address is in which list ---- */

static const struct have_row {
    const char *name, *networks, *address;
    bool want;
} have_rows[] = {
    { "a host", "10.1.2.3", "10.1.2.3:25", true },
    { "another host", "10.1.2.3", "10.1.2.4:25", false },
    { "the first of a network", "10.0.0.0/8", "10.0.0.0:0", true },
    { "the last of a network", "10.0.0.0/8", "10.255.255.255:65535", true },
    { "before a network", "10.0.0.0/8", "9.255.255.255:25", false },
    { "behind a network", "10.0.0.0/8", "11.0.0.0:25", false },
    { "a prefix within an octet", "192.0.2.64/26", "192.0.2.127:25", true },
    { "behind a prefix within an octet", "192.0.2.64/26", "192.0.2.128:25", false },
    { "every IPv4 host", "0.0.0.0/0", "255.1.2.3:25", true },
    { "an IPv6 host is no IPv4 host", "0.0.0.0/0", "[::1]:25", false },
    { "IPv6 host", "::1", "[::1]:25", true },
    { "IPv6 network", "2001:db8:8000::/33", "[2001:db8:ffff::1]:25", true },
    { "outside of an IPv6 network", "2001:db8:8000::/33", "[2001:db8:7fff::1]:25", false },
    { "every IPv6 host", "::/0", "[2001:db8::1]:25", true },
    { "an IPv4 host is no IPv6 host", "::/0", "10.1.2.3:25", false },
    { "not even when it is mapped", "::/0", "[::ffff:10.1.2.3]:25", false },
    { "nor by other bits", "::/80", "[::ffff:10.1.2.3]:25", false },
    { "a mapped host", "10.0.0.0/8", "[::ffff:10.1.2.3]:25", true },
    { "another mapped host", "10.0.0.0/8", "[::ffff:11.1.2.3]:25", false },
    { "a network that is written as mapped", "::ffff:10.0.0.0/104", "10.1.2.3:25", true },
    { "outside of it", "::ffff:10.0.0.0/104", "11.1.2.3:25", false },
    { "a host that is written as mapped", "::ffff:10.1.2.3", "10.1.2.3:25", true },
    { "all that is mapped", "::ffff:0:0/96", "10.1.2.3:25", true },
    { "the same octets in another family", "10.1.2.3", "[0a01:0203::]:25", false },
    { "unix", "unix", "unix:/run/client.sock", true },
    { "unix is no network of hosts", "unix", "127.0.0.1:25", false },
    { "a unix client is no host", "0.0.0.0/0, ::/0", "unix:/run/client.sock", false },
    { "the second of a list", "10.0.0.0/8, ::1, unix", "[::1]:25", true },
    { "the last of a list", "10.0.0.0/8,::1,unix", "unix:/s", true },
    { "none of a list", "10.0.0.0/8, ::1, unix", "127.0.0.1:25", false },
    { "blanks do not count", "  10.0.0.0/8 ,\t::1 ", "[::1]:25", true },
};

static void check_have(void **state)
{
    const struct have_row *row = *state;
    auto_ptr(net_networks) n = NULL;
    g_autofree char *problem = NULL;
    struct net_address a;
    assert_int_equal(net_networks_parse(row->networks, &n, &problem), 0);
    assert_null(problem);
    assert_int_equal(net_address_parse(row->address, &a), 0);
    assert_int_equal(net_networks_have(n, &a), row->want);
    assert_false(net_networks_have(NULL, &a));
}

static void clients_without_an_address(void **state)
{
    (void)state;
    auto_ptr(net_networks) all = NULL;
    g_autofree char *problem = NULL;
    assert_int_equal(net_networks_parse("0.0.0.0/0, ::/0, unix", &all, &problem), 0);
    struct net_address a = { .storage.ss_family = AF_UNIX, .len = sizeof(sa_family_t) };
    assert_true(net_networks_have(all, &a));
    a = (struct net_address){ 0 };
    assert_false(net_networks_have(all, &a));
}

/* A network with each prefix has what differs in the bit behind it, and not what differs in its last bit. */
static void check_prefixes(const char *host, unsigned bits, size_t octets_at)
{
    for (unsigned prefix = 0; prefix <= bits; prefix++) {
        auto_ptr(net_networks) n = NULL;
        g_autofree char *problem = NULL;
        g_autofree char *text = g_strdup_printf("%s/%u", host, prefix);
        assert_int_equal(net_networks_parse(text, &n, &problem), 0);
        struct net_address a;
        g_autofree char *address = g_strdup_printf(bits == 32 ? "%s:25" : "[%s]:25", host);
        assert_int_equal(net_address_parse(address, &a), 0);
        assert_true(net_networks_have(n, &a));
        for (unsigned bit = 0; bit < bits; bit++) {
            struct net_address other = a;
            ((uint8_t *)&other.storage)[octets_at + bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            assert_int_equal(net_networks_have(n, &other), bit >= prefix);
        }
    }
}

static void every_prefix(void **state)
{
    (void)state;
    check_prefixes("0.0.0.0", 32, offsetof(struct sockaddr_in, sin_addr));
    check_prefixes("::", 128, offsetof(struct sockaddr_in6, sin6_addr));
}

/* ---- what is no list ---- */

static const struct problem_row {
    const char *name, *networks, *problem;
} problem_rows[] = {
    { "nothing", "", "there is no network" },
    { "only a blank", " ", "\"\" is no network" },
    { "nothing between commas", "::1,,unix", "\"\" is no network" },
    { "nothing behind a comma", "::1,", "\"\" is no network" },
    { "a name", "localhost", "\"localhost\" is no network" },
    { "a family in capitals", "UNIX", "\"UNIX\" is no network" },
    { "a unix socket's path", "unix:/run/s", "\"unix:/run/s\" is no network" },
    { "unix with a prefix", "unix/0", "\"unix/0\" is no network" },
    { "an address with a port", "127.0.0.1:25", "\"127.0.0.1:25\" is no network" },
    { "an address in brackets", "[::1]", "\"[::1]\" is no network" },
    { "an address with a zone", "fe80::1%lo", "\"fe80::1%lo\" is no network" },
    { "blanks for commas", "10.0.0.0/8 ::1", "the prefix of \"10.0.0.0/8 ::1\" is no number from 0 to 32" },
    { "short", "10/8", "\"10/8\" is no network" },
    { "an octet too large", "10.0.0.256", "\"10.0.0.256\" is no network" },
    { "octal", "010.0.0.0/8", "\"010.0.0.0/8\" is no network" },
    { "no address", "/8", "\"/8\" is no network" },
    { "no prefix", "10.0.0.0/", "the prefix of \"10.0.0.0/\" is no number from 0 to 32" },
    { "a mask", "10.0.0.0/255.0.0.0", "the prefix of \"10.0.0.0/255.0.0.0\" is no number from 0 to 32" },
    { "a prefix with a sign", "10.0.0.0/+8", "the prefix of \"10.0.0.0/+8\" is no number from 0 to 32" },
    { "two prefixes", "10.0.0.0/8/8", "the prefix of \"10.0.0.0/8/8\" is no number from 0 to 32" },
    { "a prefix too long", "10.0.0.0/33", "the prefix of \"10.0.0.0/33\" is no number from 0 to 32" },
    { "an IPv6 prefix too long", "::/129", "the prefix of \"::/129\" is no number from 0 to 128" },
    { "a prefix that fits no number", "::/18446744073709551617",
      "the prefix of \"::/18446744073709551617\" is no number from 0 to 128" },
    { "bits behind the prefix", "10.1.2.3/8",
      "\"10.1.2.3/8\" has bits set behind its prefix, perhaps 10.0.0.0/8 is meant" },
    { "one bit behind the prefix", "192.0.2.65/26",
      "\"192.0.2.65/26\" has bits set behind its prefix, perhaps 192.0.2.64/26 is meant" },
    { "one host of all", "127.0.0.1/0",
      "\"127.0.0.1/0\" has bits set behind its prefix, perhaps 0.0.0.0/0 is meant" },
    { "bits behind an IPv6 prefix", "::1, 2001:db8::1/32",
      "\"2001:db8::1/32\" has bits set behind its prefix, perhaps 2001:db8::/32 is meant" },
    { "bits behind a mapped prefix", "::ffff:10.1.2.3/104",
      "\"::ffff:10.1.2.3/104\" has bits set behind its prefix, perhaps 10.0.0.0/8 is meant" },
    { "mapped, but with more than IPv4", "::ffff:0:0/95",
      "\"::ffff:0:0/95\" has bits set behind its prefix, perhaps ::fffe:0:0/95 is meant" },
};

static void check_problem(void **state)
{
    const struct problem_row *row = *state;
    struct net_networks *untouched = NULL;
    g_autofree char *problem = NULL;
    assert_int_equal(net_networks_parse(row->networks, &untouched, &problem), -EINVAL);
    assert_null(untouched);
    assert_string_equal(problem, row->problem);
}

static void families(void **state)
{
    (void)state;
    static const char *const addresses[] = { "192.0.2.1:25", "[2001:db8::1]:25", "unix:/s",
                                             "[::ffff:192.0.2.1]:25" };
    static const struct {
        const char *networks, *wanted;
    } lists[] = {
        { "10.0.0.0/8", "1001" }, { "::1", "0100" },
        { "unix", "0010" },       { "::/0", "0100" },
        { "0.0.0.0/0", "1001" },  { "::ffff:10.0.0.0/104", "1001" },
        { "::1, unix", "0110" },  { "unix, 10.0.0.1, ::1", "1111" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
        auto_ptr(net_networks) n = NULL;
        g_autofree char *problem = NULL;
        assert_int_equal(net_networks_parse(lists[i].networks, &n, &problem), 0);
        for (size_t k = 0; k < G_N_ELEMENTS(addresses); k++) {
            struct net_address a;
            assert_int_equal(net_address_parse(addresses[k], &a), 0);
            assert_int_equal(net_networks_have_family_of(n, &a), lists[i].wanted[k] == '1');
            assert_false(net_networks_have_family_of(NULL, &a));
        }
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("net/network");
    suite_add_rows(s, have_rows, check_have);
    suite_add_rows(s, problem_rows, check_problem);
    suite_add(s, "clients without an address", clients_without_an_address, NULL);
    suite_add(s, "families", families, NULL);
    suite_add(s, "every prefix", every_prefix, NULL);
    return suite_run(s, argc, argv);
}
