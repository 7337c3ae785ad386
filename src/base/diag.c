#include "base/diag.h"

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
