/* AUTH (RFC 4954): carries the session's questions to the authenticator, and its steps back. */
#include "worker/conn_internal.h"
#include "worker/session_log.h"
#include "worker/verdict.h"

/* ---- what is known of the client ---- */

struct bindings {
    uint8_t exporter[TLS_BINDING_MAX], unique[TLS_BINDING_MAX];
};

static struct slice binding_of(const struct conn *c, const char *type, uint8_t to[TLS_BINDING_MAX])
{
    size_t len;
    bool is_there = c->tls != NULL && tls_session_channel_binding(c->tls, type, to, &len) == 0;
    return is_there ? slice_of(to, len) : slice_of(NULL, 0);
}

static struct auth_facts facts_of(const struct conn *c, struct bindings *bindings)
{
    static const struct slice none = { NULL, 0 };
    const struct tls_facts *tls = conn_tls(c);
    bool is_its_own = !conn_is_spoken_for(c); /* else neither certificate nor channel is the client's */
    return (struct auth_facts){
        .service = smtp_protocol_names[c->host->service.protocol],
        .session = c->id,
        .client = strcmp(c->client, "unix") == 0 ? NULL : c->client,
        .is_secure = tls != NULL,
        .certificate_identity = tls != NULL && is_its_own ? tls->client_identity : NULL,
        .tls_exporter = is_its_own ? binding_of(c, "tls-exporter", bindings->exporter) : none,
        .tls_unique = is_its_own ? binding_of(c, "tls-unique", bindings->unique) : none,
    };
}

const char *conn_mechanisms(const struct conn *c)
{
    const struct conn_host *host = c->host;
    if (host->auth_mode == WORKER_AUTH_OFF || (conn_tls(c) == NULL && !host->auth_without_tls))
        return NULL;
    struct bindings bindings;
    const struct auth_facts facts = facts_of(c, &bindings);
    char text[AUTH_MECHANISMS_SIZE];
    return g_intern_string(authenticator_mechanisms(host->authenticator, &facts, text)); /* one of a few */
}

/* ---- what comes of it ---- */

static void on_step(void *owner, const struct auth_step *step)
{
    struct conn *c = conn_of(owner);
    if (step->kind != AUTH_CHALLENGE) {
        c->login = NULL;
        session_log_auth(c->host->log, c->id, c->client, step);
    }
    if (step->kind == AUTH_DONE) {
        counters_add(c->host->counters, COUNTER_AUTH_SUCCESSES, 1);
        g_free(c->user);
        c->user = g_strdup(step->user);
    } else if (step->kind == AUTH_FAILED) {
        counters_add(c->host->counters, COUNTER_AUTH_FAILURES, 1);
    }
    const struct smtp_verdict verdict = { .outcome = verdict_of_auth(step->kind), .detail = step->challenge };
    conn_answer(c, c->login_ticket, verdict, false);
}

/* ---- what the session asks ---- */

void conn_begin_login(struct conn *c, const struct smtp_effect *e)
{
    struct bindings bindings;
    const struct auth_facts facts = facts_of(c, &bindings);
    c->login_ticket = e->ticket;
    c->login =
        auth_begin(c->host->authenticator, &facts, e->bytes, e->has_initial ? &e->initial : NULL, on_step, c);
}

void conn_go_on_with_login(struct conn *c, const struct smtp_effect *e)
{
    c->login_ticket = e->ticket;
    auth_go_on(c->login, e->bytes);
}

void conn_cancel_login(struct conn *c)
{
    auth_cancel(g_steal_pointer(&c->login));
}

void conn_log_out(struct conn *c)
{
    g_clear_pointer(&c->user, g_free);
}
