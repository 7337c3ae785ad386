/*
 * server/trial_login.h - AUTH in a trial: as in a worker, against the file of passwords, and with its delays.
 * A server of Dovecot's is not asked: whoever tries is told 454 (RFC 4954 6), and the log why.
 *
 * Ownership: it belongs to whoever made it, and borrows what it was made with. Failure: what a client says is
 * answered by a verdict.
 */
#pragma once

#include "server/settings.h"

struct trial_login;

/* For a listener that offers AUTH. `session` and `client` are for the log. NULL: the system refuses threads.
 */
struct trial_login *trial_login_new(const struct settings *settings, const struct worker_listener *listener,
                                    const struct pst_log *log, const char *session, const char *client);
void trial_login_free(struct trial_login *l); /* NULL is welcome */

/* What EHLO offers, for as long as the process lives; NULL: nothing, as without TLS mostly. NULL is welcome.
 */
const char *trial_login_mechanisms(const struct trial_login *l, bool is_secure);

/* SMTP_EFFECT_AUTH and SMTP_EFFECT_AUTH_RESPONSE. Its detail is borrowed until the next call. */
struct smtp_verdict trial_login_step(struct trial_login *l, const struct smtp_effect *e, bool is_secure);
void trial_login_cancel(struct trial_login *l);
