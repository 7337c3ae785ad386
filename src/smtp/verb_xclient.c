/* XCLIENT and XFORWARD, which Postfix has and documents: a trusted client tells whose mail this is. */
#include "smtp/session_internal.h"

/* True when they are allowed and right; `text` has room for what they decode to. */
static bool check(struct smtp_session *s, const struct smtp_command *command, bool may, unsigned allowed,
                  char text[SMTP_FACTS_TEXT], struct smtp_facts *ret_facts)
{
    if (!may)
        smtp_refuse(s, SMTP_FACTS_REFUSED, command->line);
    else if (smtp_facts_parse(command->argument, allowed, text, SMTP_FACTS_TEXT, ret_facts) < 0)
        smtp_refuse(s, SMTP_FACTS_SYNTAX, command->line);
    else
        return true;
    return false;
}

/* XCLIENT_README: HELO and PROTO are as if the client had said so itself, until it does. */
static void take_hello(struct smtp_session *s, const struct smtp_facts *facts)
{
    struct slice helo = facts->value[SMTP_FACT_HELO];
    if (helo.len == 0 || !smtp_domain_valid(helo))
        return;
    s->helo = slice_dup(helo);
    s->extended = slice_equal(facts->value[SMTP_FACT_PROTO], slice_str("ESMTP"));
    smtp_enter(s, SMTP_PHASE_READY);
}

void smtp_start_xclient(struct smtp_session *s, const struct smtp_command *command)
{
    char text[SMTP_FACTS_TEXT];
    struct smtp_facts facts;
    if (!check(s, command, s->client.may_xclient, SMTP_XCLIENT_FACTS, text, &facts))
        return;
    smtp_push(s, SMTP_EFFECT_XCLIENT)->bytes = command->argument;
    s->is_introduced = true;
    smtp_greet(s); /* the one whom it speaks for */
    take_hello(s, &facts);
}

void smtp_start_xforward(struct smtp_session *s, const struct smtp_command *command)
{
    char text[SMTP_FACTS_TEXT];
    struct smtp_facts facts;
    if (!check(s, command, s->client.may_xforward, SMTP_XFORWARD_FACTS, text, &facts))
        return;
    smtp_push(s, SMTP_EFFECT_XFORWARD)->bytes = command->argument;
    smtp_reply(s, SMTP_XFORWARD_DONE);
}
