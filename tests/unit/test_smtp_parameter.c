#include "suite.h"

#include <glib.h>

#include "smtp/parameter.h"

enum { LIMIT = 10000 };

#define A100                                                                                                 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A493                                                                                                 \
    A100 A100 A100 A100                                                                                      \
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *const bodies[] = { "7BIT", "8BITMIME", "BINARYMIME" };
static const char *const rets[] = { "", "FULL", "HDRS" };

/* `want`: what was understood, as SIZE,BODY,SMTPUTF8,RET,ENVID and perhaps REQUIRETLS, or NULL where the
 * outcome says it all. */
static const struct mail_row {
    const char *name, *input;
    enum smtp_outcome outcome;
    const char *want;
    bool secure, auth;
} mail_rows[] = {
    { "none", "", SMTP_SENDER_OK, "0,7BIT,,," },
    { "only blanks", "  ", SMTP_SENDER_OK, "0,7BIT,,," },
    { "what clients send", " SIZE=4096 BODY=8BITMIME", SMTP_SENDER_OK, "4096,8BITMIME,,," },
    { "all", " RET=HDRS ENVID=QQ314159 SMTPUTF8 BODY=BINARYMIME SIZE=1", SMTP_SENDER_OK,
      "1,BINARYMIME,utf8,HDRS,QQ314159" },
    { "no case", " size=5 body=8bitmime smtputf8 ret=full envid=Qq", SMTP_SENDER_OK,
      "5,8BITMIME,utf8,FULL,Qq" },

    { "SIZE=0", " SIZE=0", SMTP_SENDER_OK, "0,7BIT,,," },
    { "SIZE at the limit", " SIZE=10000", SMTP_SENDER_OK, "10000,7BIT,,," },
    { "SIZE over the limit", " SIZE=10001", SMTP_TOO_BIG, NULL },
    { "SIZE of 20 digits", " SIZE=00000000000000000007", SMTP_SENDER_OK, "7,7BIT,,," },
    { "SIZE of 21 digits", " SIZE=000000000000000000007", SMTP_PARAMETER_SYNTAX, NULL },
    { "SIZE beyond 64 bits", " SIZE=99999999999999999999", SMTP_TOO_BIG, NULL },
    { "SIZE beyond 32 bits is not its low half", " SIZE=4294967296", SMTP_TOO_BIG, NULL },
    { "SIZE with a sign", " SIZE=+1", SMTP_PARAMETER_SYNTAX, NULL },
    { "negative SIZE", " SIZE=-1", SMTP_PARAMETER_SYNTAX, NULL },
    { "hexadecimal SIZE", " SIZE=0x10", SMTP_PARAMETER_SYNTAX, NULL },
    { "SIZE without a value", " SIZE", SMTP_PARAMETER_SYNTAX, NULL },
    { "SIZE with an empty value", " SIZE=", SMTP_PARAMETER_SYNTAX, NULL },
    { "SIZE twice", " SIZE=1 SIZE=1", SMTP_PARAMETER_UNKNOWN, NULL },

    { "BODY=7BIT", " BODY=7BIT", SMTP_SENDER_OK, "0,7BIT,,," },
    { "BODY=BINARYMIME", " BODY=BINARYMIME", SMTP_SENDER_OK, "0,BINARYMIME,,," },
    { "BODY without a value", " BODY", SMTP_PARAMETER_SYNTAX, NULL },
    { "BODY with another value", " BODY=8BIT", SMTP_PARAMETER_SYNTAX, NULL },
    { "BODY with a longer value", " BODY=7BITX", SMTP_PARAMETER_SYNTAX, NULL },
    { "BODY twice, one 7BIT", " BODY=7BIT body=8BITMIME", SMTP_PARAMETER_UNKNOWN, NULL },

    { "SMTPUTF8 with a value", " SMTPUTF8=1", SMTP_PARAMETER_SYNTAX, NULL },
    { "SMTPUTF8 twice", " SMTPUTF8 SMTPUTF8", SMTP_PARAMETER_UNKNOWN, NULL },

    { "RET without a value", " RET", SMTP_PARAMETER_SYNTAX, NULL },
    { "RET with another value", " RET=BODY", SMTP_PARAMETER_SYNTAX, NULL },
    { "RET twice", " RET=FULL RET=HDRS", SMTP_PARAMETER_UNKNOWN, NULL },

    { "ENVID stays as it was sent", " ENVID=a+2Bb+3Dc", SMTP_SENDER_OK, "0,7BIT,,,a+2Bb+3Dc" },
    { "ENVID with a blank in it", " ENVID=a+20b", SMTP_SENDER_OK, "0,7BIT,,,a+20b" },
    { "ENVID of 100 octets", " ENVID=" A100, SMTP_SENDER_OK, "0,7BIT,,," A100 },
    { "ENVID of 101 octets", " ENVID=" A100 "a", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID without a value", " ENVID", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID that is no xtext", " ENVID=a+b", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID with lower-case digits", " ENVID=+2b", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID with CR LF in it", " ENVID=a+0D+0AEvil:+20yes", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID with a tab in it", " ENVID=a+09b", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID with NUL in it", " ENVID=a+00", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID with DEL in it", " ENVID=+7F", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID with an encoded octet above ASCII", " ENVID=+C3+A4", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID in UTF-8", " ENVID=\xc3\xa4 SMTPUTF8", SMTP_PARAMETER_SYNTAX, NULL },
    { "ENVID twice", " ENVID=a ENVID=a", SMTP_PARAMETER_UNKNOWN, NULL },

    { "unknown", " X-THING=1", SMTP_PARAMETER_UNKNOWN, NULL },
    { "unknown, without a value", " X-THING", SMTP_PARAMETER_UNKNOWN, NULL },
    { "a known one with more behind", " SIZED=1", SMTP_PARAMETER_UNKNOWN, NULL },
    { "a part of a known one", " SIZ=1", SMTP_PARAMETER_UNKNOWN, NULL },
    { "REQUIRETLS is not offered outside TLS", " REQUIRETLS", SMTP_PARAMETER_UNKNOWN, NULL, false, true },
    { "nor with a value", " REQUIRETLS=1", SMTP_PARAMETER_UNKNOWN, NULL, false, true },
    { "REQUIRETLS", " requiretls SIZE=1", SMTP_SENDER_OK, "1,7BIT,,,,requiretls", true, false },
    { "REQUIRETLS with a value", " REQUIRETLS=yes", SMTP_PARAMETER_SYNTAX, NULL, true, false },
    { "REQUIRETLS twice", " REQUIRETLS REQUIRETLS", SMTP_PARAMETER_UNKNOWN, NULL, true, false },
    { "AUTH is not offered", " AUTH=<>", SMTP_PARAMETER_UNKNOWN, NULL, true, false },
    { "AUTH of nobody", " AUTH=<>", SMTP_SENDER_OK, "0,7BIT,,,", false, true },
    { "AUTH of somebody", " AUTH=e+3Dmc2@example.com", SMTP_SENDER_OK, "0,7BIT,,,", false, true },
    { "AUTH in hexadecimal digits", " AUTH=+3C+3E", SMTP_SENDER_OK, "0,7BIT,,,", false, true },
    { "AUTH of 500 octets", " AUTH=" A493 "@b.test", SMTP_SENDER_OK, "0,7BIT,,,", false, true },
    { "AUTH of 501 octets", " AUTH=" A493 "@b.test+", SMTP_PARAMETER_SYNTAX, NULL, false, true },
    { "AUTH in angle brackets", " AUTH=<carol@example.net>", SMTP_SENDER_OK, "0,7BIT,,,", false, true },
    { "AUTH without a domain, as Dovecot sends it", " AUTH=carol", SMTP_SENDER_OK, "0,7BIT,,,", false, true },
    { "AUTH of nothing", " AUTH=", SMTP_PARAMETER_SYNTAX, NULL, false, true },
    { "AUTH with a line end", " AUTH=a@b+0D+0A", SMTP_PARAMETER_SYNTAX, NULL, false, true },
    { "AUTH that is no xtext", " AUTH=a+@b", SMTP_PARAMETER_SYNTAX, NULL, false, true },
    { "AUTH without a value", " AUTH", SMTP_PARAMETER_SYNTAX, NULL, false, true },
    { "AUTH twice", " AUTH=<> AUTH=<>", SMTP_PARAMETER_UNKNOWN, NULL, false, true },
    { "BY is not offered", " BY=120;R", SMTP_PARAMETER_UNKNOWN, NULL },
    { "MT-PRIORITY is not offered", " MT-PRIORITY=3", SMTP_PARAMETER_UNKNOWN, NULL },
    { "HOLDFOR is not offered", " HOLDFOR=60", SMTP_PARAMETER_UNKNOWN, NULL },
    { "one of RCPT", " NOTIFY=NEVER", SMTP_PARAMETER_UNKNOWN, NULL },

    { "malformed: no blank before it", "SIZE=1", SMTP_PARAMETER_SYNTAX, NULL },
    { "malformed: no keyword", " =1", SMTP_PARAMETER_SYNTAX, NULL },
    { "malformed: equals sign in the value", " ENVID=a=b", SMTP_PARAMETER_SYNTAX, NULL },
    { "the first from the left: unknown, then malformed", " X=1 SIZE=x", SMTP_PARAMETER_UNKNOWN, NULL },
    { "the first from the left: malformed, then unknown", " SIZE=x X=1", SMTP_PARAMETER_SYNTAX, NULL },
    { "the first from the left: too big, then unknown", " SIZE=10001 X=1", SMTP_TOO_BIG, NULL },
    { "good ones before a wrong one do not help", " SIZE=1 BODY=7BIT X", SMTP_PARAMETER_UNKNOWN, NULL },
};

/* The input in memory that ends with it, so that a read past its end is seen. */
static char *exact_copy(const char *input)
{
    return g_memdup2(input, strlen(input));
}

static void check_mail(void **state)
{
    const struct mail_row *row = *state;
    g_autofree char *copy = exact_copy(row->input);
    const struct smtp_mail_terms terms = { .message_size = LIMIT, .secure = row->secure, .auth = row->auth };
    struct smtp_mail_parameters p = { .size = 77, .ret = SMTP_RET_HDRS };
    enum smtp_outcome outcome = smtp_mail_parameters_parse(slice_of(copy, strlen(row->input)), &terms, &p);
    assert_int_equal(outcome, row->outcome);
    if (row->want == NULL) {
        assert_int_equal(p.size, 77);
        assert_int_equal(p.ret, SMTP_RET_HDRS);
        return;
    }
    g_autofree char *envid = slice_dup(p.envid);
    g_autofree char *got =
        g_strdup_printf("%" G_GUINT64_FORMAT ",%s,%s,%s,%s%s", p.size, bodies[p.body], p.utf8 ? "utf8" : "",
                        rets[p.ret], envid, p.require_tls ? ",requiretls" : "");
    assert_string_equal(got, row->want);
}

#define ANY     (SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY)
#define SYNTAX  SMTP_PARAMETER_SYNTAX
#define UNKNOWN SMTP_PARAMETER_UNKNOWN
#define OK      SMTP_RECIPIENT_OK

/* An outcome for each state of SMTPUTF8. */
static const struct rcpt_row {
    const char *name, *input;
    enum smtp_outcome ascii, utf8;
    unsigned notify;
    const char *orcpt;
} rcpt_rows[] = {
    { "RCPT: none", "", OK, OK, 0, "" },
    { "both", " NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob@example.org", OK, OK,
      SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY, "rfc822;bob@example.org" },
    { "RCPT: no case", " notify=success orcpt=RFC822;Bob@example.org", OK, OK, SMTP_NOTIFY_SUCCESS,
      "RFC822;Bob@example.org" },

    { "NOTIFY=NEVER", " NOTIFY=NEVER", OK, OK, SMTP_NOTIFY_NEVER, "" },
    { "NOTIFY=SUCCESS", " NOTIFY=SUCCESS", OK, OK, SMTP_NOTIFY_SUCCESS, "" },
    { "NOTIFY=FAILURE", " NOTIFY=FAILURE", OK, OK, SMTP_NOTIFY_FAILURE, "" },
    { "NOTIFY=DELAY", " NOTIFY=DELAY", OK, OK, SMTP_NOTIFY_DELAY, "" },
    { "NOTIFY with all, in any order", " NOTIFY=Delay,Success,Failure", OK, OK, ANY, "" },
    { "NOTIFY: NEVER is alone", " NOTIFY=NEVER,DELAY", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: NEVER is alone, also at the end", " NOTIFY=SUCCESS,NEVER", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: NEVER twice", " NOTIFY=NEVER,NEVER", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: an item twice", " NOTIFY=DELAY,SUCCESS,DELAY", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: another item", " NOTIFY=ALWAYS", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: an empty item in front", " NOTIFY=,DELAY", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: an empty item at the end", " NOTIFY=DELAY,", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: an empty item between", " NOTIFY=DELAY,,SUCCESS", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY without a value", " NOTIFY", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY: a blank ends it", " NOTIFY=DELAY, SUCCESS", SYNTAX, SYNTAX, 0, "" },
    { "NOTIFY twice", " NOTIFY=DELAY NOTIFY=SUCCESS", UNKNOWN, UNKNOWN, 0, "" },

    { "ORCPT stays as it was sent", " ORCPT=rfc822;a+2Bb@example.org", OK, OK, 0,
      "rfc822;a+2Bb@example.org" },
    { "ORCPT with an equals sign in it", " ORCPT=x400;/S=a/", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT of another type, encoded", " ORCPT=x400;/S+3Da/", OK, OK, 0, "x400;/S+3Da/" },
    { "ORCPT with a semicolon in the address", " ORCPT=rfc822;a;b", OK, OK, 0, "rfc822;a;b" },
    { "ORCPT with a blank in the address", " ORCPT=rfc822;\"a+20b\"@c.example", OK, OK, 0,
      "rfc822;\"a+20b\"@c.example" },
    { "ORCPT of 500 octets", " ORCPT=rfc822;" A493, OK, OK, 0, "rfc822;" A493 },
    { "ORCPT of 501 octets", " ORCPT=rfc822;" A493 "a", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT without a type", " ORCPT=bob@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT with an empty type", " ORCPT=;bob@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT whose type is no atom", " ORCPT=rfc(822;bob@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT whose type is UTF-8", " ORCPT=\xc3\xa4;bob@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT without an address", " ORCPT=rfc822;", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT with a type alone", " ORCPT=rfc822", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT without a value", " ORCPT", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT that is no xtext", " ORCPT=rfc822;a+b@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT with CR LF in it", " ORCPT=rfc822;a+0D+0AEvil:+20yes", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT with NUL in it", " ORCPT=rfc822;a+00", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT with an encoded octet above ASCII", " ORCPT=rfc822;+C3+A4@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT of type rfc822 in UTF-8", " ORCPT=rfc822;\xc3\xa4@example.org", SYNTAX, SYNTAX, 0, "" },
    { "ORCPT twice", " ORCPT=rfc822;a@b ORCPT=rfc822;a@b", UNKNOWN, UNKNOWN, 0, "" },

    { "utf-8: octets of UTF-8, with SMTPUTF8", " ORCPT=utf-8;\xc3\xa4@example.org", SYNTAX, OK, 0,
      "utf-8;\xc3\xa4@example.org" },
    { "utf-8: no case", " ORCPT=UTF-8;\xc3\xa4@example.org", SYNTAX, OK, 0, "UTF-8;\xc3\xa4@example.org" },
    { "utf-8: ASCII is in it", " ORCPT=utf-8;a@example.org", OK, OK, 0, "utf-8;a@example.org" },
    { "utf-8: the form in ASCII", " ORCPT=utf-8;\\x{E4}@example.org", OK, OK, 0,
      "utf-8;\\x{E4}@example.org" },
    { "utf-8: lower-case digits, which RFC 5234 grants", " ORCPT=utf-8;\\x{e4}", OK, OK, 0, "utf-8;\\x{e4}" },
    { "utf-8: both forms at once", " ORCPT=utf-8;\xc3\xa4\\x{E4}@b", SYNTAX, OK, 0,
      "utf-8;\xc3\xa4\\x{E4}@b" },
    { "utf-8: every length", " ORCPT=utf-8;\\x{A0}\\x{100}\\x{20AC}\\x{1F600}\\x{10FFFD}", OK, OK, 0,
      "utf-8;\\x{A0}\\x{100}\\x{20AC}\\x{1F600}\\x{10FFFD}" },
    { "utf-8: encoded specials of ASCII", " ORCPT=utf-8;\\x{20}\\x{2B}\\x{3D}\\x{5C}", OK, OK, 0,
      "utf-8;\\x{20}\\x{2B}\\x{3D}\\x{5C}" },
    { "utf-8: a plus sign as it is, with SMTPUTF8", " ORCPT=utf-8;a+b@example.org", SYNTAX, OK, 0,
      "utf-8;a+b@example.org" },
    { "utf-8: an encoded letter of ASCII", " ORCPT=utf-8;\\x{41}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: encoded CR LF", " ORCPT=utf-8;\\x{0D}\\x{0A}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: encoded control characters, though the grammar has them", " ORCPT=utf-8;\\x{10}\\x{7F}", SYNTAX,
      SYNTAX, 0, "" },
    { "utf-8: an encoded C1 control", " ORCPT=utf-8;\\x{85}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a C1 control", " ORCPT=utf-8;a\xc2\x85", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: an encoded line separator", " ORCPT=utf-8;\\x{2028}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a line separator", " ORCPT=utf-8;a\xe2\x80\xa8", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: an encoded turn of direction", " ORCPT=utf-8;\\x{202E}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a turn of direction", " ORCPT=utf-8;\xe2\x80\xae\x61", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: an encoded noncharacter", " ORCPT=utf-8;\\x{FFFF}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a noncharacter", " ORCPT=utf-8;a\xef\xbf\xbf", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a surrogate", " ORCPT=utf-8;\\x{D800}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: beyond Unicode", " ORCPT=utf-8;\\x{110000}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a leading zero", " ORCPT=utf-8;\\x{0100}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: too many digits", " ORCPT=utf-8;\\x{100000000000000E4}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: one digit", " ORCPT=utf-8;\\x{E}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: no digits", " ORCPT=utf-8;\\x{}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: no hexadecimal digits", " ORCPT=utf-8;\\x{EG}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: no end", " ORCPT=utf-8;\\x{E4", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: no braces", " ORCPT=utf-8;\\xE4}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: an upper-case x", " ORCPT=utf-8;\\X{E4}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: another backslash", " ORCPT=utf-8;a\\b", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a backslash at the end", " ORCPT=utf-8;a\\", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: a brace too early", " ORCPT=utf-8;\\}", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: malformed", " ORCPT=utf-8;\xc3@example.org", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: cut off", " ORCPT=utf-8;a\xe2\x82", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: overlong", " ORCPT=utf-8;\xc1\x81", SYNTAX, SYNTAX, 0, "" },
    { "utf-8: no address", " ORCPT=utf-8;", SYNTAX, SYNTAX, 0, "" },

    { "RCPT: unknown", " X-THING=1", UNKNOWN, UNKNOWN, 0, "" },
    { "one of MAIL", " SIZE=1", UNKNOWN, UNKNOWN, 0, "" },
    { "malformed", " NOTIFY=", SYNTAX, SYNTAX, 0, "" },
    { "RCPT: malformed: no blank before it", "NOTIFY=DELAY", SYNTAX, SYNTAX, 0, "" },
    { "RCPT: the first from the left: unknown, then malformed", " X=1 NOTIFY=x", UNKNOWN, UNKNOWN, 0, "" },
    { "RCPT: the first from the left: malformed, then unknown", " NOTIFY=x X=1", SYNTAX, SYNTAX, 0, "" },
};

static void check_rcpt(void **state)
{
    const struct rcpt_row *row = *state;
    g_autofree char *copy = exact_copy(row->input);
    for (int utf8 = 0; utf8 <= 1; utf8++) {
        struct smtp_rcpt_parameters p = { .notify = 77 };
        enum smtp_outcome want = utf8 ? row->utf8 : row->ascii;
        enum smtp_outcome outcome = smtp_rcpt_parameters_parse(slice_of(copy, strlen(row->input)), utf8, &p);
        assert_int_equal(outcome, want);
        assert_int_equal(p.notify, want == OK ? row->notify : 77);
        assert_true(slice_equal(p.orcpt, slice_str(want == OK ? row->orcpt : "")));
    }
}

/* Whatever octets follow the path: no text that leaves holds a control character, and nothing is read
 * outside of the input. */
static void every_short_value(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char text[] = { ' ', 'O', 'R', 'C', 'P', 'T', '=', 'x', ';', (char)first, (char)second };
            g_autofree char *copy = g_memdup2(text, sizeof text);
            struct smtp_rcpt_parameters p;
            enum smtp_outcome outcome = smtp_rcpt_parameters_parse(slice_of(copy, sizeof text), true, &p);
            bool good = g_ascii_isgraph((char)first) && first != '=' && first != '+' &&
                        g_ascii_isgraph((char)second) && second != '=' && second != '+';
            /* What looks like the end of the value is none of its business. */
            if (second == ' ' || second == '\t')
                good = g_ascii_isgraph((char)first) && first != '=' && first != '+';
            assert_int_equal(outcome, good ? OK : SYNTAX);
        }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/parameter");
    suite_add_rows(s, mail_rows, check_mail);
    suite_add_rows(s, rcpt_rows, check_rcpt);
    suite_add(s, "every value of two octets", every_short_value, NULL);
    return suite_run(s, argc, argv);
}
