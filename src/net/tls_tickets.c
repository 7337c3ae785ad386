#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/assert.h"

enum { SECRET = 32 }; /* octets: of SHA-256, and of a key of AES-256 */

struct key {
    uint8_t name[SECRET]; /* TLS_TICKET_NAME of them */
    uint8_t cipher[SECRET], mac[SECRET];
};

struct tls_tickets {
    EVP_CIPHER *cipher; /* found once, as that is dear */
    GMutex lock;        /* held for moments only, of: */
    msec_t turn;        /* since the clock's beginning: that of `current` */
    uint8_t secret[SECRET];
    struct key current, previous; /* `previous` of turn 0 is that of nobody */
};

/* ---- from one key to the next ---- */

static void derive(const uint8_t secret[SECRET], const char *label, uint8_t ret_octets[SECRET])
{
    const uint8_t *done =
        HMAC(EVP_sha256(), secret, SECRET, (const uint8_t *)label, strlen(label), ret_octets, NULL);
    pst_assert(done != NULL);
}

static void derive_key(struct tls_tickets *t)
{
    derive(t->secret, "name", t->current.name);
    derive(t->secret, "cipher", t->current.cipher);
    derive(t->secret, "mac", t->current.mac);
}

static void derive_secret(struct tls_tickets *t)
{
    uint8_t next[SECRET];
    derive(t->secret, "next", next);
    memcpy(t->secret, next, sizeof next);
    OPENSSL_cleanse(next, sizeof next);
}

static void turn_to(struct tls_tickets *t, msec_t now)
{
    const msec_t wanted = now / (TLS_TICKETS_TURN_S * 1000);
    for (; t->turn < wanted; t->turn++) {
        t->previous = t->current;
        derive_secret(t);
        if (wanted - t->turn <= 2) /* years of uptime are thousands of turns, of which two keys are wanted */
            derive_key(t);
    }
}

/* ---- for the owner ---- */

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = g_new0(struct tls_tickets, 1);
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    pst_assert(t->cipher != NULL);
    g_mutex_init(&t->lock);
    pst_assert(RAND_priv_bytes(t->secret, sizeof t->secret) == 1);
    derive_key(t);
    t->previous = t->current;
    return t;
}

void tls_tickets_free(struct tls_tickets *t)
{
    if (t == NULL)
        return;
    EVP_CIPHER_free(t->cipher);
    g_mutex_clear(&t->lock);
    OPENSSL_cleanse(t, sizeof *t);
    g_free(t);
}

void tls_tickets_turn(struct tls_tickets *t, msec_t now)
{
    g_mutex_lock(&t->lock);
    turn_to(t, now);
    g_mutex_unlock(&t->lock);
}

/* ---- for OpenSSL ---- */

static bool is_named(const struct key *key, const uint8_t name[TLS_TICKET_NAME])
{
    return memcmp(key->name, name, TLS_TICKET_NAME) == 0; /* names are no secret */
}

/* Copies the key out, so that nobody waits for another's cipher. */
static bool find(struct tls_tickets *t, msec_t now, const uint8_t *name, struct key *ret_key)
{
    g_mutex_lock(&t->lock);
    turn_to(t, now);
    const struct key *key = name == NULL || is_named(&t->current, name) ? &t->current
                            : is_named(&t->previous, name)              ? &t->previous
                                                                        : NULL;
    if (key != NULL)
        *ret_key = *key;
    g_mutex_unlock(&t->lock);
    return key != NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *key)
{
    static char digest[] = "SHA256"; /* not const: OSSL_PARAM has no such */
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, SECRET),
                                  OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                  OSSL_PARAM_construct_end() };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tls_tickets_set_up(struct tls_tickets *t, msec_t now, uint8_t name[TLS_TICKET_NAME], uint8_t *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new)
{
    struct key key;
    if (!find(t, now, is_new ? NULL : name, &key))
        return 0;
    bool good = set_mac(mac, &key);
    if (is_new) {
        memcpy(name, key.name, TLS_TICKET_NAME);
        good = good && RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) == 1 &&
               EVP_EncryptInit_ex(cipher, t->cipher, NULL, key.cipher, iv) == 1;
    } else {
        good = good && EVP_DecryptInit_ex(cipher, t->cipher, NULL, key.cipher, iv) == 1;
    }
    OPENSSL_cleanse(&key, sizeof key);
    return good ? 1 : -1;
}
