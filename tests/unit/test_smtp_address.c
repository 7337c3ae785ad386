#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "smtp/address.h"

#define LONG_60 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

/* 30 octets, and 80 as A-labels. */
#define UMLAUTS_10 UMLAUTS_5 UMLAUTS_5
#define UMLAUTS_5  "\u00fc.\u00fc.\u00fc.\u00fc.\u00fc."

/* `want` is the error, or 0 and then `text` is the address in canonical form. */
static const struct path_row {
    const char *name, *input;
    int want;
    const char *text;
} path_rows[] = {
    { "plain", "<alice@example.org>", 0, "alice@example.org" },
    { "the null path", "<>", 0, "" },
    { "postmaster alone", "<postmaster>", 0, "postmaster" },
    { "postmaster alone in capitals", "<PostMaster>", 0, "PostMaster" },
    { "postmaster with a domain", "<postmaster@example.org>", 0, "postmaster@example.org" },
    { "another name alone", "<alice>", -EBADMSG, NULL },
    { "postmaster and more, alone", "<postmaster2>", -EBADMSG, NULL },
    { "dots inside", "<a.b.c@example.org>", 0, "a.b.c@example.org" },
    { "every atext", "<!#$%&'*+-/=?^_`{|}~@example.org>", 0, "!#$%&'*+-/=?^_`{|}~@example.org" },
    { "dot in front", "<.a@example.org>", -EBADMSG, NULL },
    { "dot at the end of the local part", "<a.@example.org>", -EBADMSG, NULL },
    { "two dots", "<a..b@example.org>", -EBADMSG, NULL },
    { "quoted local part may hold a space", "<\"a b\"@example.org>", 0, "\"a b\"@example.org" },
    { "quoting that is not needed goes", "<\"a.b\"@example.org>", 0, "a.b@example.org" },
    { "quoted pairs", "<\"a\\\"b\\\\c\"@example.org>", 0, "\"a\\\"b\\\\c\"@example.org" },
    { "a quoted pair of a plain letter", "<\"\\a\"@example.org>", 0, "a@example.org" },
    { "quoted at sign", "<\"a@b\"@example.org>", 0, "\"a@b\"@example.org" },
    { "quoted angle bracket", "<\"a>b\"@example.org>", 0, "\"a>b\"@example.org" },
    { "empty quoted local part", "<\"\"@example.org>", 0, "\"\"@example.org" },
    { "quote that does not end", "<\"a@example.org>", -EBADMSG, NULL },
    { "backslash at the end", "<\"a\\", -EBADMSG, NULL },
    { "control character in quotes", "<\"a\tb\"@example.org>", -EBADMSG, NULL },
    { "delete in quotes", "<\"a\x7f\"@example.org>", -EBADMSG, NULL },
    { "text behind the quotes", "<\"a\"b@example.org>", -EBADMSG, NULL },
    { "bare space ends the path", "<a b@example.org>", -EBADMSG, NULL },
    { "no brackets", "alice@example.org", -EBADMSG, NULL },
    { "no closing bracket", "<alice@example.org", -EBADMSG, NULL },
    { "nothing", "", -EBADMSG, NULL },
    { "no domain", "<alice@>", -EBADMSG, NULL },
    { "no local part", "<@example.org>", -EBADMSG, NULL },
    { "two at signs", "<a@b@example.org>", -EBADMSG, NULL },
    { "domain with a hyphen", "<a@ex-ample.org>", 0, "a@ex-ample.org" },
    { "domain of one label", "<a@localhost>", 0, "a@localhost" },
    { "underscore in a domain is lived with", "<a@my_host.example.org>", 0, "a@my_host.example.org" },
    { "hyphen in front of a label", "<a@-example.org>", -EBADMSG, NULL },
    { "hyphen at the end of a label", "<a@example-.org>", -EBADMSG, NULL },
    { "dot at the end of a domain", "<a@example.org.>", -EBADMSG, NULL },
    { "empty label", "<a@example..org>", -EBADMSG, NULL },
    { "slash in a domain", "<a@ex/ample.org>", -EBADMSG, NULL },
    { "IPv4 literal", "<a@[192.0.2.1]>", 0, "a@[192.0.2.1]" },
    { "IPv6 literal", "<a@[IPv6:2001:db8::1]>", 0, "a@[IPv6:2001:db8::1]" },
    { "IPv6 literal with IPv4 inside", "<a@[ipv6:::ffff:192.0.2.1]>", 0, "a@[ipv6:::ffff:192.0.2.1]" },
    { "general literal", "<a@[x-tag:what.ever]>", 0, "a@[x-tag:what.ever]" },
    { "IPv4 literal out of range", "<a@[192.0.2.256]>", -EBADMSG, NULL },
    { "IPv4 literal with zeros in front", "<a@[192.000.002.001]>", 0, "a@[192.000.002.001]" },
    { "IPv4 literal with four digits", "<a@[0192.0.2.1]>", -EBADMSG, NULL },
    { "IPv4 literal of five", "<a@[192.0.2.1.1]>", -EBADMSG, NULL },
    { "IPv4 literal with an empty number", "<a@[192..2.1]>", -EBADMSG, NULL },
    { "IPv4 literal with a dot at its end", "<a@[192.0.2.1.]>", -EBADMSG, NULL },
    { "IPv4 literal of three", "<a@[192.0.2]>", -EBADMSG, NULL },
    { "IPv6 literal malformed", "<a@[IPv6:2001:::1]>", -EBADMSG, NULL },
    { "IPv6 without its tag", "<a@[2001:db8::1]>", 0,
      "a@[2001:db8::1]" }, /* a general literal with the tag 2001 */
    { "empty literal", "<a@[]>", -EBADMSG, NULL },
    { "literal that does not end", "<a@[192.0.2.1>", -EBADMSG, NULL },
    { "bracket in a literal", "<a@[x:[y]>", -EBADMSG, NULL },
    { "general literal without content", "<a@[x:]>", -EBADMSG, NULL },
    { "source route is ignored", "<@one.example,@two.example:a@example.org>", 0, "a@example.org" },
    { "source route of one", "<@one.example:a@example.org>", 0, "a@example.org" },
    { "source route without its end", "<@one.example,a@example.org>", -EBADMSG, NULL },
    { "source route to nowhere", "<@one.example:>", -EBADMSG, NULL },
    { "local part of more than 64 octets is lived with", "<" LONG_60 LONG_60 "@example.org>", 0,
      LONG_60 LONG_60 "@example.org" },
    { "path of 256 octets", "<" LONG_60 LONG_60 LONG_60 LONG_60 "12@example.org>", 0,
      LONG_60 LONG_60 LONG_60 LONG_60 "12@example.org" },
    { "path of 257 octets", "<" LONG_60 LONG_60 LONG_60 LONG_60 "123@example.org>", -E2BIG, NULL },
    { "local part that no path can hold", "<" LONG_60 LONG_60 LONG_60 LONG_60 LONG_60 "@example.org>", -E2BIG,
      NULL },
    { "domain that no path can hold", "<a@" LONG_60 LONG_60 LONG_60 LONG_60 LONG_60 ">", -E2BIG, NULL },

    /* RFC 6531 3.3 */
    { "UTF-8 of two octets", "<pel\u00e9@example.org>", 0, "pel\u00e9@example.org" },
    { "UTF-8 of three octets", "<\u7528\u6237@example.org>", 0, "\u7528\u6237@example.org" },
    { "UTF-8 of four octets", "<\U0001f4ec@example.org>", 0, "\U0001f4ec@example.org" },
    { "only UTF-8 between dots", "<\u00e4.\u00f6@example.org>", 0, "\u00e4.\u00f6@example.org" },
    { "two dots among UTF-8", "<\u00e4..\u00f6@example.org>", -EBADMSG, NULL },
    { "UTF-8 needs no quotes", "<\"\u00e4\"@example.org>", 0, "\u00e4@example.org" },
    { "UTF-8 and a blank in quotes", "<\"\u00e4 \u7528\"@example.org>", 0, "\"\u00e4 \u7528\"@example.org" },
    { "a backslash quotes only ASCII", "<\"\\\u00e4\"@example.org>", -EBADMSG, NULL },
    { "a space of UTF-8 is text", "<a\u00a0b@example.org>", 0, "a\u00a0b@example.org" },
    { "a decomposed letter", "<pele\u0301@example.org>", 0, "pele\u0301@example.org" },
    { "a U-label", "<a@m\u00fcnchen.example>", 0, "a@m\u00fcnchen.example" },
    { "a U-label in capitals", "<a@M\u00dcNCHEN.example>", 0, "a@M\u00dcNCHEN.example" },
    { "only U-labels", "<a@\u4f8b\u5b50.\u6d4b\u8bd5>", 0, "a@\u4f8b\u5b50.\u6d4b\u8bd5" },
    { "a U-label from right to left", "<a@\u05d3\u05d5\u05d2.example>", 0, "a@\u05d3\u05d5\u05d2.example" },
    { "an A-label", "<a@xn--mnchen-3ya.example>", 0, "a@xn--mnchen-3ya.example" },
    { "a U-label that poses as an A-label", "<a@xn--m\u00fcnchen.example>", -EBADMSG, NULL },
    { "hyphen at the end of a U-label", "<a@m\u00fc-.example>", -EBADMSG, NULL },
    { "hyphen in front of a U-label", "<a@-\u00fc.example>", -EBADMSG, NULL },
    { "dot behind U-labels", "<a@m\u00fcnchen.example.>", -EBADMSG, NULL },
    { "dot in front of U-labels", "<a@.m\u00fcnchen.example>", -EBADMSG, NULL },
    { "empty label among U-labels", "<a@m\u00fcnchen..example>", -EBADMSG, NULL },
    { "ideographic full stop", "<a@m\u00fcnchen\u3002example>", -EBADMSG, NULL },
    { "fullwidth full stop", "<a@m\u00fcnchen\uff0eexample>", -EBADMSG, NULL },
    { "halfwidth full stop", "<a@m\u00fcnchen\uff61example>", -EBADMSG, NULL },
    { "one dot leader", "<a@m\u00fcnchen\u2024example>", -EBADMSG, NULL },
    { "as long as A-labels may be", "<a@" UMLAUTS_10 UMLAUTS_10 UMLAUTS_10 "0123456.example>", 0,
      "a@" UMLAUTS_10 UMLAUTS_10 UMLAUTS_10 "0123456.example" },
    { "small full stop at the end", "<a@m\u00fcnchen.example\ufe52>", -EBADMSG, NULL },
    { "ideographic full stop at the end", "<a@m\u00fcnchen.example\u3002>", -EBADMSG, NULL },
    { "a look-alike of the slash in a domain", "<a@ex\uff0fample.org>", -EBADMSG, NULL },
    { "a look-alike of the at in a domain", "<a@ex\uff20ample.org>", -EBADMSG, NULL },
    { "a fullwidth letter in a domain", "<a@\uff45xample.org>", -EBADMSG, NULL },
    { "a fullwidth letter in a U-label", "<a@m\u00fc\uff4echen.example>", -EBADMSG, NULL },
    { "a Kelvin sign in a domain", "<a@\u212aelvin.example>", -EBADMSG, NULL },
    { "a Kelvin sign in a U-label", "<a@m\u00fc\u212a.example>", -EBADMSG, NULL },
    { "a long s in a domain", "<a@example.\u017forg>", -EBADMSG, NULL },
    { "a soft hyphen in a domain", "<a@exam\u00adple.org>", -EBADMSG, NULL },
    { "a variation selector in a domain", "<a@m\u00fc\ufe0fnchen.example>", -EBADMSG, NULL },
    { "a ligature in a domain", "<a@o\ufb03ce.example>", -EBADMSG, NULL },
    { "a dotted capital I in a domain", "<a@\u0130x.example>", -EBADMSG, NULL },
    { "a titlecase digraph in a domain", "<a@\u01c5.example>", -EBADMSG, NULL },
    { "what GLib composes is no other domain", "<a@M\u00dc.u\u0308\u0915\u093c.\u0958.example>", 0,
      "a@M\u00dc.u\u0308\u0915\u093c.\u0958.example" },
    { "capitals of other scripts", "<a@\u0394\u03a3\u0391.\u0416.\u13a0.\U0001e900.example>", 0,
      "a@\u0394\u03a3\u0391.\u0416.\u13a0.\U0001e900.example" },
    { "what only IDNA2008 has in a domain", "<a@stra\u00dfe.\u03b1\u03c2.a\u200cb.example>", 0,
      "a@stra\u00dfe.\u03b1\u03c2.a\u200cb.example" },
    { "what looks like two characters of ASCII", "<a@\u2100.example>", -EBADMSG, NULL },
    { "text turned around in a domain", "<a@ex\u202eample.org>", -EBADMSG, NULL },
    { "a blank of UTF-8 in a domain", "<a@ex\u00a0ample.org>", -EBADMSG, NULL },
    { "a U-label of more than 63 octets as an A-label", "<a@" LONG_60 "\u00fc.example>", -EBADMSG, NULL },
    { "a domain whose A-labels are longer than 255 octets",
      "<a@" UMLAUTS_10 UMLAUTS_10 UMLAUTS_10 UMLAUTS_10 "example>", -EBADMSG, NULL },
    { "UTF-8 in a literal", "<a@[x:\u00fc]>", -EBADMSG, NULL },
    { "UTF-8 in a source route", "<@m\u00fcnchen.example:a@example.org>", -EBADMSG, NULL },
    { "postmaster with an umlaut, alone", "<p\u00f6stmaster>", -EBADMSG, NULL },
    { "path of 256 octets in UTF-8", "<" LONG_60 LONG_60 LONG_60 LONG_60 "\u00fc@example.org>", 0,
      LONG_60 LONG_60 LONG_60 LONG_60 "\u00fc@example.org" },
    { "path of 257 octets in UTF-8", "<" LONG_60 LONG_60 LONG_60 LONG_60 "\u4f8b@example.org>", -E2BIG,
      NULL },

    /* Malformed UTF-8 in what would else be a path. */
    { "a continuation alone", "<a\x80z@example.org>", -EBADMSG, NULL },
    { "an octet that UTF-8 does not have", "<a\xffz@example.org>", -EBADMSG, NULL },
    { "Latin-1", "<pel\xe9@example.org>", -EBADMSG, NULL },
    { "an overlong slash", "<a\xc0\xafz@example.org>", -EBADMSG, NULL },
    { "an overlong slash of three octets", "<a\xe0\x80\xafz@example.org>", -EBADMSG, NULL },
    { "an overlong NUL", "<a\xc0\x80z@example.org>", -EBADMSG, NULL },
    { "a surrogate", "<a\xed\xa0\x80z@example.org>", -EBADMSG, NULL },
    { "a pair of surrogates", "<a\xed\xa0\xbd\xed\xb3\xacz@example.org>", -EBADMSG, NULL },
    { "beyond U+10FFFF", "<a\xf4\x90\x80\x80z@example.org>", -EBADMSG, NULL },
    { "five octets", "<a\xf8\x88\x80\x80\x80z@example.org>", -EBADMSG, NULL },
    { "UTF-8 that the at cuts short", "<a\xe4\xbe@example.org>", -EBADMSG, NULL },
    { "UTF-8 that the bracket cuts short", "<a@m\xc3>", -EBADMSG, NULL },
    { "UTF-8 that the quote cuts short", "<\"a\xc3\"@example.org>", -EBADMSG, NULL },
    { "malformed UTF-8 in quotes", "<\"a\xff\"@example.org>", -EBADMSG, NULL },
    { "malformed UTF-8 in a domain", "<a@m\xfcnchen.example>", -EBADMSG, NULL },
    { "a C1 control", "<a\xc2\x9bz@example.org>", -EBADMSG, NULL },
    { "a C1 control in quotes", "<\"a\xc2\x85z\"@example.org>", -EBADMSG, NULL },
    { "a C1 control in a domain", "<a@m\xc2\x80nchen.example>", -EBADMSG, NULL },
    { "a line separator", "<a\u2028z@example.org>", -EBADMSG, NULL },
    { "a paragraph separator in quotes", "<\"a\u2029z\"@example.org>", -EBADMSG, NULL },
    { "a noncharacter", "<a\ufffez@example.org>", -EBADMSG, NULL },
    /* CVE-2020-7046: where the text ends inside of a character. */
    { "the first octet of two ends the text", "<a\xc3", -EBADMSG, NULL },
    { "two octets of three end the text", "<a\xe4\xbe", -EBADMSG, NULL },
    { "three octets of four end the text", "<a\xf0\x9f\x93", -EBADMSG, NULL },
    { "two octets of three end the text in quotes", "<\"a\xe4\xbe", -EBADMSG, NULL },
    { "two octets of three end the text in a domain", "<a@m\xe4\xbe", -EBADMSG, NULL },
};

static void check_path(void **state)
{
    const struct path_row *row = *state;
    /* A copy of exact size on the heap: a read behind its end is seen by the sanitizer. */
    size_t len = strlen(row->input);
    g_autofree char *input = len > 0 ? g_memdup2(row->input, len) : NULL;
    struct smtp_path path;
    assert_int_equal(smtp_path_read(slice_of(input, len), &path), row->want);
    if (row->want < 0)
        return;
    struct smtp_address address;
    smtp_path_address(&path, slice_of(input, len), &address);
    char text[SMTP_ADDRESS_TEXT];
    assert_int_equal(path.len, len);
    assert_string_equal(smtp_address_format(&address, text), row->text);
    assert_int_equal(path.ascii, g_str_is_ascii(text));
    assert_int_equal(smtp_path_is_null(&path), smtp_address_is_null(&address));
}

/* No path is complete before its last octet, and what follows it is left alone. */
static void check_path_cut(void **state)
{
    const struct path_row *row = *state;
    struct smtp_path path;
    size_t len = strlen(row->input);
    for (size_t cut = 0; cut < len; cut++) {
        g_autofree char *input = g_memdup2(row->input, cut);
        assert_true(smtp_path_read(slice_of(input, cut), &path) < 0);
    }
    if (row->want == 0) {
        g_autofree char *more = g_strconcat(row->input, " SIZE=1", NULL);
        assert_int_equal(smtp_path_read(slice_str(more), &path), 0);
        assert_int_equal(path.len, len);
    }
}

static void failure_leaves_the_result_alone(void **state)
{
    (void)state;
    struct smtp_path path, before;
    memset(&path, 0x55, sizeof path);
    memset(&before, 0x55, sizeof before);
    assert_int_equal(smtp_path_read(slice_str("<a@b"), &path), -EBADMSG);
    assert_memory_equal(&path, &before, sizeof path);
}

static void nul_is_no_character_of_an_address(void **state)
{
    (void)state;
    struct smtp_path path;
    assert_int_equal(smtp_path_read(slice_of("<a\0b@c>", 7), &path), -EBADMSG);
    assert_int_equal(smtp_path_read(slice_of("<\"\0\"@c>", 7), &path), -EBADMSG);
    assert_int_equal(smtp_path_read(slice_of("<a@[x:\0]>", 9), &path), -EBADMSG);
}

/* Whether the local part or the domain is beyond ASCII, or both. */
static void what_needs_smtputf8(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool ascii;
    } rows[] = {
        { "<>", true },
        { "<alice@example.org>", true },
        { "<\" \"@[192.0.2.1]>", true },
        { "<a@xn--mnchen-3ya.example>", true },
        { "<\u00e4@example.org>", false },
        { "<aaaaaaaaaaaaaaaa\u00e4@example.org>", false },
        { "<a@m\u00fcnchen.example>", false },
        { "<\u00e4@m\u00fcnchen.example>", false },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct smtp_path path;
        assert_int_equal(smtp_path_read(slice_str(rows[i].path), &path), 0);
        assert_int_equal(path.ascii, rows[i].ascii);
    }
}

/* ---- characters ---- */

static bool is_wanted(gunichar c)
{
    if (c >= 0xd800 && c <= 0xdfff)
        return false;
    return c >= 0xa0 && c != 0x2028 && c != 0x2029 && !(c >= 0x202a && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069) && (c < 0xfdd0 || c > 0xfdef) && c % 0x10000 < 0xfffe;
}

/* Alone, with text behind it, and cut short. GLib writes what it is asked to, also surrogates. */
static void every_character(void **state)
{
    (void)state;
    for (gunichar c = 0; c <= 0x10ffff; c++) {
        char text[8];
        size_t len = (size_t)g_unichar_to_utf8(c, text);
        text[len] = 'x';
        size_t want = is_wanted(c) ? len : 0;
        assert_int_equal(smtp_utf8_len(slice_of(text, len)), want);
        assert_int_equal(smtp_utf8_len(slice_of(text, len + 1)), want);
        assert_int_equal(smtp_utf8_len(slice_of(text, len - 1)), 0);
    }
}

/* In a buffer that ends where the text does, for the sanitizer (CVE-2020-7046). */
static void every_two_octets(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            const uint8_t octets[] = { (uint8_t)first, (uint8_t)second };
            g_autofree uint8_t *text = g_memdup2(octets, sizeof octets);
            bool want = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf &&
                        (first != 0xc2 || second >= 0xa0);
            assert_int_equal(smtp_utf8_len(slice_of(text, 2)), want ? 2 : 0);
        }
    assert_int_equal(smtp_utf8_len(slice_of(NULL, 0)), 0);
}

/* ---- domains ---- */

static const struct domain_row {
    const char *name, *input;
    const char *want; /* or NULL */
} domain_rows[] = {
    { "lower case stays", "example.org", "example.org" },
    { "upper case goes", "Mail.EXAMPLE.org", "mail.example.org" },
    { "an A-label stays", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example" },
    { "an A-label in capitals", "XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example" },
    { "a U-label", "m\u00fcnchen.example", "xn--mnchen-3ya.example" },
    { "a U-label in capitals", "M\u00dcNCHEN.EXAMPLE", "xn--mnchen-3ya.example" },
    { "a decomposed U-label", "mu\u0308nchen.example", "xn--mnchen-3ya.example" },
    { "U-labels and A-labels", "\u4f8b\u5b50.XN--0zwm56d", "xn--fsqu00a.xn--0zwm56d" },
    { "a literal", "[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]" },
    { "255 octets", LONG_60 LONG_60 LONG_60 LONG_60 "123456789012345",
      LONG_60 LONG_60 LONG_60 LONG_60 "123456789012345" },
    { "256 octets", LONG_60 LONG_60 LONG_60 LONG_60 "1234567890123456", NULL },
    { "256 octets in UTF-8", LONG_60 LONG_60 LONG_60 LONG_60 "12345678901234\u00fc", NULL },
    { "no domain at all", "", NULL },
    { "no domain", "a b", NULL },
    { "dot at the end", "m\u00fcnchen.example.", NULL },
    { "ideographic full stop", "m\u00fcnchen\u3002example", NULL },
    { "malformed UTF-8", "m\xfcnchen.example", NULL },
    { "capitals of other scripts", "\u0416.\u0394.example", "xn--f1a.xn--pxa.example" },
    { "a fullwidth letter", "\uff45xample.org", NULL },
    { "a Kelvin sign", "\u212aelvin.example", NULL },
    { "a soft hyphen", "exam\u00adple.org", NULL },
    { "a sharp s and a fullwidth letter", "stra\u00df\uff45.example", NULL },
    { "a sharp s, of which IDNA2003 makes another name", "stra\u00dfe.example", NULL },
    { "a capital sharp s", "STRA\u1e9eE.example", NULL },
    { "a final sigma", "\u03c3\u03b5\u03c2.example", NULL },
    { "a zero width non-joiner", "a\u200cb.example", NULL },
    { "a zero width joiner", "a\u200db.example", NULL },
};

static void check_domain(void **state)
{
    const struct domain_row *row = *state;
    size_t len = strlen(row->input);
    g_autofree char *input = len > 0 ? g_memdup2(row->input, len) : NULL;
    char name[SMTP_DOMAIN_MAX + 1] = "untouched";
    int r = smtp_domain_canonical(slice_of(input, len), name);
    assert_int_equal(r == 0, row->want != NULL);
    assert_string_equal(name, row->want != NULL ? row->want : "untouched");
    if (r < 0)
        return;
    char again[SMTP_DOMAIN_MAX + 1];
    assert_int_equal(smtp_domain_canonical(slice_str(name), again), 0);
    assert_string_equal(again, name);
    assert_true(smtp_domain_valid(slice_str(name)));
}

static void domains(void **state)
{
    (void)state;
    assert_true(smtp_domain_valid(slice_str("mx.example.org")));
    assert_true(smtp_domain_valid(slice_str("192.168.1.5"))); /* wrong but harmless, and said in HELO */
    assert_true(smtp_domain_valid(slice_str("[192.0.2.1]")));
    assert_false(smtp_domain_valid(slice_str("")));
    assert_false(smtp_domain_valid(slice_str("a b")));
    assert_false(smtp_domain_valid(slice_str("a\r\nb")));
    assert_false(smtp_domain_valid(slice_str("(a)")));
    assert_false(smtp_domain_valid(slice_str("m\u00fcnchen.example"))); /* HELO is ASCII (RFC 6531 3.7.1) */
    assert_false(smtp_domain_valid(slice_of(NULL, 0)));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/address");
    suite_add_rows(s, path_rows, check_path);
    for (size_t i = 0; i < G_N_ELEMENTS(path_rows); i++) {
        g_autofree char *name = g_strconcat(path_rows[i].name, ", cut at every octet", NULL);
        suite_add(s, name, check_path_cut, (void *)&path_rows[i]);
    }
    suite_add(s, "failure leaves the result alone", failure_leaves_the_result_alone, NULL);
    suite_add(s, "NUL is no character of an address", nul_is_no_character_of_an_address, NULL);
    suite_add(s, "what needs SMTPUTF8", what_needs_smtputf8, NULL);
    suite_add(s, "every character", every_character, NULL);
    suite_add(s, "every two octets", every_two_octets, NULL);
    suite_add_rows(s, domain_rows, check_domain);
    suite_add(s, "domains", domains, NULL);
    return suite_run(s, argc, argv);
}
