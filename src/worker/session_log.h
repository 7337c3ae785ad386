/*
 * worker/session_log.h - the events that a session makes, wherever it is carried out: by a connection, or by
 * a trial of the configuration, where both say the same. Borrows all; `session` is the session's id.
 */
#pragma once

#include "auth/auth.h"
#include "base/log.h"
#include "smtp/session.h"

void session_log_opened(const struct pst_log *log, const char *session, const char *client,
                        const char *listener);
void session_log_closed(const struct pst_log *log, const char *session, const char *reason, const char *phase,
                        unsigned messages);

/* XCLIENT or XFORWARD. What was said, and no more; empty where the client does not know either. */
void session_log_facts(const struct pst_log *log, const char *session, const struct smtp_effect *e);

/* The last step of an exchange of AUTH. */
void session_log_auth(const struct pst_log *log, const char *session, const char *client,
                      const struct auth_step *last);

void session_log_command_refused(const struct pst_log *log, const char *session,
                                 const struct smtp_effect *refused);
void session_log_rcpt_refused(const struct pst_log *log, const char *session, const struct smtp_address *to,
                              enum smtp_outcome outcome);

/* What had come of a message until it was refused. */
struct session_log_message {
    const char *id;
    const struct smtp_address *from;
    size_t recipients;
    uint64_t octets;
};
void session_log_message_refused(const struct pst_log *log, const char *session,
                                 const struct session_log_message *message, enum smtp_outcome outcome);

/* Which mailboxes an address leads to could not be found out: `error` is -errno, and `why` may say more. */
void session_log_lookup_failed(const struct pst_log *log, const char *session, const struct smtp_address *to,
                               const char *why, int error);
