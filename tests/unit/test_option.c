/* Option rows: each kind of value, what is said about a wrong one, and that a wrong one changes nothing. */
#include <errno.h>

#include "base/option.h"
#include "suite.h"

#include <glib.h>

struct values {
    bool on;
    uint64_t count;
    uint64_t size;
    msec_t wait;
    int colour;
    char *text;
    unsigned custom;
};

static unsigned cleared;

/* Takes "even" numbers only. */
static int parse_custom(const char *text, void *field, char **ret_problem)
{
    uint64_t value;
    if (pst_parse_u64(slice_str(text), 100, &value) < 0)
        return -EINVAL;
    if (value % 2 != 0) {
        *ret_problem = g_strdup("it is odd");
        return -EINVAL;
    }
    *(unsigned *)field = (unsigned)value;
    return 0;
}

static void clear_custom(void *field)
{
    cleared++;
    *(unsigned *)field = 0;
}

static const char *const colours[] = { "red", "green", NULL };

static const struct option_row option_rows[] = {
    { .name = "on", .kind = OPTION_BOOL, .offset = OPTION_OFFSET(values, on), .fallback = "yes" },
    { .name = "count",
      .kind = OPTION_COUNT,
      .offset = OPTION_OFFSET(values, count),
      .fallback = "3",
      .min = 1,
      .max = 10 },
    { .name = "free-count", .kind = OPTION_COUNT, .offset = OPTION_OFFSET(values, count) },
    { .name = "size", .kind = OPTION_SIZE, .offset = OPTION_OFFSET(values, size), .min = 1024 },
    { .name = "wait",
      .kind = OPTION_DURATION,
      .offset = OPTION_OFFSET(values, wait),
      .fallback = "5m",
      .min = 1000,
      .max = 3600000 },
    { .name = "free-wait", .kind = OPTION_DURATION, .offset = OPTION_OFFSET(values, wait) },
    { .name = "short-wait",
      .kind = OPTION_DURATION,
      .offset = OPTION_OFFSET(values, wait),
      .max = 60 * 1000 },
    { .name = "colour", .kind = OPTION_CHOICE, .offset = OPTION_OFFSET(values, colour), .choices = colours },
    { .name = "text", .kind = OPTION_TEXT, .offset = OPTION_OFFSET(values, text), .expected = "a name" },
    { .name = "any-text", .kind = OPTION_TEXT, .offset = OPTION_OFFSET(values, text) },
    { .name = "custom",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(values, custom),
      .parse = parse_custom,
      .clear = clear_custom,
      .expected = "an even number" },
};
static const size_t option_row_count = G_N_ELEMENTS(option_rows);

struct set_row {
    const char *name, *option, *text;
    const char *problem; /* NULL: it is taken */
};

static const struct set_row good_rows[] = {
    { "yes", "on", "yes" },
    { "no", "on", "no" },
    { "the least count", "count", "1" },
    { "the greatest count", "count", "10" },
    { "a count without limits", "free-count", "18446744073709551615" },
    { "a size", "size", "64K" },
    { "a duration", "wait", "90s" },
    { "a duration without limits", "free-wait", "0" },
    { "a choice", "colour", "green" },
    { "a text", "text", "anything = at ; all" },
    { "a custom value", "custom", "42" },
};

static const struct set_row bad_rows[] = {
    { "true is not yes", "on", "true", "expected yes or no" },
    { "Yes is not yes", "on", "Yes", "expected yes or no" },
    { "below the least count", "count", "0", "expected a whole number, from 1 to 10" },
    { "above the greatest count", "count", "11", "expected a whole number, from 1 to 10" },
    { "a word for a count", "free-count", "many", "expected a whole number" },
    { "a negative count", "free-count", "-1", "expected a whole number" },
    { "below the least size", "size", "1023", "expected a size in octets such as 64K or 50M, at least 1K" },
    { "a size with a unit too much", "size", "5MB",
      "expected a size in octets such as 64K or 50M, at least 1K" },
    { "below the least duration", "wait", "999ms", "expected a duration such as 90s or 5m, from 1s to 1h" },
    { "above the greatest duration", "wait", "61m", "expected a duration such as 90s or 5m, from 1s to 1h" },
    { "a duration without a unit", "wait", "90", "expected a duration such as 90s or 5m, from 1s to 1h" },
    { "above the greatest duration, where none is too short", "short-wait", "61s",
      "expected a duration such as 90s or 5m, at most 1m" },
    { "no such choice", "colour", "blue", "expected one of red, green" },
    { "a choice in another case", "colour", "Red", "expected one of red, green" },
    { "part of a choice", "colour", "re", "expected one of red, green" },
    { "an empty text", "text", "", "expected a name" },
    { "an empty text of no kind", "any-text", "", "expected a text" },
    { "a custom value that explains", "custom", "3", "it is odd; expected an even number" },
    { "a custom value that does not", "custom", "x", "expected an even number" },
};

static void fill(struct values *v)
{
    *v = (struct values){
        .on = true, .count = 5, .size = 5000, .wait = 5000, .colour = 1, .text = g_strdup("old"), .custom = 6
    };
}

static void check_good(void **state)
{
    const struct set_row *row = *state;
    const struct option_row *option = option_find(option_rows, option_row_count, row->option);
    assert_non_null(option);
    struct values v = { 0 };
    g_autofree char *problem = NULL;
    assert_int_equal(option_set(option, &v, row->text, &problem), 0);
    assert_null(problem);
    struct values wanted[] = {
        { .on = true },          { 0 },
        { .count = 1 },          { .count = 10 },
        { .count = UINT64_MAX }, { .size = 65536 },
        { .wait = 90000 },       { 0 },
        { .colour = 1 },         { .text = v.text },
        { .custom = 42 },
    };
    const struct values *want = &wanted[row - good_rows];
    assert_int_equal(v.on, want->on);
    assert_int_equal(v.count, want->count);
    assert_int_equal(v.size, want->size);
    assert_int_equal(v.wait, want->wait);
    assert_int_equal(v.colour, want->colour);
    assert_int_equal(v.custom, want->custom);
    if (option->kind == OPTION_TEXT)
        assert_string_equal(v.text, row->text);
    option_clear(option_rows, option_row_count, &v);
}

static void check_bad(void **state)
{
    const struct set_row *row = *state;
    const struct option_row *option = option_find(option_rows, option_row_count, row->option);
    assert_non_null(option);
    struct values v, before;
    fill(&v);
    before = v;
    g_autofree char *problem = NULL;
    assert_int_equal(option_set(option, &v, row->text, &problem), -EINVAL);
    assert_string_equal(problem, row->problem);
    assert_int_equal(v.on, before.on);
    assert_int_equal(v.count, before.count);
    assert_int_equal(v.size, before.size);
    assert_int_equal(v.wait, before.wait);
    assert_int_equal(v.colour, before.colour);
    assert_ptr_equal(v.text, before.text);
    assert_int_equal(v.custom, before.custom);
    option_clear(option_rows, option_row_count, &v);
}

static void check_defaults_and_clear(void **state)
{
    (void)state;
    struct values v = { 0 };
    option_set_defaults(option_rows, option_row_count, &v);
    assert_true(v.on);
    assert_int_equal(v.count, 3);
    assert_int_equal(v.wait, 300000);
    assert_null(v.text);
    assert_int_equal(v.size, 0);

    g_autofree char *problem = NULL;
    const struct option_row *text = option_find(option_rows, option_row_count, "text");
    assert_int_equal(option_set(text, &v, "one", &problem), 0);
    assert_int_equal(option_set(text, &v, "two", &problem),
                     0); /* the first is freed: the sanitizer would tell */
    assert_string_equal(v.text, "two");
    v.custom = 8;
    cleared = 0;
    option_clear(option_rows, option_row_count, &v);
    assert_null(v.text);
    assert_int_equal(cleared, 1);
    assert_int_equal(v.custom, 0);
}

static void check_find(void **state)
{
    (void)state;
    assert_null(option_find(option_rows, option_row_count, "cou"));
    assert_null(option_find(option_rows, option_row_count, "Count"));
    assert_null(option_find(option_rows, 0, "count"));
    assert_ptr_equal(option_find(option_rows, option_row_count, "count"), &option_rows[1]);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("option");
    suite_add_rows(s, good_rows, check_good);
    suite_add_rows(s, bad_rows, check_bad);
    suite_add(s, "defaults, and clearing", check_defaults_and_clear, NULL);
    suite_add(s, "find by the whole name", check_find, NULL);
    return suite_run(s, argc, argv);
}
