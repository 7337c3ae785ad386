/* STARTTLS (RFC 3207). */
#include "smtp/session_internal.h"

void smtp_start_starttls(struct smtp_session *s, const struct smtp_command *command)
{
    if (s->client.tls == SMTP_TLS_NONE) {
        smtp_refuse(s, SMTP_TLS_NOT_OFFERED, command->line);
    } else if (s->client.tls == SMTP_TLS_ACTIVE) {
        smtp_refuse(s, SMTP_TLS_TWICE, command->line);
    } else if (s->phase != SMTP_PHASE_START && s->phase != SMTP_PHASE_READY) {
        smtp_refuse(s, smtp_out_of_sequence(s), command->line);
    } else {
        smtp_enter(s, SMTP_PHASE_SECURING);
        smtp_reply(s, SMTP_TLS_READY);
        smtp_push(s, SMTP_EFFECT_STARTTLS);
    }
}
