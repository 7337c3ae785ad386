/*
 * smtp/command.h - the parts of a command line (RFC 5321 4.1.1, 4.1.2): verb, argument, parameters. All are
 * slices of the line.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/*
 * RFC 5321 4.5.3.1.4: 512 octets with CR LF; SIZE adds 26 to MAIL (RFC 1870 3), BODY=8BITMIME adds 17 (RFC
 * 6152 2).
 */
enum { SMTP_LINE_MAX = 512, SMTP_MAIL_LINE_MAX = 512 + 26 + 17 };

struct smtp_command {
    struct slice verb;     /* everything up to the first blank */
    struct slice argument; /* without blanks around it; len 0: none */
};

/* `line` is without its CR LF. */
struct smtp_command smtp_command_split(struct slice line);

/* The most octets, with CR LF, that a line which begins like this may have. */
size_t smtp_line_max(struct slice line);

/* True when no octet of the line is a control character. */
bool smtp_line_is_clean(struct slice line);

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
