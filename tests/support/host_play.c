#include "host_play.h"

#include <signal.h>

#include "base/assert.h"

struct player {
    struct host_play *play;
    unsigned number;
    struct child *child;
    struct stream *s;
    struct timer *timer;
    GByteArray *in;
    int scratch;
    bool is_configured;
    bool is_ending;
    bool is_idle;             /* until it dies */
    struct host_act act;      /* that it is about to do */
    struct wire_obituary now; /* how it would die of a signal now */
};

const struct host_act host_act_usual = { .cut = SIZE_MAX };

GByteArray *host_say(GByteArray *take_bytes, const struct wire_frame *frame)
{
    GByteArray *bytes = take_bytes != NULL ? take_bytes : g_byte_array_new();
    pst_assert(wire_encode(frame, bytes) == 0);
    return bytes;
}

struct wire_frame host_verdict(uint32_t recipients)
{
    struct wire_frame f = { .type = WIRE_VERDICT };
    f.verdict.fates = g_new0(struct wire_fate, recipients);
    f.verdict.fate_count = recipients;
    for (uint32_t i = 0; i < recipients; i++)
        f.verdict.fates[i] = (struct wire_fate){ .handler = -1, .enhanced = "", .text = "" };
    return f;
}

static void player_write(struct player *p, const GByteArray *bytes, size_t len)
{
    stream_write(p->s, slice_first(slice_of(bytes->data, bytes->len), len));
}

static void player_exit(struct player *p, int status, int signal)
{
    p->is_ending = true;
    timer_stop(p->timer);
    reactor_sim_exit(p->child, &(struct reactor_sim_exit){ .status = status, .signal = signal });
}

static void player_die(struct player *p, const struct wire_obituary *how, bool is_told)
{
    const struct wire_frame f = { .type = WIRE_OBITUARY, .obituary = *how };
    g_autoptr(GByteArray) bytes = host_say(NULL, &f);
    if (is_told)
        player_write(p, bytes, SIZE_MAX);
    player_exit(p, 0, is_told ? 0 : SIGKILL);
}

static void player_act(struct player *p, struct host_act act);

static void player_decide_blindly(struct player *p)
{
    struct wire_frame f = host_verdict(1);
    stream_set_reading(p->s, false);
    player_act(
        p, (struct host_act){ .after_ms = p->play->blind_ms, .say = host_say(NULL, &f), .cut = SIZE_MAX });
    g_free(f.verdict.fates);
}

/* What it is sent meanwhile, it dies without having looked at. */
static void player_idle(struct player *p)
{
    p->is_idle = true;
    stream_set_reading(p->s, false);
    timer_start(p->timer, reactor_now(p->play->r) + p->act.idle_ms);
}

static void player_on_timer(void *owner)
{
    struct player *p = owner;
    if (p->is_idle) {
        player_die(p, &p->act.how, !p->act.untold);
        return;
    }
    g_autoptr(GByteArray) say = g_steal_pointer(&p->act.say);
    player_write(p, say, p->act.cut);
    p->now = (struct wire_obituary){ .stage = WIRE_WAITING, .handler = -1 };
    if (p->act.dies && p->act.idle_ms > 0)
        player_idle(p);
    else if (p->act.dies || p->act.cut < say->len)
        player_die(p, &p->act.how, !p->act.untold);
    else if (p->play->blind_ms > 0)
        player_decide_blindly(p);
}

static void player_act(struct player *p, struct host_act act)
{
    g_clear_pointer(&p->act.say, g_byte_array_unref); /* what it has not said yet, it never will */
    p->act = act;
    timer_start(p->timer, act.after_ms == MSEC_NEVER ? MSEC_NEVER : reactor_now(p->play->r) + act.after_ms);
}

static void player_take_config(struct player *p)
{
    struct host_play *play = p->play;
    struct host_act act = play->on_start != NULL ? play->on_start(play->owner, p->number) : host_act_usual;
    const struct wire_frame ready = { .type = WIRE_READY };
    if (act.say == NULL)
        act.say = host_say(NULL, &ready);
    p->is_configured = true;
    player_act(p, act);
}

static void player_take_message(struct player *p, const struct wire_message *m)
{
    struct host_play *play = p->play;
    int fd = reactor_sim_take_descriptor(p->s);
    pst_assert(m->in_frame == (fd < 0));
    p->now = (struct wire_obituary){ .stage = WIRE_HANDLING };
    struct host_act act = host_act_usual;
    if (play->on_message != NULL)
        act = play->on_message(play->owner, p->number, m, fd, p->scratch);
    if (act.say == NULL) {
        struct wire_frame f = host_verdict(m->recipient_count);
        act.say = host_say(NULL, &f);
        g_free(f.verdict.fates);
    }
    player_act(p, act);
}

static void player_on_read(void *owner, struct slice bytes)
{
    struct player *p = owner;
    if (p->is_ending)
        return;
    g_byte_array_append(p->in, bytes.data, (guint)bytes.len);
    int64_t len = 1;
    while (len > 0) {
        auto_val(wire_frame) f = { .memory = NULL };
        len = wire_decode(slice_of(p->in->data, p->in->len), &f);
        pst_assert(len >= 0); /* what comes from a worker is right */
        if (len == 0)
            break;
        pst_assert(f.type == (p->is_configured ? WIRE_MESSAGE : WIRE_CONFIG));
        if (f.type == WIRE_CONFIG)
            player_take_config(p);
        else
            player_take_message(p, &f.message);
        g_byte_array_remove_range(p->in, 0, (guint)len);
    }
}

static void player_on_end(void *owner, int error)
{
    (void)error;
    struct player *p = owner;
    if (!p->play->lingers && !p->is_ending)
        player_exit(p, 0, 0);
}

static void player_on_closed(void *owner)
{
    struct player *p = owner;
    p->play->running--;
    timer_close(p->timer);
    g_clear_pointer(&p->act.say, g_byte_array_unref);
    g_byte_array_unref(p->in);
    g_free(p);
}

static void player_on_signal(void *owner, int signal)
{
    struct player *p = owner;
    pst_assert(signal == SIGTERM);
    if (p->act.stubborn || p->is_ending)
        return;
    p->now.signal = SIGTERM;
    player_die(p, &p->now, true);
}

static struct reactor_sim_exit play_host(void *owner, const struct child_options *options)
{
    static const struct stream_events events = { .on_read = player_on_read,
                                                 .on_end = player_on_end,
                                                 .on_closed = player_on_closed };
    struct host_play *play = owner;
    pst_assert(options->fd_count == 5 && options->fds[3] == CHILD_CHANNEL);
    struct player *p = g_new0(struct player, 1);
    p->play = play;
    p->number = play->started++;
    play->running++;
    p->child = reactor_sim_newborn(play->r);
    p->s = reactor_sim_channel(p->child, &events, p);
    p->timer = timer_new(play->r, player_on_timer, p);
    p->in = g_byte_array_new();
    p->scratch = options->fds[4];
    p->act = host_act_usual;
    p->now = (struct wire_obituary){ .stage = WIRE_LOADING, .handler = -1 };
    reactor_sim_catch(p->child, player_on_signal, p);
    stream_set_reading(p->s, true);
    return (struct reactor_sim_exit){ .after_ms = MSEC_NEVER };
}

void host_play_add(struct host_play *p)
{
    reactor_sim_add_program(p->r, HOST_PLAY_PROGRAM, play_host, p);
}
