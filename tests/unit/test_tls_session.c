/* Whole conversations between a session and OpenSSL's client, in every cutting; and everything but TLS. */
#include "tls_rig.h"

#include <errno.h>
#include <openssl/err.h>

#include "base/random.h"

static const struct version_row {
    const char *name;
    int version;
    size_t step;
} version_rows[] = {
    { "TLS 1.2", TLS1_2_VERSION, 0 },
    { "TLS 1.2, byte by byte", TLS1_2_VERSION, 1 },
    { "TLS 1.2, in pieces of 7", TLS1_2_VERSION, 7 },
    { "TLS 1.3", TLS1_3_VERSION, 0 },
    { "TLS 1.3, byte by byte", TLS1_3_VERSION, 1 },
    { "TLS 1.3, in pieces of 7", TLS1_3_VERSION, 7 },
};

struct fixture {
    struct tls_rig *rig;
    struct tls_store *store;
};
static struct fixture f; /* made once: keys of RSA take a while */

static struct slice all_of(const GByteArray *bytes)
{
    return slice_of(bytes->data, bytes->len);
}

static void check_conversation(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF,
              &(struct tls_peer_wish){ row->version, "mx.example.org", .trusted = f.rig->ca });
    t.step = row->step;
    talk_run(&t);
    assert_true(t.is_open && t.peer->is_open && !t.peer->has_failed);
    const struct tls_facts *facts = tls_session_facts(t.session);
    assert_string_equal(facts->version, row->version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
    assert_string_equal(facts->cipher, SSL_get_cipher_name(t.peer->ssl));
    assert_string_equal(facts->server_name, "mx.example.org");
    assert_null(facts->client_subject);
    assert_null(facts->client_identity);
    assert_false(facts->client_is_verified || facts->is_resumed);
    assert_null(tls_session_problem(t.session));

    tls_peer_write(t.peer, slice_str("EHLO client.example.org\r\n"));
    tls_peer_write(t.peer, slice_str("QUIT\r\n"));
    talk_run(&t);
    talk_check_got(&t, "EHLO client.example.org\r\nQUIT\r\n");
    assert_int_equal(tls_session_write(t.session, slice_str("250 ok\r\n")), 0);
    assert_int_equal(tls_session_write(t.session, slice_str("")), 0);
    talk_run(&t);
    talk_check_peer_got(&t, "250 ok\r\n");
}

/* What came behind the handshake in the same segment is there as soon as it is done. */
static void check_data_behind_handshake(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    t.step = row->step;
    while (!t.peer->is_open) {
        g_autoptr(GByteArray) wire = g_steal_pointer(&t.peer->out);
        t.peer->out = g_byte_array_new();
        talk_feed(&t, all_of(wire));
        tls_peer_feed(t.peer, all_of(t.out));
        g_byte_array_set_size(t.out, 0);
    }
    tls_peer_write(t.peer, slice_str("NOOP\r\n"));
    talk_run(&t);
    talk_check_got(&t, "NOOP\r\n");
}

/* What the steps of handshakes cost, as the session tells before each: 'd' for dear, 'c' for cheap. */
static const struct steps_row {
    const char *name;
    struct tls_peer_wish wish;
    enum tls_client_mode mode;
    const char *steps;
} steps_rows[] = {
    { "steps: TLS 1.2", { TLS1_2_VERSION }, TLS_CLIENT_OFF, "dd" },
    { "steps: TLS 1.3", { TLS1_3_VERSION }, TLS_CLIENT_OFF, "dc" },
    { "steps: another curve is asked for",
      { TLS1_3_VERSION, .curves = "P-521:X25519" },
      TLS_CLIENT_OFF,
      "ddc" },
    { "steps: a certificate is asked for", { TLS1_3_VERSION }, TLS_CLIENT_REQUEST, "dd" },
};

static void check_steps(void **state)
{
    const struct steps_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, row->mode, &row->wish);
    g_autoptr(GString) steps = g_string_new(NULL);
    tls_peer_feed(t.peer, slice_of(NULL, 0));
    while (!t.is_open) {
        g_autoptr(GByteArray) wire = g_steal_pointer(&t.peer->out);
        t.peer->out = g_byte_array_new();
        assert_int_not_equal(wire->len, 0);
        g_string_append_c(steps, tls_session_awaits_finished(t.session) ? 'c' : 'd');
        talk_feed(&t, all_of(wire));
        tls_peer_feed(t.peer, all_of(t.out));
        g_byte_array_set_size(t.out, 0);
    }
    assert_string_equal(steps->str, row->steps);
    assert_false(tls_session_awaits_finished(t.session)); /* there is no step any more */
}

static void check_large(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    talk_run(&t);
    t.step = row->step > 1 ? row->step : 0; /* byte by byte would take seconds and show no more */
    enum { LARGE = 300 * 1000 };
    g_autofree uint8_t *data = g_malloc(LARGE);
    struct pst_random random;
    pst_random_seed(&random, 42);
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (uint8_t)pst_random_below(&random, 256);
    tls_peer_write(t.peer, slice_of(data, LARGE));
    assert_int_equal(tls_session_write(t.session, slice_of(data, LARGE)), 0);
    talk_run(&t);
    assert_int_equal(t.got->len, LARGE);
    assert_memory_equal(t.got->data, data, LARGE);
    assert_int_equal(t.peer->got->len, LARGE);
    assert_memory_equal(t.peer->got->data, data, LARGE);
}

static void check_close(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    t.step = row->step;
    talk_run(&t);
    tls_peer_write(t.peer, slice_str("QUIT\r\n"));
    talk_run(&t);
    assert_int_equal(t.end, 0); /* without close_notify it is never the end */
    tls_peer_close(t.peer);
    talk_run(&t);
    assert_int_equal(t.end, -ESHUTDOWN);
    talk_check_got(&t, "QUIT\r\n");
    uint8_t octet;
    assert_int_equal(tls_session_read(t.session, &octet, 1), -ESHUTDOWN);
    assert_int_equal(tls_session_write(t.session, slice_str("221 bye\r\n")), 0);
    assert_true(t.out->len > 0);
    g_byte_array_set_size(t.out, 0);
    tls_session_close(t.session);
    assert_true(t.out->len > 0);
    g_byte_array_set_size(t.out, 0);
    tls_session_close(t.session);
    assert_int_equal(t.out->len, 0);
}

/* RFC 8446 section 6.1: data after a closure alert is ignored. */
static void check_data_behind_close(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    t.step = row->step;
    talk_run(&t);
    tls_peer_write(t.peer, slice_str("QUIT\r\n"));
    tls_peer_close(t.peer);
    g_byte_array_append(t.peer->out, (const uint8_t *)"behind it", strlen("behind it"));
    talk_run(&t);
    assert_int_equal(t.end, -ESHUTDOWN);
    talk_check_got(&t, "QUIT\r\n");
    talk_feed(&t, slice_str("and more of it"));
    assert_int_equal(t.end, -ESHUTDOWN);
    talk_check_got(&t, "");
}

static void check_our_close(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    t.step = row->step;
    tls_session_close(t.session); /* too early: nothing to say */
    assert_int_equal(t.out->len, 0);
    talk_run(&t);
    assert_int_equal(tls_session_write(t.session, slice_str("221 bye\r\n")), 0);
    tls_session_close(t.session);
    talk_run(&t);
    talk_check_peer_got(&t, "221 bye\r\n");
    assert_true(t.peer->is_ended);
}

/* Wherever it stops, nothing is told but that more is needed; and freeing it then leaks nothing. */
static void check_half(void **state)
{
    const struct version_row *row = *state;
    for (size_t enough = 0, left = 0; left == 0; enough += 41) {
        auto_val(talk) t;
        talk_init(&t, f.store, TLS_CLIENT_REQUEST, &(struct tls_peer_wish){ row->version });
        for (left = enough; left > 0 && !t.is_open;) {
            tls_peer_feed(t.peer, all_of(t.out));
            g_byte_array_set_size(t.out, 0);
            struct slice some = slice_first(all_of(t.peer->out), left);
            if (some.len == 0)
                break;
            talk_feed(&t, some);
            left -= some.len;
            g_byte_array_remove_range(t.peer->out, 0, (guint)some.len);
            assert_int_equal(t.end, 0);
        }
    }
}

static void check_channel_binding(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    uint8_t ours[TLS_BINDING_MAX], theirs[TLS_BINDING_MAX];
    size_t len = 0;
    assert_int_equal(tls_session_channel_binding(t.session, "tls-exporter", ours, &len), -EOPNOTSUPP);
    talk_run(&t);
    static const char label[] = "EXPORTER-Channel-Binding";
    assert_int_equal(
        SSL_export_keying_material(t.peer->ssl, theirs, 32, label, strlen(label), (const uint8_t *)"", 0, 1),
        1);
    assert_int_equal(tls_session_channel_binding(t.session, "tls-exporter", ours, &len), 0);
    assert_int_equal(len, 32);
    assert_memory_equal(ours, theirs, 32);
    int r = tls_session_channel_binding(t.session, "tls-unique", ours, &len);
    if (row->version == TLS1_3_VERSION) {
        assert_int_equal(r, -EOPNOTSUPP); /* RFC 8446 section C.5 */
    } else {
        assert_int_equal(r, 0);
        assert_int_equal(len, SSL_get_finished(t.peer->ssl, theirs, sizeof theirs));
        assert_memory_equal(ours, theirs, len);
    }
    assert_int_equal(tls_session_channel_binding(t.session, "tls-server-end-point", ours, &len), -EOPNOTSUPP);
}

/* RFC 5246 section 7.2.2: no_renegotiation, and the session goes on as it was. */
static void check_no_renegotiation(void **state)
{
    (void)state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ TLS1_2_VERSION });
    talk_run(&t);
    assert_int_equal(SSL_renegotiate(t.peer->ssl), 1);
    (void)SSL_do_handshake(t.peer->ssl);
    tls_peer_feed(t.peer, slice_of(NULL, 0));
    assert_int_equal(SSL_num_renegotiations(t.peer->ssl), 1); /* it did ask */
    talk_feed(&t, all_of(t.peer->out));
    g_byte_array_set_size(t.peer->out, 0);
    assert_int_equal(t.end, 0);
    assert_int_equal(t.out->data[0], SSL3_RT_ALERT);
    talk_run(&t);
    assert_true(t.peer->has_failed); /* OpenSSL's client does not put up with it */
    assert_string_equal(tls_session_problem(t.session), "peer-alert-handshake-failure");
}

/* A client may have new keys now and then (RFC 8446 4.6.3), but not for each octet. */
static void check_key_updates(void **state)
{
    (void)state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ TLS1_3_VERSION });
    talk_run(&t);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(SSL_key_update(t.peer->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        tls_peer_write(t.peer, slice_str("x"));
        talk_run(&t);
        assert_int_equal(t.end, 0);
    }
    assert_int_equal(t.got->len, 100);
    assert_int_equal(SSL_key_update(t.peer->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    tls_peer_write(t.peer, slice_str("y"));
    talk_feed(&t, all_of(t.peer->out));
    assert_int_equal(t.end, -EPROTO);
    assert_int_equal(t.got->len, 100);
    assert_string_equal(tls_session_problem(t.session), "too-many-key-updates");
}

/* ---- what is no TLS, or none of ours ---- */

static const struct garbage_row {
    const char *name, *input;
    size_t len;
    const char *problem;
} garbage_rows[] = {
#define BYTES(literal) (literal), sizeof(literal) - 1
    { "SMTP in the clear", BYTES("EHLO client.example.org\r\n"), "not-tls" },
    { "HTTP", BYTES("GET / HTTP/1.1\r\nHost: mx.example.org\r\n\r\n"), "not-tls" },
    { "a proxy's HTTP", BYTES("CONNECT mx.example.org:465 HTTP/1.1\r\n\r\n"), "not-tls" },
    { "SSH", BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"), "not-tls" },
    { "an alert at once", BYTES("\x15\x03\x01\x00\x02\x02\x28"), "unexpected-message" },
    { "octets of the application at once", BYTES("\x17\x03\x03\x00\x01x"), "unexpected-message" },
    { "a record that is too long", BYTES("\x16\x03\x01\xff\xff"), "packet-length-too-long" },
    { "a ClientHello of nothing", BYTES("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), "length-too-short" },
    { "a message that is too long", BYTES("\x16\x03\x01\x00\x04\x01\xff\xff\xff"), "excessive-message-size" },
#undef BYTES
};

static void check_garbage_in_steps(const struct garbage_row *row, size_t step)
{
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ 0 });
    for (struct slice rest = slice_of(row->input, row->len); rest.len > 0; rest = slice_skip(rest, step))
        talk_feed(&t, slice_first(rest, step));
    assert_int_equal(t.end, -EPROTO);
    assert_string_equal(tls_session_problem(t.session), row->problem);
    assert_int_equal(ERR_peek_error(), 0);
    /* From then on it is dead, whatever it is asked. */
    g_byte_array_set_size(t.out, 0);
    uint8_t octet;
    assert_int_equal(tls_session_handshake(t.session), -EPROTO);
    assert_int_equal(tls_session_read(t.session, &octet, 1), -EPROTO);
    assert_int_equal(tls_session_write(t.session, slice_str("x")), -EPROTO);
    tls_session_close(t.session);
    assert_int_equal(t.out->len, 0);
}

static void check_garbage(void **state)
{
    const struct garbage_row *row = *state;
    check_garbage_in_steps(row, row->len);
    check_garbage_in_steps(row, 1);
    for (size_t cut = 1; cut < row->len; cut++)
        check_garbage_in_steps(row, cut);
}

static void check_random_garbage(void **state)
{
    (void)state;
    struct pst_random random;
    pst_random_seed(&random, 7);
    for (unsigned i = 0; i < 300; i++) {
        auto_val(talk) t;
        talk_init(&t, f.store, TLS_CLIENT_REQUIRE, &(struct tls_peer_wish){ 0 });
        tls_peer_feed(t.peer, slice_of(NULL, 0));
        for (guint flips = 1 + i % 9; flips > 0; flips--)
            t.peer->out->data[pst_random_below(&random, t.peer->out->len)] =
                (uint8_t)pst_random_below(&random, 256);
        talk_feed(&t, all_of(t.peer->out));
        assert_true(t.end == 0 || t.end == -EPROTO);
        assert_int_equal(t.end == -EPROTO, tls_session_problem(t.session) != NULL);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

/* One whose octets are changed on their way later fails with an alert; its neighbour does not notice. */
static void check_changed_record(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) bad;
    auto_val(talk) good;
    talk_init(&bad, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    talk_init(&good, f.store, TLS_CLIENT_OFF, &(struct tls_peer_wish){ row->version });
    bad.step = good.step = row->step;
    talk_run(&bad);
    talk_run(&good);
    tls_peer_write(bad.peer, slice_str("NOOP\r\n"));
    bad.peer->out->data[bad.peer->out->len - 1] ^= 1;
    talk_run(&bad);
    assert_int_equal(bad.end, -EPROTO);
    assert_string_equal(tls_session_problem(bad.session), "decryption-failed-or-bad-record-mac");
    assert_true(bad.peer->has_failed); /* the alert */
    talk_check_got(&bad, "");
    tls_peer_write(good.peer, slice_str("NOOP\r\n"));
    talk_run(&good);
    talk_check_got(&good, "NOOP\r\n");
}

static const struct refused_row {
    const char *name;
    struct tls_peer_wish wish;
    const char *problem;
} refused_rows[] = {
    { "TLS 1.0", { TLS1_VERSION }, "unsupported-protocol" },
    { "TLS 1.1", { TLS1_1_VERSION }, "unsupported-protocol" },
    { "only CBC", { TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-SHA" }, "no-shared-cipher" },
    { "only RSA's key exchange", { TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256" }, "no-shared-cipher" },
    { "a curve of its own", { TLS1_3_VERSION, .curves = "P-521" }, "no-shared-curve" },
};

static void check_refused(void **state)
{
    const struct refused_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF, &row->wish);
    talk_run(&t);
    assert_int_equal(t.end, -EPROTO);
    assert_string_equal(tls_session_problem(t.session), row->problem);
    assert_true(t.peer->has_failed); /* it was told by an alert */
}

static void check_distrusted(void **state)
{
    const struct version_row *row = *state;
    auto_val(talk) t;
    talk_init(&t, f.store, TLS_CLIENT_OFF,
              &(struct tls_peer_wish){ row->version, .trusted = f.rig->stranger });
    t.step = row->step;
    talk_run(&t);
    assert_int_equal(t.end, -EPROTO);
    assert_string_equal(tls_session_problem(t.session), "peer-alert-unknown-ca");
}

#define ADD_FOR_VERSIONS(suite, what, run)                                                                   \
    for (size_t i = 0; i < G_N_ELEMENTS(version_rows); i++) {                                                \
        g_autofree char *case_name = g_strdup_printf("%s: %s", what, version_rows[i].name);                  \
        suite_add(suite, case_name, run, (void *)&version_rows[i]);                                          \
    }

int main(int argc, char **argv)
{
    f.rig = tls_rig_new();
    f.store = tls_rig_store(f.rig);
    struct suite *s = suite_new("tls session");
    ADD_FOR_VERSIONS(s, "a conversation", check_conversation)
    ADD_FOR_VERSIONS(s, "data right behind the handshake", check_data_behind_handshake)
    ADD_FOR_VERSIONS(s, "300,000 octets in either direction", check_large)
    ADD_FOR_VERSIONS(s, "the client says that it ends", check_close)
    ADD_FOR_VERSIONS(s, "more behind the client's end", check_data_behind_close)
    ADD_FOR_VERSIONS(s, "we say that we end", check_our_close)
    ADD_FOR_VERSIONS(s, "a handshake that stops anywhere", check_half)
    ADD_FOR_VERSIONS(s, "channel binding", check_channel_binding)
    ADD_FOR_VERSIONS(s, "a record that was changed", check_changed_record)
    ADD_FOR_VERSIONS(s, "a client that does not trust us", check_distrusted)
    suite_add(s, "renegotiation", check_no_renegotiation, NULL);
    suite_add(s, "new keys without end", check_key_updates, NULL);
    suite_add(s, "a ClientHello with random octets changed", check_random_garbage, NULL);
    suite_add_rows(s, steps_rows, check_steps);
    suite_add_rows(s, garbage_rows, check_garbage);
    suite_add_rows(s, refused_rows, check_refused);
    int failed = suite_run(s, argc, argv);
    tls_store_free(f.store);
    tls_rig_free(f.rig);
    return failed;
}
