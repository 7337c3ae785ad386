/*
 * A pool (handlers/pool.h) whose host says whatever the input is, in place of a verdict, and then dies, or
 * lives on: each question gets one answer within its time, a verdict has a fate for each recipient, and
 * nothing is left in the end.
 */
#include "handlers/pool.h"

#include "base/assert.h"
#include "disk/disk_sim.h"
#include "fuzz.h"
#include "host_play.h"

enum { QUESTIONS = 3, RECIPIENTS = 2, TIMEOUT = 30 * 1000 };

struct scene {
    struct reactor *r;
    struct host_play play;
    struct host_act act; /* to the first message */
    struct slice said;   /* in it */
    bool at_start;       /* it is at the start of the first host instead */
    bool is_over;
    unsigned answers[QUESTIONS];
    unsigned asked, closed;
};

static struct host_act next_act(struct scene *s, bool at_start)
{
    if (s->is_over || s->at_start != at_start)
        return host_act_usual;
    s->is_over = true;
    struct host_act act = s->act;
    act.say = g_byte_array_new();
    g_byte_array_append(act.say, s->said.data, (guint)s->said.len);
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
    (void)number, (void)m, (void)fd, (void)scratch;
    return next_act(owner, false);
}

static void on_answer(void *owner, struct handler_answer *take_answer)
{
    auto_ptr(handler_answer) answer = take_answer;
    ++*(unsigned *)owner;
    pst_assert(answer->outcome != HANDLER_DECIDED || answer->verdict->fate_count == RECIPIENTS);
    pst_assert(answer->handler >= -1 && answer->handler < 1);
}

static void on_closed(void *owner)
{
    ((struct scene *)owner)->closed++;
}

static void forget_line(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)owner, (void)level, (void)line, (void)len;
}

static void play(struct scene *s)
{
    struct wire_handler handler = { .name = "h", .file = "h.so" };
    const struct handler_settings settings = { .program = HOST_PLAY_PROGRAM,
                                               .config = { .handlers = &handler, .handler_count = 1 },
                                               .processes = 1,
                                               .timeout = TIMEOUT };
    const struct pst_log log = { .timeless = true, .write = forget_line };
    struct wire_recipient recipients[RECIPIENTS] = { { .address = "a@b" }, { .address = "c@d" } };
    const struct wire_message m = { .session = "s",
                                    .id = "i",
                                    .listener = "l",
                                    .protocol = "p",
                                    .client = "c",
                                    .helo = "h",
                                    .reverse_path = "",
                                    .body = "7BIT",
                                    .recipients = recipients,
                                    .recipient_count = RECIPIENTS,
                                    .size = 1,
                                    .in_frame = true,
                                    .octets = slice_str("\n") };
    struct handler_pool *pool = handler_pool_new(s->r, &settings, &log);
    for (unsigned i = 0; i < QUESTIONS; i++)
        handler_pool_ask(pool, &m, -1, on_answer, &s->answers[i]);
    reactor_sim_run_until(s->r, reactor_now(s->r) + 3 * TIMEOUT);
    for (unsigned i = 0; i < QUESTIONS; i++)
        pst_assert(s->answers[i] == 1);
    handler_pool_close(pool, on_closed, s);
    reactor_run(s->r);
    pst_assert(s->closed == 1 && s->play.running == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    unsigned seed = fuzz_choose(&in, 256);
    unsigned how = fuzz_choose(&in, 32);
    unsigned stage = fuzz_choose(&in, WIRE_STAGES);
    disk_sim_reset(seed);
    struct scene s = { .r = reactor_sim_new(seed), .said = in };
    s.act = (struct host_act){ .cut = SIZE_MAX,
                               .dies = (how & 1) != 0,
                               .untold = (how & 2) != 0,
                               .stubborn = (how & 4) != 0,
                               .how = { .stage = stage, .signal = (how & 8) != 0 ? 11 : 0 } };
    s.at_start = (how & 16) != 0;
    s.play = (struct host_play){ .r = s.r, .on_start = on_start, .on_message = on_message, .owner = &s };
    host_play_add(&s.play);
    play(&s);
    pst_assert(reactor_free(s.r) == 0 && disk_sim_open_descriptors() == 0);
    return 0;
}
