/* XCLIENT and XFORWARD, which Postfix has and documents: a trusted client tells whose mail this is. */
#include "smtp/session_internal.h"

/* True when they are allowed and right; `text` has room for what they decode to. */
static bool check(struct smtp_session *s, const struct smtp_command *command, bool may, unsigned allowed)
{
    char text[SMTP_EFFECT_TEXT];
    struct smtp_facts facts;
    if (!may)
        smtp_refuse(s, SMTP_FACTS_REFUSED, command->argument);
    else if (smtp_facts_parse(command->argument, allowed, text, sizeof text, &facts) < 0)
        smtp_refuse(s, SMTP_FACTS_SYNTAX, command->argument);
    else
        return true;
    return false;
}

void smtp_start_xclient(struct smtp_session *s, const struct smtp_command *command)
{
    if (!check(s, command, s->client.may_xclient, SMTP_XCLIENT_FACTS))
        return;
    smtp_push(s, SMTP_EFFECT_XCLIENT)->bytes = command->argument;
    smtp_greet(s); /* to the one whom it speaks for */
}

void smtp_start_xforward(struct smtp_session *s, const struct smtp_command *command)
{
    if (!check(s, command, s->client.may_xforward, SMTP_XFORWARD_FACTS))
        return;
    smtp_push(s, SMTP_EFFECT_XFORWARD)->bytes = command->argument;
    smtp_reply(s, SMTP_XFORWARD_DONE);
}
