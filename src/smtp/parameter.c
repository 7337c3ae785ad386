#include "smtp/parameter.h"

#include <errno.h>
#include <glib.h>

#include "base/number.h"
#include "smtp/address.h"
#include "smtp/command.h"
#include "smtp/xtext.h"

enum {
    SIZE_DIGITS_MAX = 20, /* RFC 1870 4: size-value = 1*20DIGIT */
    ENVID_MAX = 100,      /* RFC 3461 4.4 */
    ORCPT_MAX = 500,      /* RFC 3461 4.2 */
    AUTH_MAX = 500,       /* RFC 4954 3 */
};

/* One command's parameters while they are read. */
struct parse {
    struct smtp_mail_terms terms;
    bool utf8;
    struct smtp_mail_parameters mail;
    struct smtp_rcpt_parameters rcpt;
};

/* A keyword and what takes its value, which is empty when there was none: 0, -EBADMSG, -E2BIG, or -ENOENT:
 * not offered now. */
struct row {
    const char *keyword;
    size_t len;
    int (*take)(struct parse *p, struct slice value);
};

static int take_size(struct parse *p, struct slice value)
{
    if (value.len > SIZE_DIGITS_MAX)
        return -EBADMSG;
    int r = pst_parse_u64(value, p->terms.message_size, &p->mail.size);
    return r == -ERANGE ? -E2BIG : r < 0 ? -EBADMSG : 0;
}

static int take_body(struct parse *p, struct slice value)
{
    if (slice_equal_nocase(value, "8BITMIME"))
        p->mail.body = SMTP_BODY_8BITMIME;
    else if (slice_equal_nocase(value, "BINARYMIME"))
        p->mail.body = SMTP_BODY_BINARYMIME;
    else if (!slice_equal_nocase(value, "7BIT"))
        return -EBADMSG;
    return 0;
}

/* RFC 6531 3.4: the parameter does not accept a value. */
static int take_smtputf8(struct parse *p, struct slice value)
{
    p->mail.utf8 = true;
    return value.len == 0 ? 0 : -EBADMSG;
}

/* RFC 8689 2: offered and taken inside TLS alone; without a value. */
static int take_requiretls(struct parse *p, struct slice value)
{
    if (!p->terms.secure)
        return -ENOENT;
    p->mail.require_tls = true;
    return value.len == 0 ? 0 : -EBADMSG;
}

/*
 * RFC 4954 5: "<>", or a Mailbox, as xtext. Nobody is trusted to speak for others, so nothing comes of it;
 * and no mail is refused because of what Dovecot's submission server puts there, a user's name without a
 * domain.
 */
static int take_auth(struct parse *p, struct slice value)
{
    char text[AUTH_MAX];
    if (!p->terms.auth)
        return -ENOENT;
    int len = smtp_xtext_decode(value, text, sizeof text);
    for (int i = 0; i < len; i++)
        if (g_ascii_iscntrl(text[i]))
            return -EBADMSG;
    return len > 0 ? 0 : -EBADMSG;
}

static int take_ret(struct parse *p, struct slice value)
{
    if (slice_equal_nocase(value, "FULL"))
        p->mail.ret = SMTP_RET_FULL;
    else if (slice_equal_nocase(value, "HDRS"))
        p->mail.ret = SMTP_RET_HDRS;
    else
        return -EBADMSG;
    return 0;
}

/* RFC 3461 4.2, 4.4: before it was encoded, the value consists of printable ASCII and blanks, for it goes
 * into the fields of a notification. */
static bool is_printable_xtext(struct slice value)
{
    char text[ORCPT_MAX];
    int len = smtp_xtext_decode(value, text, sizeof text);
    for (int i = 0; i < len; i++)
        if (!g_ascii_isprint(text[i]))
            return false;
    return len > 0;
}

static int take_envid(struct parse *p, struct slice value)
{
    if (value.len > ENVID_MAX || !is_printable_xtext(value))
        return -EBADMSG;
    p->mail.envid = value;
    return 0;
}

static unsigned notify_item(struct slice item)
{
    static const struct {
        const char *name;
        unsigned bit;
    } items[] = {
        { "SUCCESS", SMTP_NOTIFY_SUCCESS },
        { "FAILURE", SMTP_NOTIFY_FAILURE },
        { "DELAY", SMTP_NOTIFY_DELAY },
        { "NEVER", SMTP_NOTIFY_NEVER },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++)
        if (slice_equal_nocase(item, items[i].name))
            return items[i].bit;
    return 0;
}

/* RFC 3461 4.1: NEVER alone, or a list of the others. */
static int take_notify(struct parse *p, struct slice value)
{
    unsigned notify = 0;
    for (size_t at = 0, comma; at <= value.len; at = comma + 1) {
        comma = slice_find(value, at, ',');
        unsigned bit = notify_item(slice_first(slice_skip(value, at), comma - at));
        if (bit == 0 || (notify & bit) != 0)
            return -EBADMSG;
        notify |= bit;
    }
    if ((notify & SMTP_NOTIFY_NEVER) != 0 && notify != SMTP_NOTIFY_NEVER)
        return -EBADMSG;
    p->rcpt.notify = notify;
    return 0;
}

/* RFC 3461 4.2: addr-type is an atom of RFC 822. */
static bool is_atom(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!g_ascii_isgraph((char)text.data[i]) || strchr("()<>@,;:\\\".[]", text.data[i]) != NULL)
            return false;
    return text.len > 0;
}

/* What stands inside "\x{...}": one of the ASCII characters that an address may have but this form not, or a
 * character above ASCII that an address may have. The grammar also has others. */
static bool is_hexpoint(struct slice digits)
{
    if (digits.len < 2 || digits.len > 6 || digits.data[0] == '0')
        return false;
    gunichar point = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (!g_ascii_isxdigit((char)digits.data[i]))
            return false;
        point = point * 16 + (gunichar)g_ascii_xdigit_value((char)digits.data[i]);
    }
    bool is_special = point == ' ' || point == '+' || point == '=' || point == '\\';
    char text[6]; /* as much as GLib may write */
    return is_special || smtp_utf8_len(slice_of(text, (size_t)g_unichar_to_utf8(point, text))) > 0;
}

/* "\x{...}" at the start of `text`: its length, or 0 where it is not well-formed. */
static size_t embedded_len(struct slice text)
{
    static const char start[] = "\\x{";
    size_t end = slice_find(text, 0, '}'), before = sizeof start - 1;
    if (end == text.len || end < before || memcmp(text.data, start, before) != 0)
        return 0;
    return is_hexpoint(slice_of(text.data + before, end - before)) ? end + 1 : 0;
}

/*
 * RFC 6533 3: utf-8-addr-xtext is ASCII with "\x{HEX}" for what else there is, and made for clients and
 * servers without SMTPUTF8. With it, the octets of UTF-8 may stand there themselves, and "+", which the form
 * for SMTPUTF8 alone (utf-8-address) does not encode.
 */
static bool is_utf8_address(struct slice text, bool utf8)
{
    if (text.len == 0)
        return false;
    for (size_t at = 0, len; at < text.len; at += len) {
        uint8_t byte = text.data[at];
        if (byte == '\\')
            len = embedded_len(slice_skip(text, at));
        else if (byte >= 0x80)
            len = utf8 ? smtp_utf8_len(slice_skip(text, at)) : 0;
        else
            len = byte != '+' || utf8;
        if (len == 0)
            return false;
    }
    return true;
}

static int take_orcpt(struct parse *p, struct slice value)
{
    size_t semicolon = slice_find(value, 0, ';');
    struct slice type = slice_first(value, semicolon), address = slice_skip(value, semicolon + 1);
    if (value.len > ORCPT_MAX || !is_atom(type))
        return -EBADMSG;
    bool good =
        slice_equal_nocase(type, "utf-8") ? is_utf8_address(address, p->utf8) : is_printable_xtext(address);
    if (!good)
        return -EBADMSG;
    p->rcpt.orcpt = value;
    return 0;
}

#define KEYWORD(text) text, sizeof(text) - 1

/* Those that nearly every client sends come first. */
static const struct row mail_rows[] = {
    { KEYWORD("SIZE"), take_size },
    { KEYWORD("BODY"), take_body },
    { KEYWORD("SMTPUTF8"), take_smtputf8 },
    { KEYWORD("RET"), take_ret },
    { KEYWORD("ENVID"), take_envid },
    { KEYWORD("AUTH"), take_auth },
    { KEYWORD("REQUIRETLS"), take_requiretls },
};

static const struct row rcpt_rows[] = {
    { KEYWORD("NOTIFY"), take_notify },
    { KEYWORD("ORCPT"), take_orcpt },
};

static size_t find_row(const struct row *rows, size_t count, struct slice keyword)
{
    size_t i = 0;
    while (i < count &&
           (keyword.len != rows[i].len || !slice_begins_nocase(keyword, rows[i].keyword, rows[i].len)))
        i++;
    return i;
}

static enum smtp_outcome parse(struct parse *p, struct slice rest, const struct row *rows, size_t count,
                               enum smtp_outcome good)
{
    unsigned seen = 0;
    struct smtp_parameter one;
    int r;
    while ((r = smtp_parameter_next(&rest, &one)) > 0) {
        size_t i = find_row(rows, count, one.keyword);
        if (i == count || (seen & 1U << i) != 0)
            return SMTP_PARAMETER_UNKNOWN;
        seen |= 1U << i;
        r = rows[i].take(p, one.value);
        if (r < 0)
            return r == -E2BIG ? SMTP_TOO_BIG : r == -ENOENT ? SMTP_PARAMETER_UNKNOWN : SMTP_PARAMETER_SYNTAX;
    }
    return r < 0 ? SMTP_PARAMETER_SYNTAX : good;
}

enum smtp_outcome smtp_mail_parameters_parse(struct slice rest, const struct smtp_mail_terms *terms,
                                             struct smtp_mail_parameters *ret)
{
    struct parse p = { .terms = *terms };
    enum smtp_outcome outcome = parse(&p, rest, mail_rows, G_N_ELEMENTS(mail_rows), SMTP_SENDER_OK);
    if (outcome == SMTP_SENDER_OK)
        *ret = p.mail;
    return outcome;
}

enum smtp_outcome smtp_rcpt_parameters_parse(struct slice rest, bool utf8, struct smtp_rcpt_parameters *ret)
{
    struct parse p = { .utf8 = utf8 };
    enum smtp_outcome outcome = parse(&p, rest, rcpt_rows, G_N_ELEMENTS(rcpt_rows), SMTP_RECIPIENT_OK);
    if (outcome == SMTP_RECIPIENT_OK)
        *ret = p.rcpt;
    return outcome;
}
