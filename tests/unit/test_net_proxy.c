/* Every header is parsed as it grows octet by octet, each time from a copy on the heap that ends where it
 * does. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "net/proxy.h"

static const char behind[] = "EHLO client.example.org\r\nPROXY UNKNOWN\r\n";

struct decision {
    int r;
    size_t at; /* how many octets it took */
    size_t taken;
    struct net_proxy proxy;
};

static void assert_same(const struct net_proxy *a, const struct net_proxy *b)
{
    assert_int_equal(a->is_local, b->is_local);
    assert_int_equal(a->source.len, b->source.len);
    assert_int_equal(a->destination.len, b->destination.len);
    assert_memory_equal(&a->source.storage, &b->source.storage, sizeof a->source.storage);
    assert_memory_equal(&a->destination.storage, &b->destination.storage, sizeof a->destination.storage);
}

static struct decision parse(struct slice in)
{
    static const struct net_proxy untouched = { .source.len = 7 };
    struct decision d = { .at = in.len, .taken = SIZE_MAX, .proxy = untouched };
    g_autofree uint8_t *copy = in.len > 0 ? g_memdup2(in.data, in.len) : NULL;
    d.r = net_proxy_parse(slice_of(copy, in.len), &d.proxy, &d.taken);
    if (d.r <= 0) {
        assert_int_equal(d.taken, SIZE_MAX);
        assert_same(&d.proxy, &untouched);
    }
    return d;
}

/* The decision at the shortest start of `in` that is enough for one; more octets must not change it. */
static struct decision decide(struct slice in)
{
    struct decision first = { 0 };
    for (size_t len = 0; len <= in.len; len++) {
        struct decision d = parse(slice_first(in, len));
        assert_in_range(d.r + E2BIG + EBADMSG, 0, E2BIG + EBADMSG + 1);
        if (first.r == 0) {
            first = d;
            assert_true(d.r != 1 || d.taken == len);
        } else {
            assert_int_equal(d.r, first.r);
            assert_int_equal(d.taken, first.taken);
            assert_same(&d.proxy, &first.proxy);
        }
    }
    return first;
}

static GByteArray *bytes(const void *data, size_t len)
{
    return g_byte_array_append(g_byte_array_new(), data, (guint)len);
}

static struct slice all_of(const GByteArray *b)
{
    return slice_of(b->data, b->len);
}

static void append_behind(GByteArray *b)
{
    g_byte_array_append(b, (const uint8_t *)behind, sizeof behind - 1);
}

/* ---- what is a header ---- */

#define BYTES(literal) (literal), sizeof(literal) - 1
#define SIGNATURE      "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL2         SIGNATURE "\x20"
#define PROXY2         SIGNATURE "\x21"
#define TEN(text)      text text text text text text text text text text
#define PATH1          TEN("/source---") "/source"  /* 107 octets and NUL, as most systems have it */
#define PATH2          TEN("/target---") "/target-" /* the whole field */
#define IN6_1          "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define IN6_2          "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define IN4_BLOCK      "\xc0\0\x02\x01\xc6\x33\x64\x02\xdd\xd5\0\x19"

static const struct good_row {
    const char *name, *input;
    size_t len;
    const char *source, *destination; /* NULL: is_local */
} good_rows[] = {
    { "v1 TCP4", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56789 25\r\n"), "192.0.2.1:56789",
      "198.51.100.2:25" },
    { "v1 TCP4, the longest", BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
      "255.255.255.255:65535", "255.255.255.255:65535" },
    { "v1 TCP4, the shortest", BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", "0.0.0.0:0" },
    { "v1 TCP6", BYTES("PROXY TCP6 2001:db8::1 2001:DB8::2 56789 25\r\n"), "[2001:db8::1]:56789",
      "[2001:db8::2]:25" },
    { "v1 TCP6, the longest",
      BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "65535 65535\r\n"),
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
    { "v1 TCP6, the shortest", BYTES("PROXY TCP6 :: :: 0 0\r\n"), "[::]:0", "[::]:0" },
    { "v1 TCP6 with heading zeroes", BYTES("PROXY TCP6 2001:0db8::0001 ::1 1 2\r\n"), "[2001:db8::1]:1",
      "[::1]:2" },
    { "v1 TCP6 with mapped IPv4", BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 56789 25\r\n"),
      "192.0.2.1:56789", "198.51.100.2:25" },
    { "v1 TCP6, the longest address",
      BYTES("PROXY TCP6 0000:0000:0000:0000:0000:ffff:255.255.255.255 ::1 1 2\r\n"), "255.255.255.255:1",
      "[::1]:2" },
    { "v1 UNKNOWN", BYTES("PROXY UNKNOWN\r\n"), NULL, NULL },
    { "v1 UNKNOWN and a blank", BYTES("PROXY UNKNOWN \r\n"), NULL, NULL },
    { "v1 UNKNOWN with addresses, the longest",
      BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "65535 65535\r\n"),
      NULL, NULL },
    { "v1 UNKNOWN with anything", BYTES("PROXY UNKNOWN \0\xff TCP4 99999\t\r\n"), NULL, NULL },
    { "v2 LOCAL", BYTES(LOCAL2 "\0\0\0"), NULL, NULL },
    { "v2 LOCAL with addresses", BYTES(LOCAL2 "\x11\0\x0c" IN4_BLOCK), NULL, NULL },
    { "v2 LOCAL, datagrams", BYTES(LOCAL2 "\x12\0\x0c" IN4_BLOCK), NULL, NULL },
    { "v2 LOCAL, a family that is none", BYTES(LOCAL2 "\xff\0\x02xx"), NULL, NULL },
    { "v2 LOCAL, too short for its family", BYTES(LOCAL2 "\x31\0\x02xx"), NULL, NULL },
    { "v2 unspecified", BYTES(PROXY2 "\0\0\0"), NULL, NULL },
    { "v2 unspecified with anything", BYTES(PROXY2 "\0\0\x05xxxxx"), NULL, NULL },
    { "v2 INET", BYTES(PROXY2 "\x11\0\x0c" IN4_BLOCK), "192.0.2.1:56789", "198.51.100.2:25" },
    { "v2 INET6", BYTES(PROXY2 "\x21\0\x24" IN6_1 IN6_2 "\xdd\xd5\0\x19"), "[2001:db8::1]:56789",
      "[2001:db8::2]:25" },
    { "v2 INET6 with mapped IPv4",
      BYTES(PROXY2 "\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01" IN6_2 "\xdd\xd5\0\x19"),
      "192.0.2.1:56789", "[2001:db8::2]:25" },
    { "v2 UNIX", BYTES(PROXY2 "\x31\0\xd8" PATH1 "\0" PATH2), "unix:" PATH1, "unix:" PATH2 },
    { "v2 INET with one TLV", BYTES(PROXY2 "\x11\0\x12" IN4_BLOCK "\x04\0\x03xxx"), "192.0.2.1:56789",
      "198.51.100.2:25" },
    { "v2 INET with an empty TLV", BYTES(PROXY2 "\x11\0\x0f" IN4_BLOCK "\x04\0\0"), "192.0.2.1:56789",
      "198.51.100.2:25" },
    { "v2 INET with three TLVs and a wrong checksum",
      BYTES(PROXY2 "\x11\0\x1d" IN4_BLOCK "\x03\0\x04\x01\x02\x03\x04\xe0\0\x01x\x02\0\x03"
                   "a.b"),
      "192.0.2.1:56789", "198.51.100.2:25" },
};

static void check_good(void **state)
{
    const struct good_row *row = *state;
    g_autoptr(GByteArray) in = bytes(row->input, row->len);
    append_behind(in);
    struct decision d = decide(all_of(in));
    assert_int_equal(d.r, 1);
    assert_int_equal(d.taken, row->len);
    assert_int_equal(d.proxy.is_local, row->source == NULL);
    if (row->source == NULL)
        return;
    char text[NET_ADDRESS_TEXT];
    assert_string_equal(net_address_format(&d.proxy.source, text), row->source);
    assert_string_equal(net_address_format(&d.proxy.destination, text), row->destination);
}

static void unix_sockets_without_a_path(void **state)
{
    (void)state;
    g_autoptr(GByteArray) in = bytes(BYTES(PROXY2 "\x31\0\xd8\0abstract"));
    g_byte_array_set_size(in, NET_PROXY_V2_HEAD + 216);
    memset(in->data + NET_PROXY_V2_HEAD + 9, 0, 216 - 9);
    struct decision d = decide(all_of(in));
    char text[NET_ADDRESS_TEXT];
    assert_int_equal(d.r, 1);
    assert_string_equal(net_address_format(&d.proxy.source, text), "unix:");
    assert_string_equal(net_address_format(&d.proxy.destination, text), "unix:");
}

/* ---- what is none, and how many octets show it ---- */

static const struct bad_row {
    const char *name, *input;
    size_t len;
    size_t at;
    int want;
} bad_rows[] = {
    { "SMTP", BYTES("EHLO mx.example.org\r\n"), 1, -EBADMSG },
    { "HTTP", BYTES("POST / HTTP/1.1\r\n"), 2, -EBADMSG },
    { "TLS", BYTES("\x16\x03\x01\x02\x00"), 1, -EBADMSG },
    { "blank in front", BYTES(" PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), 1, -EBADMSG },
    { "NUL", BYTES("\0PROXY"), 1, -EBADMSG },

    { "v1 in lower case", BYTES("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), 1, -EBADMSG },
    { "v1 without a kind", BYTES("PROXY\r\n"), 6, -EBADMSG },
    { "v1 with two blanks", BYTES("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), 7, -EBADMSG },
    { "v1 with a tab", BYTES("PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n"), 6, -EBADMSG },
    { "v1 of another kind", BYTES("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), 8, -EBADMSG },
    { "v1 of a family that is none", BYTES("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), 10, -EBADMSG },
    { "v1 of a longer kind", BYTES("PROXY TCP46 192.0.2.1 192.0.2.2 1 2\r\n"), 11, -EBADMSG },
    { "v1 TCP4 alone", BYTES("PROXY TCP4\r\n"), 11, -EBADMSG },
    { "v1 TCP4 and a blank", BYTES("PROXY TCP4 \r\n"), 13, -EBADMSG },
    { "v1 TCP4, one address", BYTES("PROXY TCP4 192.0.2.1\r\n"), 22, -EBADMSG },
    { "v1 TCP4, no ports", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2\r\n"), 32, -EBADMSG },
    { "v1 TCP4, one port", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), 34, -EBADMSG },
    { "v1 TCP4, one port and a blank", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n"), 35, -EBADMSG },
    { "v1 TCP4, three ports", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), 38, -EBADMSG },
    { "v1 TCP4, blank behind", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"), 37, -EBADMSG },
    { "v1 TCP4, two blanks", BYTES("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), 37, -EBADMSG },
    { "v1 TCP4, two blanks between", BYTES("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n"), 37, -EBADMSG },
    { "v1 TCP4, two blanks between ports", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1  2\r\n"), 37, -EBADMSG },
    { "v1 TCP4, tab between", BYTES("PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n"), 21, -EBADMSG },
    { "v1 TCP4, NUL behind an address", BYTES("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), 21, -EBADMSG },
    { "v1 TCP4, IPv6", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), 12, -EBADMSG },
    { "v1 TCP4, IPv6 as destination", BYTES("PROXY TCP4 192.0.2.1 ::1 1 2\r\n"), 22, -EBADMSG },
    { "v1 TCP4, heading zero", BYTES("PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n"), 37, -EBADMSG },
    { "v1 TCP4, 256", BYTES("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n"), 38, -EBADMSG },
    { "v1 TCP4, three numbers", BYTES("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n"), 34, -EBADMSG },
    { "v1 TCP4, five numbers", BYTES("PROXY TCP4 192.0.2.1.1 192.0.2.2 1 2\r\n"), 38, -EBADMSG },
    { "v1 TCP4, port too large", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"), 40, -EBADMSG },
    { "v1 TCP4, second port too large", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"), 40, -EBADMSG },
    { "v1 TCP4, port with heading zero", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"), 37, -EBADMSG },
    { "v1 TCP4, port 00", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 00\r\n"), 37, -EBADMSG },
    { "v1 TCP4, port with a sign", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"), 32, -EBADMSG },
    { "v1 TCP4, port with a dot", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1. 2\r\n"), 37, -EBADMSG },
    { "v1 TCP4, LF alone", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), 35, -EBADMSG },
    { "v1 TCP4, CR alone", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX"), 36, -EBADMSG },
    { "v1 TCP4, CR CR LF", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n"), 36, -EBADMSG },
    { "v1 TCP4, one octet too long", BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 655351\r\n"), 55,
      -E2BIG },
    { "v1 TCP6, IPv4", BYTES("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), 36, -EBADMSG },
    { "v1 TCP6, IPv4 as destination", BYTES("PROXY TCP6 ::1 192.0.2.2 1 2\r\n"), 30, -EBADMSG },
    { "v1 TCP6, two double colons", BYTES("PROXY TCP6 1::2::3 ::1 1 2\r\n"), 28, -EBADMSG },
    { "v1 TCP6, seven groups", BYTES("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n"), 34, -EBADMSG },
    { "v1 TCP6, nine groups", BYTES("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n"), 38, -EBADMSG },
    { "v1 TCP6, five digits", BYTES("PROXY TCP6 00001:: ::1 1 2\r\n"), 28, -EBADMSG },
    { "v1 TCP6, brackets", BYTES("PROXY TCP6 [::1] ::1 1 2\r\n"), 12, -EBADMSG },
    { "v1 TCP6, zone", BYTES("PROXY TCP6 fe80::1%lo ::1 1 2\r\n"), 19, -EBADMSG },
    { "v1 TCP6, prefix", BYTES("PROXY TCP6 ::/0 ::1 1 2\r\n"), 14, -EBADMSG },
    { "v1 TCP6, hexadecimal port", BYTES("PROXY TCP6 ::1 ::1 ff 2\r\n"), 25, -EBADMSG },
    { "v1 TCP6, an address one octet too long for one",
      BYTES("PROXY TCP6 0000:0000:0000:0000:0000:ffff:255.255.255.2555 ::1 1 2\r\n"), 67, -EBADMSG },
    { "v1 TCP6, an address too long for one", BYTES("PROXY TCP6 " TEN("0000:") "0000 ::1 1 2\r\n"), 75,
      -EBADMSG },
    { "v1 TCP6, no end", BYTES("PROXY TCP6 " TEN(TEN("f"))), 106, -E2BIG },
    { "v1 UNKNOWN, no blank", BYTES("PROXY UNKNOWNS\r\n"), 14, -EBADMSG },
    { "v1 UNKNOWN, LF alone", BYTES("PROXY UNKNOWN\n"), 14, -EBADMSG },
    { "v1 UNKNOWN, CR alone", BYTES("PROXY UNKNOWN\rX"), 15, -EBADMSG },
    { "v1 UNKNOWN, LF within", BYTES("PROXY UNKNOWN a\nb\r\n"), 16, -EBADMSG },
    { "v1 UNKNOWN, CR within", BYTES("PROXY UNKNOWN a\rb\r\n"), 17, -EBADMSG },
    { "v1 UNKNOWN, one octet too long", BYTES("PROXY UNKNOWN " TEN("123456789") "xy\r\n"), 106, -E2BIG },
    { "v1 UNKNOWN, no end", BYTES("PROXY UNKNOWN " TEN(TEN("x"))), 106, -E2BIG },

    { "v2, empty lines", BYTES("\r\n\r\n\r\n"), 5, -EBADMSG },
    { "v2, the last octet of the signature", BYTES("\r\n\r\n\0\r\nQUIT\r\x21\x11"), 12, -EBADMSG },
    { "v2, version 1", BYTES(SIGNATURE "\x11\x11\0\x0c" IN4_BLOCK), 13, -EBADMSG },
    { "v2, version 3", BYTES(SIGNATURE "\x31\x11\0\x0c" IN4_BLOCK), 13, -EBADMSG },
    { "v2, another command", BYTES(SIGNATURE "\x22\x11\0\x0c" IN4_BLOCK), 13, -EBADMSG },
    { "v2, the last command", BYTES(SIGNATURE "\x2f\x11\0\x0c" IN4_BLOCK), 13, -EBADMSG },
    { "v2, a stream of an unspecified family", BYTES(PROXY2 "\x01\0\0"), 14, -EBADMSG },
    { "v2, INET of an unspecified transport", BYTES(PROXY2 "\x10\0\x0c" IN4_BLOCK), 14, -EBADMSG },
    { "v2, INET datagrams", BYTES(PROXY2 "\x12\0\x0c" IN4_BLOCK), 14, -EBADMSG },
    { "v2, INET of another transport", BYTES(PROXY2 "\x13\0\x0c" IN4_BLOCK), 14, -EBADMSG },
    { "v2, INET6 datagrams", BYTES(PROXY2 "\x22\0\x24" IN6_1 IN6_2 "\0\x01\0\x02"), 14, -EBADMSG },
    { "v2, UNIX datagrams", BYTES(PROXY2 "\x32\0\xd8" PATH1 "\0" PATH2), 14, -EBADMSG },
    { "v2, another family", BYTES(PROXY2 "\x41\0\x0c" IN4_BLOCK), 14, -EBADMSG },
    { "v2 INET, empty", BYTES(PROXY2 "\x11\0\0" IN4_BLOCK), 16, -EBADMSG },
    { "v2 INET, one octet short", BYTES(PROXY2 "\x11\0\x0b" IN4_BLOCK), 16, -EBADMSG },
    { "v2 INET6 of INET's length", BYTES(PROXY2 "\x21\0\x0c" IN4_BLOCK), 16, -EBADMSG },
    { "v2 INET6, one octet short", BYTES(PROXY2 "\x21\0\x23" IN6_1 IN6_2 "\0\x01\0\x02"), 16, -EBADMSG },
    { "v2 UNIX, one octet short", BYTES(PROXY2 "\x31\0\xd7" PATH1 "\0" PATH2), 16, -EBADMSG },
    { "v2, longer than we take", BYTES(PROXY2 "\x11\x0f\xf1" IN4_BLOCK), 16, -E2BIG },
    { "v2 LOCAL, longer than we take", BYTES(LOCAL2 "\0\xff\xff" IN4_BLOCK), 16, -E2BIG },
    { "v2, a TLV of one octet", BYTES(PROXY2 "\x11\0\x0d" IN4_BLOCK "\x04"), 29, -EBADMSG },
    { "v2, a TLV of two octets", BYTES(PROXY2 "\x11\0\x0e" IN4_BLOCK "\x04\0"), 30, -EBADMSG },
    { "v2, a TLV one octet short", BYTES(PROXY2 "\x11\0\x11" IN4_BLOCK "\x04\0\x03xx"), 33, -EBADMSG },
    { "v2, a TLV that reaches beyond everything", BYTES(PROXY2 "\x11\0\x0f" IN4_BLOCK "\x04\xff\xff"), 31,
      -EBADMSG },
    { "v2, a rest behind a TLV", BYTES(PROXY2 "\x11\0\x11" IN4_BLOCK "\x04\0\0\x04\0"), 33, -EBADMSG },
    { "v2 UNIX, a TLV one octet short", BYTES(PROXY2 "\x31\0\xdb" PATH1 "\0" PATH2 "\x04\0\x01"), 235,
      -EBADMSG },
};

static void check_bad(void **state)
{
    const struct bad_row *row = *state;
    g_autoptr(GByteArray) in = bytes(row->input, row->len);
    append_behind(in);
    struct decision d = decide(all_of(in));
    assert_int_equal(d.r, row->want);
    assert_int_equal(d.at, row->at);
}

/* ---- at the limit ---- */

static void the_longest_header(void **state)
{
    (void)state;
    enum { TLV = NET_PROXY_MAX - NET_PROXY_V2_HEAD - 12 - 3 };
    g_autoptr(GByteArray) in = bytes(BYTES(PROXY2 "\x11\x0f\xf0" IN4_BLOCK "\x04"));
    const uint8_t len[] = { TLV >> 8, TLV & 0xff };
    g_byte_array_append(in, len, sizeof len);
    for (size_t i = 0; i < TLV; i++)
        g_byte_array_append(in, (const uint8_t *)"x", 1);
    assert_int_equal(in->len, NET_PROXY_MAX);
    append_behind(in);
    struct decision d = decide(all_of(in));
    assert_int_equal(d.r, 1);
    assert_int_equal(d.taken, NET_PROXY_MAX);
}

/* Whatever one octet becomes, nobody is in two minds (decide), and what is taken lies within what came. */
static void one_octet_is_another(void **state)
{
    const struct good_row *row = *state;
    static const uint8_t others[] = { '\0', '\n', '\r', ' ', '.', '0', '9', ':', 'f', 0x7f, 0xff };
    for (size_t at = 0; at < row->len; at++) {
        for (size_t i = 0; i < G_N_ELEMENTS(others) + 8; i++) {
            g_autoptr(GByteArray) in = bytes(row->input, row->len);
            in->data[at] = i < 8 ? (uint8_t)(in->data[at] ^ 1U << i) : others[i - 8];
            struct decision d = decide(all_of(in));
            assert_true(d.r != 1 || d.taken <= in->len);
        }
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("net/proxy");
    suite_add_rows(s, good_rows, check_good);
    suite_add_rows(s, bad_rows, check_bad);
    suite_add(s, "v2 UNIX without a path", unix_sockets_without_a_path, NULL);
    suite_add(s, "the longest header", the_longest_header, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(good_rows); i++) {
        g_autofree char *name = g_strdup_printf("%s, one octet is another", good_rows[i].name);
        suite_add(s, name, one_octet_is_another, (void *)&good_rows[i]);
    }
    return suite_run(s, argc, argv);
}
