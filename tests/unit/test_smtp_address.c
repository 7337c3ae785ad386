#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "smtp/address.h"

#define LONG_60 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

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
    { "octet above 126 in quotes", "<\"a\xc3\xa4\"@example.org>", -EBADMSG, NULL },
    { "text behind the quotes", "<\"a\"b@example.org>", -EBADMSG, NULL },
    { "bare space ends the path", "<a b@example.org>", -EBADMSG, NULL },
    { "octet above 126", "<\xc3\xa4@example.org>", -EBADMSG, NULL },
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
};

static void check_path(void **state)
{
    const struct path_row *row = *state;
    /* A copy of exact size on the heap: a read behind its end is seen by the sanitizer. */
    size_t len = strlen(row->input);
    g_autofree char *input = len > 0 ? g_memdup2(row->input, len) : NULL;
    struct smtp_address address;
    size_t taken = 0;
    assert_int_equal(smtp_path_parse(slice_of(input, len), &address, &taken), row->want);
    if (row->want < 0)
        return;
    char text[SMTP_ADDRESS_TEXT];
    assert_int_equal(taken, len);
    assert_string_equal(smtp_address_format(&address, text), row->text);
}

/* No path is complete before its last octet, and what follows it is left alone. */
static void check_path_cut(void **state)
{
    const struct path_row *row = *state;
    struct smtp_address address;
    size_t taken;
    size_t len = strlen(row->input);
    for (size_t cut = 0; cut < len; cut++) {
        g_autofree char *input = g_memdup2(row->input, cut);
        assert_true(smtp_path_parse(slice_of(input, cut), &address, &taken) < 0);
    }
    if (row->want == 0) {
        g_autofree char *more = g_strconcat(row->input, " SIZE=1", NULL);
        assert_int_equal(smtp_path_parse(slice_str(more), &address, &taken), 0);
        assert_int_equal(taken, len);
    }
}

static void failure_leaves_the_result_alone(void **state)
{
    (void)state;
    struct smtp_address address;
    size_t taken = 42;
    memset(&address, 0x55, sizeof address);
    struct smtp_address before = address;
    assert_int_equal(smtp_path_parse(slice_str("<a@b"), &address, &taken), -EBADMSG);
    assert_int_equal(taken, 42);
    assert_memory_equal(&address, &before, sizeof address);
}

static void nul_is_no_character_of_an_address(void **state)
{
    (void)state;
    struct smtp_address address;
    size_t taken;
    assert_int_equal(smtp_path_parse(slice_of("<a\0b@c>", 7), &address, &taken), -EBADMSG);
    assert_int_equal(smtp_path_parse(slice_of("<\"\0\"@c>", 7), &address, &taken), -EBADMSG);
    assert_int_equal(smtp_path_parse(slice_of("<a@[x:\0]>", 9), &address, &taken), -EBADMSG);
}

static void mailbox_has_no_brackets(void **state)
{
    (void)state;
    struct smtp_address address;
    assert_int_equal(smtp_address_parse(slice_str("alice@example.org"), &address), 0);
    assert_int_equal(address.local_len, 5);
    assert_int_equal(smtp_address_parse(slice_str("<alice@example.org>"), &address), -EBADMSG);
    assert_int_equal(smtp_address_parse(slice_str("alice@example.org "), &address), -EBADMSG);
    assert_int_equal(smtp_address_parse(slice_str(""), &address), -EBADMSG);
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
    suite_add(s, "a mailbox has no brackets", mailbox_has_no_brackets, NULL);
    suite_add(s, "domains", domains, NULL);
    return suite_run(s, argc, argv);
}
