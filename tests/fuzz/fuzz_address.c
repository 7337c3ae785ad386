/* The grammar of addresses (smtp/address.h): what is read is in bounds, holds no control character, and comes
 * out the same when it is written and read again. A domain's canonical name is ASCII, and its own. */
#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "smtp/address.h"

static bool is_same(const struct smtp_address *a, const struct smtp_address *b)
{
    return slice_equal(slice_of(a->local, a->local_len), slice_of(b->local, b->local_len)) &&
           slice_equal(slice_of(a->domain, a->domain_len), slice_of(b->domain, b->domain_len));
}

static void check_text(struct slice text)
{
    const char *at = (const char *)text.data, *end = at + text.len;
    pst_assert(g_utf8_validate_len(at, text.len, NULL));
    for (; at < end; at = g_utf8_next_char(at))
        pst_assert(!g_unichar_iscntrl(g_utf8_get_char(at)));
}

static void check_domain(struct slice text)
{
    char name[SMTP_DOMAIN_MAX + 1], again[SMTP_DOMAIN_MAX + 1];
    if (smtp_domain_valid(text)) {
        check_text(text);
        pst_assert(smtp_domain_canonical(text, name) == 0 && strlen(name) == text.len);
    }
    if (smtp_domain_canonical(text, name) < 0)
        return;
    pst_assert(smtp_domain_valid(slice_str(name)));
    pst_assert(smtp_domain_canonical(slice_str(name), again) == 0 && strcmp(name, again) == 0);
}

static void check_again(const struct smtp_address *a)
{
    char text[SMTP_ADDRESS_TEXT];
    struct slice written = slice_str(smtp_address_format(a, text));
    check_text(written);
    if (smtp_address_is_null(a) || a->domain_len == 0) {
        pst_assert(a->local_len == 0 ? written.len == 0 : g_ascii_strcasecmp(text, "postmaster") == 0);
        return;
    }
    struct slice domain = slice_of(a->domain, a->domain_len);
    check_domain(domain);
    pst_assert(smtp_domain_valid(domain) || !smtp_address_is_ascii(a));
    uint8_t *copy = fuzz_copy(written);
    struct smtp_address again;
    pst_assert(smtp_address_parse(slice_of(copy, written.len), &again) == 0);
    pst_assert(is_same(a, &again));
    free(copy);
}

static void check_address(struct slice text)
{
    struct smtp_address a;
    if (smtp_address_parse(text, &a) < 0)
        return;
    pst_assert(a.domain_len > 0);
    check_again(&a);
}

/* A path ends where it says: what stands behind it changes nothing, and without its last octet it is none. */
static void check_path(struct slice text)
{
    struct smtp_address a, again;
    size_t len, again_len;
    if (smtp_path_parse(text, &a, &len) < 0)
        return;
    pst_assert(len >= 2 && len <= text.len && len <= SMTP_PATH_MAX && text.data[len - 1] == '>');
    check_again(&a);
    uint8_t *copy = fuzz_copy(slice_first(text, len));
    pst_assert(smtp_path_parse(slice_of(copy, len), &again, &again_len) == 0);
    pst_assert(again_len == len && is_same(&a, &again));
    pst_assert(smtp_path_parse(slice_of(copy, len - 1), &again, &again_len) < 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    check_address(text);
    check_path(text);
    check_domain(text);
    return 0;
}
