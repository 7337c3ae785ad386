#include "message/mime_type.h"

#include <glib.h>

static bool is_token(uint8_t octet)
{
    return octet > ' ' && octet != 0x7f && strchr("()<>@,;:\\\"/[]?=", octet) == NULL;
}

static uint8_t peek(struct slice in)
{
    return in.len > 0 ? *in.data : '\0';
}

static void skip_space(struct slice *in)
{
    while (in->len > 0 && mime_is_space(*in->data))
        *in = slice_skip(*in, 1);
}

static bool skip_comment(struct slice *in)
{
    size_t depth = 0, at = 0;
    do {
        if (in->data[at] == '\\' && at + 1 < in->len)
            at++;
        else if (in->data[at] == '(')
            depth++;
        else if (in->data[at] == ')')
            depth--;
        at++;
    } while (depth > 0 && at < in->len);
    *in = slice_skip(*in, at);
    return depth == 0;
}

/* In front of a comment that has no end, nothing at all is skipped. */
static void skip_comments(struct slice *in)
{
    struct slice at = *in;
    skip_space(&at);
    while (peek(at) == '(') {
        if (!skip_comment(&at))
            return;
        skip_space(&at);
    }
    *in = at;
}

static struct slice take_token(struct slice *in, uint8_t but_not)
{
    struct slice token = slice_of(in->data, 0);
    while (token.len < in->len && is_token(token.data[token.len]) && token.data[token.len] != but_not)
        token.len++;
    *in = slice_skip(*in, token.len);
    return token;
}

static bool take_type(struct slice *in, struct slice *ret_type, struct slice *ret_subtype)
{
    skip_comments(in);
    *ret_type = take_token(in, '\0');
    skip_comments(in);
    if (peek(*in) != '/')
        return false;
    *in = slice_skip(*in, 1);
    skip_comments(in);
    *ret_subtype = take_token(in, '\0');
    return ret_subtype->len > 0;
}

/* ---- parameters ---- */

/* Of a string that has no end, the quote in front of it is part of it. */
static struct slice take_quoted(struct slice *in)
{
    size_t at = 1;
    while (at < in->len && in->data[at] != '"')
        at += in->data[at] == '\\' && at + 1 < in->len ? 2 : 1;
    bool has_end = at < in->len;
    struct slice value = has_end ? slice_of(in->data + 1, at - 1) : slice_of(in->data, in->len);
    *in = slice_skip(*in, has_end ? at + 1 : in->len);
    return value;
}

/* All up to the next semicolon: also what RFC 2045 has only in quotes. */
static struct slice take_unquoted(struct slice *in)
{
    struct slice value = slice_first(*in, slice_find(*in, 0, ';'));
    while (value.len > 0 && mime_is_space(value.data[value.len - 1]))
        value.len--;
    *in = slice_skip(*in, value.len);
    return value;
}

struct parameter {
    struct slice name, value;
    bool is_quoted;
    bool is_extended; /* RFC 2231: of several pieces, or encoded */
};

/* name*, name*0 and name*0* */
static bool take_extension(struct slice *in)
{
    skip_comments(in);
    if (peek(*in) != '*')
        return false;
    *in = slice_skip(*in, 1);
    skip_comments(in);
    while (g_ascii_isdigit((char)peek(*in)))
        *in = slice_skip(*in, 1);
    skip_comments(in);
    if (peek(*in) == '*')
        *in = slice_skip(*in, 1);
    skip_comments(in);
    return true;
}

static bool take_parameter(struct slice *in, struct parameter *ret)
{
    struct slice at = *in;
    skip_comments(&at);
    ret->name = take_token(&at, '*');
    ret->is_extended = ret->name.len > 0 && take_extension(&at);
    if (ret->name.len == 0 || peek(at) != '=')
        return false;
    at = slice_skip(at, 1);
    skip_comments(&at);
    ret->is_quoted = peek(at) == '"';
    ret->value = ret->is_quoted ? take_quoted(&at) : take_unquoted(&at);
    if (!ret->is_quoted && ret->value.len == 0)
        return false;
    *in = at;
    return true;
}

/* False: the boundary may be another to GMime. */
static bool keep_boundary(struct mime_type *t, const struct parameter *p)
{
    t->has_boundary = true;
    for (size_t i = 0; i < p->value.len; i++) {
        if (p->is_quoted && p->value.data[i] == '\\' && ++i == p->value.len)
            break;
        if (t->len == sizeof t->text)
            return false;
        t->text[t->len++] = (char)p->value.data[i];
    }
    return !p->is_extended;
}

/* The first boundary counts; behind what cannot be read, nothing does. */
static bool read_parameters(struct slice in, struct mime_type *t)
{
    for (;;) {
        struct parameter p;
        bool is_read = take_parameter(&in, &p);
        if (is_read && slice_equal_nocase(p.name, "boundary"))
            return keep_boundary(t, &p);
        skip_comments(&in);
        if (peek(in) != ';')
            return true;
        in = slice_skip(in, 1);
    }
}

/* ---- the field ---- */

/*
 * GMime decodes encoded-words in the field before it looks for parameters, and so may find a boundary where
 * none is to be seen; and who knows what it makes of octets that are no ASCII.
 */
static bool has_hidden_text(struct slice value)
{
    const uint8_t *word = value.len > 0 ? memmem(value.data, value.len, "=?", 2) : NULL;
    for (size_t i = 0; i < value.len; i++) {
        const uint8_t *at = value.data + i;
        if (*at > 0x7e)
            return true;
        if (word != NULL && at > word + 1 && i + 2 < value.len && at[0] == '?' && at[2] == '?' &&
            strchr("bBqQ", at[1]) != NULL)
            return true;
    }
    return false;
}

static enum mime_kind kind_of(struct slice type, struct slice subtype)
{
    static const char *const messages[] = { "rfc822", "rfc2822", "global", "news" };
    if (slice_equal_nocase(type, "multipart"))
        return MIME_MULTIPART;
    for (size_t i = 0; i < G_N_ELEMENTS(messages) && slice_equal_nocase(type, "message"); i++)
        if (slice_equal_nocase(subtype, messages[i]))
            return MIME_MESSAGE;
    return MIME_LEAF;
}

static bool read_multipart(struct slice value, struct mime_type *t)
{
    struct slice type, subtype;
    if (has_hidden_text(value))
        return false;
    if (!take_type(&value, &type, &subtype))
        return true;
    t->is_digest = slice_equal_nocase(type, "multipart") && slice_equal_nocase(subtype, "digest");
    skip_comments(&value);
    size_t semicolon = slice_find(value, 0, ';');
    return semicolon == value.len || read_parameters(slice_skip(value, semicolon + 1), t);
}

void mime_type_read(struct slice value, struct mime_type *ret_type)
{
    *ret_type = (struct mime_type){ .kind = MIME_UNREADABLE };
    value.len = slice_find(value, 0, '\0'); /* to GMime, the end */
    struct slice at = value, type, subtype;
    if (!take_type(&at, &type, &subtype))
        return;
    ret_type->kind = kind_of(type, subtype);
    if (ret_type->kind != MIME_MULTIPART)
        return;
    /* The type is looked for in the lines as they came, the boundary in one long line. */
    g_autoptr(GString) line = g_string_sized_new(value.len);
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] != '\r' && value.data[i] != '\n')
            g_string_append_c(line, (char)value.data[i]);
    while (line->len > 0 && mime_is_space((uint8_t)line->str[line->len - 1]))
        g_string_truncate(line, line->len - 1);
    if (!read_multipart(slice_of(line->str, line->len), ret_type))
        ret_type->kind = MIME_UNSURE;
}

bool mime_is_encoded(struct slice value)
{
    static const char *const encodings[] = { "base64", "quoted-printable", "uuencode", "x-uuencode",
                                             "x-uue" };
    skip_space(&value);
    struct slice word = slice_of(value.data, 0);
    while (word.len < value.len && word.data[word.len] != '\0' && !mime_is_space(word.data[word.len]))
        word.len++;
    for (size_t i = 0; i < G_N_ELEMENTS(encodings); i++)
        if (slice_equal_nocase(word, encodings[i]))
            return true;
    return false;
}
