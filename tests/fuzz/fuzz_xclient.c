/*
 * What XCLIENT and XFORWARD tell of a client (smtp/facts.h): values hold nothing that could not go into a
 * header, and mean the same when they are written and read again; a session takes the command just when the
 * facts are good and the client may, and MAIL behind it just when it told of a HELO that would do.
 */
#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "smtp/command.h"
#include "smtp/facts.h"
#include "talk.h"

static void check_values(const struct smtp_facts *f, unsigned allowed)
{
    pst_assert(f->given != 0 && (f->given & ~allowed) == 0 && (f->unavailable & ~f->given) == 0);
    for (unsigned i = 0; i < SMTP_FACTS; i++) {
        bool has = (f->given & ~f->unavailable & SMTP_FACT_BIT(i)) != 0;
        pst_assert(has == (f->value[i].len > 0) && f->value[i].len <= SMTP_FACT_MAX);
        for (size_t k = 0; k < f->value[i].len; k++)
            pst_assert(g_ascii_isprint((char)f->value[i].data[k]));
    }
}

/* "NAME=value ..." with all octets of the values encoded but letters and digits. */
static GString *write_facts(const struct smtp_facts *f)
{
    char names[SMTP_FACTS_NAMES];
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < SMTP_FACTS; i++) {
        if ((f->given & SMTP_FACT_BIT(i)) == 0)
            continue;
        g_string_append_printf(text, " %s=", smtp_facts_names(SMTP_FACT_BIT(i), names));
        if ((f->unavailable & SMTP_FACT_BIT(i)) != 0)
            g_string_append(text, "[UNAVAILABLE]");
        for (size_t k = 0; k < f->value[i].len; k++)
            g_string_append_printf(text, g_ascii_isalnum((char)f->value[i].data[k]) ? "%c" : "+%02X",
                                   f->value[i].data[k]);
    }
    return text;
}

static bool parse(struct slice argument, unsigned allowed, char *text, struct smtp_facts *ret)
{
    uint8_t *copy = fuzz_copy(argument);
    int r = smtp_facts_parse(slice_of(copy, argument.len), allowed, text, SMTP_FACTS_TEXT, ret);
    free(copy); /* values live in `text` */
    return r == 0;
}

/* *ret_greets: they are as good as HELO. */
static bool check_facts(struct slice argument, unsigned allowed, bool *ret_greets)
{
    *ret_greets = false;
    struct smtp_facts facts, again;
    g_autofree char *text = g_malloc(SMTP_FACTS_TEXT), *other = g_malloc(SMTP_FACTS_TEXT);
    if (!parse(argument, allowed, text, &facts))
        return false;
    check_values(&facts, allowed);
    g_autoptr(GString) written = write_facts(&facts);
    pst_assert(parse(slice_of(written->str, written->len), allowed, other, &again));
    pst_assert(again.given == facts.given && again.unavailable == facts.unavailable);
    for (unsigned i = 0; i < SMTP_FACTS; i++)
        pst_assert(slice_equal(facts.value[i], again.value[i]));
    *ret_greets = allowed == SMTP_XCLIENT_FACTS && smtp_domain_valid(facts.value[SMTP_FACT_HELO]);
    return true;
}

static void check_session(struct slice line, bool good, bool greets, const struct smtp_client *client,
                          struct fuzz_cuts *cuts)
{
    static const struct smtp_service service = {
        .hostname = "mx.example.org",
        .limits = { .message_size = 1000,
                    .header_size = 1000,
                    .header_fields = 10,
                    .recipients = 10,
                    .errors = 10,
                    .commands = 10,
                    .messages = 10,
                    .strangers = 10,
                    .command_length = 2048,
                    .command_timeout = 1000,
                    .data_timeout = 1000 },
    };
    struct talk *t = talk_new(&(struct talk_options){ .service = &service, .client = *client });
    for (size_t len; (len = fuzz_cut(cuts, line.len)) > 0; line = slice_skip(line, len))
        talk_hear(t, slice_first(line, len));
    unsigned code = talk_last_code(t);
    pst_assert(good ? code == 220 || code == 250 : code >= 500);
    talk_hear(t, slice_str("MAIL FROM:<>\r\n"));
    pst_assert(talk_last_code(t) == (good && greets ? 250 : 503));
    talk_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    unsigned flags = fuzz_choose(&in, 8);
    struct fuzz_cuts cuts = fuzz_choose_cuts(&in);
    bool xforward = (flags & 1) != 0;
    struct smtp_client client = { .may_xclient = (flags & 2) != 0, .may_xforward = (flags & 4) != 0 };
    unsigned allowed = xforward ? SMTP_XFORWARD_FACTS : SMTP_XCLIENT_FACTS;
    bool greets;
    (void)check_facts(in, allowed, &greets);
    if (!smtp_line_is_clean(in) || in.len > 2000)
        return 0;
    g_autoptr(GString) line = g_string_new(xforward ? "XFORWARD " : "XCLIENT ");
    g_string_append_len(line, (const char *)in.data, (gssize)in.len);
    struct slice argument = smtp_command_split(slice_of(line->str, line->len)).argument;
    bool may = xforward ? client.may_xforward : client.may_xclient;
    bool good = check_facts(argument, allowed, &greets) && may;
    g_string_append(line, "\r\n");
    check_session(slice_of(line->str, line->len), good, greets, &client, &cuts);
    return 0;
}
