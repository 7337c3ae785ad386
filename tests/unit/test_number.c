/* Text to numbers: what is one, what is none, and where 64 bits end. Numbers to text, as printf has them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "suite.h"

enum { UNTOUCHED = 77 };

struct row {
    const char *name, *text;
    uint64_t max;
    int want;
    uint64_t value;
};

static const struct row plain_rows[] = {
    { "zero", "0", UINT64_MAX, 0, 0 },
    { "leading zeros count for nothing", "007", UINT64_MAX, 0, 7 },
    { "the largest of 64 bits", "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
    { "one more than 64 bits", "18446744073709551616", UINT64_MAX, -ERANGE },
    { "overflow in the multiplication", "184467440737095516150", UINT64_MAX, -ERANGE },
    { "overflow that wraps to something small", "36893488147419103233", UINT64_MAX, -ERANGE },
    { "many zeros do not overflow", "0000000000000000000000000000001", UINT64_MAX, 0, 1 },
    { "the maximum itself", "255", 255, 0, 255 },
    { "one more than the maximum", "256", 255, -ERANGE },
    { "empty", "", UINT64_MAX, -EINVAL },
    { "a sign", "+1", UINT64_MAX, -EINVAL },
    { "a minus", "-1", UINT64_MAX, -EINVAL },
    { "a blank in front", " 1", UINT64_MAX, -EINVAL },
    { "a blank behind", "1 ", UINT64_MAX, -EINVAL },
    { "hexadecimal", "0x10", UINT64_MAX, -EINVAL },
    { "a letter behind digits that overflow", "99999999999999999999999x", UINT64_MAX, -EINVAL },
    { "an Arabic digit", "\xd9\xa1", UINT64_MAX, -EINVAL },
};

static const struct row size_rows[] = {
    { "octets", "1500", UINT64_MAX, 0, 1500 },
    { "K", "64K", UINT64_MAX, 0, 65536 },
    { "the unit's case does not count", "64k", UINT64_MAX, 0, 65536 },
    { "M", "50M", UINT64_MAX, 0, 52428800 },
    { "G", "3G", UINT64_MAX, 0, UINT64_C(3221225472) },
    { "T", "1T", UINT64_MAX, 0, UINT64_C(1099511627776) },
    { "the unit overflows", "16777216T", UINT64_MAX, -ERANGE },
    { "just below that", "16777215T", UINT64_MAX, 0, UINT64_C(16777215) << 40 },
    { "the maximum counts in octets", "1K", 1023, -ERANGE },
    { "a unit alone", "M", UINT64_MAX, -EINVAL },
    { "two letters", "5MB", UINT64_MAX, -EINVAL },
    { "a fraction", "1.5M", UINT64_MAX, -EINVAL },
    { "a blank before the unit", "5 M", UINT64_MAX, -EINVAL },
    { "empty, as a size", "", UINT64_MAX, -EINVAL },
};

static const struct row duration_rows[] = {
    { "zero needs no unit", "0", INT64_MAX, 0, 0 },
    { "milliseconds", "250ms", INT64_MAX, 0, 250 },
    { "seconds", "90s", INT64_MAX, 0, 90000 },
    { "minutes", "5m", INT64_MAX, 0, 300000 },
    { "hours", "1h", INT64_MAX, 0, 3600000 },
    { "days", "2d", INT64_MAX, 0, 172800000 },
    { "another number needs a unit", "5", INT64_MAX, -EINVAL },
    { "an unknown unit", "5y", INT64_MAX, -EINVAL },
    { "more than the maximum", "61s", 60000, -ERANGE },
    { "more than 63 bits of milliseconds", "106751991168d", INT64_MAX, -ERANGE },
    { "more than 64 bits of milliseconds", "99999999999999999d", INT64_MAX, -ERANGE },
};

static void check_plain(void **state)
{
    const struct row *row = *state;
    uint64_t value = UNTOUCHED;
    assert_int_equal(pst_parse_u64(slice_str(row->text), row->max, &value), row->want);
    assert_int_equal(value, row->want < 0 ? UNTOUCHED : row->value);
}

static void check_size(void **state)
{
    const struct row *row = *state;
    uint64_t value = UNTOUCHED;
    assert_int_equal(pst_parse_size(slice_str(row->text), row->max, &value), row->want);
    assert_int_equal(value, row->want < 0 ? UNTOUCHED : row->value);
}

static void check_duration(void **state)
{
    const struct row *row = *state;
    msec_t value = UNTOUCHED;
    assert_int_equal(pst_parse_duration(slice_str(row->text), (msec_t)row->max, &value), row->want);
    assert_int_equal(value, row->want < 0 ? UNTOUCHED : (msec_t)row->value);
}

static void check_nul_inside(void **state)
{
    (void)state;
    uint64_t value = UNTOUCHED;
    assert_int_equal(pst_parse_u64(slice_of("1\0002", 3), UINT64_MAX, &value), -EINVAL);
    assert_int_equal(value, UNTOUCHED);
}

/* Every number near a power of two comes back from its text, and only those that fit are taken. */
static void check_powers(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit < 64; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t number = (UINT64_C(1) << bit) + (uint64_t)delta, value;
            char text[24];
            (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
            assert_int_equal(pst_parse_u64(slice_str(text), number, &value), 0);
            assert_true(value == number);
            assert_int_equal(pst_parse_u64(slice_str(text), number - 1, &value), -ERANGE);
        }
    }
}

/* ---- the other way ---- */

struct put_row {
    const char *name;
    uint64_t value;
    unsigned digits;
    const char *decimal, *hex; /* that many of each */
};

static const struct put_row put_rows[] = {
    { "no digits", 5, 0, "", "" },
    { "one digit", 5, 1, "5", "5" },
    { "zeros in front", 7, 2, "07", "07" },
    { "zero in six digits", 0, 6, "000000", "000000" },
    { "microseconds", 42, 6, "000042", "00002a" },
    { "all hexadecimal digits", UINT64_C(0x0123456789abcdef), 16, "1985529216486895", "0123456789abcdef" },
    { "only the last digits", 123456, 3, "456", "240" },
    { "64 bits", UINT64_MAX, 20, "18446744073709551615", "0000ffffffffffffffff" },
};

/* Of what a function wrote: its digits, and nothing behind them. */
static void expect_put(const char *want, const char *text, const char *end)
{
    assert_int_equal(end - text, strlen(want));
    assert_memory_equal(text, want, strlen(want));
    assert_int_equal(*end, '#');
}

static void check_put_digits(void **state)
{
    const struct put_row *row = *state;
    char text[24];
    memset(text, '#', sizeof text);
    expect_put(row->decimal, text, pst_put_decimal(text, row->value, row->digits));
    memset(text, '#', sizeof text);
    expect_put(row->hex, text, pst_put_hex(text, row->value, row->digits));
}

static void check_put(uint64_t number)
{
    char want[24], text[24];
    (void)snprintf(want, sizeof want, "%" PRIu64, number);
    assert_true(strlen(want) <= PST_DECIMAL_MAX);
    memset(text, '#', sizeof text);
    expect_put(want, text, pst_put_u64(text, number));
    (void)snprintf(want, sizeof want, "%" PRId64, (int64_t)number);
    assert_true(strlen(want) <= PST_DECIMAL_MAX);
    memset(text, '#', sizeof text);
    expect_put(want, text, pst_put_i64(text, (int64_t)number));
}

/* Around powers of two, with either sign, and of ten. */
static void check_put_like_printf(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++)
        for (int delta = -1; delta <= 1; delta++)
            check_put((UINT64_C(1) << bit) + (uint64_t)delta);
    uint64_t power = 1;
    for (unsigned digits = 1; digits <= PST_DECIMAL_MAX; digits++, power *= 10)
        for (int delta = -1; delta <= 1; delta++)
            check_put(power + (uint64_t)delta);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("number");
    suite_add_rows(s, plain_rows, check_plain);
    suite_add_rows(s, size_rows, check_size);
    suite_add_rows(s, duration_rows, check_duration);
    suite_add(s, "NUL is no digit and ends nothing", check_nul_inside, NULL);
    suite_add(s, "numbers around powers of two", check_powers, NULL);
    suite_add_rows(s, put_rows, check_put_digits);
    suite_add(s, "numbers to text are what printf makes of them", check_put_like_printf, NULL);
    return suite_run(s, argc, argv);
}
