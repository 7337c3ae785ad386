/*
 * The parameters of MAIL and RCPT (smtp/parameter.h, smtp/command.h) and xtext (smtp/xtext.h): what is taken
 * holds only what the grammar grants, and means the same when it is written and read again.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "smtp/command.h"
#include "smtp/parameter.h"
#include "smtp/xtext.h"

static void check_keyword(struct slice keyword)
{
    pst_assert(keyword.len > 0);
    for (size_t i = 0; i < keyword.len; i++)
        pst_assert(g_ascii_isalnum((char)keyword.data[i]) || (i > 0 && keyword.data[i] == '-'));
}

/* Well-formed UTF-8 without blanks and control characters. */
static void check_value(struct slice value)
{
    pst_assert(g_utf8_validate_len((const char *)value.data, value.len, NULL));
    for (size_t i = 0; i < value.len; i++)
        pst_assert(value.data[i] > ' ' && value.data[i] != 0x7f);
}

static void check_each(struct slice rest)
{
    const uint8_t *end = rest.data + rest.len;
    struct smtp_parameter one;
    while (smtp_parameter_next(&rest, &one) > 0) {
        check_keyword(one.keyword);
        check_value(one.value);
        const struct slice last = one.value.len > 0 ? one.value : one.keyword;
        pst_assert(last.data + last.len == rest.data && rest.data + rest.len <= end);
    }
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] >= 0x80)
            return false;
    return true;
}

/* ---- MAIL ---- */

static char *write_mail(const struct smtp_mail_parameters *p)
{
    static const char *const bodies[] = { "7BIT", "8BITMIME", "BINARYMIME" };
    static const char *const rets[] = { "", " RET=FULL", " RET=HDRS" };
    g_autofree char *envid = p->envid.len > 0 ? slice_dup(p->envid) : NULL;
    return g_strdup_printf(" SIZE=%" PRIu64 " BODY=%s%s%s%s%s%s", p->size, bodies[p->body],
                           p->utf8 ? " SMTPUTF8" : "", p->require_tls ? " REQUIRETLS" : "", rets[p->ret],
                           envid != NULL ? " ENVID=" : "", envid != NULL ? envid : "");
}

static void check_mail(struct slice rest, uint64_t limit)
{
    const struct smtp_mail_terms terms = { .message_size = limit, .secure = true, .auth = true };
    struct smtp_mail_parameters p, again;
    enum smtp_outcome outcome = smtp_mail_parameters_parse(rest, &terms, &p);
    if (outcome != SMTP_SENDER_OK) {
        pst_assert(outcome == SMTP_TOO_BIG || outcome == SMTP_PARAMETER_UNKNOWN ||
                   outcome == SMTP_PARAMETER_SYNTAX);
        return;
    }
    pst_assert(p.size <= limit && p.body <= SMTP_BODY_BINARYMIME && p.ret <= SMTP_RET_HDRS &&
               is_ascii(p.envid));
    g_autofree char *text = write_mail(&p);
    uint8_t *copy = fuzz_copy(slice_str(text));
    pst_assert(smtp_mail_parameters_parse(slice_of(copy, strlen(text)), &terms, &again) == SMTP_SENDER_OK);
    pst_assert(p.size == again.size && p.body == again.body && p.utf8 == again.utf8 && p.ret == again.ret &&
               p.require_tls == again.require_tls);
    pst_assert(slice_equal(p.envid, again.envid));
    free(copy);
}

/* ---- RCPT ---- */

static char *write_rcpt(const struct smtp_rcpt_parameters *p)
{
    static const char *const names[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if ((p->notify & 1U << i) != 0)
            g_string_append_printf(text, "%s%s", text->len > 0 ? "," : " NOTIFY=", names[i]);
    if (p->orcpt.len > 0)
        g_string_append_len(g_string_append(text, " ORCPT="), (const char *)p->orcpt.data,
                            (gssize)p->orcpt.len);
    return g_string_free(text, FALSE);
}

static bool parse_rcpt(struct slice rest, bool utf8, struct smtp_rcpt_parameters *ret)
{
    enum smtp_outcome outcome = smtp_rcpt_parameters_parse(rest, utf8, ret);
    pst_assert(outcome == SMTP_RECIPIENT_OK || outcome == SMTP_PARAMETER_UNKNOWN ||
               outcome == SMTP_PARAMETER_SYNTAX);
    return outcome == SMTP_RECIPIENT_OK;
}

static void check_rcpt(struct slice rest)
{
    struct smtp_rcpt_parameters p, again;
    if (!parse_rcpt(rest, true, &p)) {
        pst_assert(!parse_rcpt(rest, false, &p)); /* SMTPUTF8 only adds to what may be said */
        return;
    }
    pst_assert(p.notify <= SMTP_NOTIFY_NEVER || (p.notify & SMTP_NOTIFY_NEVER) == 0);
    pst_assert(p.notify <= (SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY));
    check_value(p.orcpt);
    g_autofree char *text = write_rcpt(&p);
    uint8_t *copy = fuzz_copy(slice_str(text));
    pst_assert(parse_rcpt(slice_of(copy, strlen(text)), true, &again));
    pst_assert(p.notify == again.notify && slice_equal(p.orcpt, again.orcpt));
    free(copy);
    if (parse_rcpt(rest, false, &again))
        pst_assert(p.notify == again.notify && slice_equal(p.orcpt, again.orcpt) && is_ascii(again.orcpt));
}

/* ---- xtext ---- */

/* All of it, or NULL where it is none. */
static GString *slow_xtext(struct slice in)
{
    static const char digits[] = "0123456789ABCDEF";
    GString *out = g_string_new(NULL);
    for (size_t i = 0; i < in.len; i++) {
        uint8_t octet = in.data[i];
        if (octet == '+' && i + 2 < in.len) {
            const char *high = memchr(digits, in.data[i + 1], 16), *low = memchr(digits, in.data[i + 2], 16);
            if (high != NULL && low != NULL) {
                g_string_append_c(out, (char)((high - digits) * 16 + (low - digits)));
                i += 2;
                continue;
            }
        }
        if (octet <= ' ' || octet >= 0x7f || octet == '+' || octet == '=') {
            g_string_free(out, TRUE);
            return NULL;
        }
        g_string_append_c(out, (char)octet);
    }
    return out;
}

static void check_xtext(struct slice in)
{
    GString *want = slow_xtext(in);
    size_t len = want != NULL ? want->len : in.len;
    char *text = malloc(len);
    int got = smtp_xtext_decode(in, text, len);
    pst_assert(want != NULL ? got == (int)len && memcmp(text, want->str, len) == 0 : got < 0);
    if (want != NULL && len > 0)
        pst_assert(smtp_xtext_decode(in, text, len - 1) < 0);
    free(text);
    if (want != NULL)
        g_string_free(want, TRUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t limits[] = { 10000, UINT64_MAX, 1 };
    struct slice rest = slice_of(data, size);
    uint64_t limit = limits[fuzz_choose(&rest, G_N_ELEMENTS(limits))];
    check_each(rest);
    check_mail(rest, limit);
    check_rcpt(rest);
    check_xtext(rest);
    return 0;
}
