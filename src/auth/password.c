#include "auth/password.h"

#include <crypt.h>
#include <errno.h>
#include <glib.h>
#include <gsasl.h>
#include <string.h>

#include "auth/user.h"
#include "base/number.h"

#define SCRAM_PREFIX "{SCRAM-SHA-256}"

enum {
    KEY_SIZE = GSASL_HASH_SHA256_SIZE,
    SALT_SIZE = 16,
};

void password_clear(struct password *p)
{
    g_free(p->user);
    g_free(p->hash);
    g_free(p->scram.salt);
    g_free(p->scram.stored_key);
    g_free(p->scram.server_key);
    *p = (struct password){ NULL };
}

/* ---- reading ---- */

/* Up to the separator, or all; `rest` begins behind it. False when there was nothing left. */
static bool next_field(struct slice *rest, uint8_t separator, struct slice *ret_field)
{
    if (rest->data == NULL)
        return false;
    size_t at = slice_find(*rest, 0, separator);
    *ret_field = slice_first(*rest, at);
    *rest = at < rest->len ? slice_skip(*rest, at + 1) : (struct slice){ NULL };
    return true;
}

/* `len`: of what it stands for; 0: any but none. */
static char *parse_base64(struct slice text, size_t len)
{
    char *bytes = NULL;
    size_t got = 0;
    if (gsasl_base64_from((const char *)text.data, text.len, &bytes, &got) != GSASL_OK)
        return NULL;
    gsasl_free(bytes);
    return got > 0 && (len == 0 || got == len) ? slice_dup(text) : NULL;
}

static bool parse_scram(struct slice text, struct scram_keys *keys)
{
    struct slice rest = slice_skip(text, strlen(SCRAM_PREFIX)), iterations, salt, stored, server;
    if (!slice_equal(slice_first(text, strlen(SCRAM_PREFIX)), slice_str(SCRAM_PREFIX)))
        return false;
    if (!next_field(&rest, ',', &iterations) || !next_field(&rest, ',', &salt) ||
        !next_field(&rest, ',', &stored) || !next_field(&rest, ',', &server) || rest.data != NULL)
        return false;
    if (pst_parse_u64(iterations, PASSWORD_ITERATIONS_MAX, &keys->iterations) < 0 ||
        keys->iterations < PASSWORD_ITERATIONS_MIN)
        return false;
    keys->salt = parse_base64(salt, 0);
    keys->stored_key = parse_base64(stored, KEY_SIZE);
    keys->server_key = parse_base64(server, KEY_SIZE);
    return keys->salt != NULL && keys->stored_key != NULL && keys->server_key != NULL;
}

static bool is_locked_hash(const char *hash)
{
    return hash[0] == '!' || hash[0] == '*';
}

static bool is_good_hash(const char *hash)
{
    int kind = crypt_checksalt(hash);
    /* Without a '$' it would be one of DES, as which any word passes: a password in clear, say. */
    bool is_known = hash[0] == '$' && (kind == CRYPT_SALT_OK || kind == CRYPT_SALT_METHOD_LEGACY);
    return is_known || is_locked_hash(hash);
}

int password_parse(struct slice line, struct password *ret_password, const char **ret_problem)
{
    auto_val(password) p = { NULL };
    struct slice rest = line, user, hash, scram;
    *ret_problem = "expected USER:HASH or USER:HASH:KEYS, as \"postern passwd\" makes them";
    if (memchr(line.data, '\0', line.len) != NULL || !next_field(&rest, ':', &user) ||
        !next_field(&rest, ':', &hash))
        return -EBADMSG;
    g_autofree char *raw = slice_dup(user);
    p.user = user_prepare(raw, USER_STORED);
    p.hash = slice_dup(hash);
    if (p.user == NULL) {
        *ret_problem = "expected a user's name of at most 255 octets in UTF-8, without control characters";
        return -EBADMSG;
    }
    if (!is_good_hash(p.hash)) {
        *ret_problem = "expected a hash of crypt(3) behind the user's name, of a method that is known here";
        return -EBADMSG;
    }
    if (next_field(&rest, ':', &scram) && (rest.data != NULL || !parse_scram(scram, &p.scram))) {
        *ret_problem = "expected {SCRAM-SHA-256}ITERATIONS,SALT,STORED-KEY,SERVER-KEY behind the hash, with "
                       "4096 to 1000000 iterations, and nothing behind it";
        return -EBADMSG;
    }
    *ret_password = p;
    p = (struct password){ NULL };
    return 0;
}

bool password_is_locked(const struct password *p)
{
    return is_locked_hash(p->hash);
}

/* ---- hashing ---- */

/* All octets are looked at, wherever the first difference is. */
static bool equal_in_constant_time(const char *a, const char *b)
{
    size_t len = strlen(a);
    if (len != strlen(b))
        return false; /* how long a method's hashes are is no secret */
    unsigned difference = 0;
    for (size_t i = 0; i < len; i++)
        difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

/* crypt_data holds what was derived from the password: 32 KiB, and wiped. */
static struct crypt_data *crypt_data_new(void)
{
    return g_new0(struct crypt_data, 1);
}

static void crypt_data_free(struct crypt_data *data)
{
    explicit_bzero(data, sizeof *data);
    g_free(data);
}
AUTO_PTR_DEFINE(crypt_data);

bool password_verify(const char *hash, const char *password)
{
    auto_ptr(crypt_data) data = crypt_data_new();
    const char *made = crypt_r(password, hash, data);
    return made != NULL && made[0] != '*' && equal_in_constant_time(made, hash);
}

static char *make_hash(const char *password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    auto_ptr(crypt_data) data = crypt_data_new();
    if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) == NULL)
        return NULL;
    const char *made = crypt_r(password, setting, data);
    return made != NULL && made[0] != '*' ? g_strdup(made) : NULL;
}

char *password_decoy_hash(void)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    /* What crypt(3) makes of it is longer, and so never equal to it. */
    bool is_made = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) != NULL;
    return g_strdup(is_made ? setting : "$y$j9T$F5Jx5fExrKuPp53xLKQ..1");
}

static char *make_scram(const char *password, uint64_t iterations)
{
    char salt[SALT_SIZE], salted[KEY_SIZE], client[KEY_SIZE], server[KEY_SIZE], stored[KEY_SIZE];
    if (gsasl_nonce(salt, sizeof salt) != GSASL_OK)
        return NULL;
    int r = gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password, (unsigned)iterations, salt,
                                              sizeof salt, salted, client, server, stored);
    explicit_bzero(salted, sizeof salted); /* each of the two logs in, as the password does */
    explicit_bzero(client, sizeof client);
    if (r != GSASL_OK)
        return NULL;
    g_autofree char *salt64 = g_base64_encode((const guchar *)salt, sizeof salt);
    g_autofree char *stored64 = g_base64_encode((const guchar *)stored, sizeof stored);
    g_autofree char *server64 = g_base64_encode((const guchar *)server, sizeof server);
    return g_strdup_printf(SCRAM_PREFIX "%" G_GUINT64_FORMAT ",%s,%s,%s", iterations, salt64, stored64,
                           server64);
}

const char *password_user_problem(const char *user)
{
    g_autofree char *name = user_prepare(user, USER_STORED);
    if (name == NULL)
        return "a user's name has from 1 to 255 octets in UTF-8, and no control characters";
    if (strchr(name, ':') != NULL)
        return "a user's name cannot have a ':' in it";
    if (name[0] == '#' || name[0] == ' ' || name[strlen(name) - 1] == ' ')
        return "a user's name cannot begin with '#', nor begin or end with a blank";
    return NULL;
}

int password_make(const char *user, const char *password, uint64_t iterations, char **ret_line,
                  const char **ret_problem)
{
    g_autofree char *name = user_prepare(user, USER_STORED);
    auto_password char *secret = password_prepare(password, USER_STORED);
    *ret_problem = password_user_problem(user);
    if (*ret_problem == NULL && secret == NULL)
        *ret_problem = "a password has from 1 to 511 octets in UTF-8, and no control characters";
    else if (*ret_problem == NULL &&
             (iterations < PASSWORD_ITERATIONS_MIN || iterations > PASSWORD_ITERATIONS_MAX))
        *ret_problem = "there are from 4096 to 1000000 iterations";
    if (*ret_problem != NULL)
        return -EINVAL;
    g_autofree char *hash = make_hash(secret);
    g_autofree char *scram = make_scram(secret, iterations);
    if (hash == NULL || scram == NULL)
        return -EIO;
    *ret_line = g_strdup_printf("%s:%s:%s", name, hash, scram);
    return 0;
}
