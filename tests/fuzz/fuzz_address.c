/* The grammar of addresses (smtp/address.h): what is read is in bounds, holds no control character, and comes
 * out the same when it is written and read again. */
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
    for (size_t i = 0; i < text.len; i++)
        pst_assert(text.data[i] >= ' ' && text.data[i] != 0x7f);
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
    pst_assert(smtp_domain_valid(slice_of(a->domain, a->domain_len)));
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
    if (smtp_domain_valid(text))
        check_text(text);
    return 0;
}
