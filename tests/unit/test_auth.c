/* Exchanges of every mechanism, by libgsasl's own client and by clients that do it wrong. */
#include "auth_rig.h"

#include <crypt.h>
#include <glib.h>

#include "disk/disk_sim.h"

/* ---- crypt(3), counted ---- */

static unsigned crypt_calls;

char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    crypt_calls++;
    return __real_crypt_r(phrase, setting, data);
}

/* ---- the world ---- */

static const uint8_t binding_bytes[32] = "the channel's binding, of TLS...";
static const uint8_t other_bytes[32] = "another channel's binding.......";
#define BINDING                                                                                              \
    {                                                                                                        \
        binding_bytes, sizeof binding_bytes                                                                  \
    }
#define OTHER                                                                                                \
    {                                                                                                        \
        other_bytes, sizeof other_bytes                                                                      \
    }

static void write_usual_passwords(void)
{
    g_autofree char *alice = rig_line("alice", "wonder land", true);
    g_autofree char *bob = rig_line("bob", "builder", false);
    g_autofree char *joerg = rig_line("j\303\266rg", "pa\303\237", true);
    g_autofree char *locked = g_strconcat("carol:!", strchr(alice, ':') + 1, NULL);
    g_autofree char *text = g_strconcat("# users\n\n", alice, bob, joerg, locked, NULL);
    rig_write_passwords(text);
}

static void open_usual(struct auth_rig *rig)
{
    disk_sim_reset(1);
    write_usual_passwords();
    rig_open(rig);
}

static const char *offer(const struct auth_rig *rig, char text[AUTH_MECHANISMS_SIZE])
{
    const char *list = authenticator_mechanisms(rig->auth, &rig->facts, text);
    return list != NULL ? list : "(none)";
}

/* ---- each mechanism, by a client that knows how ---- */

static const struct login {
    const char *name, *mechanism;
    struct rig_client client;
    struct auth_facts facts;
    enum auth_kind want;
    const char *user, *reason;
} logins[] = {
    { "PLAIN", "PLAIN", { "alice", "wonder land" }, { 0 }, AUTH_DONE, "alice" },
    { "PLAIN without initial response",
      "PLAIN",
      { "alice", "wonder land", .waits = true },
      { 0 },
      AUTH_DONE,
      "alice" },
    { "PLAIN as oneself", "PLAIN", { "bob", "builder", "bob" }, { 0 }, AUTH_DONE, "bob" },
    { "PLAIN as another one",
      "PLAIN",
      { "bob", "builder", "alice" },
      { 0 },
      AUTH_FAILED,
      "bob",
      "other-identity" },
    { "PLAIN, wrong password",
      "PLAIN",
      { "bob", "builders" },
      { 0 },
      AUTH_FAILED,
      "bob",
      "wrong-credentials" },
    { "PLAIN, beginning of the password",
      "PLAIN",
      { "bob", "build" },
      { 0 },
      AUTH_FAILED,
      "bob",
      "wrong-credentials" },
    { "PLAIN, unknown user", "PLAIN", { "eve", "builder" }, { 0 }, AUTH_FAILED, "eve", "wrong-credentials" },
    { "PLAIN, locked user",
      "PLAIN",
      { "carol", "wonder land" },
      { 0 },
      AUTH_FAILED,
      "carol",
      "wrong-credentials" },
    { "PLAIN, another case of the name",
      "PLAIN",
      { "Bob", "builder" },
      { 0 },
      AUTH_FAILED,
      "Bob",
      "wrong-credentials" },
    { "PLAIN, a name in decomposed UTF-8",
      "PLAIN",
      { "jo\314\210rg", "pa\303\237" },
      { 0 },
      AUTH_DONE,
      "j\303\266rg" },
    { "PLAIN, a control character in the name",
      "PLAIN",
      { "bo\tb", "builder" },
      { 0 },
      AUTH_FAILED,
      NULL,
      "wrong-credentials" },
    { "PLAIN, a blank that is none of ASCII",
      "PLAIN",
      { "alice", "wonder\302\240land" },
      { 0 },
      AUTH_DONE,
      "alice" },
    { "LOGIN", "LOGIN", { "alice", "wonder land" }, { 0 }, AUTH_DONE, "alice" },
    { "LOGIN, no ASCII", "LOGIN", { "jo\314\210rg", "pa\303\237" }, { 0 }, AUTH_DONE, "j\303\266rg" },
    { "LOGIN, wrong password",
      "LOGIN",
      { "alice", "wonderland" },
      { 0 },
      AUTH_FAILED,
      "alice",
      "wrong-credentials" },
    { "LOGIN, unknown user",
      "LOGIN",
      { "eve", "wonderland" },
      { 0 },
      AUTH_FAILED,
      "eve",
      "wrong-credentials" },
    { "LOGIN, a control character in the name",
      "LOGIN",
      { "bo\nb", "builder" },
      { 0 },
      AUTH_FAILED,
      NULL,
      "bad-user-name" },
    { "SCRAM", "SCRAM-SHA-256", { "alice", "wonder land" }, { 0 }, AUTH_DONE, "alice" },
    { "SCRAM without initial response",
      "SCRAM-SHA-256",
      { "alice", "wonder land", .waits = true },
      { 0 },
      AUTH_DONE,
      "alice" },
    { "SCRAM, no ASCII", "SCRAM-SHA-256", { "jo\314\210rg", "pa\303\237" }, { 0 }, AUTH_DONE, "j\303\266rg" },
    { "SCRAM as oneself", "SCRAM-SHA-256", { "alice", "wonder land", "alice" }, { 0 }, AUTH_DONE, "alice" },
    { "SCRAM as another one",
      "SCRAM-SHA-256",
      { "alice", "wonder land", "bob" },
      { 0 },
      AUTH_FAILED,
      "alice",
      "other-identity" },
    { "SCRAM, wrong password",
      "SCRAM-SHA-256",
      { "alice", "wonderland" },
      { 0 },
      AUTH_FAILED,
      "alice",
      "wrong-credentials" },
    { "SCRAM, unknown user",
      "SCRAM-SHA-256",
      { "eve", "wonderland" },
      { 0 },
      AUTH_FAILED,
      "eve",
      "wrong-credentials" },
    { "SCRAM, a user without keys",
      "SCRAM-SHA-256",
      { "bob", "builder" },
      { 0 },
      AUTH_FAILED,
      "bob",
      "wrong-credentials" },
    { "SCRAM, locked user",
      "SCRAM-SHA-256",
      { "carol", "wonder land" },
      { 0 },
      AUTH_FAILED,
      "carol",
      "wrong-credentials" },
    { "PLUS by exporter",
      "SCRAM-SHA-256-PLUS",
      { "alice", "wonder land", .tls_exporter = BINDING },
      { .tls_exporter = BINDING },
      AUTH_DONE,
      "alice" },
    { "PLUS by unique",
      "SCRAM-SHA-256-PLUS",
      { "alice", "wonder land", .tls_unique = BINDING },
      { .tls_unique = BINDING },
      AUTH_DONE,
      "alice" },
    { "PLUS, somebody in the middle",
      "SCRAM-SHA-256-PLUS",
      { "alice", "wonder land", .tls_exporter = OTHER },
      { .tls_exporter = BINDING },
      AUTH_FAILED,
      "alice",
      "wrong-credentials" },
    { "PLUS, a binding that we have not",
      "SCRAM-SHA-256-PLUS",
      { "alice", "wonder land", .tls_exporter = BINDING },
      { .tls_unique = BINDING },
      AUTH_FAILED,
      NULL,
      "channel-binding" },
    { "PLUS, wrong password",
      "SCRAM-SHA-256-PLUS",
      { "alice", "x", .tls_exporter = BINDING },
      { .tls_exporter = BINDING },
      AUTH_FAILED,
      "alice",
      "wrong-credentials" },
    { "SCRAM by a client without bindings, though we have one",
      "SCRAM-SHA-256",
      { "alice", "wonder land" },
      { .tls_exporter = BINDING },
      AUTH_DONE,
      "alice" },
    { "EXTERNAL",
      "EXTERNAL",
      { 0 },
      { .certificate_identity = "relay@example.org" },
      AUTH_DONE,
      "relay@example.org" },
    { "EXTERNAL without initial response",
      "EXTERNAL",
      { .waits = true },
      { .certificate_identity = "relay" },
      AUTH_DONE,
      "relay" },
    { "EXTERNAL as oneself",
      "EXTERNAL",
      { .authzid = "relay" },
      { .certificate_identity = "relay" },
      AUTH_DONE,
      "relay" },
    { "EXTERNAL as another one",
      "EXTERNAL",
      { .authzid = "alice" },
      { .certificate_identity = "relay" },
      AUTH_FAILED,
      "relay",
      "other-identity" },
    { "EXTERNAL, a certificate with a strange name",
      "EXTERNAL",
      { 0 },
      { .certificate_identity = "re\nlay" },
      AUTH_FAILED,
      NULL,
      "no-certificate" },
};

static void test_login(void **state)
{
    const struct login *row = *state;
    struct auth_rig rig = { .facts = row->facts };
    rig.facts.service = "smtp";
    rig.facts.client = "192.0.2.1";
    open_usual(&rig);
    assert_int_equal(rig_log_in(&rig, row->mechanism, &row->client), row->want);
    if (row->user != NULL)
        assert_string_equal(rig.user, row->user);
    else
        assert_null(rig.user);
    if (row->reason != NULL)
        assert_string_equal(rig.reason, row->reason);
    assert_int_equal(authenticator_counts(rig.auth).successes, row->want == AUTH_DONE);
    assert_int_equal(authenticator_counts(rig.auth).failures, row->want == AUTH_FAILED);
    assert_string_equal(rig.logged->str, "");
    rig_close(&rig);
}

/* ---- clients that do it wrong: what they say, and what comes of each ---- */

static const struct talk {
    const char *name, *mechanism;
    struct {
        const char *said; /* raw, to be encoded; "!TEXT": as it is; NULL: nothing yet, or the end */
        size_t len;       /* 0: a string */
        enum auth_kind want;
        const char *challenge;
    } turns[5];
    bool waits; /* without an initial response */
    struct auth_facts facts;
} talks[] = {
    { "PLAIN in lower case", "plain", { { "\0alice\0wonder land", 18, AUTH_DONE } } },
    { "SCRAM that could bind the channel, and was told that we cannot",
      "SCRAM-SHA-256",
      { { "y,,n=alice,r=abcdefgh", 0, AUTH_FAILED } },
      .facts = { .tls_exporter = BINDING } },
    { "SCRAM that could bind the channel, and was told so of another kind",
      "SCRAM-SHA-256",
      { { "y,,n=alice,r=abcdefgh", 0, AUTH_FAILED } },
      .facts = { .tls_unique = BINDING } },
    { "SCRAM that could bind the channel, and is right that we cannot",
      "SCRAM-SHA-256",
      { { "y,,n=alice,r=abcdefgh", 0, AUTH_CHALLENGE }, { "", 0, AUTH_MALFORMED } } },
    { "an unknown mechanism", "CRAM-MD5", { { "", 0, AUTH_UNKNOWN_MECHANISM } } },
    { "a mechanism with a NUL", "PLAIN\\0", { { "", 0, AUTH_UNKNOWN_MECHANISM } } },
    { "no mechanism", "", { { "", 0, AUTH_UNKNOWN_MECHANISM } } },
    { "EXTERNAL without certificate", "EXTERNAL", { { "!=", 0, AUTH_UNKNOWN_MECHANISM } } },
    { "PLUS without binding", "SCRAM-SHA-256-PLUS", { { "x", 0, AUTH_UNKNOWN_MECHANISM } } },
    { "PLAIN, no base64", "PLAIN", { { "!%%%%", 0, AUTH_MALFORMED } } },
    { "PLAIN, base64 with a blank", "PLAIN", { { "!AGFs aWNl", 0, AUTH_MALFORMED } } },
    { "PLAIN, padding in front", "PLAIN", { { "!=AAA", 0, AUTH_MALFORMED } } },
    { "PLAIN, too much padding", "PLAIN", { { "!====", 0, AUTH_MALFORMED } } },
    { "PLAIN, empty", "PLAIN", { { "!=", 0, AUTH_MALFORMED } } },
    { "PLAIN, one part", "PLAIN", { { "alice", 0, AUTH_MALFORMED } } },
    { "PLAIN, two parts", "PLAIN", { { "\0alice", 6, AUTH_MALFORMED } } },
    { "PLAIN, four parts", "PLAIN", { { "\0alice\0wonder land\0x", 20, AUTH_MALFORMED } } },
    { "PLAIN, no name", "PLAIN", { { "\0\0wonder land", 13, AUTH_FAILED } } },
    { "PLAIN, no password", "PLAIN", { { "\0alice\0", 7, AUTH_FAILED } } },
    { "PLAIN, no UTF-8", "PLAIN", { { "\0al\377ce\0wonder land", 18, AUTH_FAILED } } },
    { "PLAIN, empty answer to the empty challenge",
      "PLAIN",
      { { NULL, 0, AUTH_CHALLENGE, "" }, { "", 0, AUTH_MALFORMED } },
      true },
    { "LOGIN with initial response",
      "LOGIN",
      { { "alice", 0, AUTH_CHALLENGE, "UGFzc3dvcmQ6" }, { "wonder land", 0, AUTH_DONE } } },
    { "LOGIN",
      "LOGIN",
      { { NULL, 0, AUTH_CHALLENGE, "VXNlcm5hbWU6" },
        { "alice", 0, AUTH_CHALLENGE, "UGFzc3dvcmQ6" },
        { "wonder land", 0, AUTH_DONE } },
      true },
    { "LOGIN, no name",
      "LOGIN",
      { { NULL, 0, AUTH_CHALLENGE, "VXNlcm5hbWU6" }, { "", 0, AUTH_MALFORMED } },
      true },
    { "LOGIN, no password",
      "LOGIN",
      { { "alice", 0, AUTH_CHALLENGE, "UGFzc3dvcmQ6" }, { "", 0, AUTH_MALFORMED } } },
    { "LOGIN, a NUL in the name", "LOGIN", { { "ali\0ce", 6, AUTH_MALFORMED } } },
    { "LOGIN, a NUL in the password",
      "LOGIN",
      { { "alice", 0, AUTH_CHALLENGE, "UGFzc3dvcmQ6" }, { "wonder land\0", 12, AUTH_MALFORMED } } },
    { "SCRAM, empty", "SCRAM-SHA-256", { { "!=", 0, AUTH_MALFORMED } } },
    { "SCRAM, nonsense", "SCRAM-SHA-256", { { "hello, server", 0, AUTH_MALFORMED } } },
    { "SCRAM, a NUL", "SCRAM-SHA-256", { { "n,,n=al\0ce,r=abcdefgh", 21, AUTH_MALFORMED } } },
    { "SCRAM, no nonce", "SCRAM-SHA-256", { { "n,,n=alice,x=abcdefgh", 0, AUTH_MALFORMED } } },
    { "SCRAM that binds the channel",
      "SCRAM-SHA-256",
      { { "p=tls-exporter,,n=alice,r=abcdefgh", 0, AUTH_MALFORMED } } },
    { "SCRAM, the first message again",
      "SCRAM-SHA-256",
      { { "n,,n=alice,r=abcdefgh", 0, AUTH_CHALLENGE }, { "n,,n=alice,r=abcdefgh", 0, AUTH_MALFORMED } } },
    { "SCRAM, another nonce",
      "SCRAM-SHA-256",
      { { "n,,n=alice,r=abcdefgh", 0, AUTH_CHALLENGE },
        { "c=biws,r=abcdefgh,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0, AUTH_FAILED } } },
    { "SCRAM, nothing in the middle",
      "SCRAM-SHA-256",
      { { "n,,n=alice,r=abcdefgh", 0, AUTH_CHALLENGE }, { "", 0, AUTH_MALFORMED } } },
};

static char *encode(const char *said, size_t len)
{
    if (said[0] == '!')
        return g_strdup(said + 1);
    if (len == 0)
        len = strlen(said);
    return g_base64_encode((const guchar *)said, len);
}

static void test_talk(void **state)
{
    const struct talk *row = *state;
    struct auth_rig rig = { .facts = row->facts };
    rig.facts.service = "lmtp";
    open_usual(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(row->turns); i++) {
        const char *said = row->turns[i].said;
        if (said == NULL && i > 0)
            break;
        g_autofree char *text = said != NULL ? encode(said, row->turns[i].len) : NULL;
        if (i == 0)
            rig_begin(&rig, row->mechanism, row->waits ? NULL : text);
        else
            rig_go_on(&rig, text);
        assert_int_equal(rig_wait(&rig), row->turns[i].want);
        if (row->turns[i].challenge != NULL)
            assert_string_equal(rig.challenge, row->turns[i].challenge);
    }
    if (rig.kind == AUTH_CHALLENGE)
        fail_msg("the exchange is not over");
    assert_string_equal(rig.logged->str, "");
    rig_close(&rig);
}

/* RFC 5802 7: after the server's last message there is nothing to say. */
static void test_more_after_success(void **state)
{
    (void)state;
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    struct rig_client client = { "alice", "wonder land" };
    Gsasl *context;
    Gsasl_session *session;
    char *text;
    assert_int_equal(gsasl_init(&context), GSASL_OK);
    assert_int_equal(gsasl_client_start(context, "SCRAM-SHA-256", &session), GSASL_OK);
    (void)gsasl_property_set(session, GSASL_AUTHID, client.user);
    (void)gsasl_property_set(session, GSASL_PASSWORD, client.password);
    assert_int_equal(gsasl_step64(session, NULL, &text), GSASL_NEEDS_MORE);
    rig_begin(&rig, "SCRAM-SHA-256", text);
    gsasl_free(text);
    assert_int_equal(rig_wait(&rig), AUTH_CHALLENGE);
    assert_int_equal(gsasl_step64(session, rig.challenge, &text), GSASL_NEEDS_MORE);
    rig_go_on(&rig, text);
    gsasl_free(text);
    assert_int_equal(rig_wait(&rig), AUTH_CHALLENGE); /* with the server's signature */
    assert_int_not_equal(strlen(rig.challenge), 0);
    assert_int_equal(authenticator_counts(rig.auth).successes, 0);
    rig_go_on(&rig, "eA==");
    assert_int_equal(rig_wait(&rig), AUTH_MALFORMED);
    assert_int_equal(authenticator_counts(rig.auth).successes, 0);
    gsasl_finish(session);
    gsasl_done(context);
    rig_close(&rig);
}

/* All of PLAIN's good response but the last octets, in base64: never a success, and never out of order. */
static void test_every_cut(void **state)
{
    (void)state;
    static const char good[] = "\0alice\0wonder land";
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    g_autofree char *text = g_base64_encode((const guchar *)good, sizeof good - 1);
    for (size_t len = 0; len < strlen(text); len++) {
        g_autofree char *cut = g_strndup(text, len);
        rig_begin(&rig, "PLAIN", cut);
        enum auth_kind kind = rig_wait(&rig);
        assert_true(kind == AUTH_MALFORMED || kind == AUTH_FAILED);
        assert_true(kind == AUTH_MALFORMED || len % 4 == 0);
    }
    rig_begin(&rig, "PLAIN", text);
    assert_int_equal(rig_wait(&rig), AUTH_DONE);
    rig_close(&rig);
}

/* Any octet but the right one, at any place of it. */
static void test_every_octet(void **state)
{
    (void)state;
    static const char bad[] = { '\001', ' ', '-', '_', '=', '\t', '\177', '\377' };
    static const char good[] = "\0alice\0wonder land";
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    g_autofree char *text = g_base64_encode((const guchar *)good, sizeof good - 1);
    for (size_t at = 0; at < strlen(text); at++)
        for (size_t i = 0; i < sizeof bad; i++) {
            g_autofree char *broken = g_strdup(text);
            broken[at] = bad[i];
            rig_begin(&rig, "PLAIN", broken);
            assert_int_not_equal(rig_wait(&rig), AUTH_DONE);
        }
    rig_close(&rig);
}

static void test_huge(void **state)
{
    (void)state;
    static const char *const mechanisms[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256" };
    enum { HUGE = 1024 * 1024 };
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(mechanisms); i++)
        for (int kind = 0; kind < 3; kind++) {
            g_autoptr(GString) raw = g_string_new(kind == 0 ? "" : kind == 1 ? "n,,n=" : "n,,n=alice,r=");
            while (raw->len < HUGE)
                g_string_append_c(raw, 'a');
            if (kind == 0)
                raw->str[0] = raw->str[HUGE / 2] = '\0';
            g_autofree char *text = g_base64_encode((const guchar *)raw->str, raw->len);
            rig_begin(&rig, mechanisms[i], text);
            while (rig_wait(&rig) == AUTH_CHALLENGE)
                rig_go_on(&rig, text);
            assert_true(rig.kind == AUTH_MALFORMED || rig.kind == AUTH_FAILED);
        }
    rig_close(&rig);
}

/* A name of AUTH_USER_MAX octets is one, and one octet more is none. */
static void test_long_names(void **state)
{
    (void)state;
    struct auth_rig rig = { 0 };
    g_autofree char *most = g_strnfill(AUTH_USER_MAX, 'a');
    g_autofree char *more = g_strnfill(AUTH_USER_MAX + 1, 'a');
    g_autofree char *line = rig_line(most, "x", true);
    disk_sim_reset(1);
    rig_write_passwords(line);
    rig_open(&rig);
    assert_int_equal(rig_log_in(&rig, "PLAIN", &(struct rig_client){ most, "x" }), AUTH_DONE);
    assert_int_equal(rig_log_in(&rig, "SCRAM-SHA-256", &(struct rig_client){ most, "x" }), AUTH_DONE);
    assert_int_equal(rig_log_in(&rig, "PLAIN", &(struct rig_client){ more, "x" }), AUTH_FAILED);
    assert_null(rig.user);
    assert_int_equal(rig_log_in(&rig, "SCRAM-SHA-256", &(struct rig_client){ more, "x" }), AUTH_FAILED);
    assert_null(rig.user);
    rig_close(&rig);
}

/* ---- who is there, and who is not ---- */

static unsigned calls_for(struct auth_rig *rig, const char *mechanism, const char *user, const char *password)
{
    crypt_calls = 0;
    (void)rig_log_in(rig, mechanism, &(struct rig_client){ user, password });
    return crypt_calls;
}

static void test_same_work(void **state)
{
    (void)state;
    static const char *const users[] = { "alice", "bob", "carol", "eve", "bo\tb" };
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(users) - 1; i++) {
        assert_int_equal(calls_for(&rig, "PLAIN", users[i], "wrong"), 1);
        assert_int_equal(calls_for(&rig, "SCRAM-SHA-256", users[i], "wrong"), 0);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(users); i++)
        assert_int_equal(calls_for(&rig, "LOGIN", users[i], "wrong"), 1);
    assert_int_equal(calls_for(&rig, "PLAIN", "alice", "wonder land"), 1);
    rig_close(&rig);
}

/* "r=NONCE,s=SALT,i=4096" without the nonce. */
static char *salt_of(struct auth_rig *rig, const char *user)
{
    g_autofree char *raw = g_strdup_printf("n,,n=%s,r=abcdefgh", user);
    g_autofree char *text = g_base64_encode((const guchar *)raw, strlen(raw));
    gsize len;
    rig_begin(rig, "SCRAM-SHA-256", text);
    assert_int_equal(rig_wait(rig), AUTH_CHALLENGE);
    g_autofree guchar *said = g_base64_decode(rig->challenge, &len);
    g_autofree char *first = g_strndup((const char *)said, len);
    auth_cancel(rig->exchange);
    rig->exchange = NULL;
    return g_strdup(strstr(first, ",s="));
}

static void test_decoys_are_stable(void **state)
{
    (void)state;
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    g_autofree char *alice = salt_of(&rig, "alice");
    g_autofree char *eve = salt_of(&rig, "eve"), *again = salt_of(&rig, "eve"),
                    *mallory = salt_of(&rig, "mallory");
    g_autofree char *bob = salt_of(&rig, "bob");
    assert_string_equal(eve, again);
    assert_string_not_equal(eve, mallory);
    assert_string_not_equal(eve, bob);
    assert_int_equal(strlen(alice), strlen(eve));
    assert_non_null(strstr(eve, ",i=4096"));
    rig_close(&rig);
    struct auth_rig other = { 0 }; /* another worker */
    rig_open(&other);
    g_autofree char *elsewhere = salt_of(&other, "eve");
    assert_string_equal(eve, elsewhere);
    rig_close(&other);
}

/* ---- failures wait ---- */

static msec_t time_of(struct auth_rig *rig, const char *client, const char *password)
{
    msec_t before = reactor_now(rig->reactor);
    rig->facts.client = client;
    (void)rig_log_in(rig, "PLAIN", &(struct rig_client){ "alice", password });
    return rig->came_at - before;
}

static void test_delays(void **state)
{
    (void)state;
    struct auth_rig rig = { .settings = { .failure_delay = 2000 } };
    open_usual(&rig);
    assert_int_equal(time_of(&rig, "192.0.2.1", "x"), 2000);
    assert_int_equal(time_of(&rig, "192.0.2.1", "x"), 4000);
    assert_int_equal(time_of(&rig, "192.0.2.2", "x"), 2000);
    assert_true(time_of(&rig, "192.0.2.1", "wonder land") < 100);
    assert_int_equal(time_of(&rig, "192.0.2.1", "x"), 8000); /* a success forgives nothing */
    assert_int_equal(time_of(&rig, "192.0.2.1", "x"), 16000);
    assert_int_equal(time_of(&rig, "192.0.2.1", "x"), 16000);
    assert_int_equal(time_of(&rig, NULL, "x"), 2000);
    assert_int_equal(time_of(&rig, NULL, "x"), 2000);
    assert_int_equal(authenticator_counts(rig.auth).failures, 8);
    rig_close(&rig);
}

static void count_step(void *owner, const struct auth_step *step)
{
    unsigned *kinds = owner;
    kinds[step->kind]++;
}

/* Somebody else of the same address waits for nobody; of who hangs up we are told at once. */
static void test_delays_are_ones_own(void **state)
{
    (void)state;
    struct auth_rig rig = { .settings = { .failure_delay = 2000 } };
    open_usual(&rig);
    static const char wrong[] = "AGFsaWNlAHdyb25n", right[] = "AGFsaWNlAHdvbmRlciBsYW5k";
    struct slice bad = slice_str(wrong), good = slice_str(right);
    unsigned waiting[AUTH_UNAVAILABLE + 1] = { 0 }, quick[AUTH_UNAVAILABLE + 1] = { 0 };
    (void)auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &bad, count_step, waiting);
    struct auth_exchange *gone =
        auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &bad, count_step, waiting);
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 1000);
    (void)auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &good, count_step, quick);
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 100);
    assert_int_equal(quick[AUTH_DONE], 1);
    assert_int_equal(waiting[AUTH_FAILED], 0);
    auth_cancel(gone);
    assert_int_equal(waiting[AUTH_FAILED], 1);
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 60000);
    assert_int_equal(waiting[AUTH_FAILED], 2);
    rig_close(&rig);
}

struct missed {
    unsigned count;
    char *text; /* of the last one */
};

static void note_missed(void *owner, const char *session, const char *client, const struct auth_step *failure)
{
    struct missed *missed = owner;
    missed->count++;
    g_free(missed->text);
    missed->text = g_strdup_printf("%s %s %s %s %s", session, client, failure->user, failure->mechanism,
                                   failure->reason);
}

/* In the job when the client goes: told of, and the next one is later for it. Who was right has not failed.
 */
static void test_a_guess_counts_though_nobody_waits(void **state)
{
    (void)state;
    static const char wrong[] = "AGFsaWNlAHdyb25n", right[] = "AGFsaWNlAHdvbmRlciBsYW5k";
    struct slice bad = slice_str(wrong), good = slice_str(right);
    struct auth_rig rig = { .settings = { .failure_delay = 2000 } };
    struct missed missed = { 0 };
    unsigned kinds[AUTH_UNAVAILABLE + 1] = { 0 };
    open_usual(&rig);
    authenticator_watch_missed(rig.auth, note_missed, &missed);
    auth_cancel(auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &bad, count_step, kinds));
    auth_cancel(auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &good, count_step, kinds));
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 100);
    assert_int_equal(missed.count, 1);
    assert_string_equal(missed.text, "s1 192.0.2.1 alice PLAIN wrong-credentials");
    assert_int_equal(authenticator_counts(rig.auth).failures, 1);
    assert_int_equal(authenticator_counts(rig.auth).successes, 0);
    assert_int_equal(time_of(&rig, "192.0.2.1", "x"), 4000);
    auth_cancel(auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &bad, count_step, kinds));
    rig_close(&rig); /* its owner is not asked for any more */
    assert_int_equal(missed.count, 1);
    for (unsigned kind = 0; kind <= AUTH_UNAVAILABLE; kind++)
        assert_int_equal(kinds[kind], 0);
    g_free(missed.text);
}

/* More at once than may hash, given up at each moment: each failure that was found is told, once, and nothing
 * when the exchange is gone. */
static void test_cancel(void **state)
{
    (void)state;
    static const char text[] = "AGFsaWNlAHdyb25n";
    struct slice bad = slice_str(text);
    for (int steps = 0; steps < 40; steps++) {
        struct auth_rig rig = { .settings = { .failure_delay = 10 } };
        struct auth_exchange *all[5];
        unsigned kinds[5][AUTH_UNAVAILABLE + 1] = { { 0 } };
        open_usual(&rig);
        for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
            all[i] = auth_begin(rig.auth, &rig.facts, slice_str("PLAIN"), &bad, count_step, kinds[i]);
        for (int i = 0; i < steps; i++)
            (void)reactor_sim_step(rig.reactor);
        unsigned before = 0, after = 0;
        for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
            if (kinds[i][AUTH_FAILED] == 0)
                auth_cancel(all[i]);
            before += kinds[i][AUTH_FAILED];
        }
        assert_int_equal(authenticator_counts(rig.auth).failures, before);
        rig_close(&rig);
        for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
            after += kinds[i][AUTH_FAILED];
        assert_int_equal(after, before);
    }
}

/* ---- what is offered ---- */

static void test_offers(void **state)
{
    (void)state;
    char text[AUTH_MECHANISMS_SIZE];
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    assert_string_equal(offer(&rig, text), "SCRAM-SHA-256 PLAIN LOGIN");
    rig.facts.tls_unique = (struct slice)BINDING;
    assert_string_equal(offer(&rig, text), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN");
    rig.facts.certificate_identity = "relay";
    assert_string_equal(offer(&rig, text), "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN");
    rig_close(&rig);
}

static void set_mechanisms(struct auth_rig *rig, const char *text)
{
    char *problem = NULL;
    assert_int_equal(option_set_key(option_find(auth_rows, auth_row_count, "mechanisms"), &rig->settings,
                                    "mechanisms", text, &problem),
                     0);
}

static void test_permitted(void **state)
{
    (void)state;
    char text[AUTH_MECHANISMS_SIZE];
    struct auth_rig rig = { 0 };
    set_mechanisms(&rig, "login, SCRAM-SHA-256");
    open_usual(&rig);
    rig.facts.tls_exporter = (struct slice)BINDING;
    assert_string_equal(offer(&rig, text), "SCRAM-SHA-256 LOGIN");
    rig_begin(&rig, "PLAIN", "AGFsaWNlAHdvbmRlciBsYW5k");
    assert_int_equal(rig_wait(&rig), AUTH_UNKNOWN_MECHANISM);
    /* Who says we have no channel binding is right: it is not permitted. */
    rig_begin(&rig, "SCRAM-SHA-256", "eSwsbj1hbGljZSxyPWFiY2RlZmdo"); /* y,,n=alice,r=abcdefgh */
    assert_int_equal(rig_wait(&rig), AUTH_CHALLENGE);
    rig_close(&rig);
}

static void test_nobody_has_keys(void **state)
{
    (void)state;
    char text[AUTH_MECHANISMS_SIZE];
    struct auth_rig rig = { 0 };
    g_autofree char *bob = rig_line("bob", "builder", false);
    disk_sim_reset(1);
    rig_write_passwords(bob);
    rig_open(&rig);
    assert_string_equal(offer(&rig, text), "PLAIN LOGIN");
    rig_begin(&rig, "SCRAM-SHA-256", "biwsbj1hbGljZSxyPWFiY2RlZmdo");
    assert_int_equal(rig_wait(&rig), AUTH_UNKNOWN_MECHANISM);
    rig_close(&rig);
}

static void test_no_file(void **state)
{
    (void)state;
    struct auth_rig rig = { 0 };
    disk_sim_reset(1);
    rig_open(&rig);
    assert_non_null(strstr(rig.logged->str, "event=passwords-problem"));
    g_string_truncate(rig.logged, 0);
    assert_int_equal(rig_log_in(&rig, "PLAIN", &(struct rig_client){ "alice", "wonder land" }),
                     AUTH_UNAVAILABLE);
    assert_string_equal(rig.reason, "no-passwords");
    assert_int_equal(authenticator_counts(rig.auth).unavailable, 1);
    assert_string_equal(rig.logged->str, ""); /* told once */
    write_usual_passwords();
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 2000);
    assert_int_equal(rig_log_in(&rig, "PLAIN", &(struct rig_client){ "alice", "wonder land" }), AUTH_DONE);
    rig_close(&rig);
}

/* What is offered follows the file by itself: where there is nothing to log in with, nobody begins to. */
static void test_offers_follow(void **state)
{
    (void)state;
    char text[AUTH_MECHANISMS_SIZE];
    struct auth_rig rig = { 0 };
    set_mechanisms(&rig, "SCRAM-SHA-256");
    g_autofree char *alice = rig_line("alice", "wonder land", true);
    disk_sim_reset(1);
    rig_write_passwords("");
    rig_open(&rig);
    assert_string_equal(offer(&rig, text), "(none)");
    rig_change_passwords(alice);
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 2000);
    assert_string_equal(offer(&rig, text), "SCRAM-SHA-256");
    assert_int_equal(rig_log_in(&rig, "SCRAM-SHA-256", &(struct rig_client){ "alice", "wonder land" }),
                     AUTH_DONE);
    rig_change_passwords("nobody\n");
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 2000);
    assert_non_null(strstr(rig.logged->str, "event=passwords-problem"));
    assert_string_equal(offer(&rig, text), "SCRAM-SHA-256");
    rig_change_passwords("");
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 2000);
    assert_string_equal(offer(&rig, text), "(none)");
    rig_close(&rig);
}

static void test_looks_once_a_second(void **state)
{
    (void)state;
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    uint64_t before = disk_sim_calls();
    reactor_sim_run_until(rig.reactor, reactor_now(rig.reactor) + 10500);
    assert_in_range(disk_sim_calls() - before, 10, 20); /* opened and looked at, but not read */
    before = disk_sim_calls();
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_log_in(&rig, "PLAIN", &(struct rig_client){ "alice", "wonder land" }),
                         AUTH_DONE);
    assert_int_equal(disk_sim_calls(), before);
    rig_close(&rig);
}

/* At each step of two looks. */
static void test_closed_with_look(void **state)
{
    (void)state;
    for (int steps = 0; steps < 8; steps++) {
        struct auth_rig rig = { 0 };
        open_usual(&rig);
        rig_change_passwords("");
        for (int i = 0; i < steps; i++)
            assert_true(reactor_sim_step(rig.reactor));
        rig_close(&rig);
    }
}

static void test_closed_with_jobs(void **state)
{
    (void)state;
    struct auth_rig rig = { 0 };
    open_usual(&rig);
    rig_begin(&rig, "PLAIN", "AGFsaWNlAHdvbmRlciBsYW5k");
    rig_close(&rig); /* cancels, closes, and then runs */
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth");
    suite_add_rows(s, logins, test_login);
    suite_add_rows(s, talks, test_talk);
    suite_add(s, "nothing follows the server's last message", test_more_after_success, NULL);
    suite_add(s, "a response that is cut anywhere", test_every_cut, NULL);
    suite_add(s, "a wrong octet anywhere", test_every_octet, NULL);
    suite_add(s, "huge responses", test_huge, NULL);
    suite_add(s, "long names", test_long_names, NULL);
    suite_add(s, "the same work for those who are not there", test_same_work, NULL);
    suite_add(s, "decoys are the same each time", test_decoys_are_stable, NULL);
    suite_add(s, "failures wait, longer each time", test_delays, NULL);
    suite_add(s, "nobody waits for another one's failure", test_delays_are_ones_own, NULL);
    suite_add(s, "a guess counts though nobody waits", test_a_guess_counts_though_nobody_waits, NULL);
    suite_add(s, "given up at each moment", test_cancel, NULL);
    suite_add(s, "what is offered", test_offers, NULL);
    suite_add(s, "what is permitted", test_permitted, NULL);
    suite_add(s, "nobody has keys", test_nobody_has_keys, NULL);
    suite_add(s, "a file that comes later", test_no_file, NULL);
    suite_add(s, "what is offered follows the file", test_offers_follow, NULL);
    suite_add(s, "the file is looked at once a second", test_looks_once_a_second, NULL);
    suite_add(s, "closed at each moment of a look", test_closed_with_look, NULL);
    suite_add(s, "closed with a job under way", test_closed_with_jobs, NULL);
    return suite_run(s, argc, argv);
}
