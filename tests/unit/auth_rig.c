#include "auth_rig.h"

#include <crypt.h>
#include <errno.h>
#include <glib.h>

#include "disk/disk.h"
#include "disk/disk_sim.h"

enum { ITERATIONS = 4096 };

/* ---- the file ---- */

static char *scram_keys(const char *password)
{
    static const char salt[] = "0123456789abcdef";
    char salted[32], client[32], server[32], stored[32];
    assert_int_equal(gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password, ITERATIONS, salt,
                                                       sizeof salt - 1, salted, client, server, stored),
                     GSASL_OK);
    g_autofree char *salt64 = g_base64_encode((const guchar *)salt, sizeof salt - 1);
    g_autofree char *stored64 = g_base64_encode((const guchar *)stored, sizeof stored);
    g_autofree char *server64 = g_base64_encode((const guchar *)server, sizeof server);
    return g_strdup_printf(":{SCRAM-SHA-256}%d,%s,%s,%s", ITERATIONS, salt64, stored64, server64);
}

char *rig_line(const char *user, const char *password, bool with_scram)
{
    g_autofree struct crypt_data *data = g_new0(struct crypt_data, 1);
    g_autofree char *keys = with_scram ? scram_keys(password) : g_strdup("");
    return g_strdup_printf("%s:%s%s\n", user, crypt_r(password, "$5$rounds=1000$saltsalt", data), keys);
}

static int64_t wall_us = 1000000;

static void settle(void)
{
    wall_us += 10 * DISK_SETTLED_US;
    disk_sim_set_time(wall_us);
}

void rig_write_passwords(const char *text)
{
    settle();
    disk_sim_write_file(RIG_PASSWORDS, slice_str(text));
    settle();
}

void rig_change_passwords(const char *text)
{
    int dir = disk_open_root("/");
    (void)disk_unlink(dir, &RIG_PASSWORDS[1]);
    disk_close(dir);
    rig_write_passwords(text);
}

/* ---- the authenticator ---- */

static int64_t no_time(void *owner)
{
    (void)owner;
    return 0;
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)level;
    g_string_append_len(owner, line, (gssize)len);
}

void rig_open(struct auth_rig *rig)
{
    rig->reactor = reactor_sim_new(1);
    rig->logged = g_string_new(NULL);
    rig->log =
        (struct pst_log){ .timeless = true, .wall_us = no_time, .write = write_log, .owner = rig->logged };
    if (!auth_is_configured(&rig->settings))
        rig->settings.passwords = (char *)RIG_PASSWORDS;
    if (rig->facts.service == NULL)
        rig->facts = (struct auth_facts){ .service = "smtp", .session = "s1", .client = "192.0.2.1" };
    assert_int_equal(authenticator_new(rig->reactor, &rig->settings, &rig->log, &rig->auth), 0);
}

static void forget_step(struct auth_rig *rig)
{
    g_clear_pointer(&rig->challenge, g_free);
    g_clear_pointer(&rig->user, g_free);
    g_clear_pointer(&rig->mechanism, g_free);
    g_clear_pointer(&rig->reason, g_free);
}

void rig_close(struct auth_rig *rig)
{
    auth_cancel(rig->exchange);
    authenticator_close(rig->auth);
    reactor_run(rig->reactor);
    assert_int_equal(reactor_free(rig->reactor), 0);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    forget_step(rig);
    g_string_free(rig->logged, TRUE);
    rig->auth = NULL;
    rig->exchange = NULL;
}

/* ---- exchanges ---- */

static void on_step(void *owner, const struct auth_step *step)
{
    struct auth_rig *rig = owner;
    assert_non_null(rig->exchange); /* never inside auth_begin */
    forget_step(rig);
    rig->steps++;
    rig->kind = step->kind;
    rig->challenge = g_strdup(step->challenge);
    rig->user = g_strdup(step->user);
    rig->mechanism = g_strdup(step->mechanism);
    rig->reason = g_strdup(step->reason);
    rig->came_at = reactor_now(rig->reactor);
    assert_int_equal(step->challenge != NULL, step->kind == AUTH_CHALLENGE);
    assert_int_equal(step->reason != NULL, step->kind != AUTH_CHALLENGE && step->kind != AUTH_DONE);
    if (step->kind != AUTH_CHALLENGE)
        rig->exchange = NULL;
}

void rig_begin(struct auth_rig *rig, const char *mechanism, const char *initial)
{
    struct slice text = initial != NULL ? slice_str(initial) : slice_of(NULL, 0);
    assert_null(rig->exchange);
    rig->steps = 0;
    rig->exchange = auth_begin(rig->auth, &rig->facts, slice_str(mechanism), initial != NULL ? &text : NULL,
                               on_step, rig);
    assert_int_equal(rig->steps, 0);
}

void rig_go_on(struct auth_rig *rig, const char *response)
{
    unsigned before = rig->steps;
    auth_go_on(rig->exchange, slice_str(response));
    assert_int_equal(rig->steps, before);
}

enum auth_kind rig_wait(struct auth_rig *rig)
{
    unsigned before = rig->steps;
    while (rig->steps == before)
        assert_true(reactor_sim_step(rig->reactor));
    return rig->kind;
}

/* ---- libgsasl's client ---- */

static int give(Gsasl_session *session, Gsasl_property property, const char *value)
{
    return value != NULL ? gsasl_property_set(session, property, value) : GSASL_NO_CALLBACK;
}

static int give_bytes(Gsasl_session *session, Gsasl_property property, struct slice bytes)
{
    if (bytes.len == 0)
        return GSASL_NO_CALLBACK;
    g_autofree char *text = g_base64_encode(bytes.data, bytes.len);
    return gsasl_property_set(session, property, text);
}

static int on_client(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    const struct rig_client *client = gsasl_callback_hook_get(context);
    switch (property) {
    case GSASL_AUTHID:
        return give(session, property, client->user);
    case GSASL_PASSWORD:
        return give(session, property, client->password);
    case GSASL_AUTHZID:
        return give(session, property, client->authzid);
    case GSASL_CB_TLS_EXPORTER:
        return give_bytes(session, property, client->tls_exporter);
    case GSASL_CB_TLS_UNIQUE:
        return give_bytes(session, property, client->tls_unique);
    default:
        return GSASL_NO_CALLBACK;
    }
}

/* What the client answers; GSASL_OK once it is content. */
static int client_step(Gsasl_session *session, const char *said, char **ret_text)
{
    char *text = NULL;
    int r = gsasl_step64(session, said, &text);
    *ret_text = g_strdup(text != NULL ? text : "");
    gsasl_free(text);
    return r;
}

enum auth_kind rig_log_in(struct auth_rig *rig, const char *mechanism, const struct rig_client *client)
{
    Gsasl *context;
    Gsasl_session *session;
    g_autofree char *text = NULL;
    int r = GSASL_NEEDS_MORE;
    assert_int_equal(gsasl_init(&context), GSASL_OK);
    gsasl_callback_hook_set(context, (void *)client);
    gsasl_callback_set(context, on_client);
    assert_int_equal(gsasl_client_start(context, mechanism, &session), GSASL_OK);
    if (client->waits || strcmp(mechanism, "LOGIN") == 0) {
        rig_begin(rig, mechanism, NULL);
    } else {
        r = client_step(session, NULL, &text);
        rig_begin(rig, mechanism, *text != '\0' ? text : "=");
    }
    while (rig_wait(rig) == AUTH_CHALLENGE) {
        assert_true(rig->steps < 10);
        g_free(text);
        r = client_step(session, rig->challenge, &text);
        if (r != GSASL_OK && r != GSASL_NEEDS_MORE)
            break; /* the client does not trust the server */
        rig_go_on(rig, text);
    }
    gsasl_finish(session);
    gsasl_done(context);
    if (rig->kind == AUTH_DONE)
        assert_int_equal(r, GSASL_OK);
    return rig->kind;
}
