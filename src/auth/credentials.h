/*
 * auth/credentials.h - the passwords file in memory, and what of a user in it an exchange needs. A user who
 * is not there, or is locked, has credentials too: such as nobody can meet, that cost what others cost, and
 * that are the same each time. So no caller can forget to treat them alike.
 *
 * The file is read anew by the next look at it when it has changed; a version with a wrong line, or one that
 * cannot be read, is told once, and what there was before stays in use. May be asked from several threads at
 * once, while one looks; asking does not wait for that.
 */
#pragma once

#include <stdbool.h>

#include "auth/password.h"
#include "base/auto.h"
#include "base/diag.h"

struct credentials;

/* Reads the file, which need not work. Problems say why. The path is copied. */
struct credentials *credentials_new(const char *path, struct origin at, struct diag *problems);
void credentials_free(struct credentials *c); /* with no look or question under way; NULL is welcome */
AUTO_PTR_DEFINE(credentials);

/* To be called once in a while, by one at a time. What is wrong with a new version of the file is added to
 * `problems`. May block: for jobs. */
void credentials_look(struct credentials *c, struct diag *problems);

/* What could be read, if anything, has keys for SCRAM in at least one line. */
bool credentials_have_scram(struct credentials *c);
size_t credentials_count(struct credentials *c); /* users */

struct credential {
    struct credentials_table *table; /* which the rest lies in, but for: */
    const char *hash;                /* for password_verify */
    struct scram_keys scram;         /* always some */
    char *decoy_salt, *decoy_stored_key, *decoy_server_key;
    bool may_log_in; /* with the right password */
    bool has_scram;  /* and with the right proof */
};
void credential_clear(struct credential *c);
AUTO_VAL_DEFINE(credential);

/* `user` is prepared; NULL: nobody. -EHOSTDOWN: there was never a file that could be used. */
int credentials_find(struct credentials *c, const char *user, struct credential *ret_credential);
