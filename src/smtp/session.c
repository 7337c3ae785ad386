/*
 *                        MAIL            DATA           end
 *   START ──HELO──▶ READY ───▶ MAIL ─────────▶ DATA ───────▶ FINISHING ──answers──▶ READY
 *                     ▲        │  ▲  RCPT       │ refused                             ▲
 *                     └──RSET──┘  └──▶ ROUTING  ▼        end                          │
 *                                  answer     DRAINING ──────▶ REFUSING ──replies─────┘
 *
 * From everywhere: ENDED, by QUIT, a timeout, too many errors, or because the server shuts down.
 */
#include "smtp/session.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "smtp/session_internal.h"

const char *const smtp_protocol_names[] = { "smtp", "lmtp", NULL };

#define IN(phase) (1U << SMTP_PHASE_##phase)

static const unsigned legal_next[] = {
    [SMTP_PHASE_START] = IN(READY) | IN(ENDED),
    [SMTP_PHASE_READY] = IN(READY) | IN(MAIL) | IN(ENDED),
    [SMTP_PHASE_MAIL] = IN(READY) | IN(ROUTING) | IN(DATA) | IN(ENDED),
    [SMTP_PHASE_ROUTING] = IN(MAIL) | IN(ENDED),
    [SMTP_PHASE_DATA] = IN(DRAINING) | IN(FINISHING) | IN(ENDED),
    [SMTP_PHASE_DRAINING] = IN(REFUSING) | IN(ENDED),
    [SMTP_PHASE_FINISHING] = IN(READY) | IN(ENDED),
    [SMTP_PHASE_REFUSING] = IN(READY) | IN(ENDED),
    [SMTP_PHASE_ENDED] = 0,
};

static const char *const phase_names[] = {
    [SMTP_PHASE_START] = "start",         [SMTP_PHASE_READY] = "ready",
    [SMTP_PHASE_MAIL] = "mail",           [SMTP_PHASE_ROUTING] = "routing",
    [SMTP_PHASE_DATA] = "data",           [SMTP_PHASE_DRAINING] = "draining",
    [SMTP_PHASE_FINISHING] = "finishing", [SMTP_PHASE_REFUSING] = "refusing",
    [SMTP_PHASE_ENDED] = "ended",
};

enum argument { ARGUMENT_NONE, ARGUMENT_OPTIONAL, ARGUMENT_REQUIRED };

static const struct verb {
    const char *name;
    unsigned phases;
    enum argument argument;
    void (*start)(struct smtp_session *s, const struct smtp_command *command);
} verbs[] = {
    { "EHLO", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_hello },
    { "HELO", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_hello },
    { "LHLO", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_hello },
    { "MAIL", IN(READY), ARGUMENT_OPTIONAL, smtp_start_mail },
    { "RCPT", IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_rcpt },
    { "DATA", IN(MAIL), ARGUMENT_NONE, smtp_start_data },
    { "RSET", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_NONE, smtp_start_rset },
    { "NOOP", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_noop },
    { "VRFY", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_REQUIRED, smtp_start_vrfy },
    { "EXPN", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_REQUIRED, smtp_start_expn },
    { "HELP", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_help },
    { "QUIT", IN(START) | IN(READY) | IN(MAIL), ARGUMENT_NONE, smtp_start_quit },
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

static void restart_clock(struct smtp_session *s)
{
    enum { SHUT_GRACE_MS = 5000 }; /* for a transaction whose message has not come yet */
    const struct smtp_limits *limits = &s->service->limits;
    if (is_in(s, IN(ROUTING) | IN(FINISHING) | IN(ENDED))) /* ours to act, or nobody's */
        s->deadline = MSEC_NEVER;
    else if (s->shutting && is_in(s, IN(MAIL)))
        s->deadline = s->now + SHUT_GRACE_MS;
    else if (is_in(s, IN(DATA) | IN(DRAINING)))
        s->deadline = s->now + limits->data_timeout;
    else
        s->deadline = s->now + limits->command_timeout;
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
    return s->slot_count + SMTP_SLOTS_NEEDED <= SMTP_SLOTS;
}

void smtp_reply(struct smtp_session *s, enum smtp_outcome outcome)
{
    smtp_push(s, SMTP_EFFECT_WRITE)->outcome = outcome;
}

void smtp_end(struct smtp_session *s)
{
    smtp_push(s, SMTP_EFFECT_END);
    smtp_enter(s, SMTP_PHASE_ENDED);
    s->deadline = MSEC_NEVER;
}

void smtp_reset(struct smtp_session *s)
{
    if (!is_in(s, IN(MAIL)))
        return;
    s->accepted = 0;
    smtp_push(s, SMTP_EFFECT_RESET);
    smtp_enter(s, SMTP_PHASE_READY);
}

/* The last reply of all; a message on its way is lost. */
static void say_goodbye(struct smtp_session *s, enum smtp_outcome outcome)
{
    if (is_in(s, IN(MAIL) | IN(DATA)))
        smtp_push(s, SMTP_EFFECT_RESET);
    smtp_reply(s, outcome);
    smtp_end(s);
}

void smtp_refuse(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_REFUSED);
    slot->outcome = outcome;
    slot->bytes = line;
    if (smtp_outcome_is_mistake(outcome) && ++s->errors >= s->service->limits.errors)
        say_goodbye(s, SMTP_TOO_MANY_ERRORS);
    else
        smtp_reply(s, outcome);
}

/* The server wants to stop, and now it can. */
static void shut_if_idle(struct smtp_session *s)
{
    if (s->shutting && is_in(s, IN(START) | IN(READY)))
        say_goodbye(s, s->shut);
}

static void finish_transaction(struct smtp_session *s)
{
    s->accepted = 0;
    smtp_enter(s, SMTP_PHASE_READY);
    shut_if_idle(s);
}

/* ---- commands ---- */

static const struct verb *find_verb(struct slice name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (slice_equal_nocase(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

static enum smtp_outcome out_of_sequence(const struct smtp_session *s)
{
    return is_in(s, IN(START)) ? SMTP_NEEDS_HELO : is_in(s, IN(READY)) ? SMTP_NEEDS_MAIL : SMTP_NESTED_MAIL;
}

static void run_line(struct smtp_session *s, struct slice line)
{
    if (!smtp_line_is_clean(line)) {
        smtp_refuse(s, SMTP_BAD_LINE, line);
        return;
    }
    struct smtp_command command = smtp_command_split(line);
    const struct verb *verb = find_verb(command.verb);
    if (verb == NULL)
        smtp_refuse(s, SMTP_UNKNOWN_COMMAND, line);
    else if (verb->argument == ARGUMENT_NONE && command.argument.len > 0)
        smtp_refuse(s, SMTP_NO_ARGUMENT_WANTED, line);
    else if (verb->argument == ARGUMENT_REQUIRED && command.argument.len == 0)
        smtp_refuse(s, SMTP_ARGUMENT_WANTED, line);
    else if (!is_in(s, verb->phases))
        smtp_refuse(s, out_of_sequence(s), line);
    else
        verb->start(s, &command);
}

/* Only CR LF ends a line. The index of its LF, or in.len. */
static size_t find_line_feed(struct slice in)
{
    size_t at = slice_find(in, 0, '\n');
    while (at < in.len && (at == 0 || in.data[at - 1] != '\r'))
        at = slice_find(in, at + 1, '\n');
    return at;
}

/* An endless line is not kept: all of it is taken but a CR that may be half of its end. */
static size_t skip_part_of_line(struct smtp_session *s, struct slice in)
{
    size_t len = in.data[in.len - 1] == '\r' ? in.len - 1 : in.len;
    if (!s->skipping && len + 2 <= smtp_line_max(in))
        return 0; /* it may still become a line */
    s->skipping = true;
    return len;
}

/* Takes one line and carries it out. Returns the octets taken: 0 when its end has not come. */
static size_t take_line(struct smtp_session *s, struct slice in)
{
    size_t lf = find_line_feed(in);
    if (lf == in.len)
        return skip_part_of_line(s, in);
    struct slice line = slice_first(in, lf - 1);
    if (s->skipping || lf + 1 > smtp_line_max(line))
        smtp_refuse(s, SMTP_LINE_TOO_LONG, slice_first(line, 64));
    else
        run_line(s, line);
    s->skipping = false;
    restart_clock(s);
    return lf + 1;
}

/* ---- what the owner calls ---- */

struct smtp_session *smtp_session_new(const struct smtp_service *service, msec_t now)
{
    struct smtp_session *s = g_new0(struct smtp_session, 1);
    s->service = service;
    s->now = now;
    smtp_reply(s, SMTP_GREETING);
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
    return is_in(s, IN(ROUTING) | IN(FINISHING));
}

size_t smtp_session_feed(struct smtp_session *s, struct slice in, msec_t now)
{
    s->now = now;
    size_t taken = 0;
    while (taken < in.len && smtp_has_room(s) &&
           !is_in(s, IN(ROUTING) | IN(FINISHING) | IN(REFUSING) | IN(ENDED))) {
        struct slice rest = slice_skip(in, taken);
        bool in_message = is_in(s, IN(DATA) | IN(DRAINING));
        size_t count = in_message ? smtp_data_feed(s, rest) : take_line(s, rest);
        if (count == 0)
            break;
        taken += count;
        if (in_message)
            restart_clock(s);
        shut_if_idle(s);
    }
    return is_in(s, IN(ENDED)) ? in.len : taken;
}

void smtp_session_answer(struct smtp_session *s, uint64_t ticket, struct smtp_verdict verdict, msec_t now)
{
    if (ticket != s->ticket || !smtp_session_is_waiting(s))
        return; /* a question from before a hang-up or a RSET */
    s->now = now;
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_WRITE);
    slot->outcome = verdict.outcome;
    slot->bytes = slice_str(verdict.detail != NULL ? verdict.detail : "");
    if (is_in(s, IN(ROUTING))) {
        s->accepted += smtp_outcome_code(verdict.outcome) < 400;
        smtp_enter(s, SMTP_PHASE_MAIL);
    } else if (--s->answers_due == 0) {
        finish_transaction(s);
    }
    restart_clock(s);
}

void smtp_session_tick(struct smtp_session *s, msec_t now)
{
    s->now = now;
    if (now >= s->deadline)
        say_goodbye(s, s->shutting && is_in(s, IN(MAIL)) ? s->shut : SMTP_TIMEOUT);
}

msec_t smtp_session_deadline(const struct smtp_session *s)
{
    return s->deadline;
}

void smtp_session_shut(struct smtp_session *s, enum smtp_outcome outcome, msec_t now)
{
    s->shutting = true;
    s->shut = outcome;
    s->now = now;
    shut_if_idle(s);
    if (is_in(s, IN(MAIL)))
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

const char *smtp_session_phase(const struct smtp_session *s)
{
    return phase_names[s->phase];
}

/* ---- pulling ---- */

/* RFC 5321 4.1.1.1: the name, then one extension a line. */
static size_t render_extensions(const struct smtp_session *s, char *text, size_t size)
{
    int len = snprintf(text, size,
                       "250-%.255s\r\n250-PIPELINING\r\n250-SIZE %" PRIu64
                       "\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
                       s->service->hostname, s->service->limits.message_size);
    pst_assert(len > 0 && (size_t)len < size);
    return (size_t)len;
}

static size_t render(const struct smtp_session *s, const struct smtp_slot *slot, char *text, size_t size)
{
    bool lmtp = s->service->protocol == SMTP_PROTOCOL_LMTP;
    char greeting[SMTP_DOMAIN_MAX + 32];
    const char *detail = (const char *)slot->bytes.data;
    switch (slot->outcome) {
    case SMTP_GREETING:
        (void)snprintf(greeting, sizeof greeting, "%.255s %s postern", s->service->hostname,
                       lmtp ? "LMTP" : "ESMTP");
        detail = greeting;
        break;
    case SMTP_HELLO:
        if (s->extended)
            return render_extensions(s, text, size);
        detail = s->service->hostname;
        break;
    case SMTP_NEEDS_HELO:
    case SMTP_WRONG_HELO:
        detail = lmtp ? "LHLO" : "EHLO";
        break;
    case SMTP_HELP:
        detail = lmtp ? "LHLO" : "EHLO HELO";
        break;
    default:
        break;
    }
    return smtp_outcome_format(slot->outcome, detail, text, size);
}

static void fill(const struct smtp_session *s, const struct smtp_slot *slot, struct smtp_effect *e)
{
    size_t len;
    e->kind = slot->kind;
    e->outcome = slot->outcome;
    e->bytes = slot->bytes;
    switch (slot->kind) {
    case SMTP_EFFECT_WRITE:
        e->bytes = slice_of(e->text, render(s, slot, e->text, sizeof e->text));
        break;
    case SMTP_EFFECT_MAIL:
        e->declared_size = slot->declared_size;
        e->eightbit = slot->eightbit;
        pst_assert(smtp_path_parse(slot->bytes, &e->address, &len) == 0); /* as when the command was read */
        break;
    case SMTP_EFFECT_RCPT:
        e->ticket = s->ticket;
        pst_assert(smtp_path_parse(slot->bytes, &e->address, &len) == 0);
        break;
    case SMTP_EFFECT_FINISH:
        e->ticket = s->ticket;
        break;
    default:
        break;
    }
}

bool smtp_session_next(struct smtp_session *s, struct smtp_effect *ret_effect)
{
    if (s->slot_count == 0 && is_in(s, IN(REFUSING))) {
        smtp_reply(s, s->refusal);
        if (--s->answers_due == 0)
            finish_transaction(s);
        restart_clock(s);
    }
    if (s->slot_count == 0)
        return false;
    struct smtp_slot *slot = &s->slots[s->slot_first];
    s->slot_first = (uint8_t)((s->slot_first + 1) % SMTP_SLOTS);
    s->slot_count--;
    fill(s, slot, ret_effect);
    return true;
}
