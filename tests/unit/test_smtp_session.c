/* What dialogues cannot say of the session: tickets, deadlines, bounds, the order of effects. */
#include "suite.h"

#include <glib.h>

#include "smtp/session.h"

#define LIMITS                                                                                               \
    {                                                                                                        \
        .message_size = 100000, .header_size = 100000, .header_fields = 1000, .recipients = 100,             \
        .command_length = 2048, .commands = 1000000, .messages = 1000, .errors = 5, .strangers = 10,         \
        .command_timeout = 300000, .data_timeout = 600000                                                    \
    }

static const struct smtp_service smtp = { .protocol = SMTP_PROTOCOL_SMTP,
                                          .hostname = "mx.example.org",
                                          .limits = LIMITS };
static const struct smtp_service lmtp = { .protocol = SMTP_PROTOCOL_LMTP,
                                          .hostname = "mx.example.org",
                                          .limits = LIMITS };

static const struct smtp_client client;

/* A word for each effect: a reply's code, or the effect's name. */
static void pull(struct smtp_session *s, GString *trace, uint64_t *ret_ticket)
{
    static const char *const names[] = {
        [SMTP_EFFECT_MAIL] = "mail",       [SMTP_EFFECT_RCPT] = "rcpt",
        [SMTP_EFFECT_OPEN] = "open",       [SMTP_EFFECT_APPEND] = "append",
        [SMTP_EFFECT_FINISH] = "finish",   [SMTP_EFFECT_RESET] = "reset",
        [SMTP_EFFECT_REFUSED] = "refused", [SMTP_EFFECT_END] = "end",
        [SMTP_EFFECT_XCLIENT] = "xclient", [SMTP_EFFECT_XFORWARD] = "xforward",
    };
    struct smtp_effect e;
    while (smtp_session_next(s, &e)) {
        if (e.kind == SMTP_EFFECT_WRITE)
            g_string_append_printf(trace, "%.3s ", (const char *)e.bytes.data);
        else
            g_string_append_printf(trace, "%s ", names[e.kind]);
        if (ret_ticket != NULL && (e.kind == SMTP_EFFECT_RCPT || e.kind == SMTP_EFFECT_FINISH))
            *ret_ticket = e.ticket;
    }
}

/* Feeds until nothing more is taken. What is left of `text` is returned. */
static const char *feed(struct smtp_session *s, const char *text, msec_t now, GString *trace,
                        uint64_t *ret_ticket)
{
    size_t taken;
    do {
        taken = smtp_session_feed(s, slice_str(text), now);
        pull(s, trace, ret_ticket);
        text += taken;
    } while (taken > 0 && *text != '\0');
    return text;
}

#define assert_trace(trace, want) (assert_string_equal((trace)->str, want), g_string_truncate(trace, 0))

static void answer(struct smtp_session *s, uint64_t ticket, enum smtp_outcome outcome, GString *trace)
{
    smtp_session_answer(s, ticket, (struct smtp_verdict){ .outcome = outcome, .detail = "id" }, 0);
    pull(s, trace, NULL);
}

static void pipelined_commands_wait_for_answers(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    uint64_t ticket = 0;
    const char *rest =
        feed(s, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n", 0, trace, &ticket);
    assert_trace(trace, "220 250 mail 250 rcpt ");
    assert_true(smtp_session_is_waiting(s));
    assert_string_equal(rest, "DATA\r\nx\r\n.\r\nQUIT\r\n");
    assert_string_equal(feed(s, rest, 0, trace, &ticket), rest);
    assert_trace(trace, "");
    answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    assert_trace(trace, "250 ");
    rest = feed(s, rest, 0, trace, &ticket);
    assert_trace(trace, "open 354 append finish ");
    assert_string_equal(rest, "QUIT\r\n");
    answer(s, ticket, SMTP_DELIVERED, trace);
    feed(s, rest, 0, trace, NULL);
    assert_trace(trace, "250 221 end ");
    smtp_session_free(s);
}

static void an_old_ticket_is_ignored(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    uint64_t first = 0, second = 0;
    feed(s, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 0, trace, &first);
    answer(s, first, SMTP_NO_SUCH_MAILBOX, trace);
    feed(s, "RCPT TO:<c@b>\r\n", 0, trace, &second);
    g_string_truncate(trace, 0);
    answer(s, first, SMTP_RECIPIENT_OK, trace);
    assert_trace(trace, "");
    assert_true(smtp_session_is_waiting(s));
    answer(s, second, SMTP_RECIPIENT_OK, trace);
    answer(s, second, SMTP_RECIPIENT_OK, trace); /* and once is enough */
    assert_trace(trace, "250 ");
    smtp_session_free(s);
}

static void lmtp_takes_one_answer_a_recipient(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&lmtp, &client, 0);
    uint64_t ticket = 0;
    feed(s, "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 0, trace, &ticket);
    answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
    answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    feed(s, "DATA\r\n.\r\n", 0, trace, &ticket);
    g_string_truncate(trace, 0);
    answer(s, ticket, SMTP_DELIVERED, trace);
    assert_true(smtp_session_is_waiting(s));
    answer(s, ticket, SMTP_DISK_FULL, trace);
    assert_false(smtp_session_is_waiting(s));
    assert_trace(trace, "250 452 ");
    smtp_session_free(s);
}

static void deadlines(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&smtp, &client, 1000);
    uint64_t ticket = 0;
    assert_int_equal(smtp_session_deadline(s), 301000);
    feed(s, "EHLO c\r\n", 2000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 302000);
    feed(s, "MAI", 3000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 302000); /* a dripping command wins no time */
    feed(s, "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 4000, trace, &ticket);
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER); /* it is ours to answer */
    smtp_session_tick(s, 10000000);
    smtp_session_answer(s, ticket, (struct smtp_verdict){ .outcome = SMTP_RECIPIENT_OK }, 5000);
    pull(s, trace, NULL);
    feed(s, "DATA\r\n", 6000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 606000);
    feed(s, "x", 7000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 607000);
    g_string_truncate(trace, 0);
    smtp_session_tick(s, 606999);
    pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_tick(s, 607000);
    pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
    smtp_session_free(s);
}

static void an_endless_line_is_not_kept(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *part = g_strnfill(10000, 'x');
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    for (int i = 0; i < 100; i++)
        assert_string_equal(feed(s, part, 0, trace, NULL), "");
    assert_trace(trace, "220 ");
    assert_int_equal(smtp_session_deadline(s), 300000);
    feed(s, "\r\nNOOP\r\n", 0, trace, NULL);
    assert_trace(trace, "refused 500 250 ");
    smtp_session_free(s);
}

/* Also where a feed begins with what would be TLS, were it the start of a line. */
static void the_rest_of_a_long_line_says_nothing(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *part = g_strnfill(5000, 'x');
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    assert_string_equal(feed(s, part, 0, trace, NULL), "");
    assert_string_equal(feed(s, "\x16\x03\x01 GET / HTTP/1.1\r\nNOOP\r\n", 0, trace, NULL), "");
    assert_trace(trace, "220 refused 500 250 ");
    smtp_session_free(s);
}

/* `part` is fed to a fresh session behind `before`; what it leaves is within the bound. */
static void check_kept(const struct smtp_service *service, const char *before, const char *part)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(service, &client, 0);
    (void)feed(s, before, 0, trace, NULL);
    const char *rest = feed(s, part, 0, trace, NULL);
    assert_true(strlen(rest) <= service->limits.command_length - 1 && strlen(rest) <= SMTP_KEEP_MAX);
    smtp_session_free(s);
}

static void what_must_be_kept_is_bounded(void **state)
{
    (void)state;
    struct smtp_service service = smtp;
    for (service.limits.command_length = 2048; service.limits.command_length <= SMTP_KEEP_MAX;
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

static void shutting_lets_a_transaction_finish(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    uint64_t ticket = 0;
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    feed(s, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 0, trace, &ticket);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 0);
    pull(s, trace, NULL);
    answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    feed(s, "DATA\r\nx\r\n.\r\n", 0, trace, &ticket);
    g_string_truncate(trace, 0);
    answer(s, ticket, SMTP_DELIVERED, trace);
    assert_trace(trace, "250 421 end ");
    smtp_session_free(s);
}

static void shutting_ends_an_idle_session(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    feed(s, "EHLO c\r\nMAIL FROM:<>\r\n", 0, trace, NULL);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 0);
    pull(s, trace, NULL);
    g_string_truncate(trace, 0);
    feed(s, "RSET\r\nNOOP\r\n", 0, trace, NULL);
    assert_trace(trace, "reset 250 421 end ");
    smtp_session_free(s);
}

static void shutting_waits_a_moment_for_a_message(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    feed(s, "EHLO c\r\nMAIL FROM:<>\r\n", 0, trace, NULL);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 1000);
    pull(s, trace, NULL);
    g_string_truncate(trace, 0);
    assert_int_equal(smtp_session_deadline(s), 6000);
    smtp_session_tick(s, 6000);
    pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    smtp_session_free(s);
}

/* Whatever the phase: the owner learns, once, that the transaction is gone before it learns of the end. */
static void a_timeout_ends_the_transaction(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "EHLO c\r\nMAIL FROM:<>\r\n",
        "EHLO c\r\nMAIL FROM:<>\r\nBDAT 5\r\nab", /* thrown away, for there is no recipient */
        "EHLO c\r\nMAIL FROM:<>\r\nBDAT 5 LAST\r\nab",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autoptr(GString) trace = g_string_new(NULL);
        struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
        feed(s, scripts[i], 0, trace, NULL);
        smtp_session_tick(s, smtp_session_deadline(s));
        pull(s, trace, NULL);
        assert_trace(trace,
                     i == 0 ? "220 250 mail 250 reset 421 end " : "220 250 mail 250 refused reset 421 end ");
        smtp_session_free(s);
    }
}

/* `line` is fed to a fresh session, cut in two at `cut`. */
static void check_cut_line(const char *line, size_t cut, const char *want)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autofree char *first = g_strndup(line, cut);
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    g_autofree char *rest = g_strconcat(feed(s, first, 0, trace, NULL), line + cut, NULL);
    feed(s, rest, 0, trace, NULL);
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

/* A session whose transaction has one recipient, who was taken; all at time 0. */
static struct smtp_session *session_with_recipient(const struct smtp_service *service, const char *mail)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(service, &client, 0);
    uint64_t ticket = 0;
    feed(s, service->protocol == SMTP_PROTOCOL_LMTP ? "LHLO c\r\n" : "EHLO c\r\n", 0, trace, NULL);
    feed(s, mail, 0, trace, NULL);
    feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
    answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    assert_trace(trace, "220 250 mail 250 rcpt 250 ");
    return s;
}

/* ---- time ---- */

static void a_pause_stops_the_clock(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
    feed(s, "DATA\r\nx\r\n", 1000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 601000);
    smtp_session_set_paused(s, true, 2000);
    smtp_session_set_paused(s, true, 500000); /* it is already */
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
    g_string_truncate(trace, 0);
    smtp_session_tick(s, 50000000); /* long after the deadline */
    pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_set_paused(s, false, 50000000);
    assert_int_equal(smtp_session_deadline(s), 50599000); /* what was left, and no less */
    smtp_session_set_paused(s, false, 60000000);
    assert_int_equal(smtp_session_deadline(s), 50599000);
    smtp_session_tick(s, 50598999);
    pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_tick(s, 50599000);
    pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    smtp_session_free(s);
}

/* The owner pauses at an APPEND, and the message's end was in the same segment. */
static void a_message_may_end_while_paused(void **state)
{
    (void)state;
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
    const char *text = "BDAT 1 LAST\r\nx";
    size_t taken = smtp_session_feed(s, slice_str(text), 1000);
    assert_int_equal(taken, strlen(text));
    struct smtp_effect e;
    while (smtp_session_next(s, &e) && e.kind != SMTP_EFFECT_APPEND)
        assert_int_equal(e.kind, SMTP_EFFECT_OPEN);
    smtp_session_set_paused(s, true, 2000);
    assert_true(smtp_session_next(s, &e));
    assert_int_equal(e.kind, SMTP_EFFECT_FINISH);
    smtp_session_set_paused(s, false, 900000);
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
    smtp_session_answer(s, e.ticket, (struct smtp_verdict){ SMTP_DELIVERED, "id" }, 1000000);
    assert_int_equal(smtp_session_deadline(s), 1300000);
    smtp_session_free(s);
}

/* A clock that begins in a pause begins to run at its end. */
static void a_pause_before_the_clock_began_is_no_gift(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
    feed(s, "BDAT 1\r\nx", 0, trace, NULL);
    smtp_session_set_paused(s, true, 1000);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 100000);
    smtp_session_set_paused(s, false, 101000);
    assert_int_equal(smtp_session_deadline(s), 106000);
    smtp_session_free(s);
}

static const struct rate_row {
    const char *name;
    uint64_t rate;
    unsigned octets;
    size_t piece;
} rate_rows[] = {
    { "a rate of one octet", 1, 400, 1 },
    { "a rate that divides no second", 3, 1000, 1 },
    { "another", 7, 3000, 1 },
    { "the default", 100, 40000, 1 },
    { "a rate of one and a half octets a millisecond", 1500, 600000, 1 },
    { "a prime, a million times", 10007, 1000000, 1 },
    { "a rate that many pieces do not reach", 1000003, 1000000, 1 },
    { "pieces of seven", 10007, 999999, 7 },
};

/* However small the pieces, together they buy the time that one large piece would have bought. */
static void check_rate(void **state)
{
    const struct rate_row *row = *state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = smtp;
    service.limits.data_rate = row->rate;
    service.limits.message_size = service.limits.header_size = UINT64_MAX;
    struct smtp_session *s = session_with_recipient(&service, "MAIL FROM:<>\r\n");
    feed(s, "BDAT 100000000\r\n", 0, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600000);
    static const char octets[7] = "xxxxxxx";
    struct smtp_effect e;
    for (unsigned sent = 0; sent < row->octets; sent += (unsigned)row->piece) {
        assert_int_equal(smtp_session_feed(s, slice_of(octets, row->piece), 590000), row->piece);
        while (smtp_session_next(s, &e))
            assert_int_equal(e.kind, SMTP_EFFECT_APPEND);
    }
    assert_int_equal(smtp_session_deadline(s), 600000 + row->octets * UINT64_C(1000) / row->rate);
    smtp_session_free(s);
}

static void time_that_is_bought_has_an_end(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = smtp;
    service.limits.data_rate = 1;
    struct smtp_session *s = session_with_recipient(&service, "MAIL FROM:<>\r\n");
    g_autofree char *line = g_strnfill(90000, 'x');
    feed(s, "DATA\r\n", 0, trace, NULL);
    feed(s, line, 1000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 601000);
    smtp_session_free(s);
}

static void between_chunks_the_clock_goes_on(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = smtp;
    service.limits.data_rate = 100;
    struct smtp_session *s = session_with_recipient(&service, "MAIL FROM:<>\r\n");
    feed(s, "BDAT 1\r\nx", 0, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600000);
    feed(s, "BDAT 1\r\n", 100000, trace, NULL); /* eight octets are worth 80 ms */
    assert_int_equal(smtp_session_deadline(s), 600080);
    feed(s, "x", 200000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600090);
    feed(s, "NOOP\r\n", 300000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600150);
    feed(s, "RSET\r\n", 400000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 700000);
    smtp_session_free(s);
}

/* ---- shutting down ---- */

static void shutting_waits_a_moment_between_chunks(void **state)
{
    const uint64_t *rate = *state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = smtp;
    service.limits.data_rate = *rate;
    struct smtp_session *s = session_with_recipient(&service, "MAIL FROM:<>\r\n");
    feed(s, "BDAT 1\r\nx", 0, trace, NULL);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 1000);
    assert_int_equal(smtp_session_deadline(s), 6000);
    feed(s, "BDAT 2\r\n", 2000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 602000); /* a chunk is on its way */
    feed(s, "xx", 3000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 8000);
    g_string_truncate(trace, 0);
    smtp_session_tick(s, 7999);
    pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_tick(s, 8000);
    pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    smtp_session_free(s);
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
        struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
        g_autoptr(GString) input = g_string_new_len(row->input, (gssize)cut);
        const char *rest = feed(s, input->str, 0, trace, NULL);
        g_string_erase(input, 0, rest - input->str);
        g_string_append(input, row->input + cut);
        assert_string_equal(feed(s, input->str, 0, trace, NULL), "");
        assert_trace(trace, row->want);
        smtp_session_free(s);
    }
}

static void data_with_binarymime_resets(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<> BODY=BINARYMIME\r\n");
    feed(s, "DATA\r\n", 0, trace, NULL);
    assert_trace(trace, "refused reset 503 ");
    assert_string_equal(smtp_session_phase(s), "failed");
    feed(s, "BDAT 1 LAST\r\nxRSET\r\nMAIL FROM:<>\r\n", 0, trace, NULL);
    assert_trace(trace, "refused 503 250 mail 250 ");
    smtp_session_free(s);
}

static void a_header_too_large_resets_behind_open(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = smtp;
    service.limits.header_fields = 1;
    struct smtp_session *s = session_with_recipient(&service, "MAIL FROM:<>\r\n");
    feed(s, "BDAT 10\r\nA: x\r\nB: x", 0, trace, NULL);
    assert_trace(trace, "open refused reset 554 ");
    assert_string_equal(smtp_session_phase(s), "failed");
    feed(s, "BDAT 0 LAST\r\nRSET\r\n", 0, trace, NULL);
    assert_trace(trace, "refused 503 250 ");
    smtp_session_free(s);
}

static void nothing_is_taken_while_a_question_is_open(void **state)
{
    (void)state;
    static const char *const rests[] = { "N", "NOOP\r\n", "BDAT 1\r\nx", "\x16\x03", "\r\n" };
    for (size_t i = 0; i < G_N_ELEMENTS(rests); i++) {
        g_autoptr(GString) trace = g_string_new(NULL);
        struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
        uint64_t ticket = 0;
        feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
        assert_int_equal(smtp_session_feed(s, slice_str(rests[i]), 0), 0);
        answer(s, ticket, SMTP_RECIPIENT_OK, trace);
        feed(s, "BDAT 0 LAST\r\n", 0, trace, &ticket);
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
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    feed(s, "EHLO c\r\n", 0, trace, NULL);
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
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    feed(s, "EHLO c\r\nMAIL FROM:<> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a\r\nRSET\r\n", 0, trace,
         NULL);
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
    struct smtp_session *s = smtp_session_new(&smtp, &trusted, 0);
    feed(s, "EHLO c\r\n", 0, trace, NULL);
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
    struct smtp_session *s = smtp_session_new(&smtp, &trusted, 0);
    feed(s, "EHLO c\r\n", 0, trace, NULL);
    feed(s, row->xclient, 0, trace, NULL);
    assert_trace(trace, "220 250 xclient 220 ");
    assert_string_equal(smtp_session_helo(s), row->helo);
    assert_int_equal(smtp_session_is_extended(s), row->extended);
    assert_string_equal(smtp_session_phase(s), row->phase);
    smtp_session_free(s);
}

/* ---- the end ---- */

static const struct end_row {
    const char *name, *input;
    msec_t wait; /* behind the input; 0: no tick */
    enum smtp_outcome why;
    const char *phase;
} end_rows[] = {
    { "QUIT ends an idle session", "EHLO c\r\nQUIT\r\n", 0, SMTP_BYE, "ready" },
    { "QUIT before HELO", "QUIT\r\n", 0, SMTP_BYE, "start" },
    { "silence before HELO", "", 300000, SMTP_TIMEOUT, "start" },
    { "silence in a transaction", "EHLO c\r\nMAIL FROM:<>\r\n", 300000, SMTP_TIMEOUT, "mail" },
    { "silence in a chunk that is thrown away", "EHLO c\r\nBDAT 2\r\nx", 600000, SMTP_TIMEOUT, "skipping" },
    { "an error too many", "A\r\nA\r\nA\r\nA\r\nA\r\n", 0, SMTP_TOO_MANY_ERRORS, "start" },
    { "a foreign protocol", "EHLO c\r\nGET / HTTP/1.1\r\n", 0, SMTP_FOREIGN_PROTOCOL, "ready" },
    { "a chunk without a size", "EHLO c\r\nMAIL FROM:<>\r\nBDAT\r\n", 0, SMTP_OUT_OF_STEP, "mail" },
};

/* The last effect of `s`, which is pulled dry. */
static struct smtp_effect last_effect(struct smtp_session *s)
{
    struct smtp_effect e = { 0 };
    while (smtp_session_next(s, &e))
        continue;
    return e;
}

static void check_end(void **state)
{
    const struct end_row *row = *state;
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    struct smtp_effect e = last_effect(s);
    for (const char *rest = row->input; *rest != '\0'; e = last_effect(s))
        rest += smtp_session_feed(s, slice_str(rest), 0);
    if (row->wait > 0) {
        assert_int_not_equal(e.kind, SMTP_EFFECT_END);
        smtp_session_tick(s, row->wait);
        e = last_effect(s);
    }
    assert_int_equal(e.kind, SMTP_EFFECT_END);
    assert_string_equal(smtp_outcome_name(e.outcome), smtp_outcome_name(row->why));
    assert_string_equal(smtp_session_phase(s), row->phase);
    smtp_session_free(s);
}

static void the_end_tells_that_it_was_shut_or_too_slow(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = smtp;
    service.limits.data_rate = 100;
    struct smtp_session *s = session_with_recipient(&service, "MAIL FROM:<>\r\n");
    feed(s, "DATA\r\n", 0, trace, NULL);
    feed(s, "x", 599000, trace, NULL);
    smtp_session_tick(s, 600010);
    assert_int_equal(last_effect(s).outcome, SMTP_TOO_SLOW);
    assert_string_equal(smtp_session_phase(s), "data");
    smtp_session_free(s);

    s = smtp_session_new(&smtp, &client, 0);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 0);
    assert_int_equal(last_effect(s).outcome, SMTP_SHUTTING_DOWN);
    assert_string_equal(smtp_session_phase(s), "start");
    smtp_session_free(s);
}

/* What pauses and shuts is the owner's doing: it makes nobody less silent. */
static void silence_is_the_peers(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
    feed(s, "DATA\r\nx", 0, trace, NULL);
    smtp_session_set_paused(s, true, 1000);
    smtp_session_set_paused(s, false, 2000);
    smtp_session_tick(s, 601000);
    assert_int_equal(last_effect(s).outcome, SMTP_TIMEOUT);
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
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
    for (uint64_t i = 0; i <= smtp.limits.strangers; i++) {
        uint64_t ticket = 0;
        assert_string_equal(smtp_session_phase(s), "mail");
        feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
        g_string_truncate(trace, 0);
        answer(s, ticket, row->outcome, trace);
        g_autofree char *last = g_strconcat(code, "reset 421 end ", NULL);
        assert_trace(trace, row->counts && i == smtp.limits.strangers ? last : code);
    }
    assert_int_equal(smtp_session_deadline(s), row->counts ? MSEC_NEVER : 300000);
    smtp_session_free(s);
}

/* For the log: a message that is refused, or a mere line while one is on its way. */
static void a_refusal_tells_a_line_from_a_message(void **state)
{
    (void)state;
    struct smtp_session *s = session_with_recipient(&smtp, "MAIL FROM:<>\r\n");
    g_autoptr(GString) trace = g_string_new(NULL);
    feed(s, "BDAT 1\r\nx", 0, trace, NULL);
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
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
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
    struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
    feed(s, "EHLO c\r\n", 0, trace, NULL);
    struct smtp_effect e;
    first_effect(s, line, SMTP_EFFECT_REFUSED, &e);
    assert_slice(e.bytes, row->line);
    smtp_session_free(s);
}

int main(int argc, char **argv)
{
    static uint64_t any_rate = 0, some_rate = 100;
    struct suite *s = suite_new("smtp/session");
    suite_add(s, "pipelined commands wait for answers", pipelined_commands_wait_for_answers, NULL);
    suite_add(s, "an old ticket is ignored", an_old_ticket_is_ignored, NULL);
    suite_add(s, "LMTP takes one answer a recipient", lmtp_takes_one_answer_a_recipient, NULL);
    suite_add(s, "deadlines", deadlines, NULL);
    suite_add(s, "a timeout ends the transaction", a_timeout_ends_the_transaction, NULL);
    suite_add(s, "an endless line is not kept", an_endless_line_is_not_kept, NULL);
    suite_add(s, "the rest of a long line says nothing", the_rest_of_a_long_line_says_nothing, NULL);
    suite_add(s, "what must be kept is bounded", what_must_be_kept_is_bounded, NULL);
    suite_add(s, "shutting lets a transaction finish", shutting_lets_a_transaction_finish, NULL);
    suite_add(s, "shutting waits a moment for a message", shutting_waits_a_moment_for_a_message, NULL);
    suite_add(s, "shutting ends an idle session", shutting_ends_an_idle_session, NULL);
    suite_add(s, "a chunk that cannot be read ends the session", a_chunk_that_cannot_be_read_ends_the_session,
              NULL);
    suite_add(s, "a line too long may be a chunk", a_line_too_long_may_be_a_chunk, NULL);
    suite_add(s, "another word is no chunk", another_word_is_no_chunk, NULL);
    suite_add(s, "a pause stops the clock", a_pause_stops_the_clock, NULL);
    suite_add(s, "a message may end while paused", a_message_may_end_while_paused, NULL);
    suite_add(s, "a pause before the clock began is no gift", a_pause_before_the_clock_began_is_no_gift,
              NULL);
    suite_add_rows(s, rate_rows, check_rate);
    suite_add(s, "time that is bought has an end", time_that_is_bought_has_an_end, NULL);
    suite_add(s, "between chunks the clock goes on", between_chunks_the_clock_goes_on, NULL);
    suite_add(s, "shutting waits a moment between chunks", shutting_waits_a_moment_between_chunks, &any_rate);
    suite_add(s, "shutting waits a moment between chunks, at a rate", shutting_waits_a_moment_between_chunks,
              &some_rate);
    suite_add_rows(s, chunk_rows, check_chunks);
    suite_add(s, "DATA with BINARYMIME resets", data_with_binarymime_resets, NULL);
    suite_add(s, "a header too large resets behind OPEN", a_header_too_large_resets_behind_open, NULL);
    suite_add(s, "nothing is taken while a question is open", nothing_is_taken_while_a_question_is_open,
              NULL);
    suite_add(s, "MAIL and RCPT tell their parameters", mail_and_rcpt_tell_their_parameters, NULL);
    suite_add(s, "without parameters there are none", without_parameters_there_are_none, NULL);
    suite_add(s, "XCLIENT and XFORWARD tell their facts", xclient_and_xforward_tell_their_facts, NULL);
    suite_add_rows(s, hello_rows, check_hello);
    suite_add_rows(s, end_rows, check_end);
    suite_add(s, "the end tells that it was shut or too slow", the_end_tells_that_it_was_shut_or_too_slow,
              NULL);
    suite_add(s, "silence is the peer's", silence_is_the_peers, NULL);
    suite_add_rows(s, stranger_rows, check_strangers);
    suite_add_rows(s, refusal_rows, check_refusal);
    suite_add(s, "a refusal tells a line from a message", a_refusal_tells_a_line_from_a_message, NULL);
    suite_add(s, "refusals tell a bounded line", refusals_tell_a_bounded_line, NULL);
    return suite_run(s, argc, argv);
}
