/*
 * server/tls_settings.h - what the sections [tls] and [tls NAME] say, and the certificates that come of it.
 *
 *     tls_settings_take(config, &t, &problems);      the sections
 *     tls_settings_load(&t, now_s, &problems);       the files, as whoever we are: t.store
 *     tls_settings_have_changed(&t, now_s)           every now and then; then load again
 *
 * Only who serves or checks reads the files: they need not be readable for whom the other commands are run
 * by. Ownership: it borrows the configuration. Failure: all that is wrong is told; a store that is there
 * stays until there is one that is no worse.
 */
#pragma once

#include "base/auto.h"
#include "base/diag.h"
#include "base/log.h"
#include "config/config.h"
#include "net/tls_store.h"
#include "server/watch.h"

/* Files in pairs; each list ends in NULL, or is NULL: not given. */
struct tls_files {
    char **certificates, **private_keys;
};

/* [tls]; a [tls NAME] has the files alone. */
struct tls_section {
    struct tls_files files;
    int minimum_version; /* enum tls_version */
    char *ciphers, *suites, *curves, *client_ca;
    bool tickets;
};
extern const struct config_table tls_tables[2], tls_host_tables[1];

struct tls_settings {
    struct tls_policy policy;
    GArray *hosts;           /* struct tls_host */
    GPtrArray *paths;        /* char *, of all files */
    struct watch *watch;     /* NULL: nothing was loaded yet */
    struct tls_store *store; /* NULL: nothing was loaded, or there are no certificates */
    int64_t due_s; /* since 1970: when what was too early to be taken is to be loaded again; 0: never */
};

/* Fills in *ret_settings, which is empty. */
void tls_settings_take(const struct config *c, struct tls_settings *ret_settings, struct diag *problems);
void tls_settings_clear(struct tls_settings *t);

static inline bool tls_settings_have_certificates(const struct tls_settings *t)
{
    return t->hosts->len > 0;
}

/*
 * 0, also when there are no certificates; -EINVAL: there are problems, those of tls_settings_check_renewal
 * among them, and the store is the one it was.
 */
int tls_settings_load(struct tls_settings *t, int64_t now_s, struct diag *problems);

/* Whether there is something new to load, since the last time that this was true or the first load. It looks
 * at the files, and waits until what it sees has settled. */
bool tls_settings_have_changed(struct tls_settings *t, int64_t now_s);

/*
 * Of `next`, which is made by these settings, what is not valid at that time is a problem where it takes the
 * place of what is, in `former`: that in a section of the same name, with as many in front of it. What is
 * new, or was no better before, is none: mail wants to arrive. Either may be NULL: there are none. Returns
 * when the first of those that are only too early begins to be valid; 0: there is no such.
 */
int64_t tls_settings_check_renewal(const struct tls_settings *t, const struct tls_store *former,
                                   const struct tls_store *next, int64_t now_s, struct diag *problems);

/* What has expired, or is for later, is a problem; what expires soon is a note. */
void tls_settings_check_dates(const struct tls_settings *t, int64_t now_s, struct diag *problems,
                              struct diag *notes);
/* `certificate-expires`, for each of these. */
void tls_settings_log_dates(const struct tls_settings *t, int64_t now_s, const struct pst_log *log);
