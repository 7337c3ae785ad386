/* What dialogues cannot say of the session: tickets, bounds, the order of effects. */
#include "suite.h"

#include <glib.h>

#include "session_rig.h"

static void pipelined_commands_wait_for_answers(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    uint64_t ticket = 0;
    const char *rest = rig_feed(s, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n", 0,
                                trace, &ticket);
    assert_trace(trace, "220 250 mail 250 rcpt ");
    assert_true(smtp_session_is_waiting(s));
    assert_string_equal(rest, "DATA\r\nx\r\n.\r\nQUIT\r\n");
    assert_string_equal(rig_feed(s, rest, 0, trace, &ticket), rest);
    assert_trace(trace, "");
    rig_answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    assert_trace(trace, "250 ");
    rest = rig_feed(s, rest, 0, trace, &ticket);
    assert_trace(trace, "open 354 append finish ");
    assert_string_equal(rest, "QUIT\r\n");
    rig_answer(s, ticket, SMTP_DELIVERED, trace);
    rig_feed(s, rest, 0, trace, NULL);
    assert_trace(trace, "250 221 end ");
    smtp_session_free(s);
}

static void an_old_ticket_is_ignored(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    uint64_t first = 0, second = 0;
    rig_feed(s, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 0, trace, &first);
    rig_answer(s, first, SMTP_NO_SUCH_MAILBOX, trace);
    rig_feed(s, "RCPT TO:<c@b>\r\n", 0, trace, &second);
    g_string_truncate(trace, 0);
    rig_answer(s, first, SMTP_RECIPIENT_OK, trace);
    assert_trace(trace, "");
    assert_true(smtp_session_is_waiting(s));
    rig_answer(s, second, SMTP_RECIPIENT_OK, trace);
    rig_answer(s, second, SMTP_RECIPIENT_OK, trace); /* and once is enough */
    assert_trace(trace, "250 ");
    smtp_session_free(s);
}

static void lmtp_takes_one_answer_a_recipient(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_lmtp, &rig_client, 0);
    uint64_t ticket = 0;
    rig_feed(s, "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 0, trace, &ticket);
    rig_answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    rig_feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
    rig_answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    rig_feed(s, "DATA\r\n.\r\n", 0, trace, &ticket);
    g_string_truncate(trace, 0);
    rig_answer(s, ticket, SMTP_DELIVERED, trace);
    assert_true(smtp_session_is_waiting(s));
    rig_answer(s, ticket, SMTP_DISK_FULL, trace);
    assert_false(smtp_session_is_waiting(s));
    assert_trace(trace, "250 452 ");
    smtp_session_free(s);
}

static void an_endless_line_is_not_kept(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *part = g_strnfill(10000, 'x');
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    for (int i = 0; i < 100; i++)
        assert_string_equal(rig_feed(s, part, 0, trace, NULL), "");
    assert_trace(trace, "220 ");
    assert_int_equal(smtp_session_deadline(s), 300000);
    rig_feed(s, "\r\nNOOP\r\n", 0, trace, NULL);
    assert_trace(trace, "refused 500 250 ");
    smtp_session_free(s);
}

/* Also where a feed begins with what would be TLS, were it the start of a line. */
static void the_rest_of_a_long_line_says_nothing(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *part = g_strnfill(5000, 'x');
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    assert_string_equal(rig_feed(s, part, 0, trace, NULL), "");
    assert_string_equal(rig_feed(s, "\x16\x03\x01 GET / HTTP/1.1\r\nNOOP\r\n", 0, trace, NULL), "");
    assert_trace(trace, "220 refused 500 250 ");
    smtp_session_free(s);
}

/* `part` is fed to a fresh session behind `before`; what it leaves is within the bound. */
static void check_kept(const struct smtp_service *service, const char *before, const char *part)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(service, &rig_client, 0);
    (void)rig_feed(s, before, 0, trace, NULL);
    const char *rest = rig_feed(s, part, 0, trace, NULL);
    assert_true(strlen(rest) <= service->limits.command_length - 1 && strlen(rest) <= SMTP_KEEP_MAX);
    smtp_session_free(s);
}

static void what_must_be_kept_is_bounded(void **state)
{
    (void)state;
    struct smtp_service service = rig_smtp;
    for (service.limits.command_length = 2048; service.limits.command_length <= SMTP_COMMAND_LENGTH_MAX;
         service.limits.command_length *= 2)
        for (size_t len = 1; len < 5000; len++) {
            g_autofree char *part = g_strnfill(len, 'M');
            check_kept(&service, "", part);
            part[len - 1] = '\r';
            check_kept(&service, "", part);
            part[len - 1] = '\n';
            check_kept(&service, "EHLO c\r\n", part);
        }
}

/* `line` is fed to a fresh session, cut in two at `cut`. */
static void check_cut_line(const char *line, size_t cut, const char *want)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *first = g_strndup(line, cut);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    g_autofree char *rest = g_strconcat(rig_feed(s, first, 0, trace, NULL), line + cut, NULL);
    rig_feed(s, rest, 0, trace, NULL);
    assert_trace(trace, want);
    smtp_session_free(s);
}

/* Its octets would be taken for commands. */
static void a_chunk_that_cannot_be_read_ends_the_session(void **state)
{
    (void)state;
    g_autofree char *blanks = g_strnfill(5000, ' ');
    g_autofree char *too_long = g_strdup_printf("bdat 6 LAST%s\r\nQUIT\r\n", blanks);
    const char *const lines[] = { "BDAT 6 LAST\x01\r\nQUIT\r\n", "BDAT 6\nLAST\r\nQUIT\r\n",
                                  "BDAT\t6\r\nQUIT\r\n", " \tbdat.6\r\nQUIT\r\n", too_long };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        for (size_t cut = 0; cut < strlen(lines[i]); cut++)
            check_cut_line(lines[i], cut, "220 refused 500 421 end ");
}

/* Wherever its verb is cut: what is seen of a line that is too long may be all blanks, or a part of BDAT. */
static void a_line_too_long_may_be_a_chunk(void **state)
{
    (void)state;
    for (int blanks = 2030; blanks < 2060; blanks++) {
        g_autofree char *bdat = g_strdup_printf("%*sBdat 6 LAST%20s\r\nNOOP\r\n", blanks, "", "");
        g_autofree char *other = g_strdup_printf("%*sNOOP%40s\r\nNOOP\r\n", blanks, "", "x");
        for (size_t cut = 2000; cut < strlen(bdat); cut++)
            check_cut_line(bdat, cut, "220 refused 500 421 end ");
        for (size_t cut = 2000; cut < strlen(other); cut++)
            check_cut_line(other, cut, blanks < 2046 ? "220 refused 500 250 " : "220 refused 500 421 end ");
    }
}

static void another_word_is_no_chunk(void **state)
{
    (void)state;
    static const char *const lines[] = { "BDATX 6\r\nNOOP\r\n", "BDAT6\r\nNOOP\r\n", "BDA\r\nNOOP\r\n",
                                         "XBDAT 6\r\nNOOP\r\n", "X BDAT 6\r\nNOOP\r\n" };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        for (size_t cut = 0; cut < strlen(lines[i]); cut++)
            check_cut_line(lines[i], cut, "220 refused 500 250 ");
}

/* ---- what the owner sees of chunks ---- */

static const struct chunk_row {
    const char *name, *input, *want;
} chunk_rows[] = {
    { "a message in two chunks", "BDAT 1\r\nxBDAT 1 LAST\r\ny", "open append 250 append finish " },
    { "a chunk of nothing appends nothing", "BDAT 0\r\nBDAT 0 LAST\r\n", "open 250 finish " },
    { "a first chunk that is too big opens nothing", "BDAT 100001\r\nxx", "refused reset " },
    { "nor does a last one", "BDAT 100001 LAST\r\nxx", "refused reset " },
    { "a second chunk that is too big resets what was open", "BDAT 1\r\nxBDAT 100000\r\n",
      "open append 250 refused reset " },
    { "so does one that would wrap the sum around", "BDAT 1\r\nxBDAT 18446744073709551615\r\n",
      "open append 250 refused reset " },
    { "the refusal is told behind the octets", "BDAT 1\r\nxBDAT 100000 LAST\r\nRSET\r\nNOOP\r\n",
      "open append 250 refused reset " },
    { "a chunk after RSET is refused, and resets nothing", "RSET\r\nBDAT 1\r\nx", "reset 250 refused 503 " },
    { "RSET between chunks resets once", "BDAT 1\r\nxRSET\r\nRSET\r\n", "open append 250 reset 250 250 " },
    { "DATA between chunks resets, and what follows is refused",
      "BDAT 1\r\nxDATA\r\nMAIL FROM:<>\r\nBDAT 1\r\nx",
      "open append 250 refused reset 503 refused 503 refused 503 " },
    { "which RSET ends, and resets nothing again", "BDAT 0\r\nDATA\r\nRSET\r\nMAIL FROM:<>\r\n",
      "open 250 refused reset 503 250 mail 250 " },
    { "a chunk before a recipient resets", "RSET\r\nMAIL FROM:<>\r\nBDAT 1\r\nxRCPT TO:<a@b>\r\nRSET\r\n",
      "reset 250 mail 250 refused reset 503 refused 503 250 " },
    { "a last one, too, and MAIL may follow", "RSET\r\nMAIL FROM:<>\r\nBDAT 1 LAST\r\nxMAIL FROM:<>\r\n",
      "reset 250 mail 250 refused reset 503 mail 250 " },
    { "a size that is none resets before the end", "BDAT 1\r\nxBDAT y\r\nNOOP\r\n",
      "open append 250 refused 501 reset 421 end " },
};

static void check_chunks(void **state)
{
    const struct chunk_row *row = *state;
    for (size_t cut = 0; cut <= strlen(row->input); cut++) {
        g_autoptr(GString) trace = g_string_new(NULL);
        struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
        g_autoptr(GString) input = g_string_new_len(row->input, (gssize)cut);
        const char *rest = rig_feed(s, input->str, 0, trace, NULL);
        g_string_erase(input, 0, rest - input->str);
        g_string_append(input, row->input + cut);
        assert_string_equal(rig_feed(s, input->str, 0, trace, NULL), "");
        assert_trace(trace, row->want);
        smtp_session_free(s);
    }
}

static void data_with_binarymime_resets(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<> BODY=BINARYMIME\r\n");
    rig_feed(s, "DATA\r\n", 0, trace, NULL);
    assert_trace(trace, "refused reset 503 ");
    assert_string_equal(smtp_session_phase(s), "failed");
    rig_feed(s, "BDAT 1 LAST\r\nxRSET\r\nMAIL FROM:<>\r\n", 0, trace, NULL);
    assert_trace(trace, "refused 503 250 mail 250 ");
    smtp_session_free(s);
}

static void a_header_too_large_resets_behind_open(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = rig_smtp;
    service.limits.header_fields = 1;
    struct smtp_session *s = rig_with_recipient(&service, "MAIL FROM:<>\r\n");
    rig_feed(s, "BDAT 10\r\nA: x\r\nB: x", 0, trace, NULL);
    assert_trace(trace, "open refused reset 554 ");
    assert_string_equal(smtp_session_phase(s), "failed");
    rig_feed(s, "BDAT 0 LAST\r\nRSET\r\n", 0, trace, NULL);
    assert_trace(trace, "refused 503 250 ");
    smtp_session_free(s);
}

static void nothing_is_taken_while_a_question_is_open(void **state)
{
    (void)state;
    static const char *const rests[] = { "N", "NOOP\r\n", "BDAT 1\r\nx", "\x16\x03", "\r\n" };
    for (size_t i = 0; i < G_N_ELEMENTS(rests); i++) {
        g_autoptr(GString) trace = g_string_new(NULL);
        struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
        uint64_t ticket = 0;
        rig_feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
        assert_int_equal(smtp_session_feed(s, slice_str(rests[i]), 0), 0);
        rig_answer(s, ticket, SMTP_RECIPIENT_OK, trace);
        rig_feed(s, "BDAT 0 LAST\r\n", 0, trace, &ticket);
        assert_int_equal(smtp_session_feed(s, slice_str(rests[i]), 0), 0);
        assert_true(smtp_session_is_waiting(s));
        assert_trace(trace, "rcpt 250 open finish ");
        smtp_session_free(s);
    }
}

/* ---- what effects tell ---- */

/* Feeds a line, and tells its first effect, which points into the line and into itself. */
static void first_effect(struct smtp_session *s, const char *line, enum smtp_effect_kind kind,
                         struct smtp_effect *ret)
{
    struct smtp_effect other;
    assert_int_equal(smtp_session_feed(s, slice_str(line), 0), strlen(line));
    assert_true(smtp_session_next(s, ret));
    assert_int_equal(ret->kind, kind);
    while (smtp_session_next(s, &other))
        continue;
}

#define assert_slice(slice, want) assert_true(slice_equal((slice), slice_str(want)))

static void mail_and_rcpt_tell_their_parameters(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    rig_feed(s, "EHLO c\r\n", 0, trace, NULL);
    struct smtp_effect e;
    first_effect(s, "MAIL FROM:<\"j d\"@e.example> SIZE=42 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n",
                 SMTP_EFFECT_MAIL, &e);
    assert_slice(slice_of(e.address.local, e.address.local_len), "j d");
    assert_slice(slice_of(e.address.domain, e.address.domain_len), "e.example");
    assert_int_equal(e.mail.size, 42);
    assert_int_equal(e.mail.body, SMTP_BODY_BINARYMIME);
    assert_true(e.mail.utf8);
    assert_int_equal(e.mail.ret, SMTP_RET_HDRS);
    assert_slice(e.mail.envid, "a+2Bb");
    first_effect(s, "RCPT TO: <\xc3\xb6@b> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\xc3\xb6@b\r\n", SMTP_EFFECT_RCPT,
                 &e);
    assert_slice(slice_of(e.address.local, e.address.local_len), "\xc3\xb6");
    assert_int_equal(e.rcpt.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    assert_slice(e.rcpt.orcpt, "utf-8;\xc3\xb6@b");
    smtp_session_free(s);
}

static void without_parameters_there_are_none(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    rig_feed(s, "EHLO c\r\nMAIL FROM:<> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a\r\nRSET\r\n", 0,
             trace, NULL);
    struct smtp_effect e;
    first_effect(s, "MAIL FROM:<>\r\n", SMTP_EFFECT_MAIL, &e);
    assert_true(smtp_address_is_null(&e.address));
    assert_int_equal(e.mail.size, 0);
    assert_int_equal(e.mail.body, SMTP_BODY_7BIT);
    assert_false(e.mail.utf8);
    assert_int_equal(e.mail.ret, SMTP_RET_NONE);
    assert_int_equal(e.mail.envid.len, 0);
    first_effect(s, "RCPT TO:<a@b>\r\n", SMTP_EFFECT_RCPT, &e);
    assert_int_equal(e.rcpt.notify, 0);
    assert_int_equal(e.rcpt.orcpt.len, 0);
    smtp_session_free(s);
}

static void xclient_and_xforward_tell_their_facts(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    const struct smtp_client trusted = { .may_xclient = true, .may_xforward = true };
    struct smtp_session *s = smtp_session_new(&rig_smtp, &trusted, 0);
    rig_feed(s, "EHLO c\r\n", 0, trace, NULL);
    struct smtp_effect e;
    first_effect(s, "XFORWARD IDENT=4f+2D1 ADDR=IPV6:2001:DB8::1\r\n", SMTP_EFFECT_XFORWARD, &e);
    assert_slice(e.facts.value[SMTP_FACT_IDENT], "4f-1");
    assert_slice(e.facts.value[SMTP_FACT_ADDR], "2001:db8::1");
    assert_int_equal(e.facts.given, SMTP_FACT_BIT(SMTP_FACT_IDENT) | SMTP_FACT_BIT(SMTP_FACT_ADDR));
    assert_string_equal(smtp_session_helo(s), "c");
    first_effect(s, "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=x+20y\r\n", SMTP_EFFECT_XCLIENT, &e);
    assert_slice(e.facts.value[SMTP_FACT_ADDR], "192.0.2.1");
    assert_slice(e.facts.value[SMTP_FACT_HELO], "x y");
    assert_int_equal(e.facts.unavailable, SMTP_FACT_BIT(SMTP_FACT_NAME));
    smtp_session_free(s);
}

/* Who is another client may be offered something else, and has not been offered what the former one was. */
static void nothing_is_read_before_a_new_client_is_known(void **state)
{
    (void)state;
    static const char input[] =
        "XCLIENT HELO=h.example PROTO=ESMTP\r\nAUTH PLAIN\r\nMAIL FROM:<> AUTH=<>\r\n";
    const size_t line = strlen("XCLIENT HELO=h.example PROTO=ESMTP\r\n");
    const struct smtp_client trusted = { .may_xclient = true, .mechanisms = "PLAIN" };
    struct smtp_session *s = smtp_session_new(&rig_smtp, &trusted, 0);
    g_autoptr(GString) trace = g_string_new(NULL);
    rig_feed(s, "EHLO c\r\n", 0, trace, NULL);
    g_string_truncate(trace, 0);
    assert_int_equal(smtp_session_feed(s, slice_str(input), 0), line);
    struct smtp_effect e;
    assert_true(smtp_session_next(s, &e));
    assert_int_equal(e.kind, SMTP_EFFECT_XCLIENT);
    smtp_session_set_mechanisms(s, NULL);
    rig_feed(s, input + line, 0, trace, NULL);
    assert_trace(trace, "220 refused 503 refused 555 ");
    smtp_session_free(s);
}

static const struct hello_row {
    const char *name, *xclient;
    const char *helo; /* what the session then has of it */
    bool extended;
    const char *phase;
} hello_rows[] = {
    { "XCLIENT without HELO forgets it", "XCLIENT ADDR=192.0.2.1 PROTO=ESMTP\r\n", "", false, "start" },
    { "XCLIENT with HELO is as if it had been said", "XCLIENT HELO=h.example\r\n", "h.example", false,
      "ready" },
    { "XCLIENT with HELO of SMTP", "XCLIENT PROTO=smtp HELO=[192.0.2.1]\r\n", "[192.0.2.1]", false, "ready" },
    { "XCLIENT with HELO of ESMTP", "XCLIENT PROTO=esmtp HELO=h.example\r\n", "h.example", true, "ready" },
    { "XCLIENT with HELO that is no Domain", "XCLIENT HELO=h_+20x PROTO=ESMTP\r\n", "", false, "start" },
    { "XCLIENT with HELO that nobody knows", "XCLIENT HELO=[UNAVAILABLE]\r\n", "", false, "start" },
};

static void check_hello(void **state)
{
    const struct hello_row *row = *state;
    g_autoptr(GString) trace = g_string_new(NULL);
    const struct smtp_client trusted = { .may_xclient = true };
    struct smtp_session *s = smtp_session_new(&rig_smtp, &trusted, 0);
    rig_feed(s, "EHLO c\r\n", 0, trace, NULL);
    rig_feed(s, row->xclient, 0, trace, NULL);
    assert_trace(trace, "220 250 xclient 220 ");
    assert_string_equal(smtp_session_helo(s), row->helo);
    assert_int_equal(smtp_session_is_extended(s), row->extended);
    assert_string_equal(smtp_session_phase(s), row->phase);
    smtp_session_free(s);
}

/* ---- unknown recipients ---- */

static const struct stranger_row {
    const char *name;
    enum smtp_outcome outcome;
    bool counts;
} stranger_rows[] = {
    { "an unknown mailbox is a stranger", SMTP_NO_SUCH_MAILBOX, true },
    { "and an unknown domain", SMTP_NO_SUCH_DOMAIN, true },
    { "but not what cannot be looked up", SMTP_LOCAL_ERROR, false },
    { "nor who is known", SMTP_RECIPIENT_OK, false },
};

/* Its own reply comes first; and the transaction is gone. */
static void check_strangers(void **state)
{
    const struct stranger_row *row = *state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *code = g_strdup_printf("%u ", smtp_outcome_code(row->outcome));
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
    for (uint64_t i = 0; i <= rig_smtp.limits.strangers; i++) {
        uint64_t ticket = 0;
        assert_string_equal(smtp_session_phase(s), "mail");
        rig_feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
        g_string_truncate(trace, 0);
        rig_answer(s, ticket, row->outcome, trace);
        g_autofree char *last = g_strconcat(code, "reset 421 end ", NULL);
        assert_trace(trace, row->counts && i == rig_smtp.limits.strangers ? last : code);
    }
    assert_int_equal(smtp_session_deadline(s), row->counts ? MSEC_NEVER : 300000);
    smtp_session_free(s);
}

/* For the log: a message that is refused, or a mere line while one is on its way. */
static void a_refusal_tells_a_line_from_a_message(void **state)
{
    (void)state;
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
    g_autoptr(GString) trace = g_string_new(NULL);
    rig_feed(s, "BDAT 1\r\nx", 0, trace, NULL);
    struct smtp_effect e;
    first_effect(s, "\r\n", SMTP_EFFECT_REFUSED, &e);
    assert_non_null(e.bytes.data);
    first_effect(s, "RCPT TO:<c@b>\r\n", SMTP_EFFECT_REFUSED, &e);
    assert_slice(e.bytes, "RCPT TO:<c@b>");
    first_effect(s, "BDAT 1000000\r\n", SMTP_EFFECT_REFUSED, &e);
    assert_null(e.bytes.data);
    smtp_session_free(s);
}

/* What was refused is told in words that fit a log line, however long it was. */
static void refusals_tell_a_bounded_line(void **state)
{
    (void)state;
    g_autofree char *line = g_strdup_printf("%4000s\r\n", "x");
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    struct smtp_effect greeting;
    assert_true(smtp_session_next(s, &greeting));
    struct smtp_effect e;
    first_effect(s, line, SMTP_EFFECT_REFUSED, &e);
    assert_int_equal(e.outcome, SMTP_LINE_TOO_LONG);
    assert_int_equal(e.bytes.len, 64);
    smtp_session_free(s);
}

static const struct refusal_row {
    const char *name, *line;
} refusal_rows[] = {
    { "a refused MAIL is told whole", "MAIL FROM:<> FOO=bar" },
    { "a refused RCPT is told whole", "RCPT TO:<a@b>" },
    { "a refused BDAT is told whole", "BDAT 0 LAST" },
    { "a refused DATA is told whole", "data " },
    { "a refused LHLO is told whole", "LHLO c" },
    { "a refused EHLO is told whole", " EHLO (" },
    { "a refused XCLIENT is told whole", "XCLIENT ADDR=127.0.0.1" },
    { "an unknown command is told whole", " FOO bar" },
    { "a bad size is told whole", "BDAT x" },
};

/* The log's reader sees what the peer said, and not our reading of it. */
static void check_refusal(void **state)
{
    const struct refusal_row *row = *state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *line = g_strconcat(row->line, "\r\n", NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    rig_feed(s, "EHLO c\r\n", 0, trace, NULL);
    struct smtp_effect e;
    first_effect(s, line, SMTP_EFFECT_REFUSED, &e);
    assert_slice(e.bytes, row->line);
    smtp_session_free(s);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/session");
    suite_add(s, "pipelined commands wait for answers", pipelined_commands_wait_for_answers, NULL);
    suite_add(s, "an old ticket is ignored", an_old_ticket_is_ignored, NULL);
    suite_add(s, "LMTP takes one answer a recipient", lmtp_takes_one_answer_a_recipient, NULL);
    suite_add(s, "an endless line is not kept", an_endless_line_is_not_kept, NULL);
    suite_add(s, "the rest of a long line says nothing", the_rest_of_a_long_line_says_nothing, NULL);
    suite_add(s, "what must be kept is bounded", what_must_be_kept_is_bounded, NULL);
    suite_add(s, "a chunk that cannot be read ends the session", a_chunk_that_cannot_be_read_ends_the_session,
              NULL);
    suite_add(s, "a line too long may be a chunk", a_line_too_long_may_be_a_chunk, NULL);
    suite_add(s, "another word is no chunk", another_word_is_no_chunk, NULL);
    suite_add_rows(s, chunk_rows, check_chunks);
    suite_add(s, "DATA with BINARYMIME resets", data_with_binarymime_resets, NULL);
    suite_add(s, "a header too large resets behind OPEN", a_header_too_large_resets_behind_open, NULL);
    suite_add(s, "nothing is taken while a question is open", nothing_is_taken_while_a_question_is_open,
              NULL);
    suite_add(s, "MAIL and RCPT tell their parameters", mail_and_rcpt_tell_their_parameters, NULL);
    suite_add(s, "without parameters there are none", without_parameters_there_are_none, NULL);
    suite_add(s, "XCLIENT and XFORWARD tell their facts", xclient_and_xforward_tell_their_facts, NULL);
    suite_add(s, "nothing is read before a new client is known", nothing_is_read_before_a_new_client_is_known,
              NULL);
    suite_add_rows(s, hello_rows, check_hello);
    suite_add_rows(s, stranger_rows, check_strangers);
    suite_add_rows(s, refusal_rows, check_refusal);
    suite_add(s, "a refusal tells a line from a message", a_refusal_tells_a_line_from_a_message, NULL);
    suite_add(s, "refusals tell a bounded line", refusals_tell_a_bounded_line, NULL);
    return suite_run(s, argc, argv);
}
