#include "smtp/facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <string.h>

#include "base/assert.h"
#include "base/number.h"
#include "smtp/address.h"
#include "smtp/xtext.h"

/* A decoded value: printable ASCII, and a C string. */
struct value {
    char text[SMTP_FACT_MAX + 1];
    size_t len;
};

static struct slice as_slice(const struct value *v)
{
    return slice_of(v->text, v->len);
}

static void set(struct value *v, const char *text)
{
    v->len = g_strlcpy(v->text, text, sizeof v->text);
    pst_assert(v->len < sizeof v->text);
}

/* The checks of the kinds: true when the value is good, which is then as facts.h promises it. */

/*
 * What XFORWARD tells is for the log, and XFORWARD_README lets it be anything there: names that no host has,
 * an address that is none, the protocol of another world. A client's HELO was what it was, too.
 */
static bool check_text(struct value *v, unsigned allowed)
{
    (void)v;
    (void)allowed;
    return true;
}

static bool check_host(struct value *v, unsigned allowed)
{
    return allowed == SMTP_XFORWARD_FACTS || (v->text[0] != '[' && smtp_domain_valid(as_slice(v)));
}

/* An IPv4 client of a socket for both is the same client. */
static void set_ipv6(struct value *v, const struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];
    bool mapped = IN6_IS_ADDR_V4MAPPED(address);
    set(v, mapped ? inet_ntop(AF_INET, &address->s6_addr[12], text, sizeof text)
                  : inet_ntop(AF_INET6, address, text, sizeof text));
}

/* "IPV6:" stands before an IPv6 address; it is missed by none who reads one, so it may be absent. */
static bool check_address(struct value *v, unsigned allowed)
{
    static const char prefix[] = "IPV6:";
    bool prefixed = slice_has_prefix_nocase(as_slice(v), prefix);
    struct in_addr ipv4;
    if (!prefixed && inet_pton(AF_INET, v->text, &ipv4) == 1)
        return true; /* inet_pton() takes no other form than the one that inet_ntop() writes */
    struct in6_addr ipv6;
    if (inet_pton(AF_INET6, prefixed ? v->text + strlen(prefix) : v->text, &ipv6) != 1)
        return allowed == SMTP_XFORWARD_FACTS;
    set_ipv6(v, &ipv6);
    return true;
}

static bool check_port(struct value *v, unsigned allowed)
{
    (void)allowed;
    uint64_t port;
    return v->text[0] != '0' && pst_parse_u64(as_slice(v), UINT16_MAX, &port) == 0;
}

/* One of `words`, which ends in NULL; written as there. */
static bool check_word(struct value *v, const char *const *words)
{
    while (*words != NULL && !slice_equal_nocase(as_slice(v), *words))
        words++;
    if (*words == NULL)
        return false;
    set(v, *words);
    return true;
}

static bool check_protocol(struct value *v, unsigned allowed)
{
    static const char *const words[] = { "SMTP", "ESMTP", NULL };
    enum { OTHER_MAX = 64 }; /* XFORWARD_README */
    return check_word(v, words) || (allowed == SMTP_XFORWARD_FACTS && v->len <= OTHER_MAX);
}

static bool check_source(struct value *v, unsigned allowed)
{
    (void)allowed;
    static const char *const words[] = { "LOCAL", "REMOTE", NULL };
    return check_word(v, words);
}

static const struct row {
    const char *name;
    bool (*check)(struct value *v, unsigned allowed);
} rows[SMTP_FACTS] = {
    [SMTP_FACT_NAME] = { "NAME", check_host },
    [SMTP_FACT_ADDR] = { "ADDR", check_address },
    [SMTP_FACT_PORT] = { "PORT", check_port },
    [SMTP_FACT_PROTO] = { "PROTO", check_protocol },
    [SMTP_FACT_HELO] = { "HELO", check_text },
    [SMTP_FACT_LOGIN] = { "LOGIN", check_text },
    [SMTP_FACT_DESTADDR] = { "DESTADDR", check_address },
    [SMTP_FACT_DESTPORT] = { "DESTPORT", check_port },
    [SMTP_FACT_IDENT] = { "IDENT", check_text },
    [SMTP_FACT_SOURCE] = { "SOURCE", check_source },
};

static unsigned find_fact(struct slice name, unsigned allowed)
{
    unsigned fact = 0;
    while (fact < SMTP_FACTS &&
           !((allowed & SMTP_FACT_BIT(fact)) != 0 && slice_equal_nocase(name, rows[fact].name)))
        fact++;
    return fact;
}

/* The specials are never encoded: what decodes to one is a value. That the lookup of a name may succeed
 * later is said of no other attribute. */
static bool is_unavailable(unsigned fact, struct slice encoded)
{
    return slice_equal_nocase(encoded, "[UNAVAILABLE]") ||
           (fact == SMTP_FACT_NAME && slice_equal_nocase(encoded, "[TEMPUNAVAIL]"));
}

/* XFORWARD_README, note 1: at most 255 octets; decoded, no controls or octets above ASCII. */
static bool decode(struct slice encoded, struct value *v)
{
    int len = smtp_xtext_decode(encoded, v->text, SMTP_FACT_MAX);
    for (int i = 0; i < len; i++)
        if (!g_ascii_isprint(v->text[i]))
            return false;
    if (len <= 0)
        return false;
    v->len = (size_t)len;
    v->text[len] = '\0';
    return true;
}

static int take(struct smtp_facts *facts, struct slice attribute, unsigned allowed, char *text, size_t *used)
{
    size_t equals = slice_find(attribute, 0, '=');
    unsigned fact = find_fact(slice_first(attribute, equals), allowed);
    if (fact == SMTP_FACTS || (facts->given & SMTP_FACT_BIT(fact)) != 0)
        return -EBADMSG;
    facts->given |= SMTP_FACT_BIT(fact);
    struct slice encoded = slice_skip(attribute, equals + 1);
    if (is_unavailable(fact, encoded)) {
        facts->unavailable |= SMTP_FACT_BIT(fact);
        return 0;
    }
    struct value value;
    if (!decode(encoded, &value) || !rows[fact].check(&value, allowed))
        return -EBADMSG;
    pst_assert(value.len <= SMTP_FACTS_TEXT - *used);
    memcpy(text + *used, value.text, value.len);
    facts->value[fact] = slice_of(text + *used, value.len);
    *used += value.len;
    return 0;
}

int smtp_facts_parse(struct slice argument, unsigned allowed, char *text, size_t size, struct smtp_facts *ret)
{
    pst_assert(size >= SMTP_FACTS_TEXT);
    struct smtp_facts facts = { 0 };
    size_t used = 0;
    for (size_t at = 0, end; at < argument.len; at = end + 1) {
        end = slice_find(argument, at, ' ');
        if (end == at)
            continue;
        int r = take(&facts, slice_of(argument.data + at, end - at), allowed, text, &used);
        if (r < 0)
            return r;
    }
    if (facts.given == 0)
        return -EBADMSG;
    *ret = facts;
    return 0;
}

const char *smtp_facts_names(unsigned allowed, char text[SMTP_FACTS_NAMES])
{
    text[0] = '\0';
    for (unsigned fact = 0; fact < SMTP_FACTS; fact++)
        if ((allowed & SMTP_FACT_BIT(fact)) != 0) {
            (void)g_strlcat(text, text[0] != '\0' ? " " : "", SMTP_FACTS_NAMES);
            size_t len = g_strlcat(text, rows[fact].name, SMTP_FACTS_NAMES);
            pst_assert(len < SMTP_FACTS_NAMES);
        }
    return text;
}

void smtp_facts_take_client(const struct smtp_facts *f, char *client, size_t size)
{
    struct slice address = f->value[SMTP_FACT_ADDR];
    if ((f->unavailable & SMTP_FACT_BIT(SMTP_FACT_ADDR)) != 0)
        address = slice_str("unknown");
    if (address.len == 0)
        return;
    size_t len = address.len < size ? address.len : size - 1;
    memcpy(client, address.data, len);
    client[len] = '\0';
}
