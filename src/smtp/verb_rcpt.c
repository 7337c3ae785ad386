/* RCPT (RFC 5321 4.1.1.3). */
#include <errno.h>

#include "smtp/session_internal.h"

/* SMTP_RECIPIENT_OK, or why not. */
static enum smtp_outcome check(const struct smtp_session *s, struct slice argument,
                               struct smtp_path *ret_path, struct smtp_rcpt_parameters *ret_parameters)
{
    int r = smtp_path_read(argument, ret_path);
    if (r < 0)
        return r == -E2BIG ? SMTP_PATH_TOO_LONG : SMTP_BAD_RECIPIENT;
    if (smtp_path_is_null(ret_path))
        return SMTP_BAD_RECIPIENT;
    enum smtp_outcome outcome =
        smtp_rcpt_parameters_parse(slice_skip(argument, ret_path->len), s->mail.utf8, ret_parameters);
    if (outcome != SMTP_RECIPIENT_OK)
        return outcome;
    if (!s->mail.utf8 && !ret_path->ascii)
        return SMTP_NEEDS_UTF8; /* RFC 6531 3.5 */
    return s->accepted < s->service->limits.recipients ? SMTP_RECIPIENT_OK : SMTP_TOO_MANY_RECIPIENTS;
}

void smtp_start_rcpt(struct smtp_session *s, const struct smtp_command *command)
{
    struct slice argument;
    if (!smtp_path_argument(command->argument, "TO:", &argument)) {
        smtp_refuse(s, SMTP_RCPT_SYNTAX, command->line);
        return;
    }
    enum smtp_outcome outcome = check(s, argument, &s->recipient, &s->rcpt);
    if (outcome != SMTP_RECIPIENT_OK) {
        smtp_refuse(s, outcome, command->line);
        return;
    }
    s->ticket++;
    smtp_enter(s, SMTP_PHASE_ROUTING);
    smtp_push(s, SMTP_EFFECT_RCPT)->bytes = argument;
}
