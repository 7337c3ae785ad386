/* HELO, EHLO (RFC 5321 4.1.1.1) and LHLO (RFC 2033 4.1). */
#include <glib.h>

#include "smtp/session_internal.h"

static bool is_lmtp(const struct smtp_session *s)
{
    return s->service->protocol == SMTP_PROTOCOL_LMTP;
}

void smtp_start_hello(struct smtp_session *s, const struct smtp_command *command)
{
    bool lhlo = slice_equal_nocase(command->verb, "LHLO");
    if (lhlo != is_lmtp(s)) {
        smtp_refuse(s, SMTP_WRONG_HELO, command->line);
        return;
    }
    /* The root's dot, which some clients say, is no part of the grammar; nothing is lost without it. */
    struct slice name = command->argument;
    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--;
    /* Some clients name themselves with characters that no host has; what may stand in a Received field is a
     * Domain. */
    if (!smtp_domain_valid(name)) {
        smtp_refuse(s, SMTP_HELO_SYNTAX, command->line);
        return;
    }
    smtp_reset(s); /* RFC 5321 4.1.4: as if RSET had been said */
    g_free(s->helo);
    s->helo = slice_dup(name);
    s->extended = !slice_equal_nocase(command->verb, "HELO");
    smtp_enter(s, SMTP_PHASE_READY);
    struct smtp_slot *slot = smtp_push(s, SMTP_EFFECT_WRITE);
    slot->outcome = SMTP_HELLO;
    slot->bytes = command->verb; /* once this is pulled, another HELO may have come behind it */
}
