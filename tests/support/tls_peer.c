#include "tls_peer.h"

#include <openssl/err.h>

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_peer *p = SSL_get_app_data(ssl);
    SSL_SESSION_free(p->session);
    p->session = session;
    return 1; /* it is ours now */
}

static SSL_CTX *context_new(const struct tls_peer_wish *wish)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    g_assert(ctx != NULL);
    SSL_CTX_set_security_level(ctx, 0); /* a test may want what is weak */
    (void)SSL_CTX_set_min_proto_version(ctx, wish->version);
    (void)SSL_CTX_set_max_proto_version(ctx, wish->version);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (wish->ciphers != NULL)
        g_assert(SSL_CTX_set_cipher_list(ctx, wish->ciphers) == 1);
    if (wish->curves != NULL)
        g_assert(SSL_CTX_set1_groups_list(ctx, wish->curves) == 1);
    if (wish->trusted != NULL) {
        g_assert(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), wish->trusted->x509) == 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    if (wish->certificate != NULL) {
        g_assert(SSL_CTX_use_certificate(ctx, wish->certificate->x509) == 1);
        g_assert(SSL_CTX_use_PrivateKey(ctx, wish->certificate->key) == 1);
    }
    return ctx;
}

struct tls_peer *tls_peer_new(const struct tls_peer_wish *wish)
{
    struct tls_peer *p = g_new0(struct tls_peer, 1);
    p->out = g_byte_array_new();
    p->got = g_byte_array_new();
    SSL_CTX *ctx = context_new(wish);
    p->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    (void)SSL_set_app_data(p->ssl, p);
    SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    (void)BIO_set_mem_eof_return(SSL_get_rbio(p->ssl), -1);
    if (wish->server_name != NULL)
        g_assert(SSL_set_tlsext_host_name(p->ssl, wish->server_name) == 1);
    if (wish->session != NULL)
        g_assert(SSL_set_session(p->ssl, wish->session) == 1);
    SSL_set_connect_state(p->ssl);
    return p;
}

void tls_peer_free(struct tls_peer *p)
{
    if (p == NULL)
        return;
    /* As if it had ended in good order: else OpenSSL would never resume its session. */
    SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(p->ssl);
    SSL_SESSION_free(p->session);
    g_byte_array_unref(p->out);
    g_byte_array_unref(p->got);
    g_free(p);
}

static void collect(struct tls_peer *p)
{
    BIO *bio = SSL_get_wbio(p->ssl);
    uint8_t piece[4096];
    for (int len; (len = BIO_read(bio, piece, sizeof piece)) > 0;)
        g_byte_array_append(p->out, piece, (guint)len);
    ERR_clear_error();
}

/* False: the call got no further. */
static bool went_on(struct tls_peer *p, int result)
{
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, result);
    p->is_ended = p->is_ended || error == SSL_ERROR_ZERO_RETURN;
    p->has_failed = p->has_failed || error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
    ERR_clear_error();
    return error == SSL_ERROR_NONE;
}

void tls_peer_feed(struct tls_peer *p, struct slice in)
{
    if (in.len > 0)
        (void)BIO_write(SSL_get_rbio(p->ssl), in.data, (int)in.len);
    if (!p->is_open && !p->has_failed)
        p->is_open = went_on(p, SSL_do_handshake(p->ssl));
    uint8_t piece[4096];
    for (int len; p->is_open && !p->is_ended && !p->has_failed &&
                  went_on(p, len = SSL_read(p->ssl, piece, sizeof piece));)
        g_byte_array_append(p->got, piece, (guint)len);
    collect(p);
}

void tls_peer_write(struct tls_peer *p, struct slice plain)
{
    g_assert(SSL_write(p->ssl, plain.data, (int)plain.len) == (int)plain.len);
    collect(p);
}

void tls_peer_close(struct tls_peer *p)
{
    (void)SSL_shutdown(p->ssl);
    collect(p);
}
