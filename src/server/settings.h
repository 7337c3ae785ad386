/*
 * server/settings.h - what postern.conf and the command line say, checked as a whole and in the shape that
 * the daemon uses.
 *
 *     auto_val(diag) problems = { 0 };
 *     struct config *c = settings_config_new(&problems);
 *     config_read_file(c, path);                             (and config_set for what the command line says)
 *     auto_ptr(settings) s = settings_new(c, &problems);     (s is for use when diag_count is 0)
 *
 * Ownership: the settings own the configuration and all that they point to. They do not change once they are
 * made.
 */
#pragma once

#include "auth/auth.h"
#include "base/auto.h"
#include "base/diag.h"
#include "config/config.h"
#include "handlers/handlers.h"
#include "server/identity.h"
#include "server/listeners.h"
#include "server/log_sink.h"
#include "server/tls_settings.h"
#include "worker/worker.h"

/* The sections of postern.conf, for reading and for the manual. */
extern const struct config_kind settings_kinds[];
extern const size_t settings_kind_count;

struct settings {
    struct config *config;
    struct worker_settings worker; /* without listeners and shares, which the master makes */
    struct settings_listener *listeners;
    size_t listener_count;
    struct settings_listener *metrics; /* where figures are told; NULL: nowhere */
    struct router *router;
    GPtrArray *tables; /* struct table, of the router's domains */
    struct handler_settings handlers;
    struct auth_settings auth; /* its paths are absolute */
    struct tls_settings tls;
    unsigned workers;
    struct log_options log;   /* borrows the configuration's */
    struct identity identity; /* `user` NULL: stay who we are */
    char *hostname;           /* NULL: the configuration's is used */
};

struct config *settings_config_new(struct diag *problems);

/* Takes the configuration. Never NULL. */
struct settings *settings_new(struct config *take_config, struct diag *problems);
/* For a command that takes what there is: no listeners, no domains and no name of the machine are no problem.
 */
struct settings *settings_new_partial(struct config *take_config, struct diag *problems);
void settings_free(struct settings *s); /* NULL is welcome */
AUTO_PTR_DEFINE(settings);

/*
 * Whether whoever we are now can work in the domains' directories. settings_new has asked already; ask again
 * once we are the user whose access counts.
 */
void settings_check_folders(const struct settings *s, struct diag *problems);

/*
 * For commands that want to see what the server would: from here on this process has no more access to files
 * than a worker has. Then asks as settings_check_folders does. -errno when we are not who we should be, which
 * is told, or was when the settings were made.
 */
int settings_drop_privileges(const struct settings *s, struct diag *problems);

/*
 * Reads certificates and keys, as whoever we are: before privileges are dropped, since the keys may be closed
 * to the user that workers become. Again, when they have changed. -EINVAL: there are problems, and what was
 * there before stays.
 */
int settings_load_certificates(struct settings *s, struct diag *problems);

/*
 * Of certificates that were loaded: those that have expired are problems; that they will within 14 days, or
 * that nothing uses them, are notes.
 */
void settings_check_certificates(const struct settings *s, struct diag *problems, struct diag *notes);

/* Loads the handlers into a host, and ends it. Who loads them matters: drop privileges before. */
void settings_probe_handlers(const struct settings *s, struct diag *problems);
