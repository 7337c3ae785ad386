/* DATA (RFC 5321 4.1.1.4) and the message behind it. */
#include "smtp/session_internal.h"

void smtp_start_data(struct smtp_session *s, const struct smtp_command *command)
{
    if (s->accepted == 0) {
        smtp_refuse(s, SMTP_NEEDS_RCPT,
                    command->verb); /* RFC 2033 4.2 wants this 503; RFC 5321 3.3 allows it */
        return;
    }
    s->data = (struct smtp_data){ 0 };
    s->octets = 0;
    smtp_enter(s, SMTP_PHASE_DATA);
    smtp_push(s, SMTP_EFFECT_OPEN);
    smtp_reply(s, SMTP_GO_AHEAD);
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
    if (s->phase == SMTP_PHASE_DRAINING)
        return;
    uint64_t limit = s->service->limits.message_size;
    if (s->data.bare_cr_lf) {
        drain(s, SMTP_BARE_CR_OR_LF);
    } else if (run.len > limit - s->octets) {
        drain(s, SMTP_TOO_BIG);
    } else {
        s->octets += run.len;
        smtp_push(s, SMTP_EFFECT_APPEND)->bytes = run;
    }
}

static void on_end(struct smtp_session *s)
{
    bool lmtp = s->service->protocol == SMTP_PROTOCOL_LMTP;
    s->answers_due =
        lmtp ? s->accepted : 1; /* RFC 2033 4.2: one reply for each recipient that was accepted */
    if (s->phase == SMTP_PHASE_DRAINING) {
        smtp_enter(s, SMTP_PHASE_REFUSING);
        return;
    }
    s->ticket++;
    smtp_push(s, SMTP_EFFECT_FINISH);
    smtp_enter(s, SMTP_PHASE_FINISHING);
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
