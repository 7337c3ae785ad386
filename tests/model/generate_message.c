/* Messages, as DATA and BDAT carry them. */
#include <string.h>

#include "generate_internal.h"

/* ---- messages ---- */

static const char *const text_lines[] = {
    "",
    "text",
    "Subject: a subject",
    ".",
    "..",
    "...",
    ".text",
    "text.",
    "\xf0\x9f\x93\xa7 \xe9",
    "QUIT",
    "MAIL FROM:<evil@example.net>",
    "BDAT 10 LAST",
};
/* Lines with CR or LF inside, and never both in that order. */
static const char *const bare_lines[] = { "text\ntext", "text\rtext", "text\n.",       "text\r.",
                                          "text\r",     "\n.\n",      "text\n.\rtext", "\n",
                                          "\r",         "\r\r",       "text\n\r" };

static void put_text_line(struct generator *g, GString *to)
{
    g_string_truncate(g->scratch, 0);
    if (one_in(g, 40))
        g_string_assign(g->scratch, *pick(g, bare_lines));
    else if (one_in(g, 40))
        g_string_append_len(g->scratch, "a\0b", 3);
    else
        g_string_assign(g->scratch, *pick(g, text_lines));
    if (one_in(g, 30)) {
        gsize len = g->scratch->len;
        g_string_set_size(g->scratch, len + below(g, 1200));
        memset(g->scratch->str + len, 'x', g->scratch->len - len);
    }
    g_string_append_len(to, g->scratch->str, (gssize)g->scratch->len);
}

/* So that the message has just as many octets, the last two CR LF. */
static void resize(GString *to, size_t size)
{
    gsize len = MIN(to->len, size - 2);
    g_string_set_size(to, size - 2);
    memset(to->str + len, 'x', to->len - len);
    g_string_append(to, "\r\n");
}

static void put_header(struct generator *g, GString *to)
{
    static const char *const header_lines[] = {
        "Subject: a subject",
        "From: carol@example.net",
        "X-Empty:",
        "X-Folded: one",
        "\ttwo",
        " three",
        "To\t: ann",
        "A:b",
        "no field",
        "From a b",
    };
    for (uint64_t left = below(g, 6); left > 0; left--) {
        g_string_append(to, *pick(g, header_lines));
        g_string_append(to, "\r\n");
    }
}

static void put_text(struct generator *g, GString *to)
{
    if (one_in(g, 2))
        put_header(g, to);
    for (uint64_t lines_left = one_in(g, 10) ? 0 : below(g, 8); lines_left > 0; lines_left--) {
        put_text_line(g, to);
        g_string_append(to, "\r\n");
    }
    size_t limit = (size_t)g->rules->service.limits.message_size;
    if (one_in(g, 40))
        resize(to, limit + (size_t)below(g, 3) - 1);
}

/* RFC 5321 4.5.2: a dot before each line that begins with one; and, as a server takes it too, before others.
 */
static void stuff(struct generator *g, struct act *act)
{
    const GString *content = act->content;
    for (gsize at = 0; at < content->len;) {
        const char *line = content->str + at;
        const char *end = memmem(line, content->len - at, "\r\n", 2);
        gsize len = end != NULL ? (gsize)(end - line) : content->len - at;
        if (line[0] == '.' || (len > 0 && one_in(g, 50)))
            g_string_append_c(act->wire, '.');
        g_string_append_len(act->wire, line, (gssize)(len + 2));
        at += len + 2;
    }
}

void generate_message(struct generator *g, struct act *act)
{
    put_text(g, act->content);
    stuff(g, act);
    g_string_append(act->wire, ".\r\n");
}

/* ---- BDAT ---- */

/* What may have octets behind it, and nobody knows how many. */
#define WITH_NUL(text) (text), sizeof(text) - 1
static const struct bad_bdat {
    const char *text;
    size_t len; /* 0: its length as a string */
    const char *fault;
} bad_bdat[] = {
    { "BDAT 5 FIRST", 0, "501 5.5.4" },
    { "BDAT 5 LAST LAST", 0, "501 5.5.4" },
    { "BDAT", 0, "501 5.5.4" },
    { "BDAT LAST", 0, "501 5.5.4" },
    { "BDAT -1", 0, "501 5.5.4" },
    { "BDAT 0x10", 0, "501 5.5.4" },
    { "BDAT 1K LAST", 0, "501 5.5.4" },
    { "BDAT 18446744073709551616 LAST", 0, "501 5.5.4" },
    { "BDAT +5", 0, "501 5.5.4" },
    { "BDAT 5\tLAST", 0, "501 5.5.4" },
    { " \tBDAT", 0, "501 5.5.4" },
    { "BDAT\t5", 0, "500 5.5.1" },
    { "\t BDAT\t5 LAST", 0, "500 5.5.1" },
    { "BDAT\xc2\xa0 5", 0, "500 5.5.1" },
    { "BDAT=5", 0, "500 5.5.1" },
    { "BDAT 5\x7f", 0, "500 5.5.2" },
    { "BDAT 5\nLAST", 0, "500 5.5.2" },
    { "BDAT\r", 0, "500 5.5.2" },
    { " BDAT\v5", 0, "500 5.5.2" },
    { WITH_NUL("BDAT\0 5"), "500 5.5.2" },
    { WITH_NUL("BDAT 5\0"), "500 5.5.2" },
};

/* So many blanks that the beginning of the line, by which it is judged, tells little or nothing of BDAT. */
static void put_blank_line(struct generator *g, struct act *act)
{
    size_t judged = (size_t)g->rules->service.limits.command_length - 2;
    for (size_t blanks = judged - below(g, 6); blanks > 0; blanks--)
        g_string_append_c(act->wire, one_in(g, 100) ? '\t' : ' ');
    put_keyword(g, act, "BDAT 5");
    if (one_in(g, 2))
        put_too_long(g, act, " ", (size_t)g->rules->service.limits.command_length);
    else
        end_line(g, act);
}

static void put_bad_bdat(struct generator *g, struct act *act, const struct bad_bdat *bad)
{
    act->fault = bad->fault;
    if (bad->len > 0)
        g_string_append_len(act->wire, bad->text, (gssize)bad->len);
    else
        put_keyword(g, act, bad->text);
    end_line(g, act);
}

static void generate_bad_bdat(struct generator *g, struct act *act)
{
    act->fault = "500 5.5.2";
    if (one_in(g, 8))
        put_blank_line(g, act);
    else if (one_in(g, 8))
        put_too_long(g, act, one_in(g, 2) ? "BDAT 5 LAST " : "\t BDAT\t",
                     (size_t)g->rules->service.limits.command_length);
    else
        put_bad_bdat(g, act, pick(g, bad_bdat));
}

/* Half a message, or all that was put, or nothing: chunks are cut anywhere. */
void generate_bdat(struct generator *g, struct act *act)
{
    if (one_in(g, 300)) {
        generate_bad_bdat(g, act);
        return;
    }
    put_text(g, act->content);
    if (act->content->len > 0 && one_in(g, 2))
        g_string_truncate(act->content, below(g, act->content->len));
    act->last = one_in(g, 3);
    put_keyword(g, act, "BDAT ");
    g_string_append_printf(act->wire, one_in(g, 20) ? "%010" G_GSIZE_FORMAT : "%" G_GSIZE_FORMAT,
                           act->content->len);
    if (act->last)
        put_keyword(g, act, " LAST");
    end_line(g, act);
    g_string_append_len(act->wire, act->content->str, (gssize)act->content->len);
}
