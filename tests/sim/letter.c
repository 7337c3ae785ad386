#include "letter.h"

#include <stdlib.h>

enum { SMALL_MAX = 600, LARGE_MIN = 60000, LARGE_MORE = 200000, LINE_MAX_HERE = 4000 };

static bool chance(struct pst_random *random, uint64_t one_in)
{
    return pst_random_below(random, one_in) == 0;
}

static size_t draw_size(struct pst_random *random)
{
    return chance(random, 8) ? LARGE_MIN + pst_random_below(random, LARGE_MORE)
                             : pst_random_below(random, SMALL_MAX);
}

/* A subject of its own tells it from all others. */
static void add_head(struct letter *l, struct pst_random *random)
{
    g_autofree char *subject = g_strdup_printf("Subject: %016" G_GINT64_MODIFIER "x", pst_random_u64(random));
    g_string_append_printf(l->wire, "%s\r\n\r\n", subject);
    g_string_append_printf(l->body, "%s\n\n", subject);
}

static void add_lines(struct letter *l, struct pst_random *random)
{
    static const char *const lines[] = { "",        ".",    "..",
                                         ".a",      "text", "a longer line of text, such as people write.",
                                         "\xc3\xa4" };
    size_t size = draw_size(random);
    while (l->body->len < size) {
        const char *line = lines[pst_random_below(random, G_N_ELEMENTS(lines))];
        g_autofree char *many =
            size > LARGE_MIN ? g_strnfill(pst_random_below(random, LINE_MAX_HERE), 'x') : g_strdup(line);
        g_string_append_printf(l->body, "%s\n", many);
        g_string_append_printf(l->wire, "%s%s\r\n", *many == '.' && !l->chunked ? "." : "", many);
    }
}

/* Octets of which many mean something where lines are read. */
static void add_octets(struct letter *l, struct pst_random *random)
{
    static const char special[] = { '\0', '\r', '\n', '.', '\r', '\n' };
    for (size_t left = draw_size(random); left > 0; left--) {
        uint64_t octet = pst_random_below(random, 256 + 64);
        g_string_append_c(l->wire, octet < 256 ? (char)octet : special[octet % sizeof special]);
    }
    g_string_truncate(l->body, 0);
    g_string_append_len(l->body, l->wire->str, (gssize)l->wire->len); /* byte for byte */
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Empty chunks are chunks, too. */
static void cut(struct letter *l, struct pst_random *random)
{
    l->chunks = 1 + pst_random_below(random, LETTER_CHUNKS_MAX);
    for (size_t i = 0; i + 1 < l->chunks; i++)
        l->chunk_ends[i] = pst_random_below(random, l->wire->len + 1);
    l->chunk_ends[l->chunks - 1] = l->wire->len;
    qsort(l->chunk_ends, l->chunks, sizeof l->chunk_ends[0], compare_sizes);
}

void letter_init(struct letter *l, struct pst_random *random)
{
    bool binary = chance(random, 4);
    *l = (struct letter){
        .chunked = binary || chance(random, 2),
        .utf8 = chance(random, 2),
        .mail = binary              ? " BODY=BINARYMIME"
                : chance(random, 3) ? " BODY=8BITMIME RET=HDRS ENVID=QQ+2B1"
                                    : "",
        .rcpt = chance(random, 3) ? " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@example.net" : "",
        .wire = g_string_new(NULL),
        .body = g_string_new(NULL),
    };
    add_head(l, random);
    if (binary)
        add_octets(l, random);
    else
        add_lines(l, random);
    if (l->chunked)
        cut(l, random);
    else
        g_string_append(l->wire, ".\r\n");
}

void letter_clear(struct letter *l)
{
    if (l->wire == NULL)
        return;
    g_string_free(l->wire, TRUE);
    g_string_free(l->body, TRUE);
    *l = (struct letter){ 0 };
}

struct slice letter_chunk(const struct letter *l, size_t number)
{
    size_t from = number > 0 ? l->chunk_ends[number - 1] : 0;
    return slice_of(l->wire->str + from, l->chunk_ends[number] - from);
}
