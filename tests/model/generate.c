#include "generate.h"

#include "generate_internal.h"

/* ---- lines that are the same anywhere ---- */

#define WITH_NUL(text) (text), sizeof(text) - 1
static const struct line {
    const char *text;
    size_t len; /* 0: its length as a string */
    const char *reply;
    enum need need;
} lines[] = {
    { "NOOP", 0, "250 2.0.0" },
    { "NOOP and more", 0, "250 2.0.0" },
    { "VRFY ann", 0, "252 2.5.0", NEED_AUTH },
    { "VRFY", 0, "501 5.5.4", NEED_AUTH },
    { "EXPN staff", 0, "502 5.5.1", NEED_AUTH },
    { "EXPN", 0, "501 5.5.4", NEED_AUTH },
    { "XCLIENT", 0, "501 5.5.4", NEED_TLS },
    { "XFORWARD", 0, "501 5.5.4", NEED_TLS },
    { "HELP", 0, "214 2.0.0", NEED_TLS },
    { "HELP MAIL", 0, "214 2.0.0", NEED_TLS },
    { "", 0, "500 5.5.1" },
    { "FOO", 0, "500 5.5.1" },
    { "MAILFROM:<carol@example.net>", 0, "500 5.5.1" },
    { "BDATA 5", 0, "500 5.5.1" },
    { "BDATX", 0, "500 5.5.1" },
    { "BDAT5", 0, "500 5.5.1" },
    { "XBDAT 5", 0, "500 5.5.1" },
    { ".BDAT 5", 0, "500 5.5.1" },
    { "DATA.", 0, "500 5.5.1" },
    { ".", 0, "500 5.5.1" },
    { "Subject: a message without DATA", 0, "500 5.5.1" },
    { "STARTTLS: yes", 0, "500 5.5.1" },
    { "AUTHPLAIN AGEAYg==", 0, "500 5.5.1" },
    { "AUTH\tPLAIN AGEAYg==", 0, "500 5.5.1" },
    { "TURN", 0, "500 5.5.1" },
    { "\xc3\x89HLO caf\xc3\xa9", 0, "500 5.5.1" },
    { "\xff\xfe", 0, "500 5.5.1" },
    { WITH_NUL("NOOP\0"), "500 5.5.2" },
    { "NOOP \x1b[2J", 0, "500 5.5.2" },
    { "NOOP\nNOOP", 0, "500 5.5.2" },
    { "NOOP\rNOOP", 0, "500 5.5.2" },
    { "QUIT\r", 0, "500 5.5.2" },
    { "RSET\n", 0, "500 5.5.2" },
    { WITH_NUL("MAIL FROM:<carol\0@example.net>"), "500 5.5.2" },
    { "RCPT TO:<ann@example.org>\nDATA\n", 0, "500 5.5.2" },
    { "EHLO client\x7f", 0, "500 5.5.2" },
};

static void generate_line(struct generator *g, struct act *act)
{
    const struct line *line = pick(g, lines);
    act->reply = line->reply;
    act->fault = line->reply; /* which may be told before what must be done first is */
    act->need = line->need;
    if (line->len > 0)
        g_string_append_len(act->wire, line->text, (gssize)line->len);
    else
        put_keyword(g, act, line->text);
    end_line(g, act);
}

static void generate_long_line(struct generator *g, struct act *act)
{
    static const char *const beginnings[] = { "NOOP ", "MAIL FROM:<", "RCPT TO:<", "EHLO ", "x",
                                              "",      "BDATx",       " \tx" };
    act->kind = ACT_LINE;
    act->reply = "500 5.5.2";
    size_t limit = (size_t)g->rules->service.limits.command_length;
    if (one_in(g, 8)) {
        act->reply = "500 5.5.6"; /* RFC 4954 4 */
        put_too_long(g, act, "AUTH PLAIN ", g->offers_auth ? SMTP_KEEP_MAX : limit);
    } else {
        put_too_long(g, act, *pick(g, beginnings), limit);
    }
}

/* ---- the rest ---- */

static void generate_bare_verb(struct generator *g, struct act *act, const char *verb)
{
    put_keyword(g, act, verb);
    if (one_in(g, 20)) {
        act->fault = "501 5.5.4";
        g_string_append(act->wire, " now");
    }
    end_line(g, act);
}

static void generate_data(struct generator *g, struct act *act)
{
    generate_bare_verb(g, act, "DATA");
}

static void generate_rset(struct generator *g, struct act *act)
{
    generate_bare_verb(g, act, "RSET");
}

static void generate_quit(struct generator *g, struct act *act)
{
    generate_bare_verb(g, act, "QUIT");
}

static const struct xclient {
    const char *text;
    bool greets;
    const char *fault;
} xclient[] = {
    { "XCLIENT NAME=spike.example.com ADDR=192.0.2.9", false, NULL },
    { "XCLIENT ADDR=IPV6:2001:db8::9 PORT=4711", false, NULL },
    { "XCLIENT NAME=[UNAVAILABLE] HELO=other.example.com PROTO=ESMTP", true, NULL },
    { "XCLIENT HELO=[192.0.2.9] PROTO=SMTP", true, NULL },
    { "XCLIENT HELO=other.example.com", true, NULL },
    { "XCLIENT HELO=[UNAVAILABLE] PROTO=ESMTP", false, NULL },
    { "XCLIENT HELO=no+20name+22", false, NULL },
    { "XCLIENT HELO=-other..example", false, NULL },
    { "XCLIENT NAME=[TEMPUNAVAIL] LOGIN=[UNAVAILABLE]", false, NULL },
    { "XCLIENT LOGIN=ann+20lee+3", false, "501 5.5.4" },
    { "XCLIENT COLOUR=blue", false, "501 5.5.4" },
    { "XCLIENT ADDR=300.0.0.1", false, "501 5.5.4" },
    { "XCLIENT ADDR", false, "501 5.5.4" },
    { "XCLIENT HELO=a+0D+0Ab", false, "501 5.5.4" },
    { "XCLIENT HELO=other.example.com PROTO=LMTP", false, "501 5.5.4" },
};
#define SIXTY_FOUR "0123456789012345678901234567890123456789012345678901234567890123"
static const struct line xforward[] = {
    { "XFORWARD NAME=spike.example.com ADDR=192.0.2.9 PROTO=ESMTP HELO=spike.example.com", 0, NULL },
    { "XFORWARD IDENT=4711ABC SOURCE=REMOTE PORT=25", 0, NULL },
    { "XFORWARD NAME=no+20name ADDR=unix:+28local+29 PROTO=QMQP HELO=+22+22", 0, NULL },
    { "XFORWARD IDENT=one+20two", 0, NULL },
    { "XFORWARD PROTO=" SIXTY_FOUR, 0, NULL },
    { "XFORWARD PROTO=" SIXTY_FOUR "x", 0, "501 5.5.4" },
    { "XFORWARD LOGIN=ann", 0, "501 5.5.4" },
    { "XFORWARD HELO=a+00b", 0, "501 5.5.4" },
};

static void generate_xclient(struct generator *g, struct act *act)
{
    const struct xclient *row = pick(g, xclient);
    act->fault = row->fault;
    act->greets = row->greets;
    put_line(g, act, row->text);
}

static void generate_xforward(struct generator *g, struct act *act)
{
    const struct line *line = pick(g, xforward);
    act->fault = line->reply;
    put_line(g, act, line->text);
}

static void generate_foreign(struct generator *g, struct act *act)
{
    static const char *const words[] = { "GET / HTTP/1.1\r\n", "POST /mail HTTP/1.0\r\n",
                                         "SSH-2.0-OpenSSH_9.2\r\n" };
    static const char client_hello[] = "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03\r\n";
    if (one_in(g, 2))
        g_string_append(act->wire, *pick(g, words));
    else
        g_string_append_len(act->wire, client_hello, sizeof client_hello - 1);
    act->fault = act->wire->str[0] < ' ' ? "500 5.5.2" : "500 5.5.1";
}

/* The beginning of a line, a message or a chunk, without its end. */
static void generate_stop(struct generator *g, struct act *act)
{
    static const char *const beginnings[] = {
        "", "M", "MAIL FROM:<carol@exam", "QUIT", "QUIT\r", "DATA\n.\n"
    };
    if (g->place == MODEL_MESSAGE)
        generate_message(g, act);
    else if (g->place != MODEL_CHALLENGED && one_in(g, 2))
        generate_bdat(g, act);
    act->begins_chunk = g->place != MODEL_MESSAGE && act->content->len > 0 && act->fault == NULL;
    if (act->wire->len > 0)
        g_string_truncate(act->wire, act->wire->len - 1 - below(g, MAX(act->content->len, 1)));
    else
        g_string_append(act->wire, *pick(g, beginnings));
}

static void (*const generates[ACT_KINDS])(struct generator *g, struct act *act) = {
    [ACT_LINE] = generate_line,         [ACT_HELLO] = generate_hello,
    [ACT_MAIL] = generate_mail,         [ACT_RCPT] = generate_rcpt,
    [ACT_DATA] = generate_data,         [ACT_MESSAGE] = generate_message,
    [ACT_BDAT] = generate_bdat,         [ACT_RSET] = generate_rset,
    [ACT_QUIT] = generate_quit,         [ACT_XCLIENT] = generate_xclient,
    [ACT_XFORWARD] = generate_xforward, [ACT_FOREIGN] = generate_foreign,
    [ACT_STARTTLS] = generate_starttls, [ACT_HANDSHAKE] = generate_handshake,
    [ACT_AUTH] = generate_auth,         [ACT_RESPONSE] = generate_response,
    [ACT_SILENCE] = generate_stop,      [ACT_DRIP] = generate_stop,
    [ACT_HANG_UP] = generate_stop,
};

/* ---- what next ---- */

/* How likely each act is where the dialogue stands, against the others: what a client would do, and all else.
 */
static const uint16_t likely[MODEL_OVER][ACT_KINDS] = {
    [MODEL_START] = { [ACT_LINE] = 60,
                      [ACT_HELLO] = 800,
                      [ACT_MAIL] = 30,
                      [ACT_RCPT] = 20,
                      [ACT_DATA] = 20,
                      [ACT_BDAT] = 20,
                      [ACT_RSET] = 20,
                      [ACT_QUIT] = 3,
                      [ACT_XCLIENT] = 10,
                      [ACT_XFORWARD] = 5,
                      [ACT_STARTTLS] = 100,
                      [ACT_AUTH] = 20,
                      [ACT_FOREIGN] = 10,
                      [ACT_SILENCE] = 1,
                      [ACT_HANG_UP] = 1 },
    [MODEL_IDLE] = { [ACT_LINE] = 100,
                     [ACT_HELLO] = 30,
                     [ACT_MAIL] = 700,
                     [ACT_RCPT] = 40,
                     [ACT_DATA] = 20,
                     [ACT_BDAT] = 60,
                     [ACT_RSET] = 20,
                     [ACT_QUIT] = 10,
                     [ACT_XCLIENT] = 5,
                     [ACT_XFORWARD] = 10,
                     [ACT_STARTTLS] = 20,
                     [ACT_AUTH] = 200,
                     [ACT_FOREIGN] = 1,
                     [ACT_SILENCE] = 1,
                     [ACT_HANG_UP] = 2 },
    [MODEL_ENVELOPE] = { [ACT_LINE] = 50,
                         [ACT_HELLO] = 10,
                         [ACT_MAIL] = 30,
                         [ACT_RCPT] = 480,
                         [ACT_DATA] = 200,
                         [ACT_BDAT] = 200,
                         [ACT_RSET] = 20,
                         [ACT_QUIT] = 2,
                         [ACT_XCLIENT] = 2,
                         [ACT_XFORWARD] = 2,
                         [ACT_STARTTLS] = 5,
                         [ACT_AUTH] = 5,
                         [ACT_FOREIGN] = 1,
                         [ACT_SILENCE] = 1,
                         [ACT_HANG_UP] = 2 },
    [MODEL_SECURING] = { [ACT_HANDSHAKE] = 1 },
    [MODEL_CHALLENGED] = { [ACT_RESPONSE] = 995, [ACT_SILENCE] = 2, [ACT_HANG_UP] = 3 },
    [MODEL_MESSAGE] = { [ACT_MESSAGE] = 975, [ACT_SILENCE] = 10, [ACT_DRIP] = 5, [ACT_HANG_UP] = 10 },
    [MODEL_CHUNKS] = { [ACT_LINE] = 60,
                       [ACT_HELLO] = 20,
                       [ACT_MAIL] = 40,
                       [ACT_RCPT] = 40,
                       [ACT_DATA] = 40,
                       [ACT_BDAT] = 700,
                       [ACT_RSET] = 60,
                       [ACT_QUIT] = 5,
                       [ACT_XCLIENT] = 2,
                       [ACT_XFORWARD] = 2,
                       [ACT_STARTTLS] = 5,
                       [ACT_AUTH] = 5,
                       [ACT_FOREIGN] = 1,
                       [ACT_SILENCE] = 1,
                       [ACT_HANG_UP] = 2 },
    [MODEL_BROKEN] = { [ACT_LINE] = 100,
                       [ACT_HELLO] = 60,
                       [ACT_MAIL] = 60,
                       [ACT_RCPT] = 60,
                       [ACT_DATA] = 60,
                       [ACT_BDAT] = 400,
                       [ACT_RSET] = 250,
                       [ACT_QUIT] = 10,
                       [ACT_XCLIENT] = 2,
                       [ACT_XFORWARD] = 2,
                       [ACT_STARTTLS] = 5,
                       [ACT_AUTH] = 5,
                       [ACT_FOREIGN] = 1,
                       [ACT_SILENCE] = 1,
                       [ACT_HANG_UP] = 2 },
};

static enum act_kind choose(struct generator *g, const uint16_t *weights)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < ACT_KINDS; kind++)
        sum += weights[kind];
    uint64_t at = below(g, sum);
    int kind = 0;
    for (; at >= weights[kind]; kind++)
        at -= weights[kind];
    return (enum act_kind)kind;
}

static void act_reset(struct act *act)
{
    struct act fresh = { .envelope = act->envelope, .content = act->content, .wire = act->wire };
    *act = fresh;
    g_string_truncate(act->envelope, 0);
    g_string_truncate(act->content, 0);
    g_string_truncate(act->wire, 0);
}

void generator_next(struct generator *g, const struct model *m, struct act *ret_act)
{
    act_reset(ret_act);
    g->place = m->place;
    g->secure = m->secure;
    g->offers_auth = model_mechanisms(m) != NULL;
    if (m->acts == 0) {
        ret_act->kind = ACT_CONNECT;
        ret_act->early = g->rules->client.greeting_delay > 0 && one_in(g, 20);
        return;
    }
    ret_act->kind = choose(g, likely[m->place < MODEL_OVER ? m->place : MODEL_IDLE]);
    if (ret_act->kind == ACT_LINE && one_in(g, 30))
        generate_long_line(g, ret_act);
    else
        generates[ret_act->kind](g, ret_act);
}

void generator_init(struct generator *g, const struct rules *r, uint64_t seed)
{
    pst_random_seed(&g->random, seed);
    g->rules = r;
    g->scratch = g_string_new(NULL);
}

void generator_clear(struct generator *g)
{
    g_string_free(g->scratch, TRUE);
}

void act_init(struct act *act)
{
    *act = (struct act){ .envelope = g_string_new(NULL),
                         .content = g_string_new(NULL),
                         .wire = g_string_new(NULL) };
}

void act_clear(struct act *act)
{
    g_string_free(act->envelope, TRUE);
    g_string_free(act->content, TRUE);
    g_string_free(act->wire, TRUE);
}
