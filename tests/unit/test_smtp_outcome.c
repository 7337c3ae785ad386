#include "suite.h"

#include <glib.h>
#include <stdio.h>

#include "smtp/outcome.h"

static bool has_no_enhanced_code(enum smtp_outcome o)
{
    return o == SMTP_GREETING || o == SMTP_HELLO || smtp_outcome_code(o) / 100 == 3; /* RFC 2034 4 */
}

/* Of some, all of the reply is what whoever decided it says. */
static const char *detail_of(enum smtp_outcome o)
{
    return o == SMTP_HANDLER_REJECTED   ? "550 5.7.1 Use the web form"
           : o == SMTP_HANDLER_DEFERRED ? "451 4.7.1 Come again"
                                        : "detail";
}

/* Every outcome is in the table, and every enhanced code's class is that of its reply code (RFC 2034 4). */
static void every_outcome_is_well_formed(void **state)
{
    (void)state;
    for (int o = 0; o < SMTP_OUTCOMES; o++) {
        char text[SMTP_REPLY_MAX];
        size_t len =
            smtp_outcome_format((enum smtp_outcome)o, detail_of((enum smtp_outcome)o), text, sizeof text);
        assert_int_equal(len, strlen(text));
        assert_true(len >= 6 && strcmp(text + len - 2, "\r\n") == 0);
        assert_true(strpbrk(text, "\r\n") == text + len - 2);
        unsigned code, class, subject, detail;
        assert_int_equal(sscanf(text, "%3u ", &code), 1);
        assert_int_equal(code, smtp_outcome_code((enum smtp_outcome)o));
        assert_in_range(code, 200, 599);
        assert_non_null(smtp_outcome_name((enum smtp_outcome)o));
        if (has_no_enhanced_code((enum smtp_outcome)o))
            continue;
        assert_int_equal(sscanf(text, "%3u %u.%u.%u ", &code, &class, &subject, &detail), 4);
        assert_int_equal(class, code / 100);
    }
}

static void names_differ(void **state)
{
    (void)state;
    for (int a = 0; a < SMTP_OUTCOMES; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(smtp_outcome_name((enum smtp_outcome)a),
                                    smtp_outcome_name((enum smtp_outcome)b));
}

static void detail_has_its_place(void **state)
{
    (void)state;
    char text[SMTP_REPLY_MAX];
    smtp_outcome_format(SMTP_DELIVERED, "7f3a.1", text, sizeof text);
    assert_string_equal(text, "250 2.0.0 Delivered, id 7f3a.1\r\n");
    smtp_outcome_format(SMTP_NOOP, "7f3a.1", text, sizeof text);
    assert_string_equal(text, "250 2.0.0 OK\r\n");
    smtp_outcome_format(SMTP_NEEDS_HELO, "EHLO", text, sizeof text);
    assert_string_equal(text, "503 5.5.1 Say EHLO first\r\n");
    smtp_outcome_format(SMTP_NEEDS_HELO, NULL, text, sizeof text);
    assert_string_equal(text, "503 5.5.1 Say  first\r\n");
    smtp_outcome_format(SMTP_HANDLER_REJECTED, "553 5.7.1 No", text, sizeof text);
    assert_string_equal(text, "553 5.7.1 No\r\n");
    smtp_outcome_format(SMTP_GREETING, "mx.example.org ESMTP", text, sizeof text);
    assert_string_equal(text, "220 mx.example.org ESMTP\r\n");
    g_autofree char *endless = g_strnfill(5000, 'x');
    assert_true(smtp_outcome_format(SMTP_DELIVERED, endless, text, sizeof text) < sizeof text);
}

/* RFC 5321 7.8: what no client says that means well; but not what the best list of addresses may hold. */
static void mistakes_are_the_clients(void **state)
{
    (void)state;
    static const enum smtp_outcome mistakes[] = { SMTP_UNKNOWN_COMMAND,
                                                  SMTP_NEEDS_RCPT,
                                                  SMTP_NEEDS_BDAT,
                                                  SMTP_BDAT_SYNTAX,
                                                  SMTP_NEEDS_UTF8,
                                                  SMTP_FACTS_REFUSED,
                                                  SMTP_NEEDS_TLS,
                                                  SMTP_NEEDS_AUTH,
                                                  SMTP_AUTH_NEEDS_TLS,
                                                  SMTP_AUTH_NOT_BASE64,
                                                  SMTP_AUTH_UNKNOWN_MECHANISM };
    static const enum smtp_outcome others[] = { SMTP_NO_SUCH_MAILBOX,  SMTP_NO_SUCH_DOMAIN,
                                                SMTP_TOO_BIG,          SMTP_DISK_FULL,
                                                SMTP_FOREIGN_PROTOCOL, SMTP_DELIVERED,
                                                SMTP_AUTH_FAILED,      SMTP_AUTH_CANCELLED,
                                                SMTP_AUTH_UNAVAILABLE };
    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++)
        assert_true(smtp_outcome_is_mistake(mistakes[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        assert_false(smtp_outcome_is_mistake(others[i]));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/outcome");
    suite_add(s, "every outcome is well formed", every_outcome_is_well_formed, NULL);
    suite_add(s, "names differ", names_differ, NULL);
    suite_add(s, "mistakes are the client's", mistakes_are_the_clients, NULL);
    suite_add(s, "the detail has its place", detail_has_its_place, NULL);
    return suite_run(s, argc, argv);
}
