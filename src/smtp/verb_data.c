/* DATA (RFC 5321 4.1.1.4) and the message behind it. */
#include "smtp/session_internal.h"

/* ---- what a message is, however it comes ---- */

void smtp_message_open(struct smtp_session *s)
{
    s->data = (struct smtp_data){ 0 };
    s->header = (struct smtp_header){ 0 };
    s->octets = 0;
    smtp_push(s, SMTP_EFFECT_OPEN);
}

bool smtp_message_take(struct smtp_session *s, struct slice run, enum smtp_outcome *ret_why)
{
    const struct smtp_limits *limits = &s->service->limits;
    if (run.len > limits->message_size - s->octets) {
        *ret_why = SMTP_TOO_BIG;
        return false;
    }
    switch (smtp_header_take(&s->header, run, limits->header_size, limits->header_fields)) {
    case SMTP_HEADER_TOO_BIG:
        *ret_why = SMTP_HEADER_TOO_LARGE;
        return false;
    case SMTP_HEADER_TOO_MANY:
        *ret_why = SMTP_TOO_MANY_FIELDS;
        return false;
    case SMTP_HEADER_WITHIN:
        break;
    }
    s->octets += run.len;
    smtp_push(s, SMTP_EFFECT_APPEND)->bytes = run;
    return true;
}

/* RFC 2033 4.2: one for each recipient that was accepted, also if it is the same one again. */
uint64_t smtp_answers_of_message(const struct smtp_session *s)
{
    bool lmtp = s->service->protocol == SMTP_PROTOCOL_LMTP;
    return lmtp && s->accepted > 0 ? s->accepted : 1;
}

void smtp_message_finish(struct smtp_session *s)
{
    s->answers_due = smtp_answers_of_message(s);
    s->ticket++;
    smtp_push(s, SMTP_EFFECT_FINISH);
    smtp_enter(s, SMTP_PHASE_FINISHING);
}

/* ---- DATA ---- */

/* RFC 3030 2, 3: DATA and BDAT do not mix, nor DATA and BINARYMIME; behind such a mistake it takes RSET. */
static void refuse_for_good(struct smtp_session *s, enum smtp_outcome why, struct slice line)
{
    if (!smtp_blame(s, why, line))
        return;
    smtp_push(s, SMTP_EFFECT_RESET);
    smtp_enter(s, SMTP_PHASE_FAILED);
    smtp_reply(s, why);
}

void smtp_start_data(struct smtp_session *s, const struct smtp_command *command)
{
    if (s->phase == SMTP_PHASE_CHUNKING) {
        refuse_for_good(s, SMTP_NEEDS_BDAT, command->line);
    } else if (s->accepted == 0) {
        smtp_refuse(s, SMTP_NEEDS_RCPT,
                    command->line); /* RFC 2033 4.2 wants this 503; RFC 5321 3.3 allows it */
    } else if (s->mail.body == SMTP_BODY_BINARYMIME) {
        refuse_for_good(s, SMTP_BINARY_NEEDS_BDAT, command->line);
    } else {
        smtp_message_open(s);
        smtp_enter(s, SMTP_PHASE_DATA);
        smtp_reply(s, SMTP_GO_AHEAD);
    }
}

/* From here on the message is read and thrown away: the client learns why when it has sent the end. */
static void drain(struct smtp_session *s, enum smtp_outcome why)
{
    s->refusal = why;
    smtp_push(s, SMTP_EFFECT_REFUSED)->outcome = why; /* while it can still be told which message that was */
    smtp_push(s, SMTP_EFFECT_RESET);
    smtp_enter(s, SMTP_PHASE_DRAINING);
}

static void on_run(struct smtp_session *s, struct slice run)
{
    enum smtp_outcome why;
    if (s->phase == SMTP_PHASE_DRAINING)
        return;
    if (s->data.bare_cr_lf)
        drain(s, SMTP_BARE_CR_OR_LF);
    else if (!smtp_message_take(s, run, &why))
        drain(s, why);
}

static void on_end(struct smtp_session *s)
{
    if (s->phase == SMTP_PHASE_DRAINING) {
        s->answers_due = smtp_answers_of_message(s);
        s->after = SMTP_PHASE_READY;
        smtp_enter(s, SMTP_PHASE_REFUSING);
    } else {
        smtp_message_finish(s);
    }
}

size_t smtp_data_feed(struct smtp_session *s, struct slice in)
{
    size_t taken = 0;
    while (smtp_has_room(s)) {
        struct slice run;
        size_t count;
        enum smtp_data_found found = smtp_data_take(&s->data, slice_skip(in, taken), &run, &count);
        taken += count;
        if (found == SMTP_DATA_MORE)
            break;
        if (found == SMTP_DATA_END) {
            on_end(s);
            break;
        }
        on_run(s, run);
    }
    return taken;
}
