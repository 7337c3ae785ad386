#include "server/metrics_text.h"

#include <inttypes.h>

#define NS_PER_SECOND UINT64_C(1000000000)

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void append_head(GString *to, const char *name, const char *suffix, const char *type,
                        const char *sentence)
{
    g_string_append_printf(to, "# HELP postern_%s%s %s\n# TYPE postern_%s%s %s\n", name, suffix, sentence,
                           name, suffix, type);
}

/* Exactly, and without a locale's idea of a decimal point. */
static void append_seconds(GString *to, uint64_t ns)
{
    g_string_append_printf(to, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_SECOND, ns % NS_PER_SECOND);
    while (to->str[to->len - 1] == '0' && to->str[to->len - 2] != '.')
        g_string_truncate(to, to->len - 1);
}

static void append_connections(GString *to, const struct worker_share *shares, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += load(&shares[i].connections);
    append_head(to, "connections", "", "gauge", "Connections that are open.");
    g_string_append_printf(to, "postern_connections %" PRIu64 "\n", sum);
}

static void append_counter(GString *to, const struct worker_share *shares, size_t count, enum counter which)
{
    const struct counter_row *row = &counter_rows[which];
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += load(&shares[i].counters.value[which]);
    append_head(to, row->name, "_total", "counter", row->sentence);
    g_string_append_printf(to, "postern_%s_total %" PRIu64 "\n", row->name, sum);
}

/* Prometheus has each bucket hold all that is in those before it. */
static void append_buckets(GString *to, const struct worker_share *shares, size_t count)
{
    uint64_t sum = 0;
    for (unsigned bucket = 0; bucket < STALL_BUCKETS; bucket++) {
        for (size_t i = 0; i < count; i++)
            sum += load(&shares[i].counters.stalls[bucket]);
        g_string_append(to, "postern_loop_stall_seconds_bucket{le=\"");
        if (bucket < STALL_BOUNDS)
            append_seconds(to, stall_bounds_ns[bucket]);
        else
            g_string_append(to, "+Inf");
        g_string_append_printf(to, "\"} %" PRIu64 "\n", sum);
    }
    g_string_append_printf(to, "postern_loop_stall_seconds_count %" PRIu64 "\n", sum);
}

static void append_stalls(GString *to, const struct worker_share *shares, size_t count)
{
    uint64_t stalled = 0, longest = 0;
    append_head(to, "loop_stall_seconds", "", "histogram",
                "How long event loops were busy before they looked for events again.");
    append_buckets(to, shares, count);
    for (size_t i = 0; i < count; i++) {
        stalled += load(&shares[i].counters.stalled_ns);
        longest = MAX(longest, load(&shares[i].counters.longest_stall_ns));
    }
    g_string_append(to, "postern_loop_stall_seconds_sum ");
    append_seconds(to, stalled);
    g_string_append_c(to, '\n');
    append_head(to, "loop_stall_longest_seconds", "", "gauge", "The longest of these since the start.");
    g_string_append(to, "postern_loop_stall_longest_seconds ");
    append_seconds(to, longest);
    g_string_append_c(to, '\n');
}

void metrics_text_append(GString *to, const struct worker_share *shares, size_t count)
{
    append_connections(to, shares, count);
    for (unsigned i = 0; i < COUNTERS; i++)
        append_counter(to, shares, count, (enum counter)i);
    append_stalls(to, shares, count);
}
