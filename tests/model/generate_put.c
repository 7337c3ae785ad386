#include "generate_internal.h"

uint64_t below(struct generator *g, uint64_t limit)
{
    return pst_random_below(&g->random, limit);
}

bool one_in(struct generator *g, uint64_t n)
{
    return below(g, n) == 0;
}

/* Verbs and keywords are read in any case (RFC 5321 2.4). */
void put_keyword(struct generator *g, struct act *act, const char *text)
{
    bool lower = one_in(g, 4);
    for (; *text != '\0'; text++)
        g_string_append_c(act->wire, lower ? g_ascii_tolower(*text) : *text);
}

/* Blanks at the end are tolerated (RFC 5321 4.1.1). */
void end_line(struct generator *g, struct act *act)
{
    g_string_append(act->wire, one_in(g, 16) ? " \r\n" : "\r\n");
}

void put_line(struct generator *g, struct act *act, const char *text)
{
    put_keyword(g, act, text);
    end_line(g, act);
}

void put_too_long(struct generator *g, struct act *act, const char *beginning, size_t limit)
{
    g_string_append(act->wire, beginning);
    size_t len = limit - 1 + (size_t)(one_in(g, 2) ? 0 : below(g, 6000)); /* with CR LF: one too many */
    while (act->wire->len < len)
        g_string_append_c(act->wire, one_in(g, 500) ? '\r' : (char)('a' + act->wire->len % 26));
    g_string_append(act->wire, "\r\n");
}
