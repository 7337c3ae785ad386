#include "phrase.h"

#include <glib.h>

#include "sim.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static void worsen(struct phrase *p, enum phrase_form form)
{
    p->form = MAX(p->form, form);
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

/* ---- domains and paths ---- */

static enum phrase_form judge_literal(struct slice text)
{
    for (size_t i = 1; i + 1 < text.len; i++)
        if (!g_ascii_isdigit(text.data[i]) && text.data[i] != '.')
            return PHRASE_UNSURE;
    g_autofree char *inner = g_strndup((const char *)text.data + 1, text.len - 2);
    return g_hostname_is_ip_address(inner) ? PHRASE_GOOD : PHRASE_UNSURE;
}

/* RFC 5321 4.1.2, of ASCII; and the underscore, which is real. */
static enum phrase_form judge_domain(struct slice text)
{
    if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
        return judge_literal(text);
    uint8_t before = '.';
    for (size_t i = 0; i < text.len; before = text.data[i++]) {
        uint8_t c = text.data[i];
        if (c >= 0x80)
            return PHRASE_UNSURE;
        if (!g_ascii_isalnum(c) && c != '-' && c != '_' && c != '.')
            return PHRASE_BAD;
        if ((before == '.' && (c == '.' || c == '-')) || (before == '-' && c == '.'))
            return PHRASE_BAD;
    }
    return text.len == 0 || text.len > 255 || before == '.' || before == '-' ? PHRASE_BAD : PHRASE_GOOD;
}

static bool is_atom(struct slice text)
{
    bool begins = true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool is_dot = c == '.';
        if ((begins && is_dot) || c <= ' ' || c == 0x7f || strchr("()<>[]:;@\\,\"", c) != NULL)
            return false;
        begins = is_dot;
    }
    return !begins;
}

struct path {
    size_t len; /* with its brackets; 0: it is none */
    bool is_null;
    GString *local; /* without quotes */
    struct slice domain;
};

/* What is quoted, into `local`; the octets with both quotes, or 0. */
static size_t read_quoted(struct slice text, GString *local)
{
    for (size_t i = 1; i < text.len; i++) {
        if (text.data[i] == '"')
            return i + 1;
        if (text.data[i] == '\\' && ++i == text.len)
            break;
        g_string_append_c(local, (char)text.data[i]);
    }
    return 0;
}

static size_t read_local(struct slice text, GString *local)
{
    if (text.len > 0 && text.data[0] == '"')
        return read_quoted(text, local);
    size_t end = 0;
    while (end < text.len && text.data[end] != '@' && text.data[end] != '>')
        end++;
    if (!is_atom(slice_first(text, end)))
        return 0;
    g_string_append_len(local, (const char *)text.data, (gssize)end);
    return end;
}

static size_t route_len(struct slice text)
{
    return text.len > 0 && text.data[0] == '@' ? slice_find(text, 0, ':') + 1 : 0;
}

static void read_path(struct slice text, struct path *ret)
{
    if (text.len < 2 || text.data[0] != '<')
        return;
    if (text.data[1] == '>') {
        ret->is_null = true;
        ret->len = 2;
        return;
    }
    size_t at = 1 + route_len(slice_skip(text, 1));
    size_t local = read_local(slice_skip(text, at), ret->local);
    at += local;
    size_t end = slice_find(text, at, '>');
    if (local == 0 || end == text.len)
        return;
    if (text.data[at] == '@')
        ret->domain = slice_first(slice_skip(text, at + 1), end - at - 1);
    else if (at < end)
        return;
    ret->len = end + 1;
}

/* ---- who that is ---- */

static unsigned box_bit(const char *name)
{
    for (unsigned i = 0; i < SIM_BOXES; i++)
        if (strcmp(sim_boxes[i], name) == 0)
            return 1U << i;
    return 0;
}

/* Names are the same in all cases, composed or not. */
static unsigned boxes_of(const char *local)
{
    g_autofree char *composed = g_utf8_normalize(local, -1, G_NORMALIZE_NFC);
    g_autofree char *name = composed != NULL ? g_utf8_strdown(composed, -1) : g_strdup("");
    return strcmp(name, SIM_TEAM) == 0 ? box_bit(sim_boxes[0]) | box_bit(sim_boxes[1]) : box_bit(name);
}

/* As it will stand in Return-Path. */
static const char *intern_sender(const struct path *path)
{
    g_autofree char *domain = g_strndup((const char *)path->domain.data, path->domain.len);
    g_autofree char *text =
        path->is_null ? g_strdup("<>") : g_strdup_printf("<%s@%s>", path->local->str, domain);
    return g_intern_string(text);
}

static void take_path(struct phrase *p, const struct path *path, struct slice text)
{
    bool is_mail = p->verb == PHRASE_MAIL;
    if (path->len == 0 || path->len > 256 || (path->is_null && !is_mail)) {
        worsen(p, PHRASE_BAD);
        return;
    }
    if (is_mail)
        p->sender = intern_sender(path);
    if (path->is_null)
        return;
    p->is_utf8 = !is_ascii(slice_first(text, path->len));
    if (!g_utf8_validate(path->local->str, (gssize)path->local->len, NULL))
        worsen(p, PHRASE_BAD);
    else if (path->domain.data != NULL)
        worsen(p, judge_domain(path->domain));
    else if (is_mail || g_ascii_strcasecmp(path->local->str, "postmaster") != 0)
        worsen(p, PHRASE_BAD);
    p->is_ours = path->domain.data == NULL || slice_equal_nocase(path->domain, SIM_DOMAIN);
    if (p->form == PHRASE_GOOD && p->is_ours)
        p->boxes = boxes_of(path->local->str);
}

/* ---- parameters ---- */

/* RFC 3461 4: printable, "+" only with two digits behind it. */
static enum phrase_form judge_xtext(struct slice value, size_t max)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '+')
            return PHRASE_UNSURE;
        if (value.data[i] <= ' ' || value.data[i] >= 0x7f || value.data[i] == '=')
            return PHRASE_BAD;
    }
    return value.len == 0 || value.len > max ? PHRASE_BAD : PHRASE_GOOD;
}

static enum phrase_form judge_size(struct phrase *p, struct slice value)
{
    if (value.len == 0 || value.len > 20)
        return PHRASE_BAD;
    for (size_t i = 0; i < value.len; i++) {
        uint64_t digit = (uint64_t)value.data[i] - '0';
        if (!g_ascii_isdigit(value.data[i]))
            return PHRASE_BAD;
        p->size = p->size > (UINT64_MAX - digit) / 10 ? UINT64_MAX : p->size * 10 + digit;
    }
    return PHRASE_GOOD;
}

static enum phrase_form judge_body(struct phrase *p, struct slice value)
{
    p->is_binary = slice_equal_nocase(value, "BINARYMIME");
    bool is_known =
        p->is_binary || slice_equal_nocase(value, "8BITMIME") || slice_equal_nocase(value, "7BIT");
    return is_known ? PHRASE_GOOD : PHRASE_BAD;
}

static enum phrase_form judge_notify(struct slice value)
{
    static const char *const items[] = { "SUCCESS", "FAILURE", "DELAY" };
    if (slice_equal_nocase(value, "NEVER"))
        return PHRASE_GOOD;
    unsigned seen = 0;
    for (size_t at = 0, end; at <= value.len; at = end + 1) {
        end = slice_find(value, at, ',');
        size_t i = 0;
        while (i < 3 && !slice_equal_nocase(slice_first(slice_skip(value, at), end - at), items[i]))
            i++;
        if (i == 3 || (seen & 1U << i) != 0)
            return PHRASE_BAD;
        seen |= 1U << i;
    }
    return PHRASE_GOOD;
}

static enum phrase_form judge_orcpt(struct slice value)
{
    size_t semicolon = slice_find(value, 0, ';');
    struct slice type = slice_first(value, semicolon), address = slice_skip(value, semicolon + 1);
    if (slice_equal_nocase(type, "utf-8") || value.len > 500)
        return PHRASE_UNSURE;
    return is_atom(type) && is_ascii(type) ? judge_xtext(address, 500) : PHRASE_BAD;
}

enum { SIZE = 1, BODY = 2, SMTPUTF8 = 4, RET = 8, ENVID = 16, NOTIFY = 32, ORCPT = 64 };

static unsigned parameter(struct slice keyword, bool is_mail)
{
    static const struct {
        const char *name;
        unsigned bit;
    } rows[] = { { "SIZE", SIZE },   { "BODY", BODY },     { "SMTPUTF8", SMTPUTF8 }, { "RET", RET },
                 { "ENVID", ENVID }, { "NOTIFY", NOTIFY }, { "ORCPT", ORCPT } };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (slice_equal_nocase(keyword, rows[i].name))
            return is_mail == (rows[i].bit < NOTIFY) ? rows[i].bit : 0;
    return 0;
}

static enum phrase_form judge_parameter(struct phrase *p, unsigned which, struct slice value, bool has_value)
{
    switch (which) {
    case SIZE:
        return judge_size(p, value);
    case BODY:
        return judge_body(p, value);
    case SMTPUTF8:
        p->has_utf8 = true;
        return has_value ? PHRASE_BAD : PHRASE_GOOD;
    case RET:
        return slice_equal_nocase(value, "FULL") || slice_equal_nocase(value, "HDRS") ? PHRASE_GOOD
                                                                                      : PHRASE_BAD;
    case ENVID:
        return judge_xtext(value, 100);
    case NOTIFY:
        return judge_notify(value);
    case ORCPT:
        return judge_orcpt(value);
    default:
        return PHRASE_BAD;
    }
}

static void take_parameters(struct phrase *p, struct slice rest)
{
    unsigned seen = 0;
    if (rest.len > 0 && !is_blank(rest.data[0]))
        worsen(p, PHRASE_BAD); /* something hangs on the path */
    while ((rest = trim(rest)).len > 0) {
        size_t end = 0;
        while (end < rest.len && !is_blank(rest.data[end]))
            end++;
        struct slice one = slice_first(rest, end);
        size_t equals = slice_find(one, 0, '=');
        unsigned which = parameter(slice_first(one, equals), p->verb == PHRASE_MAIL);
        worsen(p, judge_parameter(p, which, slice_skip(one, equals + 1), equals < one.len));
        if ((seen & which) != 0)
            worsen(p, PHRASE_BAD);
        seen |= which;
        rest = slice_skip(rest, end);
    }
}

/* ---- commands ---- */

static void read_envelope(struct phrase *p, struct slice argument)
{
    const char *keyword = p->verb == PHRASE_MAIL ? "FROM:" : "TO:";
    if (!slice_has_prefix_nocase(argument, keyword)) {
        worsen(p, PHRASE_BAD);
        return;
    }
    struct slice text = trim(slice_skip(argument, strlen(keyword)));
    g_autoptr(GString) local = g_string_new(NULL);
    struct path path = { .local = local };
    read_path(text, &path);
    take_path(p, &path, text);
    if (path.len > 0)
        take_parameters(p, slice_skip(text, path.len));
}

static void read_bdat(struct phrase *p, struct slice argument)
{
    size_t blank = slice_find(argument, 0, ' ');
    struct slice rest = slice_skip(argument, blank + 1);
    struct phrase number = { 0 };
    p->is_last = slice_equal_nocase(rest, "LAST");
    if (blank > 20 || judge_size(&number, slice_first(argument, blank)) != PHRASE_GOOD ||
        number.size == UINT64_MAX || (blank < argument.len && !p->is_last))
        p->verb = PHRASE_LOST_CHUNK;
    p->octets = number.size;
}

static void read_hello(struct phrase *p, struct slice verb, struct slice name)
{
    p->is_lhlo = slice_equal_nocase(verb, "LHLO");
    p->is_extended = !slice_equal_nocase(verb, "HELO");
    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--; /* the root's, which some clients say */
    worsen(p, judge_domain(name));
}

static void want_argument(struct phrase *p, struct slice argument, bool wanted)
{
    worsen(p, (argument.len > 0) == wanted ? PHRASE_GOOD : PHRASE_BAD);
}

static void read_argument(struct phrase *p, struct slice verb, struct slice argument)
{
    switch (p->verb) {
    case PHRASE_HELLO:
        read_hello(p, verb, argument);
        break;
    case PHRASE_MAIL:
    case PHRASE_RCPT:
        read_envelope(p, argument);
        break;
    case PHRASE_BDAT:
        read_bdat(p, argument);
        break;
    case PHRASE_DATA:
    case PHRASE_RSET:
    case PHRASE_QUIT:
    case PHRASE_STARTTLS:
        want_argument(p, argument, false);
        break;
    case PHRASE_VRFY:
    case PHRASE_EXPN:
    case PHRASE_AUTH:
    case PHRASE_CLIENT:
        want_argument(p, argument, true);
        break;
    default:
        break;
    }
}

#define VERB(name, verb)                                                                                     \
    {                                                                                                        \
        name, sizeof(name) - 1, verb                                                                         \
    }

static const struct {
    const char *name;
    size_t len;
    enum phrase_verb verb;
} verbs[] = {
    VERB("MAIL", PHRASE_MAIL),      VERB("RCPT", PHRASE_RCPT),       VERB("DATA", PHRASE_DATA),
    VERB("BDAT", PHRASE_BDAT),      VERB("EHLO", PHRASE_HELLO),      VERB("HELO", PHRASE_HELLO),
    VERB("LHLO", PHRASE_HELLO),     VERB("RSET", PHRASE_RSET),       VERB("NOOP", PHRASE_NOOP),
    VERB("VRFY", PHRASE_VRFY),      VERB("EXPN", PHRASE_EXPN),       VERB("HELP", PHRASE_HELP),
    VERB("QUIT", PHRASE_QUIT),      VERB("AUTH", PHRASE_AUTH),       VERB("STARTTLS", PHRASE_STARTTLS),
    VERB("XCLIENT", PHRASE_CLIENT), VERB("XFORWARD", PHRASE_CLIENT),
};

static enum phrase_verb find_verb(struct slice word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (word.len == verbs[i].len && slice_begins_nocase(word, verbs[i].name, word.len))
            return verbs[i].verb;
    return PHRASE_UNKNOWN;
}

/* ---- what is none ---- */

bool phrase_is_binary(struct slice text)
{
    static const struct slice beginnings[] = { { (const uint8_t *)"\x16\x03", 2 },
                                               { (const uint8_t *)"QUIT\n ", 6 },
                                               { (const uint8_t *)"QUIT\n!", 6 } };
    for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++)
        if (slice_equal(slice_first(text, beginnings[i].len), beginnings[i]))
            return true;
    return false;
}

static bool is_foreign(struct slice line)
{
    static const char *const beginnings[] = { "GET ",     "POST ",    "PUT ",   "HEAD ",  "DELETE ",
                                              "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI * HTTP/",
                                              "Host:",    "SSH-",     "PROXY " };
    for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++)
        if (slice_has_prefix_nocase(line, beginnings[i]))
            return true;
    return false;
}

/* Whoever stands in front of the server may have taken it for one. */
static bool resembles_bdat(struct slice line)
{
    while (line.len > 0 && is_blank(line.data[0]))
        line = slice_skip(line, 1);
    return slice_has_prefix_nocase(line, "BDAT") && (line.len == 4 || !g_ascii_isalnum(line.data[4]));
}

/* Of a line that is too long: its beginning, which is all that anybody looked at, may be blanks alone. */
static bool may_resemble_bdat(struct slice line, uint64_t max)
{
    struct slice begin = slice_first(line, (size_t)max - 2);
    while (begin.len > 0 && is_blank(begin.data[0]))
        begin = slice_skip(begin, 1);
    return begin.len < 4 ? slice_begins_nocase(begin, "BDAT", begin.len) : resembles_bdat(begin);
}

static bool has_control(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f)
            return true;
    return false;
}

struct phrase phrase_read(struct slice line, uint64_t max)
{
    struct phrase p = { .verb = PHRASE_UNKNOWN };
    bool too_long = line.len + 2 > max;
    if (too_long || has_control(line)) {
        bool is_lost = too_long ? may_resemble_bdat(line, max) : resembles_bdat(line);
        p.verb = is_lost ? PHRASE_LOST_CHUNK : PHRASE_UNKNOWN;
        return p;
    }
    struct slice trimmed = trim(line);
    size_t blank = slice_find(trimmed, 0, ' ');
    struct slice verb = slice_first(trimmed, blank);
    p.verb = find_verb(verb);
    if (p.verb != PHRASE_UNKNOWN)
        read_argument(&p, verb, trim(slice_skip(trimmed, blank)));
    else if (is_foreign(line))
        p.verb = PHRASE_FOREIGN;
    else if (resembles_bdat(line))
        p.verb = PHRASE_LOST_CHUNK;
    return p;
}

const char *phrase_verb_name(enum phrase_verb verb)
{
    static const char *const others[PHRASE_VERBS] = { [PHRASE_UNKNOWN] = "unknown",
                                                      [PHRASE_FOREIGN] = "foreign",
                                                      [PHRASE_LOST_CHUNK] = "lost chunk",
                                                      [PHRASE_CLIENT] = "XCLIENT or XFORWARD",
                                                      [PHRASE_HELLO] = "HELO" };
    if (others[verb] != NULL)
        return others[verb];
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (verbs[i].verb == verb)
            return verbs[i].name;
    return "?";
}
