#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "smtp/facts.h"

static const char *const names[SMTP_FACTS] = { "NAME",  "ADDR",     "PORT",     "PROTO", "HELO",
                                               "LOGIN", "DESTADDR", "DESTPORT", "IDENT", "SOURCE" };

#define LABEL63 "a23456789012345678901234567890123456789012345678901234567890123"
#define NAME255 LABEL63 "." LABEL63 "." LABEL63 "." LABEL63

/* `want`: "NAME=value" of those given, in the order of the enum; "-" for unavailable. NULL: -EBADMSG. */
static const struct row {
    const char *name;
    unsigned allowed;
    const char *input, *want;
} rows[] = {
    { "the example of XCLIENT_README", SMTP_XCLIENT_FACTS, "NAME=spike.porcupine.org ADDR=168.100.189.2",
      "NAME=spike.porcupine.org ADDR=168.100.189.2" },
    { "all of XCLIENT, in no order", SMTP_XCLIENT_FACTS,
      "DESTPORT=25 DESTADDR=192.0.2.9 LOGIN=bob HELO=h.example PROTO=ESMTP PORT=4321 ADDR=192.0.2.1 NAME=n.x",
      "NAME=n.x ADDR=192.0.2.1 PORT=4321 PROTO=ESMTP HELO=h.example LOGIN=bob DESTADDR=192.0.2.9 "
      "DESTPORT=25" },
    { "all of XFORWARD", SMTP_XFORWARD_FACTS,
      "NAME=n.x ADDR=192.0.2.1 PORT=4321 PROTO=SMTP HELO=h.example IDENT=4Xq2ZJ0 SOURCE=REMOTE",
      "NAME=n.x ADDR=192.0.2.1 PORT=4321 PROTO=SMTP HELO=h.example IDENT=4Xq2ZJ0 SOURCE=REMOTE" },
    { "names without case", SMTP_XCLIENT_FACTS, "name=N.x pRoTo=esmtp", "NAME=N.x PROTO=ESMTP" },
    { "several blanks", SMTP_XCLIENT_FACTS, "NAME=n.x   PORT=1", "NAME=n.x PORT=1" },
    { "a value in xtext", SMTP_XCLIENT_FACTS, "LOGIN=bob+2Btag+40example.org", "LOGIN=bob+tag@example.org" },
    { "the longest values", SMTP_XCLIENT_FACTS, "NAME=" NAME255 " HELO=" NAME255 " LOGIN=" NAME255,
      "NAME=" NAME255 " HELO=" NAME255 " LOGIN=" NAME255 },
    { "all of XFORWARD, and the longest", SMTP_XFORWARD_FACTS,
      "NAME=" NAME255 " ADDR=" NAME255 " PORT="
      "65535"
      " PROTO=" LABEL63 "x"
      " HELO=" NAME255 " IDENT=" NAME255 " SOURCE="
      "REMOTE",
      "NAME=" NAME255 " ADDR=" NAME255 " PORT="
      "65535"
      " PROTO=" LABEL63 "x"
      " HELO=" NAME255 " IDENT=" NAME255 " SOURCE="
      "REMOTE" },
    { "256 octets", SMTP_XCLIENT_FACTS, "LOGIN=" NAME255 "x", NULL },

    { "unavailable", SMTP_XCLIENT_FACTS, "NAME=[UNAVAILABLE] ADDR=[Unavailable] HELO=[unavailable]",
      "NAME=- ADDR=- HELO=-" },
    { "unavailable: everything may be", SMTP_XFORWARD_FACTS,
      "PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]",
      "PORT=- PROTO=- IDENT=- SOURCE=-" },
    { "unavailable for now: a name", SMTP_XCLIENT_FACTS, "NAME=[TempUnavail]", "NAME=-" },
    { "unavailable for now: nothing else", SMTP_XCLIENT_FACTS, "ADDR=[TEMPUNAVAIL]", NULL },
    { "another word in brackets", SMTP_XCLIENT_FACTS, "NAME=[UNKNOWN]", NULL },
    { "an address literal is no name", SMTP_XCLIENT_FACTS, "NAME=[192.0.2.1]", NULL },
    { "an encoded special is a value, and a bad one", SMTP_XCLIENT_FACTS, "NAME=+5BUNAVAILABLE+5D", NULL },

    { "nothing", SMTP_XCLIENT_FACTS, "", NULL },
    { "only blanks", SMTP_XCLIENT_FACTS, "  ", NULL },
    { "unknown", SMTP_XCLIENT_FACTS, "COLOR=red", NULL },
    { "unknown behind a good one", SMTP_XCLIENT_FACTS, "NAME=n.x COLOR=red", NULL },
    { "of XFORWARD alone: IDENT", SMTP_XCLIENT_FACTS, "IDENT=1", NULL },
    { "of XFORWARD alone: SOURCE", SMTP_XCLIENT_FACTS, "SOURCE=LOCAL", NULL },
    { "of XCLIENT alone: LOGIN", SMTP_XFORWARD_FACTS, "LOGIN=bob", NULL },
    { "of XCLIENT alone: DESTADDR", SMTP_XFORWARD_FACTS, "DESTADDR=192.0.2.1", NULL },
    { "of XCLIENT alone: DESTPORT", SMTP_XFORWARD_FACTS, "DESTPORT=25", NULL },
    { "repeated", SMTP_XCLIENT_FACTS, "PORT=1 PORT=1", NULL },
    { "repeated, one unavailable", SMTP_XCLIENT_FACTS, "NAME=[UNAVAILABLE] name=n.x", NULL },
    { "no equals sign", SMTP_XCLIENT_FACTS, "NAME", NULL },
    { "empty name", SMTP_XCLIENT_FACTS, "=n.x", NULL },
    { "empty value", SMTP_XCLIENT_FACTS, "NAME=", NULL },
    { "empty value of a login", SMTP_XCLIENT_FACTS, "LOGIN=", NULL },
    { "a blank before the equals sign", SMTP_XCLIENT_FACTS, "NAME =n.x", NULL },
    { "a tab is no blank here", SMTP_XCLIENT_FACTS, "NAME=n.x\tPORT=1", NULL },
    { "two equals signs", SMTP_XCLIENT_FACTS, "LOGIN=a=b", NULL },
    { "no xtext", SMTP_XCLIENT_FACTS, "LOGIN=a+b", NULL },
    { "encoded CR LF", SMTP_XCLIENT_FACTS, "LOGIN=a+0D+0AEvil:", NULL },
    { "encoded NUL", SMTP_XCLIENT_FACTS, "ADDR=192.0.2.1+00", NULL },
    { "encoded NUL in a name", SMTP_XCLIENT_FACTS, "HELO=a.example+00.evil.example", NULL },
    { "encoded tab", SMTP_XCLIENT_FACTS, "LOGIN=a+09b", NULL },
    { "encoded blank", SMTP_XCLIENT_FACTS, "LOGIN=a+20b", "LOGIN=a b" },
    { "encoded blank in a name", SMTP_XCLIENT_FACTS, "NAME=a+20b", NULL },
    { "encoded DEL", SMTP_XFORWARD_FACTS, "IDENT=a+7Fb", NULL },
    { "encoded CR LF in an id", SMTP_XFORWARD_FACTS, "IDENT=a+0D+0AEvil:", NULL },
    { "encoded LF in a protocol", SMTP_XFORWARD_FACTS, "PROTO=a+0Ab", NULL },
    { "encoded NUL in an address that is none", SMTP_XFORWARD_FACTS, "ADDR=a+00b", NULL },
    { "encoded escape in a name that is none", SMTP_XFORWARD_FACTS, "NAME=a+1B[2J", NULL },
    { "encoded C1 control", SMTP_XFORWARD_FACTS, "HELO=a+85b", NULL },
    { "octets above ASCII", SMTP_XCLIENT_FACTS, "HELO=\xc3\xa4.example", NULL },
    { "encoded octets above ASCII", SMTP_XCLIENT_FACTS, "HELO=+C3+A4.example", NULL },

    { "a name may be a literal", SMTP_XCLIENT_FACTS, "HELO=[192.0.2.1]", "HELO=[192.0.2.1]" },
    { "a literal of IPv6", SMTP_XFORWARD_FACTS, "HELO=[IPv6:2001:db8::1]", "HELO=[IPv6:2001:db8::1]" },
    { "a name with a bad character", SMTP_XCLIENT_FACTS, "NAME=a,b", NULL },
    { "what was said in HELO is any text", SMTP_XCLIENT_FACTS, "HELO=(a,+20\"b\\", "HELO=(a, \"b\\" },
    { "a name with a bad character, for the log", SMTP_XFORWARD_FACTS, "NAME=a,_b+20c", "NAME=a,_b c" },
    { "HELO for the log", SMTP_XFORWARD_FACTS, "HELO=<a..b>", "HELO=<a..b>" },
    { "a name with an empty label", SMTP_XCLIENT_FACTS, "NAME=a..b", NULL },

    { "an address of IPv6", SMTP_XCLIENT_FACTS, "ADDR=IPV6:2001:db8::1", "ADDR=2001:db8::1" },
    { "its prefix has no case", SMTP_XCLIENT_FACTS, "ADDR=IPv6:::1", "ADDR=::1" },
    { "its prefix may be absent", SMTP_XCLIENT_FACTS, "ADDR=2001:DB8:0:0::1", "ADDR=2001:db8::1" },
    { "it may get longer", SMTP_XCLIENT_FACTS, "DESTADDR=1::2:3:4:5:6:7 ADDR=1::2:3:4:5:6:7",
      "ADDR=1:0:2:3:4:5:6:7 DESTADDR=1:0:2:3:4:5:6:7" },
    { "a mapped address is one of IPv4", SMTP_XCLIENT_FACTS, "ADDR=IPV6:::ffff:192.0.2.1", "ADDR=192.0.2.1" },
    { "a mapped address in hexadecimal", SMTP_XCLIENT_FACTS, "ADDR=::ffff:c000:201", "ADDR=192.0.2.1" },
    { "the prefix before IPv4", SMTP_XCLIENT_FACTS, "ADDR=IPV6:192.0.2.1", NULL },
    { "the prefix alone", SMTP_XCLIENT_FACTS, "ADDR=IPV6:", NULL },
    { "an address in brackets", SMTP_XCLIENT_FACTS, "ADDR=[192.0.2.1]", NULL },
    { "an address with a scope", SMTP_XCLIENT_FACTS, "ADDR=fe80::1%eth0", NULL },
    { "an address with leading zeros", SMTP_XCLIENT_FACTS, "ADDR=192.0.2.010", NULL },
    { "a short address", SMTP_XCLIENT_FACTS, "ADDR=10.1", NULL },
    { "a name where an address belongs", SMTP_XCLIENT_FACTS, "ADDR=a.example", NULL },
    { "an address with a port", SMTP_XCLIENT_FACTS, "ADDR=192.0.2.1:25", NULL },
    { "a destination that is no address", SMTP_XCLIENT_FACTS, "DESTADDR=a.example", NULL },
    { "an address that is none, for the log", SMTP_XFORWARD_FACTS, "ADDR=a.example:25+20x",
      "ADDR=a.example:25 x" },
    { "an address for the log is as others", SMTP_XFORWARD_FACTS, "ADDR=IPV6:::ffff:192.0.2.1",
      "ADDR=192.0.2.1" },

    { "the last port", SMTP_XCLIENT_FACTS, "PORT=65535 DESTPORT=1", "PORT=65535 DESTPORT=1" },
    { "port 0", SMTP_XCLIENT_FACTS, "PORT=0", NULL },
    { "port 65536", SMTP_XCLIENT_FACTS, "PORT=65536", NULL },
    { "a port with a leading zero", SMTP_XCLIENT_FACTS, "PORT=025", NULL },
    { "a port that is no number", SMTP_XCLIENT_FACTS, "PORT=smtp", NULL },
    { "nor is it one for the log", SMTP_XFORWARD_FACTS, "PORT=smtp", NULL },

    { "any protocol in XFORWARD", SMTP_XFORWARD_FACTS, "PROTO=lmtp+20(x", "PROTO=lmtp (x" },
    { "the known ones have no case", SMTP_XFORWARD_FACTS, "PROTO=esmtp", "PROTO=ESMTP" },
    { "the longest protocol", SMTP_XFORWARD_FACTS, "PROTO=" LABEL63 "x", "PROTO=" LABEL63 "x" },
    { "a longer one", SMTP_XFORWARD_FACTS, "PROTO=" LABEL63 "xy", NULL },
    { "no LMTP in XCLIENT", SMTP_XCLIENT_FACTS, "PROTO=LMTP", NULL },
    { "another protocol", SMTP_XCLIENT_FACTS, "PROTO=HTTP", NULL },
    { "a local source", SMTP_XFORWARD_FACTS, "SOURCE=local", "SOURCE=LOCAL" },
    { "another source", SMTP_XFORWARD_FACTS, "SOURCE=ELSEWHERE", NULL },
    { "a login with a quote", SMTP_XCLIENT_FACTS, "LOGIN=a\"b", "LOGIN=a\"b" },
    { "a login with a backslash", SMTP_XCLIENT_FACTS, "LOGIN=a\\b", "LOGIN=a\\b" },
    { "an id that ends a comment", SMTP_XFORWARD_FACTS, "IDENT=a)b", "IDENT=a)b" },
};

static void append(GString *got, const struct smtp_facts *facts, unsigned fact)
{
    bool unavailable = (facts->unavailable & SMTP_FACT_BIT(fact)) != 0;
    struct slice value = facts->value[fact];
    g_string_append_printf(got, "%s%s=", got->len > 0 ? " " : "", names[fact]);
    if (unavailable)
        g_string_append_c(got, '-');
    else
        g_string_append_len(got, (const char *)value.data, (gssize)value.len);
    assert_int_equal(value.len == 0, unavailable);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->input);
    g_autofree char *exact = g_memdup2(row->input, len); /* so that a read past its end is seen */
    g_autofree char *text = g_malloc(SMTP_FACTS_TEXT);
    struct smtp_facts facts = { .given = 0x80000000 };
    int r = smtp_facts_parse(slice_of(exact, len), row->allowed, text, SMTP_FACTS_TEXT, &facts);
    if (row->want == NULL) {
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(facts.given, 0x80000000);
        return;
    }
    assert_int_equal(r, 0);
    g_autoptr(GString) got = g_string_new(NULL);
    for (unsigned fact = 0; fact < SMTP_FACTS; fact++)
        if ((facts.given & SMTP_FACT_BIT(fact)) != 0)
            append(got, &facts, fact);
        else
            assert_int_equal(facts.value[fact].len, 0);
    assert_string_equal(got->str, row->want);
    assert_int_equal(facts.unavailable & ~facts.given, 0);
}

static void names_for_ehlo(void **state)
{
    (void)state;
    char text[SMTP_FACTS_NAMES];
    assert_string_equal(smtp_facts_names(SMTP_XCLIENT_FACTS, text),
                        "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT");
    assert_string_equal(smtp_facts_names(SMTP_XFORWARD_FACTS, text),
                        "NAME ADDR PORT PROTO HELO IDENT SOURCE");
    assert_string_equal(smtp_facts_names((1U << SMTP_FACTS) - 1, text),
                        "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT IDENT SOURCE");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/facts");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "the names for EHLO", names_for_ehlo, NULL);
    return suite_run(s, argc, argv);
}
