/*
 * server/trial_mail.h - the transactions of a trial: what each recipient resolves to, and what would become
 * of the message. It asks the disk on the spot, changes nothing there, and logs what the daemon would log.
 * A value; whoever began it clears it. Failure: a mailbox that cannot be had is an outcome.
 */
#pragma once

#include <glib.h>

#include "base/log.h"
#include "delivery/router.h"
#include "smtp/session.h"
#include "worker/envelope.h"

struct trial_mail {
    const struct pst_log *log;
    const struct router *router;
    const char *session; /* the session's id */
    bool lmtp;
    unsigned messages; /* of this session so far */
    bool open;         /* the message streams */
    uint64_t octets;
    struct smtp_address reverse_path;
    uint64_t declared;        /* octets, or 0 */
    struct envelope envelope; /* those that were accepted */
    int *results;             /* of its targets, once the message is complete; or NULL */
};

void trial_mail_init(struct trial_mail *m, const struct pst_log *log, const struct router *router,
                     const char *session, enum smtp_protocol protocol);
void trial_mail_clear(struct trial_mail *m);

void trial_mail_begin(struct trial_mail *m, const struct smtp_effect *mail);
enum smtp_outcome trial_mail_add(struct trial_mail *m, const struct smtp_address *recipient);
void trial_mail_open(struct trial_mail *m);
void trial_mail_append(struct trial_mail *m, struct slice bytes);
void trial_mail_log_refusal(const struct trial_mail *m, enum smtp_outcome outcome); /* of the open message */

/* The message is complete. How many answers its end is owed, one or one for each recipient (LMTP). */
size_t trial_mail_finish(struct trial_mail *m);
enum smtp_outcome trial_mail_answer(const struct trial_mail *m, size_t index);

/* The transaction is gone. */
void trial_mail_reset(struct trial_mail *m);
