/*
 * Checked of every session:
 *  - replies are lines "DDD-text" or "DDD text" of printable ASCII, of at most 512 octets, with one code,
 * which is the outcome's; behind it an enhanced code of the same class, where RFC 2034 has one;
 *  - a client that counts its replies never loses step (steps.h), and what it sent is what is stored;
 *  - AUTH, its responses and its end come in their order, and STARTTLS where it was offered;
 *  - MAIL, RCPT, OPEN, APPEND, FINISH and RESET come in their order; a message never outgrows its limit;
 *  - each question is answered just as often as its protocol wants it, and while it is open nothing is taken;
 *  - addresses, names and facts hold no control characters;
 *  - what is not taken is little, time never stands still where nobody is waited for, and END is the last of
 * all.
 */
#include "talk.h"

#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "steps.h"

enum { START_MS = 86400000 }; /* so that a deadline reckoned from 0 is seen */

struct talk {
    struct talk_options options;
    struct smtp_session *session;
    struct steps *steps;
    msec_t now;
    GByteArray *kept; /* what the session did not take yet */
    bool paused, ended;
    unsigned last_code;
    /* the open question */
    enum { QUESTION_NONE, QUESTION_RCPT, QUESTION_FINISH, QUESTION_AUTH, QUESTION_TLS } question;
    uint64_t ticket;   /* of it, or the last one */
    uint64_t wanted;   /* answers */
    unsigned answered; /* so many answers were given, of all */
    bool in_exchange;  /* of AUTH */
    /* the transaction */
    bool in_mail, open, utf8;
    uint64_t accepted;
    GString *message;
    GString *transcript;
};

/* ---- bytes ---- */

static bool is_lmtp(const struct talk *t)
{
    return t->options.service->protocol == SMTP_PROTOCOL_LMTP;
}

static void check_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        pst_assert(text.data[i] >= ' ' && text.data[i] != 0x7f);
}

static void note(struct talk *t, const char *what)
{
    g_string_append_printf(t->transcript, "%s\n", what);
}

/* ---- replies ---- */

/* "2.1.5 ", "5.7.11 " */
static bool has_enhanced_code(const char *text, unsigned class)
{
    bool two = g_ascii_isdigit(text[4]) && g_ascii_isdigit(text[5]);
    return g_ascii_digit_value(text[0]) == (int)class && text[1] == '.' && g_ascii_isdigit(text[2]) &&
           text[3] == '.' && g_ascii_isdigit(text[4]) && text[two ? 6 : 5] == ' ';
}

static void check_line(const char *line, size_t len, unsigned code, bool last)
{
    pst_assert(len >= 4 && len + 2 <= 512);
    for (size_t i = 0; i < len; i++)
        pst_assert(line[i] >= ' ' && line[i] < 0x7f);
    pst_assert(g_ascii_strtoull(line, NULL, 10) == code && line[3] == (last ? ' ' : '-'));
}

static void on_write(struct talk *t, const struct smtp_effect *e)
{
    unsigned code = smtp_outcome_code(e->outcome);
    g_autofree char *text = slice_dup(e->bytes);
    pst_assert(strlen(text) == e->bytes.len && g_str_has_suffix(text, "\r\n"));
    for (const char *line = text, *end; *line != '\0'; line = end + 2) {
        end = strstr(line, "\r\n");
        check_line(line, (size_t)(end - line), code, end[2] == '\0');
    }
    bool bare = code == 220 || code / 100 == 3 || e->outcome == SMTP_HELLO; /* RFC 2034 4 */
    pst_assert(bare || has_enhanced_code(text + 4, code / 100));
    t->last_code = code;
    steps_reply(t->steps, code);

    /* Which fault of a message is found first depends on how it comes. */
    bool refused = e->outcome == SMTP_TOO_BIG || e->outcome == SMTP_BARE_CR_OR_LF ||
                   e->outcome == SMTP_HEADER_TOO_LARGE || e->outcome == SMTP_TOO_MANY_FIELDS;
    note(t, refused ? "refused" : text);
}

/* ---- questions ---- */

static enum smtp_outcome next_answer(struct talk *t)
{
    static const enum smtp_outcome of_recipient[] = { SMTP_RECIPIENT_OK, SMTP_RECIPIENT_OK,
                                                      SMTP_NO_SUCH_MAILBOX, SMTP_LOCAL_ERROR };
    static const enum smtp_outcome of_message[] = { SMTP_DELIVERED, SMTP_DELIVERED, SMTP_DISK_FULL,
                                                    SMTP_LOCAL_ERROR };
    static const enum smtp_outcome of_auth[] = { SMTP_AUTHENTICATED, SMTP_AUTH_CHALLENGE, SMTP_AUTH_FAILED,
                                                 SMTP_AUTH_MALFORMED };
    unsigned choice = t->options.answers[t->answered++ % G_N_ELEMENTS(t->options.answers)];
    return t->question == QUESTION_RCPT   ? of_recipient[choice % G_N_ELEMENTS(of_recipient)]
           : t->question == QUESTION_AUTH ? of_auth[choice % G_N_ELEMENTS(of_auth)]
                                          : of_message[choice % G_N_ELEMENTS(of_message)];
}

static void ask(struct talk *t, int question, uint64_t ticket, uint64_t wanted)
{
    pst_assert(t->question == QUESTION_NONE && ticket > t->ticket);
    t->question = question;
    t->ticket = ticket;
    t->wanted = wanted;
}

/* What is kept is not thrown away, as an owner has to: as if the client had waited with it. So it makes no
 * difference how it was cut. */
static void give_tls(struct talk *t)
{
    t->question = QUESTION_NONE;
    t->options.client.tls = SMTP_TLS_ACTIVE;
    t->options.client.mechanisms = TALK_MECHANISMS;
    smtp_session_secured(t->session, TALK_MECHANISMS, t->now);
    pst_assert(smtp_session_is_secure(t->session) && !smtp_session_is_authenticated(t->session));
}

/* Gives one answer; its effects are to be pulled. */
static void give_answer(struct talk *t)
{
    if (t->question == QUESTION_TLS) {
        give_tls(t);
        return;
    }
    enum smtp_outcome outcome = next_answer(t);
    t->in_exchange &= t->question != QUESTION_AUTH || outcome == SMTP_AUTH_CHALLENGE;
    t->accepted += t->question == QUESTION_RCPT && smtp_outcome_code(outcome) < 400;
    if (--t->wanted == 0)
        t->question = QUESTION_NONE;
    struct smtp_verdict verdict = { .outcome = outcome, .detail = "4F2A.1" };
    smtp_session_answer(t->session, t->ticket, verdict, t->now);
}

/* ---- effects ---- */

static void on_finish(struct talk *t, const struct smtp_effect *e)
{
    pst_assert(t->open && t->accepted > 0);
    struct slice want = steps_message(t->steps);
    pst_assert(slice_equal(slice_of(t->message->str, t->message->len), want));
    pst_assert(!steps_message_is_bad(t->steps));
    g_string_append_len(t->transcript, t->message->str, (gssize)t->message->len);
    note(t, "FINISH");
    ask(t, QUESTION_FINISH, e->ticket, is_lmtp(t) ? t->accepted : 1);
    t->open = t->in_mail = false;
}

static void on_append(struct talk *t, struct slice bytes)
{
    pst_assert(t->open && bytes.len > 0);
    pst_assert(bytes.len <= t->options.service->limits.message_size - t->message->len);
    g_string_append_len(t->message, (const char *)bytes.data, (gssize)bytes.len);
}

static void on_mail(struct talk *t, const struct smtp_effect *e)
{
    const struct smtp_client *client = &t->options.client;
    pst_assert(!t->in_mail && e->mail.size <= t->options.service->limits.message_size);
    pst_assert(client->tls != SMTP_TLS_REQUIRED);
    pst_assert(!client->auth_required || smtp_session_is_authenticated(t->session));
    pst_assert(!e->mail.require_tls || client->tls == SMTP_TLS_ACTIVE);
    check_text(e->mail.envid);
    t->in_mail = true;
    t->utf8 = e->mail.utf8;
    t->accepted = 0;
    g_string_truncate(t->message, 0);
}

static void on_rcpt(struct talk *t, const struct smtp_effect *e)
{
    pst_assert(t->in_mail && !t->open && !smtp_address_is_null(&e->address));
    check_text(e->rcpt.orcpt);
    ask(t, QUESTION_RCPT, e->ticket, 1);
}

/* Of either. */
static void on_envelope(struct talk *t, const struct smtp_effect *e)
{
    char text[SMTP_ADDRESS_TEXT];
    if (e->kind == SMTP_EFFECT_MAIL)
        on_mail(t, e);
    else
        on_rcpt(t, e);
    struct slice address = slice_str(smtp_address_format(&e->address, text));
    check_text(address);
    pst_assert(t->utf8 ? g_utf8_validate_len(text, address.len, NULL) : g_str_is_ascii(text));
    note(t, text);
}

/* Whatever a client says of another goes into headers and logs. */
static void on_facts(struct talk *t, const struct smtp_effect *e, unsigned allowed, bool may)
{
    const struct smtp_facts *f = &e->facts;
    pst_assert(may && !t->in_mail && f->given != 0);
    pst_assert((f->given & ~allowed) == 0 && (f->unavailable & ~f->given) == 0);
    for (unsigned i = 0; i < SMTP_FACTS; i++) {
        bool has = (f->given & ~f->unavailable & SMTP_FACT_BIT(i)) != 0;
        pst_assert(has || f->value[i].len == 0);
        for (size_t k = 0; k < f->value[i].len; k++)
            pst_assert(f->value[i].data[k] >= ' ' && f->value[i].data[k] < 0x7f);
        g_string_append_len(t->transcript, (const char *)f->value[i].data, (gssize)f->value[i].len);
        note(t, "");
    }
}

static void on_starttls(struct talk *t)
{
    enum smtp_tls tls = t->options.client.tls;
    pst_assert(tls == SMTP_TLS_OFFERED || tls == SMTP_TLS_REQUIRED);
    pst_assert(!t->in_mail && !t->in_exchange && t->question == QUESTION_NONE);
    t->question = QUESTION_TLS;
}

static void on_auth(struct talk *t, const struct smtp_effect *e)
{
    bool is_first = e->kind == SMTP_EFFECT_AUTH;
    pst_assert(!t->in_mail && t->in_exchange != is_first && !smtp_session_is_authenticated(t->session));
    pst_assert(t->options.client.mechanisms != NULL);
    g_autofree char *bytes = slice_dup(e->bytes), *initial = slice_dup(is_first ? e->initial : e->bytes);
    g_autofree char *mechanism = g_ascii_strup(bytes, -1);
    pst_assert(!is_first || g_str_equal(mechanism, "PLAIN") || g_str_equal(mechanism, "X-LONG"));
    pst_assert(strspn(initial, "+/=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") ==
               strlen(initial));
    note(t, bytes);
    note(t, initial);
    t->in_exchange = true;
    ask(t, QUESTION_AUTH, e->ticket, 1);
}

static void on_refused(const struct smtp_effect *e)
{
    pst_assert(smtp_outcome_code(e->outcome) >= 400);
    g_free(slice_dup(e->bytes)); /* it can be read */
}

static void on_end(struct talk *t, const struct smtp_effect *e)
{
    pst_assert(t->last_code == 221 || t->last_code == 421 || t->last_code == 554);
    pst_assert(smtp_outcome_code(e->outcome) == t->last_code);
    pst_assert(!g_str_equal(smtp_session_phase(t->session), "ended")); /* it is the one before */
    pst_assert(!t->in_mail && !t->open && !t->in_exchange);
    note(t, "END");
    t->ended = true;
}

static void on_effect(struct talk *t, const struct smtp_effect *e)
{
    pst_assert(!t->ended);
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        on_write(t, e);
        break;
    case SMTP_EFFECT_MAIL:
    case SMTP_EFFECT_RCPT:
        on_envelope(t, e);
        break;
    case SMTP_EFFECT_STARTTLS:
        on_starttls(t);
        break;
    case SMTP_EFFECT_AUTH:
    case SMTP_EFFECT_AUTH_RESPONSE:
        on_auth(t, e);
        break;
    case SMTP_EFFECT_AUTH_CANCEL:
        pst_assert(t->in_exchange && t->question == QUESTION_NONE);
        t->in_exchange = false;
        break;
    case SMTP_EFFECT_XCLIENT:
        on_facts(t, e, SMTP_XCLIENT_FACTS, t->options.client.may_xclient);
        /* Each is offered what the one before was not. */
        t->options.client.mechanisms = t->options.client.mechanisms == NULL ? TALK_MECHANISMS : NULL;
        smtp_session_set_mechanisms(t->session, t->options.client.mechanisms);
        break;
    case SMTP_EFFECT_XFORWARD:
        on_facts(t, e, SMTP_XFORWARD_FACTS, t->options.client.may_xforward);
        break;
    case SMTP_EFFECT_OPEN:
        pst_assert(t->in_mail && !t->open && t->accepted > 0);
        t->open = true;
        break;
    case SMTP_EFFECT_APPEND:
        on_append(t, e->bytes);
        break;
    case SMTP_EFFECT_FINISH:
        on_finish(t, e);
        break;
    case SMTP_EFFECT_RESET:
        pst_assert(t->in_mail);
        t->in_mail = t->open = false;
        note(t, "RESET");
        break;
    case SMTP_EFFECT_REFUSED:
        on_refused(e);
        break;
    case SMTP_EFFECT_END:
        on_end(t, e);
        break;
    }
}

/* ---- calls ---- */

static void check_between_calls(const struct talk *t)
{
    bool waiting = smtp_session_is_waiting(t->session);
    pst_assert(waiting == (t->question != QUESTION_NONE));
    bool timeless = waiting || t->ended || t->paused;
    pst_assert((smtp_session_deadline(t->session) == MSEC_NEVER) == timeless);
    check_text(slice_str(smtp_session_helo(t->session)));
    if (t->last_code == 0)
        return; /* not greeted yet */
    if (t->ended)
        pst_assert(steps_unasked(t->steps) <= 1);
    else
        pst_assert(waiting || steps_are_even(t->steps));
}

/* Until it is dry. True when there was something. */
static bool pull(struct talk *t)
{
    bool any = false;
    struct smtp_effect effect;
    memset(&effect, 0xa5, sizeof effect);
    while (smtp_session_next(t->session, &effect)) {
        any = true;
        on_effect(t, &effect);
        if (!t->options.answers_late && t->question != QUESTION_NONE)
            give_answer(t);
    }
    check_between_calls(t);
    return any;
}

/* One feed of all that is there, in a copy that is gone when its effects are. */
static bool feed_once(struct talk *t)
{
    struct slice in = slice_of(t->kept->data, t->kept->len);
    uint8_t *copy = fuzz_copy(in);
    bool idle = t->question != QUESTION_NONE && !t->ended;
    size_t taken = smtp_session_feed(t->session, slice_of(copy, in.len), t->now);
    pst_assert(taken <= in.len && (!idle || taken == 0));
    steps_take(t->steps, slice_first(in, taken));
    g_byte_array_remove_range(t->kept, 0, (guint)taken);
    bool any = pull(t);
    free(copy);
    return any || taken > 0;
}

static void feed(struct talk *t)
{
    if (t->paused)
        return;
    while (t->kept->len > 0 && feed_once(t))
        ;
    pst_assert(t->question != QUESTION_NONE || t->kept->len <= SMTP_KEEP_MAX);
}

void talk_hear(struct talk *t, struct slice bytes)
{
    if (bytes.len > 0)
        g_byte_array_append(t->kept, bytes.data, (guint)bytes.len);
    feed(t);
}

void talk_answer(struct talk *t)
{
    if (t->question == QUESTION_NONE)
        return;
    give_answer(t);
    (void)pull(t);
    feed(t);
}

void talk_answer_stale(struct talk *t)
{
    uint64_t ticket = t->question == QUESTION_NONE ? t->ticket : t->ticket - 1;
    smtp_session_answer(t->session, ticket, (struct smtp_verdict){ .outcome = SMTP_DELIVERED, .detail = "x" },
                        t->now);
    pst_assert(!pull(t));
}

void talk_wait(struct talk *t, msec_t time, bool ticks)
{
    t->now += time;
    if (!ticks)
        return;
    smtp_session_tick(t->session, t->now);
    (void)pull(t);
    pst_assert(smtp_session_deadline(t->session) > t->now);
}

void talk_pause(struct talk *t, bool paused)
{
    t->paused = paused;
    smtp_session_set_paused(t->session, paused, t->now);
    (void)pull(t);
    feed(t);
}

void talk_shut(struct talk *t)
{
    smtp_session_shut(t->session, SMTP_SHUTTING_DOWN, t->now);
    (void)pull(t);
}

void talk_settle(struct talk *t)
{
    talk_pause(t, false);
    while (t->question != QUESTION_NONE)
        talk_answer(t);
}

/* ---- a talk ---- */

struct talk *talk_new(const struct talk_options *options)
{
    struct talk *t = g_new0(struct talk, 1);
    t->options = *options;
    t->now = START_MS;
    t->steps = steps_new(is_lmtp(t), options->service->limits.command_length);
    t->kept = g_byte_array_new();
    t->message = g_string_new(NULL);
    t->transcript = g_string_new(NULL);
    t->session = smtp_session_new(options->service, &options->client, t->now);
    (void)pull(t);
    return t;
}

void talk_free(struct talk *t)
{
    smtp_session_free(t->session);
    steps_free(t->steps);
    g_byte_array_free(t->kept, TRUE);
    g_string_free(t->message, TRUE);
    g_string_free(t->transcript, TRUE);
    g_free(t);
}

const GString *talk_transcript(const struct talk *t)
{
    return t->transcript;
}

unsigned talk_last_code(const struct talk *t)
{
    return t->last_code;
}
