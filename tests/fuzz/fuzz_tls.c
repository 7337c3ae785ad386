/*
 * TLS (net/tls_session.h): whatever comes instead of a handshake, or changed on its way, it is either waited
 * for more or failed for good with words for it, and how the stream is cut does not change which.
 * The input is the stream itself, or, after an odd first octet, what is changed in the stream of a client
 * that shakes hands, writes and closes: two octets for the place and one for the bits.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "net/tls_session.h"
#include "tls_peer.h"

enum { STREAM_MAX = 64 * 1024 };

static struct tls_store *store_new(void)
{
    char *folder = certificate_folder();
    struct certificate *c =
        certificate_new(&(struct certificate_wish){ "mx", "DNS:mx.example.org", .is_ca = true });
    g_autofree char *pem = certificate_pem(c);
    g_autofree char *key = certificate_key_pem(c, NULL);
    g_autofree char *certificate = certificate_file(folder, "mx.pem", pem, 0600);
    g_autofree char *private_key = certificate_file(folder, "mx.key", key, 0600);
    const struct tls_pair pair = { { certificate, { 0 } }, { private_key, { 0 } } };
    const struct tls_policy policy = { .tickets = true, .client_ca.value = certificate };
    auto_val(diag) problems = { 0 };
    struct tls_store *store = tls_store_new(&policy, &(struct tls_host){ NULL, &pair, 1 }, 1, &problems);
    pst_assert(store != NULL);
    certificate_free(c);
    certificate_folder_remove(folder);
    return store;
}

/* Kept for all inputs, as making it takes longer than they do. */
static const struct tls_store *the_store(void)
{
    static struct tls_store *store;
    if (store == NULL)
        store = store_new();
    return store;
}

/* 0, -ESHUTDOWN or -EPROTO. */
static int feed(struct tls_session *t, struct slice in)
{
    uint8_t *copy = fuzz_copy(in);
    tls_session_feed(t, slice_of(copy, in.len));
    int r = tls_session_handshake(t);
    pst_assert(r == 1 || r == 0 || r == -EPROTO);
    ssize_t count = r;
    for (uint8_t piece[777]; r == 1 && (count = tls_session_read(t, piece, sizeof piece)) > 0;)
        pst_assert(tls_session_write(t, slice_of(piece, (size_t)count)) == 0);
    pst_assert(count == 0 || count == -ESHUTDOWN || count == -EPROTO);
    pst_assert((count == -EPROTO) == (tls_session_problem(t) != NULL));
    free(copy);
    return (int)count;
}

static int feed_in_pieces(struct tls_session *t, struct slice in, struct fuzz_cuts cuts)
{
    int r = 0;
    for (size_t len; (len = fuzz_cut(&cuts, in.len)) > 0; in = slice_skip(in, len))
        r = feed(t, slice_first(in, len));
    return r;
}

static void fuzz_stream(struct slice in, enum tls_client_mode mode, struct fuzz_cuts cuts)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    auto_ptr(tls_session) whole = tls_session_new(the_store(), mode, 0, out);
    auto_ptr(tls_session) cut = tls_session_new(the_store(), mode, 0, out);
    int r = feed_in_pieces(whole, in, (struct fuzz_cuts){ 0 });
    pst_assert(feed_in_pieces(cut, in, cuts) == r);
    pst_assert(g_strcmp0(tls_session_problem(whole), tls_session_problem(cut)) == 0);
}

/* Changes what is at those places of the client's stream; `at` is how much of it went before. */
static void change(GByteArray *wire, size_t at, struct slice changes)
{
    for (; changes.len >= 3; changes = slice_skip(changes, 3)) {
        size_t place = (size_t)changes.data[0] << 8 | changes.data[1];
        if (place >= at && place - at < wire->len)
            wire->data[place - at] ^= changes.data[2];
    }
}

static void fuzz_talk(struct slice changes, enum tls_client_mode mode, int version, struct fuzz_cuts cuts)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    auto_ptr(tls_session) t = tls_session_new(the_store(), mode, 0, out);
    struct tls_peer *p = tls_peer_new(&(struct tls_peer_wish){ version, "mx.example.org" });
    bool has_written = false;
    tls_peer_feed(p, slice_of(NULL, 0));
    for (size_t at = 0; p->out->len > 0 && at < STREAM_MAX;) {
        change(p->out, at, changes);
        at += p->out->len;
        (void)feed_in_pieces(t, slice_of(p->out->data, p->out->len), cuts);
        g_byte_array_set_size(p->out, 0);
        tls_peer_feed(p, slice_of(out->data, out->len));
        g_byte_array_set_size(out, 0);
        if (p->is_open && !p->is_ended && !p->has_failed && !has_written) {
            tls_peer_write(p, slice_str("EHLO client.example.org\r\n"));
            tls_peer_close(p);
            has_written = true;
        }
    }
    tls_session_close(t);
    tls_peer_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    unsigned kind = fuzz_choose(&in, 4);
    enum tls_client_mode mode = (enum tls_client_mode)fuzz_choose(&in, 3);
    struct fuzz_cuts cuts = fuzz_choose_cuts(&in);
    if (kind % 2 == 0)
        fuzz_stream(in, mode, cuts);
    else
        fuzz_talk(in, mode, kind == 1 ? TLS1_2_VERSION : TLS1_3_VERSION, cuts);
    ERR_clear_error();
    return 0;
}
