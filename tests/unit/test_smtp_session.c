/* What dialogues cannot say of the session: tickets, deadlines, bounds, the order of effects. */
#include "suite.h"

#include <glib.h>

#include "smtp/session.h"

static const struct smtp_service smtp = {
    .protocol = SMTP_PROTOCOL_SMTP,
    .hostname = "mx.example.org",
    .limits = { .message_size = 100000,
                .header_size = 100000,
                .header_fields = 1000,
                .recipients = 100,
                .command_length = 2048,
                .commands = 1000000,
                .messages = 1000,
                .errors = 5,
                .command_timeout = 300000,
                .data_timeout = 600000 },
};
static const struct smtp_service lmtp = {
    .protocol = SMTP_PROTOCOL_LMTP,
    .hostname = "mx.example.org",
    .limits = { .message_size = 100000,
                .header_size = 100000,
                .header_fields = 1000,
                .recipients = 100,
                .command_length = 2048,
                .commands = 1000000,
                .messages = 1000,
                .errors = 5,
                .command_timeout = 300000,
                .data_timeout = 600000 },
};

static const struct smtp_client client;

/* A word for each effect: a reply's code, or the effect's name. */
static void pull(struct smtp_session *s, GString *trace, uint64_t *ret_ticket)
{
    static const char *const names[] = {
        [SMTP_EFFECT_MAIL] = "mail",       [SMTP_EFFECT_RCPT] = "rcpt",     [SMTP_EFFECT_OPEN] = "open",
        [SMTP_EFFECT_APPEND] = "append",   [SMTP_EFFECT_FINISH] = "finish", [SMTP_EFFECT_RESET] = "reset",
        [SMTP_EFFECT_REFUSED] = "refused", [SMTP_EFFECT_END] = "end"
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

static void what_must_be_kept_is_bounded(void **state)
{
    (void)state;
    for (size_t len = 1; len < 2000; len++) {
        g_autoptr(GString) trace = g_string_new(NULL);
        g_autofree char *part = g_strnfill(len, 'M');
        struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
        const char *rest = feed(s, part, 0, trace, NULL);
        assert_true(strlen(rest) <= SMTP_KEEP_MAX);
        smtp_session_free(s);
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

/* Whatever the phase: the owner learns that the transaction is gone before it learns of the end. */
static void a_timeout_ends_the_transaction(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "EHLO c\r\nMAIL FROM:<>\r\n",
        "EHLO c\r\nMAIL FROM:<>\r\nBDAT 5\r\nab", /* thrown away, for there is no recipient */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autoptr(GString) trace = g_string_new(NULL);
        struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
        feed(s, scripts[i], 0, trace, NULL);
        g_string_truncate(trace, 0);
        smtp_session_tick(s, smtp_session_deadline(s));
        pull(s, trace, NULL);
        assert_trace(trace, "reset 421 end ");
        smtp_session_free(s);
    }
}

/* Its octets would be taken for commands. */
static void a_chunk_that_cannot_be_read_ends_the_session(void **state)
{
    (void)state;
    g_autofree char *blanks = g_strnfill(5000, ' ');
    g_autofree char *too_long = g_strdup_printf("bdat 6 LAST%s\r\nQUIT\r\n", blanks);
    const char *const lines[] = { "BDAT 6 LAST\x01\r\nQUIT\r\n", "BDAT 6\nLAST\r\nQUIT\r\n", too_long };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
        for (size_t cut = 0; cut < strlen(lines[i]); cut++) {
            g_autoptr(GString) trace = g_string_new(NULL);
            g_autofree char *first = g_strndup(lines[i], cut);
            struct smtp_session *s = smtp_session_new(&smtp, &client, 0);
            g_autofree char *rest = g_strconcat(feed(s, first, 0, trace, NULL), lines[i] + cut, NULL);
            feed(s, rest, 0, trace, NULL);
            assert_trace(trace, "220 refused 500 421 end ");
            smtp_session_free(s);
        }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/session");
    suite_add(s, "pipelined commands wait for answers", pipelined_commands_wait_for_answers, NULL);
    suite_add(s, "an old ticket is ignored", an_old_ticket_is_ignored, NULL);
    suite_add(s, "LMTP takes one answer a recipient", lmtp_takes_one_answer_a_recipient, NULL);
    suite_add(s, "deadlines", deadlines, NULL);
    suite_add(s, "a timeout ends the transaction", a_timeout_ends_the_transaction, NULL);
    suite_add(s, "an endless line is not kept", an_endless_line_is_not_kept, NULL);
    suite_add(s, "what must be kept is bounded", what_must_be_kept_is_bounded, NULL);
    suite_add(s, "shutting lets a transaction finish", shutting_lets_a_transaction_finish, NULL);
    suite_add(s, "shutting waits a moment for a message", shutting_waits_a_moment_for_a_message, NULL);
    suite_add(s, "shutting ends an idle session", shutting_ends_an_idle_session, NULL);
    suite_add(s, "a chunk that cannot be read ends the session", a_chunk_that_cannot_be_read_ends_the_session,
              NULL);
    return suite_run(s, argc, argv);
}
