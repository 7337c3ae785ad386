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
 * A chunk that is refused, in whichever phase: SKIPPING, until its end; REFUSING, until its replies are out;
 * and then, if it was of a message and not the last, FAILED, until RSET. SILENT is before START, while the
 * greeting is held back. From everywhere: ENDED, by QUIT, a timeout, too many errors, or because the server
 * shuts down.
 */
#include "smtp/session.h"

#include <glib.h>

#include "base/assert.h"
#include "smtp/session_internal.h"

const char *const smtp_protocol_names[] = { "smtp", "lmtp", NULL };

#define IN(phase) (1U << SMTP_PHASE_##phase)

/* Where a command may come. */
#define ANYWHERE (IN(START) | IN(READY) | IN(MAIL) | IN(CHUNKING) | IN(FAILED))
#define MESSAGE  (IN(DATA) | IN(DRAINING))
#define CHUNK    (IN(CHUNK) | IN(SKIPPING))

/* Where a message is on its way; between two of its chunks, too. */
#define UNDERWAY (MESSAGE | CHUNK | IN(CHUNKING))

static const unsigned legal_next[] = {
    [SMTP_PHASE_SILENT] = IN(START) | IN(ENDED),
    [SMTP_PHASE_START] = IN(START) | IN(READY) | IN(SKIPPING) | IN(ENDED),
    [SMTP_PHASE_READY] = IN(START) | IN(READY) | IN(MAIL) | IN(SKIPPING) | IN(ENDED),
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
    [SMTP_PHASE_SILENT] = "silent",     [SMTP_PHASE_START] = "start",
    [SMTP_PHASE_READY] = "ready",       [SMTP_PHASE_MAIL] = "mail",
    [SMTP_PHASE_ROUTING] = "routing",   [SMTP_PHASE_DATA] = "data",
    [SMTP_PHASE_DRAINING] = "draining", [SMTP_PHASE_CHUNKING] = "chunking",
    [SMTP_PHASE_CHUNK] = "chunk",       [SMTP_PHASE_SKIPPING] = "skipping",
    [SMTP_PHASE_FAILED] = "failed",     [SMTP_PHASE_FINISHING] = "finishing",
    [SMTP_PHASE_REFUSING] = "refusing", [SMTP_PHASE_ENDED] = "ended",
};

enum argument { ARGUMENT_NONE, ARGUMENT_OPTIONAL, ARGUMENT_REQUIRED };

#define VERB(name) name, sizeof(name) - 1

/* Those of every message come first. */
static const struct verb {
    const char *name;
    size_t len;
    unsigned phases;
    enum argument argument;
    void (*start)(struct smtp_session *s, const struct smtp_command *command);
} verbs[] = {
    { VERB("MAIL"), IN(READY), ARGUMENT_OPTIONAL, smtp_start_mail },
    { VERB("RCPT"), IN(MAIL), ARGUMENT_OPTIONAL, smtp_start_rcpt },
    { VERB("DATA"), IN(MAIL) | IN(CHUNKING), ARGUMENT_NONE, smtp_start_data },
    { VERB("BDAT"), ANYWHERE, ARGUMENT_OPTIONAL, smtp_start_bdat },
    { VERB("EHLO"), ANYWHERE, ARGUMENT_OPTIONAL, smtp_start_hello },
    { VERB("HELO"), ANYWHERE, ARGUMENT_OPTIONAL, smtp_start_hello },
    { VERB("LHLO"), ANYWHERE, ARGUMENT_OPTIONAL, smtp_start_hello },
    { VERB("RSET"), ANYWHERE, ARGUMENT_NONE, smtp_start_rset },
    { VERB("NOOP"), ANYWHERE, ARGUMENT_OPTIONAL, smtp_start_noop },
    { VERB("VRFY"), ANYWHERE, ARGUMENT_REQUIRED, smtp_start_vrfy },
    { VERB("EXPN"), ANYWHERE, ARGUMENT_REQUIRED, smtp_start_expn },
    { VERB("HELP"), ANYWHERE, ARGUMENT_OPTIONAL, smtp_start_help },
    { VERB("QUIT"), ANYWHERE, ARGUMENT_NONE, smtp_start_quit },
    { VERB("XCLIENT"), IN(START) | IN(READY), ARGUMENT_REQUIRED, smtp_start_xclient },
    { VERB("XFORWARD"), IN(START) | IN(READY), ARGUMENT_REQUIRED, smtp_start_xforward },
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
    enum { SHUT_GRACE_MS = 5000 }; /* for a transaction whose message has not come yet */
    const struct smtp_limits *limits = &s->service->limits;
    if (is_in(s, IN(ROUTING) | IN(FINISHING) | IN(ENDED))) /* ours to act, or nobody's */
        return MSEC_NEVER;
    if (is_in(s, IN(SILENT)))
        return s->client.greeting_delay;
    if (s->shutting && is_in(s, IN(MAIL) | IN(CHUNKING)))
        return SHUT_GRACE_MS;
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
    return s->slot_count + SMTP_SLOTS_NEEDED <= SMTP_SLOTS;
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

void smtp_greet(struct smtp_session *s)
{
    g_clear_pointer(&s->helo, g_free);
    s->extended = false;
    smtp_enter(s, SMTP_PHASE_START);
    smtp_reply(s, SMTP_GREETING);
}

/* A message on its way is lost. */
void smtp_say_goodbye(struct smtp_session *s, enum smtp_outcome outcome)
{
    if (is_in(s, IN(MAIL) | IN(DATA) | IN(CHUNKING) | IN(CHUNK)))
        smtp_push(s, SMTP_EFFECT_RESET);
    smtp_reply(s, outcome);
    smtp_push(s, SMTP_EFFECT_END)->outcome = outcome;
    s->after = s->phase;
    smtp_enter(s, SMTP_PHASE_ENDED);
    s->deadline = MSEC_NEVER;
}

bool smtp_blame(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_REFUSED);
    slot->outcome = outcome;
    slot->bytes = line;
    if (!smtp_outcome_is_mistake(outcome) || ++s->errors < s->service->limits.errors)
        return true;
    smtp_say_goodbye(s, SMTP_TOO_MANY_ERRORS);
    return false;
}

void smtp_refuse(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    if (smtp_blame(s, outcome, line))
        smtp_reply(s, outcome);
}

/* Nobody to talk with: one reply, and the end. */
static void turn_away(struct smtp_session *s, enum smtp_outcome outcome, struct slice line)
{
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_REFUSED);
    slot->outcome = outcome;
    slot->bytes = line;
    smtp_say_goodbye(s, outcome);
}

/* The server wants to stop, and now it can. */
static void shut_if_idle(struct smtp_session *s)
{
    if (s->shutting && is_in(s, IN(SILENT) | IN(START) | IN(READY) | IN(FAILED)))
        smtp_say_goodbye(s, s->shut);
}

static void finish_transaction(struct smtp_session *s, enum smtp_phase next)
{
    if (next == SMTP_PHASE_READY)
        s->accepted = 0;
    smtp_enter(s, next);
    shut_if_idle(s);
}

/* ---- commands ---- */

/* Most of the verbs are passed over by their length and first letter. */
static const struct verb *find_verb(struct slice name)
{
    if (name.len == 0)
        return NULL;
    const char first = g_ascii_toupper((char)name.data[0]);
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (verbs[i].len == name.len && verbs[i].name[0] == first &&
            slice_begins_nocase(name, verbs[i].name, verbs[i].len))
            return &verbs[i];
    return NULL;
}

enum smtp_outcome smtp_out_of_sequence(const struct smtp_session *s)
{
    return is_in(s, IN(START))      ? SMTP_NEEDS_HELO
           : is_in(s, IN(READY))    ? SMTP_NEEDS_MAIL
           : is_in(s, IN(CHUNKING)) ? SMTP_NEEDS_BDAT
           : is_in(s, IN(FAILED))   ? SMTP_NEEDS_RSET
                                    : SMTP_NESTED_MAIL;
}

static bool refuses_foreign(const struct smtp_session *s)
{
    return s->service->limits.foreign == SMTP_FOREIGN_REFUSE;
}

/* As whoever is in front of us may read it: blanks before the verb, and whatever is no letter behind it. */
static bool is_bdat(struct slice line)
{
    static const char verb[] = "BDAT";
    while (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        line = slice_skip(line, 1);
    struct slice rest = slice_skip(line, sizeof verb - 1);
    return slice_has_prefix_nocase(line, verb) && (rest.len == 0 || !g_ascii_isalnum((char)rest.data[0]));
}

/* The same of a line that is too long, by its beginning: that may be blanks alone, or half a verb. */
static bool may_be_bdat(const struct smtp_session *s, struct slice line)
{
    struct slice seen = slice_first(line, s->service->limits.command_length - 2);
    size_t blanks = 0;
    while (blanks < seen.len && (seen.data[blanks] == ' ' || seen.data[blanks] == '\t'))
        blanks++;
    struct slice rest = slice_skip(seen, blanks);
    return rest.len < 4 ? slice_begins_nocase(rest, "BDAT", rest.len) : is_bdat(rest);
}

/* A line that is not read. If it told of a chunk, nobody knows where that ends, and its octets must not be
 * taken for commands. */
static void refuse_line(struct smtp_session *s, enum smtp_outcome outcome, struct slice line, bool bdat)
{
    smtp_refuse(s, outcome, line);
    if (bdat && !is_in(s, IN(ENDED)))
        smtp_say_goodbye(s, SMTP_OUT_OF_STEP);
}

static void run_line(struct smtp_session *s, struct slice line)
{
    if (!smtp_line_is_clean(line)) {
        refuse_line(s, SMTP_BAD_LINE, line, is_bdat(line));
        return;
    }
    struct smtp_command command = smtp_command_split(line);
    const struct verb *verb = find_verb(command.verb);
    if (verb == NULL && refuses_foreign(s) && smtp_line_is_foreign(line))
        turn_away(s, SMTP_FOREIGN_PROTOCOL, line);
    else if (verb == NULL)
        refuse_line(s, SMTP_UNKNOWN_COMMAND, line, is_bdat(line));
    else if (++s->commands > s->service->limits.commands)
        smtp_say_goodbye(s, SMTP_TOO_MANY_COMMANDS);
    else if (verb->argument == ARGUMENT_NONE && command.argument.len > 0)
        smtp_refuse(s, SMTP_NO_ARGUMENT_WANTED, line);
    else if (verb->argument == ARGUMENT_REQUIRED && command.argument.len == 0)
        smtp_refuse(s, SMTP_ARGUMENT_WANTED, line);
    else if (!is_in(s, verb->phases))
        smtp_refuse(s, smtp_out_of_sequence(s), line);
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
    if (!s->skipping && len + 2 <= s->service->limits.command_length)
        return 0; /* it may still become a line */
    if (!s->skipping)
        s->skipping_bdat = may_be_bdat(s, in);
    s->skipping = true;
    return len;
}

/* Neither a client of TLS nor a proxy's binary header, which has QUIT in it, comes to the end of a line. */
static bool is_binary(const struct smtp_session *s, struct slice in)
{
    bool may_be = in.data[0] < ' ' || in.data[0] == 'Q';
    return may_be && !s->skipping && refuses_foreign(s) && smtp_line_is_foreign(in);
}

/* Takes one line and carries it out. Returns the octets taken: 0 when its end has not come. */
static size_t take_line(struct smtp_session *s, struct slice in)
{
    if (is_binary(s, in)) {
        turn_away(s, SMTP_FOREIGN_PROTOCOL, slice_first(in, 16));
        return in.len;
    }
    size_t lf = find_line_feed(in);
    if (lf == in.len)
        return skip_part_of_line(s, in);
    struct slice line = slice_first(in, lf - 1);
    enum smtp_phase before = s->phase;
    if (s->skipping || lf + 1 > s->service->limits.command_length)
        refuse_line(s, SMTP_LINE_TOO_LONG, slice_first(line, 64),
                    s->skipping ? s->skipping_bdat : may_be_bdat(s, line));
    else
        run_line(s, line);
    s->skipping = false;
    move_clock(s, before, lf + 1);
    return lf + 1;
}

/* ---- what the owner calls ---- */

struct smtp_session *smtp_session_new(const struct smtp_service *service, const struct smtp_client *client,
                                      msec_t now)
{
    struct smtp_session *s = g_new0(struct smtp_session, 1);
    s->service = service;
    s->client = *client;
    s->now = now;
    s->phase = SMTP_PHASE_SILENT;
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
    return is_in(s, IN(ROUTING) | IN(FINISHING));
}

/* What can be taken in this phase. */
static size_t take(struct smtp_session *s, struct slice in)
{
    if (is_in(s, IN(SILENT))) {
        turn_away(s, SMTP_TOO_EARLY, slice_first(in, 64));
        return in.len;
    }
    if (!is_in(s, MESSAGE | CHUNK))
        return take_line(s, in);
    enum smtp_phase before = s->phase;
    size_t count = is_in(s, MESSAGE) ? smtp_data_feed(s, in) : smtp_chunk_feed(s, in);
    move_clock(s, before, count);
    return count;
}

size_t smtp_session_feed(struct smtp_session *s, struct slice in, msec_t now)
{
    s->now = s->fed_at = now;
    size_t taken = 0;
    while (taken < in.len && smtp_has_room(s) &&
           !is_in(s, IN(ROUTING) | IN(FINISHING) | IN(REFUSING) | IN(ENDED))) {
        size_t count = take(s, slice_skip(in, taken));
        if (count == 0)
            break;
        taken += count;
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
        s->strangers += smtp_outcome_code(verdict.outcome) >= 500;
        smtp_enter(s, SMTP_PHASE_MAIL);
        if (s->strangers > s->service->limits.strangers)
            smtp_say_goodbye(s, SMTP_TOO_MANY_STRANGERS);
    } else if (--s->answers_due == 0) {
        finish_transaction(s, SMTP_PHASE_READY);
    }
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
    smtp_effect_fill(s, slot, ret_effect);
    return true;
}
