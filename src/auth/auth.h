/*
 * auth/auth.h - who a client is: SASL exchanges (RFC 4422), either by GNU SASL against a file of passwords,
 * or by a server of Dovecot's authentication protocol. Knows nothing of SMTP: base64 comes in and goes out as
 * lines of the protocol have it, without the line's end.
 *
 *     struct auth_exchange *x = auth_begin(a, &facts, mechanism, initial, on_step, conn);
 *     on_step: AUTH_CHALLENGE, told to the client; its line: auth_go_on(x, line)
 *     on_step: any other kind: x is gone
 *
 * All that hashes or reads files is done in jobs. Failures are answered late (`failure-delay`), and later the
 * more of them come from one client; nothing but the exchange that failed waits for that.
 *
 * Ownership: an authenticator belongs to one process, after the fork; an exchange to who began it, until it
 * is cancelled or its last step has come. What is borrowed says how long. Failure: what a client sends is
 * answered by a step; what fails here is AUTH_UNAVAILABLE, and in the log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/log.h"
#include "base/number.h"
#include "base/option.h"
#include "base/slice.h"
#include "reactor/reactor.h"

/* ---- the section [auth] ---- */

struct auth_settings {
    char *passwords;     /* a file of lines that `postern passwd` makes */
    char *dovecot;       /* or the path of a unix socket; neither: there is no authentication */
    unsigned mechanisms; /* those that are permitted; 0: all there are */
    msec_t failure_delay;
};
extern const struct option_row auth_rows[];
extern const size_t auth_row_count;

enum { AUTH_SOCKET_PATH_SIZE = 108 }; /* of sun_path */

bool auth_is_configured(const struct auth_settings *s);

/* Whether any of the mechanisms is one for clients that come in TLS or do not, with certificates or without;
 * whoever the users are. */
bool auth_has_mechanism_for(const struct auth_settings *s, bool in_tls, bool with_certificate);

/*
 * For `postern check` and before a start: both or neither of passwords and dovecot are set where `is_wanted`
 * (a listener offers authentication); the file can be read, has no wrong line, and is not open to others than
 * its owner and group; what is at the socket's path is one. Every problem is told, at `at`, or at its line in
 * the file. May block.
 */
void auth_check(const struct auth_settings *s, bool is_wanted, struct origin at, struct diag *problems);

/* ---- the authenticator ---- */

struct authenticator;

/* The settings and the log outlive it. It connects to Dovecot at once, and again whenever that is gone. */
int authenticator_new(struct reactor *r, const struct auth_settings *s, const struct pst_log *log,
                      struct authenticator **ret_authenticator);

/* All exchanges have ended or were cancelled. It is gone when its last job is done. NULL is welcome. */
void authenticator_close(struct authenticator *a);

/* What is known of a client; borrowed during the call. A text that is not known is NULL. */
struct auth_facts {
    const char *service; /* "smtp" or "lmtp" */
    const char *session; /* its id, for logs */
    const char *client;  /* its address, without a port: failures are counted by it; NULL: a unix socket */
    const char *local;   /* ours, without a port */
    uint16_t client_port, local_port;
    bool is_secure;                   /* inside TLS */
    const char *certificate_identity; /* whom a verified certificate of the client names: EXTERNAL */
    /* Channel bindings (RFC 9266, RFC 5929), raw octets; empty: there is none, and no SCRAM-SHA-256-PLUS. */
    struct slice tls_exporter, tls_unique;
};

enum { AUTH_MECHANISMS_SIZE = 128 };

/*
 * "SCRAM-SHA-256 PLAIN LOGIN": what this client is offered now, the best ones first, with a NUL into `text`,
 * which is returned; NULL when there is none. Of the facts, those count that mechanisms need: a certificate
 * and channel bindings. Whether any may be offered without TLS is the caller's business.
 */
const char *authenticator_mechanisms(const struct authenticator *a, const struct auth_facts *facts,
                                     char text[AUTH_MECHANISMS_SIZE]);

/* Since it was made. */
struct auth_counts {
    uint64_t successes, failures, unavailable;
};
struct auth_counts authenticator_counts(const struct authenticator *a);

/* ---- one exchange ---- */

enum auth_kind {
    AUTH_CHALLENGE,
    AUTH_DONE,
    AUTH_FAILED,            /* wrong credentials; comes late */
    AUTH_MALFORMED,         /* the base64, or the mechanism's grammar; or it ends where it must not */
    AUTH_UNKNOWN_MECHANISM, /* that was not among those offered */
    AUTH_UNAVAILABLE,       /* for now: the file cannot be read, the server is gone */
};

struct auth_step {
    enum auth_kind kind;
    const char *challenge; /* CHALLENGE: base64, may be "" */
    /*
     * DONE: who it is; FAILED: who it claims to be, NULL if that is not known. UTF-8 without control
     * characters, from 1 to AUTH_USER_MAX octets; anything else may be in it.
     */
    const char *user;
    const char *mechanism; /* its name, or NULL if it is none of ours */
    const char *reason;    /* all but CHALLENGE and DONE: a stable word for the log, "wrong-credentials" */
};
enum { AUTH_USER_MAX = 255 };

/* Never inside the call that causes it. The step is valid during the call. */
typedef void (*auth_on_step)(void *owner, const struct auth_step *step);

struct auth_exchange;

/*
 * `initial`: the client's initial response in base64, "=" for an empty one (RFC 4954 4), or NULL. LOGIN takes
 * one for the user's name, as clients send it. Slices are valid during the call.
 */
struct auth_exchange *auth_begin(struct authenticator *a, const struct auth_facts *facts,
                                 struct slice mechanism, const struct slice *initial, auth_on_step on_step,
                                 void *owner);

/* The client's answer to a challenge: base64, which may be empty. Once for each challenge. */
void auth_go_on(struct auth_exchange *x, struct slice response);

/*
 * on_step comes no more. For a client that gives up or hangs up; NULL is welcome. Only a failure that was
 * found and is not told yet is told now, inside this call; one that a job is still to find, to
 * auth_on_missed.
 */
void auth_cancel(struct auth_exchange *x);

/* A failure is not answered late any more; one that is known by now, inside this call. NULL is welcome. */
void auth_hurry(struct auth_exchange *x);

/*
 * Tells the owner of wrong credentials that a job has found after their exchange was cancelled: who hangs up
 * rather than wait has guessed all the same. `session` and `client` are what its facts said; all of it is
 * valid during the call. Never once it is closed. Dovecot keeps the count of those itself.
 */
typedef void (*auth_on_missed)(void *owner, const char *session, const char *client,
                               const struct auth_step *failure);
void authenticator_watch_missed(struct authenticator *a, auth_on_missed on_missed, void *owner);
