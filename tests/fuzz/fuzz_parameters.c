/* The parameters of MAIL and RCPT (smtp/command.h): each is a slice of the line with nothing but the octets
 * that the grammar grants, and none is read twice. */
#include <glib.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "smtp/command.h"

static void check_parameter(const struct smtp_parameter *one)
{
    pst_assert(one->keyword.len > 0);
    for (size_t i = 0; i < one->keyword.len; i++)
        pst_assert(g_ascii_isalnum((char)one->keyword.data[i]) || (i > 0 && one->keyword.data[i] == '-'));
    for (size_t i = 0; i < one->value.len; i++)
        pst_assert(one->value.data[i] > ' ' && one->value.data[i] != '=' && one->value.data[i] != 0x7f);
}

static void check_each(struct slice rest)
{
    const uint8_t *end = rest.data + rest.len;
    struct smtp_parameter one;
    while (smtp_parameter_next(&rest, &one) > 0) {
        check_parameter(&one);
        const struct slice last = one.value.len > 0 ? one.value : one.keyword;
        pst_assert(last.data + last.len == rest.data && rest.data + rest.len <= end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_each(slice_of(data, size));
    return 0;
}
