/*
 * worker/session_log.h - the events that a session makes, wherever it is carried out: by a connection, or by
 * a trial of the configuration, where both say the same. Borrows all; `session` is the session's id.
 */
#pragma once

#include "base/log.h"
#include "delivery/router.h"
#include "smtp/session.h"

/* XCLIENT or XFORWARD. What was said, and no more; empty where the client does not know either. */
void session_log_facts(const struct pst_log *log, const char *session, const struct smtp_effect *e);

void session_log_command_refused(const struct pst_log *log, const char *session,
                                 const struct smtp_effect *refused);
void session_log_rcpt_refused(const struct pst_log *log, const char *session, const struct smtp_address *to,
                              enum smtp_outcome outcome);

/* Whether there is such a mailbox could not be found out: `error` is -errno. */
void session_log_lookup_failed(const struct pst_log *log, const char *session, const struct smtp_address *to,
                               const struct domain *domain, int error);
