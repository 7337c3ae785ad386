/* MAIL (RFC 5321 4.1.1.2). */
#include <errno.h>

#include "smtp/session_internal.h"

/* SMTP_SENDER_OK, or why not. */
static enum smtp_outcome check(const struct smtp_session *s, struct slice argument,
                               struct smtp_path *ret_path, struct smtp_mail_parameters *ret_parameters)
{
    int r = smtp_path_read(argument, ret_path);
    if (r < 0)
        return r == -E2BIG ? SMTP_PATH_TOO_LONG : SMTP_BAD_SENDER;
    if (ret_path->domain_len == 0 && !smtp_path_is_null(ret_path))
        return SMTP_BAD_SENDER; /* <postmaster> */
    const struct smtp_mail_terms terms = { .message_size = s->service->limits.message_size,
                                           .secure = smtp_session_is_secure(s),
                                           .auth = s->client.mechanisms != NULL };
    enum smtp_outcome outcome =
        smtp_mail_parameters_parse(slice_skip(argument, ret_path->len), &terms, ret_parameters);
    if (outcome == SMTP_SENDER_OK && !ret_path->ascii && !ret_parameters->utf8)
        outcome = SMTP_NEEDS_UTF8; /* RFC 6531 3.5 */
    return outcome;
}

void smtp_start_mail(struct smtp_session *s, const struct smtp_command *command)
{
    struct slice argument;
    if (!smtp_path_argument(command->argument, "FROM:", &argument)) {
        smtp_refuse(s, SMTP_MAIL_SYNTAX, command->line);
        return;
    }
    struct smtp_path sender;
    struct smtp_mail_parameters parameters;
    enum smtp_outcome outcome = check(s, argument, &sender, &parameters);
    if (outcome != SMTP_SENDER_OK) {
        smtp_refuse(s, outcome, command->line);
        return;
    }
    if (++s->messages > s->service->limits.messages) { /* RFC 9422 4.1, MAILMAX */
        smtp_say_goodbye(s, SMTP_TOO_MANY_MESSAGES);
        return;
    }
    s->sender = sender;
    s->mail = parameters;
    smtp_enter(s, SMTP_PHASE_MAIL);
    smtp_push(s, SMTP_EFFECT_MAIL)->bytes = argument;
    smtp_reply(s, SMTP_SENDER_OK);
}
