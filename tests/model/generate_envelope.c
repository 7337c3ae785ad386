/* HELO and its kin, MAIL, RCPT: good and bad ones. */
#include "generate_internal.h"

/* ---- greetings ---- */

static const struct name {
    const char *text;
    const char *fault;
} names[] = {
    { "client.example.com", NULL },
    { "c", NULL },
    { "[192.0.2.7]", NULL },
    { "[IPv6:2001:db8::7]", NULL },
    { "", "501 5.5.4" },
    { "-client.example.com", "501 5.5.4" },
    { "two names", "501 5.5.4" },
    { "client..example.com", "501 5.5.4" },
    { "[192.0.2.256]", "501 5.5.4" },
    { "<script>", "501 5.5.4" },
    { "b\xc3\xbc"
      "cher.example",
      "501 5.5.4" }, /* RFC 6531 3.7.1: before SMTPUTF8 is known to be there */
};

void generate_hello(struct generator *g, struct act *act)
{
    bool lmtp = g->rules->service.protocol == SMTP_PROTOCOL_LMTP;
    const char *verb = lmtp ? "LHLO" : one_in(g, 4) ? "HELO" : "EHLO";
    const struct name *name = one_in(g, 3) ? pick(g, names) : &names[0];
    act->fault = name->fault;
    if (one_in(g, 10)) {
        verb = !lmtp ? "LHLO" : one_in(g, 2) ? "EHLO" : "HELO";
        act->fault = "500 5.5.1"; /* RFC 2033 4.1 */
    }
    act->extended = verb[0] != 'H';
    put_keyword(g, act, verb);
    if (*name->text != '\0')
        g_string_append_c(act->wire, ' ');
    g_string_append(act->wire, name->text);
    end_line(g, act);
}

/* ---- parameters ---- */

enum keyword { SIZE, BODY, UTF8, RET, ENVID, NOTIFY, ORCPT, REQUIRETLS, SPEAKER, OTHER };

struct parameter {
    enum keyword keyword;
    const char *text;
    const char *value; /* as it is noted */
    const char *fault;
};

static const struct parameter mail_parameters[] = {
    { SIZE, "SIZE=0", "0", NULL },
    { SIZE, "SIZE=1234", "1234", NULL },
    { SIZE, "SIZE=2000", "2000", NULL },
    { BODY, "BODY=7BIT", "7bit", NULL },
    { BODY, "BODY=8BITMIME", "8bitmime", NULL },
    { BODY, "BODY=BINARYMIME", "binarymime", NULL },
    { UTF8, "SMTPUTF8", "", NULL },
    { UTF8, "SMTPUTF8", "", NULL },
    { RET, "RET=FULL", "full", NULL },
    { RET, "RET=HDRS", "hdrs", NULL },
    { ENVID, "ENVID=QQ314159", "QQ314159", NULL },
    { ENVID, "ENVID=a+2Bb+3D", "a+2Bb+3D", NULL },
    { REQUIRETLS, "REQUIRETLS", "", NULL },
    { SPEAKER, "AUTH=<>", "", NULL },
    { SPEAKER, "AUTH=ann+2Blee", "", NULL },
};
static const struct parameter bad_mail_parameters[] = {
    { SIZE, "SIZE=2001", NULL, "552 5.3.4" },
    { SIZE, "SIZE=4294967297", NULL, "552 5.3.4" }, /* 1, to whom 32 bits are enough */
    { SIZE, "SIZE=18446744073709551617", NULL, "552 5.3.4" },
    { SIZE, "SIZE=123456789012345678901", NULL, "501" },
    { SIZE, "SIZE=", NULL, "501" },
    { SIZE, "SIZE=-1", NULL, "501" },
    { SIZE, "SIZE=1K", NULL, "501" },
    { BODY, "BODY=9BIT", NULL, "501" },
    { BODY, "BODY", NULL, "501" },
    { UTF8, "SMTPUTF8=yes", NULL, "501" },
    { RET, "RET=SOME", NULL, "501" },
    { ENVID, "ENVID=a+2", NULL, "501" },
    { ENVID, "ENVID=+zz", NULL, "501" },
    { OTHER, "FOO", NULL, "555" },
    { REQUIRETLS, "REQUIRETLS=1", NULL, "501" },
    { SPEAKER, "AUTH", NULL, "501" },
    { SPEAKER, "AUTH=a+2", NULL, "501" },
    { SPEAKER, "AUTH=a+0Ab", NULL, "501" },
    { SPEAKER, "AUTH=a+", NULL, "501" },
    { OTHER, "BY=120;R", NULL, "555" },
    { OTHER, "NOTIFY=NEVER", NULL, "555" },
    { OTHER, "=x", NULL, "501" },
    { OTHER, "-x=y", NULL, "501" },
};
static const struct parameter rcpt_parameters[] = {
    { NOTIFY, "NOTIFY=NEVER", "never", NULL },
    { NOTIFY, "NOTIFY=SUCCESS,FAILURE", "success failure", NULL },
    { NOTIFY, "NOTIFY=DELAY", "delay", NULL },
    { ORCPT, "ORCPT=rfc822;ann@example.com", "rfc822;ann@example.com", NULL },
    { ORCPT, "ORCPT=rfc822;a+2Bb@example.com", "rfc822;a+2Bb@example.com", NULL },
};
static const struct parameter bad_rcpt_parameters[] = {
    { NOTIFY, "NOTIFY=NEVER,SUCCESS", NULL, "501" },
    { NOTIFY, "NOTIFY=", NULL, "501" },
    { NOTIFY, "NOTIFY=ALWAYS", NULL, "501" },
    { NOTIFY, "NOTIFY=SUCCESS,", NULL, "501" },
    { ORCPT, "ORCPT=ann@example.com", NULL, "501" },
    { ORCPT, "ORCPT=rfc822;a+", NULL, "501" },
    { OTHER, "SIZE=1", NULL, "555" },
    { OTHER, "FOO=bar", NULL, "555" },
};

/* RFC 8689 2, 4954 5: what is not offered here and now is unknown, and nobody looks at its value. */
static const char *fault_of(const struct generator *g, const struct parameter *p)
{
    bool is_offered = p->keyword == REQUIRETLS ? g->secure : p->keyword != SPEAKER || g->offers_auth;
    return is_offered ? p->fault : "555";
}

/* Appends some, at most one of them faulty, and then the last. What is noted for each keyword is *values. */
static void put_parameters(struct generator *g, struct act *act, const struct parameter *good,
                           size_t good_count, const struct parameter *bad, size_t bad_count,
                           const char **values)
{
    while (act->fault == NULL && one_in(g, 3)) {
        const struct parameter *p = one_in(g, 8) ? &bad[below(g, bad_count)] : &good[below(g, good_count)];
        const char *fault = fault_of(g, p);
        bool is_bad = fault != NULL;
        bool again = p->keyword != OTHER && values[p->keyword] != NULL;
        if (again && is_bad)
            break; /* two faults, of which either could be told */
        act->fault = again ? "555" : fault;
        values[p->keyword] = p->value;
        g_string_append_c(act->wire, ' ');
        if (p->keyword == ENVID || p->keyword == SPEAKER ||
            p->keyword == ORCPT) /* whose values are xtext (RFC 3461 4): their case counts */
            g_string_append(act->wire, p->text);
        else
            put_keyword(g, act, p->text);
    }
}

/* ---- MAIL ---- */

static const struct sender {
    const char *path, *text;
    bool utf8;
    const char *fault;
} senders[] = {
    { "<carol@example.net>", "carol@example.net", false, NULL },
    { "<>", "", false, NULL },
    { "<\"car ol\"@example.net>", "\"car ol\"@example.net", false, NULL },
    { "<@a.example,@b.example:carol@example.net>", "carol@example.net", false, NULL },
    { "<carol=40x+tag@[IPv6:2001:db8::1]>", "carol=40x+tag@[IPv6:2001:db8::1]", false, NULL },
    { "<car\xc3\xb2l@example.net>", "car\xc3\xb2l@example.net", true, NULL },
    { "<carol@\xe4\xbe\x8b.example>", "carol@\xe4\xbe\x8b.example", true, NULL },
    { "carol@example.net", NULL, false, "501 5.1.7" },
    { "<carol@example.net", NULL, false, "501 5.1.7" },
    { "<carol>", NULL, false, "501 5.1.7" },
    { "<@example.net>", NULL, false, "501 5.1.7" },
    { "<carol@>", NULL, false, "501 5.1.7" },
    { "<car ol@example.net>", NULL, false, "501 5.1.7" },
    { "<carol..x@example.net>", NULL, false, "501 5.1.7" },
    { "<carol@example..net>", NULL, false, "501 5.1.7" },
    { "<carol@[192.0.2.256]>", NULL, false, "501 5.1.7" },
    { "<car\xffol@example.net>", NULL, false, "501 5.1.7" },         /* no UTF-8 */
    { "<car\xc3@example.net>", NULL, false, "501 5.1.7" },           /* cut short */
    { "<car\xed\xa0\x80@example.net>", NULL, false, "501 5.1.7" },   /* a surrogate */
    { "<car\xc0\xafol@example.net>", NULL, false, "501 5.1.7" },     /* a slash in two octets */
    { "<car\xe2\x80\xaeol@example.net>", NULL, false, "501 5.1.7" }, /* text turned round */
    { "<postmaster>", NULL, false, "501 5.1.7" },
};

static const char *const bad_mail[] = { "MAIL", "MAIL carol@example.net", "MAIL TO:<carol@example.net>",
                                        "MAIL FROM", "MAIL FROM <carol@example.net>" };

void generate_mail(struct generator *g, struct act *act)
{
    if (one_in(g, 16)) {
        act->fault = "501";
        put_line(g, act, *pick(g, bad_mail));
        return;
    }
    const struct sender *sender = one_in(g, 2) ? pick(g, senders) : &senders[0];
    const char *values[OTHER + 1] = { NULL };
    put_keyword(g, act, "MAIL FROM:");
    g_string_append(act->wire, sender->path);
    act->fault = sender->fault;
    put_parameters(g, act, mail_parameters, G_N_ELEMENTS(mail_parameters), bad_mail_parameters,
                   G_N_ELEMENTS(bad_mail_parameters), values);
    end_line(g, act);
    act->needs_utf8 = sender->utf8;
    act->utf8 = values[UTF8] != NULL;
    act->binary = g_strcmp0(values[BODY], "binarymime") == 0;
    if (act->fault == NULL)
        note_mail(act->envelope, sender->text,
                  values[SIZE] != NULL ? g_ascii_strtoull(values[SIZE], NULL, 10) : 0,
                  values[BODY] != NULL ? values[BODY] : "7bit", act->utf8, values[REQUIRETLS] != NULL,
                  values[RET] != NULL ? values[RET] : "-", values[ENVID] != NULL ? values[ENVID] : "-");
}

/* ---- RCPT ---- */

static const char *const bad_rcpt[] = {
    "RCPT",
    "RCPT ann@example.org",
    "RCPT FROM:<ann@example.org>",
    "RCPT TO:<>",
    "RCPT TO:ann@example.org",
    "RCPT TO:<ann@example.org",
    "RCPT TO:<ann@example.org>>",
    "RCPT TO:<ann@example.org><bob@example.org>",
    "RCPT TO:<ann>",
    "RCPT TO:<\"ann@example.org>",
    "RCPT TO:<ann@@example.org>",
    "RCPT TO:<.ann@example.org>",
    "RCPT TO:<ann@-example.org>",
    "RCPT TO:<ann\xf5@example.org>",
    "RCPT TO:<ann\xe2\x81\xa6@example.org>",
    "RCPT TO:<../../etc/passwd@example.org >",
    "RCPT TO:<;for i in 0 1 2;do read r;done;@example.org>", /* CVE-2020-7247 */
};

static void put_too_long_path(struct generator *g, struct act *act)
{
    put_keyword(g, act, "RCPT TO:<");
    for (int i = 0; i < 260; i++)
        g_string_append_c(act->wire, 'a');
    g_string_append(act->wire, "@example.org>");
    end_line(g, act);
}

void generate_rcpt(struct generator *g, struct act *act)
{
    if (one_in(g, 12)) {
        act->fault = "501";
        if (one_in(g, 20))
            put_too_long_path(g, act);
        else
            put_line(g, act, *pick(g, bad_rcpt));
        return;
    }
    act->recipient = &recipients[one_in(g, 2) ? below(g, recipient_count) : below(g, 2)];
    const char *values[OTHER + 1] = { NULL };
    put_keyword(g, act, "RCPT TO:");
    g_string_append(act->wire, act->recipient->path);
    put_parameters(g, act, rcpt_parameters, G_N_ELEMENTS(rcpt_parameters), bad_rcpt_parameters,
                   G_N_ELEMENTS(bad_rcpt_parameters), values);
    end_line(g, act);
    if (act->fault == NULL)
        note_rcpt(act->envelope, act->recipient->text, values[NOTIFY] != NULL ? values[NOTIFY] : "-",
                  values[ORCPT] != NULL ? values[ORCPT] : "-");
}
