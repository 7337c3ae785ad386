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

static struct smtp_address address_in(struct slice text, const struct smtp_path *path)
{
    struct smtp_address a;
    smtp_path_address(path, text, &a);
    return a;
}

/* As it is written, and in brackets, it is read again as the same. */
static void check_written(const struct smtp_address *a, bool ascii)
{
    char text[SMTP_ADDRESS_TEXT], in_brackets[SMTP_ADDRESS_TEXT + 2];
    struct slice domain = slice_of(a->domain, a->domain_len);
    check_text(slice_str(smtp_address_format(a, text)));
    pst_assert(g_str_is_ascii(text) == ascii);
    pst_assert(a->domain_len > 0 || a->local_len == 0 || g_ascii_strcasecmp(text, "postmaster") == 0);
    check_domain(domain);
    pst_assert(a->domain_len == 0 || smtp_domain_valid(domain) || !ascii);
    int len = g_snprintf(in_brackets, sizeof in_brackets, "<%s>", text);
    uint8_t *copy = fuzz_copy(slice_of(in_brackets, (size_t)len));
    struct slice whole = slice_of(copy, (size_t)len);
    struct smtp_path again;
    pst_assert(smtp_path_read(whole, &again) == 0 && again.len == whole.len);
    struct smtp_address same = address_in(whole, &again);
    pst_assert(is_same(a, &same));
    free(copy);
}

/* A path ends where it says: what stands behind it changes nothing, and without its last octet it is none. */
static void check_path(struct slice text)
{
    struct smtp_path path, again;
    if (smtp_path_read(text, &path) < 0)
        return;
    pst_assert(path.len >= 2 && path.len <= text.len && path.len <= SMTP_PATH_MAX &&
               text.data[path.len - 1] == '>');
    struct smtp_address a = address_in(text, &path);
    check_written(&a, path.ascii);
    uint8_t *copy = fuzz_copy(slice_first(text, path.len));
    pst_assert(smtp_path_read(slice_of(copy, path.len), &again) == 0 && again.len == path.len);
    pst_assert(smtp_path_read(slice_of(copy, path.len - 1U), &again) < 0);
    free(copy);
}

/* What the corpus has of addresses without brackets. */
static void check_mailbox(struct slice text)
{
    GByteArray *path = g_byte_array_new();
    g_byte_array_append(path, (const uint8_t *)"<", 1);
    g_byte_array_append(path, text.data, (guint)text.len);
    g_byte_array_append(path, (const uint8_t *)">", 1);
    check_path(slice_of(path->data, path->len));
    g_byte_array_unref(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    check_mailbox(text);
    check_path(text);
    check_domain(text);
    return 0;
}
