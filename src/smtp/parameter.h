/*
 * smtp/parameter.h - the parameters of MAIL and RCPT that we offer in EHLO, checked and typed. Text in a
 * result is a slice of the command line, as the client wrote it, and holds no octet that could not go into a
 * header or a log line. Failure is an outcome, that of the first parameter from the left that is wrong; *ret
 * is then untouched.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "smtp/outcome.h"

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };

struct smtp_mail_parameters {
    uint64_t size;       /* SIZE (RFC 1870); 0: not given */
    enum smtp_body body; /* BODY (RFC 6152, 3030) */
    bool utf8;           /* SMTPUTF8 (RFC 6531) */
    bool require_tls;    /* REQUIRETLS (RFC 8689) */
    enum smtp_ret ret;   /* RET (RFC 3461 4.3) */
    struct slice envid;  /* ENVID (RFC 3461 4.4), xtext; len 0: not given */
};

enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

struct smtp_rcpt_parameters {
    unsigned notify;    /* NOTIFY (RFC 3461 4.1); 0: not given */
    struct slice orcpt; /* ORCPT (RFC 3461 4.2, RFC 6533 3), "rfc822;XTEXT" or the like; len 0: not given */
};

/* What decides whether a parameter of MAIL is good. */
struct smtp_mail_terms {
    uint64_t message_size; /* the limit */
    bool secure;           /* REQUIRETLS is offered: inside TLS alone (RFC 8689 2) */
    bool auth;             /* AUTH is offered, and with it its parameter */
};

/*
 * `rest` is what follows the path. SMTP_SENDER_OK; SMTP_TOO_BIG; SMTP_PARAMETER_UNKNOWN for a keyword that we
 * do not offer or that was there before; SMTP_PARAMETER_SYNTAX for anything malformed, a value that is wrong
 * or missing, or one where none belongs. AUTH (RFC 4954 5) is checked and forgotten, as from a client that is
 * not trusted to speak for others.
 */
enum smtp_outcome smtp_mail_parameters_parse(struct slice rest, const struct smtp_mail_terms *terms,
                                             struct smtp_mail_parameters *ret);

/* The same for RCPT: SMTP_RECIPIENT_OK, or why not. `utf8`: MAIL had SMTPUTF8. */
enum smtp_outcome smtp_rcpt_parameters_parse(struct slice rest, bool utf8, struct smtp_rcpt_parameters *ret);
