/* When log lines that gathered on a loop are written, on the simulated clock: a job for each handful would
 * cost more than the lines. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "reactor/reactor_sim.h"
#include "server/log_sink.h"
#include "suite.h"

enum {
    GATHER_MS = 10, /* how long a line waits for company */
    JOB_MS = 4,     /* half of it goes by until the lines are written */
    ENOUGH = 31,    /* lines of a little more than 1 KiB, which do not wait */
};

struct world {
    char *path;
    struct reactor *reactor;
    struct log_sink *sink;
};

static void world_init(struct world *w)
{
    static const struct reactor_sim_span half_a_job = { JOB_MS * 1000 / 2, JOB_MS * 1000 / 2 };
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.job = half_a_job;
    w->path = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    int fd = g_mkstemp(w->path);
    assert_true(fd >= 0);
    assert_true(g_close(fd, NULL));
    struct log_options options = { .target = { LOG_TO_FILE, w->path },
                                   .format = PST_LOG_LOGFMT,
                                   .level = PST_LOG_INFO };
    assert_int_equal(log_sink_open(&options, &w->sink), 0);
    w->reactor = reactor_sim_new(1);
    reactor_sim_configure(w->reactor, &settings);
    log_sink_attach(w->sink, w->reactor);
}

static void world_clear(struct world *w)
{
    log_sink_detach(w->sink);
    reactor_run(w->reactor);
    assert_int_equal(reactor_free(w->reactor), 0);
    log_sink_free(w->sink);
    (void)g_unlink(w->path);
    g_free(w->path);
}
AUTO_VAL_DEFINE(world);

static void say(struct world *w, size_t lines)
{
    char filler[1000];
    memset(filler, 'x', sizeof filler);
    for (size_t i = 0; i < lines; i++)
        pst_log(log_sink_log(w->sink), PST_LOG_INFO, "line",
                PST_BYTES("filler", slice_of(filler, sizeof filler)));
}

/* Lines in the file, `ms` later. */
static size_t written_after(struct world *w, msec_t ms)
{
    g_autofree char *text = NULL;
    size_t lines = 0;
    reactor_sim_run_until(w->reactor, reactor_now(w->reactor) + ms);
    assert_true(g_file_get_contents(w->path, &text, NULL, NULL));
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    return lines;
}

static void a_line_waits_for_company(void **state)
{
    (void)state;
    auto_val(world) w;
    world_init(&w);
    say(&w, 1);
    assert_int_equal(written_after(&w, GATHER_MS - 1), 0);
    say(&w, 1);
    assert_int_equal(written_after(&w, 1 + JOB_MS), 2);
}

static void what_came_while_others_were_written_waits_too(void **state)
{
    (void)state;
    auto_val(world) w;
    world_init(&w);
    say(&w, 1);
    assert_int_equal(written_after(&w, GATHER_MS + 1), 0);
    say(&w, 1);
    assert_int_equal(written_after(&w, JOB_MS + GATHER_MS - 2), 1);
    assert_int_equal(written_after(&w, JOB_MS), 2);
}

static void enough_lines_do_not_wait(void **state)
{
    (void)state;
    auto_val(world) w;
    world_init(&w);
    say(&w, ENOUGH);
    assert_int_equal(written_after(&w, JOB_MS / 2), ENOUGH);
    say(&w, ENOUGH); /* while the job is still under way */
    assert_int_equal(written_after(&w, JOB_MS), 2 * ENOUGH);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("log_batches");
    suite_add(s, "a line waits for company", a_line_waits_for_company, NULL);
    suite_add(s, "what came while others were written waits, too",
              what_came_while_others_were_written_waits_too, NULL);
    suite_add(s, "enough lines do not wait", enough_lines_do_not_wait, NULL);
    return suite_run(s, argc, argv);
}
