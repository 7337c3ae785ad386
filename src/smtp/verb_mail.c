/* MAIL (RFC 5321 4.1.1.2). */
#include <errno.h>

#include "smtp/session_internal.h"

/* SMTP_SENDER_OK, or why not. Where the parameters begin is *ret_len. */
static enum smtp_outcome check_path(struct slice path, bool *ret_ascii, size_t *ret_len)
{
    struct smtp_address address;
    int r = smtp_path_parse(path, &address, ret_len);
    if (r < 0)
        return r == -E2BIG ? SMTP_PATH_TOO_LONG : SMTP_BAD_SENDER;
    *ret_ascii = smtp_address_is_ascii(&address);
    return address.domain_len == 0 && address.local_len > 0 ? SMTP_BAD_SENDER : SMTP_SENDER_OK;
}

static enum smtp_outcome check(struct slice path, uint64_t limit, struct smtp_mail_parameters *ret_parameters)
{
    size_t len;
    bool ascii;
    enum smtp_outcome outcome = check_path(path, &ascii, &len);
    if (outcome == SMTP_SENDER_OK)
        outcome = smtp_mail_parameters_parse(slice_skip(path, len), limit, ret_parameters);
    if (outcome == SMTP_SENDER_OK && !ascii && !ret_parameters->utf8)
        outcome = SMTP_NEEDS_UTF8; /* RFC 6531 3.5 */
    return outcome;
}

void smtp_start_mail(struct smtp_session *s, const struct smtp_command *command)
{
    struct slice path;
    if (!smtp_path_argument(command->argument, "FROM:", &path)) {
        smtp_refuse(s, SMTP_MAIL_SYNTAX, command->argument);
        return;
    }
    struct smtp_mail_parameters parameters;
    enum smtp_outcome outcome = check(path, s->service->limits.message_size, &parameters);
    if (outcome != SMTP_SENDER_OK) {
        smtp_refuse(s, outcome, command->argument);
        return;
    }
    if (++s->messages > s->service->limits.messages) { /* RFC 9422 4.1, MAILMAX */
        smtp_say_goodbye(s, SMTP_TOO_MANY_MESSAGES);
        return;
    }
    s->mail = parameters;
    smtp_enter(s, SMTP_PHASE_MAIL);
    smtp_push(s, SMTP_EFFECT_MAIL)->bytes = path;
    smtp_reply(s, SMTP_SENDER_OK);
}
