#include "tls_rig.h"

#include <errno.h>
#include <string.h>

/* ---- certificates ---- */

static struct certificate *signed_by(const struct certificate *ca, const char *common_name, const char *names,
                                     enum key_kind kind)
{
    return certificate_new(
        &(struct certificate_wish){ .common_name = common_name, .names = names, .kind = kind, .issuer = ca });
}

static void save(struct tls_rig *r, size_t at, const char *name, const struct certificate *c)
{
    g_autofree char *own = certificate_pem(c);
    g_autofree char *chain = g_strconcat(own, r->ca_pem, NULL);
    g_autofree char *key = certificate_key_pem(c, NULL);
    g_autofree char *certificate_name = g_strconcat(name, ".pem", NULL);
    g_autofree char *key_name = g_strconcat(name, ".key", NULL);
    r->paths[at] = certificate_file(r->folder, certificate_name, chain, 0644);
    r->paths[at + 1] = certificate_file(r->folder, key_name, key, 0640);
}

struct tls_rig *tls_rig_new(void)
{
    struct tls_rig *r = g_new0(struct tls_rig, 1);
    r->folder = certificate_folder();
    r->ca = certificate_new(&(struct certificate_wish){ .common_name = "Test CA", .is_ca = true });
    r->ca_pem = certificate_pem(r->ca);
    r->ec = signed_by(r->ca, "mx", "DNS:mx.example.org,DNS:MAIL.example.org", KEY_EC);
    r->rsa = signed_by(r->ca, "mx", "DNS:mx.example.org", KEY_RSA);
    r->wildcard = signed_by(r->ca, "net", "DNS:*.example.net", KEY_EC);
    r->exact = signed_by(r->ca, "a", "DNS:a.example.net", KEY_EC);
    r->alice = signed_by(r->ca, "alice", "email:alice@example.org,email:second@example.org", KEY_EC);
    r->stranger = signed_by(NULL, "alice", "email:alice@example.org", KEY_EC);
    save(r, 0, "ec", r->ec);
    save(r, 2, "rsa", r->rsa);
    save(r, 4, "wildcard", r->wildcard);
    save(r, 6, "exact", r->exact);
    r->policy = (struct tls_policy){ .tickets = true };
    r->policy.client_ca.value = certificate_file(r->folder, "ca.pem", r->ca_pem, 0644);
    return r;
}

void tls_rig_free(struct tls_rig *r)
{
    struct certificate *all[] = { r->ca, r->ec, r->rsa, r->wildcard, r->exact, r->alice, r->stranger };
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        certificate_free(all[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(r->paths); i++)
        g_free(r->paths[i]);
    g_free((char *)r->policy.client_ca.value);
    g_free(r->ca_pem);
    certificate_folder_remove(r->folder);
    g_free(r);
}

struct tls_store *tls_rig_store(const struct tls_rig *r)
{
    struct tls_pair pairs[4];
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
        pairs[i] = (struct tls_pair){ .certificate.value = r->paths[2 * i],
                                      .private_key.value = r->paths[2 * i + 1] };
    const struct tls_host hosts[] = { { NULL, pairs, 2 }, { "net", pairs + 2, 1 }, { "a", pairs + 3, 1 } };
    auto_val(diag) problems = { 0 };
    struct tls_store *store = tls_store_new(&r->policy, hosts, G_N_ELEMENTS(hosts), &problems);
    diag_print(&problems, stderr);
    assert_non_null(store);
    return store;
}

/* ---- two that talk ---- */

void talk_init_at(struct talk *t, const struct tls_store *store, enum tls_client_mode mode,
                  const struct tls_peer_wish *wish, msec_t now)
{
    *t = (struct talk){ .out = g_byte_array_new(), .got = g_byte_array_new() };
    t->session = tls_session_new(store, mode, now, t->out);
    t->peer = tls_peer_new(wish);
}

void talk_init(struct talk *t, const struct tls_store *store, enum tls_client_mode mode,
               const struct tls_peer_wish *wish)
{
    talk_init_at(t, store, mode, wish, 0);
}

void talk_clear(struct talk *t)
{
    tls_session_free(t->session);
    tls_peer_free(t->peer);
    g_byte_array_unref(t->out);
    g_byte_array_unref(t->got);
}

/* An odd size, so that records are read in pieces. */
static ssize_t read_piece(struct talk *t)
{
    uint8_t piece[1013];
    ssize_t count = tls_session_read(t->session, piece, sizeof piece);
    if (count > 0)
        g_byte_array_append(t->got, piece, (guint)count);
    else if (count < 0)
        t->end = (int)count;
    return count;
}

void talk_feed(struct talk *t, struct slice in)
{
    /* Of its own, and gone afterwards: a session that looks at it later is found by a sanitizer. */
    g_autofree uint8_t *copy = g_memdup2(in.data, in.len);
    tls_session_feed(t->session, slice_of(copy, in.len));
    int r = tls_session_handshake(t->session);
    t->is_open = r == 1;
    if (r < 0)
        t->end = r;
    while (r == 1 && read_piece(t) > 0)
        ;
}

static bool to_session(struct talk *t)
{
    g_autoptr(GByteArray) wire = g_steal_pointer(&t->peer->out);
    t->peer->out = g_byte_array_new();
    size_t step = t->step > 0 ? t->step : wire->len;
    for (struct slice rest = slice_of(wire->data, wire->len); rest.len > 0; rest = slice_skip(rest, step))
        talk_feed(t, slice_first(rest, step));
    return wire->len > 0;
}

static bool to_peer(struct talk *t)
{
    bool any = t->out->len > 0;
    tls_peer_feed(t->peer, slice_of(t->out->data, t->out->len));
    g_byte_array_set_size(t->out, 0);
    return any;
}

void talk_run(struct talk *t)
{
    for (bool any = true; any;) {
        any = to_peer(t);
        any = to_session(t) || any;
    }
}

static void check(GByteArray *got, const char *want)
{
    assert_int_equal(got->len, strlen(want));
    assert_memory_equal(got->data, want, strlen(want));
    g_byte_array_set_size(got, 0);
}

void talk_check_got(const struct talk *t, const char *want)
{
    check(t->got, want);
}

void talk_check_peer_got(const struct talk *t, const char *want)
{
    check(t->peer->got, want);
}
