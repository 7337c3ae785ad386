#include "handlers/host_internal.h"

#include <string.h>

#include "disk/disk.h"
#include "handlers/verdict.h"

enum {
    LINES_MAX = 100,               /* in the log, for one message */
    SAID_MAX = 2 * WIRE_FRAME_MAX, /* octets, for one message */
};

static void take_ready(struct handler_host *h, const struct wire_ready *ready)
{
    if (h->state != HOST_STARTING) {
        host_fail(h, HANDLER_RUBBISH, "it is ready again");
        return;
    }
    if (ready->problem == NULL) {
        host_set_ready(h);
        return;
    }
    pst_log(h->log, PST_LOG_ERROR, "handler-host-refused", PST_INT("pid", host_pid(h)),
            PST_STR("problem", ready->problem));
    host_fail(h, HANDLER_EXITED, "it cannot serve");
}

static void take_log(struct handler_host *h, const struct wire_log *said)
{
    if (said->handler < -1 || said->handler >= (int64_t)h->settings->config.handler_count ||
        said->level > PST_LOG_ERROR || strlen(said->text) > WIRE_LOG_TEXT_MAX) {
        host_fail(h, HANDLER_RUBBISH, "no such line for the log");
        return;
    }
    if (h->lines > LINES_MAX)
        return;
    bool is_last = h->lines++ == LINES_MAX;
    enum pst_log_level level = is_last ? PST_LOG_WARNING : (enum pst_log_level)said->level;
    host_log_said(h, level, said->handler, is_last ? "... and more, which is not logged" : said->text);
}

static int64_t scratch_size(const struct handler_host *h)
{
    struct disk_stat st;
    int r = disk_stat_open(h->scratch, &st);
    return r < 0 ? r : (int64_t)st.size;
}

static const char *verdict_problem(const struct handler_host *h, const struct wire_verdict *v)
{
    int64_t size = v->replaced ? scratch_size(h) : 0;
    uint64_t most = h->settings->config.file_size;
    const struct handler_bounds bounds = {
        .recipients = h->asked.message->recipient_count,
        .handlers = h->settings->config.handler_count,
        .message_size = h->asked.message->size,
        .scratch_size = (uint64_t)MAX(size, 0),
    };
    if (size < 0)
        return "its scratch file cannot be read";
    if (most > 0 && bounds.scratch_size > most)
        return "its scratch file is larger than any message may be";
    return handler_verdict_problem(v, &bounds);
}

/* Whether the answer takes the frame, and all that has come so far, which the frame borrows from. */
static bool take_verdict(struct handler_host *h, struct wire_frame *f)
{
    const char *problem = "a verdict that nobody asked for";
    if (h->state == HOST_BUSY && h->decided == NULL)
        problem = verdict_problem(h, &f->verdict);
    if (problem != NULL) {
        host_fail(h, HANDLER_RUBBISH, problem);
        return false;
    }
    struct answer *a = answer_new(HANDLER_DECIDED);
    a->frame = *f;
    a->shown.verdict = &a->frame.verdict;
    a->shown.scratch = f->verdict.replaced ? h->scratch : -1;
    *f = (struct wire_frame){ .memory = NULL };
    h->decided = a;
    return true;
}

static bool take_frame(struct handler_host *h, struct wire_frame *f)
{
    switch (f->type) {
    case WIRE_READY:
        take_ready(h, &f->ready);
        return false;
    case WIRE_LOG:
        take_log(h, &f->log);
        return false;
    case WIRE_VERDICT:
        return take_verdict(h, f);
    default:
        host_fail(h, HANDLER_RUBBISH, "a frame that hosts do not say");
        return false;
    }
}

/*
 * The first frame that has come, if it is whole. How many octets are done with; -1: none is, and more
 * must come, or nothing is believed any more.
 */
static int64_t take_first(struct handler_host *h, size_t from)
{
    auto_val(wire_frame) f = { .memory = NULL };
    int64_t len = wire_decode(slice_skip(slice_of(h->in->data, h->in->len), from), &f);
    if (len <= 0) {
        if (len < 0)
            host_fail(h, HANDLER_RUBBISH, "what is no frame");
        return -1;
    }
    if (f.type == WIRE_OBITUARY) { /* the end is near; who it is from is told by its place */
        host_await_end(h);
        return -1;
    }
    bool is_taken = take_frame(h, &f);
    if (h->state == HOST_DYING) /* what made no sense may end in an obituary */
        return -1;
    if (is_taken) {
        size_t end = from + (size_t)len;
        h->decided->bytes = h->in;
        h->in = g_byte_array_new();
        g_byte_array_append(h->in, h->decided->bytes->data + end, h->decided->bytes->len - (guint)end);
        return 0;
    }
    return (int64_t)from + len;
}

static void keep_last_words(struct handler_host *h)
{
    if (h->in->len > WIRE_OBITUARY_LEN)
        g_byte_array_remove_range(h->in, 0, h->in->len - WIRE_OBITUARY_LEN);
}

/* The verdict was the last that it said, or else it is as good as dead. */
static void hand_out(struct handler_host *h)
{
    struct answer *a = g_steal_pointer(&h->decided);
    if (h->state == HOST_BUSY && a->shown.scratch >= 0) {
        h->state = HOST_LENT;
        h->lent = a;
        a->lender = h;
    } else if (h->state == HOST_BUSY) {
        h->state = HOST_READY;
    } else if (a->shown.scratch >= 0) { /* nobody else will need it */
        h->scratch = -1;
    }
    if (h->state != HOST_DYING)
        host_rest(h);
    host_answer(h, a);
}

void host_on_read(void *owner, struct slice bytes)
{
    struct handler_host *h = host_of(owner);
    g_byte_array_append(h->in, bytes.data, (guint)bytes.len);
    h->said += bytes.len;
    if (h->state != HOST_DYING && h->said > SAID_MAX)
        host_fail(h, HANDLER_RUBBISH, "it says too much");
    int64_t done = 0;
    for (int64_t next = 0; next >= 0; next = h->state != HOST_DYING ? take_first(h, (size_t)done) : -1)
        done = next;
    g_byte_array_remove_range(h->in, 0, (guint)done);
    if (h->state == HOST_DYING)
        keep_last_words(h);
    if (h->decided != NULL)
        hand_out(h);
}
