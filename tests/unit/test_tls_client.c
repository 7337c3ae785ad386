/* What depends on the client: the name that it asks for, a session that it resumes, a certificate of its own.
 */
#include "tls_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tls_tickets.h"

struct fixture {
    struct tls_rig *rig;
    struct tls_store *store, *without_tickets;
};
static struct fixture f; /* made once: keys of RSA take a while */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* ---- names ---- */

enum served { SERVED_EC, SERVED_RSA, SERVED_WILDCARD, SERVED_EXACT };

static const struct name_row {
    const char *name, *asked;
    enum served want;
    const char *told; /* as server_name */
    const char *ciphers;
} name_rows[] = {
    { "no name", NULL, SERVED_EC, NULL },
    { "the default's name", "mx.example.org", SERVED_EC, "mx.example.org" },
    { "the default's, by RSA", "mx.example.org", SERVED_RSA, "mx.example.org",
      "ECDHE-RSA-AES128-GCM-SHA256" },
    { "no name, by RSA", NULL, SERVED_RSA, NULL, "ECDHE-RSA-AES128-GCM-SHA256" },
    { "the wildcard's", "b.example.net", SERVED_WILDCARD, "b.example.net" },
    { "the wildcard's in capitals", "B.Example.NET", SERVED_WILDCARD, "b.example.net" },
    { "an exact name before a wildcard", "a.example.net", SERVED_EXACT, "a.example.net" },
    { "an exact name in capitals", "A.EXAMPLE.NET", SERVED_EXACT, "a.example.net" },
    { "an exact name with a dot behind it", "a.example.net.", SERVED_EXACT, "a.example.net" },
    { "the wildcard's with a dot behind it", "b.example.net.", SERVED_WILDCARD, "b.example.net" },
    { "a dot", ".", SERVED_EC, NULL },
    { "two labels below a wildcard", "c.b.example.net", SERVED_EC, "c.b.example.net" },
    { "the wildcard's domain", "example.net", SERVED_EC, "example.net" },
    { "an empty label", ".example.net", SERVED_EC, ".example.net" },
    { "the wildcard itself", "*.example.net", SERVED_EC, NULL },
    { "nobody's name", "mx.example.com", SERVED_EC, "mx.example.com" },
    { "a name with a control character", "b\x01.example.net", SERVED_EC, NULL },
    { "a name with a line end", "b\r\n.example.net", SERVED_EC, NULL },
    { "a name with a blank", "b .example.net", SERVED_EC, NULL },
    { "a name with octets of UTF-8", "b\xc3\xbc.example.net", SERVED_EC, NULL },
    { "a name with a quote", "b\".example.net", SERVED_EC, NULL },
    { "253 octets",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaa.example.net",
      SERVED_WILDCARD,
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaa.example.net" },
    { "254 octets",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
      "aaaaaaaa"
      "aaaaaaaaaaaaaaaaaaaaaa.example.net",
      SERVED_EC, NULL },
};

static void check_name_with(const struct name_row *row, int version)
{
    const struct certificate *all[] = { f.rig->ec, f.rig->rsa, f.rig->wildcard, f.rig->exact };
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ version, row->asked, row->ciphers });
    talk_run(&t);
    assert_true(t.is_open && t.peer->is_open);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(t.peer->ssl), all[row->want]->x509), 0);
    const char *told = tls_session_facts(t.session)->server_name;
    assert_int_equal(told == NULL, row->told == NULL);
    if (told != NULL)
        assert_string_equal(told, row->told);
}

static void check_name(void **state)
{
    const struct name_row *row = *state;
    check_name_with(row, TLS1_2_VERSION);
    if (row->ciphers == NULL)
        check_name_with(row, TLS1_3_VERSION);
}

/* OpenSSL does not let its client ask for that: it is put into the octets. */
static void check_name_with_nul(void **state)
{
    (void)state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ .server_name = "a.example.net" });
    tls_peer_feed(t.peer, slice_of(NULL, 0));
    uint8_t *name = memmem(t.peer->out->data, t.peer->out->len, "a.example.net", strlen("a.example.net"));
    assert_non_null(name);
    name[1] = '\0';
    talk_run(&t);
    assert_int_equal(t.end, -EPROTO);
    assert_string_equal(tls_session_problem(t.session), "bad-extension");
    assert_null(tls_session_facts(t.session)->server_name);
}

/* ---- resumption ---- */

static SSL_SESSION *session_at(const struct tls_store *store, enum tls_client_mode mode,
                               const struct tls_peer_wish *wish, msec_t now)
{
    auto_val(talk) t;
    talk_init_at(&t, store, mode, wish, now);
    talk_run(&t);
    assert_true(t.is_open);
    return g_steal_pointer(&t.peer->session);
}

static SSL_SESSION *session_of(const struct tls_store *store, enum tls_client_mode mode,
                               const struct tls_peer_wish *wish)
{
    return session_at(store, mode, wish, 0);
}

static bool is_resumed_at(const struct tls_store *store, enum tls_client_mode mode, struct tls_peer_wish wish,
                          SSL_SESSION *session, msec_t now)
{
    wish.session = session;
    auto_val(talk) t;
    talk_init_at(&t, store, mode, &wish, now);
    talk_run(&t);
    assert_true(t.is_open && t.peer->is_open);
    const struct tls_facts *facts = tls_session_facts(t.session);
    assert_int_equal(facts->is_resumed, SSL_session_reused(t.peer->ssl));
    assert_int_equal(facts->server_name != NULL, wish.server_name != NULL);
    uint8_t ours[TLS_BINDING_MAX], theirs[TLS_BINDING_MAX];
    size_t len;
    if (facts->is_resumed &&
        wish.version == TLS1_2_VERSION) { /* RFC 5929: the server's Finished is the first */
        assert_int_equal(tls_session_channel_binding(t.session, "tls-unique", ours, &len), 0);
        assert_int_equal(len, SSL_get_peer_finished(t.peer->ssl, theirs, sizeof theirs));
        assert_memory_equal(ours, theirs, len);
    }
    return facts->is_resumed;
}

static bool is_resumed(const struct tls_store *store, enum tls_client_mode mode,
                       const struct tls_peer_wish wish, SSL_SESSION *session)
{
    return is_resumed_at(store, mode, wish, session, 0);
}

static void check_resumption(void **state)
{
    const int *version = *state;
    static const char *const names[] = { NULL, "mx.example.org", "b.example.net", "mx.example.com" };
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const struct tls_peer_wish wish = { *version, names[i] };
        SSL_SESSION *session = session_of(f.store, TLS_CLIENT_OFF, &wish);
        assert_non_null(session);
        assert_true(is_resumed(f.store, TLS_CLIENT_OFF, wish, session));
        SSL_SESSION_free(session);
    }
}

/* Another process that has the store from before the fork: 0 is success. */
static void check_resumption_elsewhere(void **state)
{
    const int *version = *state;
    const struct tls_peer_wish wish = { *version, "mx.example.org" };
    SSL_SESSION *session = session_of(f.store, TLS_CLIENT_OFF, &wish);
    assert_non_null(session);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(is_resumed(f.store, TLS_CLIENT_OFF, wish, session) ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    SSL_SESSION_free(session);
}

enum { TURN_MS = TLS_TICKETS_TURN_S * 1000 };

/* RFC 9325 section 3.4. A ticket is for its own turn and the next, and a clock that goes back brings no key
 * back. */
static void check_keys_of_tickets_change(void **state)
{
    const int *version = *state;
    const struct tls_peer_wish wish = { *version, "mx.example.org" };
    static const struct {
        msec_t made, used;
        bool resumes;
    } rows[] = {
        { 0, 0, true },
        { 1, TURN_MS - 1, true },
        { TURN_MS - 1, TURN_MS, true },
        { TURN_MS, 3 * TURN_MS - 1, true },
        { 3 * TURN_MS - 1, 5 * TURN_MS, false },
        { 5 * TURN_MS, 5 * TURN_MS, true },
        { 6 * TURN_MS, 5 * TURN_MS, true },
        { 5 * TURN_MS, 6 * TURN_MS, true },
        { 6 * TURN_MS, 5000 * (msec_t)TURN_MS, false },
        { 5000 * (msec_t)TURN_MS, 5001 * (msec_t)TURN_MS, true },
    };
    auto_ptr(tls_store) store = tls_rig_store(f.rig);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        SSL_SESSION *session = session_at(store, TLS_CLIENT_OFF, &wish, rows[i].made);
        bool resumes = is_resumed_at(store, TLS_CLIENT_OFF, wish, session, rows[i].used);
        if (resumes != rows[i].resumes)
            fail_msg("row %zu: %s", i, resumes ? "resumed" : "not resumed");
        SSL_SESSION_free(session);
    }
}

/* One of them has made turns, all at once, that the other has not. */
static void check_keys_change_alike(void **state)
{
    const int *version = *state;
    const struct tls_peer_wish wish = { *version, "mx.example.org" };
    auto_ptr(tls_store) store = tls_rig_store(f.rig);
    for (msec_t turns = 0; turns < 10; turns += 3) {
        pid_t child;
        int status, way[2];
        assert_int_equal(pipe(way), 0);
        assert_true((child = fork()) >= 0);
        if (child == 0) {
            for (msec_t turn = 0; turn <= turns; turn++)
                tls_store_turn_keys(store, turn * TURN_MS);
            uint8_t *octets = NULL;
            SSL_SESSION *session = session_at(store, TLS_CLIENT_OFF, &wish, turns * TURN_MS);
            int len = i2d_SSL_SESSION(session, &octets);
            _exit(write(way[1], octets, (size_t)len) == len ? 0 : 1);
        }
        uint8_t octets[8192];
        ssize_t len = read(way[0], octets, sizeof octets);
        assert_true(len > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        const uint8_t *at = octets;
        SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, len);
        assert_true(is_resumed_at(store, TLS_CLIENT_OFF, wish, session, turns * TURN_MS));
        SSL_SESSION_free(session);
        close(way[0]);
        close(way[1]);
    }
}

static void check_no_resumption_by_another_store(void **state)
{
    const int *version = *state;
    const struct tls_peer_wish wish = { *version };
    SSL_SESSION *session = session_of(f.store, TLS_CLIENT_OFF, &wish);
    auto_ptr(tls_store) other = tls_rig_store(f.rig);
    assert_false(is_resumed(other, TLS_CLIENT_OFF, wish, session));
    SSL_SESSION_free(session);
}

static void check_no_tickets(void **state)
{
    const int *version = *state;
    const struct tls_peer_wish wish = { *version };
    SSL_SESSION *none = session_of(f.without_tickets, TLS_CLIENT_OFF, &wish);
    assert_true(none == NULL || (!SSL_SESSION_has_ticket(none) && !SSL_SESSION_is_resumable(none)));
    SSL_SESSION_free(none);
}

/* ---- certificates of clients ---- */

static const struct client_row {
    const char *name;
    enum tls_client_mode mode;
    enum { WITH_NONE, WITH_ALICE, WITH_STRANGER } with;
    const char *problem, *subject, *identity;
} client_rows[] = {
    { "not asked for one", TLS_CLIENT_OFF, WITH_ALICE },
    { "asked, has none", TLS_CLIENT_REQUEST, WITH_NONE },
    { "asked, has a good one", TLS_CLIENT_REQUEST, WITH_ALICE, NULL, "CN=alice,O=Test", "alice@example.org" },
    { "asked, has a stranger's", TLS_CLIENT_REQUEST, WITH_STRANGER, NULL, "CN=alice,O=Test", NULL },
    { "must, has none", TLS_CLIENT_REQUIRE, WITH_NONE, "no-client-certificate" },
    { "must, has a good one", TLS_CLIENT_REQUIRE, WITH_ALICE, NULL, "CN=alice,O=Test", "alice@example.org" },
    { "must, has a stranger's", TLS_CLIENT_REQUIRE, WITH_STRANGER,
      "bad-client-certificate-self-signed-certificate" },
};

static void check_same(const char *is, const char *want)
{
    assert_int_equal(is == NULL, want == NULL);
    if (is != NULL)
        assert_string_equal(is, want);
}

static void check_client_with(const struct client_row *row, int version)
{
    const struct certificate *all[] = { NULL, f.rig->alice, f.rig->stranger };
    auto_val(talk) t;
    talk_init(&t, f.store, row->mode,
              &(struct tls_peer_wish){ version, "b.example.net", .certificate = all[row->with] });
    talk_run(&t);
    assert_int_equal(t.end, row->problem != NULL ? -EPROTO : 0);
    check_same(tls_session_problem(t.session), row->problem);
    const struct tls_facts *facts = tls_session_facts(t.session);
    check_same(facts->client_subject, row->subject);
    check_same(facts->client_identity, row->identity);
    assert_int_equal(facts->client_is_verified, row->identity != NULL);
}

static void check_client(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++)
        check_client_with(*state, versions[i]);
}

/* Who was verified once is verified each time; and a session without a certificate does not get one by being
 * resumed where one is asked for. */
static void check_client_is_not_resumed(void **state)
{
    const int *version = *state;
    static const enum tls_client_mode modes[] = { TLS_CLIENT_REQUEST, TLS_CLIENT_REQUIRE };
    const struct tls_peer_wish wish = { *version, .certificate = f.rig->alice };
    SSL_SESSION *plain = session_of(f.store, TLS_CLIENT_OFF, &wish);
    assert_non_null(plain);
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        SSL_SESSION *session = session_of(f.store, modes[i], &wish);
        assert_true(session == NULL || !SSL_SESSION_has_ticket(session));
        SSL_SESSION_free(session);
        assert_false(is_resumed(f.store, modes[i], wish, plain));
    }
    SSL_SESSION_free(plain);
}

static const struct identity_row {
    const char *name;
    struct certificate_wish wish;
    const char *subject, *identity;
} identity_rows[] = {
    { "the first mail address",
      { "bob", "DNS:client.example.org,email:b@example.org,email:c@example.org" },
      "CN=bob,O=Test",
      "b@example.org" },
    { "the common name", { "bob", "DNS:client.example.org" }, "CN=bob,O=Test", "bob" },
    { "neither", { NULL, "DNS:client.example.org" }, "O=Test", NULL },
    { "a name in UTF-8", { "J\xc3\xbcrgen" }, "CN=J\\C3\\BCrgen,O=Test", NULL },
    { "a name with line ends", { "a\r\nX-Evil: yes" }, "CN=a\\0D\\0AX-Evil: yes,O=Test", NULL },
    { "a name with quotes", { "a\" \\ ,b" }, "CN=a\\\" \\\\ \\,b,O=Test", "a\" \\ ,b" },
    { "a certificate that is over", { "bob", .from_days = -9, .to_days = -1 }, "CN=bob,O=Test", NULL },
    { "a certificate to come", { "bob", .from_days = 1, .to_days = 9 }, "CN=bob,O=Test", NULL },
};

static void check_identity(void **state)
{
    const struct identity_row *row = *state;
    struct certificate_wish wish = row->wish;
    wish.issuer = f.rig->ca;
    struct certificate *certificate = certificate_new(&wish);
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_REQUEST, &(struct tls_peer_wish){ .certificate = certificate });
    talk_run(&t);
    assert_true(t.is_open && t.peer->is_open);
    check_same(tls_session_facts(t.session)->client_subject, row->subject);
    check_same(tls_session_facts(t.session)->client_identity, row->identity);
    certificate_free(certificate);
}

/* An authority in the file need not be a root: what is not signed by it is another matter. */
static void check_authority_below_root(void **state)
{
    (void)state;
    struct certificate *below = certificate_new(
        &(struct certificate_wish){ .common_name = "Below", .is_ca = true, .issuer = f.rig->ca });
    struct certificate *client =
        certificate_new(&(struct certificate_wish){ .common_name = "bob", .issuer = below });
    g_autofree char *pem = certificate_pem(below);
    g_autofree char *path = certificate_file(f.rig->folder, "below.pem", pem, 0644);
    const char *usual = f.rig->policy.client_ca.value;
    f.rig->policy.client_ca.value = path;
    auto_ptr(tls_store) store = tls_rig_store(f.rig);
    f.rig->policy.client_ca.value = usual;
    const struct certificate *certificates[] = { client, f.rig->alice };
    for (size_t i = 0; i < G_N_ELEMENTS(certificates); i++) {
        auto_val(talk) t;
        talk_init(&t, store, TLS_CLIENT_REQUIRE, &(struct tls_peer_wish){ .certificate = certificates[i] });
        talk_run(&t);
        check_same(tls_session_facts(t.session)->client_identity, i == 0 ? "bob" : NULL);
        check_same(tls_session_problem(t.session),
                   i == 0 ? NULL : "bad-client-certificate-unable-to-get-local-issuer-certificate");
    }
    certificate_free(below);
    certificate_free(client);
}

static void add_for_versions(struct suite *s, const char *what, CMUnitTestFunction run)
{
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autofree char *name = g_strdup_printf("%s: TLS 1.%zu", what, 2 + i);
        suite_add(s, name, run, (void *)&versions[i]);
    }
}

int main(int argc, char **argv)
{
    f.rig = tls_rig_new();
    f.store = tls_rig_store(f.rig);
    f.rig->policy.tickets = false;
    f.without_tickets = tls_rig_store(f.rig);
    f.rig->policy.tickets = true;
    struct suite *s = suite_new("tls client");
    suite_add_rows(s, name_rows, check_name);
    suite_add(s, "a name with NUL", check_name_with_nul, NULL);
    add_for_versions(s, "a session is resumed", check_resumption);
    add_for_versions(s, "in another process", check_resumption_elsewhere);
    add_for_versions(s, "the keys of tickets change", check_keys_of_tickets_change);
    add_for_versions(s, "and in all processes alike", check_keys_change_alike);
    add_for_versions(s, "not by another store", check_no_resumption_by_another_store);
    add_for_versions(s, "no tickets", check_no_tickets);
    suite_add_rows(s, client_rows, check_client);
    add_for_versions(s, "a client with a certificate", check_client_is_not_resumed);
    suite_add(s, "an authority below the root", check_authority_below_root, NULL);
    suite_add_rows(s, identity_rows, check_identity);
    int failed = suite_run(s, argc, argv);
    tls_store_free(f.store);
    tls_store_free(f.without_tickets);
    tls_rig_free(f.rig);
    return failed;
}
