/* Handler hosts do what a message says, and the worker answers and stores accordingly. Time is virtual. */
#include "suite.h"

#include "disk/disk_sim.h"
#include "hosts.h"
#include "rig.h"
#include "sim.h"

enum {
    SEEDS = 60,
    LARGE = 200 * 1000,           /* octets: not kept in memory */
    ANSWERED_MS = 10 * 60 * 1000, /* whatever they do */
    SESSION_MS = 2 * 60 * 1000,
};

static const struct row {
    const char *name;
    enum sim_act act;
    const char *reply; /* LMTP and SMTP */
    const char *front; /* of what is stored; NULL: nothing is */
} rows[] = {
    { "deliver", SIM_DELIVER, "250 2.0.0 ", "" },
    { "edit", SIM_EDIT, "250 2.0.0 ", SIM_EDITED },
    { "reject", SIM_REJECT, "5", NULL },
    { "defer", SIM_DEFER, "4", NULL },
    { "discard", SIM_DISCARD, "250 2.0.0 ", NULL },
    { "hang", SIM_HANG, "451 4.3.0 ", NULL },
    { "die", SIM_DIE, "451 4.3.0 ", NULL },
    { "lie", SIM_LIE, "451 4.3.0 ", NULL },
    { "late", SIM_LATE, "451 4.3.0 ", NULL },
    { "die-parsing", SIM_DIE_PARSING, "554 5.6.0 ", NULL },
};

static char *content_of(enum sim_act act, unsigned number, size_t len)
{
    GString *content = g_string_new(NULL);
    g_string_printf(content, "X-Act: %s\nSubject: %u\n\n", sim_act_name(act), number);
    while (content->len < len)
        g_string_append(content, "0123456789abcdefghijklmnopqrstuvwxyz\n");
    return g_string_free(content, FALSE);
}

static void send_message(struct rig *rig, struct caller *c, const char *content)
{
    g_autoptr(GString) wire = g_string_sized_new(strlen(content) * 2);
    for (const char *end; (end = strchr(content, '\n')) != NULL; content = end + 1) {
        g_string_append_len(wire, content, end - content);
        g_string_append(wire, "\r\n");
    }
    g_string_append(wire, ".\r\n");
    rig_say(rig, c, "MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    rig_run_for(rig, LATER_MS);
    assert_non_null(strstr(c->got->str, "\r\n354 "));
    rig_say(rig, c, wire->str);
    for (msec_t waited = 0; c->got->len == 0 && waited < ANSWERED_MS; waited += LATER_MS)
        rig_run_for(rig, LATER_MS);
    rig_run_for(rig, LATER_MS);
}

static size_t times_stored(const char *front, const char *content)
{
    size_t times = 0;
    g_autofree char *end = g_strconcat("\n", front, content, NULL);
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    for (size_t i = 0; names[i] != NULL; i++) {
        g_autofree char *path = g_strconcat("/mail/alice/new/", names[i], NULL);
        g_autofree char *file = disk_sim_read_file(path, NULL);
        times += g_str_has_suffix(file, end);
    }
    return times;
}

static size_t stored(void)
{
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    return g_strv_length(names);
}

static struct hosts *begin(struct rig **ret_rig, uint64_t seed, bool troubled)
{
    struct rig *rig = rig_begin(seed % 2 == 0 ? SMTP_PROTOCOL_SMTP : SMTP_PROTOCOL_LMTP, seed);
    struct hosts *hosts = hosts_new(rig->reactor, seed, troubled);
    rig->handlers = hosts_settings(hosts);
    rig_add_worker(rig, 10);
    *ret_rig = rig;
    return hosts;
}

static struct caller *call(struct rig *rig)
{
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, rig->protocol == SMTP_PROTOCOL_LMTP ? "LHLO x.example\r\n" : "EHLO x.example\r\n");
    assert_said(c, "250-");
    return c;
}

/* The hosts are the reactor's children, which rig_end frees. */
static void end(struct rig *rig, struct hosts *hosts)
{
    rig_end(rig);
    hosts_free(hosts);
}

static void does_what_it_says(void **state)
{
    const struct row *row = *state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct rig *rig;
        struct hosts *hosts = begin(&rig, seed, false);
        struct caller *c = call(rig);
        for (unsigned i = 0; i < 2; i++) { /* in a host that has seen none, and in one that has, or another */
            g_autofree char *content = content_of(row->act, i, i * LARGE);
            send_message(rig, c, content);
            assert_said(c, row->reply);
            assert_int_equal(times_stored(row->front != NULL ? row->front : "", content), row->front != NULL);
            assert_int_equal(stored(), row->front != NULL ? i + 1 : 0);
        }
        end(rig, hosts);
    }
}

/* Trouble makes a 4xx of it, and nothing else. */
static void survives_trouble(void **state)
{
    (void)state;
    unsigned as_told = 0, failed = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct rig *rig;
        struct hosts *hosts = begin(&rig, seed, true);
        struct caller *c = call(rig);
        size_t kept = 0;
        for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
            const struct row *row = &rows[(i + seed) % G_N_ELEMENTS(rows)];
            g_autofree char *content = content_of(row->act, i, 0);
            send_message(rig, c, content);
            bool is_as_told = g_str_has_prefix(c->got->str, row->reply);
            assert_true(is_as_told || *c->got->str == '4');
            kept += is_as_told && row->front != NULL;
            as_told += is_as_told;
            assert_int_equal(stored(), kept);
        }
        failed += strstr(rig->told->str, "event=handler-host-failed ") != NULL;
        end(rig, hosts);
    }
    assert_true(as_told > SEEDS * G_N_ELEMENTS(rows) / 2);
    assert_true(as_told < SEEDS * G_N_ELEMENTS(rows));
    assert_true(failed > SEEDS / 4);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("hosts");
    suite_add_rows(s, rows, does_what_it_says);
    suite_add(s, "troubled ones cost a message no more than a 4xx", survives_trouble, NULL);
    return suite_run(s, argc, argv);
}
