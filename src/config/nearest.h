/*
 * config/nearest.h - which known word somebody meant who misspelt it. Values only; nothing fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * How many letters must be changed, added, left out or exchanged with their neighbour to make one word of the
 * other; the case of ASCII letters does not count. Only for words of up to NEAREST_WORD_MAX octets: else it
 * is far more than any limit.
 */
enum { NEAREST_WORD_MAX = 64 };
size_t nearest_distance(const char *a, const char *b);

/* Whether `known` is close enough to `word` to be proposed, and closer than *best, which it then lowers.
 * Start with *best = SIZE_MAX. */
bool nearest_improves(const char *word, const char *known, size_t *best);
