/* The runner itself: what it must not let pass. A dialogue test that cannot fail would protect nothing. */
#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>

#include "bytes.h"
#include "play.h"
#include "play_core.h"
#include "reply.h"
#include "script.h"

/* ---- replies ---- */

static const struct reply_row {
    const char *name, *bytes;
    int want;
} reply_rows[] = {
    { "a reply of one line", "250 2.0.0 OK\r\n", 1 },
    { "a reply of several lines", "250-one\r\n250-TWO\r\n250 THREE\r\n", 1 },
    { "an empty text", "250 \r\n", 1 },
    { "half a line is not yet a reply", "250 2.0.0 OK", 0 },
    { "a line that is continued is not yet a reply", "250-one\r\n", 0 },
    { "a bare LF does not end a reply", "250 OK\n", -EBADMSG },
    { "nothing but a code is no line", "250\r\n", -EBADMSG },
    { "an empty line is none", "\r\n", -EBADMSG },
    { "letters are no code", "OK yes\r\n", -EBADMSG },
    { "a code of 6xx does not exist", "650 OK\r\n", -EBADMSG },
    { "the code is followed by blank or hyphen", "250:OK\r\n", -EBADMSG },
    { "all lines have one code", "250-one\r\n251 two\r\n", -EBADMSG },
    { "the enhanced code is of the reply's class", "250 5.0.0 OK\r\n", -EBADMSG },
    { "all lines have one enhanced code", "214-2.0.0 one\r\n214 two\r\n", -EBADMSG },
    { "control characters are not text", "250 2.0.0 O\x01K\r\n", -EBADMSG },
    { "nor are octets above 127", "250 2.0.0 \xc3\xa9\r\n", -EBADMSG },
    { "a CR alone is not text", "250 2.0.0 O\rK\r\n", -EBADMSG },
};

static void check_reply(void **state)
{
    const struct reply_row *row = *state;
    auto_val(reply) reply = { 0 };
    g_autofree char *problem = NULL;
    size_t len = 0;
    assert_int_equal(reply_take(slice_str(row->bytes), &reply, &len, &problem), row->want);
    if (row->want > 0)
        assert_int_equal(len, strlen(row->bytes));
    assert_true((problem != NULL) == (row->want < 0));
}

static void check_reply_length(void **state)
{
    (void)state;
    for (size_t text = 506; text <= 507; text++) { /* with code, blank and CR LF: 512 octets, and 513 */
        g_autofree char *line = g_strdup_printf("250 %*s\r\n", (int)text, "x");
        auto_val(reply) reply = { 0 };
        g_autofree char *problem = NULL;
        size_t len = 0;
        assert_int_equal(reply_take(slice_str(line), &reply, &len, &problem), text == 506 ? 1 : -EBADMSG);
    }
}

/* ---- what is wanted ---- */

static const struct want_row {
    const char *name, *want, *reply;
    bool set, matches;
} want_rows[] = {
    { "a code alone", "250", "250 2.0.0 OK\r\n", false, true },
    { "another code", "250", "251 2.0.0 OK\r\n", false, false },
    { "any of a class", "5xx", "501 5.5.4 No\r\n", false, true },
    { "of another class", "5xx", "451 4.3.0 No\r\n", false, false },
    { "one of two codes", "503|554", "554 5.5.1 No\r\n", false, true },
    { "none of two codes", "503|554", "550 5.5.1 No\r\n", false, false },
    { "an enhanced code", "550 5.1.1", "550 5.1.1 No\r\n", false, true },
    { "another enhanced code", "550 5.1.1", "550 5.1.10 No\r\n", false, false },
    { "any enhanced code of a subject", "550 5.1.x", "550 5.1.10 No\r\n", false, true },
    { "a missing enhanced code", "550 5.1.1", "550 No\r\n", false, false },
    { "a fragment", "250 fine", "250 2.0.0 all fine here\r\n", false, true },
    { "a fragment that is not there", "250 fine", "250 2.0.0 all well\r\n", false, false },
    { "a fragment is not a pattern", "250 a.c", "250 2.0.0 abc\r\n", false, false },
    { "a pattern", "250 /^a.c$/", "250 2.0.0 abc\r\n", false, true },
    { "a pattern in a later line", "250 /^SIZE [0-9]+$/", "250-host\r\n250 SIZE 12\r\n", false, true },
    { "a set in any order", "250 SIZE [0-9]+, PIPELINING", "250-host\r\n250-PIPELINING\r\n250 SIZE 12\r\n",
      true, true },
    { "a line that the set does not have", "250 PIPELINING", "250-host\r\n250-PIPELINING\r\n250 XFOO\r\n",
      true, false },
    { "a line that is missing", "250 PIPELINING, HELP", "250-host\r\n250 PIPELINING\r\n", true, false },
    { "a line that comes twice", "250 PIPELINING, HELP", "250-host\r\n250-HELP\r\n250 HELP\r\n", true,
      false },
    { "an empty set", "250", "250 host\r\n", true, true },
    { "more than an empty set", "250", "250-host\r\n250 HELP\r\n", true, false },
};

static void check_want(void **state)
{
    const struct want_row *row = *state;
    auto_val(reply) reply = { 0 };
    g_autofree char *problem = NULL;
    size_t len = 0;
    assert_int_equal(reply_take(slice_str(row->reply), &reply, &len, &problem), 1);
    struct want *want = want_parse(row->want, row->set, &problem);
    assert_non_null(want);
    assert_int_equal(want_matches(want, &reply), row->matches);
    want_free(want);
}

/* ---- scripts ---- */

#define TITLE "# r0000: a test of the runner (RFC 5321 4.2)\n"

static const struct play_row {
    const char *name, *script;
    unsigned fails_at; /* line; 0 with a `got`: at the end; NULL: it passes */
    const char *got;
} play_rows[] = {
    { "a dialogue passes", TITLE "hello\nsend NOOP\nwant 250 2.0.0\nbye\n", 0, NULL },
    { "a reply that is not the wanted one fails", TITLE "hello\nsend NOOP\nwant 500\nbye\n", 4, "250 2.0.0" },
    { "a reply that nobody wants fails at the end", TITLE "hello\nsend NOOP\n", 0, "unread" },
    { "a greeting that nobody wants, too", TITLE, 0, "unread" },
    { "a reply too many fails before the close", TITLE "hello\nsend NOOP\nsend QUIT\nwant 250\nwant-close\n",
      6, "unread" },
    { "a reply that does not come fails", TITLE "hello\nsend NOOP\nwant 250\nwant 250\n", 5, "no reply" },
    { "a reply after the end fails", TITLE "hello\nbye\nwant 250\n", 4, "closed" },
    { "an end that does not come fails", TITLE "hello\nwant-close\n", 3, "no reply" },
    { "a reply where there should be nothing fails", TITLE "hello\nsend NOOP\nnothing\n", 4, "250" },
    { "a reply that is unread at the hang-up fails", TITLE "hello\nsend NOOP\nhangup\n", 4, "unread" },
    { "too few of many replies fail", TITLE "hello\nraw \"NOOP\\r\\n\"*2\nwant-each 3 250\n", 4, "no reply" },
    { "a wrong one of many replies fails", TITLE "hello\nraw \"NOOP\\r\\nFOO\\r\\n\"\nwant-each 2 250\n", 4,
      "reply 2 was: 500" },
    { "a handshake that nobody offered fails", TITLE "hello\nhandshake\n", 3, "no STARTTLS" },
    { "a message that is missing fails", TITLE "hello\nbye\nstored alice 1\n", 4, "0 messages" },
};

#define DELIVER                                                                                              \
    TITLE "hello\n"                                                                                          \
          "raw \"MAIL FROM:<a@b.example>\\r\\nRCPT "                                                         \
          "TO:<alice@example.org>\\r\\nDATA\\r\\nhello\\r\\n.\\r\\n\"\n"                                     \
          "want-each 2 250\nwant 354\nwant 250\nbye\n"

static const struct play_row stored_rows[] = {
    { "a message is stored", DELIVER "stored alice 1\n", 0, NULL },
    { "its bytes are right", DELIVER "message alice \"hello\\r\\n\"\n", 0, NULL },
    { "its sender is right", DELIVER "sender alice <a@b.example>\n", 0, NULL },
    { "a part of it is found", DELIVER "stored alice contains \"ell\"\nstored alice lacks \"elll\"\n", 0,
      NULL },
    { "a message that should not be there fails", DELIVER "stored alice 0\n", 8, "1 messages" },
    { "other bytes fail", DELIVER "message alice \"hello\\n\"\n", 8, "hello" },
    { "its octets are right", DELIVER "octets alice \"hello\\r\\n\"\n", 0, NULL },
    { "other octets fail", DELIVER "octets alice \"hello\\n\"\n", 8, "hello" },
    { "only a part of its bytes fails", DELIVER "message alice \"hello\"\n", 8, "hello" },
    { "another sender fails", DELIVER "sender alice <b@b.example>\n", 8, "<a@b.example>" },
    { "a part that is not there fails", DELIVER "stored alice contains \"help\"\n", 8, "hello" },
    { "a part that should not be there fails", DELIVER "stored alice lacks \"hell\"\n", 8, "hello" },
    { "another mailbox is empty", DELIVER "stored bob 1\n", 8, "0 messages" },
};

static void check_play(void **state)
{
    const struct play_row *row = *state;
    auto_val(diag) diag = { 0 };
    auto_ptr(script) script = NULL;
    assert_int_equal(script_parse("row", row->script, &diag, &script), 0);
    for (int cut = 0; cut < CORE_CUTS; cut++) {
        struct failure failure = { 0 };
        auto_ptr(player) player = player_core_new(script, (enum core_cut)cut, 1);
        bool passed = play(player, &failure);
        if (passed != (row->got == NULL) || failure.line != row->fails_at ||
            (!passed && strstr(failure.got, row->got) == NULL))
            print_error("line %u, got: %s\n", failure.line,
                        failure.got != NULL ? failure.got : "nothing wrong");
        assert_int_equal(passed, row->got == NULL);
        assert_int_equal(failure.line, row->fails_at);
        if (!passed)
            assert_non_null(strstr(failure.got, row->got));
        g_free(failure.got);
    }
}

static const struct parse_row {
    const char *name, *script, *problem;
} parse_rows[] = {
    { "a script needs its title", "hello\n", "first line" },
    { "a title needs a number", "# r12: short\n", "first line" },
    { "a title names an RFC", "# r0000: because\n", "no RFC section" },
    { "a title names the RFC's section", "# r0000: because (RFC 5321)\n", "no RFC section" },
    { "a section without its RFC is none", "# r0000: because (5321 4.2)\n", "no RFC section" },
    { "a directive must be known", TITLE "wish 250\n", "no directive" },
    { "a blank at the end is not seen", TITLE "send NOOP \n", "blank at the end" },
    { "a code must be one", TITLE "want 25\n", "no reply code" },
    { "a pattern must be one", TITLE "want 250 /(/\n", "" },
    { "a mailbox must be there", TITLE "stored carol 1\n", "no mailbox" },
    { "a number must be one", TITLE "stored alice many\n", "no number" },
    { "bytes stand in quotes", TITLE "raw NOOP\n", "double quotes" },
    { "quotes are closed", TITLE "raw \"NOOP\n", "quote is missing" },
    { "escapes are known", TITLE "raw \"\\q\"\n", "backslash" },
    { "a repetition is sensible", TITLE "raw \"a\"*0\n", "number of times" },
    { "a limit is known", TITLE "limit patience 1\n", "no limit" },
    { "a limit's value is right", TITLE "limit errors 0\n", "expected" },
    { "time passes only on the core", TITLE "wait 5m\n", "only core" },
    { "an outcome is known", TITLE "only core\nfail misery\n", "no outcome" },
    { "a place is known", TITLE "only here\n", "only core" },
    { "a proxy stands before a daemon only", TITLE "proxy\n", "only daemon" },
    { "a domain must be one", TITLE "domain a..b\n", "no domain" },
    { "two more domains are one too many", TITLE "domain a.example\ndomain b.example\n", "one domain" },
    { "a client's right is known", TITLE "may relay\n", "expected 'may xclient'" },
    { "a greeting's delay is a duration", TITLE "greeting-delay soon\n", "no duration" },
    { "a kind of TLS is known", TITLE "tls maybe\n", "expected 'tls optional'" },
    { "a kind of AUTH is known", TITLE "auth maybe\n", "expected 'auth optional'" },
    { "AUTH outside TLS is AUTH", TITLE "auth-without-tls\n", "needs 'auth'" },
    { "AUTH is answered otherwise only on the core", TITLE "answer-auth auth-failed\n", "only core" },
    { "a protocol is known", TITLE "protocol uucp\n", "no protocol" },
};

static void check_parse(void **state)
{
    const struct parse_row *row = *state;
    auto_val(diag) diag = { 0 };
    auto_ptr(script) script = NULL;
    assert_int_equal(script_parse("row", row->script, &diag, &script), -EINVAL);
    assert_null(script);
    assert_int_equal(diag_count(&diag), 1);
    assert_non_null(strstr(g_ptr_array_index(diag.problems, 0), row->problem));
}

/* ---- bytes ---- */

static const struct bytes_row {
    const char *name, *text, *bytes;
    size_t len;
} bytes_rows[] = {
    { "plain text", "\"abc\"", "abc", 3 },
    { "all escapes", "\"\\r\\n\\t\\0\\\\\\\"\\xff\\x0A\"", "\r\n\t\0\\\"\xff\n", 8 },
    { "several are one", "\"a\" \"b\"\"c\"", "abc", 3 },
    { "repeated", "\"ab\"*3 \"c\"", "abababc", 7 },
    { "an empty one", "\"\"", "", 0 },
};

static void check_bytes(void **state)
{
    const struct bytes_row *row = *state;
    const char *problem = NULL;
    GString *bytes = g_string_new(NULL);
    assert_int_equal(bytes_parse(row->text, bytes, &problem), 0);
    assert_int_equal(bytes->len, row->len);
    assert_memory_equal(bytes->str, row->bytes, row->len);
    g_string_free(bytes, TRUE);
}

static void check_quote(void **state)
{
    (void)state;
    static const char bytes[] = "a\r\n\t\"\\\0\xff";
    g_autofree char *text = bytes_quote(slice_of(bytes, sizeof bytes - 1));
    assert_string_equal(text, "\"a\\r\\n\\t\\\"\\\\\\x00\\xff\"");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("dialogue");
    suite_add_rows(s, reply_rows, check_reply);
    suite_add(s, "a reply line has at most 512 octets", check_reply_length, NULL);
    suite_add_rows(s, want_rows, check_want);
    suite_add_rows(s, play_rows, check_play);
    suite_add_rows(s, stored_rows, check_play);
    suite_add_rows(s, parse_rows, check_parse);
    suite_add_rows(s, bytes_rows, check_bytes);
    suite_add(s, "bytes are shown as they are written", check_quote, NULL);
    return suite_run(s, argc, argv);
}
