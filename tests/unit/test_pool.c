#include "handlers/pool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "handlers/verdict.h"
#include "host_play.h"
#include "suite.h"

enum { TIMEOUT = 30 * 1000, RECIPIENTS = 2, QUESTIONS_MAX = 200 };

/* ---- the rig: a pool, its hosts, and who asks ---- */

struct question {
    struct rig *rig;
    char id[16];
    struct wire_recipient recipients[RECIPIENTS];
    struct wire_message message;
    unsigned answers;
    msec_t asked, answered;
    struct handler_answer *answer;
    bool keep; /* the answer */
};

struct rig {
    struct reactor *r;
    struct pst_log log;
    GString *lines;
    struct wire_handler handlers[2];
    struct handler_settings settings;
    struct handler_pool *pool;
    struct host_play play;
    struct question questions[QUESTIONS_MAX];
    unsigned asked, answered;
    bool closed;
    GString *order; /* ids, in which hosts got them */
    /* What hosts do, for the first message or the first start; then all is as usual. */
    struct host_act act;
    bool at_start, for_ever, is_over;
    GString *scratch; /* what they write there first, and say so */
};

static void note_line(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)level;
    g_string_append_len(owner, line, (gssize)len);
}

static int64_t no_time(void *owner)
{
    (void)owner;
    return 0;
}

static struct host_act next_act(struct rig *g, bool at_start)
{
    if (g->is_over || at_start != g->at_start)
        return host_act_usual;
    g->is_over = !g->for_ever;
    struct host_act act = g->act;
    if (act.say != NULL && g->for_ever)
        g_byte_array_ref(act.say);
    return act;
}

static struct host_act on_start(void *owner, unsigned number)
{
    (void)number;
    return next_act(owner, true);
}

static struct host_act on_message(void *owner, unsigned number, const struct wire_message *m, int fd,
                                  int scratch)
{
    struct rig *g = owner;
    (void)number;
    (void)fd;
    g_string_append_printf(g->order, "%s ", m->id);
    if (g->scratch != NULL) {
        const struct slice part = slice_of(g->scratch->str, g->scratch->len);
        assert_int_equal(disk_append(scratch, &part, 1), 0);
    }
    return next_act(g, false);
}

static void rig_begin(struct rig *g, uint64_t seed, unsigned processes)
{
    *g = (struct rig){ .handlers = { { .name = "first", .file = "/first.so" },
                                     { .name = "second", .file = "/second.so" } },
                       .act = host_act_usual };
    disk_sim_reset(seed);
    g->r = reactor_sim_new(seed);
    g->lines = g_string_new("");
    g->order = g_string_new("");
    g->log = (struct pst_log){ .threshold = PST_LOG_DEBUG,
                               .timeless = true,
                               .wall_us = no_time,
                               .write = note_line,
                               .owner = g->lines };
    g->settings = (struct handler_settings){ .program = HOST_PLAY_PROGRAM,
                                             .config = { .handlers = g->handlers, .handler_count = 2 },
                                             .processes = processes,
                                             .timeout = TIMEOUT };
    g->play = (struct host_play){ .r = g->r, .on_start = on_start, .on_message = on_message, .owner = g };
    host_play_add(&g->play);
}

static void rig_open(struct rig *g)
{
    g->pool = handler_pool_new(g->r, &g->settings, &g->log);
}

static void on_closed(void *owner)
{
    struct rig *g = owner;
    assert_false(g->closed);
    g->closed = true;
}

static void rig_close(struct rig *g)
{
    handler_pool_close(g->pool, on_closed, g);
    assert_false(g->closed);
    reactor_run(g->r);
    assert_true(g->closed);
}

/* All is answered, and nothing is left: no process, no descriptor, no handle. */
static void rig_end(struct rig *g)
{
    if (!g->closed)
        rig_close(g);
    assert_int_equal(g->answered, g->asked);
    for (unsigned i = 0; i < g->asked; i++) {
        assert_int_equal(g->questions[i].answers, 1);
        handler_answer_free(g->questions[i].answer);
    }
    reactor_run(g->r);
    assert_int_equal(g->play.running, 0);
    assert_int_equal(reactor_free(g->r), 0);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    if (g->act.say != NULL && (g->for_ever || !g->is_over))
        g_byte_array_unref(g->act.say);
    g_string_free(g->lines, TRUE);
    g_string_free(g->order, TRUE);
}

static void on_answer(void *owner, struct handler_answer *take_answer)
{
    struct question *q = owner;
    q->answers++;
    q->answered = reactor_now(q->rig->r);
    q->answer = take_answer;
    q->rig->answered++;
    if (!q->keep && take_answer->outcome == HANDLER_DECIDED)
        assert_int_equal(take_answer->verdict->fate_count, RECIPIENTS);
}

static struct question *ask_with(struct rig *g, struct slice octets, int fd)
{
    assert_true(g->asked < QUESTIONS_MAX);
    struct question *q = &g->questions[g->asked++];
    q->rig = g;
    g_snprintf(q->id, sizeof q->id, "m%u", g->asked);
    for (unsigned i = 0; i < RECIPIENTS; i++)
        q->recipients[i] = (struct wire_recipient){ .address = "alice@example.org" };
    q->message = (struct wire_message){ .session = "s",
                                        .id = q->id,
                                        .listener = "in",
                                        .protocol = "ESMTP",
                                        .client = "192.0.2.1",
                                        .helo = "h",
                                        .reverse_path = "",
                                        .body = "7BIT",
                                        .recipients = q->recipients,
                                        .recipient_count = RECIPIENTS,
                                        .size = octets.len,
                                        .in_frame = fd < 0,
                                        .octets = octets };
    q->asked = reactor_now(g->r);
    unsigned before = g->answered;
    handler_pool_ask(g->pool, &q->message, fd, on_answer, q);
    assert_int_equal(g->answered, before); /* never inside */
    return q;
}

static struct question *ask(struct rig *g)
{
    return ask_with(g, slice_str("Subject: hello\n\ntext\n"), -1);
}

static void run_until_answered(struct rig *g)
{
    while (g->answered < g->asked)
        assert_true(reactor_sim_step(g->r));
}

static const struct handler_answer *ask_and_wait(struct rig *g)
{
    const struct question *q = ask(g);
    run_until_answered(g);
    return q->answer;
}

static void rest(struct rig *g, msec_t ms)
{
    reactor_sim_run_until(g->r, reactor_now(g->r) + ms);
}

static unsigned count_lines(const struct rig *g, const char *text)
{
    unsigned count = 0;
    for (const char *at = g->lines->str; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void assert_logged(const struct rig *g, const char *text)
{
    if (strstr(g->lines->str, text) == NULL)
        fail_msg("the log lacks %s:\n%s", text, g->lines->str);
}

/* ---- what goes well ---- */

static void decides(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 2);
    rig_open(&g);
    assert_int_equal(g.play.started, 2); /* ahead */
    const struct handler_answer *a = ask_and_wait(&g);
    assert_int_equal(a->outcome, HANDLER_DECIDED);
    assert_int_equal(a->scratch, -1);
    rest(&g, 3600 * 1000);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    assert_int_equal(g.play.started, 2);
    assert_int_equal(count_lines(&g, "event=handler-host-started"), 2);
    rig_end(&g);
    assert_int_equal(g.play.started, 2);
}

static struct host_act look_at_descriptor(void *owner, unsigned number, const struct wire_message *m, int fd,
                                          int scratch)
{
    (void)number, (void)scratch;
    assert_int_equal(fd, 77);
    assert_false(m->in_frame);
    *(bool *)owner = true;
    return host_act_usual;
}

static void hands_descriptor_on(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    bool seen = false;
    g.play.on_start = NULL;
    g.play.on_message = look_at_descriptor;
    g.play.owner = &seen;
    rig_open(&g);
    const struct question *q = ask_with(&g, slice_of(NULL, 0), 77);
    run_until_answered(&g);
    assert_int_equal(q->answer->outcome, HANDLER_DECIDED);
    assert_true(seen);
    rig_end(&g);
}

static void hosts_in_order(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    rig_open(&g);
    g_autoptr(GString) want = g_string_new("");
    for (unsigned i = 0; i < 20; i++)
        g_string_append_printf(want, "%s ", ask(&g)->id);
    run_until_answered(&g);
    assert_string_equal(g.order->str, want->str);
    rig_end(&g);
}

static void side_by_side(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 4);
    g.act.after_ms = 10 * 1000;
    g.for_ever = true;
    rig_open(&g);
    rest(&g, 100);
    for (unsigned i = 0; i < 12; i++)
        ask(&g);
    run_until_answered(&g);
    for (unsigned i = 0; i < 12; i++) /* three after another for each host */
        assert_in_range(g.questions[i].answered - g.questions[i].asked, (i / 4 + 1) * 10000,
                        (i / 4 + 1) * 10000 + 500);
    rig_end(&g);
}

/* ---- what fails ---- */

static struct wire_obituary died(uint32_t stage, int32_t handler, int32_t signal, int32_t status)
{
    return (struct wire_obituary){ stage, handler, signal, status };
}

static size_t verdict_len(void)
{
    struct wire_frame f = host_verdict(RECIPIENTS);
    g_autoptr(GByteArray) bytes = host_say(NULL, &f);
    g_free(f.verdict.fates);
    return bytes->len;
}

/* At any octet of its verdict: the message fails, and the next one does not. */
static void dies_at_every_octet(void **state)
{
    const bool *untold = *state;
    size_t len = verdict_len();
    for (size_t cut = 0; cut <= len; cut++) {
        struct rig g;
        rig_begin(&g, cut, 1);
        g.act = (struct host_act){
            .cut = cut, .dies = true, .untold = *untold, .how = died(WIRE_HANDLING, 1, SIGSEGV, 0)
        };
        rig_open(&g);
        const struct handler_answer *a = ask_and_wait(&g);
        if (cut == len) {
            assert_int_equal(a->outcome, HANDLER_DECIDED);
        } else {
            assert_int_equal(a->outcome, HANDLER_FAILED);
            assert_int_equal(a->failure, HANDLER_CRASHED);
            assert_int_equal(a->handler, *untold ? -1 : 1);
            assert_true(*untold || a->signal == SIGSEGV);
            assert_null(a->verdict);
        }
        assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
        assert_true(g.questions[1].answered - g.questions[1].asked < 50); /* by the one that replaces it */
        assert_int_equal(g.play.started, 2);
        rig_end(&g);
    }
}

static const struct end {
    const char *name;
    struct wire_obituary how;
    enum handler_outcome outcome;
    enum handler_failure failure;
    int handler;
    const char *logged;
} end_rows[] = {
    { "end: a signal in a handler",
      { WIRE_HANDLING, 0, SIGSEGV, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      0,
      "event=handler-failed pid=1000 session=s id=m1 handler=first reason=crashed stage=handling signal=11" },
    { "end: a signal in the second handler",
      { WIRE_HANDLING, 1, SIGABRT, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      1,
      "handler=second reason=crashed" },
    { "end: exit(0) in a handler",
      { WIRE_HANDLING, 0, 0, 0 },
      HANDLER_FAILED,
      HANDLER_EXITED,
      0,
      "reason=exited stage=handling status=0" },
    { "end: exit(3) in a handler",
      { WIRE_HANDLING, 0, 0, 3 },
      HANDLER_FAILED,
      HANDLER_EXITED,
      0,
      "status=3" },
    { "end: in no handler that there is",
      { WIRE_HANDLING, 2, SIGSEGV, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      -1,
      "id=m1 reason" },
    { "end: in no handler at all",
      { WIRE_HANDLING, -2, SIGSEGV, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      -1,
      "id=m1 reason" },
    { "end: while parsing",
      { WIRE_PARSING, -1, SIGSEGV, 0 },
      HANDLER_CHOKED,
      0,
      -1,
      "event=handler-choked pid=1000 session=s id=m1 stage=parsing signal=11" },
    { "end: told to end while parsing",
      { WIRE_PARSING, -1, SIGTERM, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      -1,
      "signal=15" },
    { "end: killed while parsing",
      { WIRE_PARSING, -1, SIGKILL, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      -1,
      "signal=9" },
    { "end: after all handlers",
      { WIRE_ENDING, -1, SIGSEGV, 0 },
      HANDLER_FAILED,
      HANDLER_CRASHED,
      -1,
      "stage=ending" },
};

static void tells_how_it_ended(void **state)
{
    const struct end *row = *state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.act = (struct host_act){ .dies = true, .how = row->how };
    rig_open(&g);
    const struct handler_answer *a = ask_and_wait(&g);
    assert_int_equal(a->outcome, row->outcome);
    if (row->outcome == HANDLER_FAILED)
        assert_int_equal(a->failure, row->failure);
    assert_int_equal(a->handler, row->handler);
    assert_int_equal(a->signal, row->how.signal);
    assert_int_equal(a->status, row->how.status);
    assert_logged(&g, row->logged);
    assert_int_equal(count_lines(&g, "event=handler-host-replaced"), 1);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    rig_end(&g);
}

static const struct slow {
    const char *name;
    struct host_act act;
    msec_t most; /* until the answer */
} slow_rows[] = {
    { "slow: it hangs", { .after_ms = MSEC_NEVER, .cut = SIZE_MAX }, TIMEOUT + 50 },
    { "slow: its guard hangs, too",
      { .after_ms = MSEC_NEVER, .cut = SIZE_MAX, .stubborn = true },
      TIMEOUT + 2050 },
    { "slow: its verdict comes too late",
      { .after_ms = TIMEOUT + 500, .cut = SIZE_MAX, .stubborn = true },
      TIMEOUT + 2050 },
    { "slow: its verdict comes too late, and it dies",
      { .after_ms = TIMEOUT + 500, .cut = SIZE_MAX, .stubborn = true, .dies = true },
      TIMEOUT + 550 },
};

static void is_too_slow(void **state)
{
    const struct slow *row = *state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rig g;
        rig_begin(&g, seed, 1);
        g.act = row->act;
        rig_open(&g);
        rest(&g, 100);
        const struct handler_answer *a = ask_and_wait(&g);
        assert_int_equal(a->outcome, HANDLER_FAILED);
        assert_int_equal(a->failure, HANDLER_TIMEOUT);
        assert_in_range(g.questions[0].answered - g.questions[0].asked, TIMEOUT, row->most);
        assert_logged(&g, "reason=timeout");
        if (!row->act.stubborn)
            assert_int_equal(a->handler, 0); /* its guard told which one was running */
        assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
        rig_end(&g);
    }
}

static void just_in_time(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.act.after_ms = TIMEOUT - 100;
    rig_open(&g);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    assert_int_equal(g.play.started, 1);
    rig_end(&g);
}

/* A place behind one that hangs: the time is counted anew once a host has the message. */
static void waits_for_its_turn(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.act.after_ms = TIMEOUT - 1000;
    g.for_ever = true;
    rig_open(&g);
    rest(&g, 100);
    const struct question *first = ask(&g), *second = ask(&g), *third = ask(&g);
    run_until_answered(&g);
    assert_int_equal(first->answer->outcome, HANDLER_DECIDED);
    assert_int_equal(second->answer->outcome, HANDLER_DECIDED);
    assert_int_equal(third->answer->outcome, HANDLER_FAILED);
    assert_int_equal(third->answer->failure, HANDLER_NO_HOST);
    assert_int_equal(third->answered - third->asked, TIMEOUT);
    rig_end(&g);
}

/* ---- rubbish ---- */

static GByteArray *say_text(const char *text)
{
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const uint8_t *)text, (guint)strlen(text));
    return bytes;
}

/* The verdict with `change` made to it. */
static GByteArray *say_changed(void (*change)(struct wire_verdict *v))
{
    struct wire_frame f = host_verdict(RECIPIENTS);
    change(&f.verdict);
    GByteArray *bytes = host_say(NULL, &f);
    g_free(f.verdict.fates);
    return bytes;
}

static void one_fate(struct wire_verdict *v)
{
    v->fate_count = 1;
}

static void no_fate(struct wire_verdict *v)
{
    v->fate_count = 0;
}

static void skip_too_much(struct wire_verdict *v)
{
    v->skip = 22;
}

static void nothing_replaced(struct wire_verdict *v)
{
    v->replaced_size = 1;
}

static void more_than_replaced(struct wire_verdict *v)
{
    v->replaced = true;
    v->replaced_size = 1;
}

static void bad_code(struct wire_verdict *v)
{
    v->fates[1] = (struct wire_fate){ WIRE_REJECT, 0, 250, .enhanced = "5.7.1", .text = "no" };
}

static const char log_of_nobody[] = "no such line";

static const struct rubbish {
    const char *name;
    const char *text;
    void (*change)(struct wire_verdict *v);
    const char *why;
} rubbish_rows[] = {
    { "rubbish: text", "Segmentation fault\r\n", NULL, "what is no frame" },
    { "rubbish: a type that is none", "\1\1\1\1\7\1\1\1", NULL, "what is no frame" },
    { "rubbish: one fate for two", NULL, one_fate, "not as many fates as recipients" },
    { "rubbish: no fates", NULL, no_fate, "not as many fates as recipients" },
    { "rubbish: more is left out than is there", NULL, skip_too_much, "more is left out than is there" },
    { "rubbish: a size of nothing", NULL, nothing_replaced, "not the size of the scratch file" },
    { "rubbish: a size that is not so", NULL, more_than_replaced, "not the size of the scratch file" },
    { "rubbish: 250 for a refusal", NULL, bad_code, "no such reply" },
    { "rubbish: a frame of the worker's", log_of_nobody, NULL, "a frame that hosts do not say" },
};

static GByteArray *say_rubbish(const struct rubbish *row)
{
    const struct wire_frame config = { .type = WIRE_CONFIG };
    if (row->text == log_of_nobody)
        return host_say(NULL, &config);
    return row->text != NULL ? say_text(row->text) : say_changed(row->change);
}

static void is_rubbish(void **state)
{
    const struct rubbish *row = *state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rig g;
        rig_begin(&g, seed, 1);
        g.act.say = say_rubbish(row);
        rig_open(&g);
        const struct handler_answer *a = ask_and_wait(&g);
        assert_int_equal(a->outcome, HANDLER_FAILED);
        assert_int_equal(a->failure, HANDLER_RUBBISH);
        g_autofree char *why = g_strdup_printf("why=\"%s\"", row->why);
        assert_logged(&g, why);
        assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
        rig_end(&g);
    }
}

/* The first counts, what comes behind it ends the host. */
static void decides_twice(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    struct wire_frame f = host_verdict(RECIPIENTS);
    g.act.say = host_say(host_say(NULL, &f), &f);
    g_free(f.verdict.fates);
    rig_open(&g);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    rest(&g, 1000);
    assert_logged(&g, "a verdict that nobody asked for");
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    assert_int_equal(g.play.started, 2);
    rig_end(&g);
}

/* What kills the parser where handlers have seen others may be what they left behind: a fresh host tells. */
static void tried_again(struct rig *g, enum wire_stage stage, bool for_ever, enum handler_outcome outcome)
{
    rig_begin(g, 1, 2);
    g->is_over = true;
    rig_open(g);
    for (unsigned i = 0; i < 4; i++) /* so that both have had one */
        (void)ask(g);
    run_until_answered(g);
    g->is_over = false;
    g->for_ever = for_ever;
    g->act = (struct host_act){ .dies = true, .how = { .stage = stage, .handler = -1, .signal = SIGSEGV } };
    assert_int_equal(ask_and_wait(g)->outcome, outcome);
    g->is_over = true;
}

static void check_tried_again(enum wire_stage stage, enum handler_outcome at_last)
{
    struct rig g;
    tried_again(&g, stage, false, HANDLER_DECIDED);
    assert_true(g_str_has_suffix(g.order->str, " m5 m5 "));
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    assert_int_equal(g.play.started, 3);
    rig_end(&g);
    tried_again(&g, stage, true, at_last);
    assert_true(g_str_has_suffix(g.order->str, " m5 m5 "));
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    rig_end(&g);
}

static void is_tried_again(void **state)
{
    (void)state;
    check_tried_again(WIRE_PARSING, HANDLER_CHOKED);
}

static void is_tried_again_unread(void **state)
{
    (void)state;
    check_tried_again(WIRE_WAITING, HANDLER_FAILED);
}

static void says_too_much(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    const struct wire_frame line = { .type = WIRE_LOG, .log = { .text = "again and again" } };
    g.act.say = g_byte_array_new();
    while (g.act.say->len < 2 * WIRE_FRAME_MAX)
        (void)host_say(g.act.say, &line);
    rig_open(&g);
    const struct handler_answer *a = ask_and_wait(&g);
    assert_int_equal(a->outcome, HANDLER_FAILED);
    assert_int_equal(a->failure, HANDLER_RUBBISH);
    assert_int_equal(count_lines(&g, "event=handler-log"), 101);
    rig_end(&g);
}

/* ---- the log ---- */

static void says_for_log(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    const struct wire_frame line = { .type = WIRE_LOG,
                                     .log = { .handler = 1, .level = 2, .text = "so it is" } };
    for (unsigned i = 0; i < 150; i++)
        g.act.say = host_say(g.act.say, &line);
    struct wire_frame f = host_verdict(RECIPIENTS);
    g.act.say = host_say(g.act.say, &f);
    g_free(f.verdict.fates);
    rig_open(&g);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    assert_int_equal(
        count_lines(
            &g, "level=warning event=handler-log pid=1000 session=s id=m1 handler=second text=\"so it is\""),
        100);
    assert_int_equal(count_lines(&g, "text=\"... and more, which is not logged\""), 1);
    assert_int_equal(g.play.started, 1);
    rig_end(&g);
}

/* One that decides without reading keeps the worker from nothing, and costs it no memory. */
static void reads_nothing(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.play.blind_ms = 10;
    rig_open(&g);
    static const char octets[60 * 1024];
    while (count_lines(&g, "reason=rubbish") == 0) {
        struct question *q = ask_with(&g, slice_of(octets, sizeof octets), -1);
        q->message.recipient_count = 1;
        q->keep = true;
        assert_true(g.asked < 20); /* by then more than a socket takes */
        run_until_answered(&g);
    }
    assert_logged(&g, "why=\"it reads nothing\"");
    g.play.blind_ms = 0;
    rig_end(&g);
}

static const struct bad_line {
    const char *name;
    struct wire_log log;
} bad_line_rows[] = {
    { "log: of no handler", { 2, 0, "text" } },
    { "log: of no handler at all", { -2, 0, "text" } },
    { "log: of no level", { 0, 4, "text" } },
};

static void refuses_line(void **state)
{
    const struct bad_line *row = *state;
    struct rig g;
    rig_begin(&g, 1, 1);
    const struct wire_frame f = { .type = WIRE_LOG, .log = row->log };
    g.act.say = host_say(NULL, &f);
    rig_open(&g);
    assert_int_equal(ask_and_wait(&g)->failure, HANDLER_RUBBISH);
    assert_int_equal(count_lines(&g, "event=handler-log"), 0);
    rig_end(&g);
}

/* ---- starting ---- */

static void start_fails_for_ever(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 2);
    g.at_start = g.for_ever = true;
    const struct wire_frame f = { .type = WIRE_READY, .ready = { "first: no such symbol" } };
    g.act.say = host_say(NULL, &f);
    rig_open(&g);
    const struct question *q = ask(&g);
    run_until_answered(&g);
    assert_int_equal(q->answer->failure, HANDLER_NO_HOST);
    assert_int_equal(q->answered - q->asked, TIMEOUT);
    assert_logged(&g, "event=handler-host-refused pid=1000 problem=\"first: no such symbol\"");
    assert_in_range(g.play.started, 5, 30); /* in that time */
    unsigned started = g.play.started;
    rest(&g, 100 * 1000);
    assert_in_range(g.play.started - started, 9, 22); /* every ten seconds */
    g.is_over = true;
    rest(&g, 10 * 1000);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    rig_end(&g);
}

/* A start that fails may be an accident again, when there was none for a while: it is tried anew at once. */
static void start_fails_again_later(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.at_start = g.for_ever = true;
    const struct wire_frame f = { .type = WIRE_READY, .ready = { "first: no such symbol" } };
    g.act.say = host_say(NULL, &f);
    rig_open(&g);
    rest(&g, 50 * 1000);
    g.is_over = true;
    rest(&g, 50 * 1000);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    g_byte_array_unref(g_steal_pointer(&g.act.say));
    g.at_start = g.for_ever = g.is_over = false; /* the next message is a host's last one */
    g.act = (struct host_act){ .dies = true };
    g.settings.program = (char *)"/nowhere/postern-host";
    (void)ask(&g);
    run_until_answered(&g);
    assert_int_equal(count_lines(&g, "not-started"), 2);
    rig_end(&g);
}

static void start_hangs(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.at_start = true;
    g.act.after_ms = MSEC_NEVER;
    rig_open(&g);
    rest(&g, 20 * 1000);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED); /* by the next one */
    assert_int_equal(g.play.started, 2);
    assert_logged(&g, "event=handler-host-failed");
    rig_end(&g);
}

static void no_program(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 2);
    g.settings.program = (char *)"/nowhere/postern-host";
    rig_open(&g);
    assert_int_equal(ask_and_wait(&g)->failure, HANDLER_NO_HOST);
    assert_logged(&g, "reason=not-started program=/nowhere/postern-host error=\"No such file or directory\"");
    assert_true(count_lines(&g, "not-started") < 20);
    rig_end(&g);
}

static void idle_host_dies(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    g.at_start = true;
    const struct wire_frame f = { .type = WIRE_READY };
    g.act.say = host_say(NULL, &f);
    g.act.dies = true;
    g.act.how = died(WIRE_WAITING, -1, SIGSEGV, 0);
    rig_open(&g);
    rest(&g, 200);
    assert_logged(&g, "event=handler-host-failed pid=1000");
    assert_int_equal(g.play.started, 2);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    rig_end(&g);
}

static void envelope_is_too_large(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 1);
    rig_open(&g);
    g_autofree char *octets = g_malloc0(WIRE_FRAME_MAX);
    const struct question *q = ask_with(&g, slice_of(octets, WIRE_FRAME_MAX), -1);
    run_until_answered(&g);
    assert_int_equal(q->answer->failure, HANDLER_TOO_LARGE);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    assert_int_equal(g.play.started, 1);
    rig_end(&g);
}

/* ---- a message that is replaced ---- */

static void replace(struct wire_verdict *v)
{
    v->replaced = true;
    v->replaced_size = 8;
}

static void replacing_begin(struct rig *g, uint64_t seed)
{
    rig_begin(g, seed, 1);
    g->scratch = g_string_new("replaced");
    g->act.say = say_changed(replace);
    g->for_ever = true;
    rig_open(g);
}

static void replacing_end(struct rig *g)
{
    rig_end(g);
    g_string_free(g->scratch, TRUE);
}

static void assert_scratch(const struct handler_answer *a)
{
    char text[9] = "";
    assert_int_equal(a->outcome, HANDLER_DECIDED);
    assert_int_equal(disk_read(a->scratch, 0, text, sizeof text), 8);
    assert_string_equal(text, "replaced");
}

/* The host has nothing to do until the answer is freed, and then begins anew. */
static void lends_scratch(void **state)
{
    (void)state;
    struct rig g;
    replacing_begin(&g, 1);
    struct question *first = ask(&g), *second = ask(&g);
    rest(&g, 10 * 1000);
    assert_int_equal(g.answered, 1);
    assert_scratch(first->answer);
    assert_int_equal(second->answers, 0);
    handler_answer_free(g_steal_pointer(&first->answer));
    run_until_answered(&g);
    assert_scratch(second->answer);
    assert_int_equal(g.play.started, 1);
    replacing_end(&g);
}

static void scratch_is_too_large(void **state)
{
    (void)state;
    struct rig g;
    replacing_begin(&g, 1);
    g.settings.config.file_size = strlen("replaced");
    struct question *q = ask(&g);
    run_until_answered(&g);
    assert_scratch(q->answer);
    handler_answer_free(g_steal_pointer(&q->answer));
    g.settings.config.file_size--;
    const struct handler_answer *a = ask_and_wait(&g);
    assert_int_equal(a->outcome, HANDLER_FAILED);
    assert_int_equal(a->failure, HANDLER_RUBBISH);
    replacing_end(&g);
}

static void dies_while_lending(void **state)
{
    (void)state;
    struct rig g;
    replacing_begin(&g, 1);
    g.act.dies = true;
    g.act.how = died(WIRE_ENDING, -1, SIGKILL, 0);
    const struct question *first = ask(&g), *second = ask(&g);
    run_until_answered(&g);
    rest(&g, 1000);
    assert_scratch(first->answer);
    assert_scratch(second->answer);
    rig_close(&g);
    assert_scratch(second->answer); /* even now */
    replacing_end(&g);
}

/* The answer is freed while the host, which said more than its verdict, is about to end. */
static void fails_while_lending(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rig g;
        replacing_begin(&g, seed);
        g.act.say = host_say(g.act.say, &(struct wire_frame){ .type = WIRE_READY });
        g.act.stubborn = true;
        g.is_over = false;
        struct question *q = ask(&g);
        while (count_lines(&g, "event=handler-host-replaced") == 0)
            assert_true(reactor_sim_step(g.r));
        run_until_answered(&g);
        assert_scratch(q->answer);
        handler_answer_free(g_steal_pointer(&q->answer));
        assert_scratch(ask_and_wait(&g));
        replacing_end(&g);
    }
}

static void closes_while_lending(void **state)
{
    (void)state;
    struct rig g;
    replacing_begin(&g, 1);
    const struct question *q = ask(&g);
    run_until_answered(&g);
    rig_close(&g);
    assert_scratch(q->answer);
    replacing_end(&g);
}

static void cannot_empty_scratch(void **state)
{
    (void)state;
    struct rig g;
    replacing_begin(&g, 1);
    disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_TRUNCATE, .nth = 1, .error = EIO });
    struct question *first = ask(&g);
    const struct question *second = ask(&g);
    rest(&g, 1000);
    handler_answer_free(g_steal_pointer(&first->answer));
    run_until_answered(&g);
    assert_scratch(second->answer);
    assert_int_equal(g.play.started, 2);
    replacing_end(&g);
}

/* ---- closing ---- */

static void close_answers_all(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 2);
    g.act.after_ms = 1000;
    g.for_ever = true;
    rig_open(&g);
    for (unsigned i = 0; i < 10; i++)
        ask(&g);
    rig_close(&g);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(g.questions[i].answer->outcome, HANDLER_DECIDED);
    assert_int_equal(g.play.started, 2);
    assert_int_equal(count_lines(&g, "failed"), 0); /* in good order */
    rig_end(&g);
}

static void close_without_host(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 2);
    g.settings.program = (char *)"/nowhere/postern-host";
    rig_open(&g);
    const struct question *q = ask(&g);
    rig_close(&g);
    assert_int_equal(q->answer->failure, HANDLER_NO_HOST);
    rig_end(&g);
}

static void close_ends_who_lingers(void **state)
{
    (void)state;
    struct rig g;
    rig_begin(&g, 1, 2);
    g.play.lingers = true;
    rig_open(&g);
    assert_int_equal(ask_and_wait(&g)->outcome, HANDLER_DECIDED);
    msec_t before = reactor_now(g.r);
    rig_close(&g);
    assert_in_range(reactor_now(g.r) - before, 5000, 5100);
    rig_end(&g);
}

/* A disk is slow: the host has ended long before its scratch file is empty. */
static void close_while_emptying(void **state)
{
    (void)state;
    struct rig g;
    replacing_begin(&g, 1);
    struct question *q = ask(&g);
    run_until_answered(&g);
    struct reactor_sim_settings slow = reactor_sim_defaults;
    slow.job.min_us = slow.job.max_us = 60 * 1000000;
    reactor_sim_configure(g.r, &slow);
    handler_answer_free(g_steal_pointer(&q->answer));
    msec_t before = reactor_now(g.r);
    rig_close(&g);
    assert_in_range(reactor_now(g.r) - before, 60 * 1000, 130 * 1000);
    replacing_end(&g);
}

static void close_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct rig g;
        rig_begin(&g, seed, 3);
        rig_open(&g);
        rest(&g, (msec_t)(seed % 10));
        rig_end(&g);
    }
}

/* ---- anything ---- */

struct chaos {
    struct rig g;
    uint32_t numbers;
};

static unsigned pick(struct chaos *c, unsigned below)
{
    c->numbers = c->numbers * 1103515245 + 12345;
    return (c->numbers >> 16) % below;
}

static struct host_act any_act(struct chaos *c)
{
    struct host_act act = host_act_usual;
    act.after_ms = pick(c, 4) == 0 ? (msec_t)pick(c, 2 * TIMEOUT) : (msec_t)pick(c, 100);
    if (pick(c, 20) == 0)
        act.after_ms = MSEC_NEVER;
    if (pick(c, 3) == 0)
        act.cut = pick(c, 200);
    act.dies = pick(c, 4) == 0;
    act.untold = pick(c, 4) == 0;
    act.stubborn = pick(c, 4) == 0;
    act.how = died(pick(c, WIRE_STAGES), (int)pick(c, 4) - 1, (int)pick(c, 16), (int)pick(c, 3));
    if (pick(c, 10) == 0)
        act.say = say_text("rubbish");
    return act;
}

static struct host_act any_start(void *owner, unsigned number)
{
    (void)number;
    struct chaos *c = owner;
    return pick(c, 3) == 0 ? any_act(c) : host_act_usual;
}

static struct host_act any_message(void *owner, unsigned number, const struct wire_message *m, int fd,
                                   int scratch)
{
    (void)number, (void)m, (void)fd;
    struct chaos *c = owner;
    const struct slice part = slice_str("replaced");
    if (pick(c, 4) > 0)
        return any_act(c);
    (void)disk_append(scratch, &part, 1);
    return (struct host_act){ .say = say_changed(replace), .cut = SIZE_MAX, .dies = pick(c, 4) == 0 };
}

/* Every question gets its answer within bounds, and in the end nothing is left. */
static void anything_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct chaos c = { .numbers = (uint32_t)seed };
        struct rig *g = &c.g;
        rig_begin(g, seed, 1 + pick(&c, 3));
        g->play.on_start = any_start;
        g->play.on_message = any_message;
        g->play.owner = &c;
        rig_open(g);
        for (unsigned i = 0; i < 30; i++) {
            ask(g);
            rest(g, (msec_t)pick(&c, 3000));
            struct question *old = &g->questions[pick(&c, g->asked)];
            handler_answer_free(g_steal_pointer(&old->answer));
        }
        rig_close(g);
        for (unsigned i = 0; i < g->asked; i++)
            /* It waits, a host has it and is ended; and once more, if that host has died while it parsed. */
            assert_true(g->questions[i].answered - g->questions[i].asked <= 2 * (2 * TIMEOUT + 3000 + 100));
        rig_end(g);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {
        { "a verdict is handed out", decides },
        { "a descriptor is handed on", hands_descriptor_on },
        { "messages get to hosts in their order", hosts_in_order },
        { "hosts work side by side", side_by_side },
        { "a verdict comes just in time", just_in_time },
        { "a message waits for its turn, and for a while", waits_for_its_turn },
        { "a host decides twice", decides_twice },
        { "a message is blamed only by a fresh host", is_tried_again },
        { "a message that a host never looked at is tried again", is_tried_again_unread },
        { "a host says too much", says_too_much },
        { "a host decides without reading", reads_nothing },
        { "what handlers say is logged, up to a limit", says_for_log },
        { "hosts that cannot start are tried less and less", start_fails_for_ever },
        { "hosts that could start are tried at once again", start_fails_again_later },
        { "a host hangs at its start", start_hangs },
        { "there is no host program", no_program },
        { "an idle host dies", idle_host_dies },
        { "an envelope is too large", envelope_is_too_large },
        { "a host lends its scratch file", lends_scratch },
        { "a scratch file has a limit", scratch_is_too_large },
        { "a host dies while it lends its scratch file", dies_while_lending },
        { "a host fails while it lends its scratch file", fails_while_lending },
        { "a pool closes while a scratch file is lent", closes_while_lending },
        { "a scratch file cannot be emptied", cannot_empty_scratch },
        { "closing: all is answered", close_answers_all },
        { "closing: without a host", close_without_host },
        { "closing: hosts that linger are ended", close_ends_who_lingers },
        { "closing: while a scratch file is emptied slowly", close_while_emptying },
        { "closing: at once", close_at_once },
        { "anything happens", anything_happens },
    };
    static bool told = false, untold = true;
    struct suite *suite = suite_new("pool");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        suite_add(suite, cases[i].name, cases[i].run, NULL);
    suite_add(suite, "a host dies at any octet of its verdict", dies_at_every_octet, &told);
    suite_add(suite, "a host dies at any octet of its verdict, and its guard", dies_at_every_octet, &untold);
    suite_add_rows(suite, end_rows, tells_how_it_ended);
    suite_add_rows(suite, slow_rows, is_too_slow);
    suite_add_rows(suite, rubbish_rows, is_rubbish);
    suite_add_rows(suite, bad_line_rows, refuses_line);
    return suite_run(suite, argc, argv);
}
