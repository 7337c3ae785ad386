#include "host/header_text.h"

#include "host/text.h"

enum { MAX_CHARSET = 64 };

/* =?charset?encoding?text?= */
struct word {
    char charset[MAX_CHARSET];
    char encoding; /* 'b' or 'q' */
    struct slice text;
    size_t len; /* of all of it */
};

/* RFC 2047 section 2: especials may not be in a charset's name, or "//TRANSLIT" would be one. */
static bool is_token(uint8_t c)
{
    return g_ascii_isgraph(c) && strchr("()<>@,;:\\\"/[]?.=", c) == NULL;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static size_t count_while(struct slice s, bool (*is)(uint8_t))
{
    size_t count = 0;
    while (count < s.len && is(s.data[count]))
        count++;
    return count;
}

/* RFC 2231 section 5: the language may follow the charset: "utf-8*de". */
static bool set_charset(struct word *word, struct slice name)
{
    name = slice_first(name, slice_find(name, 0, '*'));
    if (name.len == 0 || name.len >= sizeof word->charset)
        return false;
    memcpy(word->charset, name.data, name.len);
    word->charset[name.len] = '\0';
    return host_text_knows(word->charset);
}

static bool is_base64(uint8_t c)
{
    return g_ascii_isalnum(c) || c == '+' || c == '/';
}

/* How long the text of base64 is, which a lone digit at its end is not; or of Q, where also blanks and `?`
 * are taken that ought to be encoded, but not another word's beginning. Both look at an octet that no other
 * word can begin before, or a long field of nothing but beginnings would take a time that grows with its
 * square. */
static size_t measure_text(struct slice s, char encoding, bool *ret_valid)
{
    size_t len = 0;
    if (encoding == 'b') {
        len = count_while(s, is_base64);
        *ret_valid = len % 4 != 1;
        while (len < s.len && s.data[len] == '=')
            len++;
        return len;
    }
    *ret_valid = true;
    for (; len + 1 < s.len; len++) {
        if (s.data[len] == '?' && s.data[len + 1] == '=')
            break;
        if (s.data[len] == '=' && s.data[len + 1] == '?' && len + 2 < s.len && s.data[len + 2] != '=')
            break;
    }
    return len;
}

/* Whether an encoded-word begins here. */
static bool parse_word(struct slice in, struct word *ret_word)
{
    if (in.len < 2 || in.data[0] != '=' || in.data[1] != '?')
        return false;
    struct slice rest = slice_skip(in, 2);
    size_t charset_len = count_while(rest, is_token);
    struct slice charset = slice_first(rest, charset_len);
    rest = slice_skip(rest, charset_len);
    if (rest.len < 3 || rest.data[0] != '?' || rest.data[2] != '?')
        return false;
    struct word word = { .encoding = g_ascii_tolower((char)rest.data[1]) };
    if (word.encoding != 'b' && word.encoding != 'q')
        return false;
    rest = slice_skip(rest, 3);
    bool valid = false;
    word.text = slice_first(rest, measure_text(rest, word.encoding, &valid));
    rest = slice_skip(rest, word.text.len);
    if (!valid || rest.len < 2 || rest.data[0] != '?' || rest.data[1] != '=' || !set_charset(&word, charset))
        return false;
    word.len = in.len - rest.len + 2;
    *ret_word = word;
    return true;
}

static void append_base64(GString *octets, struct slice text)
{
    GMimeEncoding decoder;
    g_mime_encoding_init_decode(&decoder, GMIME_CONTENT_ENCODING_BASE64);
    size_t before = octets->len;
    g_string_set_size(octets, before + g_mime_encoding_outlen(&decoder, text.len + 1));
    char *at = octets->str + before;
    at += g_mime_encoding_step(&decoder, (const char *)text.data, text.len, at);
    at += g_mime_encoding_step(&decoder, "=", 1, at); /* for those who leave it out; else it is ignored */
    g_string_truncate(octets, (size_t)(at - octets->str));
}

static void append_q(GString *octets, struct slice text)
{
    g_autofree char *spaced = g_strndup((const char *)text.data, text.len);
    host_text_unescape(octets, '=', slice_of(g_strdelimit(spaced, "_", ' '), text.len));
}

/*
 * `word` and those of the same charset behind it, which are decoded together: many senders cut a character's
 * octets between two words, though RFC 2047 section 5 forbids it. Returns how much of `in` they are.
 */
static size_t decode_words(GString *out, struct slice in, struct word word)
{
    g_autoptr(GString) octets = g_string_new(NULL);
    size_t taken = 0;
    for (struct word next = word;;) {
        if (next.encoding == 'b')
            append_base64(octets, next.text);
        else
            append_q(octets, next.text);
        taken += next.len;
        struct slice rest = slice_skip(in, taken);
        size_t blanks = count_while(rest, is_blank);
        if (!parse_word(slice_skip(rest, blanks), &next) ||
            g_ascii_strcasecmp(next.charset, word.charset) != 0)
            break;
        taken += blanks;
    }
    host_text_convert(out, word.charset, slice_of(octets->str, octets->len));
    return taken;
}

/* Index of the first word, or in.len. */
static size_t find_word(struct slice in, struct word *ret_word)
{
    for (size_t i = 0;; i++) {
        i = slice_find(in, i, '=');
        if (i == in.len || parse_word(slice_skip(in, i), ret_word))
            return i;
    }
}

/* `in` begins with no blank. */
static void decode_text(GString *out, struct slice in)
{
    while (in.len > 0) {
        struct word word;
        struct slice plain = slice_first(in, find_word(in, &word));
        in = slice_skip(in, plain.len);
        /* RFC 2047 section 6.2: blanks between two words are there only to part them. */
        bool parts_words = in.len > 0 && count_while(plain, is_blank) == plain.len;
        if (!parts_words)
            host_text_append(out, plain);
        if (in.len > 0)
            in = slice_skip(in, decode_words(out, in, word));
    }
}

char *host_header_decode(const char *raw)
{
    g_autofree char *line = g_strdup(raw);
    char *end = line;
    for (const char *p = raw; *p != '\0'; p++)
        if (*p != '\r' && *p != '\n') /* RFC 5322 section 2.2.3: unfolded, the blank behind them stays */
            *end++ = *p;
    while (end > line && is_blank((uint8_t)end[-1]))
        end--;
    struct slice text = slice_of(line, (size_t)(end - line));
    GString *out = g_string_sized_new(text.len);
    decode_text(out, slice_skip(text, count_while(text, is_blank)));
    return g_string_free(out, FALSE);
}

const char *host_header_raw(GMimeObject *object, const char *name)
{
    /* GMime keeps these with the content of a message. */
    if (GMIME_IS_MESSAGE(object) && g_ascii_strncasecmp(name, "Content-", strlen("Content-")) == 0)
        object = g_mime_message_get_mime_part(GMIME_MESSAGE(object));
    if (object == NULL)
        return NULL;
    GMimeHeader *header = g_mime_header_list_get_header(g_mime_object_get_header_list(object), name);
    return header != NULL ? g_mime_header_get_raw_value(header) : NULL;
}

char *host_header_text(GMimeObject *object, const char *name)
{
    const char *raw = host_header_raw(object, name);
    return raw != NULL ? host_header_decode(raw) : NULL;
}
