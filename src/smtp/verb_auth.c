/*
 * AUTH (RFC 4954): what the client says goes to the owner, who knows the mechanisms, and comes back as an
 * answer. Nothing here tells a line to the log but verb and mechanism.
 */
#include "smtp/session_internal.h"

static const struct slice secret = { (const uint8_t *)"", 0 };

/* Whether `name` is one of the words of the list. */
static bool has_word(const char *list, struct slice name)
{
    struct slice rest = slice_str(list);
    while (rest.len > 0) {
        struct slice word = slice_first(rest, slice_find(rest, 0, ' '));
        if (word.len == name.len && slice_begins_nocase(word, (const char *)name.data, name.len))
            return true;
        rest = slice_skip(rest, word.len + 1);
    }
    return false;
}

bool smtp_auth_read(const struct smtp_session *s, struct slice argument, struct slice *ret_mechanism,
                    struct slice *ret_rest)
{
    size_t blank = slice_find(argument, 0, ' ');
    struct slice mechanism = slice_first(argument, blank);
    if (s->client.mechanisms == NULL || mechanism.len == 0 || !has_word(s->client.mechanisms, mechanism))
        return false;
    *ret_mechanism = mechanism;
    *ret_rest = slice_skip(argument, blank);
    while (ret_rest->len > 0 && ret_rest->data[0] == ' ')
        *ret_rest = slice_skip(*ret_rest, 1);
    return true;
}

/* One more question to the owner. */
static void ask(struct smtp_session *s, enum smtp_effect_kind kind, struct slice bytes)
{
    s->ticket++;
    smtp_enter(s, SMTP_PHASE_AUTHENTICATING);
    smtp_push(s, kind)->bytes = bytes;
}

/* Why there is no exchange now, whatever the mechanism; in the order of what the client has to do first. */
static bool is_out_of_place(const struct smtp_session *s, enum smtp_outcome *ret_why)
{
    if (s->client.mechanisms == NULL && s->client.auth_in_tls && s->client.tls == SMTP_TLS_OFFERED)
        *ret_why = SMTP_AUTH_NEEDS_TLS;
    else if (s->client.mechanisms == NULL && s->client.auth_required)
        *ret_why = SMTP_AUTH_UNAVAILABLE; /* MAIL wants it: it is wrong to say that there is none */
    else if (s->client.mechanisms == NULL)
        *ret_why = SMTP_AUTH_NOT_OFFERED;
    else if (s->authenticated)
        *ret_why = SMTP_AUTH_TWICE;
    else if (s->phase != SMTP_PHASE_READY)
        *ret_why = smtp_out_of_sequence(s);
    else
        return false;
    return true;
}

void smtp_start_auth(struct smtp_session *s, const struct smtp_command *command)
{
    enum smtp_outcome why;
    struct slice mechanism, initial;
    if (is_out_of_place(s, &why))
        smtp_refuse(s, why, command->line);
    else if (!smtp_auth_read(s, command->argument, &mechanism, &initial))
        smtp_refuse(s, SMTP_AUTH_UNKNOWN_MECHANISM, command->line);
    else if (!slice_equal_nocase(initial, "=") && !smtp_base64_valid(initial)) /* "=": empty, but there */
        smtp_refuse(s, SMTP_AUTH_NOT_BASE64, command->line);
    else
        ask(s, SMTP_EFFECT_AUTH, command->argument);
}

/* ---- the exchange ---- */

void smtp_auth_give_up(struct smtp_session *s, enum smtp_outcome why)
{
    smtp_push(s, SMTP_EFFECT_AUTH_CANCEL);
    smtp_enter(s, SMTP_PHASE_READY);
    smtp_refuse(s, why, secret);
}

void smtp_auth_respond(struct smtp_session *s, struct slice line)
{
    if (slice_equal_nocase(line, "*"))
        smtp_auth_give_up(s, SMTP_AUTH_CANCELLED);
    else if (!smtp_base64_valid(line))
        smtp_auth_give_up(s, SMTP_AUTH_NOT_BASE64);
    else
        ask(s, SMTP_EFFECT_AUTH_RESPONSE, line);
}

static void challenge(struct smtp_session *s, struct slice base64)
{
    smtp_enter(s, SMTP_PHASE_CHALLENGED);
    if (s->shutting)
        return; /* the last reply comes instead */
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_WRITE);
    slot->outcome = SMTP_AUTH_CHALLENGE;
    slot->bytes = base64;
}

void smtp_auth_answer(struct smtp_session *s, struct smtp_verdict verdict)
{
    struct slice detail = slice_str(verdict.detail != NULL ? verdict.detail : "");
    if (verdict.outcome == SMTP_AUTH_CHALLENGE) {
        if (detail.len <= SMTP_CHALLENGE_MAX)
            challenge(s, detail);
        else
            smtp_auth_give_up(s, SMTP_AUTH_TOO_LONG);
        return;
    }
    smtp_enter(s, SMTP_PHASE_READY);
    smtp_reply(s, verdict.outcome);
    s->authenticated = verdict.outcome == SMTP_AUTHENTICATED;
    if (verdict.outcome == SMTP_AUTH_FAILED && ++s->auth_failures >= s->service->limits.auth_failures)
        smtp_say_goodbye(s, SMTP_TOO_MANY_AUTH_FAILURES);
    else
        (void)smtp_count_mistake(s, verdict.outcome);
}
