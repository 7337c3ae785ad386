#include "message/trace.h"

#include <string.h>
#include <time.h>

#include "base/number.h"

enum {
    LINE_COLUMNS = 78, /* RFC 5322 2.1.1: what a line should stay within */
    TAB_COLUMNS = 8,
};

const char *trace_protocol(bool lmtp, bool extended, bool utf8, bool secure, bool authenticated)
{
    static const char *const words[][4] = {
        { "SMTP", "SMTP", "SMTP", "SMTP" },
        { "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" },
        { "LMTP", "LMTPS", "LMTPA", "LMTPSA" },
        { "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" },
        { "UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA" },
    };
    unsigned protocol = utf8 ? 3 + lmtp : lmtp ? 2 : extended;
    return words[protocol][(unsigned)secure + 2U * authenticated];
}

/* A header field that grows word by word, and is folded between words. */
struct field {
    GString *text;
    size_t line; /* where its current line begins in `text` */
    size_t word; /* where the blank before the last word is */
};

/* How many octets at the front may stand in a header field; 0 if the first may not. */
static size_t clean_run(struct slice text)
{
    size_t len = 0;
    while (len < text.len && text.data[len] >= ' ' && text.data[len] <= '~')
        len++;
    return len > 0 ? len : smtp_utf8_len(text);
}

/*
 * What peers wrote was checked where it came in. Should that ever fail, a line end in it must still not
 * become a header field of theirs. UTF-8 stays as it is (RFC 6532 3.2).
 */
static void append_clean(GString *to, const char *text)
{
    for (struct slice rest = slice_str(text); rest.len > 0;) {
        size_t len = clean_run(rest);
        if (len > 0)
            g_string_append_len(to, (const char *)rest.data, (gssize)len);
        else
            g_string_append_c(to, '?');
        rest = slice_skip(rest, MAX(len, 1));
    }
}

static void append_address(GString *to, const struct smtp_address *address)
{
    char text[SMTP_ADDRESS_TEXT];
    append_clean(to, smtp_address_format(address, text));
}

/* `postmaster` alone is the one of this host (RFC 5321 4.5.1); in a header an address has a domain. */
static void append_recipient(GString *to, const struct trace *t, const struct smtp_address *recipient)
{
    append_address(to, recipient);
    if (recipient->domain_len == 0) {
        g_string_append_c(to, '@');
        append_clean(to, t->hostname);
    }
}

/* Around most words stands nothing, which GLib would append as well. */
static void append(GString *to, const char *text)
{
    if (*text != '\0')
        g_string_append(to, text);
}

static void begin_word(struct field *f)
{
    f->word = f->text->len;
    g_string_append_c(f->text, ' ');
}

static void put_word(struct field *f, const char *before, const char *text, const char *after)
{
    begin_word(f);
    append(f->text, before);
    append_clean(f->text, text);
    append(f->text, after);
}

static void fold_word(struct field *f)
{
    f->text->str[f->word] = '\n';
    f->line = f->word + 1;
    g_string_insert_c(f->text, (gssize)f->line, '\t');
}

static void fold_word_if_wide(struct field *f)
{
    size_t columns = f->text->len - f->line;
    if (f->text->str[f->line] == '\t')
        columns += TAB_COLUMNS - 1;
    if (columns >= LINE_COLUMNS)
        fold_word(f);
}

static void append_word(struct field *f, const char *before, const char *text, const char *after)
{
    put_word(f, before, text, after);
    fold_word_if_wide(f);
}

/*
 * From-domain (RFC 5321 4.4): a literal must be followed by TCP-info, a Domain may be; TCP-info is the
 * client's address, with its name in front where that is known. Who never said HELO is named by the address;
 * on a unix socket, where there is none to tell, whoever gives no Domain is a client on this host.
 */
static void append_from(struct field *f, const struct trace *t)
{
    bool is_unix = strcmp(t->client, "unix") == 0;
    if (is_unix || strcmp(t->client, "unknown") == 0) {
        bool is_domain = *t->helo != '\0' && *t->helo != '[';
        put_word(f, "from ", is_domain ? t->helo : is_unix ? "localhost" : "unknown", "");
        return;
    }
    if (*t->helo != '\0')
        put_word(f, "from ", t->helo, "");
    else
        put_word(f, "from [", t->client, "]");
    if (t->client_name != NULL) {
        append_word(f, "(", t->client_name, "");
        append_word(f, "[", t->client, "])");
    } else {
        append_word(f, "([", t->client, "])");
    }
}

/* date-time of RFC 5322 3.3, whose names are English in every locale. */
static void append_date(struct field *f, int64_t wall_us)
{
    static const char days[][6] = { "Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, " };
    static const char months[][6] = { " Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ",
                                      " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec " };
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm = { .tm_mday = 1, .tm_wday = 1 }; /* stays only if the year has no number: 1 January 1900 */
    (void)gmtime_r(&seconds, &tm);
    char text[64], *to = stpcpy(text, days[tm.tm_wday]);
    to = pst_put_i64(to, tm.tm_mday);
    to = stpcpy(to, months[tm.tm_mon]);
    to = pst_put_i64(to, INT64_C(1900) + tm.tm_year);
    to = pst_put_decimal(stpcpy(to, " "), (uint64_t)tm.tm_hour, 2);
    to = pst_put_decimal(stpcpy(to, ":"), (uint64_t)tm.tm_min, 2);
    to = pst_put_decimal(stpcpy(to, ":"), (uint64_t)tm.tm_sec, 2);
    memcpy(to, " +0000", sizeof " +0000");
    append_word(f, "", text, "");
}

/*
 * A comment that is one word to whoever folds and parses. What is in it comes from clients and their
 * certificates, and those who read Received look for parentheses, "for <", and the semicolon before the date
 * with little care: all but a few characters become "?", rather than a quoted-pair (RFC 5322 3.2.1).
 */
static void append_comment(struct field *f, const char *what, const char *text, const char *after)
{
    enum { COMMENT_MAX = 200 };
    static const char safe[] = "!#$%&'*+,-./:=@^_`{|}~";
    if (text == NULL)
        return;
    begin_word(f);
    g_string_append_printf(f->text, "(%s", what);
    size_t len = strnlen(text, COMMENT_MAX);
    for (size_t i = 0; i < len; i++) {
        bool is_safe = g_ascii_isalnum(text[i]) || strchr(safe, text[i]) != NULL || text[i] == ' ';
        g_string_append_c(f->text, is_safe ? text[i] : '?');
    }
    append(f->text, after);
    g_string_append_c(f->text, ')');
    fold_word_if_wide(f);
}

static void append_security(struct field *f, const struct trace *t)
{
    if (t->tls_version != NULL) {
        g_autofree char *tls = g_strjoin(" ", t->tls_version, t->tls_cipher, NULL);
        append_comment(f, "", tls, "");
    }
    append_comment(f, "server name ", t->tls_server_name, "");
    append_comment(f, "client certificate ", t->tls_client,
                   t->tls_client_is_verified ? "" : ", not verified");
    append_comment(f, "authenticated as ", t->user, "");
}

static void append_received(GString *to, const struct trace *t, const struct smtp_address *for_recipient)
{
    struct field f = { .text = to, .line = to->len };
    g_string_append(to, "Received:");
    append_from(&f, t);
    put_word(&f, "by ", t->hostname, "");
    fold_word(&f); /* always, as people know it */
    append_word(&f, "with ", t->protocol, "");
    append_security(&f, t);
    append_word(&f, "id ", t->id, for_recipient != NULL ? "" : ";");
    if (for_recipient != NULL) {
        begin_word(&f);
        g_string_append(to, "for <");
        append_recipient(to, t, for_recipient);
        g_string_append(to, ">;");
        fold_word_if_wide(&f);
    }
    append_date(&f, t->arrived_us);
    g_string_append_c(to, '\n');
}

/* Never folded: its readers take it line by line. */
static void append_plain(GString *to, const struct trace *t, const char *name,
                         const struct smtp_address *address)
{
    if (address == NULL)
        return;
    g_string_append(to, name);
    append_recipient(to, t, address);
    g_string_append_c(to, '\n');
}

void trace_append(GString *to, const struct trace *t, const struct smtp_address *mailbox,
                  const struct smtp_address *original, const struct smtp_address *only_recipient)
{
    g_string_append(to, "Return-Path: <");
    append_address(to, t->reverse_path);
    g_string_append(to, ">\n");
    append_plain(to, t, "Delivered-To: ", mailbox);
    append_plain(to, t, "X-Original-To: ", original);
    append_received(to, t, only_recipient);
}
