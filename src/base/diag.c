#include "base/diag.h"

#include <stdbool.h>
#include <string.h>

void diag_add(struct diag *d, struct origin at, const char *format, ...)
{
    if (d->problems == NULL)
        d->problems = g_ptr_array_new_with_free_func(g_free);
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    char *line = at.file == NULL ? g_steal_pointer(&text)
                 : at.line > 0   ? g_strdup_printf("%s:%u: %s", at.file, at.line, text)
                                 : g_strdup_printf("%s: %s", at.file, text);
    g_ptr_array_add(d->problems, line);
}

static size_t place_len(const char *line)
{
    const char *end = strstr(line, ": ");
    return end != NULL ? (size_t)(end - line) : strlen(line);
}

static bool tells_of(const struct diag *d, unsigned count, const char *line)
{
    size_t len = place_len(line);
    for (unsigned i = 0; i < count; i++) {
        const char *told = g_ptr_array_index(d->problems, i);
        if (place_len(told) == len && memcmp(told, line, len) == 0)
            return true;
    }
    return false;
}

void diag_add_news(struct diag *d, const struct diag *more)
{
    unsigned count = diag_count(d);
    for (unsigned i = 0; i < diag_count(more); i++) {
        const char *line = g_ptr_array_index(more->problems, i);
        if (!tells_of(d, count, line))
            diag_add(d, (struct origin){ 0 }, "%s", line);
    }
}

unsigned diag_count(const struct diag *d)
{
    return d->problems != NULL ? d->problems->len : 0;
}

void diag_print(const struct diag *d, FILE *to)
{
    for (unsigned i = 0; i < diag_count(d); i++)
        (void)fprintf(to, "%s\n", (const char *)g_ptr_array_index(d->problems, i));
}

void diag_clear(struct diag *d)
{
    g_clear_pointer(&d->problems, g_ptr_array_unref);
}
