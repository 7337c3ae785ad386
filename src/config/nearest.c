#include "config/nearest.h"

#include <glib.h>
#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return g_ascii_tolower(a) == g_ascii_tolower(b);
}

/* The optimal string alignment distance, of which three rows of the table suffice. */
size_t nearest_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > NEAREST_WORD_MAX || b_len > NEAREST_WORD_MAX)
        return SIZE_MAX;
    size_t rows[3][NEAREST_WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

bool nearest_improves(const char *word, const char *known, size_t *best)
{
    size_t distance = nearest_distance(word, known);
    if (distance > (strlen(known) + 1) / 3 || distance >= *best)
        return false;
    *best = distance;
    return true;
}
