/*
 * man/print-options.c - prints the sections and keys of postern.conf in mdoc, or with an argument the
 * counters, from the rows that the program itself uses. The build puts what it prints into postern.conf(5).
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "server/settings.h"

enum { WIDTH = 78 };

/* A word cannot be taken for a macro or hold an escape. */
static void append_word(GString *line, const char *word)
{
    if (line->len > 0)
        g_string_append_c(line, ' ');
    else if (*word == '.' || *word == '\'')
        g_string_append(line, "\\&");
    for (; *word != '\0'; word++)
        g_string_append(line, *word == '\\' ? "\\e" : (const char[]){ *word, '\0' });
}

static void print_line(GString *line)
{
    printf("%s\n", line->str);
    g_string_truncate(line, 0);
}

/* Text for mdoc: lines of some width, and each sentence begins one. */
static void print_text(const char *text)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    for (char **word = words; *word != NULL; word++) {
        if (line->len > 0 && (line->str[line->len - 1] == '.' || line->len + 1 + strlen(*word) > WIDTH))
            print_line(line);
        append_word(line, *word);
    }
    print_line(line);
}

static void print_row(const struct option_row *row)
{
    g_autofree char *expected = option_expectation(row);
    printf(".It Cm %s\n", row->name);
    print_text(row->sentence);
    g_autofree char *sentence = g_strdup_printf("Expected: %s", expected);
    printf(".br\n");
    print_text(sentence);
    if (row->required)
        printf(".br\nThis key is required.\n");
    else if (row->fallback != NULL)
        printf(".br\nDefault:\n.Li %s\n", row->fallback);
}

static void print_kind(const struct config_kind *kind)
{
    printf(".Ss [%s%s%s]\\&\n", kind->name, kind->named != NULL ? " " : "",
           kind->named != NULL ? kind->named : "");
    print_text(kind->sentence);
    printf(".Bl -tag -width Ds\n");
    for (size_t i = 0; i < kind->table_count; i++)
        for (size_t j = 0; j < *kind->tables[i].count; j++)
            print_row(&kind->tables[i].rows[j]);
    printf(".El\n");
}

static void print_kinds(void)
{
    for (size_t i = 0; i < settings_kind_count; i++)
        print_kind(&settings_kinds[i]);
}

static void print_counter(const struct counter_row *row)
{
    printf(".It Li postern_%s_total\n", row->name);
    print_text(row->sentence);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        for (size_t i = 0; i < COUNTERS; i++)
            print_counter(&counter_rows[i]);
    else
        print_kinds();
    return ferror(stdout) || fflush(stdout) != 0;
}
