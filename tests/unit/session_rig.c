#include "session_rig.h"

#include "suite.h"

#define LIMITS                                                                                               \
    {                                                                                                        \
        .message_size = 100000, .header_size = 100000, .header_fields = 1000, .recipients = 100,             \
        .command_length = 2048, .commands = 1000000, .messages = 1000, .errors = 5, .strangers = 10,         \
        .auth_failures = 3, .command_timeout = 300000, .data_timeout = 600000                                \
    }

const struct smtp_service rig_smtp = { .protocol = SMTP_PROTOCOL_SMTP,
                                       .hostname = "mx.example.org",
                                       .limits = LIMITS };
const struct smtp_service rig_lmtp = { .protocol = SMTP_PROTOCOL_LMTP,
                                       .hostname = "mx.example.org",
                                       .limits = LIMITS };
const struct smtp_client rig_client;

void rig_pull(struct smtp_session *s, GString *trace, uint64_t *ret_ticket)
{
    static const char *const names[] = {
        [SMTP_EFFECT_MAIL] = "mail",
        [SMTP_EFFECT_RCPT] = "rcpt",
        [SMTP_EFFECT_OPEN] = "open",
        [SMTP_EFFECT_APPEND] = "append",
        [SMTP_EFFECT_FINISH] = "finish",
        [SMTP_EFFECT_RESET] = "reset",
        [SMTP_EFFECT_REFUSED] = "refused",
        [SMTP_EFFECT_END] = "end",
        [SMTP_EFFECT_XCLIENT] = "xclient",
        [SMTP_EFFECT_XFORWARD] = "xforward",
        [SMTP_EFFECT_STARTTLS] = "starttls",
        [SMTP_EFFECT_AUTH] = "auth",
        [SMTP_EFFECT_AUTH_RESPONSE] = "response",
        [SMTP_EFFECT_AUTH_CANCEL] = "cancel",
    };
    struct smtp_effect e;
    while (smtp_session_next(s, &e)) {
        if (e.kind == SMTP_EFFECT_WRITE)
            g_string_append_printf(trace, "%.3s ", (const char *)e.bytes.data);
        else
            g_string_append_printf(trace, "%s ", names[e.kind]);
        if (ret_ticket != NULL && (e.kind == SMTP_EFFECT_RCPT || e.kind == SMTP_EFFECT_FINISH ||
                                   e.kind == SMTP_EFFECT_AUTH || e.kind == SMTP_EFFECT_AUTH_RESPONSE))
            *ret_ticket = e.ticket;
    }
}

const char *rig_feed(struct smtp_session *s, const char *text, msec_t now, GString *trace,
                     uint64_t *ret_ticket)
{
    size_t taken;
    do {
        taken = smtp_session_feed(s, slice_str(text), now);
        rig_pull(s, trace, ret_ticket);
        text += taken;
    } while (taken > 0 && *text != '\0');
    return text;
}

void rig_answer(struct smtp_session *s, uint64_t ticket, enum smtp_outcome outcome, GString *trace)
{
    smtp_session_answer(s, ticket, (struct smtp_verdict){ .outcome = outcome, .detail = "id" }, 0);
    rig_pull(s, trace, NULL);
}

struct smtp_session *rig_with_recipient(const struct smtp_service *service, const char *mail)
{
    g_autoptr(GString) trace = g_string_new(NULL);
    struct smtp_session *s = smtp_session_new(service, &rig_client, 0);
    uint64_t ticket = 0;
    rig_feed(s, service->protocol == SMTP_PROTOCOL_LMTP ? "LHLO c\r\n" : "EHLO c\r\n", 0, trace, NULL);
    rig_feed(s, mail, 0, trace, NULL);
    rig_feed(s, "RCPT TO:<a@b>\r\n", 0, trace, &ticket);
    rig_answer(s, ticket, SMTP_RECIPIENT_OK, trace);
    assert_trace(trace, "220 250 mail 250 rcpt 250 ");
    return s;
}
