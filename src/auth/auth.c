#include "auth/auth.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "auth/credentials.h"
#include "auth/dovecot.h"
#include "auth/failures.h"
#include "auth/mechanism.h"
#include "auth/sasl.h"
#include "auth/turns.h"
#include "auth/user.h"
#include "base/assert.h"

/* Jobs that hash at one time: the pool is there for mail, too, and must not be all theirs who guess
 * passwords. */
enum { JOBS_MAX = 2 };

enum { LOOK_MS = 1000 }; /* between two looks at the passwords file */

struct authenticator {
    struct reactor *reactor;
    const struct pst_log *log;
    msec_t failure_delay;
    unsigned permitted; /* mechanisms */
    struct failures *failures;
    struct auth_counts counts;
    auth_on_missed on_missed; /* NULL: nobody is told */
    void *missed_owner;

    struct dovecot *dovecot; /* or those of a passwords file: */
    Gsasl *context;
    unsigned supported; /* mechanisms that the library has */
    struct credentials *credentials;
    struct timer *next_look;
    struct diag problems; /* that the look under way has found */

    struct turns *turns; /* exchanges whose job has to wait */
    unsigned jobs;       /* under way, a look among them */
    unsigned exchanges;  /* neither cancelled nor ended */
    bool is_closing;
};

struct auth_exchange {
    struct authenticator *auth;
    auth_on_step on_step;
    void *owner;
    int mechanism; /* -1: none of those offered */
    char *session, *client;
    msec_t asked_at; /* when the client said what is being answered */

    struct timer *timer; /* of what is told later: */
    enum auth_kind kind;
    char *user;
    const char *reason;

    struct dovecot_request *request;
    struct sasl *sasl;

    struct turn turn;
    bool is_in_job, is_cancelled, is_in_hurry;
    char *response; /* the job's; NULL: none */
    struct sasl_answer answer;
};

/* ---- the end of an exchange, and of the authenticator ---- */

static void authenticator_free(struct authenticator *a)
{
    failures_free(a->failures);
    turns_free(a->turns);
    dovecot_close(a->dovecot);
    credentials_free(a->credentials);
    diag_clear(&a->problems);
    if (a->context != NULL)
        gsasl_done(a->context);
    g_free(a);
}

static void exchange_free(struct auth_exchange *x)
{
    timer_close(x->timer);
    dovecot_cancel(x->request);
    sasl_free(x->sasl);
    password_wipe(x->response);
    g_free(x->answer.challenge);
    g_free(x->session);
    g_free(x->client);
    g_free(x->user);
    g_free(x);
}

static void end(struct auth_exchange *x)
{
    x->auth->exchanges--;
    exchange_free(x);
}

/* The exchange is gone when its owner hears of it, who may close everything then. */
static void tell(struct auth_exchange *x)
{
    auth_on_step on_step = x->on_step;
    void *owner = x->owner;
    g_autofree char *user = g_steal_pointer(&x->user);
    struct auth_step step = {
        .kind = x->kind,
        .user = user,
        .mechanism = x->mechanism >= 0 ? mechanism_names[x->mechanism] : NULL,
        .reason = x->reason,
    };
    end(x);
    on_step(owner, &step);
}

static void on_timer(void *owner)
{
    tell(owner);
}

static void tell_at(struct auth_exchange *x, msec_t when)
{
    x->timer = timer_new(x->auth->reactor, on_timer, x);
    timer_start(x->timer, when);
}

/* ---- answers ---- */

/*
 * How long a failure takes is counted from the client's words on, so that the time it took to find out is no
 * part of it.
 */
static void fail(struct auth_exchange *x)
{
    struct authenticator *a = x->auth;
    msec_t now = reactor_now(a->reactor);
    msec_t due = x->asked_at + failures_add(a->failures, x->client, a->failure_delay, now);
    a->counts.failures++;
    tell_at(x, x->is_in_hurry ? now : MAX(due, now));
}

/* The last answer, which has come from a callback of its own. */
static void conclude(struct auth_exchange *x, enum auth_kind kind, const char *user, const char *reason)
{
    x->kind = kind;
    x->user = g_strdup(user);
    x->reason = reason;
    if (kind == AUTH_FAILED) {
        fail(x);
        return;
    }
    if (kind == AUTH_DONE)
        x->auth->counts.successes++;
    else if (kind == AUTH_UNAVAILABLE)
        x->auth->counts.unavailable++;
    tell(x);
}

/* The same, but inside a call of the owner's. */
static void conclude_soon(struct auth_exchange *x, enum auth_kind kind, const char *reason)
{
    x->kind = kind;
    x->reason = reason;
    if (kind == AUTH_UNAVAILABLE)
        x->auth->counts.unavailable++;
    tell_at(x, reactor_now(x->auth->reactor));
}

/* Whoever is told may go on or cancel inside. */
static void challenge(struct auth_exchange *x, const char *text)
{
    struct auth_step step = {
        .kind = AUTH_CHALLENGE,
        .challenge = text,
        .mechanism = mechanism_names[x->mechanism],
    };
    x->on_step(x->owner, &step);
}

/* ---- jobs ---- */

static void start_waiting(struct authenticator *a);

static void run_job(void *arg)
{
    struct auth_exchange *x = arg;
    x->answer = sasl_step(x->sasl, x->response);
}

static void end_job(struct authenticator *a)
{
    a->jobs--;
    if (!a->is_closing)
        start_waiting(a);
    else if (a->jobs == 0)
        authenticator_free(a);
}

/* Nobody waits for this failure, but the next one is to come later, and it is to be told of. */
static void miss(const struct auth_exchange *x)
{
    struct authenticator *a = x->auth;
    struct auth_step failure = {
        .kind = AUTH_FAILED,
        .user = x->answer.user,
        .mechanism = mechanism_names[x->mechanism],
        .reason = x->answer.reason,
    };
    (void)failures_add(a->failures, x->client, a->failure_delay, reactor_now(a->reactor));
    a->counts.failures++;
    if (a->on_missed != NULL && !a->is_closing)
        a->on_missed(a->missed_owner, x->session, x->client, &failure);
}

static void take_job_answer(struct auth_exchange *x)
{
    if (x->is_cancelled) {
        if (x->answer.kind == AUTH_FAILED)
            miss(x);
        exchange_free(x);
        return;
    }
    g_clear_pointer(&x->response, password_wipe);
    if (x->answer.kind != AUTH_CHALLENGE) {
        conclude(x, x->answer.kind, x->answer.user, x->answer.reason);
        return;
    }
    g_autofree char *text = g_steal_pointer(&x->answer.challenge);
    challenge(x, text);
}

static void on_job_done(void *arg)
{
    struct auth_exchange *x = arg;
    struct authenticator *a = x->auth;
    x->is_in_job = false;
    take_job_answer(x); /* `a` stays: this job still counts */
    end_job(a);
}

static void submit(struct auth_exchange *x)
{
    x->auth->jobs++;
    x->is_in_job = true;
    reactor_submit(x->auth->reactor, run_job, on_job_done, x);
}

static void start_waiting(struct authenticator *a)
{
    struct auth_exchange *x;
    while (a->jobs < JOBS_MAX && (x = turns_next(a->turns)) != NULL)
        submit(x);
}

static void step_in_job(struct auth_exchange *x, const char *response)
{
    x->response = g_strdup(response);
    turns_join(x->auth->turns, &x->turn, x->client, x);
    start_waiting(x->auth);
}

/* ---- the passwords file ---- */

static void log_problems(struct authenticator *a)
{
    for (guint i = 0; i < diag_count(&a->problems); i++)
        pst_log(a->log, PST_LOG_WARNING, "passwords-problem",
                PST_STR("problem", (const char *)g_ptr_array_index(a->problems.problems, i)));
    diag_clear(&a->problems);
}

static void look(void *arg)
{
    struct authenticator *a = arg;
    credentials_look(a->credentials, &a->problems);
}

static void on_looked(void *arg)
{
    struct authenticator *a = arg;
    log_problems(a);
    if (!a->is_closing)
        timer_start(a->next_look, reactor_now(a->reactor) + LOOK_MS);
    end_job(a);
}

/* By the clock, and not when somebody logs in: who is offered nothing, for want of users, never does. */
static void on_next_look(void *owner)
{
    struct authenticator *a = owner;
    a->jobs++;
    reactor_submit(a->reactor, look, on_looked, a);
}

static int open_passwords(struct authenticator *a, const char *path)
{
    int r = sasl_context_new(&a->context);
    if (r < 0)
        return r;
    a->supported = sasl_mechanisms(a->context);
    a->credentials = credentials_new(path, (struct origin){ NULL, 0 }, &a->problems);
    log_problems(a);
    a->next_look = timer_new(a->reactor, on_next_look, a);
    timer_start(a->next_look, reactor_now(a->reactor) + LOOK_MS);
    return 0;
}

/* ---- Dovecot ---- */

static void on_dovecot_answer(void *owner, const struct auth_step *answer)
{
    struct auth_exchange *x = owner;
    if (answer->kind == AUTH_CHALLENGE) {
        challenge(x, answer->challenge);
        return;
    }
    x->request = NULL; /* which is gone */
    conclude(x, answer->kind, answer->user, answer->reason);
}

static void take_dovecot_refusal(struct auth_exchange *x, int error)
{
    if (error == -EHOSTDOWN)
        conclude_soon(x, AUTH_UNAVAILABLE, "dovecot-gone");
    else if (error < 0)
        conclude_soon(x, AUTH_MALFORMED, error == -EMSGSIZE ? "too-long" : "malformed");
}

/* ---- exchanges ---- */

/* What this client may use; see authenticator_mechanisms(). */
static unsigned offered_to(const struct authenticator *a, const struct auth_facts *facts)
{
    unsigned set = a->permitted;
    unsigned plus = MECHANISM_BIT(MECHANISM_SCRAM_SHA_256_PLUS);
    set &= a->dovecot != NULL ? dovecot_mechanisms(a->dovecot) : a->supported;
    /* Who has keys for SCRAM can use it. If nobody has, clients that prefer it would only fail. */
    if (a->credentials != NULL && !credentials_have_scram(a->credentials))
        set &= ~(plus | MECHANISM_BIT(MECHANISM_SCRAM_SHA_256));
    if (facts->certificate_identity == NULL)
        set &= ~MECHANISM_BIT(MECHANISM_EXTERNAL);
    if (facts->tls_exporter.len == 0 && facts->tls_unique.len == 0)
        set &= ~plus;
    return set;
}

/* A string of it; NULL when it is none. To be wiped. */
static char *dup_response(struct slice text)
{
    return slice_find(text, 0, '\0') == text.len ? slice_dup(text) : NULL;
}

static char *dup_initial(struct slice text)
{
    return slice_equal(text, slice_str("=")) ? g_strdup("") : dup_response(text);
}

static void begin(struct auth_exchange *x, unsigned offered, const struct auth_facts *facts,
                  const char *initial)
{
    struct authenticator *a = x->auth;
    enum mechanism m = (enum mechanism)x->mechanism;
    if (a->dovecot != NULL) {
        take_dovecot_refusal(x,
                             dovecot_ask(a->dovecot, m, facts, initial, on_dovecot_answer, x, &x->request));
        return;
    }
    x->sasl = sasl_new(a->context, a->credentials, m, offered, facts);
    step_in_job(x, initial);
}

struct auth_exchange *auth_begin(struct authenticator *a, const struct auth_facts *facts,
                                 struct slice mechanism, const struct slice *initial, auth_on_step on_step,
                                 void *owner)
{
    pst_assert(!a->is_closing);
    struct auth_exchange *x = g_new0(struct auth_exchange, 1);
    unsigned offered = offered_to(a, facts);
    x->auth = a;
    x->on_step = on_step;
    x->owner = owner;
    x->session = g_strdup(facts->session);
    x->client = g_strdup(facts->client);
    x->asked_at = reactor_now(a->reactor);
    x->mechanism = mechanism_find(mechanism);
    a->exchanges++;
    if (x->mechanism < 0 || (offered & MECHANISM_BIT(x->mechanism)) == 0) {
        conclude_soon(x, AUTH_UNKNOWN_MECHANISM, "unknown-mechanism");
        return x;
    }
    auto_password char *text = initial != NULL ? dup_initial(*initial) : NULL;
    if (initial != NULL && text == NULL)
        conclude_soon(x, AUTH_MALFORMED, "malformed");
    else
        begin(x, offered, facts, text);
    return x;
}

void auth_go_on(struct auth_exchange *x, struct slice response)
{
    pst_assert(!x->is_in_job && !turn_is_waiting(&x->turn) && x->timer == NULL);
    x->asked_at = reactor_now(x->auth->reactor);
    auto_password char *text = dup_response(response);
    if (text == NULL) {
        conclude_soon(x, AUTH_MALFORMED, "malformed");
    } else if (x->sasl != NULL) {
        step_in_job(x, text);
    } else {
        int r = dovecot_go_on(x->request, text);
        if (r < 0)
            x->request = NULL;
        take_dovecot_refusal(x, r);
    }
}

void auth_cancel(struct auth_exchange *x)
{
    if (x == NULL)
        return;
    pst_assert(!x->is_cancelled);
    turns_leave(x->auth->turns, &x->turn);
    if (x->is_in_job) {
        x->is_cancelled = true; /* the job's end frees it */
        x->auth->exchanges--;
        return;
    }
    if (x->timer != NULL && x->kind == AUTH_FAILED)
        tell(x);
    else
        end(x);
}

void auth_hurry(struct auth_exchange *x)
{
    if (x == NULL)
        return;
    x->is_in_hurry = true;
    if (x->timer != NULL && x->kind == AUTH_FAILED)
        tell(x);
}

/* ---- the authenticator ---- */

int authenticator_new(struct reactor *r, const struct auth_settings *s, const struct pst_log *log,
                      struct authenticator **ret_authenticator)
{
    if (!auth_is_configured(s))
        return -EINVAL;
    struct authenticator *a = g_new0(struct authenticator, 1);
    a->reactor = r;
    a->log = log;
    a->failure_delay = s->failure_delay;
    a->permitted = s->mechanisms != 0 ? s->mechanisms : MECHANISMS_ALL;
    a->failures = failures_new();
    a->turns = turns_new();
    int error =
        s->dovecot != NULL ? dovecot_new(r, s->dovecot, log, &a->dovecot) : open_passwords(a, s->passwords);
    if (error < 0) {
        authenticator_free(a);
        return error;
    }
    *ret_authenticator = a;
    return 0;
}

void authenticator_close(struct authenticator *a)
{
    if (a == NULL)
        return;
    pst_assert(a->exchanges == 0 && !a->is_closing);
    a->is_closing = true;
    timer_close(g_steal_pointer(&a->next_look));
    if (a->jobs == 0)
        authenticator_free(a);
}

void authenticator_watch_missed(struct authenticator *a, auth_on_missed on_missed, void *owner)
{
    a->on_missed = on_missed;
    a->missed_owner = owner;
}

const char *authenticator_mechanisms(const struct authenticator *a, const struct auth_facts *facts,
                                     char text[AUTH_MECHANISMS_SIZE])
{
    unsigned set = offered_to(a, facts);
    text[0] = '\0';
    for (int m = 0; m < MECHANISM_COUNT; m++)
        if ((set & MECHANISM_BIT(m)) != 0) {
            if (text[0] != '\0')
                g_strlcat(text, " ", AUTH_MECHANISMS_SIZE);
            g_strlcat(text, mechanism_names[m], AUTH_MECHANISMS_SIZE);
        }
    return text[0] != '\0' ? text : NULL;
}

struct auth_counts authenticator_counts(const struct authenticator *a)
{
    return a->counts;
}
