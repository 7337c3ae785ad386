#include "smtp/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>

#include "base/assert.h"
#include "base/number.h"

/* ---- characters ---- */

enum {
    ATEXT = 1, /* RFC 5322 3.2.3 */
    LDH = 2,   /* of labels: letters, digits, hyphens; and underscores, see skip_labels() */
    ALNUM = 4,
};

static const uint8_t classes[256] = {
    ['0' ... '9'] = ATEXT | LDH | ALNUM,
    ['A' ... 'Z'] = ATEXT | LDH | ALNUM,
    ['a' ... 'z'] = ATEXT | LDH | ALNUM,
    ['-'] = ATEXT | LDH,
    ['_'] = ATEXT | LDH,
    ['!'] = ATEXT,
    ['#'] = ATEXT,
    ['$'] = ATEXT,
    ['%'] = ATEXT,
    ['&'] = ATEXT,
    ['\''] = ATEXT,
    ['*'] = ATEXT,
    ['+'] = ATEXT,
    ['/'] = ATEXT,
    ['='] = ATEXT,
    ['?'] = ATEXT,
    ['^'] = ATEXT,
    ['`'] = ATEXT,
    ['{'] = ATEXT,
    ['|'] = ATEXT,
    ['}'] = ATEXT,
    ['~'] = ATEXT,
};

static bool is_alnum(uint8_t byte)
{
    return (classes[byte] & ALNUM) != 0;
}

/* U+FDD0 to U+FDEF, and the last two of every plane. */
static bool is_noncharacter(gunichar c)
{
    return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

/* What turns the direction of the text behind it: U+202A to U+202E, U+2066 to U+2069. No address needs them,
 * and a reader may see another one than there is. */
static bool turns_text(gunichar c)
{
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t smtp_utf8_len(struct slice text)
{
    if (text.len == 0 || text.data[0] < 0x80)
        return 0;
    /* Errors are the numbers -1 and -2, which lie above all characters. */
    gunichar c = g_utf8_get_char_validated((const char *)text.data, (gssize)text.len);
    if (c > 0x10ffff || c < 0xa0 || c == 0x2028 || c == 0x2029 || turns_text(c) || is_noncharacter(c))
        return 0;
    return (size_t)g_unichar_to_utf8(c, NULL);
}

/* ---- a reader of one text: what is below moves `at` over what it recognizes, or returns an error ---- */

struct cursor {
    const uint8_t *at, *end;
    bool non_ascii; /* a character above ASCII was met */
};

static struct cursor cursor_of(struct slice text)
{
    return (struct cursor){ .at = text.data, .end = slice_skip(text, text.len).data };
}

static int peek(const struct cursor *c)
{
    return c->at < c->end ? *c->at : -1;
}

static bool take(struct cursor *c, char wanted)
{
    if (peek(c) != wanted)
        return false;
    c->at++;
    return true;
}

static struct slice since(const struct cursor *c, const uint8_t *start)
{
    return slice_of(start, (size_t)(c->at - start));
}

static bool skip_non_ascii(struct cursor *c)
{
    size_t len = smtp_utf8_len(slice_of(c->at, (size_t)(c->end - c->at)));
    c->at += len;
    c->non_ascii = c->non_ascii || len > 0;
    return len > 0;
}

/* Characters of the class, and those above ASCII, which RFC 6531 3.3 adds to each. */
static void skip_run(struct cursor *c, uint8_t class)
{
    do {
        while (c->at < c->end && (classes[*c->at] & class) != 0)
            c->at++;
    } while (c->at < c->end && *c->at >= 0x80 && skip_non_ascii(c));
}

/* ---- domains ---- */

/*
 * RFC 5321's sub-domain has letters, digits and hyphens, with neither hyphen at its ends. Underscores are
 * real, in host names that clients say in HELO as in addresses; they do no harm in a path or a header.
 */
static int skip_labels(struct cursor *c)
{
    do {
        const uint8_t *start = c->at;
        skip_run(c, LDH);
        if (c->at == start || *start == '-' || c->at[-1] == '-')
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
    const uint8_t *start = ++c->at;
    for (int byte; (byte = peek(c)) != ']'; c->at++)
        if (byte <= ' ' || byte >= 0x7f || byte == '[' || byte == '\\')
            return -EBADMSG;
    struct slice inner = since(c, start);
    c->at++;
    return literal_valid(inner) ? 0 : -EBADMSG;
}

static int skip_domain(struct cursor *c)
{
    c->non_ascii = false;
    return peek(c) == '[' ? skip_literal(c) : skip_labels(c);
}

static size_t count_dots(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '.';
    return count;
}

/*
 * IDNA2003, which GLib speaks, makes another name of these (the sharp s becomes ss) than IDNA2008, which RFC
 * 6531 asks for: not ours to guess whose domain that is. U+00DF, U+1E9E, U+03C2, U+200C, U+200D.
 */
static bool has_deviation(struct slice domain)
{
    static const char deviations[][4] = { "\u00df", "\u1e9e", "\u03c2", "\u200c", "\u200d" };
    for (size_t i = 0; i < G_N_ELEMENTS(deviations); i++)
        if (g_strstr_len((const char *)domain.data, (gssize)domain.len, deviations[i]) != NULL)
            return true;
    return false;
}

/* In lower case, but never of ASCII where it was not, as a Kelvin sign would be; and composed. */
static char *label_in_lower_case(const char *label)
{
    g_autoptr(GString) lower = g_string_new(NULL);
    for (; *label != '\0'; label = g_utf8_next_char(label)) {
        gunichar c = g_utf8_get_char(label), l = g_unichar_tolower(c);
        g_string_append_unichar(lower, c >= 0x80 && l < 0x80 ? c : l);
    }
    return g_utf8_normalize(lower->str, (gssize)lower->len, G_NORMALIZE_NFC);
}

/*
 * A U-label is what its A-label stands for (RFC 5890 2.3.2.1), but for case and composition. IDNA2003 makes
 * names also of what is none: it takes fullwidth letters for letters, and soft hyphens for nothing.
 */
static bool labels_agree(const char *text, const char *name)
{
    g_auto(GStrv) written = g_strsplit(text, ".", -1);
    g_auto(GStrv) ascii = g_strsplit(name, ".", -1);
    for (size_t i = 0; written[i] != NULL; i++) {
        if (g_str_is_ascii(written[i]))
            continue;
        g_autofree char *label = label_in_lower_case(written[i]);
        g_autofree char *u_label = g_hostname_to_unicode(ascii[i]);
        if (g_strcmp0(label, u_label) != 0)
            return false;
    }
    return true;
}

/*
 * U-labels to A-labels. What GLib makes of them must still be the Domain that was written, for it takes full
 * stops of other scripts for dots, and makes ASCII of what looks like it. (Of one with deviations it cannot
 * be; that is still an address, and smtp_domain_canonical() has no name for it.) A label at the end shows a
 * dot in front of it, which GLib would drop from the end of a name.
 */
static int domain_to_ascii(struct slice domain, char ret_name[SMTP_DOMAIN_MAX + 1])
{
    static const char end[] = ".end";
    if (domain.len > SMTP_DOMAIN_MAX)
        return -E2BIG;
    char text[SMTP_DOMAIN_MAX + sizeof end];
    memcpy(text, domain.data, domain.len);
    memcpy(text + domain.len, end, sizeof end);
    g_autofree char *name = g_hostname_to_ascii(text);
    if (name == NULL || !g_str_has_suffix(name, end) || count_dots(name) != count_dots(text))
        return -EBADMSG;
    size_t len = strlen(name) - strlen(end);
    if (!smtp_domain_valid(slice_of(name, len)) || (!has_deviation(domain) && !labels_agree(text, name)))
        return -EBADMSG;
    memcpy(ret_name, name, len);
    ret_name[len] = '\0';
    return 0;
}

static int read_domain(struct cursor *c, struct slice *ret_domain)
{
    const uint8_t *start = c->at;
    int r = skip_domain(c);
    char name[SMTP_DOMAIN_MAX + 1];
    if (r == 0 && c->non_ascii)
        r = domain_to_ascii(since(c, start), name);
    if (r == 0)
        *ret_domain = since(c, start);
    return r;
}

/* Within brackets a source route could stand in front of it. */
int smtp_address_parse(struct slice text, struct smtp_address *ret_address)
{
    char in_brackets[SMTP_PATH_MAX];
    if (text.len + 2 > sizeof in_brackets)
        return -E2BIG;
    if (text.len == 0 || text.data[0] == '@')
        return -EBADMSG;
    in_brackets[0] = '<';
    memcpy(in_brackets + 1, text.data, text.len);
    in_brackets[text.len + 1] = '>';
    const struct slice whole = slice_of(in_brackets, text.len + 2);
    struct smtp_path path;
    int r = smtp_path_read(whole, &path);
    if (r < 0 || path.len < whole.len || path.domain_len == 0)
        return r < 0 ? r : -EBADMSG;
    smtp_path_address(&path, whole, ret_address);
    return 0;
}

bool smtp_domain_valid(struct slice text)
{
    struct cursor c = cursor_of(text);
    return skip_domain(&c) == 0 && c.at == c.end && !c.non_ascii && text.len <= SMTP_DOMAIN_MAX;
}

int smtp_domain_canonical(struct slice text, char ret_name[SMTP_DOMAIN_MAX + 1])
{
    struct cursor c = cursor_of(text);
    if (skip_domain(&c) < 0 || c.at < c.end)
        return -EBADMSG;
    if (c.non_ascii)
        return has_deviation(text) ? -EBADMSG : domain_to_ascii(text, ret_name);
    if (text.len > SMTP_DOMAIN_MAX)
        return -E2BIG;
    for (size_t i = 0; i < text.len; i++)
        ret_name[i] = g_ascii_tolower((char)text.data[i]);
    ret_name[text.len] = '\0';
    return 0;
}

/* ---- mailboxes and paths ---- */

/* The parts of an address in the text that it was read from. */
struct parts {
    struct slice local; /* if quoted: what is between the quotes, with its backslashes */
    bool quoted;
    bool ascii; /* both */
    struct slice domain;
};

static int skip_quoted(struct cursor *c)
{
    for (int byte; (byte = peek(c)) != '"';) {
        if (byte >= 0x80) {
            if (!skip_non_ascii(c))
                return -EBADMSG;
            continue;
        }
        if (byte == '\\') { /* quoted-pairSMTP: the octet behind it stands for itself */
            c->at++;
            byte = peek(c);
        }
        if (byte < ' ' || byte >= 0x7f)
            return -EBADMSG;
        c->at++;
    }
    return 0;
}

static int skip_dot_string(struct cursor *c)
{
    do {
        const uint8_t *start = c->at;
        skip_run(c, ATEXT);
        if (c->at == start)
            return -EBADMSG;
    } while (take(c, '.'));
    return 0;
}

static int read_local(struct cursor *c, struct parts *p)
{
    p->quoted = take(c, '"');
    const uint8_t *start = c->at;
    int r = p->quoted ? skip_quoted(c) : skip_dot_string(c);
    if (r < 0)
        return r;
    p->local = since(c, start);
    p->ascii = !c->non_ascii;
    if (p->quoted)
        c->at++;
    return 0;
}

static int read_domain_of(struct cursor *c, struct parts *p)
{
    int r = read_domain(c, &p->domain);
    p->ascii = p->ascii && !c->non_ascii;
    return r;
}

/* A-d-l: "@one.example,@two.example:". Nobody has written one since long before there were U-labels. */
static int skip_route(struct cursor *c)
{
    do {
        int r = take(c, '@') ? skip_labels(c) : -EBADMSG;
        if (r < 0)
            return r;
    } while (take(c, ','));
    return take(c, ':') && !c->non_ascii ? 0 : -EBADMSG;
}

static int read_path(struct cursor *c, struct parts *p)
{
    if (!take(c, '<'))
        return -EBADMSG;
    if (take(c, '>'))
        return 0;
    bool routed = peek(c) == '@';
    int r = routed ? skip_route(c) : 0;
    if (r == 0)
        r = read_local(c, p);
    if (r < 0)
        return r;
    if (take(c, '@'))
        r = read_domain_of(c, p);
    else if (routed || p->quoted || !slice_equal_nocase(p->local, "postmaster"))
        r = -EBADMSG; /* <Postmaster> is all that has no domain (RFC 5321 4.1.1.3) */
    return r < 0 || take(c, '>') ? r : -EBADMSG;
}

static size_t copy_unquoted(struct slice quoted, char *to)
{
    size_t len = 0;
    for (size_t i = 0; i < quoted.len; i++) {
        if (quoted.data[i] == '\\')
            i++;
        to[len++] = (char)quoted.data[i];
    }
    return len;
}

/* Only what lies in a path that is not too long comes here, and that fits. */
static void store(const struct parts *p, struct smtp_address *ret_address)
{
    _Static_assert(SMTP_PATH_MAX - 2 <= SMTP_LOCAL_MAX && SMTP_PATH_MAX - 2 <= SMTP_DOMAIN_MAX, "it fits");
    size_t local_len = p->local.len;
    if (p->quoted)
        local_len = copy_unquoted(p->local, ret_address->local);
    else
        memcpy(ret_address->local, p->local.data, local_len);
    memcpy(ret_address->domain, p->domain.data, p->domain.len);
    ret_address->local_len = (uint8_t)local_len;
    ret_address->domain_len = (uint8_t)p->domain.len;
}

int smtp_path_read(struct slice text, struct smtp_path *ret_path)
{
    struct cursor c = cursor_of(text);
    const struct slice none = slice_first(text, 0);
    struct parts p = { .local = none, .ascii = true, .domain = none };
    int r = read_path(&c, &p);
    if (r < 0)
        return r;
    size_t len = since(&c, text.data).len;
    if (len > SMTP_PATH_MAX)
        return -E2BIG;
    *ret_path = (struct smtp_path){
        .len = (uint16_t)len,
        .local = (uint16_t)(p.local.data - text.data),
        .local_len = (uint16_t)p.local.len,
        .domain = (uint16_t)(p.domain.data - text.data),
        .domain_len = (uint16_t)p.domain.len,
        .quoted = p.quoted,
        .ascii = p.ascii,
    };
    return 0;
}

void smtp_path_address(const struct smtp_path *path, struct slice text, struct smtp_address *ret_address)
{
    pst_assert(path->len <= text.len);
    struct parts p = {
        .local = slice_of(text.data + path->local, path->local_len),
        .quoted = path->quoted,
        .domain = slice_of(text.data + path->domain, path->domain_len),
    };
    store(&p, ret_address);
}

static bool local_is_dot_string(const struct smtp_address *a)
{
    struct cursor c = cursor_of(slice_of(a->local, a->local_len));
    return skip_dot_string(&c) == 0 && c.at == c.end;
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
