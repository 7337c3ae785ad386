/*
 * auth/dovecot.h - asks a server of Dovecot's authentication protocol at a unix socket who clients are. One
 * connection, shared by all exchanges; when it is lost, all that are under way end as unavailable, and it is
 * made again, after a pause that grows.
 *
 * Ownership: requests belong to who made them until their last reply. Failure: a server that is gone, slow or
 * confused is AUTH_UNAVAILABLE, and in the log once; what it says is checked before it is believed.
 */
#pragma once

#include "auth/auth.h"
#include "auth/mechanism.h"

enum {
    DOVECOT_TIMEOUT_MS = 10 * 1000, /* of a reply, and of the first lines */
    DOVECOT_SENT_MAX = 8192,        /* octets of a line: with more, a server hangs up on everybody */
    DOVECOT_LINE_MAX = 64 * 1024,   /* octets of a line of the server's */
    DOVECOT_PAUSE_MIN_MS = 100,
    DOVECOT_PAUSE_MAX_MS = 30 * 1000,
};

struct dovecot;

/* Connects at once. The log outlives it; the path is copied: -ENAMETOOLONG. */
int dovecot_new(struct reactor *r, const char *path, const struct pst_log *log, struct dovecot **ret_dovecot);
void dovecot_close(struct dovecot *d); /* with no request under way; NULL is welcome */

/* What it has said it can do; before it has ever said so, all but what needs channel binding. */
unsigned dovecot_mechanisms(const struct dovecot *d);

/* Valid during the call; only kind, challenge, user and reason. After all but a challenge the request is
 * gone. */
typedef void (*dovecot_on_answer)(void *owner, const struct auth_step *answer);

struct dovecot_request;

/*
 * `response`: base64, or NULL. Answers come later. -EHOSTDOWN: there is no connection now; -EBADMSG: what the
 * client says is no base64; -EMSGSIZE: it is more than can be asked.
 */
int dovecot_ask(struct dovecot *d, enum mechanism m, const struct auth_facts *facts, const char *response,
                dovecot_on_answer on_answer, void *owner, struct dovecot_request **ret_request);
/* Once for each challenge. When it fails, as above, the request is gone. */
int dovecot_go_on(struct dovecot_request *q, const char *response);
void dovecot_cancel(struct dovecot_request *q); /* NULL is welcome */
