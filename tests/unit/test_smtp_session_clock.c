/* The session's clock: deadlines, pauses, the least rate, shutting down; and how it tells of its end. */
#include "suite.h"

#include <glib.h>

#include "session_rig.h"

/* ---- timeouts ---- */

static void deadlines(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 1000);
    uint64_t ticket = 0;
    assert_int_equal(smtp_session_deadline(s), 301000);
    rig_feed(s, "EHLO c\r\n", 2000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 302000);
    rig_feed(s, "MAI", 3000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 302000); /* a dripping command wins no time */
    rig_feed(s, "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 4000, trace, &ticket);
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER); /* it is ours to answer */
    smtp_session_tick(s, 10000000);
    smtp_session_answer(s, ticket, (struct smtp_verdict){ .outcome = SMTP_RECIPIENT_OK }, 5000);
    rig_pull(s, trace, NULL);
    rig_feed(s, "DATA\r\n", 6000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 606000);
    rig_feed(s, "x", 7000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 607000);
    g_string_truncate(trace, 0);
    smtp_session_tick(s, 606999);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_tick(s, 607000);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
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
        struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
        rig_feed(s, scripts[i], 0, trace, NULL);
        smtp_session_tick(s, smtp_session_deadline(s));
        rig_pull(s, trace, NULL);
        assert_trace(trace,
                     i == 0 ? "220 250 mail 250 reset 421 end " : "220 250 mail 250 refused reset 421 end ");
        smtp_session_free(s);
    }
}

/* ---- pauses, and time that octets buy ---- */

static void a_pause_stops_the_clock(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
    rig_feed(s, "DATA\r\nx\r\n", 1000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 601000);
    smtp_session_set_paused(s, true, 2000);
    smtp_session_set_paused(s, true, 500000); /* it is already */
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
    g_string_truncate(trace, 0);
    smtp_session_tick(s, 50000000); /* long after the deadline */
    rig_pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_set_paused(s, false, 50000000);
    assert_int_equal(smtp_session_deadline(s), 50599000); /* what was left, and no less */
    smtp_session_set_paused(s, false, 60000000);
    assert_int_equal(smtp_session_deadline(s), 50599000);
    smtp_session_tick(s, 50598999);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_tick(s, 50599000);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    smtp_session_free(s);
}

/* The owner pauses at an APPEND, and the message's end was in the same segment. */
static void a_message_may_end_while_paused(void **state)
{
    (void)state;
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
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
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
    rig_feed(s, "BDAT 1\r\nx", 0, trace, NULL);
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
    struct smtp_service service = rig_smtp;
    service.limits.data_rate = row->rate;
    service.limits.message_size = service.limits.header_size = UINT64_MAX;
    struct smtp_session *s = rig_with_recipient(&service, "MAIL FROM:<>\r\n");
    rig_feed(s, "BDAT 100000000\r\n", 0, trace, NULL);
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
    struct smtp_service service = rig_smtp;
    service.limits.data_rate = 1;
    struct smtp_session *s = rig_with_recipient(&service, "MAIL FROM:<>\r\n");
    g_autofree char *line = g_strnfill(90000, 'x');
    rig_feed(s, "DATA\r\n", 0, trace, NULL);
    rig_feed(s, line, 1000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 601000);
    smtp_session_free(s);
}

static void between_chunks_the_clock_goes_on(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = rig_smtp;
    service.limits.data_rate = 100;
    struct smtp_session *s = rig_with_recipient(&service, "MAIL FROM:<>\r\n");
    rig_feed(s, "BDAT 1\r\nx", 0, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600000);
    rig_feed(s, "BDAT 1\r\n", 100000, trace, NULL); /* eight octets are worth 80 ms */
    assert_int_equal(smtp_session_deadline(s), 600080);
    rig_feed(s, "x", 200000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600090);
    rig_feed(s, "NOOP\r\n", 300000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 600150);
    rig_feed(s, "RSET\r\n", 400000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 700000);
    smtp_session_free(s);
}

/* ---- shutting down ---- */

static void shutting_lets_a_transaction_finish(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    uint64_t ticket = 0;
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    rig_feed(s, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 0, trace, &ticket);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 0);
    rig_pull(s, trace, NULL);
    rig_answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    rig_feed(s, "DATA\r\nx\r\n.\r\n", 0, trace, &ticket);
    g_string_truncate(trace, 0);
    rig_answer(s, ticket, SMTP_DELIVERED, trace);
    assert_trace(trace, "250 421 end ");
    smtp_session_free(s);
}

static void shutting_ends_an_idle_session(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    rig_feed(s, "EHLO c\r\nMAIL FROM:<>\r\n", 0, trace, NULL);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 0);
    rig_pull(s, trace, NULL);
    g_string_truncate(trace, 0);
    rig_feed(s, "RSET\r\nNOOP\r\n", 0, trace, NULL);
    assert_trace(trace, "reset 250 421 end ");
    smtp_session_free(s);
}

static void shutting_waits_a_moment_for_a_message(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
    rig_feed(s, "EHLO c\r\nMAIL FROM:<>\r\n", 0, trace, NULL);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 1000);
    rig_pull(s, trace, NULL);
    g_string_truncate(trace, 0);
    assert_int_equal(smtp_session_deadline(s), 6000);
    smtp_session_tick(s, 6000);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
    smtp_session_free(s);
}

static void shutting_waits_a_moment_between_chunks(void **state)
{
    const uint64_t *rate = *state;
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_service service = rig_smtp;
    service.limits.data_rate = *rate;
    struct smtp_session *s = rig_with_recipient(&service, "MAIL FROM:<>\r\n");
    rig_feed(s, "BDAT 1\r\nx", 0, trace, NULL);
    smtp_session_shut(s, SMTP_SHUTTING_DOWN, 1000);
    assert_int_equal(smtp_session_deadline(s), 6000);
    rig_feed(s, "BDAT 2\r\n", 2000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 602000); /* a chunk is on its way */
    rig_feed(s, "xx", 3000, trace, NULL);
    assert_int_equal(smtp_session_deadline(s), 8000);
    g_string_truncate(trace, 0);
    smtp_session_tick(s, 7999);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "");
    smtp_session_tick(s, 8000);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "reset 421 end ");
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
    struct smtp_session *s = smtp_session_new(&rig_smtp, &rig_client, 0);
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
    struct smtp_service service = rig_smtp;
    service.limits.data_rate = 100;
    struct smtp_session *s = rig_with_recipient(&service, "MAIL FROM:<>\r\n");
    rig_feed(s, "DATA\r\n", 0, trace, NULL);
    rig_feed(s, "x", 599000, trace, NULL);
    smtp_session_tick(s, 600010);
    assert_int_equal(last_effect(s).outcome, SMTP_TOO_SLOW);
    assert_string_equal(smtp_session_phase(s), "data");
    smtp_session_free(s);

    s = smtp_session_new(&rig_smtp, &rig_client, 0);
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
    struct smtp_session *s = rig_with_recipient(&rig_smtp, "MAIL FROM:<>\r\n");
    rig_feed(s, "DATA\r\nx", 0, trace, NULL);
    smtp_session_set_paused(s, true, 1000);
    smtp_session_set_paused(s, false, 2000);
    smtp_session_tick(s, 601000);
    assert_int_equal(last_effect(s).outcome, SMTP_TIMEOUT);
    smtp_session_free(s);
}

int main(int argc, char **argv)
{
    static uint64_t any_rate = 0, some_rate = 100;
    struct suite *s = suite_new("smtp/session clock");
    suite_add(s, "deadlines", deadlines, NULL);
    suite_add(s, "a timeout ends the transaction", a_timeout_ends_the_transaction, NULL);
    suite_add(s, "shutting lets a transaction finish", shutting_lets_a_transaction_finish, NULL);
    suite_add(s, "shutting waits a moment for a message", shutting_waits_a_moment_for_a_message, NULL);
    suite_add(s, "shutting ends an idle session", shutting_ends_an_idle_session, NULL);
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
    suite_add_rows(s, end_rows, check_end);
    suite_add(s, "the end tells that it was shut or too slow", the_end_tells_that_it_was_shut_or_too_slow,
              NULL);
    suite_add(s, "silence is the peer's", silence_is_the_peers, NULL);
    return suite_run(s, argc, argv);
}
