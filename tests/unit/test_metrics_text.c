/* From the rows of workers to what Prometheus reads. */
#include <glib.h>
#include <string.h>

#include "server/metrics_text.h"
#include "suite.h"

static char *render(const struct worker_share *shares, size_t count)
{
    GString *text = g_string_new(NULL);
    metrics_text_append(text, shares, count);
    return g_string_free(text, FALSE);
}

static void assert_has_line(const char *text, const char *line)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    if (!g_strv_contains((const char *const *)lines, line))
        fail_msg("there is no line %s in\n%s", line, text);
}

static void check_counters(void **state)
{
    (void)state;
    struct worker_share shares[3] = { { .connections = 2 }, { .connections = 0 }, { .connections = 40 } };
    for (unsigned i = 0; i < COUNTERS; i++) {
        counters_add(&shares[0].counters, (enum counter)i, 1);
        counters_add(&shares[2].counters, (enum counter)i, 100 * i);
    }
    g_autofree char *text = render(shares, G_N_ELEMENTS(shares));
    assert_has_line(text, "postern_connections 42");
    for (unsigned i = 0; i < COUNTERS; i++) {
        g_autofree char *line = g_strdup_printf("postern_%s_total %u", counter_rows[i].name, 1 + 100 * i);
        assert_has_line(text, line);
    }
    assert_has_line(text, "# TYPE postern_connections gauge");
    assert_has_line(text, "# TYPE postern_messages_accepted_total counter");
}

static void check_stalls(void **state)
{
    (void)state;
    struct worker_share shares[2] = { 0 };
    counters_note_stall(&shares[0].counters, 100000);      /* just the first bound */
    counters_note_stall(&shares[1].counters, 1500000);     /* 1.5 ms */
    counters_note_stall(&shares[1].counters, 70000000000); /* beyond all bounds */
    g_autofree char *text = render(shares, G_N_ELEMENTS(shares));
    assert_has_line(text, "# TYPE postern_loop_stall_seconds histogram");
    assert_has_line(text, "postern_loop_stall_seconds_bucket{le=\"0.0001\"} 1");
    assert_has_line(text, "postern_loop_stall_seconds_bucket{le=\"0.001\"} 1");
    assert_has_line(text, "postern_loop_stall_seconds_bucket{le=\"0.002\"} 2");
    assert_has_line(text, "postern_loop_stall_seconds_bucket{le=\"1.0\"} 2");
    assert_has_line(text, "postern_loop_stall_seconds_bucket{le=\"+Inf\"} 3");
    assert_has_line(text, "postern_loop_stall_seconds_count 3");
    assert_has_line(text, "postern_loop_stall_seconds_sum 70.0016");
    assert_has_line(text, "postern_loop_stall_longest_seconds 70.0");
}

static void check_large_values(void **state)
{
    (void)state;
    struct worker_share share = { 0 };
    counters_add(&share.counters, COUNTER_MESSAGES, UINT64_MAX);
    counters_note_stall(&share.counters, UINT64_MAX);
    g_autofree char *text = render(&share, 1);
    assert_has_line(text, "postern_messages_accepted_total 18446744073709551615");
    assert_has_line(text, "postern_loop_stall_longest_seconds 18446744073.709551615");
}

/* Each line is a comment or a name with a number; each name was told of before, once; the last line ends. */
static void check_form(void **state)
{
    (void)state;
    struct worker_share share = { 0 };
    g_autofree char *text = render(&share, 1);
    assert_true(g_str_has_suffix(text, "\n"));
    text[strlen(text) - 1] = '\0';
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *family = NULL;
    for (char **line = lines; *line != NULL; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 4);
        guint count = g_strv_length(words);
        if (g_str_has_prefix(*line, "# HELP ")) {
            assert_true(count == 4 && *words[3] != '\0');
            assert_true(g_hash_table_add(told, g_strdup(words[2])));
            g_free(family);
            family = g_strdup(words[2]);
        } else if (g_str_has_prefix(*line, "# TYPE ")) {
            assert_string_equal(words[2], family);
        } else {
            assert_int_equal(count, 2);
            assert_true(g_str_has_prefix(words[0], family));
            assert_true(g_ascii_isdigit(*words[1]));
        }
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("metrics_text");
    suite_add(s, "counters of all workers are added", check_counters, NULL);
    suite_add(s, "stalls are a histogram", check_stalls, NULL);
    suite_add(s, "the largest values", check_large_values, NULL);
    suite_add(s, "the form of the text", check_form, NULL);
    return suite_run(s, argc, argv);
}
