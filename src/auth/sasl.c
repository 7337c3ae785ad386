#include "auth/sasl.h"

#include <errno.h>
#include <string.h>

#include "auth/user.h"
#include "base/assert.h"

enum { STEPS_MAX = 8 }; /* no mechanism of ours needs as many */

struct sasl {
    Gsasl *context;
    Gsasl_session *session; /* NULL until the first step */
    struct credentials *credentials;
    enum mechanism mechanism;
    char *certificate_identity;
    char *tls_exporter, *tls_unique; /* base64; NULL: there is none, or it was not offered */

    unsigned steps;
    bool is_proven;     /* all that is missing is the client's empty response */
    bool is_permitted;  /* whom the keys are for may log in, with them; SCRAM */
    bool is_broken;     /* there is no file to compare with */
    char *user;         /* NULL: not known, or no name that may be repeated */
    const char *reason; /* why it failed, if that is known better than by the library */
};

/* ---- whom and what the client has shown ---- */

/* The identity to act as is the one that is shown, or none is said (RFC 4616 2): nobody acts for others here.
 */
static bool may_act_as(const char *authzid, const char *user)
{
    if (authzid == NULL || *authzid == '\0')
        return true;
    g_autofree char *other = user_prepare(authzid, USER_ASKED);
    return user != NULL && g_strcmp0(other, user) == 0;
}

/* Sets the user and what else a failure is told by. False: there is no file. */
static bool find(struct sasl *s, struct credential *ret_credential)
{
    const char *name = gsasl_property_fast(s->session, GSASL_AUTHID);
    g_free(s->user);
    s->user = name != NULL ? user_prepare(name, USER_ASKED) : NULL;
    if (credentials_find(s->credentials, s->user, ret_credential) < 0) {
        s->is_broken = true;
        return false;
    }
    if (s->user == NULL)
        s->reason = "bad-user-name";
    else if (!may_act_as(gsasl_property_fast(s->session, GSASL_AUTHZID), s->user))
        s->reason = "other-identity";
    return true;
}

static int validate_simple(struct sasl *s)
{
    auto_val(credential) c = { NULL };
    if (!find(s, &c))
        return GSASL_AUTHENTICATION_ERROR;
    const char *said = gsasl_property_fast(s->session, GSASL_PASSWORD);
    auto_password char *password = said != NULL ? password_prepare(said, USER_ASKED) : NULL;
    /* One call for everybody: nobody learns from the time it takes who is there. */
    bool is_right = password_verify(c.hash, password != NULL ? password : "");
    return is_right && password != NULL && c.may_log_in && s->reason == NULL ? GSASL_OK
                                                                             : GSASL_AUTHENTICATION_ERROR;
}

static int validate_external(struct sasl *s)
{
    s->user = s->certificate_identity != NULL ? user_prepare(s->certificate_identity, USER_ASKED) : NULL;
    if (s->user == NULL)
        s->reason = "no-certificate";
    else if (!may_act_as(gsasl_property_fast(s->session, GSASL_AUTHZID), s->user))
        s->reason = "other-identity";
    return s->reason == NULL ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* All of them, when the library asks for the first: by then it knows the name. */
static int give_scram_keys(struct sasl *s, Gsasl_property asked)
{
    auto_val(credential) c = { NULL };
    if (s->is_broken || gsasl_property_fast(s->session, asked) != NULL)
        return GSASL_NO_CALLBACK;
    if (!find(s, &c))
        return GSASL_NO_CALLBACK;
    s->is_permitted = c.has_scram && s->reason == NULL;
    g_autofree char *iterations = g_strdup_printf("%" G_GUINT64_FORMAT, c.scram.iterations);
    bool is_set = gsasl_property_set(s->session, GSASL_SCRAM_ITER, iterations) == GSASL_OK &&
                  gsasl_property_set(s->session, GSASL_SCRAM_SALT, c.scram.salt) == GSASL_OK &&
                  gsasl_property_set(s->session, GSASL_SCRAM_STOREDKEY, c.scram.stored_key) == GSASL_OK &&
                  gsasl_property_set(s->session, GSASL_SCRAM_SERVERKEY, c.scram.server_key) == GSASL_OK;
    return is_set ? GSASL_OK : GSASL_MALLOC_ERROR;
}

static int give_binding(struct sasl *s, Gsasl_property asked, const char *binding)
{
    return binding != NULL ? gsasl_property_set(s->session, asked, binding) : GSASL_NO_CALLBACK;
}

static int on_gsasl(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    (void)context;
    struct sasl *s = gsasl_session_hook_get(session);
    pst_assert(s != NULL && s->session == session);
    switch (property) {
    case GSASL_VALIDATE_SIMPLE:
        return validate_simple(s);
    case GSASL_VALIDATE_EXTERNAL:
        return validate_external(s);
    case GSASL_SCRAM_ITER:
    case GSASL_SCRAM_SALT:
    case GSASL_SCRAM_STOREDKEY:
    case GSASL_SCRAM_SERVERKEY:
        return give_scram_keys(s, property);
    case GSASL_CB_TLS_EXPORTER:
        return give_binding(s, property, s->tls_exporter);
    case GSASL_CB_TLS_UNIQUE:
        return give_binding(s, property, s->tls_unique);
    default:
        return GSASL_NO_CALLBACK;
    }
}

/* ---- the library ---- */

int sasl_context_new(Gsasl **ret_context)
{
    Gsasl *context;
    if (gsasl_init(&context) != GSASL_OK)
        return -ENOMEM;
    gsasl_callback_set(context, on_gsasl);
    *ret_context = context;
    return 0;
}

unsigned sasl_mechanisms(Gsasl *context)
{
    unsigned set = 0;
    for (int m = 0; m < MECHANISM_COUNT; m++)
        if (gsasl_server_support_p(context, mechanism_names[m]))
            set |= MECHANISM_BIT(m);
    return set;
}

static char *encode_binding(struct slice binding)
{
    return binding.len > 0 ? g_base64_encode(binding.data, binding.len) : NULL;
}

struct sasl *sasl_new(Gsasl *context, struct credentials *credentials, enum mechanism m, unsigned offered,
                      const struct auth_facts *facts)
{
    struct sasl *s = g_new0(struct sasl, 1);
    s->context = context;
    s->credentials = credentials;
    s->mechanism = m;
    if (m == MECHANISM_EXTERNAL)
        s->certificate_identity = g_strdup(facts->certificate_identity);
    /* With a binding, the library refuses who says that we have none: somebody in the middle has told so. */
    if (mechanism_is_scram(m) && (offered & MECHANISM_BIT(MECHANISM_SCRAM_SHA_256_PLUS)) != 0) {
        s->tls_exporter = encode_binding(facts->tls_exporter);
        s->tls_unique = encode_binding(facts->tls_unique);
    }
    return s;
}

void sasl_free(struct sasl *s)
{
    if (s == NULL)
        return;
    if (s->session != NULL)
        gsasl_finish(s->session);
    g_free(s->certificate_identity);
    g_free(s->tls_exporter);
    g_free(s->tls_unique);
    g_free(s->user);
    g_free(s);
}

/* ---- a step ---- */

static struct sasl_answer answer(const struct sasl *s, enum auth_kind kind, const char *reason)
{
    return (struct sasl_answer){ .kind = kind, .user = s->user, .reason = reason };
}

static struct sasl_answer challenge(const struct sasl *s, const char *bytes, size_t len)
{
    struct sasl_answer a = answer(s, AUTH_CHALLENGE, NULL);
    a.challenge = len > 0 ? g_base64_encode((const guchar *)bytes, len) : g_strdup("");
    return a;
}

/* A step that has ended the exchange, for better or worse. */
static struct sasl_answer conclude(struct sasl *s, int r, const char *output, size_t len)
{
    if (s->is_broken)
        return answer(s, AUTH_UNAVAILABLE, "no-passwords");
    switch (r) {
    case GSASL_OK:
        if (mechanism_is_scram(s->mechanism) && !s->is_permitted)
            return answer(s, AUTH_FAILED, s->reason != NULL ? s->reason : "wrong-credentials");
        s->is_proven = true;
        /* RFC 4954 4: what the server has to say with its success is a challenge, and the response is empty.
         */
        return len > 0 ? challenge(s, output, len) : answer(s, AUTH_DONE, NULL);
    case GSASL_NO_CB_TLS_EXPORTER:
    case GSASL_NO_CB_TLS_UNIQUE:
        return answer(s, AUTH_FAILED, "channel-binding");
    case GSASL_AUTHENTICATION_ERROR:
    case GSASL_INTEGRITY_ERROR:
    case GSASL_SASLPREP_ERROR: /* RFC 4616 2: a failure like others */
        return answer(s, AUTH_FAILED, s->reason != NULL ? s->reason : "wrong-credentials");
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_BASE64_ERROR:
    case GSASL_MECHANISM_CALLED_TOO_MANY_TIMES:
        return answer(s, AUTH_MALFORMED, "malformed");
    default:
        return answer(s, AUTH_UNAVAILABLE, "library");
    }
}

/*
 * LOGIN has its prompts from drafts, and clients such as Go's many copies of "loginAuth" compare them with
 * those that all other servers send. The library's are "User Name" and "Password".
 */
static struct sasl_answer prompt(const struct sasl *s, struct slice output)
{
    const char *usual = slice_equal_nocase(output, "User Name") ? "Username:" : "Password:";
    return challenge(s, usual, strlen(usual));
}

static struct sasl_answer step(struct sasl *s, struct slice in)
{
    char *output = NULL;
    size_t len = 0;
    int r = gsasl_step(s->session, (const char *)in.data, in.len, &output, &len);
    struct sasl_answer a;
    if (r == GSASL_NEEDS_MORE && s->is_broken)
        a = answer(s, AUTH_UNAVAILABLE, "no-passwords");
    else if (r == GSASL_NEEDS_MORE && s->mechanism == MECHANISM_LOGIN)
        a = prompt(s, slice_of(output, len));
    else if (r == GSASL_NEEDS_MORE)
        a = challenge(s, output, len);
    else
        a = conclude(s, r, output, len);
    gsasl_free(output);
    return a;
}

/*
 * The first message of SCRAM is "n,,n=NAME,r=..." (RFC 5802 7). The library keeps for ever what a name of
 * nothing but characters that are left out was prepared to (2.2.0).
 */
static bool names_nobody(struct slice in)
{
    struct slice rest = slice_skip(in, slice_find(in, 0, ',') + 1);
    rest = slice_skip(rest, slice_find(rest, 0, ',') + 1);
    if (!slice_has_prefix_nocase(rest, "n="))
        return false; /* another message, or none that the library takes */
    rest = slice_skip(rest, strlen("n="));
    g_autofree char *name = slice_dup(slice_first(rest, slice_find(rest, 0, ',')));
    return user_is_nothing(name);
}

/* What the library would take for something else, or leave for the next step. */
static bool is_acceptable(const struct sasl *s, struct slice in)
{
    if (s->mechanism == MECHANISM_EXTERNAL)
        return true;
    if (in.len == 0)
        return false;
    if (!mechanism_is_scram(s->mechanism))
        return true;
    if (memchr(in.data, '\0', in.len) != NULL || names_nobody(in))
        return false;
    /* RFC 5802 6: who binds the channel says so in the mechanism's name. */
    return in.data[0] != 'p' || s->mechanism == MECHANISM_SCRAM_SHA_256_PLUS;
}

static bool start(struct sasl *s)
{
    if (s->session != NULL)
        return true;
    if (gsasl_server_start(s->context, mechanism_names[s->mechanism], &s->session) != GSASL_OK) {
        s->session = NULL;
        return false;
    }
    gsasl_session_hook_set(s->session, s);
    return true;
}

/* The server has its say first, whether the client waits for that or not. */
static struct sasl_answer begin(struct sasl *s, const struct slice *in)
{
    struct sasl_answer a = step(s, slice_of(NULL, 0));
    if (in == NULL || a.kind != AUTH_CHALLENGE)
        return a;
    g_free(a.challenge);
    return step(s, *in);
}

static struct sasl_answer advance(struct sasl *s, const struct slice *in)
{
    if (!start(s))
        return answer(s, AUTH_UNAVAILABLE, "library");
    if (++s->steps > STEPS_MAX || (in != NULL && !is_acceptable(s, *in)))
        return answer(s, AUTH_MALFORMED, "malformed");
    if (s->steps == 1 && mechanism_server_begins(s->mechanism))
        return begin(s, in);
    if (in == NULL)
        return challenge(s, NULL, 0);
    return step(s, *in);
}

struct sasl_answer sasl_step(struct sasl *s, const char *response)
{
    char *bytes = NULL;
    size_t len = 0;
    if (s->is_proven)
        return response != NULL && *response == '\0' ? answer(s, AUTH_DONE, NULL)
                                                     : answer(s, AUTH_MALFORMED, "malformed");
    if (response == NULL)
        return advance(s, NULL);
    if (*response == '\0')
        return advance(s, &(struct slice){ (const uint8_t *)"", 0 });
    if (gsasl_base64_from(response, strlen(response), &bytes, &len) != GSASL_OK)
        return answer(s, AUTH_MALFORMED, "malformed");
    struct sasl_answer a = advance(s, &(struct slice){ (const uint8_t *)bytes, len });
    explicit_bzero(bytes, len);
    gsasl_free(bytes);
    return a;
}
