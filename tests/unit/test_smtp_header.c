/*
 * The counter against a second one, written for plainness: it has the whole text, takes it line by line, and
 * notes at which octet what happens. They must agree wherever the text is cut, and whatever the limits are.
 */
#include "suite.h"

#include <glib.h>

#include "base/random.h"
#include "smtp/header.h"

struct result {
    enum smtp_header_verdict verdict;
    uint64_t octets, fields;
    bool ended;
};

static bool is_empty(const char *line, size_t len)
{
    return (len == 1 && line[0] == '\n') || (len == 2 && memcmp(line, "\r\n", 2) == 0);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_ftext(char c)
{
    return g_ascii_isgraph(c) && c != ':';
}

/* One octet. True when all is over. */
static bool pass(struct result *r, bool is_line, uint64_t max_octets, uint64_t max_fields)
{
    r->octets++;
    r->fields += is_line;
    if (r->octets > max_octets)
        r->verdict = SMTP_HEADER_TOO_BIG;
    else if (r->fields > max_fields)
        r->verdict = SMTP_HEADER_TOO_MANY;
    r->ended = r->verdict != SMTP_HEADER_WITHIN;
    return r->ended;
}

/* Where in the first line it shows that it is a field or a mailbox's "From ": behind that octet; or at which
 * it shows that it is none. The length: neither yet. */
static size_t judge(const char *line, size_t len, bool *ret_field, bool *ret_none)
{
    size_t name = 0;
    while (name < len && is_ftext(line[name]))
        name++;
    size_t colon = name;
    while (colon < len && is_blank(line[colon]))
        colon++;
    bool is_mailbox = name == 4 && len > 4 && memcmp(line, "From", 4) == 0 && is_blank(line[4]);
    *ret_none = name > 998 || (name == 0 && len > 0) || (!is_mailbox && colon < len && line[colon] != ':');
    *ret_field = !*ret_none && (is_mailbox || colon < len);
    if (*ret_none)
        return name > 998 ? 999 : name == 0 ? 0 : colon;
    return is_mailbox ? 4 : colon;
}

static void slow_first_line(const char *line, size_t len, struct result *r, uint64_t max_octets,
                            uint64_t max_fields)
{
    bool is_field, is_none;
    size_t where = judge(line, len, &is_field, &is_none);
    size_t end = is_none ? where : len;
    for (size_t i = 0; i < end; i++)
        if (pass(r, is_field && i == where, max_octets, max_fields))
            return;
    r->ended = is_none;
}

static void slow_line(const char *line, size_t len, struct result *r, uint64_t max_octets,
                      uint64_t max_fields)
{
    bool may_be_empty_yet = len == 1 && line[0] == '\r';
    r->ended = is_empty(line, len);
    for (size_t i = 0; i < len && !r->ended && !may_be_empty_yet; i++)
        if (pass(r, i == 0 && !is_blank(line[0]), max_octets, max_fields))
            return;
}

static struct result slow_count(const char *text, size_t len, uint64_t max_octets, uint64_t max_fields)
{
    struct result r = { 0 };
    for (size_t at = 0, end; at < len && !r.ended; at = end) {
        const char *lf = memchr(text + at, '\n', len - at);
        end = lf != NULL ? (size_t)(lf - text) + 1 : len;
        (at == 0 ? slow_first_line : slow_line)(text + at, end - at, &r, max_octets, max_fields);
    }
    return r;
}

/* Each piece in memory that ends with it, so that a read past its end is seen. */
static void feed(struct smtp_header *h, const char *text, size_t len, uint64_t max_octets,
                 uint64_t max_fields, enum smtp_header_verdict *verdict)
{
    g_autofree char *piece = g_memdup2(text, len);
    enum smtp_header_verdict now = smtp_header_take(h, slice_of(piece, len), max_octets, max_fields);
    assert_true(*verdict == SMTP_HEADER_WITHIN || *verdict == now);
    *verdict = now;
}

/* In pieces of `first` and then of `step` octets. */
static void compare_cut(const char *text, size_t len, uint64_t max_octets, uint64_t max_fields, size_t first,
                        size_t step)
{
    struct result want = slow_count(text, len, max_octets, max_fields);
    struct smtp_header h = { 0 };
    enum smtp_header_verdict verdict = SMTP_HEADER_WITHIN;
    feed(&h, text, first, max_octets, max_fields, &verdict);
    for (size_t at = first; at < len; at += step)
        feed(&h, text + at, MIN(step, len - at), max_octets, max_fields, &verdict);
    assert_int_equal(verdict, want.verdict);
    assert_int_equal(h.ended, want.ended);
    if (want.verdict != SMTP_HEADER_WITHIN)
        return;
    assert_int_equal(h.octets, want.octets);
    assert_int_equal(h.fields, want.fields);
}

static void compare(const char *text, size_t len, uint64_t max_octets, uint64_t max_fields)
{
    for (size_t cut = 0; cut <= len; cut++)
        compare_cut(text, len, max_octets, max_fields, cut, len);
    compare_cut(text, len, max_octets, max_fields, 0, 1);
}

static void every_sequence(void **state)
{
    (void)state;
    static const char letters[] = { 'a', ':', ' ', '\r', '\n' };
    enum { LONGEST = 6 };
    for (size_t len = 0, count = 1; len <= LONGEST; len++, count *= sizeof letters)
        for (size_t n = 0; n < count; n++) {
            char text[4 + LONGEST] = { 'b', ':', '\r', '\n' };
            size_t rest = n;
            for (size_t i = 0; i < len; i++, rest /= sizeof letters)
                text[4 + i] = letters[rest % sizeof letters];
            compare(text + 4, len, 100, 100);
            compare(text + 4, len, 3, 1);
            compare(text, 4 + len, 100, 100);
            compare(text, 4 + len, 7, 1);
        }
}

/* Lines of all kinds, most of them fields. */
static void generate(GString *text, struct pst_random *random)
{
    static const char *const lines[] = {
        "Subject: one\r\n",
        "X:\r\n",
        "\tfolded text\r\n",
        " \r\n",
        "To : a@b.example\n",
        "Long-Name:y\r\n",
        "a:b:c\r\n",
        "a\t \t:b\r\n",
        "Cr: x\ry\r\r\n",
        "\r\n",
        "no field\r\n",
        "\xc3\xa4: x\r\n",
        ":\r\n",
        "\n",
        "\rX: y\r\n",
        "name",
        "From a b\r\n",
        "text\r\n",
    };
    enum { GOOD = 9 };
    g_string_truncate(text, 0);
    uint64_t count = pst_random_below(random, 12);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t kinds = pst_random_below(random, 10) == 0 ? G_N_ELEMENTS(lines) : GOOD;
        g_string_append(text, lines[pst_random_below(random, kinds)]);
    }
}

static void generated_texts(void **state)
{
    (void)state;
    struct pst_random random;
    pst_random_seed(&random, 1);
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 3000; i++) {
        generate(text, &random);
        compare(text->str, text->len, 1 + pst_random_below(&random, text->len + 20),
                pst_random_below(&random, 12));
        compare_cut(text->str, text->len, UINT64_MAX, UINT64_MAX, 0, 1 + pst_random_below(&random, 9));
    }
}

static const struct row {
    const char *name, *text;
    uint64_t max_octets, max_fields;
    enum smtp_header_verdict verdict;
    uint64_t octets, fields;
    bool ended;
} rows[] = {
    { "nothing", "", 100, 10, SMTP_HEADER_WITHIN, 0, 0, false },
    { "a field", "A: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 6, 1, false },
    { "a folded field is one", "A: b\r\n c\r\n\td:\r\n", 100, 10, SMTP_HEADER_WITHIN, 15, 1, false },
    { "CR LF ends the section", "A: b\r\n\r\nC: d\r\n", 100, 10, SMTP_HEADER_WITHIN, 6, 1, true },
    { "LF ends the section", "A: b\n\nC: d\n", 100, 10, SMTP_HEADER_WITHIN, 5, 1, true },
    { "an empty line at once", "\r\nA: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 0, 0, true },
    { "a line without a colon does not end it", "A: b\r\nhello\r\nC: d\r\n", 100, 10, SMTP_HEADER_WITHIN, 19,
      3, false },
    { "a mailbox's From line may be the first", "From a b\r\nA: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 16, 2,
      false },
    { "nor a line with octets above ASCII", "A: b\r\n\xc3\xa4: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 13, 2,
      false },
    { "nor one with a colon and no name", "A: b\r\n: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 11, 2, false },
    { "a text has no header section", "hello\r\nA: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 5, 0, true },
    { "nor one whose first line has a colon behind two words", "A b: c\r\n", 100, 10, SMTP_HEADER_WITHIN, 2,
      0, true },
    { "nor one that begins with a colon", ": b\r\n", 100, 10, SMTP_HEADER_WITHIN, 0, 0, true },
    { "nor one that begins with a blank", " A: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 0, 0, true },
    { "nor one that begins above ASCII", "\xc3\xa4: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 0, 0, true },
    { "From is a mailbox's with a blank only", "From\r\nA: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 4, 0, true },
    { "and alone", "XFrom a\r\nA: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 6, 0, true },
    { "and so spelt", "from a\r\nA: b\r\n", 100, 10, SMTP_HEADER_WITHIN, 5, 0, true },
    { "blanks before the colon are tolerated", "A \t : b\r\n", 100, 10, SMTP_HEADER_WITHIN, 9, 1, false },
    { "a line of blanks continues", "A:\r\n \r\nC:\r\n", 100, 10, SMTP_HEADER_WITHIN, 11, 2, false },
    { "CR alone ends no line", "A: b\rC: d\r\n", 100, 10, SMTP_HEADER_WITHIN, 11, 1, false },
    { "CR before a name is no empty line", "A:\r\n\rC: d\r\n", 100, 10, SMTP_HEADER_WITHIN, 11, 2, false },
    { "two CRs are none either", "A:\r\n\r\r\nC: d\r\n", 100, 10, SMTP_HEADER_WITHIN, 13, 3, false },
    { "a CR that may be half of an empty line", "A:\r\n\r", 4, 10, SMTP_HEADER_WITHIN, 4, 1, false },
    { "as many octets as may be", "A: b\r\n\r\nC: d\r\n", 6, 10, SMTP_HEADER_WITHIN, 6, 1, true },
    { "one octet too many", "A: b\r\n\r\n", 5, 10, SMTP_HEADER_TOO_BIG, 0, 0, true },
    { "as many fields as may be", "A:\r\nB:\r\n\r\nC:\r\n", 100, 2, SMTP_HEADER_WITHIN, 8, 2, true },
    { "one field too many", "A:\r\nB:\r\nC:\r\n", 100, 2, SMTP_HEADER_TOO_MANY, 0, 0, true },
    { "no field at all may be", "A:\r\n", 100, 0, SMTP_HEADER_TOO_MANY, 0, 0, true },
    { "a name without end counts", "aaaaaaaaaaaaaaaaaaaaaaaa", 23, 10, SMTP_HEADER_TOO_BIG, 0, 0, true },
    { "what is passed first is told: octets", "A:\r\nB:\r\n", 4, 1, SMTP_HEADER_TOO_BIG, 0, 0, true },
    { "what is passed first is told: fields", "A:\r\nB:\r\n", 5, 1, SMTP_HEADER_TOO_MANY, 0, 0, true },
    { "no limits", "A:\r\nB:\r\n", UINT64_MAX, UINT64_MAX, SMTP_HEADER_WITHIN, 8, 2, false },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->text);
    compare(row->text, len, row->max_octets, row->max_fields);
    struct smtp_header h = { 0 };
    enum smtp_header_verdict verdict =
        smtp_header_take(&h, slice_of(row->text, len), row->max_octets, row->max_fields);
    assert_int_equal(verdict, row->verdict);
    assert_int_equal(h.ended, row->ended);
    if (verdict != SMTP_HEADER_WITHIN)
        return;
    assert_int_equal(h.octets, row->octets);
    assert_int_equal(h.fields, row->fields);
}

/* The name of a field is no longer than a line may be. */
static void an_endless_first_line(void **state)
{
    (void)state;
    g_autofree char *text = g_strnfill(2000, 'a');
    compare_cut(text, 2000, 1500, 10, 990, 1);
    compare_cut(text, 2000, 500, 10, 0, 1);
    text[998] = ':';
    compare_cut(text, 2000, 1500, 10, 990, 1);
    text[998] = 'a';
    text[999] = ':';
    compare_cut(text, 2000, 1500, 10, 990, 1);
}

static void a_verdict_stays(void **state)
{
    (void)state;
    struct smtp_header h = { 0 };
    assert_int_equal(smtp_header_take(&h, slice_str("A: b\r\n"), 5, 10), SMTP_HEADER_TOO_BIG);
    assert_int_equal(smtp_header_take(&h, slice_str("\r\nbody"), 5, 10), SMTP_HEADER_TOO_BIG);
    assert_int_equal(smtp_header_take(&h, slice_str(""), 100, 10), SMTP_HEADER_TOO_BIG);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/header");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "every sequence of a : blank CR LF up to six, at the start and behind a field",
              every_sequence, NULL);
    suite_add(s, "generated texts", generated_texts, NULL);
    suite_add(s, "an endless first line", an_endless_first_line, NULL);
    suite_add(s, "a verdict stays", a_verdict_stays, NULL);
    return suite_run(s, argc, argv);
}
