#include "worker/session_log.h"

#include <glib.h>

void session_log_opened(const struct pst_log *log, const char *session, const char *client,
                        const char *listener)
{
    pst_log(log, PST_LOG_INFO, "session-opened", PST_STR("session", session), PST_STR("client", client),
            PST_STR("listener", listener));
}

void session_log_closed(const struct pst_log *log, const char *session, const char *reason, const char *phase,
                        unsigned messages)
{
    pst_log(log, PST_LOG_INFO, "session-closed", PST_STR("session", session), PST_STR("reason", reason),
            PST_STR("phase", phase), PST_UINT("messages", messages));
}

void session_log_facts(const struct pst_log *log, const char *session, const struct smtp_effect *e)
{
    static const char *const keys[SMTP_FACTS] = {
        [SMTP_FACT_NAME] = "name",         [SMTP_FACT_ADDR] = "client",       [SMTP_FACT_PORT] = "port",
        [SMTP_FACT_PROTO] = "proto",       [SMTP_FACT_HELO] = "helo",         [SMTP_FACT_LOGIN] = "login",
        [SMTP_FACT_DESTADDR] = "destaddr", [SMTP_FACT_DESTPORT] = "destport", [SMTP_FACT_IDENT] = "ident",
        [SMTP_FACT_SOURCE] = "source",
    };
    if (log->threshold > PST_LOG_INFO)
        return;
    struct pst_field fields[1 + SMTP_FACTS] = { PST_STR("session", session) };
    size_t count = 1;
    for (unsigned fact = 0; fact < SMTP_FACTS; fact++)
        if ((e->facts.given & SMTP_FACT_BIT(fact)) != 0)
            fields[count++] = PST_BYTES(keys[fact], e->facts.value[fact]);
    pst_log_fields(log, PST_LOG_INFO, e->kind == SMTP_EFFECT_XCLIENT ? "xclient" : "xforward", fields, count);
}

void session_log_auth(const struct pst_log *log, const char *session, const char *client,
                      const struct auth_step *last)
{
    enum pst_log_level level = last->kind == AUTH_DONE ? PST_LOG_INFO : PST_LOG_WARNING;
    if (level < log->threshold)
        return;
    struct pst_field fields[5] = { PST_STR("session", session), PST_STR("client", client) };
    size_t count = 2;
    if (last->user != NULL)
        fields[count++] = PST_STR("user", last->user);
    if (last->mechanism != NULL)
        fields[count++] = PST_STR("mechanism", last->mechanism);
    if (last->kind != AUTH_DONE)
        fields[count++] = PST_STR("reason", last->reason);
    const char *event = last->kind == AUTH_DONE     ? "authenticated"
                        : last->kind == AUTH_FAILED ? "auth-failed"
                                                    : "auth-refused";
    pst_log_fields(log, level, event, fields, count);
}

void session_log_command_refused(const struct pst_log *log, const char *session,
                                 const struct smtp_effect *refused)
{
    enum { LINE_MAX_LOGGED = 200 };
    pst_log(log, PST_LOG_INFO, "command-refused", PST_STR("session", session),
            PST_UINT("code", smtp_outcome_code(refused->outcome)),
            PST_STR("reason", smtp_outcome_name(refused->outcome)),
            PST_BYTES("line", slice_first(refused->bytes, LINE_MAX_LOGGED)));
}

void session_log_rcpt_refused(const struct pst_log *log, const char *session, const struct smtp_address *to,
                              enum smtp_outcome outcome)
{
    char text[SMTP_ADDRESS_TEXT];
    pst_log(log, PST_LOG_INFO, "rcpt-refused", PST_STR("session", session),
            PST_UINT("code", smtp_outcome_code(outcome)), PST_STR("reason", smtp_outcome_name(outcome)),
            PST_STR("to", smtp_address_format(to, text)));
}

void session_log_message_refused(const struct pst_log *log, const char *session,
                                 const struct session_log_message *message, enum smtp_outcome outcome)
{
    char from[SMTP_ADDRESS_TEXT];
    pst_log(log, PST_LOG_INFO, "message-refused", PST_STR("session", session), PST_STR("id", message->id),
            PST_STR("from", smtp_address_format(message->from, from)),
            PST_UINT("recipients", message->recipients), PST_UINT("code", smtp_outcome_code(outcome)),
            PST_STR("reason", smtp_outcome_name(outcome)), PST_UINT("octets", message->octets));
}

void session_log_lookup_failed(const struct pst_log *log, const char *session, const struct smtp_address *to,
                               const char *why, int error)
{
    char text[SMTP_ADDRESS_TEXT];
    pst_log(log, PST_LOG_ERROR, "mailbox-lookup-failed", PST_STR("session", session),
            PST_STR("to", smtp_address_format(to, text)),
            PST_STR("error", why != NULL ? why : g_strerror(-error)));
}
