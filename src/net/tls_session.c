/*
 * One BIO below OpenSSL reads from what was fed and writes to `out`. Between two records nothing of a session
 * is kept but OpenSSL's own state: reading is asked of it only while there are octets, as it takes a buffer
 * of a whole record for each attempt.
 */
#include "net/tls_session.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/assert.h"
#include "net/tls_internal.h"
#include "net/tls_tickets.h"
#include "net/tls_x509.h"

enum phase { SHAKING_HANDS, OPEN, FAILED };

struct tls_session {
    enum phase phase;
    enum tls_client_mode mode;
    const struct tls_store *store;
    msec_t began;
    SSL *ssl; /* NULL: failed, nothing more is done with it */
    GByteArray *out;
    struct slice in;
    bool client_is_doubted; /* something about its certificate could not be verified */
    unsigned key_updates;   /* that the client has sent */
    char *server_name, *client_subject, *client_identity;
    char *problem;
    struct tls_facts facts;
};

/* ---- the wire ---- */

static int wire_read(BIO *bio, char *to, size_t size, size_t *ret_count)
{
    struct tls_session *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t count = MIN(size, t->in.len);
    if (count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, t->in.data, count);
    t->in = slice_skip(t->in, count);
    *ret_count = count;
    return 1;
}

static int wire_write(BIO *bio, const char *from, size_t size, size_t *ret_count)
{
    struct tls_session *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    g_byte_array_append(t->out, (const uint8_t *)from, (guint)size); /* a record at most */
    *ret_count = size;
    return 1;
}

static long wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* the owner sends it; nothing else is known here */
}

BIO_METHOD *tls_wire_new(void)
{
    BIO_METHOD *wire = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");
    pst_assert(wire != NULL);
    (void)BIO_meth_set_read_ex(wire, wire_read);
    (void)BIO_meth_set_write_ex(wire, wire_write);
    (void)BIO_meth_set_ctrl(wire, wire_ctrl);
    return wire;
}

/* ---- what OpenSSL asks ---- */

int tls_session_on_server_name(SSL *ssl, int *alert, void *unused)
{
    (void)alert;
    (void)unused;
    struct tls_session *t = SSL_get_app_data(ssl);
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    g_clear_pointer(&t->server_name, g_free); /* a second ClientHello, after HelloRetryRequest */
    if (asked == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    /* RFC 6066 section 3: "without a trailing dot", which some clients send all the same. */
    g_autofree char *name = g_ascii_strdown(asked, (gssize)strlen(asked) - g_str_has_suffix(asked, "."));
    if (!tls_host_is_plain(name))
        return SSL_TLSEXT_ERR_NOACK;
    t->server_name = g_steal_pointer(&name);
    SSL_CTX *host = tls_store_find(t->store, t->server_name);
    if (host != NULL)
        (void)SSL_set_SSL_CTX(ssl, host);
    /* Nobody's name is no reason to go (RFC 6066 section 3 leaves it to us): mail wants to arrive. It is
     * acknowledged, too, since OpenSSL forgets it otherwise when the session is resumed. */
    return SSL_TLSEXT_ERR_OK;
}

/* In TLS 1.3 a ticket is for one use (RFC 8446 section C.4): 2 asks for a new one. */
int tls_session_on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                          int is_new)
{
    const struct tls_session *t = SSL_get_app_data(ssl);
    int r = tls_tickets_set_up(tls_store_tickets(t->store), t->began, name, iv, cipher, mac, is_new != 0);
    return r == 1 && is_new == 0 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : r;
}

/* A requested certificate that is not good is as good as none: that is what the facts say then. */
static int on_verify(int is_good, X509_STORE_CTX *context)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *t = SSL_get_app_data(ssl);
    if (is_good != 1)
        t->client_is_doubted = true;
    return t->mode == TLS_CLIENT_REQUEST ? 1 : is_good;
}

/* Each costs us a derivation of keys, and is 27 octets: thousands fit into one read. Keys are good for
 * millions of records (RFC 8446 5.5). What came behind one too many is not looked at any more. */
enum { KEY_UPDATES_MAX = 100 };

static void on_message(int is_ours, int version, int type, const void *octets, size_t len, SSL *ssl,
                       void *unused)
{
    (void)version;
    (void)unused;
    struct tls_session *t = SSL_get_app_data(ssl);
    bool is_key_update = is_ours == 0 && type == SSL3_RT_HANDSHAKE && len > 0 &&
                         *(const uint8_t *)octets == SSL3_MT_KEY_UPDATE;
    if (is_key_update && ++t->key_updates > KEY_UPDATES_MAX)
        t->in = slice_of(NULL, 0);
}

/* ---- how it begins and fails ---- */

static void ask_for_certificate(SSL *ssl, enum tls_client_mode mode)
{
    int flags = SSL_VERIFY_PEER | (mode == TLS_CLIENT_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_set_verify(ssl, flags, on_verify);
    /* Who it is, is verified anew each time: a ticket would bring back what was true when it was made, and
     * without the chain to look at it again. */
    (void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
    (void)SSL_set_num_tickets(ssl, 0);
}

struct tls_session *tls_session_new(const struct tls_store *store, enum tls_client_mode mode, msec_t now,
                                    GByteArray *out)
{
    struct tls_session *t = g_new(struct tls_session, 1);
    *t = (struct tls_session){ .mode = mode, .store = store, .began = now, .out = out };
    t->ssl = SSL_new(tls_store_default(store));
    BIO *wire = BIO_new(tls_store_wire(store));
    pst_assert(t->ssl != NULL && wire != NULL);
    BIO_set_data(wire, t);
    BIO_set_init(wire, 1);
    SSL_set_bio(t->ssl, wire, wire);
    (void)SSL_set_app_data(t->ssl, t);
    SSL_set_msg_callback(t->ssl, on_message);
    /* A session of one mode is never resumed in another. */
    uint8_t context = (uint8_t)mode;
    (void)SSL_set_session_id_context(t->ssl, &context, sizeof context);
    if (mode != TLS_CLIENT_OFF)
        ask_for_certificate(t->ssl, mode);
    SSL_set_accept_state(t->ssl);
    return t;
}

void tls_session_set_out(struct tls_session *t, GByteArray *out)
{
    t->out = out;
}

void tls_session_free(struct tls_session *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    g_free(t->server_name);
    g_free(t->client_subject);
    g_free(t->client_identity);
    g_free(t->problem);
    g_free(t);
}

/* What is worth a name of its own, or has another one in other versions of OpenSSL. */
static const struct reason {
    int code;
    const char *problem;
} reasons[] = {
    { SSL_R_HTTP_REQUEST, "not-tls" },
    { SSL_R_HTTPS_PROXY_REQUEST, "not-tls" },
    { SSL_R_WRONG_VERSION_NUMBER, "not-tls" },
    { SSL_R_UNKNOWN_PROTOCOL, "unsupported-protocol" },
    { SSL_R_UNSUPPORTED_PROTOCOL, "unsupported-protocol" },
    { SSL_R_VERSION_TOO_LOW, "unsupported-protocol" },
    { SSL_R_NO_SHARED_CIPHER, "no-shared-cipher" },
    { SSL_R_NO_SUITABLE_KEY_SHARE, "no-shared-curve" },
    { SSL_R_NO_SHARED_GROUPS, "no-shared-curve" },
    { SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "no-client-certificate" },
};

/* "decryption failed or bad record mac" as "decryption-failed-or-bad-record-mac" */
static char *dashed(const char *prefix, const char *words)
{
    GString *text = g_string_new(prefix);
    for (const char *c = words; *c != '\0'; c++)
        g_string_append_c(text, g_ascii_isalnum(*c) ? g_ascii_tolower(*c) : '-');
    return g_string_free(text, FALSE);
}

static char *problem_of(const SSL *ssl, unsigned long error)
{
    int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
        for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++) {
            if (reasons[i].code == reason)
                return g_strdup(reasons[i].problem);
        }
        if (reason > SSL_AD_REASON_OFFSET)
            return dashed("peer-alert-", SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
        if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
            return dashed("bad-client-certificate-",
                          X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
    }
    const char *words = ERR_reason_error_string(error);
    return dashed("", words != NULL ? words : "internal error");
}

static int fail(struct tls_session *t, char *take_problem)
{
    ERR_clear_error();
    t->problem = take_problem;
    t->phase = FAILED;
    t->in = slice_of(NULL, 0);
    g_clear_pointer(&t->ssl, SSL_free);
    return -EPROTO;
}

/* After a call that returned no success: 0, if it wants to read on. */
static int outcome_of(struct tls_session *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        pst_assert(t->in.len == 0);
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        if (t->phase != OPEN)
            return fail(t, g_strdup("closed-in-handshake"));
        t->in = slice_of(NULL, 0); /* what is behind it says nothing */
        return -ESHUTDOWN;
    default:
        return fail(t, problem_of(t->ssl, ERR_peek_last_error()));
    }
}

/* OpenSSL tells what came of a call by its queue of errors, so that has to be empty before. It nearly always
 * is, and to look takes 20 ns where to clear it takes 170, for each record. */
static void empty_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* ---- what is learnt ---- */

static void learn_client(struct tls_session *t, const X509 *certificate)
{
    t->client_subject = tls_x509_subject(certificate);
    t->facts.client_subject = t->client_subject;
    if (t->client_is_doubted || SSL_get_verify_result(t->ssl) != X509_V_OK)
        return;
    t->facts.client_is_verified = true;
    t->client_identity = tls_x509_identity(certificate);
    t->facts.client_identity = t->client_identity;
}

static void learn(struct tls_session *t)
{
    t->facts = (struct tls_facts){ .version = SSL_get_version(t->ssl),
                                   .cipher = SSL_get_cipher_name(t->ssl),
                                   .server_name = t->server_name,
                                   .is_resumed = SSL_session_reused(t->ssl) == 1 };
    const X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (certificate != NULL)
        learn_client(t, certificate);
}

/* ---- what the owner asks ---- */

void tls_session_feed(struct tls_session *t, struct slice in)
{
    pst_assert(t->in.len == 0);
    if (t->phase != FAILED)
        t->in = in;
}

int tls_session_handshake(struct tls_session *t)
{
    if (t->phase != SHAKING_HANDS)
        return t->phase == OPEN ? 1 : -EPROTO;
    if (t->in.len == 0)
        return 0;
    empty_errors();
    int r = SSL_do_handshake(t->ssl);
    if (r != 1)
        return outcome_of(t, r);
    t->phase = OPEN;
    learn(t);
    return 1;
}

/* A certificate of the client's would come behind our Finished, too, and is dear to verify. */
bool tls_session_awaits_finished(const struct tls_session *t)
{
    uint8_t octet;
    return t->phase == SHAKING_HANDS && t->mode == TLS_CLIENT_OFF &&
           SSL_get_finished(t->ssl, &octet, sizeof octet) > 0;
}

ssize_t tls_session_read(struct tls_session *t, void *to, size_t size)
{
    pst_assert(t->phase != SHAKING_HANDS);
    if (t->phase == FAILED)
        return -EPROTO;
    if (t->in.len == 0 && SSL_pending(t->ssl) == 0)
        return (SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 ? -ESHUTDOWN : 0;
    empty_errors();
    size_t count;
    int r = SSL_read_ex(t->ssl, to, size, &count);
    if (t->key_updates > KEY_UPDATES_MAX)
        return fail(t, g_strdup("too-many-key-updates"));
    return r == 1 ? (ssize_t)count : outcome_of(t, r);
}

int tls_session_write(struct tls_session *t, struct slice plain)
{
    pst_assert(t->phase != SHAKING_HANDS);
    if (t->phase == FAILED)
        return -EPROTO;
    if (plain.len == 0)
        return 0;
    empty_errors();
    size_t count;
    int r = SSL_write_ex(t->ssl, plain.data, plain.len, &count);
    return r == 1 ? 0 : fail(t, problem_of(t->ssl, ERR_peek_last_error()));
}

void tls_session_close(struct tls_session *t)
{
    if (t->phase != OPEN || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    empty_errors();
    (void)SSL_shutdown(t->ssl); /* it says so when the peer has not done the same, which is no error */
    empty_errors();
}

const char *tls_session_problem(const struct tls_session *t)
{
    return t->problem;
}

const struct tls_facts *tls_session_facts(const struct tls_session *t)
{
    return &t->facts;
}

/* ---- channel binding ---- */

/* RFC 9266 section 2. */
static int bind_exporter(SSL *ssl, uint8_t *to, size_t *ret_len)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    enum { LEN = 32 };
    if (SSL_export_keying_material(ssl, to, LEN, label, sizeof label - 1, (const uint8_t *)"", 0, 1) != 1) {
        ERR_clear_error();
        return -EOPNOTSUPP;
    }
    *ret_len = LEN;
    return 0;
}

/* RFC 5929 section 3.1: the first Finished message of the handshake, which is the server's if it is resumed.
 */
static int bind_unique(const SSL *ssl, uint8_t *to, size_t *ret_len)
{
    if (SSL_version(ssl) != TLS1_2_VERSION)
        return -EOPNOTSUPP;
    size_t len = SSL_session_reused(ssl) == 1 ? SSL_get_finished(ssl, to, TLS_BINDING_MAX)
                                              : SSL_get_peer_finished(ssl, to, TLS_BINDING_MAX);
    if (len == 0 || len > TLS_BINDING_MAX)
        return -EOPNOTSUPP;
    *ret_len = len;
    return 0;
}

int tls_session_channel_binding(const struct tls_session *t, const char *type, uint8_t to[TLS_BINDING_MAX],
                                size_t *ret_len)
{
    if (t->phase != OPEN)
        return -EOPNOTSUPP;
    /* Without it (RFC 7627), who sits between two sessions can make both have the same binding. */
    if (SSL_version(t->ssl) == TLS1_2_VERSION && SSL_get_extms_support(t->ssl) != 1)
        return -EOPNOTSUPP;
    if (strcmp(type, "tls-exporter") == 0)
        return bind_exporter(t->ssl, to, ret_len);
    if (strcmp(type, "tls-unique") == 0)
        return bind_unique(t->ssl, to, ret_len);
    return -EOPNOTSUPP;
}
