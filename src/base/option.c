#include "base/option.h"

#include <errno.h>
#include <glib.h>

#include "base/assert.h"

static void *field_of(const struct option_row *row, void *values)
{
    return (char *)values + row->offset;
}

static char *size_text(uint64_t octets)
{
    static const char units[] = "KMGT";
    size_t unit = 0;
    for (; unit < sizeof units - 1 && octets >= 1024 && octets % 1024 == 0; unit++)
        octets /= 1024;
    return unit > 0 ? g_strdup_printf("%" G_GUINT64_FORMAT "%c", octets, units[unit - 1])
                    : g_strdup_printf("%" G_GUINT64_FORMAT, octets);
}

static char *duration_text(uint64_t ms)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };
    size_t i = 0;
    while (ms % units[i].factor != 0)
        i++;
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", ms / units[i].factor, units[i].name);
}

static char *range_text(const struct option_row *row, const char *what, char *(*text)(uint64_t))
{
    g_autofree char *min = text(row->min);
    if (row->max == 0)
        return row->min == 0 ? g_strdup(what) : g_strdup_printf("%s, at least %s", what, min);
    g_autofree char *max = text(row->max);
    if (row->min == 0)
        return g_strdup_printf("%s, at most %s", what, max);
    return g_strdup_printf("%s, from %s to %s", what, min, max);
}

static char *count_text(uint64_t n)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT, n);
}

char *option_expectation(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_BOOL:
        return g_strdup("yes or no");
    case OPTION_COUNT:
        return range_text(row, "a whole number", count_text);
    case OPTION_SIZE:
        return range_text(row, "a size in octets such as 64K or 50M", size_text);
    case OPTION_DURATION:
        return range_text(row, "a duration such as 90s or 5m", duration_text);
    case OPTION_CHOICE: {
        g_autofree char *list = g_strjoinv(", ", (char **)row->choices);
        return g_strdup_printf("one of %s", list);
    }
    case OPTION_TEXT:
    case OPTION_CUSTOM:
        break;
    }
    return g_strdup(row->expected != NULL ? row->expected : "a text");
}

static int set_number(const struct option_row *row, void *field, struct slice text)
{
    uint64_t limit = row->max > 0 ? row->max : UINT64_MAX;
    uint64_t value = 0;
    msec_t duration = 0;
    int r;
    if (row->kind == OPTION_DURATION) {
        r = pst_parse_duration(text, row->max > 0 ? (msec_t)row->max : INT64_MAX / 2, &duration);
        value = (uint64_t)duration;
    } else {
        r = row->kind == OPTION_SIZE ? pst_parse_size(text, limit, &value)
                                     : pst_parse_u64(text, limit, &value);
    }
    if (r < 0 || value < row->min)
        return -EINVAL;
    if (row->kind == OPTION_DURATION)
        *(msec_t *)field = duration;
    else
        *(uint64_t *)field = value;
    return 0;
}

static int set_choice(const struct option_row *row, int *field, const char *text)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *field = i;
            return 0;
        }
    }
    return -EINVAL;
}

static int set_bool(bool *field, const char *text)
{
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0)
        return -EINVAL;
    *field = yes;
    return 0;
}

static int set_text(char **field, const char *text)
{
    if (*text == '\0')
        return -EINVAL;
    g_free(*field);
    *field = g_strdup(text);
    return 0;
}

static int set_field(const struct option_row *row, void *field, const char *key, const char *text,
                     char **ret_problem)
{
    switch (row->kind) {
    case OPTION_BOOL:
        return set_bool(field, text);
    case OPTION_COUNT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return set_number(row, field, slice_str(text));
    case OPTION_CHOICE:
        return set_choice(row, field, text);
    case OPTION_TEXT:
        return set_text(field, text);
    case OPTION_CUSTOM:
        return row->parse_rest != NULL ? row->parse_rest(key + option_stem(row), text, field, ret_problem)
                                       : row->parse(text, field, ret_problem);
    }
    return -EINVAL;
}

int option_set_key(const struct option_row *row, void *values, const char *key, const char *text,
                   char **ret_problem)
{
    g_autofree char *detail = NULL;
    if (set_field(row, field_of(row, values), key, text, &detail) >= 0)
        return 0;
    g_autofree char *expected = option_expectation(row);
    *ret_problem = detail != NULL ? g_strdup_printf("%s; expected %s", detail, expected)
                                  : g_strdup_printf("expected %s", expected);
    return -EINVAL;
}

int option_set(const struct option_row *row, void *values, const char *text, char **ret_problem)
{
    pst_assert(row->parse_rest == NULL);
    return option_set_key(row, values, row->name, text, ret_problem);
}

void option_set_defaults(const struct option_row *rows, size_t count, void *values)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *problem = NULL;
        if (rows[i].fallback != NULL)
            pst_assert(option_set(&rows[i], values, rows[i].fallback, &problem) == 0);
    }
}

void option_clear(const struct option_row *rows, size_t count, void *values)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].kind == OPTION_TEXT)
            g_clear_pointer((char **)field_of(&rows[i], values), g_free);
        else if (rows[i].kind == OPTION_CUSTOM && rows[i].clear != NULL)
            rows[i].clear(field_of(&rows[i], values));
    }
}

const struct option_row *option_find(const struct option_row *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        size_t stem = option_stem(&rows[i]);
        bool fits = rows[i].parse_rest != NULL ? strncmp(rows[i].name, name, stem) == 0 && name[stem] != '\0'
                                               : strcmp(rows[i].name, name) == 0;
        if (fits)
            return &rows[i];
    }
    return NULL;
}

size_t option_stem(const struct option_row *row)
{
    return strlen(row->name) - (row->parse_rest != NULL ? 1 : 0);
}
