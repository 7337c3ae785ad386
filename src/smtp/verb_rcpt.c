/* RCPT (RFC 5321 4.1.1.3). */
#include <errno.h>

#include "smtp/session_internal.h"

/* RCPT has no parameter that we know: any well-formed one is 555. */
static enum smtp_outcome check_parameters(struct slice rest)
{
    struct smtp_parameter one;
    int r = smtp_parameter_next(&rest, &one);
    return r < 0 ? SMTP_PARAMETER_SYNTAX : r > 0 ? SMTP_PARAMETER_UNKNOWN : SMTP_RECIPIENT_OK;
}

void smtp_start_rcpt(struct smtp_session *s, const struct smtp_command *command)
{
    struct slice path;
    if (!smtp_path_argument(command->argument, "TO:", &path)) {
        smtp_refuse(s, SMTP_RCPT_SYNTAX, command->argument);
        return;
    }
    struct smtp_address address;
    size_t len;
    int r = smtp_path_parse(path, &address, &len);
    if (r < 0 || smtp_address_is_null(&address) || !smtp_address_is_ascii(&address)) {
        smtp_refuse(s, r == -E2BIG ? SMTP_PATH_TOO_LONG : SMTP_BAD_RECIPIENT, command->argument);
        return;
    }
    enum smtp_outcome outcome = check_parameters(slice_skip(path, len));
    if (outcome == SMTP_RECIPIENT_OK && s->accepted >= s->service->limits.recipients)
        outcome = SMTP_TOO_MANY_RECIPIENTS;
    if (outcome != SMTP_RECIPIENT_OK) {
        smtp_refuse(s, outcome, command->argument);
        return;
    }
    s->ticket++;
    smtp_enter(s, SMTP_PHASE_ROUTING);
    smtp_push(s, SMTP_EFFECT_RCPT)->bytes = path;
}
