/*
 * The smuggling matrix: every sequence of CR, LF, dot and NUL up to seven in the middle of a message, with
 * the commands of a second message behind it, cut at every octet. In DATA only CR LF . CR LF is the end; in
 * BDAT nothing is. (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766 and their kin took others for it.)
 */
#include "suite.h"

#include <glib.h>
#include <stdio.h>

#include "talk.h"

static const struct smtp_service service = {
    .protocol = SMTP_PROTOCOL_SMTP,
    .hostname = "mx.example.org",
    .limits = { .message_size = 100000,
                .header_size = 100000,
                .header_fields = 1000,
                .recipients = 100,
                .errors = UINT64_MAX,
                .command_length = 2048,
                .commands = UINT64_MAX,
                .messages = UINT64_MAX,
                .strangers = UINT64_MAX,
                .command_timeout = 300000,
                .data_timeout = 600000 },
};

#define ENVELOPE "MAIL FROM:<carol@example.net>\r\nRCPT TO:<ann@example.org>\r\n"
static const char smuggled[] = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n"
                               "Subject: evil\r\n\r\nevil";

static const struct row {
    const char *name;
    const char *before; /* the message up to the sequence */
    const char *letters;
    size_t letter_count, longest;
} rows[] = {
    { "in a line", "Subject: good\r\n\r\ngood", "\r\n.\0", 4, 7 },
    { "behind a line", "Subject: good\r\n\r\ngood\r\n", "\r\n.\0", 4, 6 },
    { "behind a line with a dot", "Subject: good\r\n\r\ngood\r\n.", "\r\n.\0", 4, 6 },
    { "at the very beginning", "", "\r\n.\0", 4, 6 },
    { "with text between", "Subject: good\r\n\r\ngood", "\r\n.\0x", 5, 6 },
};

/* ---- what should be, one octet after another ---- */

static bool begins_line(const GString *text, size_t at)
{
    return at == 0 || (at >= 2 && text->str[at - 2] == '\r' && text->str[at - 1] == '\n');
}

/* RFC 5321 4.1.1.4: where the line with nothing but a dot begins. The text has one. */
static size_t find_end(const GString *text)
{
    size_t at = 0;
    while (!begins_line(text, at) || text->len - at < 3 || memcmp(text->str + at, ".\r\n", 3) != 0)
        at++;
    return at;
}

/* RFC 5321 4.5.2: the first dot of a line goes. */
static GString *unstuff(const GString *text, size_t len)
{
    GString *content = g_string_new(NULL);
    for (size_t at = 0; at < len; at++)
        if (text->str[at] != '.' || !begins_line(text, at))
            g_string_append_c(content, text->str[at]);
    return content;
}

/* RFC 5321 2.3.8: CR and LF stand together or not at all. */
static bool has_bare_cr_or_lf(const GString *text, size_t len)
{
    for (size_t at = 0; at < len; at++)
        if ((text->str[at] == '\r') ? at + 1 == len || text->str[at + 1] != '\n'
                                    : text->str[at] == '\n' && (at == 0 || text->str[at - 1] != '\r'))
            return true;
    return false;
}

/* ---- the matrix ---- */

/* All sequences, one after another. False behind the last. */
static bool next_sequence(const struct row *row, GString *sequence)
{
    for (size_t i = 0; i < sequence->len; i++) {
        const char *letter = memchr(row->letters, sequence->str[i], row->letter_count);
        if (letter + 1 < row->letters + row->letter_count) {
            sequence->str[i] = letter[1];
            return true;
        }
        sequence->str[i] = row->letters[0];
    }
    g_string_append_c(sequence, row->letters[0]);
    return sequence->len <=
           row->longest - WITH_SANITIZERS; /* an octet less where all takes ten times as long */
}

struct attack {
    const struct row *row;
    GString *sequence;
    GString *text;   /* before, sequence, smuggled, CR LF */
    size_t from, to; /* where to cut: around the sequence */
};

static void attack_begin(struct attack *a, const struct row *row)
{
    *a = (struct attack){ .row = row, .sequence = g_string_new(NULL), .text = g_string_new(NULL) };
}

static bool attack_next(struct attack *a)
{
    enum { AROUND = 3 };
    if (!next_sequence(a->row, a->sequence))
        return false;
    g_string_assign(a->text, a->row->before);
    a->from = a->text->len - MIN(a->text->len, AROUND);
    g_string_append_len(a->text, a->sequence->str, (gssize)a->sequence->len);
    a->to = a->text->len + AROUND;
    g_string_append(a->text, smuggled);
    g_string_append(a->text, "\r\n");
    return true;
}

static void attack_end(struct attack *a)
{
    g_string_free(a->sequence, TRUE);
    g_string_free(a->text, TRUE);
}

static const GString *stored(const struct talk *t, guint i)
{
    return g_ptr_array_index(t->stored, i);
}

static void assert_stored(const struct talk *t, guint i, const GString *content)
{
    assert_true(t->stored->len > i);
    assert_int_equal(stored(t, i)->len, content->len);
    assert_memory_equal(stored(t, i)->str, content->str, content->len);
}

/* ---- DATA ---- */

struct wanted {
    bool ends;        /* before the smuggled commands */
    bool refused;     /* the message, or the part of it up to there */
    GString *content; /* of that */
};

static void want(struct wanted *w, const GString *wire, size_t text_len)
{
    size_t end = find_end(wire);
    *w = (struct wanted){ .ends = end < text_len,
                          .refused = has_bare_cr_or_lf(wire, end),
                          .content = unstuff(wire, end) };
}

static void check_data(struct talk *t, const struct wanted *w)
{
    const char *codes = w->refused ? "250 250 354 550 " : "250 250 354 250 ";
    if (w->ends)
        assert_true(g_str_has_prefix(t->codes->str, codes));
    else
        assert_string_equal(t->codes->str, codes);
    if (!w->refused)
        assert_stored(t, 0, w->content);
    if (!w->ends)
        assert_int_equal(t->stored->len, !w->refused);
    assert_string_equal(smtp_session_phase(t->session), "ready");
    talk_clear(t);
}

static void attack_data(struct talk *t, const struct attack *a, GString *wire, uint64_t *ends)
{
    g_string_assign(wire, "");
    g_string_append_len(wire, a->text->str, (gssize)a->text->len);
    g_string_append(wire, ".\r\n");
    struct wanted w;
    want(&w, wire, a->text->len);
    *ends += w.ends;
    for (size_t cut = a->from; cut <= a->to; cut++) {
        talk_say(t, ENVELOPE "DATA\r\n");
        talk_send(t, wire->str, cut);
        talk_send(t, wire->str + cut, wire->len - cut);
        check_data(t, &w);
    }
    talk_say(t, ENVELOPE "DATA\r\n");
    talk_send(t, wire->str, a->from);
    talk_drip(t, wire->str + a->from, a->to - a->from);
    talk_send(t, wire->str + a->to, wire->len - a->to);
    check_data(t, &w);
    g_string_free(w.content, TRUE);
}

static void data_row(void **state)
{
    struct talk t;
    struct attack a;
    uint64_t sequences = 0, ends = 0;
    GString *wire = g_string_new(NULL);
    talk_begin(&t, &service, true);
    for (attack_begin(&a, *state); attack_next(&a); sequences++)
        attack_data(&t, &a, wire, &ends);
    attack_end(&a);
    talk_end(&t);
    g_string_free(wire, TRUE);
    printf("# %" G_GUINT64_FORMAT " sequences, of which %" G_GUINT64_FORMAT " hold CR LF . CR LF\n",
           sequences, ends);
    assert_true(ends > 0 && ends < sequences / 10);
}

/* The family, in words: those that hold CR LF . CR LF. */
static void one_family_ends(void **state)
{
    struct attack a;
    for (attack_begin(&a, *state); attack_next(&a);) {
        struct talk t;
        talk_begin(&t, &service, true);
        talk_say(&t, ENVELOPE "DATA\r\n");
        talk_send(&t, a.text->str, a.to - 3);
        talk_say(&t, "x");
        bool holds = memmem(a.sequence->str, a.sequence->len, "\r\n.\r\n", 5) != NULL;
        assert_int_equal(g_str_equal(smtp_session_phase(t.session), "ready"), holds);
        talk_end(&t);
    }
    attack_end(&a);
}

/* ---- BDAT ---- */

static void check_bdat(struct talk *t, const GString *content, const char *codes)
{
    assert_string_equal(t->codes->str, codes);
    assert_int_equal(t->stored->len, 1);
    assert_stored(t, 0, content);
    assert_string_equal(smtp_session_phase(t->session), "ready");
    talk_clear(t);
}

/* One chunk, whose octets arrive in two parts. */
static void attack_chunk(struct talk *t, const GString *text, size_t cut)
{
    g_autofree char *command = g_strdup_printf(ENVELOPE "BDAT %" G_GSIZE_FORMAT " LAST\r\n", text->len);
    talk_say(t, command);
    talk_send(t, text->str, cut);
    talk_send(t, text->str + cut, text->len - cut);
    check_bdat(t, text, "250 250 250 ");
}

/* Two chunks, which arrive together: the next command stands right behind what the sequence begins. */
static void attack_chunks(struct talk *t, const GString *text, size_t cut, GString *wire, bool drips)
{
    g_string_printf(wire, ENVELOPE "BDAT %" G_GSIZE_FORMAT "\r\n", cut);
    g_string_append_len(wire, text->str, (gssize)cut);
    g_string_append_printf(wire, "BDAT %" G_GSIZE_FORMAT " LAST\r\n", text->len - cut);
    g_string_append_len(wire, text->str + cut, (gssize)(text->len - cut));
    (drips ? talk_drip : talk_send)(t, wire->str, wire->len);
    check_bdat(t, text, "250 250 250 250 ");
}

static void bdat_row(void **state)
{
    struct talk t;
    struct attack a;
    GString *wire = g_string_new(NULL);
    talk_begin(&t, &service, true);
    for (attack_begin(&a, *state); attack_next(&a);) {
        for (size_t cut = a.from; cut <= a.to; cut++) {
            attack_chunk(&t, a.text, cut);
            attack_chunks(&t, a.text, cut, wire, false);
        }
        attack_chunks(&t, a.text, (a.from + a.to) / 2, wire, true);
    }
    attack_end(&a);
    talk_end(&t);
    g_string_free(wire, TRUE);
}

/* ---- what may be BDAT ---- */

static const char chunk[] = "MAIL FROM:<evil@example.net>\r\nNOOP\r\n";

/*
 * A line that somebody in front of us might read as BDAT, with what would be its octets behind it: they are a
 * chunk, or the session ends, and never are they carried out.
 */
static void assert_not_carried_out(const GString *wire, size_t cut)
{
    struct talk t;
    talk_begin(&t, &service, true);
    talk_send(&t, wire->str, cut);
    talk_send(&t, wire->str + cut, wire->len - cut);
    bool taken = g_str_equal(t.codes->str, "503 ");
    bool ended = g_str_equal(t.codes->str, "500 421 ") || g_str_equal(t.codes->str, "501 421 ");
    if (!taken && !ended)
        fail_msg("BDAT's octets were carried out, or lost: %s", t.codes->str);
    assert_string_equal(smtp_session_phase(t.session), "ready");
    talk_end(&t);
}

static void put_lookalike(GString *wire, size_t blanks, const char *between, size_t len)
{
    g_string_set_size(wire, blanks);
    memset(wire->str, ' ', blanks);
    g_string_append(wire, "BDAT");
    g_string_append_len(wire, between, (gssize)len);
    g_string_append_printf(wire, "%zu\r\n%s", sizeof chunk - 1, chunk);
}

static void bdat_lookalikes(void **state)
{
    static const struct row row = { .letters = " \t\0\r\n=.\x7f\xa0", .letter_count = 9, .longest = 4 };
    (void)state;
    GString *wire = g_string_new(NULL), *between = g_string_new(NULL);
    while (next_sequence(&row, between)) {
        size_t blanks = between->len % 2;
        put_lookalike(wire, blanks, between->str, between->len);
        for (size_t cut = 0; cut <= blanks + 4 + between->len + 4; cut++)
            assert_not_carried_out(wire, cut);
    }
    g_string_free(between, TRUE);
    g_string_free(wire, TRUE);
}

/* As long as a line may be, and longer, so that the verb stands at the edge of what is looked at. */
static void bdat_behind_blanks(void **state)
{
    (void)state;
    GString *wire = g_string_new(NULL);
    size_t limit = service.limits.command_length;
    for (size_t blanks = limit - 16; blanks < limit + 4; blanks++) {
        put_lookalike(wire, blanks, " ", 1);
        for (size_t cut = limit - 20; cut <= blanks + 9; cut++)
            assert_not_carried_out(wire, cut);
    }
    g_string_free(wire, TRUE);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smuggling");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *data = g_strdup_printf("DATA: %s", rows[i].name);
        g_autofree char *bdat = g_strdup_printf("BDAT: %s", rows[i].name);
        suite_add(s, data, data_row, (void *)&rows[i]);
        suite_add(s, bdat, bdat_row, (void *)&rows[i]);
    }
    suite_add(s, "BDAT and something else between it and its size", bdat_lookalikes, NULL);
    suite_add(s, "BDAT behind as many blanks as a line may have", bdat_behind_blanks, NULL);
    suite_add(s, "only sequences that hold CR LF . CR LF end the data", one_family_ends, (void *)&rows[0]);
    return suite_run(s, argc, argv);
}
