#include "server/trial_login.h"

#include <string.h>

#include "base/assert.h"
#include "worker/session_log.h"
#include "worker/verdict.h"

struct trial_login {
    struct reactor *reactor;             /* which runs while a step is awaited */
    struct authenticator *authenticator; /* NULL: none that could be asked here */
    const struct worker_listener *listener;
    const struct pst_log *log;
    const char *session, *client;
    struct auth_exchange *exchange;
    const struct smtp_effect *said; /* in a step: what the client has said, and where */
    bool is_secure;
    struct smtp_verdict verdict;
    char *challenge;
};

struct trial_login *trial_login_new(const struct settings *settings, const struct worker_listener *listener,
                                    const struct pst_log *log, const char *session, const char *client)
{
    struct reactor *r;
    if (reactor_new(1, &r) < 0)
        return NULL;
    struct trial_login *l = g_new(struct trial_login, 1);
    *l = (struct trial_login){
        .reactor = r, .listener = listener, .log = log, .session = session, .client = client
    };
    bool can_ask = settings->auth.dovecot == NULL;
    if (!can_ask || authenticator_new(r, &settings->auth, log, &l->authenticator) < 0)
        l->authenticator = NULL;
    return l;
}

void trial_login_free(struct trial_login *l)
{
    if (l == NULL)
        return;
    trial_login_cancel(l);
    authenticator_close(l->authenticator);
    reactor_run(l->reactor);
    (void)reactor_free(l->reactor); /* nothing is open in it any more */
    g_free(l->challenge);
    g_free(l);
}

static struct auth_facts facts_of(const struct trial_login *l, bool is_secure)
{
    return (struct auth_facts){ .service = smtp_protocol_names[l->listener->protocol],
                                .session = l->session,
                                .client = strcmp(l->client, "unix") == 0 ? NULL : l->client,
                                .is_secure = is_secure };
}

const char *trial_login_mechanisms(const struct trial_login *l, bool is_secure)
{
    if (l == NULL || (!is_secure && !l->listener->auth_without_tls))
        return NULL;
    if (l->authenticator == NULL)
        return "PLAIN LOGIN";
    const struct auth_facts facts = facts_of(l, is_secure);
    char text[AUTH_MECHANISMS_SIZE];
    return g_intern_string(authenticator_mechanisms(l->authenticator, &facts, text)); /* one of a few */
}

static void on_step(void *owner, const struct auth_step *step)
{
    struct trial_login *l = owner;
    if (step->kind != AUTH_CHALLENGE) {
        l->exchange = NULL;
        session_log_auth(l->log, l->session, l->client, step);
    }
    g_free(l->challenge);
    l->challenge = g_strdup(step->challenge);
    l->verdict = (struct smtp_verdict){ .outcome = verdict_of_auth(step->kind), .detail = l->challenge };
    reactor_stop(l->reactor);
}

/* On the loop, whose clock has stood still while the client was waited for. A look at the file that was due
 * meanwhile is the first job. */
static void go_on(void *arg)
{
    struct trial_login *l = arg;
    const struct smtp_effect *e = l->said;
    const struct auth_facts facts = facts_of(l, l->is_secure);
    if (e->kind == SMTP_EFFECT_AUTH)
        l->exchange =
            auth_begin(l->authenticator, &facts, e->bytes, e->has_initial ? &e->initial : NULL, on_step, l);
    else
        auth_go_on(l->exchange, e->bytes);
}

struct smtp_verdict trial_login_step(struct trial_login *l, const struct smtp_effect *e, bool is_secure)
{
    if (l->authenticator == NULL) {
        pst_log(l->log, PST_LOG_INFO, "auth-left-out", PST_STR("session", l->session),
                PST_STR("advice", "Dovecot is asked by the server only"));
        return (struct smtp_verdict){ .outcome = SMTP_AUTH_UNAVAILABLE };
    }
    l->said = e;
    l->is_secure = is_secure;
    reactor_defer(l->reactor, 1, go_on, l);
    reactor_run(l->reactor);
    return l->verdict;
}

void trial_login_cancel(struct trial_login *l)
{
    auth_cancel(g_steal_pointer(&l->exchange));
}
