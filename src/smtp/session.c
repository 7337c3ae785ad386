/*
 *                        MAIL            DATA           end
 *   START ──HELO──▶ READY ───▶ MAIL ─────────▶ DATA ───────▶ FINISHING ──answers──▶ READY
 *                     ▲        │  ▲  RCPT       │ refused       ▲                     ▲
 *                     └──RSET──┘  └──▶ ROUTING  ▼        end    │                     │
 *                              │   answer     DRAINING ───────────▶ REFUSING ─replies─┘
 *                              │ BDAT                           │
 *                              └──────▶ CHUNK ───last chunk─────┘
 *                                 BDAT ▲  │ end of a chunk
 *                                      │  ▼
 *                                    CHUNKING ──RSET──▶ READY
 *
 *   START, READY ──STARTTLS──▶ SECURING ──handshake──▶ START
 *
 *          READY ──AUTH──▶ AUTHENTICATING ──answer──▶ READY
 *                               ▲  │ challenge          ▲
 *                      response │  ▼                    │
 *                             CHALLENGED ──cancel───────┘
 *
 * A chunk that is refused, in whichever phase: SKIPPING, until its end; REFUSING, until its replies are out;
 * and then, if it was of a message and not the last, FAILED, until RSET. SILENT is before START, while the
 * greeting is held back. From everywhere, but where a question is open: ENDED, by QUIT, a timeout, too many
 * errors, or because the server shuts down.
 */
#include "smtp/session.h"

#include <glib.h>

#include "base/assert.h"
#include "smtp/session_internal.h"

const char *const smtp_protocol_names[] = { "smtp", "lmtp", NULL };

#define IN(phase) (1U << SMTP_PHASE_##phase)

#define MESSAGE (IN(DATA) | IN(DRAINING))
#define CHUNK   (IN(CHUNK) | IN(SKIPPING))

/* Where the client waits for us. */
#define WAITING (IN(SECURING) | IN(AUTHENTICATING) | IN(ROUTING) | IN(FINISHING))

/* Where a message is on its way; between two of its chunks, too. */
#define UNDERWAY (MESSAGE | CHUNK | IN(CHUNKING))

static const unsigned legal_next[] = {
    [SMTP_PHASE_SILENT] = IN(START) | IN(ENDED),
    [SMTP_PHASE_START] = IN(START) | IN(SECURING) | IN(READY) | IN(SKIPPING) | IN(ENDED),
    [SMTP_PHASE_SECURING] = IN(START),
    [SMTP_PHASE_READY] =
        IN(START) | IN(SECURING) | IN(READY) | IN(AUTHENTICATING) | IN(MAIL) | IN(SKIPPING) | IN(ENDED),
    [SMTP_PHASE_AUTHENTICATING] = IN(READY) | IN(CHALLENGED),
    [SMTP_PHASE_CHALLENGED] = IN(READY) | IN(AUTHENTICATING) | IN(ENDED),
    [SMTP_PHASE_MAIL] =
        IN(READY) | IN(ROUTING) | IN(DATA) | IN(CHUNK) | IN(SKIPPING) | IN(FAILED) | IN(ENDED),
    [SMTP_PHASE_ROUTING] = IN(MAIL) | IN(ENDED),
    [SMTP_PHASE_DATA] = IN(DRAINING) | IN(FINISHING) | IN(ENDED),
    [SMTP_PHASE_DRAINING] = IN(REFUSING) | IN(ENDED),
    [SMTP_PHASE_CHUNKING] = IN(READY) | IN(CHUNK) | IN(SKIPPING) | IN(FAILED) | IN(ENDED),
    [SMTP_PHASE_CHUNK] = IN(CHUNKING) | IN(SKIPPING) | IN(FINISHING) | IN(ENDED),
    [SMTP_PHASE_SKIPPING] = IN(REFUSING) | IN(ENDED),
    [SMTP_PHASE_FAILED] = IN(READY) | IN(SKIPPING) | IN(ENDED),
    [SMTP_PHASE_FINISHING] = IN(READY) | IN(ENDED),
    [SMTP_PHASE_REFUSING] = IN(START) | IN(READY) | IN(FAILED) | IN(ENDED),
    [SMTP_PHASE_ENDED] = 0,
};

static const char *const phase_names[] = {
    [SMTP_PHASE_SILENT] = "silent",
    [SMTP_PHASE_START] = "start",
    [SMTP_PHASE_SECURING] = "securing",
    [SMTP_PHASE_READY] = "ready",
    [SMTP_PHASE_AUTHENTICATING] = "authenticating",
    [SMTP_PHASE_CHALLENGED] = "challenged",
    [SMTP_PHASE_MAIL] = "mail",
    [SMTP_PHASE_ROUTING] = "routing",
    [SMTP_PHASE_DATA] = "data",
    [SMTP_PHASE_DRAINING] = "draining",
    [SMTP_PHASE_CHUNKING] = "chunking",
    [SMTP_PHASE_CHUNK] = "chunk",
    [SMTP_PHASE_SKIPPING] = "skipping",
    [SMTP_PHASE_FAILED] = "failed",
    [SMTP_PHASE_FINISHING] = "finishing",
    [SMTP_PHASE_REFUSING] = "refusing",
    [SMTP_PHASE_ENDED] = "ended",
};

/* ---- phases ---- */

void smtp_enter(struct smtp_session *s, enum smtp_phase next)
{
    pst_assert(legal_next[s->phase] & (1U << next));
    s->phase = next;
}

static bool is_in(const struct smtp_session *s, unsigned phases)
{
    return (phases & (1U << s->phase)) != 0;
}

/* Between commands, a client may take its time anew. */
static msec_t patience(const struct smtp_session *s)
{
    const struct smtp_limits *limits = &s->service->limits;
    if (is_in(s, WAITING | IN(ENDED))) /* ours to act, or nobody's */
        return MSEC_NEVER;
    if (is_in(s, IN(SILENT)))
        return s->client.greeting_delay;
    if (s->shutting && is_in(s, IN(MAIL) | IN(CHUNKING)))
        return SMTP_SHUT_GRACE_MS;
    return is_in(s, UNDERWAY) ? limits->data_timeout : limits->command_timeout;
}

static void restart_clock(struct smtp_session *s)
{
    msec_t left = patience(s);
    s->rate_rest = 0;
    if (s->paused)
        s->paused_at = s->now;
    s->deadline = left == MSEC_NEVER ? MSEC_NEVER : s->now + left;
}

/*
 * Within a message, what comes buys time, as much as it may take at the least rate, up to a whole timeout. So
 * one rule ends who is silent and who is too slow.
 */
static void extend_clock(struct smtp_session *s, size_t octets)
{
    const struct smtp_limits *limits = &s->service->limits;
    uint64_t rate = limits->data_rate;
    if (rate == 0) {
        restart_clock(s);
        return;
    }
    uint64_t worth = s->rate_rest + (uint64_t)octets * 1000;
    uint64_t bought = worth / rate;
    s->rate_rest = worth % rate;
    msec_t most = s->now + limits->data_timeout, room = MAX(most - s->deadline, 0);
    s->deadline += bought < (uint64_t)room ? (msec_t)bought : room;
}

/*
 * Something was taken in the phase `before`. Between chunks too, a message's clock goes on, or many small
 * chunks would be as good as silence; unless the server stops, which has another idea of patience there.
 */
static void move_clock(struct smtp_session *s, enum smtp_phase before, size_t octets)
{
    unsigned underway = s->shutting ? MESSAGE | CHUNK : UNDERWAY;
    if (is_in(s, underway) && (underway & (1U << before)) != 0)
        extend_clock(s, octets);
    else
        restart_clock(s);
}

/* ---- effects ---- */

struct smtp_slot *smtp_push(struct smtp_session *s, enum smtp_effect_kind kind)
{
    pst_assert(s->slot_count < SMTP_SLOTS);
    struct smtp_slot *slot = &s->slots[(s->slot_first + s->slot_count++) % SMTP_SLOTS];
    *slot = (struct smtp_slot){ .kind = kind };
    return slot;
}

bool smtp_has_room(const struct smtp_session *s)
{
    return s->slot_count + SMTP_SLOTS_NEEDED <= SMTP_SLOTS && !s->is_introduced;
}

void smtp_reply(struct smtp_session *s, enum smtp_outcome outcome)
{
    smtp_push(s, SMTP_EFFECT_WRITE)->outcome = outcome;
}

void smtp_reset(struct smtp_session *s)
{
    if (!is_in(s, IN(MAIL) | IN(CHUNKING) | IN(FAILED)))
        return;
    if (!is_in(s, IN(FAILED))) /* where it is gone already */
        smtp_push(s, SMTP_EFFECT_RESET);
    s->accepted = 0;
    smtp_enter(s, SMTP_PHASE_READY);
}

void smtp_forget(struct smtp_session *s)
{
    g_clear_pointer(&s->helo, g_free);
    s->extended = s->authenticated = false;
    smtp_enter(s, SMTP_PHASE_START);
}

void smtp_greet(struct smtp_session *s)
{
    smtp_forget(s);
    smtp_reply(s, SMTP_GREETING);
}

/* A message on its way is lost. */
void smtp_say_goodbye(struct smtp_session *s, enum smtp_outcome outcome)
{
    if (is_in(s, IN(MAIL) | IN(DATA) | IN(CHUNKING) | IN(CHUNK)))
        smtp_push(s, SMTP_EFFECT_RESET);
    if (is_in(s, IN(CHALLENGED)))
        smtp_push(s, SMTP_EFFECT_AUTH_CANCEL);
    smtp_reply(s, outcome);
    smtp_push(s, SMTP_EFFECT_END)->outcome = outcome;
    s->after = s->phase;
    smtp_enter(s, SMTP_PHASE_ENDED);
    s->deadline = MSEC_NEVER;
}

bool smtp_count_mistake(struct smtp_session *s, enum smtp_outcome outcome)
{
    if (!smtp_outcome_is_mistake(outcome) || ++s->errors < s->service->limits.errors)
        return true;
    smtp_say_goodbye(s, SMTP_TOO_MANY_ERRORS);
    return false;
}

bool smtp_blame(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_REFUSED);
    slot->outcome = outcome;
    slot->bytes = line;
    return smtp_count_mistake(s, outcome);
}

void smtp_refuse(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    if (smtp_blame(s, outcome, line))
        smtp_reply(s, outcome);
}

/* Nobody to talk with: one reply, and the end. */
void smtp_turn_away(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_REFUSED);
    slot->outcome = outcome;
    slot->bytes = line;
    smtp_say_goodbye(s, outcome);
}

/* The server wants to stop, and now it can. */
static void shut_if_idle(struct smtp_session *s)
{
    if (s->shutting && is_in(s, IN(SILENT) | IN(START) | IN(READY) | IN(CHALLENGED) | IN(FAILED)))
        smtp_say_goodbye(s, s->shut);
}

static void reply_verdict(struct smtp_session *s, struct smtp_verdict verdict)
{
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_WRITE);
    slot->outcome = verdict.outcome;
    slot->bytes = slice_str(verdict.detail != NULL ? verdict.detail : "");
}

static void finish_transaction(struct smtp_session *s, enum smtp_phase next)
{
    if (next == SMTP_PHASE_READY)
        s->accepted = 0;
    smtp_enter(s, next);
    shut_if_idle(s);
}

/* ---- what the owner calls ---- */

/* They are told in a line of EHLO, which has room for so much. */
void smtp_session_set_mechanisms(struct smtp_session *s, const char *mechanisms)
{
    pst_assert(mechanisms == NULL || strlen(mechanisms) <= SMTP_MECHANISMS_MAX);
    s->client.mechanisms = mechanisms;
}

struct smtp_session *smtp_session_new(const struct smtp_service *service, const struct smtp_client *client,
                                      msec_t now)
{
    struct smtp_session *s = g_new(struct smtp_session, 1);
    *s = (struct smtp_session){
        .service = service, .client = *client, .phase = SMTP_PHASE_SILENT, .now = now
    };
    smtp_session_set_mechanisms(s, client->mechanisms);
    if (client->greeting_delay == 0)
        smtp_greet(s);
    restart_clock(s);
    return s;
}

void smtp_session_free(struct smtp_session *s)
{
    if (s == NULL)
        return;
    g_free(s->helo);
    g_free(s);
}

bool smtp_session_is_waiting(const struct smtp_session *s)
{
    return is_in(s, WAITING);
}

/* Of what comes too early, which may well have a password in it, no more is told. */
static struct slice first_word(struct slice in)
{
    size_t len = 0;
    while (len < MIN(in.len, 64) && g_ascii_isalnum((char)in.data[len]))
        len++;
    return slice_first(in, len);
}

/* What can be taken in this phase. */
static size_t take(struct smtp_session *s, struct slice in)
{
    if (is_in(s, IN(SILENT))) {
        smtp_turn_away(s, SMTP_TOO_EARLY, first_word(in));
        return in.len;
    }
    enum smtp_phase before = s->phase;
    size_t count = is_in(s, MESSAGE) ? smtp_data_feed(s, in)
                   : is_in(s, CHUNK) ? smtp_chunk_feed(s, in)
                                     : smtp_line_feed(s, in);
    if (count > 0 && s->skip == SMTP_SKIP_NOTHING) /* part of a line is no sign of life */
        move_clock(s, before, count);
    return count;
}

size_t smtp_session_feed(struct smtp_session *s, struct slice in, msec_t now)
{
    s->now = s->fed_at = now;
    size_t taken = 0;
    while (taken < in.len && smtp_has_room(s) && !is_in(s, WAITING | IN(REFUSING) | IN(ENDED))) {
        size_t count = take(s, slice_skip(in, taken));
        if (count == 0)
            break;
        taken += count;
        shut_if_idle(s);
    }
    return is_in(s, IN(ENDED)) ? in.len : taken;
}

static void take_route(struct smtp_session *s, struct smtp_verdict verdict)
{
    reply_verdict(s, verdict);
    s->accepted += smtp_outcome_code(verdict.outcome) < 400;
    s->strangers += smtp_outcome_code(verdict.outcome) >= 500;
    smtp_enter(s, SMTP_PHASE_MAIL);
    if (s->strangers > s->service->limits.strangers)
        smtp_say_goodbye(s, SMTP_TOO_MANY_STRANGERS);
}

static void take_result(struct smtp_session *s, struct smtp_verdict verdict)
{
    reply_verdict(s, verdict);
    if (--s->answers_due == 0)
        finish_transaction(s, SMTP_PHASE_READY);
}

void smtp_session_answer(struct smtp_session *s, uint64_t ticket, struct smtp_verdict verdict, msec_t now)
{
    if (ticket != s->ticket || !is_in(s, WAITING & ~IN(SECURING)))
        return; /* a question from before a hang-up or a RSET */
    s->now = now;
    if (is_in(s, IN(ROUTING))) {
        take_route(s, verdict);
    } else if (is_in(s, IN(FINISHING))) {
        take_result(s, verdict);
    } else {
        smtp_auth_answer(s, verdict);
        shut_if_idle(s);
    }
    restart_clock(s);
}

void smtp_session_secured(struct smtp_session *s, const char *mechanisms, msec_t now)
{
    pst_assert(is_in(s, IN(SECURING)));
    s->now = now;
    s->client.tls = SMTP_TLS_ACTIVE;
    smtp_session_set_mechanisms(s, mechanisms);
    smtp_forget(s); /* RFC 3207 4.2 */
    shut_if_idle(s);
    restart_clock(s);
}

void smtp_session_tick(struct smtp_session *s, msec_t now)
{
    if (now < smtp_session_deadline(s))
        return;
    bool silent = now - s->fed_at >= s->service->limits.data_timeout;
    s->now = now;
    if (is_in(s, IN(SILENT))) {
        smtp_greet(s);
        restart_clock(s);
    } else if (s->shutting && is_in(s, IN(MAIL) | IN(CHUNKING))) {
        smtp_say_goodbye(s, s->shut);
    } else {
        smtp_say_goodbye(s, is_in(s, UNDERWAY) && !silent ? SMTP_TOO_SLOW : SMTP_TIMEOUT);
    }
}

msec_t smtp_session_deadline(const struct smtp_session *s)
{
    return s->paused ? MSEC_NEVER : s->deadline;
}

void smtp_session_set_paused(struct smtp_session *s, bool paused, msec_t now)
{
    if (s->paused == paused)
        return;
    s->paused = paused;
    if (paused)
        s->paused_at = now;
    else if (s->deadline != MSEC_NEVER)
        s->deadline += now - s->paused_at;
    s->now = now;
}

void smtp_session_shut(struct smtp_session *s, enum smtp_outcome outcome, msec_t now)
{
    s->shutting = true;
    s->shut = outcome;
    s->now = now;
    shut_if_idle(s);
    if (is_in(s, IN(MAIL) | IN(CHUNKING)))
        restart_clock(s);
}

const char *smtp_session_helo(const struct smtp_session *s)
{
    return s->helo != NULL ? s->helo : "";
}

bool smtp_session_is_extended(const struct smtp_session *s)
{
    return s->extended;
}

bool smtp_session_is_secure(const struct smtp_session *s)
{
    return s->client.tls == SMTP_TLS_ACTIVE;
}

bool smtp_session_is_authenticated(const struct smtp_session *s)
{
    return s->authenticated;
}

const char *smtp_session_phase(const struct smtp_session *s)
{
    return phase_names[is_in(s, IN(ENDED)) ? s->after : s->phase];
}

/* ---- pulling ---- */

bool smtp_session_next(struct smtp_session *s, struct smtp_effect *ret_effect)
{
    if (s->slot_count == 0 && is_in(s, IN(REFUSING))) {
        smtp_reply(s, s->refusal);
        if (--s->answers_due == 0)
            finish_transaction(s, s->after);
        restart_clock(s);
    }
    if (s->slot_count == 0)
        return false;
    struct smtp_slot *slot = &s->slots[s->slot_first];
    s->slot_first = (uint8_t)((s->slot_first + 1) % SMTP_SLOTS);
    s->slot_count--;
    if (slot->kind == SMTP_EFFECT_XCLIENT)
        s->is_introduced = false;
    smtp_effect_fill(s, slot, ret_effect);
    return true;
}
