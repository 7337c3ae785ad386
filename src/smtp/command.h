/*
 * smtp/command.h - the parts of a command line (RFC 5321 4.1.1, 4.1.2): verb, argument, parameters. All are
 * slices of the line.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/*
 * RFC 5321 4.5.3.1.4 grants a command line 512 octets with CR LF. Extensions add to it: to MAIL, SIZE 26 (RFC
 * 1870 3), BODY 17 (RFC 6152 2), SMTPUTF8 10 (RFC 6531 3.1), RET and ENVID about 120; to RCPT, NOTIFY and
 * ORCPT about 540 (RFC 3461 4). One limit for all lines has room for each.
 */
enum { SMTP_COMMAND_LENGTH_MIN = 1536 };

struct smtp_command {
    struct slice line;     /* all of it */
    struct slice verb;     /* everything up to the first blank */
    struct slice argument; /* without blanks around it; len 0: none */
};

/* `line` is without its CR LF. */
struct smtp_command smtp_command_split(struct slice line);

/*
 * True when this is the first line of a client of HTTP or SSH, or of a proxy that nobody expects here, or the
 * first octets of one of TLS (RFC 8446 5.1: a record of type handshake), and none of SMTP: whoever it is was
 * made to speak to us by somebody else. A proxy's header of version 2 begins CR LF CR LF NUL CR LF "QUIT" LF:
 * what tells it is a QUIT that LF ends and the version follows, for two empty lines may be anybody's.
 */
bool smtp_line_is_foreign(struct slice line);

/* True when no octet of the line is a control character. */
bool smtp_line_is_clean(struct slice line);

/* True for BASE64 (RFC 4648 4) as RFC 4954 4 wants it, to the letter; also when it is empty. */
bool smtp_base64_valid(struct slice text);

/* The path and what follows it, of an argument that begins with `keyword` ("FROM:"). False when it does not.
 */
bool smtp_path_argument(struct slice argument, const char *keyword, struct slice *ret_path);

struct smtp_parameter {
    struct slice keyword;
    struct slice value; /* len 0 when there was no "=" */
};

/*
 * Takes the next "KEYWORD" or "KEYWORD=VALUE" from *rest, which begins at a blank or is empty. 1: there was
 * one; 0: none is left; -EBADMSG: malformed. A value may hold well-formed UTF-8; whether it may here is for
 * the parameter's own grammar to say.
 */
int smtp_parameter_next(struct slice *rest, struct smtp_parameter *ret_parameter);
