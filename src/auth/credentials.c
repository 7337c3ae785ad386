#include "auth/credentials.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "auth/user.h"
#include "base/assert.h"
#include "disk/disk.h"

enum {
    FILE_MAX = 64 * 1024 * 1024, /* octets */
    SECRET_SIZE = 32,
    DECOY_SALT_SIZE = 16, /* that of password_make */
};

/* One version of the file; constant once it is loaded. */
struct credentials_table {
    int references;
    GHashTable *users; /* name -> struct password */
    char *decoy_hash;  /* of the first line that has one, or a new one */
    uint64_t decoy_iterations;
    bool has_scram;
    uint8_t secret[SECRET_SIZE]; /* decoys are made with it */
};

struct credentials {
    char *path;
    struct origin at;

    GMutex lock;                     /* held for moments only, of: */
    struct credentials_table *table; /* NULL: none yet; set by who looks */
    /* Of who looks at the file: */
    struct disk_stat seen;
    int error; /* what came of the last look, which was told */
};

/* ---- a version ---- */

static void free_password(gpointer p)
{
    password_clear(p);
    g_free(p);
}

static void table_unref(struct credentials_table *t)
{
    if (t == NULL || !g_atomic_int_dec_and_test(&t->references))
        return;
    g_hash_table_destroy(t->users);
    g_free(t->decoy_hash);
    g_free(t);
}

static struct credentials_table *table_new(void)
{
    struct credentials_table *t = g_new0(struct credentials_table, 1);
    t->references = 1;
    t->users = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_password); /* the name is in it */
    return t;
}

/* The first one is what users are like who are not there. */
static void learn_from(struct credentials_table *t, const struct password *p)
{
    if (t->decoy_hash == NULL && !password_is_locked(p))
        t->decoy_hash = g_strdup(p->hash);
    if (!t->has_scram && p->scram.iterations > 0) {
        t->has_scram = true;
        t->decoy_iterations = p->scram.iterations;
    }
}

static void add_line(struct credentials_table *t, struct slice line, struct origin at, struct diag *problems)
{
    auto_val(password) p = { NULL };
    const char *problem;
    if (password_parse(line, &p, &problem) < 0) {
        diag_add(problems, at, "%s", problem); /* what stands there may be a password */
        return;
    }
    if (g_hash_table_contains(t->users, p.user)) {
        diag_add(problems, at, "the user \"%s\" has another line above", p.user);
        return;
    }
    learn_from(t, &p);
    struct password *kept = g_memdup2(&p, sizeof p);
    p = (struct password){ NULL };
    g_hash_table_insert(t->users, kept->user, kept);
}

/*
 * Decoys are to be the same from each worker, and after each start, or else asking twice would tell who is
 * not there. So their secret is made of what all of them read, and nobody else can: hashes.
 */
static void make_secret(struct credentials_table *t)
{
    gsize size = sizeof t->secret;
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, (const guchar *)"postern decoys", 14);
    g_hmac_update(hmac, (const guchar *)t->decoy_hash, (gssize)strlen(t->decoy_hash));
    g_hmac_get_digest(hmac, t->secret, &size);
}

static struct slice trim_end(struct slice line)
{
    while (line.len > 0 && (line.data[line.len - 1] == ' ' || line.data[line.len - 1] == '\t' ||
                            line.data[line.len - 1] == '\r'))
        line.len--;
    return line;
}

enum { PROBLEMS_MAX = 100 }; /* in a file: with so many, it is another kind of file */

/* NULL when a line is wrong: all that are wrong are told, but for very many. */
static struct credentials_table *table_load(const char *path, struct slice text, struct diag *problems)
{
    struct credentials_table *t = table_new();
    unsigned before = diag_count(problems);
    for (unsigned number = 1; text.len > 0 && diag_count(problems) - before < PROBLEMS_MAX; number++) {
        size_t end = slice_find(text, 0, '\n');
        struct slice line = trim_end(slice_first(text, end));
        text = slice_skip(text, end + 1);
        if (line.len > 0 && line.data[0] != '#')
            add_line(t, line, (struct origin){ path, number }, problems);
    }
    if (text.len > 0)
        diag_add(problems, (struct origin){ path, 0 }, "what comes behind these %d lines was not looked at",
                 PROBLEMS_MAX);
    if (diag_count(problems) > before) {
        table_unref(t);
        return NULL;
    }
    if (t->decoy_hash == NULL)
        t->decoy_hash = password_decoy_hash();
    if (t->decoy_iterations == 0)
        t->decoy_iterations = PASSWORD_ITERATIONS;
    make_secret(t);
    return t;
}

/* ---- the file ---- */

static bool same_version(const struct disk_stat *a, const struct disk_stat *b)
{
    return a->device == b->device && a->id == b->id && a->size == b->size &&
           a->modified_us == b->modified_us && a->changed_us == b->changed_us;
}

static const char *explain(int error)
{
    switch (error) {
    case -EISDIR:
    case -EINVAL:
        return "it is no regular file";
    case -EFBIG:
        return "it is larger than 64M";
    case -EAGAIN:
        return "it changes while it is read";
    default:
        return g_strerror(-error);
    }
}

static int read_all(int fd, uint64_t size, GByteArray *text)
{
    if (size > FILE_MAX)
        return -EFBIG;
    g_byte_array_set_size(text, (guint)size);
    uint64_t len = 0;
    while (len < size) {
        int64_t got = disk_read(fd, len, text->data + len, (size_t)(size - len));
        if (got < 0)
            return (int)got;
        if (got == 0)
            return -EAGAIN; /* shorter than it was */
        len += (uint64_t)got;
    }
    return 0;
}

/*
 * 1: a version that is not `seen`, all of it as it was at one time; 0: there is none. One that changed a
 * moment ago may be half written, and may change again without showing it: it is for the next look, unless it
 * is the first one that there is.
 */
static int read_new_version(const struct credentials *c, bool is_first, GByteArray *text,
                            struct disk_stat *ret_version)
{
    struct disk_stat before, after;
    auto_disk int fd = disk_open_path(c->path);
    int r = fd < 0 ? fd : disk_stat_open(fd, &before);
    if (r < 0)
        return r;
    if (same_version(&before, &c->seen) || (!before.settled && !is_first))
        return 0;
    r = read_all(fd, before.size, text);
    if (r == 0)
        r = disk_stat_open(fd, &after);
    if (r == 0 && !same_version(&before, &after))
        r = -EAGAIN;
    if (r == -EAGAIN && !is_first)
        return 0;
    if (r < 0)
        return r;
    *ret_version = after.settled ? after : (struct disk_stat){ 0 };
    return 1;
}

static void tell(struct credentials *c, int error, bool is_first, struct diag *problems)
{
    if (is_first)
        diag_add(problems, c->at, "%s: %s; expected a file of lines that \"postern passwd\" makes", c->path,
                 explain(error));
    else
        diag_add(problems, (struct origin){ c->path, 0 }, "%s; what it held before stays in use",
                 explain(error));
}

/* NULL: nothing that is new and good. */
static struct credentials_table *read_table(struct credentials *c, struct diag *problems)
{
    g_autoptr(GByteArray) text = g_byte_array_new();
    struct disk_stat version;
    bool is_first = c->table == NULL;
    int r = read_new_version(c, is_first, text, &version);
    if (r < 0 && r != c->error)
        tell(c, r, is_first, problems);
    c->error = MIN(r, 0);
    if (r <= 0)
        return NULL;
    c->seen = version;
    struct credentials_table *t = table_load(c->path, slice_of(text->data, text->len), problems);
    if (text->len > 0)
        explicit_bzero(text->data, text->len);
    return t;
}

void credentials_look(struct credentials *c, struct diag *problems)
{
    struct credentials_table *fresh = read_table(c, problems);
    if (fresh == NULL)
        return;
    g_mutex_lock(&c->lock);
    struct credentials_table *former = c->table;
    c->table = fresh;
    g_mutex_unlock(&c->lock);
    table_unref(former); /* who uses it has a reference */
}

struct credentials *credentials_new(const char *path, struct origin at, struct diag *problems)
{
    struct credentials *c = g_new0(struct credentials, 1);
    c->path = g_strdup(path);
    c->at = at;
    g_mutex_init(&c->lock);
    credentials_look(c, problems);
    return c;
}

void credentials_free(struct credentials *c)
{
    if (c == NULL)
        return;
    table_unref(c->table);
    g_mutex_clear(&c->lock);
    g_free(c->path);
    g_free(c);
}

bool credentials_have_scram(struct credentials *c)
{
    g_mutex_lock(&c->lock);
    bool have = c->table != NULL && c->table->has_scram;
    g_mutex_unlock(&c->lock);
    return have;
}

size_t credentials_count(struct credentials *c)
{
    g_mutex_lock(&c->lock);
    size_t count = c->table != NULL ? g_hash_table_size(c->table->users) : 0;
    g_mutex_unlock(&c->lock);
    return count;
}

/* ---- one user ---- */

/* `size` octets of base64 that only who knows the secret can tell from random ones. */
static char *make_decoy(const struct credentials_table *t, const char *what, const char *user, gsize size)
{
    uint8_t digest[SECRET_SIZE];
    gsize len = sizeof digest;
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, t->secret, sizeof t->secret);
    g_hmac_update(hmac, (const guchar *)what, (gssize)strlen(what) + 1);
    g_hmac_update(hmac, (const guchar *)user, (gssize)strlen(user));
    g_hmac_get_digest(hmac, digest, &len);
    return g_base64_encode(digest, size);
}

static void fill(struct credential *c, const struct password *p, const char *user)
{
    const struct credentials_table *t = c->table;
    bool is_usable = p != NULL && !password_is_locked(p);
    /* Made also for those who need none: it is the same work for all. */
    c->decoy_salt = make_decoy(t, "salt", user, DECOY_SALT_SIZE);
    c->decoy_stored_key = make_decoy(t, "stored key", user, SECRET_SIZE);
    c->decoy_server_key = make_decoy(t, "server key", user, SECRET_SIZE);
    c->may_log_in = is_usable;
    c->has_scram = is_usable && p->scram.iterations > 0;
    c->hash = is_usable ? p->hash : t->decoy_hash;
    c->scram = c->has_scram ? p->scram
                            : (struct scram_keys){ t->decoy_iterations, c->decoy_salt, c->decoy_stored_key,
                                                   c->decoy_server_key };
}

int credentials_find(struct credentials *c, const char *user, struct credential *ret_credential)
{
    g_mutex_lock(&c->lock);
    struct credentials_table *t = c->table;
    if (t != NULL)
        g_atomic_int_inc(&t->references);
    g_mutex_unlock(&c->lock);
    if (t == NULL)
        return -EHOSTDOWN;
    *ret_credential = (struct credential){ .table = t };
    fill(ret_credential, user != NULL ? g_hash_table_lookup(t->users, user) : NULL, user != NULL ? user : "");
    return 0;
}

void credential_clear(struct credential *c)
{
    table_unref(c->table);
    g_free(c->decoy_salt);
    g_free(c->decoy_stored_key);
    g_free(c->decoy_server_key);
    *c = (struct credential){ NULL };
}
