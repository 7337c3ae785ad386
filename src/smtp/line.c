/*
 * Lines: where they end, how long they may be, and what becomes of them: a command for its verb, or an answer
 * to AUTH's challenge. What is told of a line that is refused is here, too, for it may hold a password.
 */
#include <glib.h>

#include "smtp/session_internal.h"

#define IN(phase) (1U << SMTP_PHASE_##phase)

/* Where a command may come. */
#define ANYWHERE (IN(START) | IN(READY) | IN(MAIL) | IN(CHUNKING) | IN(FAILED))

enum argument { ARGUMENT_NONE, ARGUMENT_OPTIONAL, ARGUMENT_REQUIRED };

/* What must be done before a verb is listened to, where the client has to do it. */
enum need {
    NEED_NOTHING, /* RFC 3207 4 names them */
    NEED_TLS,
    NEED_AUTH, /* and TLS */
};

#define VERB(name) name, sizeof(name) - 1

/* Those of every message come first. */
static const struct verb {
    const char *name;
    size_t len;
    unsigned phases;
    enum argument argument;
    enum need need;
    void (*start)(struct smtp_session *s, const struct smtp_command *command);
} verbs[] = {
    { VERB("MAIL"), IN(READY), ARGUMENT_OPTIONAL, NEED_AUTH, smtp_start_mail },
    { VERB("RCPT"), IN(MAIL), ARGUMENT_OPTIONAL, NEED_AUTH, smtp_start_rcpt },
    { VERB("DATA"), IN(MAIL) | IN(CHUNKING), ARGUMENT_NONE, NEED_AUTH, smtp_start_data },
    { VERB("BDAT"), ANYWHERE, ARGUMENT_OPTIONAL, NEED_NOTHING, smtp_start_bdat }, /* it asks itself */
    { VERB("EHLO"), ANYWHERE, ARGUMENT_OPTIONAL, NEED_NOTHING, smtp_start_hello },
    { VERB("HELO"), ANYWHERE, ARGUMENT_OPTIONAL, NEED_TLS, smtp_start_hello },
    { VERB("LHLO"), ANYWHERE, ARGUMENT_OPTIONAL, NEED_NOTHING, smtp_start_hello },
    { VERB("RSET"), ANYWHERE, ARGUMENT_NONE, NEED_TLS, smtp_start_rset },
    { VERB("NOOP"), ANYWHERE, ARGUMENT_OPTIONAL, NEED_NOTHING, smtp_start_noop },
    { VERB("VRFY"), ANYWHERE, ARGUMENT_REQUIRED, NEED_AUTH, smtp_start_vrfy },
    { VERB("EXPN"), ANYWHERE, ARGUMENT_REQUIRED, NEED_AUTH, smtp_start_expn },
    { VERB("HELP"), ANYWHERE, ARGUMENT_OPTIONAL, NEED_TLS, smtp_start_help },
    { VERB("QUIT"), ANYWHERE, ARGUMENT_NONE, NEED_NOTHING, smtp_start_quit },
    { VERB("STARTTLS"), ANYWHERE, ARGUMENT_NONE, NEED_NOTHING, smtp_start_starttls },
    { VERB("AUTH"), ANYWHERE, ARGUMENT_REQUIRED, NEED_TLS, smtp_start_auth },
    { VERB("XCLIENT"), IN(START) | IN(READY), ARGUMENT_REQUIRED, NEED_TLS, smtp_start_xclient },
    { VERB("XFORWARD"), IN(START) | IN(READY), ARGUMENT_REQUIRED, NEED_TLS, smtp_start_xforward },
};

/* Most of the verbs are passed over by their length and first letter. */
static const struct verb *find_verb(struct slice name)
{
    if (name.len == 0)
        return NULL;
    const char first = g_ascii_toupper((char)name.data[0]);
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (verbs[i].len == name.len && verbs[i].name[0] == first &&
            slice_begins_nocase(name, verbs[i].name, verbs[i].len))
            return &verbs[i];
    return NULL;
}

static bool is_in(const struct smtp_session *s, unsigned phases)
{
    return (phases & (1U << s->phase)) != 0;
}

enum smtp_outcome smtp_out_of_sequence(const struct smtp_session *s)
{
    return is_in(s, IN(START))      ? SMTP_NEEDS_HELO
           : is_in(s, IN(READY))    ? SMTP_NEEDS_MAIL
           : is_in(s, IN(CHUNKING)) ? SMTP_NEEDS_BDAT
           : is_in(s, IN(FAILED))   ? SMTP_NEEDS_RSET
                                    : SMTP_NESTED_MAIL;
}

/* RFC 3207 4, RFC 4954 6. Never in a transaction, for MAIL was not let through. */
static bool is_barred(const struct smtp_session *s, enum need need, enum smtp_outcome *ret_why)
{
    if (need >= NEED_TLS && s->client.tls == SMTP_TLS_REQUIRED)
        *ret_why = SMTP_NEEDS_TLS;
    else if (need >= NEED_AUTH && s->client.auth_required && !s->authenticated)
        *ret_why = SMTP_NEEDS_AUTH;
    else
        return false;
    return true;
}

bool smtp_is_barred(const struct smtp_session *s, enum smtp_outcome *ret_why)
{
    return is_barred(s, NEED_AUTH, ret_why);
}

/* ---- what a line may be ---- */

static struct slice skip_blanks(struct slice line)
{
    size_t count = 0;
    while (count < line.len && (line.data[count] == ' ' || line.data[count] == '\t'))
        count++;
    return slice_skip(line, count);
}

/* As whoever is in front of us may read it: blanks before the verb, and whatever is no letter behind it. */
static bool is_bdat(struct slice line)
{
    static const char verb[] = "BDAT";
    line = skip_blanks(line);
    struct slice rest = slice_skip(line, sizeof verb - 1);
    return slice_has_prefix_nocase(line, verb) && (rest.len == 0 || !g_ascii_isalnum((char)rest.data[0]));
}

/* The same of a line that is too long, by its beginning: that may be blanks alone, or half a verb. */
static bool may_be_bdat(const struct smtp_session *s, struct slice line)
{
    struct slice rest = skip_blanks(slice_first(line, s->service->limits.command_length - 2));
    return rest.len < 4 ? slice_begins_nocase(rest, "BDAT", rest.len) : is_bdat(rest);
}

/* Whatever stands behind the verb: who mistypes a command with a password in it, still wrote a password. */
static bool is_auth(struct slice line)
{
    return slice_has_prefix_nocase(skip_blanks(line), "AUTH");
}

/* RFC 4954 4: what AUTH takes may be longer than any other command; if it is offered. */
static bool is_within_limit(const struct smtp_session *s, struct slice line, size_t len)
{
    const uint64_t usual = s->service->limits.command_length;
    bool is_exchange =
        is_in(s, IN(CHALLENGED)) || (len > usual && s->client.mechanisms != NULL && is_auth(line));
    return len <= (is_exchange ? SMTP_KEEP_MAX : usual);
}

static bool refuses_foreign(const struct smtp_session *s)
{
    return s->service->limits.foreign == SMTP_FOREIGN_REFUSE;
}

/* Neither a client of TLS nor a proxy's binary header, with QUIT LF in it, comes to the end of a line. */
static bool is_binary(const struct smtp_session *s, struct slice in)
{
    bool may_be = in.data[0] < ' ' || slice_has_prefix_nocase(in, "QUIT\n");
    return may_be && s->skip == SMTP_SKIP_NOTHING && !is_in(s, IN(CHALLENGED)) && refuses_foreign(s) &&
           smtp_line_is_foreign(in);
}

/* ---- commands ---- */

/*
 * What may be told of a line. Of AUTH, verb and mechanism, if that is one that we know, and no password out
 * of its place. And what is no command behind AUTH was to be the answer to a challenge that never came.
 */
static struct slice tellable(const struct smtp_session *s, const struct smtp_command *command, bool is_known)
{
    if (!is_auth(command->line))
        return s->after_auth && !is_known ? slice_first(command->line, 0) : command->line;
    struct slice told = slice_first(command->verb, strlen("AUTH")), mechanism, rest;
    if (command->verb.len == told.len && smtp_auth_read(s, command->argument, &mechanism, &rest))
        told.len = (size_t)(mechanism.data + mechanism.len - told.data);
    return told;
}

/* A line that is not read. If it told of a chunk, nobody knows where that ends, and its octets must not be
 * taken for commands. */
static void refuse_line(struct smtp_session *s, enum smtp_outcome outcome, struct slice line, bool bdat)
{
    smtp_refuse(s, outcome, line);
    if (bdat && !is_in(s, IN(ENDED)))
        smtp_say_goodbye(s, SMTP_OUT_OF_STEP);
}

static void run_command(struct smtp_session *s, const struct verb *verb, const struct smtp_command *command)
{
    enum smtp_outcome why;
    if (++s->commands > s->service->limits.commands)
        smtp_say_goodbye(s, SMTP_TOO_MANY_COMMANDS);
    else if (verb->argument == ARGUMENT_NONE && command->argument.len > 0)
        smtp_refuse(s, SMTP_NO_ARGUMENT_WANTED, command->line);
    else if (verb->argument == ARGUMENT_REQUIRED && command->argument.len == 0)
        smtp_refuse(s, SMTP_ARGUMENT_WANTED, command->line);
    else if (is_barred(s, verb->need, &why))
        smtp_refuse(s, why, command->line);
    else if (!is_in(s, verb->phases))
        smtp_refuse(s, smtp_out_of_sequence(s), command->line);
    else
        verb->start(s, command);
}

static void run_line(struct smtp_session *s, struct slice line)
{
    struct smtp_command command = smtp_command_split(line);
    const struct verb *verb = find_verb(command.verb);
    command.line = tellable(s, &command, verb != NULL);
    s->after_auth = is_auth(line) || (s->after_auth && verb == NULL);
    if (!smtp_line_is_clean(line))
        refuse_line(s, SMTP_BAD_LINE, command.line, is_bdat(line));
    else if (verb != NULL)
        run_command(s, verb, &command);
    else if (refuses_foreign(s) && smtp_line_is_foreign(line))
        smtp_turn_away(s, SMTP_FOREIGN_PROTOCOL, command.line);
    else
        refuse_line(s, SMTP_UNKNOWN_COMMAND, command.line, is_bdat(line));
}

/* ---- lines ---- */

/* Only CR LF ends a line. The index of its LF, or in.len. */
static size_t find_line_feed(struct slice in)
{
    size_t at = slice_find(in, 0, '\n');
    while (at < in.len && (at == 0 || in.data[at - 1] != '\r'))
        at = slice_find(in, at + 1, '\n');
    return at;
}

static enum smtp_skip kind_of_long_line(const struct smtp_session *s, struct slice line)
{
    return is_in(s, IN(CHALLENGED)) || is_auth(line) ? SMTP_SKIP_AUTH
           : may_be_bdat(s, line)                    ? SMTP_SKIP_BDAT
                                                     : SMTP_SKIP_LINE;
}

/* An endless line is not kept: all of it is taken but a CR that may be half of its end. */
static size_t skip_part_of_line(struct smtp_session *s, struct slice in)
{
    size_t len = in.data[in.len - 1] == '\r' ? in.len - 1 : in.len;
    if (s->skip == SMTP_SKIP_NOTHING && is_within_limit(s, in, len + 2))
        return 0; /* it may still become a line */
    if (s->skip == SMTP_SKIP_NOTHING)
        s->skip = kind_of_long_line(s, in);
    return len;
}

/* `line` is what is left of it. */
static void refuse_long_line(struct smtp_session *s, enum smtp_skip kind, struct slice line)
{
    struct slice begin = slice_first(line, 64);
    if (is_in(s, IN(CHALLENGED)))
        smtp_auth_give_up(s, SMTP_AUTH_TOO_LONG);
    else if (kind == SMTP_SKIP_AUTH)
        smtp_refuse(s, SMTP_AUTH_TOO_LONG, slice_first(line, 0));
    else
        refuse_line(s, SMTP_LINE_TOO_LONG, s->after_auth ? slice_first(line, 0) : begin,
                    kind == SMTP_SKIP_BDAT);
    s->after_auth |= kind == SMTP_SKIP_AUTH;
}

size_t smtp_line_feed(struct smtp_session *s, struct slice in)
{
    if (is_binary(s, in)) {
        smtp_turn_away(s, SMTP_FOREIGN_PROTOCOL, slice_first(in, 16));
        return in.len;
    }
    size_t lf = find_line_feed(in);
    if (lf == in.len)
        return skip_part_of_line(s, in);
    struct slice line = slice_first(in, lf - 1);
    if (s->skip != SMTP_SKIP_NOTHING)
        refuse_long_line(s, s->skip, line);
    else if (!is_within_limit(s, in, lf + 1))
        refuse_long_line(s, kind_of_long_line(s, line), line);
    else if (is_in(s, IN(CHALLENGED)))
        smtp_auth_respond(s, line);
    else
        run_line(s, line);
    s->skip = SMTP_SKIP_NOTHING;
    return lf + 1;
}
