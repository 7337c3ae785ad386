/* RSET, NOOP, VRFY, EXPN, HELP, QUIT (RFC 5321 4.1.1.5 to 4.1.1.10). */
#include "smtp/session_internal.h"

void smtp_start_rset(struct smtp_session *s, const struct smtp_command *command)
{
    (void)command;
    smtp_reset(s);
    smtp_reply(s, SMTP_RESET_DONE);
}

void smtp_start_noop(struct smtp_session *s, const struct smtp_command *command)
{
    (void)command;
    smtp_reply(s, SMTP_NOOP);
}

/* 252 for every name: whoever harvests addresses learns nothing (RFC 5321 7.3). */
void smtp_start_vrfy(struct smtp_session *s, const struct smtp_command *command)
{
    (void)command;
    smtp_reply(s, SMTP_VRFY_ANSWER);
}

void smtp_start_expn(struct smtp_session *s, const struct smtp_command *command)
{
    (void)command;
    smtp_reply(s, SMTP_EXPN_REFUSED);
}

void smtp_start_help(struct smtp_session *s, const struct smtp_command *command)
{
    (void)command;
    smtp_reply(s, SMTP_HELP);
}

void smtp_start_quit(struct smtp_session *s, const struct smtp_command *command)
{
    (void)command;
    smtp_say_goodbye(s, SMTP_BYE);
}
