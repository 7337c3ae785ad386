#include "base/number.h"

#include <errno.h>
#include <glib.h>

struct unit {
    const char *name;
    uint64_t factor;
};

int pst_parse_u64(struct slice text, uint64_t max, uint64_t *ret)
{
    if (text.len == 0)
        return -EINVAL;
    uint64_t value = 0;
    bool fits = true;
    for (size_t i = 0; i < text.len; i++) {
        if (!g_ascii_isdigit((char)text.data[i]))
            return -EINVAL;
        fits = fits && !__builtin_mul_overflow(value, UINT64_C(10), &value) &&
               !__builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value);
    }
    if (!fits || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

static int parse_with_unit(struct slice text, const struct unit *units, size_t count, uint64_t max,
                           uint64_t *ret)
{
    size_t digits = 0;
    while (digits < text.len && g_ascii_isdigit((char)text.data[digits]))
        digits++;
    struct slice suffix = slice_skip(text, digits);
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal_nocase(suffix, units[i].name))
            continue;
        uint64_t value;
        int r = pst_parse_u64(slice_first(text, digits), UINT64_MAX, &value);
        if (r < 0)
            return r;
        if (__builtin_mul_overflow(value, units[i].factor, &value) || value > max)
            return -ERANGE;
        *ret = value;
        return 0;
    }
    return -EINVAL;
}

int pst_parse_size(struct slice text, uint64_t max, uint64_t *ret)
{
    static const struct unit units[] = {
        { "", 1 },
        { "K", UINT64_C(1) << 10 },
        { "M", UINT64_C(1) << 20 },
        { "G", UINT64_C(1) << 30 },
        { "T", UINT64_C(1) << 40 },
    };
    return parse_with_unit(text, units, G_N_ELEMENTS(units), max, ret);
}

int pst_parse_duration(struct slice text, msec_t max, msec_t *ret)
{
    static const struct unit units[] = {
        { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
    };
    uint64_t value;
    int r = slice_equal(text, slice_str("0"))
                ? (value = 0, 0)
                : parse_with_unit(text, units, G_N_ELEMENTS(units), (uint64_t)max, &value);
    if (r < 0)
        return r;
    *ret = (msec_t)value;
    return 0;
}

char *pst_put_decimal(char *to, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

char *pst_put_hex(char *to, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value >>= 4)
        to[i] = "0123456789abcdef"[value & 0xf];
    return to + digits;
}

char *pst_put_u64(char *to, uint64_t value)
{
    unsigned digits = 1;
    for (uint64_t rest = value; rest >= 10; rest /= 10)
        digits++;
    return pst_put_decimal(to, value, digits);
}

char *pst_put_i64(char *to, int64_t value)
{
    if (value >= 0)
        return pst_put_u64(to, (uint64_t)value);
    *to = '-';
    return pst_put_u64(to + 1, 0 - (uint64_t)value); /* of the smallest, too, which has no opposite */
}
