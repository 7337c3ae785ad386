/* STARTTLS and AUTH, as their owner sees them: which questions are asked, with what in them, and what of a
 * refused line is told. Dialogues show the replies. */
#include "suite.h"

#include <glib.h>

#include "session_rig.h"

static const struct smtp_client anybody = { .tls = SMTP_TLS_OFFERED,
                                            .mechanisms = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" };

/* ---- what is asked, and what is told ---- */

static const struct row {
    const char *name, *input;
    const char *want; /* effects, with their bytes in brackets; replies by their codes */
} rows[] = {
    { "an initial response", "EHLO c\r\nAUTH PLAIN AGEAYg==\r\n", "220 250 auth[PLAIN AGEAYg==] 235 " },
    { "none", "EHLO c\r\nAUTH PLAIN\r\nAGEAYg==\r\n", "220 250 auth[PLAIN -] 334 response[AGEAYg==] 235 " },
    { "an empty one", "EHLO c\r\nAUTH PLAIN =\r\n", "220 250 auth[PLAIN ] 235 " },
    { "an empty response", "EHLO c\r\nAUTH PLAIN\r\n\r\n", "220 250 auth[PLAIN -] 334 response[] 235 " },
    { "a mechanism in lower case", "EHLO c\r\nauth scram-sha-256 bixh\r\n",
      "220 250 auth[scram-sha-256 bixh] 235 " },
    { "wrong credentials", "EHLO c\r\nAUTH LOGIN\r\nAA==\r\nNOOP\r\n",
      "220 250 auth[LOGIN -] 334 response[AA==] 535 250 " },
    { "cancelled", "EHLO c\r\nAUTH PLAIN\r\n*\r\nNOOP\r\n",
      "220 250 auth[PLAIN -] 334 cancel refused[] 501 250 " },
    { "a response that is no Base64", "EHLO c\r\nAUTH PLAIN\r\nsecret!\r\nNOOP\r\n",
      "220 250 auth[PLAIN -] 334 cancel refused[] 501 250 " },
    { "a response with control characters", "EHLO c\r\nAUTH PLAIN\r\n\x01secret\r\nNOOP\r\n",
      "220 250 auth[PLAIN -] 334 cancel refused[] 501 250 " },
    { "a response like another protocol", "EHLO c\r\nAUTH PLAIN\r\nSSH-2.0-secret\r\nNOOP\r\n",
      "220 250 auth[PLAIN -] 334 cancel refused[] 501 250 " },
    { "an initial response that is no Base64", "EHLO c\r\nAUTH PLAIN secret!\r\n",
      "220 250 refused[AUTH PLAIN] 501 " },
    { "a mechanism that nobody offers", "EHLO c\r\nAUTH c2VjcmV0 c2VjcmV0\r\n",
      "220 250 refused[AUTH] 504 " },
    { "one that is the beginning of another", "EHLO c\r\nAUTH SCRAM c2VjcmV0\r\n",
      "220 250 refused[AUTH] 504 " },
    { "no mechanism", "EHLO c\r\nAUTH\r\n", "220 250 refused[AUTH] 501 " },
    { "a tab instead of a blank", "EHLO c\r\nAUTH PLAIN\tc2VjcmV0\r\n", "220 250 refused[AUTH] 504 " },
    { "a tab behind the verb", "EHLO c\r\nAUTH\tPLAIN c2VjcmV0\r\n", "220 250 refused[AUTH] 500 " },
    { "blanks in front", "EHLO c\r\n \tAUTH  PLAIN secret\r\n", "220 250 refused[AUTH  PLAIN] 501 " },
    { "more letters than AUTH", "EHLO c\r\nAUTHENTICATE secret\r\n", "220 250 refused[AUTH] 500 " },
    { "before EHLO", "AUTH PLAIN c2VjcmV0\r\n", "220 refused[AUTH PLAIN] 503 " },
    { "twice", "EHLO c\r\nAUTH PLAIN AGEAYg==\r\nAUTH PLAIN c2VjcmV0\r\n",
      "220 250 auth[PLAIN AGEAYg==] 235 refused[AUTH PLAIN] 503 " },
    { "responses behind an AUTH that was refused",
      "EHLO c\r\nAUTH X\r\nc2VjcmV0\r\nHELP\x01 me\r\nNOOP\r\nFOO\r\n",
      "220 250 refused[AUTH] 504 refused[] 500 refused[] 500 250 refused[FOO] 500 " },
    { "a response behind a failure", "EHLO c\r\nAUTH PLAIN AA==\r\nc2VjcmV0\r\n",
      "220 250 auth[PLAIN AA==] 535 refused[] 500 " },
    { "another command is told whole", "EHLO c\r\nAUTH X\r\nMAIL FROM:x\r\n",
      "220 250 refused[AUTH] 504 refused[MAIL FROM:x] 501 " },
    { "failures end the session",
      "EHLO c\r\nAUTH PLAIN AA==\r\nAUTH PLAIN AA==\r\nAUTH PLAIN AA==\r\nNOOP\r\n",
      "220 250 auth[PLAIN AA==] 535 auth[PLAIN AA==] 535 auth[PLAIN AA==] 535 421 end[] " },
    { "TLS", "STARTTLS\r\n", "220 220 starttls[] " },
};

static void note(GString *trace, const struct smtp_effect *e)
{
    static const char *const names[] = {
        [SMTP_EFFECT_STARTTLS] = "starttls",      [SMTP_EFFECT_AUTH] = "auth",
        [SMTP_EFFECT_AUTH_RESPONSE] = "response", [SMTP_EFFECT_AUTH_CANCEL] = "cancel",
        [SMTP_EFFECT_REFUSED] = "refused",        [SMTP_EFFECT_END] = "end",
    };
    g_autofree char *bytes = slice_dup(e->bytes), *initial = NULL;
    if (e->kind == SMTP_EFFECT_WRITE) {
        g_string_append_printf(trace, "%.3s ", bytes);
    } else if (e->kind == SMTP_EFFECT_AUTH) {
        initial = e->has_initial ? slice_dup(e->initial) : g_strdup("-");
        g_string_append_printf(trace, "auth[%s %s] ", bytes, initial);
    } else if (e->kind == SMTP_EFFECT_AUTH_CANCEL) {
        g_string_append(trace, "cancel ");
    } else {
        if (e->kind == SMTP_EFFECT_REFUSED)
            assert_non_null(e->bytes.data); /* or it would be a message that was refused */
        g_string_append_printf(trace, "%s[%s] ", names[e->kind], bytes);
    }
}

/* "AA==" is wrong, what is missing is asked for, and everything else is right. */
static struct smtp_verdict verdict_on(const struct smtp_effect *e)
{
    bool is_first = e->kind == SMTP_EFFECT_AUTH;
    struct slice said = is_first ? e->initial : e->bytes;
    if (is_first && !e->has_initial)
        return (struct smtp_verdict){ SMTP_AUTH_CHALLENGE, "VXNlcm5hbWU6" };
    return (struct smtp_verdict){ slice_equal_nocase(said, "AA==") ? SMTP_AUTH_FAILED : SMTP_AUTHENTICATED,
                                  NULL };
}

static void pull(struct smtp_session *s, GString *trace)
{
    struct smtp_effect e;
    while (smtp_session_next(s, &e)) {
        note(trace, &e);
        if (e.kind == SMTP_EFFECT_AUTH || e.kind == SMTP_EFFECT_AUTH_RESPONSE)
            smtp_session_answer(s, e.ticket, verdict_on(&e), 0);
    }
}

/* What is fed is in memory of its own size, which is gone when its effects are. */
static void feed(struct smtp_session *s, GString *kept, const char *bytes, size_t len, GString *trace)
{
    g_string_append_len(kept, bytes, (gssize)len);
    size_t taken;
    do {
        g_autofree uint8_t *copy = g_memdup2(kept->str, kept->len);
        taken = smtp_session_feed(s, slice_of(copy, kept->len), 0);
        pull(s, trace);
        g_string_erase(kept, 0, (gssize)taken);
    } while (taken > 0 && kept->len > 0);
}

/* In pieces of `first` octets, and then of `rest`. */
static void check_cut(const struct row *row, size_t first, size_t rest)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autoptr(GString) kept = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, &anybody, 0);
    pull(s, trace);
    size_t len = strlen(row->input);
    for (size_t at = 0, piece = first; at < len; at += piece, piece = rest)
        feed(s, kept, row->input + at, MIN(piece, len - at), trace);
    if (strcmp(trace->str, row->want) != 0)
        print_error("cut at %zu: %s\n", first, trace->str);
    assert_string_equal(trace->str, row->want);
    smtp_session_free(s);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    for (size_t first = 1; first <= strlen(row->input); first++)
        check_cut(row, first, SIZE_MAX / 2);
    check_cut(row, 1, 1);
}

/* ---- answers ---- */

static struct smtp_session *begin(const char *input, GString *trace, uint64_t *ret_ticket)
{
    struct smtp_session *s = smtp_session_new(&rig_smtp, &anybody, 0);
    assert_string_equal(rig_feed(s, input, 0, trace, ret_ticket), "");
    g_string_truncate(trace, 0);
    return s;
}

static void tickets_of_auth(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    uint64_t first = 0, second = 0;
    struct smtp_session *s = begin("EHLO c\r\nAUTH PLAIN\r\n", trace, &first);
    assert_true(smtp_session_is_waiting(s));
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
    rig_answer(s, first, SMTP_AUTH_CHALLENGE, trace);
    rig_answer(s, first, SMTP_AUTHENTICATED, trace); /* nothing is asked now */
    assert_trace(trace, "334 ");
    assert_false(smtp_session_is_authenticated(s));
    rig_feed(s, "AA==\r\n", 0, trace, &second);
    assert_true(second > first);
    rig_answer(s, first, SMTP_AUTHENTICATED, trace);
    assert_trace(trace, "response ");
    rig_answer(s, second, SMTP_AUTH_FAILED, trace);
    rig_answer(s, second, SMTP_AUTHENTICATED, trace);
    assert_trace(trace, "535 ");
    assert_false(smtp_session_is_authenticated(s));
    assert_string_equal(smtp_session_phase(s), "ready");
    smtp_session_free(s);
}

static void an_answer_to_what_was_cancelled_is_ignored(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    uint64_t first = 0, second = 0;
    struct smtp_session *s = begin("EHLO c\r\nAUTH PLAIN\r\n", trace, &first);
    rig_answer(s, first, SMTP_AUTH_CHALLENGE, trace);
    rig_feed(s, "*\r\nAUTH PLAIN\r\n", 0, trace, &second);
    assert_trace(trace, "334 cancel refused 501 auth ");
    rig_answer(s, first, SMTP_AUTHENTICATED, trace);
    assert_trace(trace, "");
    assert_true(smtp_session_is_waiting(s));
    smtp_session_free(s);
}

static void answer_challenge(struct smtp_session *s, uint64_t ticket, size_t len, GString *trace,
                             GString *reply)
{
    g_autofree char *detail = g_strnfill(len, 'A');
    struct smtp_effect e;
    smtp_session_answer(s, ticket, (struct smtp_verdict){ SMTP_AUTH_CHALLENGE, detail }, 0);
    while (smtp_session_next(s, &e)) {
        note(trace, &e);
        if (e.kind == SMTP_EFFECT_WRITE)
            g_string_append_len(reply, (const char *)e.bytes.data, (gssize)e.bytes.len);
    }
}

static void a_challenge_is_told_whole_or_not_at_all(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autoptr(GString) reply = g_string_new(NULL);
    uint64_t ticket = 0;
    struct smtp_session *s = begin("EHLO c\r\nAUTH PLAIN\r\n", trace, &ticket);
    answer_challenge(s, ticket, SMTP_CHALLENGE_MAX, trace, reply);
    g_autofree char *longest = g_strnfill(SMTP_CHALLENGE_MAX, 'A');
    g_autofree char *want = g_strdup_printf("334 %s\r\n", longest);
    assert_string_equal(reply->str, want);
    rig_feed(s, "AA==\r\n", 0, trace, &ticket);
    g_string_truncate(trace, 0);
    answer_challenge(s, ticket, SMTP_CHALLENGE_MAX + 1, trace, reply);
    assert_trace(trace, "cancel refused[] 500 ");
    assert_string_equal(smtp_session_phase(s), "ready");
    smtp_session_free(s);
}

/* It is wanted of the client, so that it is here, if only not now. */
static void auth_that_is_required_and_not_offered(void **state)
{
    (void)state;
    const struct smtp_client required = { .auth_required = true };
    const struct smtp_client inside = { .auth_required = true, .auth_in_tls = true, .tls = SMTP_TLS_OFFERED };
    g_autoptr(GString) trace = g_string_new(NULL);
    static const char input[] = "EHLO c\r\nMAIL FROM:<>\r\nAUTH PLAIN AGEAYg==\r\n";
    struct smtp_session *s = smtp_session_new(&rig_smtp, &required, 0);
    assert_string_equal(rig_feed(s, input, 0, trace, NULL), "");
    assert_trace(trace, "220 250 refused 530 refused 454 ");
    smtp_session_free(s);
    s = smtp_session_new(&rig_smtp, &inside, 0);
    assert_string_equal(rig_feed(s, input, 0, trace, NULL), "");
    assert_trace(trace, "220 250 refused 530 refused 538 ");
    smtp_session_free(s);
}

/* ---- TLS ---- */

static void tls_forgets_what_was_said(void **state)
{
    (void)state;
    g_autoptr(GString) trace = g_string_new(NULL);
    uint64_t ticket = 0;
    struct smtp_session *s = begin("EHLO c\r\nAUTH PLAIN AA==\r\n", trace, &ticket);
    rig_answer(s, ticket, SMTP_AUTHENTICATED, trace);
    assert_true(smtp_session_is_authenticated(s) && smtp_session_is_extended(s));
    const char *rest = rig_feed(s, "STARTTLS\r\nEHLO evil\r\n", 0, trace, NULL);
    assert_string_equal(rest, "EHLO evil\r\n");
    assert_string_equal(rig_feed(s, rest, 0, trace, NULL), rest);
    assert_trace(trace, "235 220 starttls ");
    assert_true(smtp_session_is_waiting(s));
    assert_false(smtp_session_is_secure(s));
    assert_int_equal(smtp_session_deadline(s), MSEC_NEVER);
    rig_answer(s, ticket, SMTP_AUTH_FAILED, trace); /* of before */
    smtp_session_tick(s, 86400000);
    smtp_session_secured(s, "EXTERNAL", 86400000);
    rig_pull(s, trace, NULL);
    assert_trace(trace, "");
    assert_true(smtp_session_is_secure(s));
    assert_false(smtp_session_is_waiting(s) || smtp_session_is_authenticated(s) ||
                 smtp_session_is_extended(s));
    assert_string_equal(smtp_session_helo(s), "");
    assert_int_equal(smtp_session_deadline(s), 86400000 + 300000);
    rig_feed(s, "EHLO c\r\nAUTH PLAIN AA==\r\nAUTH EXTERNAL =\r\n", 86400000, trace, NULL);
    assert_trace(trace, "250 refused 504 auth ");
    smtp_session_free(s);
}

static void requiretls_is_told(void **state)
{
    (void)state;
    const struct smtp_client inside = { .tls = SMTP_TLS_ACTIVE };
    struct smtp_session *s = smtp_session_new(&rig_smtp, &inside, 0);
    static const char text[] = "EHLO c\r\nMAIL FROM:<> REQUIRETLS\r\nRSET\r\nMAIL FROM:<>\r\n";
    struct slice in = slice_str(text);
    struct smtp_effect e;
    unsigned mails = 0;
    for (size_t taken; (taken = smtp_session_feed(s, in, 0)) > 0; in = slice_skip(in, taken))
        while (smtp_session_next(s, &e))
            if (e.kind == SMTP_EFFECT_MAIL)
                assert_int_equal(e.mail.require_tls, mails++ == 0);
    assert_int_equal(mails, 2);
    smtp_session_free(s);
}

/* ---- bounds ---- */

/* Octet by octet, so that what is left is as much as may ever be. */
static void check_kept(const struct smtp_client *client, const char *before, const char *line, size_t most)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    g_autoptr(GString) kept = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(&rig_smtp, client, 0);
    pull(s, trace);
    feed(s, kept, before, strlen(before), trace);
    size_t longest = 0;
    for (const char *c = line; *c != '\0'; c++) {
        g_string_append_c(kept, *c);
        size_t taken = smtp_session_feed(s, slice_of(kept->str, kept->len), 0);
        g_string_erase(kept, 0, (gssize)taken);
        longest = MAX(longest, kept->len);
    }
    assert_int_equal(longest, most);
    smtp_session_free(s);
}

static void what_must_be_kept_of_auth_is_bounded(void **state)
{
    (void)state;
    g_autofree char *digits = g_strnfill(14000, 'A');
    g_autofree char *line = g_strconcat("AUTH PLAIN ", digits, NULL);
    check_kept(&anybody, "EHLO c\r\n", line, SMTP_KEEP_MAX - 2);
    check_kept(&anybody, "EHLO c\r\nAUTH PLAIN\r\n", digits, SMTP_KEEP_MAX - 2);
    check_kept(&anybody, "EHLO c\r\n", digits, 2048 - 2);
    check_kept(&rig_client, "EHLO c\r\n", line, 2048 - 2);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/secure");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "tickets of AUTH", tickets_of_auth, NULL);
    suite_add(s, "an answer to what was cancelled is ignored", an_answer_to_what_was_cancelled_is_ignored,
              NULL);
    suite_add(s, "a challenge is told whole or not at all", a_challenge_is_told_whole_or_not_at_all, NULL);
    suite_add(s, "AUTH that is required and not offered", auth_that_is_required_and_not_offered, NULL);
    suite_add(s, "TLS forgets what was said", tls_forgets_what_was_said, NULL);
    suite_add(s, "REQUIRETLS is told", requiretls_is_told, NULL);
    suite_add(s, "what must be kept of AUTH is bounded", what_must_be_kept_of_auth_is_bounded, NULL);
    return suite_run(s, argc, argv);
}
