#include "host/field.h"

#include <gmime/gmime.h>
#include <string.h>

enum {
    NAME_MAX_LEN = 76,
    FOLD_AT = 78,            /* RFC 5322, 2.1.1: lines should be no longer */
    WORD_MAX = 900,          /* and must not be longer than 998 */
    ENCODED_WORD_MAX = 75,   /* RFC 2047, 2 */
    ENCODED_WORD_LEAST = 30, /* shorter ones are not worth it */
};

/* ---- the fields of a section ---- */

static bool is_name_octet(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != ':';
}

/* "Subject" of "Subject : hello"; empty when the line is no field. */
static struct slice name_of(struct slice line)
{
    size_t end = 0;
    while (end < line.len && is_name_octet(line.data[end]))
        end++;
    size_t colon = end;
    while (colon < line.len && (line.data[colon] == ' ' || line.data[colon] == '\t'))
        colon++;
    return slice_first(line, colon < line.len && line.data[colon] == ':' ? end : 0);
}

static bool is_blank_line(struct slice line)
{
    return slice_equal(line, slice_of("\n", 1)) || slice_equal(line, slice_of("\r\n", 2));
}

bool fields_find(struct slice begin, bool all, GArray *fields, size_t *ret_len)
{
    guint first = fields->len;
    bool any = false;
    for (size_t at = 0; at < begin.len;) {
        size_t end = slice_find(begin, at, '\n');
        if (end == begin.len && !all)
            break;
        struct slice line = slice_first(slice_skip(begin, at), end + 1 - at);
        at += line.len;
        if (is_blank_line(line)) {
            *ret_len = at;
            return true;
        }
        if ((line.data[0] == ' ' || line.data[0] == '\t') && fields->len > first) {
            g_array_index(fields, struct field, fields->len - 1).octets.len += line.len;
            continue;
        }
        struct field field = { .octets = line, .name = name_of(line) };
        any |= field.name.len > 0;
        g_array_append_val(fields, field);
    }
    if (!all || !any)
        g_array_set_size(fields, first);
    *ret_len = any ? begin.len : 0;
    return all;
}

/* ---- a field that is made ---- */

bool field_name_is_valid(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!is_name_octet((uint8_t)name[i]))
            return false;
    return len > 0 && len <= NAME_MAX_LEN;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct folder {
    GString *to;
    size_t line; /* where the last line begins */
    bool begun;  /* there is a word behind the name */
};

/* On the next line when this one would become too long; but the first word stays beside the name. */
static void append_word(struct folder *f, struct slice blanks, struct slice word)
{
    if (f->begun && f->to->len - f->line + blanks.len + word.len > FOLD_AT) {
        g_string_append_c(f->to, '\n');
        f->line = f->to->len;
    }
    f->begun = true;
    g_string_append_len(f->to, (const char *)blanks.data, (gssize)blanks.len);
    g_string_append_len(f->to, (const char *)word.data, (gssize)word.len);
}

/* ---- encoded-words ---- */

static void append_q(GString *to, uint8_t octet)
{
    if (g_ascii_isalnum(octet))
        g_string_append_c(to, (char)octet);
    else if (octet == ' ')
        g_string_append_c(to, '_');
    else
        g_string_append_printf(to, "=%02X", octet);
}

/* The first characters of the text, as one encoded-word of so many octets at most; what is behind them. */
static const char *encode_word(GString *word, const char *text, const char *end, size_t max)
{
    g_string_assign(word, "=?UTF-8?Q?");
    while (text < end) {
        const char *next = g_utf8_next_char(text);
        size_t before = word->len;
        for (const char *at = text; at < next; at++)
            append_q(word, (uint8_t)*at);
        if (word->len + strlen("?=") > max) {
            g_string_truncate(word, before);
            break;
        }
        text = next;
    }
    g_string_append(word, "?=");
    return text;
}

/*
 * Encoded-words, each of whole characters (RFC 2047, 5), in Q: of adjacent ones in base64, GMime does not
 * read what follows one that ends in "=".
 */
static void append_encoded(struct folder *f, struct slice blanks, const char *text, const char *end)
{
    g_autoptr(GString) word = g_string_new(NULL);
    while (text < end) {
        size_t used = f->to->len - f->line + blanks.len;
        bool fits = used + ENCODED_WORD_LEAST <= FOLD_AT;
        text = encode_word(word, text, end, fits ? MIN(ENCODED_WORD_MAX, FOLD_AT - used) : ENCODED_WORD_MAX);
        append_word(f, blanks, slice_of(word->str, word->len));
        blanks = slice_of(" ", 1);
    }
}

/* ---- a value ---- */

static const char *word_end(const char *at)
{
    while (*at != '\0' && !is_blank(*at))
        at++;
    return at;
}

static const char *blanks_end(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

static bool must_be_encoded(const char *word, const char *end)
{
    if (end - word > WORD_MAX)
        return true;
    for (const char *at = word; at < end; at++)
        if ((uint8_t)*at >= 0x80 || (at[0] == '=' && at[1] == '?'))
            return true;
    return false;
}

/* From the first word that must be encoded to the end of the last; NULL: none must. */
static const char *find_encoded(const char *value, const char **ret_end)
{
    const char *first = NULL;
    for (const char *word = blanks_end(value); *word != '\0';) {
        const char *end = word_end(word);
        if (must_be_encoded(word, end)) {
            first = first != NULL ? first : word;
            *ret_end = end;
        }
        word = blanks_end(end);
    }
    return first;
}

static ptrdiff_t longest_word(const char *value)
{
    ptrdiff_t longest = 0;
    for (const char *word = blanks_end(value), *end; *word != '\0'; word = blanks_end(end)) {
        end = word_end(word);
        longest = MAX(longest, end - word);
    }
    return longest;
}

/* Words as they are, but those from `first` to `last`, with what is between them. */
static void append_value(struct folder *f, const char *value, const char *first, const char *last)
{
    struct slice blanks = slice_of(" ", 1); /* behind the colon */
    for (const char *word = blanks_end(value); *word != '\0';) {
        const char *end = word == first ? last : word_end(word);
        if (word == first)
            append_encoded(f, blanks, word, end);
        else
            append_word(f, blanks, slice_of(word, (size_t)(end - word)));
        word = blanks_end(end);
        blanks = slice_of(end, (size_t)(word - end));
    }
}

static bool is_among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (g_ascii_strcasecmp(name, *names) == 0)
            return true;
    return false;
}

static const char *const address_fields[] = {
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Resent-Sender",
    "Resent-Reply-To",
    "Disposition-Notification-To",
    "Mail-Followup-To",
    NULL,
};
static const char *const parameter_fields[] = { "Content-Type", "Content-Disposition", NULL };

/* Where only phrases or parameters may be encoded, GMime knows how. NULL: it cannot be read. */
static char *encode_structured(const char *name, const char *value)
{
    if (is_among(name, address_fields)) {
        InternetAddressList *list = internet_address_list_parse(NULL, value);
        if (list == NULL)
            return NULL;
        char *encoded = internet_address_list_to_string(list, NULL, TRUE);
        g_object_unref(list);
        return encoded;
    }
    GMimeHeaderList *list = g_mime_header_list_new(NULL);
    g_mime_header_list_append(list, name, value, "utf-8");
    char *encoded =
        g_mime_utils_header_unfold(g_mime_header_get_raw_value(g_mime_header_list_get_header_at(list, 0)));
    g_object_unref(list);
    return encoded;
}

static const char *why_not(const char *value)
{
    if (!g_utf8_validate(value, -1, NULL))
        return "the value is not UTF-8";
    for (const char *at = value; *at != '\0'; at++)
        if ((g_ascii_iscntrl(*at) && *at != '\t') || *at == 0x7f)
            return "the value has line ends or other control characters";
    return NULL;
}

char *field_make(const char *name, const char *value, const char **ret_why)
{
    *ret_why = why_not(value);
    if (*ret_why != NULL)
        return NULL;
    bool is_structured = is_among(name, address_fields) || is_among(name, parameter_fields);
    g_autofree char *encoded = NULL;
    if (is_structured && !g_str_is_ascii(value)) {
        encoded = encode_structured(name, value);
        *ret_why = "the value is no list of addresses";
        if (encoded == NULL)
            return NULL;
        value = encoded;
    }
    *ret_why = "a word of the value is longer than a line may be";
    if (is_structured && longest_word(value) > WORD_MAX)
        return NULL;
    const char *last = NULL;
    const char *first = is_structured ? NULL : find_encoded(value, &last);
    struct folder f = { .to = g_string_new(name) };
    g_string_append_c(f.to, ':');
    append_value(&f, value, first, last);
    g_string_append_c(f.to, '\n');
    return g_string_free(f.to, FALSE);
}
