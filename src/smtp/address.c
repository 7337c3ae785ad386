#include "smtp/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>

#include "base/number.h"

/* A reader of one text: everything below moves `at` forward over what it recognizes, or returns an error. */
struct cursor {
    struct slice text;
    size_t at;
};

static int peek(const struct cursor *c)
{
    return c->at < c->text.len ? c->text.data[c->at] : -1;
}

static bool take(struct cursor *c, char wanted)
{
    if (peek(c) != wanted)
        return false;
    c->at++;
    return true;
}

static bool is_alnum(int byte)
{
    return byte >= 0 && byte < 0x80 && g_ascii_isalnum((char)byte);
}

/* RFC 5322 3.2.3 */
static bool is_atext(int byte)
{
    return is_alnum(byte) || (byte > ' ' && byte < 0x7f && strchr("!#$%&'*+-/=?^_`{|}~", byte) != NULL);
}

/*
 * RFC 5321's sub-domain has letters, digits and hyphens, with neither hyphen at its ends. Underscores are
 * real, in host names that clients say in HELO as in addresses; they do no harm in a path or a header.
 */
static bool is_label(int byte)
{
    return is_alnum(byte) || byte == '_';
}

static int skip_labels(struct cursor *c)
{
    do {
        if (!is_label(peek(c)))
            return -EBADMSG;
        while (is_label(peek(c)) || peek(c) == '-')
            c->at++;
        if (c->text.data[c->at - 1] == '-')
            return -EBADMSG;
    } while (take(c, '.'));
    return 0;
}

/* RFC 5321 4.1.3: Snum = 1*3DIGIT, so that zeros may stand in front, which inet_pton does not take. */
static bool ipv4_valid(struct slice text)
{
    for (int numbers = 0; numbers < 4; numbers++) {
        size_t end = slice_find(text, 0, '.');
        uint64_t number;
        if (end > 3 || pst_parse_u64(slice_first(text, end), 255, &number) < 0 ||
            (end == text.len) != (numbers == 3))
            return false;
        text = slice_skip(text, end + 1);
    }
    return true;
}

static bool ipv6_valid(struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return memchr(copy, '\0', text.len) == NULL && inet_pton(AF_INET6, copy, &parsed) == 1;
}

/* General-address-literal: a tag (Ldh-str), a colon, and dcontent. */
static bool general_valid(struct slice text, size_t colon)
{
    for (size_t i = 0; i < colon; i++)
        if (!is_alnum(text.data[i]) && text.data[i] != '-')
            return false;
    return colon > 0 && text.data[colon - 1] != '-' && colon + 1 < text.len;
}

static bool literal_valid(struct slice inner)
{
    static const char ipv6[] = "IPv6:";
    if (slice_has_prefix_nocase(inner, ipv6))
        return ipv6_valid(slice_skip(inner, sizeof ipv6 - 1));
    size_t colon = slice_find(inner, 0, ':');
    return colon < inner.len ? general_valid(inner, colon) : ipv4_valid(inner);
}

static int skip_literal(struct cursor *c)
{
    size_t start = ++c->at;
    for (int byte; (byte = peek(c)) != ']'; c->at++)
        if (byte <= ' ' || byte >= 0x7f || byte == '[' || byte == '\\')
            return -EBADMSG;
    struct slice inner = slice_of(c->text.data + start, c->at - start);
    c->at++;
    return literal_valid(inner) ? 0 : -EBADMSG;
}

static int read_domain(struct cursor *c, struct smtp_address *a)
{
    size_t start = c->at;
    int r = peek(c) == '[' ? skip_literal(c) : skip_labels(c);
    if (r < 0)
        return r;
    size_t len = c->at - start;
    if (len > SMTP_DOMAIN_MAX)
        return -E2BIG;
    memcpy(a->domain, c->text.data + start, len);
    a->domain_len = (uint8_t)len;
    return 0;
}

static int put_local(struct smtp_address *a, int byte)
{
    if (a->local_len == SMTP_LOCAL_MAX)
        return -E2BIG;
    a->local[a->local_len++] = (char)byte;
    return 0;
}

static int read_quoted(struct cursor *c, struct smtp_address *a)
{
    c->at++;
    while (!take(c, '"')) {
        (void)take(c, '\\'); /* quoted-pairSMTP: the octet behind it stands for itself */
        int byte = peek(c);
        if (byte < ' ' || byte >= 0x7f)
            return -EBADMSG;
        int r = put_local(a, byte);
        if (r < 0)
            return r;
        c->at++;
    }
    return 0;
}

static int read_dot_string(struct cursor *c, struct smtp_address *a)
{
    for (;;) {
        if (!is_atext(peek(c)))
            return -EBADMSG;
        for (; is_atext(peek(c)); c->at++) {
            int r = put_local(a, peek(c));
            if (r < 0)
                return r;
        }
        if (!take(c, '.'))
            return 0;
        int r = put_local(a, '.');
        if (r < 0)
            return r;
    }
}

static int read_local(struct cursor *c, struct smtp_address *a)
{
    return peek(c) == '"' ? read_quoted(c, a) : read_dot_string(c, a);
}

static int read_mailbox(struct cursor *c, struct smtp_address *a)
{
    int r = read_local(c, a);
    if (r < 0)
        return r;
    return take(c, '@') ? read_domain(c, a) : -EBADMSG;
}

/* A-d-l: "@one.example,@two.example:" */
static int skip_route(struct cursor *c)
{
    do {
        int r = take(c, '@') ? skip_labels(c) : -EBADMSG;
        if (r < 0)
            return r;
    } while (take(c, ','));
    return take(c, ':') ? 0 : -EBADMSG;
}

static bool is_bare_postmaster(const struct cursor *c)
{
    static const char name[] = "postmaster>";
    return slice_has_prefix_nocase(slice_skip(c->text, c->at), name);
}

static int read_path(struct cursor *c, struct smtp_address *a)
{
    if (!take(c, '<'))
        return -EBADMSG;
    if (take(c, '>'))
        return 0;
    if (is_bare_postmaster(c)) {
        (void)read_dot_string(c, a); /* letters, as was just seen */
    } else {
        int r = peek(c) == '@' ? skip_route(c) : 0;
        if (r >= 0)
            r = read_mailbox(c, a);
        if (r < 0)
            return r;
    }
    return take(c, '>') ? 0 : -EBADMSG;
}

int smtp_path_parse(struct slice text, struct smtp_address *ret_address, size_t *ret_len)
{
    struct cursor c = { .text = text };
    struct smtp_address a;
    a.local_len = a.domain_len = 0;
    int r = read_path(&c, &a);
    if (r < 0)
        return r;
    if (c.at > SMTP_PATH_MAX)
        return -E2BIG;
    *ret_address = a;
    *ret_len = c.at;
    return 0;
}

int smtp_address_parse(struct slice text, struct smtp_address *ret_address)
{
    struct cursor c = { .text = text };
    struct smtp_address a;
    a.local_len = a.domain_len = 0;
    int r = read_mailbox(&c, &a);
    if (r < 0)
        return r;
    if (c.at < text.len)
        return -EBADMSG;
    if (c.at > SMTP_PATH_MAX - 2)
        return -E2BIG;
    *ret_address = a;
    return 0;
}

bool smtp_domain_valid(struct slice text)
{
    struct cursor c = { .text = text };
    struct smtp_address a;
    return read_domain(&c, &a) == 0 && c.at == text.len;
}

static bool local_is_dot_string(const struct smtp_address *a)
{
    struct cursor c = { .text = slice_of(a->local, a->local_len) };
    struct smtp_address scratch;
    scratch.local_len = 0;
    return read_dot_string(&c, &scratch) == 0 && c.at == a->local_len;
}

const char *smtp_address_format(const struct smtp_address *a, char text[SMTP_ADDRESS_TEXT])
{
    char *to = text;
    if (!smtp_address_is_null(a)) {
        bool quote = !local_is_dot_string(a);
        if (quote)
            *to++ = '"';
        for (size_t i = 0; i < a->local_len; i++) {
            if (a->local[i] == '"' || a->local[i] == '\\')
                *to++ = '\\';
            *to++ = a->local[i];
        }
        if (quote)
            *to++ = '"';
        if (a->domain_len > 0)
            *to++ = '@';
        memcpy(to, a->domain, a->domain_len);
        to += a->domain_len;
    }
    *to = '\0';
    return text;
}
