/*
 * auth/password.h - one user's secrets, and the line of a passwords file (postern-passwords(5)) that holds
 * them:
 *
 *     USER:HASH[:{SCRAM-SHA-256}ITERATIONS,SALT,STORED-KEY,SERVER-KEY]
 *
 * HASH is crypt(3)'s; what begins with '!' or '*' is none that anybody knows the password of. The keys are
 * those of RFC 5802, in base64. All functions may be called from any thread; what hashes takes its time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/slice.h"

enum {
    PASSWORD_ITERATIONS_MIN = 4096, /* RFC 7677 4 */
    PASSWORD_ITERATIONS = 10000,    /* when nobody says how many */
    PASSWORD_ITERATIONS_MAX = 1000000,
};

struct scram_keys {      /* base64 */
    uint64_t iterations; /* 0: there are none */
    char *salt, *stored_key, *server_key;
};

struct password {
    char *user; /* prepared */
    char *hash;
    struct scram_keys scram;
};
void password_clear(struct password *p);
AUTO_VAL_DEFINE(password);

/* What a line says. -EBADMSG, and what was expected (a literal). Leaves out no blanks: they belong to it. */
int password_parse(struct slice line, struct password *ret_password, const char **ret_problem);

/* What is wrong with a name that a line shall begin with (a literal); NULL: nothing. */
const char *password_user_problem(const char *user);

/* A line, without its end, with new salts; g_free it. -EINVAL, and why (a literal), or -EIO. */
int password_make(const char *user, const char *password, uint64_t iterations, char **ret_line,
                  const char **ret_problem);

/* Whether nobody may use it, whatever they know. */
bool password_is_locked(const struct password *p);

/* Always calls crypt(3) once; compares in constant time. `password` is prepared. */
bool password_verify(const char *hash, const char *password);

/* A hash of the best method, which no password fits. */
char *password_decoy_hash(void);
