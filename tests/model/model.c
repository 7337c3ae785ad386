#include "model.h"

#include <string.h>

static const struct smtp_limits *limits(const struct model *m)
{
    return &m->rules->service.limits;
}

static bool is_lmtp(const struct model *m)
{
    return m->rules->service.protocol == SMTP_PROTOCOL_LMTP;
}

/* ---- replies ---- */

static struct expectation *say(struct model *m, const char *reply)
{
    struct expectation e = { .any = { reply }, .act = m->acts };
    g_array_append_val(m->expected, e);
    return &g_array_index(m->expected, struct expectation, m->expected->len - 1);
}

static void forget(struct model *m)
{
    g_string_truncate(m->content, 0);
    g_ptr_array_set_size(m->to, 0);
    g_ptr_array_set_size(m->notes, 0);
}

/* RFC 5321 3.8: 421, and the connection closes. */
static void end(struct model *m, const char *reply)
{
    say(m, reply);
    forget(m);
    m->place = MODEL_OVER;
}

/* A command that breaks the protocol counts; what is well said but not to be had does not. */
static bool is_mistake(const char *reply)
{
    static const char *const codes[] = {
        "500", "501", "503", "504", "530", "538", "553", "555", "550 5.7.0"
    };
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
        if (g_str_has_prefix(reply, codes[i]))
            return true;
    return false;
}

static void blame_either(struct model *m, const char *reply, const char * or)
{
    if (++m->errors >= limits(m)->errors)
        end(m, "421 4.7.0");
    else
        say(m, reply)->any[1] = or ;
}

static void refuse_either(struct model *m, const char *reply, const char * or)
{
    if (is_mistake(reply))
        blame_either(m, reply, or);
    else
        say(m, reply)->any[1] = or ;
}

static void refuse(struct model *m, const char *reply)
{
    refuse_either(m, reply, NULL);
}

/* The wrong moment for this command. What is wrong with the command itself may be told instead, when it also
 * breaks the protocol: no RFC says which goes first. */
static void refuse_now_as(struct model *m, const struct act *act, const char *reply)
{
    blame_either(m, reply, act->fault != NULL && is_mistake(act->fault) ? act->fault : NULL);
}

static void refuse_now(struct model *m, const struct act *act)
{
    refuse_now_as(m, act, "503 5.5.1");
}

/* RFC 3207 4, 4954 6 */
static bool is_barred(const struct model *m, enum need need)
{
    const struct smtp_client *client = &m->rules->client;
    return (need >= NEED_TLS && client->tls == SMTP_TLS_REQUIRED && !m->secure) ||
           (need >= NEED_AUTH && client->auth_required && !m->authenticated);
}

/* ---- the envelope ---- */

static void hello(struct model *m, const struct act *act)
{
    if (act->fault != NULL) {
        refuse(m, act->fault); /* RFC 5321 4.1.4: the state stays as it was */
        return;
    }
    forget(m);
    m->place = MODEL_IDLE;
    const struct rules *r = m->rules;
    say(m, "250")->extensions = !act->extended ? NULL : m->secure ? r->extensions_inside : r->extensions;
}

static void mail(struct model *m, const struct act *act)
{
    if (m->place != MODEL_IDLE) {
        refuse_now(m, act);
    } else if (act->fault != NULL) {
        refuse(m, act->fault);
    } else if (act->needs_utf8 && !act->utf8) {
        refuse(m, "553 5.6.7");
    } else if (++m->messages > limits(m)->messages) {
        end(m, "421 4.7.0");
    } else {
        forget(m);
        g_string_assign(m->mail, act->envelope->str);
        m->utf8 = act->utf8;
        m->binary = act->binary;
        m->place = MODEL_ENVELOPE;
        say(m, "250 2.1.0");
    }
}

/* Who is never known here may be somebody who tries out names. */
static void count_stranger(struct model *m, const struct recipient *recipient)
{
    if (recipient->route_reply[0] == '5' && ++m->strangers > limits(m)->strangers)
        end(m, "421 4.7.0");
}

static void rcpt(struct model *m, const struct act *act)
{
    if (m->place != MODEL_ENVELOPE) {
        refuse_now(m, act);
    } else if (act->fault != NULL) {
        refuse(m, act->fault);
    } else if (act->recipient->utf8 && !m->utf8) {
        refuse(m, "553 5.6.7");
    } else if (m->to->len >= limits(m)->recipients) {
        refuse(m, "452 4.5.3");
    } else {
        say(m, act->recipient->route_reply);
        if (act->recipient->route != SMTP_RECIPIENT_OK) {
            count_stranger(m, act->recipient);
            return;
        }
        g_ptr_array_add(m->to, (void *)act->recipient);
        g_ptr_array_add(m->notes, g_strdup(act->envelope->str));
    }
}

/* ---- the message ---- */

static bool has_bare_cr_or_lf(const GString *content)
{
    for (gsize i = 0; i < content->len; i++) {
        bool lf_next = i + 1 < content->len && content->str[i + 1] == '\n';
        if (content->str[i] == '\n' || (content->str[i] == '\r' && !lf_next))
            return true;
        if (content->str[i] == '\r')
            i++;
    }
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * Whether a message's first line is a field (RFC 5322 2.2: a name of printable characters and a colon, before
 * which, 4.5, blanks may stand) or a mailbox's "From ". *ret_octets is how far one has to read to know that
 * it is none.
 */
static bool begins_a_header(const char *line, gsize len, uint64_t *ret_octets)
{
    gsize at = 0;
    while (at < len && line[at] > ' ' && line[at] < 0x7f && line[at] != ':')
        at++;
    gsize name = at;
    while (at < len && name > 0 && is_blank(line[at]))
        at++;
    *ret_octets = name > 998 ? 999 : at;
    bool is_mailbox = name == 4 && at > name && memcmp(line, "From", 4) == 0;
    return name > 0 && name <= 998 && (is_mailbox || (at < len && line[at] == ':'));
}

/* Or what may still become one: a CR with nothing behind it. */
static bool is_empty(const char *line, gsize len)
{
    return len == 0 || *line == '\n' || memcmp(line, "\r\n", MIN(len, 2)) == 0;
}

/*
 * The section ends at the first empty line, and each line in it that continues no other is a field. An LF
 * alone, which BDAT may carry, ends a line here: in the file, where lines end in LF, it will.
 */
static void measure_header(const GString *content, uint64_t *octets, uint64_t *fields)
{
    *fields = 0;
    if (!begins_a_header(content->str, content->len, octets))
        return;
    gsize at = 0;
    while (!is_empty(content->str + at, content->len - at)) {
        const char *line = content->str + at;
        const char *lf = memchr(line, '\n', content->len - at);
        *fields += at == 0 || !is_blank(*line);
        at = lf != NULL ? (gsize)(lf - content->str) + 1 : content->len;
    }
    *octets = at;
}

/* What is wrong with a message, as the replies of which it gets one. */
static bool find_faults(const struct model *m, const GString *content, bool lines, const char **any)
{
    size_t found = 0;
    if (content->len > limits(m)->message_size)
        any[found++] = "552 5.3.4"; /* as the header section too */
    uint64_t octets, fields;
    measure_header(content, &octets, &fields);
    if (octets > limits(m)->header_size)
        any[found++] = "552 5.3.4";
    if (fields > limits(m)->header_fields)
        any[found++] = "554 5.6.0";
    if (lines && has_bare_cr_or_lf(content))
        any[found++] = "550 5.6.0";
    return found > 0;
}

/* One reply for all, or RFC 2033 4.2: one for each recipient that was accepted, in order. */
static void refuse_message(struct model *m, const char *const *any)
{
    guint replies = is_lmtp(m) ? m->to->len : 1;
    for (guint i = 0; i < replies; i++)
        memcpy(say(m, NULL)->any, any, sizeof(const char *[REPLY_CHOICES]));
}

static const struct recipient *recipient_at(const struct model *m, guint i)
{
    return g_ptr_array_index(m->to, i);
}

static void store(struct model *m, guint i, const GString *content)
{
    note_stored(m->stored, m->mail->str, g_ptr_array_index(m->notes, i), content);
}

static void deliver_to_each(struct model *m, const GString *content)
{
    for (guint i = 0; i < m->to->len; i++) {
        say(m, recipient_at(m, i)->end_reply);
        if (recipient_at(m, i)->end == SMTP_DELIVERED)
            store(m, i, content);
    }
}

/* SMTP: all or none, for there is one reply. */
static void deliver_to_all(struct model *m, const GString *content)
{
    for (guint i = 0; i < m->to->len; i++) {
        if (recipient_at(m, i)->end != SMTP_DELIVERED) {
            say(m, recipient_at(m, i)->end_reply);
            return;
        }
    }
    for (guint i = 0; i < m->to->len; i++)
        store(m, i, content);
    say(m, "250 2.0.0");
}

static void deliver(struct model *m, const GString *content)
{
    if (is_lmtp(m))
        deliver_to_each(m, content);
    else
        deliver_to_all(m, content);
}

/* RFC 3030 2: what is left of this message must not be taken for another's. In LMTP its recipients are still
 * owed their replies. */
static void refuse_for_good(struct model *m)
{
    refuse(m, "503 5.5.1");
    if (m->place != MODEL_OVER)
        m->place = MODEL_BROKEN;
}

/* RFC 3030 2, 3: behind BDAT there is no DATA, and BINARYMIME needs BDAT. */
static bool needs_bdat(const struct model *m)
{
    return m->place == MODEL_CHUNKS || (m->place == MODEL_ENVELOPE && m->to->len > 0 && m->binary);
}

static void data(struct model *m, const struct act *act)
{
    if (needs_bdat(m) && act->fault == NULL) {
        refuse_for_good(m);
    } else if (needs_bdat(m)) {
        refuse(m, act->fault); /* it was no DATA: the message goes on */
    } else if (m->place != MODEL_ENVELOPE || m->to->len == 0) {
        refuse_now(m, act);
    } else if (act->fault != NULL) {
        refuse(m, act->fault);
    } else {
        m->place = MODEL_MESSAGE;
        say(m, "354");
    }
}

static void message(struct model *m, const struct act *act)
{
    const char *any[REPLY_CHOICES] = { NULL };
    if (find_faults(m, act->content, true, any))
        refuse_message(m, any);
    else
        deliver(m, act->content);
    forget(m);
    m->place = MODEL_IDLE;
}

/* ---- chunks ---- */

/* After a refused chunk. The client that pipelined the last one to LMTP waits for as many replies as it has
 * recipients. */
static void bdat_when_broken(struct model *m, const struct act *act)
{
    guint more = act->last && is_lmtp(m) && m->to->len > 0 ? m->to->len - 1 : 0;
    refuse(m, "503 5.5.1");
    for (guint i = 0; i < more && m->place != MODEL_OVER; i++)
        say(m, "503 5.5.1");
    if (act->last)
        forget(m);
}

static void chunk(struct model *m, const struct act *act)
{
    const char *any[REPLY_CHOICES] = { NULL };
    g_string_append_len(m->content, act->content->str, (gssize)act->content->len);
    bool bad = find_faults(m, m->content, false, any);
    if (!act->last) {
        memcpy(say(m, "250 2.0.0")->any, bad ? any : (const char *[REPLY_CHOICES]){ "250 2.0.0" },
               sizeof any);
        m->place = bad ? MODEL_BROKEN : MODEL_CHUNKS;
        return;
    }
    if (bad)
        refuse_message(m, any);
    else
        deliver(m, m->content);
    forget(m);
    m->place = MODEL_IDLE;
}

/* RFC 3030 2: a chunk for nobody fails the transaction, and what of it is still to come. */
static void bdat_without_recipients(struct model *m, const struct act *act)
{
    refuse_for_good(m);
    if (act->last && m->place != MODEL_OVER)
        m->place = MODEL_IDLE;
}

static bool takes_chunks(const struct model *m)
{
    return (m->place == MODEL_ENVELOPE || m->place == MODEL_CHUNKS) && m->to->len > 0;
}

static void bdat(struct model *m, const struct act *act)
{
    if (act->fault != NULL) { /* where its octets end, nobody can tell */
        refuse(m, act->fault);
        if (m->place != MODEL_OVER)
            end(m, "421");
    } else if (m->place == MODEL_BROKEN) {
        bdat_when_broken(m, act);
    } else if (m->place == MODEL_ENVELOPE && m->to->len == 0) {
        bdat_without_recipients(m, act);
    } else if (!takes_chunks(m)) {
        refuse(m, is_barred(m, NEED_AUTH) ? "530 5.7.0" : "503 5.5.1");
    } else {
        chunk(m, act);
    }
}

/* ---- the rest ---- */

static void rset(struct model *m, const struct act *act)
{
    if (act->fault != NULL) {
        refuse(m, act->fault);
        return;
    }
    forget(m);
    if (m->place != MODEL_START)
        m->place = MODEL_IDLE;
    say(m, "250 2.0.0");
}

static void quit(struct model *m, const struct act *act)
{
    if (act->fault != NULL)
        refuse(m, act->fault);
    else
        end(m, "221 2.0.0");
}

static void line(struct model *m, const struct act *act)
{
    refuse(m, act->reply); /* which is a mistake, or none */
}

/* ---- TLS and AUTH ---- */

const char *model_mechanisms(const struct model *m)
{
    return m->secure ? m->rules->inside : m->rules->client.mechanisms;
}

static void starttls(struct model *m, const struct act *act)
{
    if (m->rules->client.tls == SMTP_TLS_NONE) {
        refuse_now_as(m, act, "502 5.5.1");
    } else if (m->secure || (m->place != MODEL_START && m->place != MODEL_IDLE)) {
        refuse_now(m, act);
    } else if (act->fault != NULL) {
        refuse(m, act->fault);
    } else {
        m->place = MODEL_SECURING;
        say(m, "220 2.0.0");
    }
}

/* RFC 3207 4.2: nothing is said, and nothing is known any more. */
static void handshake(struct model *m, const struct act *act)
{
    (void)act;
    m->place = MODEL_START;
    m->secure = true;
    m->authenticated = false;
}

/* How the exchange goes on, as the credential has it. */
static void judge(struct model *m, const struct credential *credential)
{
    enum smtp_outcome outcome = credential != NULL ? credential->outcome : SMTP_AUTH_CHALLENGE;
    const char *reply = credential != NULL ? credential->reply : "334";
    m->place = outcome == SMTP_AUTH_CHALLENGE ? MODEL_CHALLENGED : MODEL_IDLE;
    m->authenticated = outcome == SMTP_AUTHENTICATED;
    say(m, reply);
    if (outcome == SMTP_AUTH_FAILED ? ++m->auth_failures >= limits(m)->auth_failures
                                    : is_mistake(reply) && ++m->errors >= limits(m)->errors)
        end(m, "421 4.7.0");
}

static void auth(struct model *m, const struct act *act)
{
    const struct smtp_client *client = &m->rules->client;
    if (model_mechanisms(m) == NULL && client->auth_in_tls && client->tls == SMTP_TLS_OFFERED)
        refuse_now_as(m, act, "538 5.7.11");
    else if (model_mechanisms(m) == NULL || m->authenticated || m->place != MODEL_IDLE)
        refuse_now(m, act);
    else if (act->fault != NULL)
        refuse(m, act->fault);
    else
        judge(m, act->credential);
}

static void response(struct model *m, const struct act *act)
{
    if (act->fault == NULL) {
        judge(m, act->credential);
        return;
    }
    m->place = MODEL_IDLE;
    if (g_str_equal(act->fault, "501 5.7.0")) /* it was the client's wish */
        say(m, act->fault);
    else
        refuse(m, act->fault);
}

static void xclient(struct model *m, const struct act *act)
{
    if (m->place != MODEL_START && m->place != MODEL_IDLE) {
        refuse_now(m, act);
    } else if (!m->rules->client.may_xclient) {
        refuse(m, "550 5.7.0");
    } else if (act->fault != NULL) {
        refuse(m, act->fault);
    } else {
        m->place = act->greets ? MODEL_IDLE : MODEL_START;
        m->authenticated = false;
        say(m, "220");
    }
}

static void xforward(struct model *m, const struct act *act)
{
    if (m->place != MODEL_START && m->place != MODEL_IDLE) {
        refuse_now(m, act);
    } else if (!m->rules->client.may_xforward) {
        refuse(m, "550 5.7.0");
    } else if (act->fault != NULL) {
        refuse(m, act->fault);
    } else {
        say(m, "250 2.0.0");
    }
}

static void foreign(struct model *m, const struct act *act)
{
    if (limits(m)->foreign == SMTP_FOREIGN_REFUSE)
        end(m, "554 5.5.1");
    else
        refuse(m, act->fault);
}

/* A chunk that stands nowhere is one mistake too many before its octets have come. */
static bool is_last_mistake(struct model *m, const struct act *act)
{
    return act->begins_chunk && !takes_chunks(m) && m->errors + 1 >= limits(m)->errors;
}

static void silence(struct model *m, const struct act *act)
{
    end(m, is_last_mistake(m, act) ? "421 4.7.0" : "421 4.4.2");
}

static void hang_up(struct model *m, const struct act *act)
{
    if (is_last_mistake(m, act))
        end(m, "421 4.7.0");
    m->place = MODEL_OVER;
}

static void connect(struct model *m, const struct act *act)
{
    if (act->early)
        end(m, "554 5.5.1");
    else
        say(m, "220");
}

static void (*const does[ACT_KINDS])(struct model *m, const struct act *act) = {
    [ACT_CONNECT] = connect,   [ACT_LINE] = line,           [ACT_HELLO] = hello,
    [ACT_MAIL] = mail,         [ACT_RCPT] = rcpt,           [ACT_DATA] = data,
    [ACT_MESSAGE] = message,   [ACT_BDAT] = bdat,           [ACT_RSET] = rset,
    [ACT_QUIT] = quit,         [ACT_XCLIENT] = xclient,     [ACT_XFORWARD] = xforward,
    [ACT_STARTTLS] = starttls, [ACT_HANDSHAKE] = handshake, [ACT_AUTH] = auth,
    [ACT_RESPONSE] = response, [ACT_FOREIGN] = foreign,     [ACT_SILENCE] = silence,
    [ACT_DRIP] = silence,      [ACT_HANG_UP] = hang_up,
};

/* What is not recognized is a mistake and no command. */
static bool is_command(const struct act *act)
{
    switch (act->kind) {
    case ACT_LINE:
        return !g_str_has_prefix(act->reply, "500");
    case ACT_BDAT:
        return act->fault == NULL || !g_str_has_prefix(act->fault, "500");
    case ACT_SILENCE:
    case ACT_DRIP:
    case ACT_HANG_UP:
        return act->begins_chunk;
    case ACT_CONNECT:
    case ACT_MESSAGE:
    case ACT_HANDSHAKE:
    case ACT_RESPONSE:
    case ACT_FOREIGN:
        return false;
    default:
        return true;
    }
}

/* What must be done before an act is more than malformed. BDAT's octets must be read in any case. */
static enum need need_of(const struct act *act)
{
    switch (act->kind) {
    case ACT_LINE:
        return act->need;
    case ACT_MAIL:
    case ACT_RCPT:
    case ACT_DATA:
        return NEED_AUTH;
    case ACT_HELLO:
        return act->extended ? NEED_NOTHING : NEED_TLS;
    case ACT_RSET:
    case ACT_AUTH:
    case ACT_XCLIENT:
    case ACT_XFORWARD:
        return NEED_TLS;
    default:
        return NEED_NOTHING;
    }
}

void model_act(struct model *m, const struct act *act)
{
    if (m->place == MODEL_OVER)
        ; /* it is not read */
    else if (is_command(act) && ++m->commands > limits(m)->commands)
        end(m, "421 4.7.0");
    else if (is_barred(m, need_of(act)))
        refuse_now_as(m, act, "530 5.7.0");
    else
        does[act->kind](m, act);
    m->acts++;
}

struct model *model_new(const struct rules *r)
{
    struct model *m = g_new0(struct model, 1);
    m->rules = r;
    m->mail = g_string_new(NULL);
    m->to = g_ptr_array_new();
    m->notes = g_ptr_array_new_with_free_func(g_free);
    m->content = g_string_new(NULL);
    m->expected = g_array_new(FALSE, TRUE, sizeof(struct expectation));
    m->stored = g_string_new(NULL);
    return m;
}

void model_free(struct model *m)
{
    if (m == NULL)
        return;
    g_string_free(m->mail, TRUE);
    g_ptr_array_unref(m->to);
    g_ptr_array_unref(m->notes);
    g_string_free(m->content, TRUE);
    g_array_unref(m->expected);
    g_string_free(m->stored, TRUE);
    g_free(m);
}
