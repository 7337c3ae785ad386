#include "letter.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

enum { SMALL_MAX = 500, LONG_LINE = 4000, ONE_IN_LARGE = 3 };

static bool chance(struct pst_random *random, uint64_t one_in)
{
    return pst_random_below(random, one_in) == 0;
}

/* ---- lines ---- */

/* One line, as it is or with the dot that DATA wants in front of another. */
static void add_line(struct letter *l, const char *line, size_t len)
{
    if (!l->is_chunked && len > 0 && line[0] == '.')
        g_string_append_c(l->wire, '.');
    g_string_append_len(l->wire, line, (gssize)len);
    g_string_append_len(l->wire, "\r\n", 2);
    l->octets += len + 2;
}

static void add_text(struct letter *l, const char *line)
{
    add_line(l, line, strlen(line));
}

/* A subject of its own tells it from all others. */
static void add_head(struct letter *l, struct pst_random *random, const struct letter_terms *terms)
{
    char line[80];
    if (terms->has_handlers && chance(random, 2)) {
        (void)snprintf(line, sizeof line, "X-Act: %s",
                       sim_act_name((enum sim_act)pst_random_below(random, SIM_ACTS)));
        add_text(l, line);
    }
    (void)snprintf(line, sizeof line, "Subject: %016" G_GINT64_MODIFIER "x", pst_random_u64(random));
    add_text(l, line);
}

static void add_long_line(struct letter *l, struct pst_random *random)
{
    size_t len = pst_random_below(random, LONG_LINE);
    g_string_append_len(l->wire, ".", !l->is_chunked); /* it may be there for no need */
    size_t at = l->wire->len;
    g_string_set_size(l->wire, at + len);
    memset(l->wire->str + at, 'x', len);
    g_string_append_len(l->wire, "\r\n", 2);
    l->octets += len + 2;
}

static void add_lines(struct letter *l, struct pst_random *random, size_t size)
{
    static const char *const lines[] = {
        "",         ".",           "..",
        ".a",       "text",        "a longer line of text, such as people write to each other all day.",
        "\xc3\xa4", "From nobody", " . "
    };
    while (l->octets < size) {
        if (size > SMALL_MAX && chance(random, 4))
            add_long_line(l, random);
        else
            add_text(l, lines[pst_random_below(random, G_N_ELEMENTS(lines))]);
    }
}

static void add_octets(struct letter *l, struct pst_random *random, size_t size)
{
    size_t at = l->wire->len;
    g_string_set_size(l->wire, at + size);
    pst_random_fill(random, l->wire->str + at, size);
    l->octets += size;
}

/* ---- what nobody honest sends ---- */

static void add_raw(struct letter *l, const char *text, size_t len)
{
    g_string_append_len(l->wire, text, (gssize)len);
    l->octets += len;
}

/* An end for who takes it for one; and what he would take for commands then. */
static void smuggle(struct letter *l, struct pst_random *random)
{
    static const char *const ends[] = { "\n.\n",       "\n.\r\n",     "\r\n.\n", "\r.\r",     "\r\n.\r",
                                        "\r\n.\r\r\n", "\r\n.\n\r\n", "\r.\r\n", "\r\n. \r\n" };
    static const char commands[] = "MAIL FROM:<sender@example.net>\r\nRCPT TO:<alice@" SIM_DOMAIN
                                   ">\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n";
    const char *end = ends[pst_random_below(random, G_N_ELEMENTS(ends))];
    add_raw(l, "smuggler", 8);
    add_raw(l, end, strlen(end));
    add_raw(l, commands, sizeof commands - 1);
    l->is_smuggler = true;
}

static void add_many_fields(struct letter *l)
{
    for (int i = 0; i < 1100; i++)
        add_text(l, "A: b");
}

static void do_mischief(struct letter *l, struct pst_random *random)
{
    static const char *const bare[] = { "bare\nfeed", "bare\rreturn", "\n",  "\r",
                                        "\r\r\n",     "two\n\nfeeds", "\n\r" };
    const char *text = bare[pst_random_below(random, G_N_ELEMENTS(bare))];
    switch (pst_random_below(random, 8)) {
    case 0:
    case 1:
        add_raw(l, text, strlen(text));
        if (!chance(random, 8)) /* else it may have no end at all */
            add_text(l, " and more");
        break;
    case 2:
    case 3:
        smuggle(l, random);
        break;
    case 4:
        add_raw(l, "nul \0 and \xff\r\n", 13);
        break;
    case 5:
        if (chance(random, 8))
            add_many_fields(l);
        break;
    default:
        break; /* as everybody */
    }
}

/* ---- the whole ---- */

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static void cut(struct letter *l, struct pst_random *random)
{
    l->chunks = 1 + pst_random_below(random, LETTER_CHUNKS_MAX);
    for (size_t i = 0; i + 1 < l->chunks; i++)
        l->chunk_ends[i] = pst_random_below(random, l->wire->len + 1);
    l->chunk_ends[l->chunks - 1] = l->wire->len;
    qsort(l->chunk_ends, l->chunks, sizeof l->chunk_ends[0], compare_sizes);
}

/* A large one is nearly as large as it may be: what is just not staged costs as much, and shows less. */
static size_t draw_size(struct pst_random *random, size_t size_max)
{
    if (size_max > SMALL_MAX && chance(random, ONE_IN_LARGE))
        return size_max - pst_random_below(random, size_max / 20);
    return pst_random_below(random, MIN(size_max, SMALL_MAX) + 1);
}

void letter_init(struct letter *l)
{
    *l = (struct letter){ .wire = g_string_sized_new(SMALL_MAX + 200) };
}

void letter_clear(struct letter *l)
{
    g_string_free(l->wire, TRUE);
}

void letter_draw(struct letter *l, struct pst_random *random, const struct letter_terms *terms)
{
    GString *wire = l->wire;
    g_string_truncate(wire, 0);
    bool is_binary = chance(random, 5), has_utf8 = chance(random, 2);
    unsigned sender = (unsigned)pst_random_below(random, LETTER_SENDERS);
    *l = (struct letter){ .is_binary = is_binary,
                          .is_chunked = is_binary || chance(random, 3),
                          .has_utf8 = has_utf8,
                          .is_utf8 = has_utf8 && chance(random, 2),
                          .sender = sender,
                          .wire = wire };
    size_t size = draw_size(random, terms->size_max);
    if (!chance(random, 60))
        add_head(l, random, terms);
    else if (!chance(random, 3))                                    /* else it may be empty */
        add_text(l, chance(random, 2) ? "no field" : "\tno field"); /* nor more of the trace header */
    if (!chance(random, 20) || (size > 0 && l->octets == 0))
        add_text(l, "");
    if (is_binary)
        add_octets(l, random, size);
    else
        add_lines(l, random, size);
    if (terms->is_hostile)
        do_mischief(l, random);
    if (l->is_chunked)
        cut(l, random);
    else
        g_string_append(l->wire, ".\r\n");
}

struct slice letter_chunk(const struct letter *l, size_t number)
{
    size_t from = number > 0 ? l->chunk_ends[number - 1] : 0;
    return slice_of(l->wire->str + from, l->chunk_ends[number] - from);
}
