/* From a slot to an effect: the texts of replies, and the addresses, parameters and facts of commands. */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "smtp/session_internal.h"

enum { FACTS_LINE = SMTP_FACTS_NAMES + 16 };

/* A line of EHLO, or none. */
static const char *render_facts(bool may, const char *verb, unsigned facts, char text[FACTS_LINE])
{
    char names[SMTP_FACTS_NAMES];
    text[0] = '\0';
    if (may)
        (void)snprintf(text, FACTS_LINE, "250-%s %s\r\n", verb, smtp_facts_names(facts, names));
    return text;
}

static bool offers_starttls(const struct smtp_session *s)
{
    return s->client.tls == SMTP_TLS_OFFERED || s->client.tls == SMTP_TLS_REQUIRED;
}

/* RFC 3207 4.2: STARTTLS not inside TLS; RFC 8689 2: REQUIRETLS nowhere else. */
static const char *render_tls(const struct smtp_session *s)
{
    return offers_starttls(s) ? "250-STARTTLS\r\n" : smtp_session_is_secure(s) ? "250-REQUIRETLS\r\n" : "";
}

/* RFC 5321 4.1.1.1: the name, then one extension a line. */
static size_t render_extensions(const struct smtp_session *s, char *text, size_t size)
{
    const struct smtp_limits *limits = &s->service->limits;
    const char *mechanisms = s->client.mechanisms;
    char xclient[FACTS_LINE], xforward[FACTS_LINE];
    int len = snprintf(text, size,
                       "250-%.255s\r\n250-PIPELINING\r\n250-SIZE %" PRIu64 "\r\n250-8BITMIME\r\n"
                       "250-CHUNKING\r\n250-BINARYMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
                       "250-LIMITS RCPTMAX=%" PRIu64 " MAILMAX=%" PRIu64
                       "\r\n%s%s%s%s%s%s250 ENHANCEDSTATUSCODES\r\n",
                       s->service->hostname, limits->message_size, limits->recipients, limits->messages,
                       render_tls(s), mechanisms != NULL ? "250-AUTH " : "",
                       mechanisms != NULL ? mechanisms : "", mechanisms != NULL ? "\r\n" : "",
                       render_facts(s->client.may_xclient, "XCLIENT", SMTP_XCLIENT_FACTS, xclient),
                       render_facts(s->client.may_xforward, "XFORWARD", SMTP_XFORWARD_FACTS, xforward));
    pst_assert(len > 0 && (size_t)len < size);
    return (size_t)len;
}

static size_t render(const struct smtp_session *s, const struct smtp_slot *slot, char *text, size_t size)
{
    bool lmtp = s->service->protocol == SMTP_PROTOCOL_LMTP;
    char greeting[SMTP_DOMAIN_MAX + 32], *end;
    const char *detail = (const char *)slot->bytes.data;
    switch (slot->outcome) {
    case SMTP_GREETING:
        end = mempcpy(greeting, s->service->hostname, strnlen(s->service->hostname, SMTP_DOMAIN_MAX));
        (void)stpcpy(end, lmtp ? " LMTP postern" : " ESMTP postern");
        detail = greeting;
        break;
    case SMTP_HELLO:
        if (!slice_equal_nocase(slot->bytes, "HELO"))
            return render_extensions(s, text, size);
        detail = s->service->hostname;
        break;
    case SMTP_NEEDS_HELO:
    case SMTP_WRONG_HELO:
        detail = lmtp ? "LHLO" : "EHLO";
        break;
    case SMTP_AUTH_CHALLENGE: /* which may be longer than other details */
        return (size_t)snprintf(text, size, "334 %s\r\n", detail);
    case SMTP_HELP:
        (void)snprintf(greeting, sizeof greeting, "%s%s%s", lmtp ? "LHLO" : "EHLO HELO",
                       offers_starttls(s) ? " STARTTLS" : "", s->client.mechanisms != NULL ? " AUTH" : "");
        detail = greeting;
        break;
    default:
        break;
    }
    return smtp_outcome_format(slot->outcome, detail, text, size);
}

/* The address is copied from the command line only now, so that no session keeps room for one. */
static void fill_mail(const struct smtp_session *s, struct smtp_effect *e)
{
    smtp_path_address(&s->sender, e->bytes, &e->address);
    e->mail = s->mail;
}

static void fill_rcpt(const struct smtp_session *s, struct smtp_effect *e)
{
    smtp_path_address(&s->recipient, e->bytes, &e->address);
    e->ticket = s->ticket;
    e->rcpt = s->rcpt;
}

static void fill_auth(const struct smtp_session *s, struct smtp_effect *e)
{
    struct slice mechanism, rest;
    bool known = smtp_auth_read(s, e->bytes, &mechanism, &rest);
    pst_assert(known); /* as when the command was read */
    e->ticket = s->ticket;
    e->bytes = mechanism;
    e->has_initial = rest.len > 0;
    e->initial = slice_equal_nocase(rest, "=") ? slice_first(rest, 0) : rest;
}

static void fill_facts(struct smtp_effect *e, unsigned allowed)
{
    int r = smtp_facts_parse(e->bytes, allowed, e->text, sizeof e->text, &e->facts);
    pst_assert(r == 0); /* as when the command was read */
}

void smtp_effect_fill(const struct smtp_session *s, const struct smtp_slot *slot, struct smtp_effect *e)
{
    e->kind = slot->kind;
    e->outcome = slot->outcome;
    e->bytes = slot->bytes;
    switch (slot->kind) {
    case SMTP_EFFECT_WRITE:
        e->bytes = slice_of(e->text, render(s, slot, e->text, sizeof e->text));
        break;
    case SMTP_EFFECT_AUTH:
        fill_auth(s, e);
        break;
    case SMTP_EFFECT_MAIL:
        fill_mail(s, e);
        break;
    case SMTP_EFFECT_RCPT:
        fill_rcpt(s, e);
        break;
    case SMTP_EFFECT_XCLIENT:
        fill_facts(e, SMTP_XCLIENT_FACTS);
        break;
    case SMTP_EFFECT_XFORWARD:
        fill_facts(e, SMTP_XFORWARD_FACTS);
        break;
    case SMTP_EFFECT_FINISH:
    case SMTP_EFFECT_AUTH_RESPONSE:
        e->ticket = s->ticket;
        break;
    default:
        break;
    }
}
