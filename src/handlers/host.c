#include "handlers/host.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/disk.h"
#include "handlers/verdict.h"

enum {
    HOST_MAGIC = 0x686f7374,
    SHUTDOWN_MS = 5000,            /* for shutdown hooks */
    TERM_MS = 2000,                /* for a guard to end all, and to tell of it */
    KILL_MS = 1000,                /* for the kernel, behind SIGKILL */
    LAST_WORDS_MS = 100,           /* for what has been written before an exit */
    LINES_MAX = 100,               /* in the log, for one message */
    SAID_MAX = 2 * WIRE_FRAME_MAX, /* octets, for one message */
    ENVELOPE_USUAL = 1024,         /* octets */
};

enum host_state {
    HOST_STARTING, /* until READY */
    HOST_READY,
    HOST_BUSY,     /* until VERDICT */
    HOST_LENT,     /* an answer has the scratch file */
    HOST_EMPTYING, /* which is being emptied */
    HOST_DYING,    /* nothing is believed any more; until the end of the stream, which tells the rest */
    HOST_DEAD,     /* that is over; until the process has ended */
    HOST_ENDING,   /* in good order; the same */
};

struct question {
    const struct wire_message *message; /* NULL: none */
    handler_on_answer on_answer;
    void *owner;
};

struct answer {
    struct handler_answer shown;
    struct wire_frame frame; /* of the verdict, which borrows from */
    GByteArray *bytes;
    struct handler_host *lender; /* of the scratch file; NULL: it is the answer's */
};

struct handler_host {
    uint32_t magic;
    enum host_state state;
    unsigned step; /* of what is done about one who does not end */
    bool exited;
    bool was_asked; /* ever */
    bool emptying;  /* a job has the scratch file */
    struct reactor *r;
    const struct handler_settings *settings;
    const struct pst_log *log;
    const struct host_events *events;
    void *owner;
    struct child *child;
    struct stream *stream;
    struct timer *timer;
    int pid, exit_status, exit_signal;
    int scratch;
    int emptied;            /* what the job came to */
    GByteArray *in;         /* what was not understood yet; DYING: the last of it */
    size_t said;            /* octets, since it was last asked */
    unsigned lines;         /* logged since then */
    struct question asked;  /* BUSY, or DYING since then */
    struct answer *decided; /* to be handed out once what came with it was looked at */
    struct answer *lent;
    const char *doom;           /* why it is to fail as soon as the timer fires; or NULL */
    bool is_caused;             /* DYING: by us, */
    enum handler_failure cause; /* because of that, */
    const char *why;            /* in a few words, for the log; or NULL */
};

const char *const handler_failure_names[] = { "timeout", "crashed",   "exited", "rubbish",
                                              "no-host", "too-large", NULL };
static const char *const stage_names[] = { "loading", "waiting", "parsing", "handling", "ending" };

static struct handler_host *host_of(void *owner)
{
    struct handler_host *h = owner;
    pst_assert(h->magic == HOST_MAGIC);
    return h;
}

static void host_bury(struct handler_host *h);

/* ---- answers ---- */

static struct answer *answer_new(enum handler_outcome outcome)
{
    struct answer *a = g_new0(struct answer, 1);
    a->shown = (struct handler_answer){ .outcome = outcome, .handler = -1, .scratch = -1 };
    return a;
}

struct handler_answer *handler_answer_of_failure(enum handler_failure failure)
{
    struct answer *a = answer_new(HANDLER_FAILED);
    a->shown.failure = failure;
    return &a->shown;
}

static void host_take_back(struct handler_host *h);

void handler_answer_free(struct handler_answer *answer)
{
    if (answer == NULL)
        return;
    struct answer *a = (struct answer *)answer; /* its first member */
    if (a->lender != NULL)
        host_take_back(a->lender);
    else if (a->shown.scratch >= 0)
        disk_close(a->shown.scratch);
    wire_frame_clear(&a->frame);
    g_clear_pointer(&a->bytes, g_byte_array_unref);
    g_free(a);
}

static void host_answer(struct handler_host *h, struct answer *take_answer)
{
    struct question asked = h->asked;
    h->asked = (struct question){ .message = NULL };
    asked.on_answer(asked.owner, &take_answer->shown);
}

/* There is no time limit now. */
static void host_rest(struct handler_host *h)
{
    if (!h->exited) /* else the timer waits for its last words */
        timer_stop(h->timer);
}

/* ---- its end ---- */

static void host_try_free(struct handler_host *h)
{
    if (h->stream != NULL || h->child != NULL || h->emptying)
        return;
    pst_assert(h->lent == NULL && h->asked.message == NULL && h->decided == NULL);
    h->events->on_gone(h->owner, h);
    timer_close(h->timer);
    if (h->scratch >= 0)
        disk_close(h->scratch);
    g_byte_array_unref(h->in);
    h->magic = 0;
    g_free(h);
}

/* The scratch file is the answer's from now on. */
static void host_give_scratch_away(struct handler_host *h)
{
    if (h->lent == NULL)
        return;
    h->lent->lender = NULL;
    h->lent = NULL;
    h->scratch = -1;
}

static void host_forget_child(struct handler_host *h)
{
    child_close(g_steal_pointer(&h->child));
    host_try_free(h);
}

static void host_lose(struct handler_host *h)
{
    h->events->on_lost(h->owner, !h->was_asked);
}

/* From now on only its end is waited for. */
static void host_await_end(struct handler_host *h)
{
    bool was_lost = h->state == HOST_DYING;
    h->state = HOST_DYING;
    h->step = 0;
    timer_start(h->timer, reactor_now(h->r) + (h->exited ? LAST_WORDS_MS : TERM_MS));
    if (!was_lost)
        host_lose(h);
}

static void host_fail(struct handler_host *h, enum handler_failure cause, const char *why)
{
    h->is_caused = true;
    h->cause = cause;
    h->why = why;
    (void)child_kill(h->child, SIGTERM); /* if it has ended, so much the better */
    host_await_end(h);
}

static void host_on_exit(void *owner, int status, int signal)
{
    struct handler_host *h = host_of(owner);
    h->exited = true;
    h->exit_status = status;
    h->exit_signal = signal;
    if (h->state == HOST_DEAD || h->state == HOST_ENDING)
        host_forget_child(h);
    else /* the end of the stream is on its way, unless a process of the user's has got away with it */
        timer_start(h->timer, reactor_now(h->r) + LAST_WORDS_MS);
}

/* One signal after the other, and in the end it is given up. */
static void host_insist(struct handler_host *h)
{
    static const int signals[] = { SIGTERM, SIGKILL };
    if (h->step >= G_N_ELEMENTS(signals)) {
        host_forget_child(h);
        return;
    }
    (void)child_kill(h->child, signals[h->step++]);
    timer_start(h->timer, reactor_now(h->r) + TERM_MS);
}

static void host_on_dying_too_long(struct handler_host *h)
{
    if (h->step++ > 0) {
        host_bury(h);
        return;
    }
    (void)child_kill(h->child, SIGKILL);
    timer_start(h->timer, reactor_now(h->r) + KILL_MS);
}

static void host_on_timer(void *owner)
{
    struct handler_host *h = host_of(owner);
    switch (h->state) {
    case HOST_STARTING:
    case HOST_BUSY:
        if (h->exited)
            host_bury(h);
        else if (h->doom != NULL)
            host_fail(h, HANDLER_RUBBISH, h->doom);
        else
            host_fail(h, HANDLER_TIMEOUT, NULL);
        break;
    case HOST_DYING:
        if (h->exited)
            host_bury(h);
        else
            host_on_dying_too_long(h);
        break;
    case HOST_DEAD:
    case HOST_ENDING:
        host_insist(h);
        break;
    default:
        host_bury(h); /* it has exited */
    }
}

/* ---- how it died ---- */

struct death {
    struct wire_obituary o;
    bool is_known;     /* how: from its guard, or from the system */
    const char *stage; /* NULL: not known */
};

static struct death host_death(const struct handler_host *h)
{
    struct death d = { .is_known = true };
    if (wire_find_obituary(slice_of(h->in->data, h->in->len), &d.o)) {
        d.stage = stage_names[d.o.stage];
    } else {
        d.o = (struct wire_obituary){ WIRE_WAITING, -1, h->exit_signal, h->exit_status };
        d.is_known = h->exited;
        d.stage = NULL;
    }
    bool is_running = d.o.stage == WIRE_HANDLING || d.o.stage == WIRE_LOADING;
    if (!is_running || d.o.handler < 0 || (uint32_t)d.o.handler >= h->settings->config.handler_count)
        d.o.handler = -1;
    return d;
}

/* One that died within a frame seems to have said rubbish: what comes behind that is the obituary. */
static bool is_caused_by_us(const struct handler_host *h, const struct death *d)
{
    bool has_died_by_itself = d->stage != NULL && d->o.signal != SIGTERM && d->o.signal != SIGKILL;
    return h->is_caused && !(h->cause == HANDLER_RUBBISH && has_died_by_itself);
}

static struct answer *answer_of_death(const struct handler_host *h, const struct death *d)
{
    /* SIGTERM is somebody's wish, and not the message's doing. */
    bool is_caused = is_caused_by_us(h, d);
    bool is_choked = !is_caused && d->o.stage == WIRE_PARSING && d->o.signal != SIGTERM;
    struct answer *a = answer_new(is_choked ? HANDLER_CHOKED : HANDLER_FAILED);
    a->shown.handler = d->o.handler;
    if (is_caused) {
        a->shown.failure = h->cause;
        return a;
    }
    a->shown.failure = d->is_known && d->o.signal == 0 ? HANDLER_EXITED : HANDLER_CRASHED;
    a->shown.signal = d->o.signal;
    a->shown.status = d->o.status;
    return a;
}

/* ---- the log ---- */

struct line {
    struct pst_field fields[10];
    size_t count;
};

static void line_add(struct line *l, const char *key, const char *text)
{
    if (text != NULL)
        l->fields[l->count++] = PST_STR(key, text);
}

/* Whose, and about which message, as far as there is one. */
static struct line line_begin(const struct handler_host *h, int handler)
{
    struct line l = { .fields = { PST_INT("pid", h->pid) }, .count = 1 };
    const struct wire_message *m = h->asked.message;
    line_add(&l, "session", m != NULL ? m->session : NULL);
    line_add(&l, "id", m != NULL ? m->id : NULL);
    line_add(&l, "handler", handler >= 0 ? h->settings->config.handlers[handler].name : NULL);
    return l;
}

static void line_end(const struct handler_host *h, enum pst_log_level level, const char *event,
                     const struct line *l)
{
    if (level >= h->log->threshold)
        pst_log_fields(h->log, level, event, l->fields, l->count);
}

static void log_death(const struct handler_host *h, const struct handler_answer *a, const char *stage)
{
    bool is_choked = a->outcome == HANDLER_CHOKED;
    const char *event = is_choked ? "handler-choked" : "handler-failed";
    struct line l = line_begin(h, a->handler);
    line_add(&l, "reason", is_choked ? NULL : handler_failure_names[a->failure]);
    line_add(&l, "stage", stage);
    line_add(&l, "why", h->why);
    if (a->signal != 0)
        l.fields[l.count++] = PST_INT("signal", a->signal);
    else if (a->failure == HANDLER_EXITED)
        l.fields[l.count++] = PST_INT("status", a->status);
    line_end(h, is_choked ? PST_LOG_WARNING : PST_LOG_ERROR,
             h->asked.message != NULL ? event : "handler-host-failed", &l);
}

/* All that it will ever say has come. */
static void host_bury(struct handler_host *h)
{
    const struct death d = host_death(h);
    struct answer *a = answer_of_death(h, &d);
    bool was_lost = h->state == HOST_DYING;
    log_death(h, &a->shown, d.stage);
    host_give_scratch_away(h);
    h->state = HOST_DEAD;
    h->step = 1; /* a guard that lives on without a wire is not asked */
    stream_abort(h->stream);
    timer_start(h->timer, reactor_now(h->r) + TERM_MS);
    if (!was_lost)
        host_lose(h);
    if (h->asked.message != NULL)
        host_answer(h, a);
    else
        handler_answer_free(&a->shown);
    if (h->exited)
        host_forget_child(h);
}

static void host_on_end(void *owner, int error)
{
    (void)error; /* it is over either way */
    host_bury(host_of(owner));
}

static void host_on_closed(void *owner)
{
    struct handler_host *h = host_of(owner);
    h->stream = NULL;
    host_try_free(h);
}

void host_end(struct handler_host *h)
{
    pst_assert(h->state != HOST_BUSY);
    if (h->state == HOST_DYING || h->state == HOST_DEAD || h->state == HOST_ENDING)
        return;
    host_give_scratch_away(h);
    h->state = HOST_ENDING;
    h->step = 0;
    stream_close(h->stream);
    timer_start(h->timer, reactor_now(h->r) + SHUTDOWN_MS);
    if (h->exited)
        host_forget_child(h);
}

/* ---- the scratch file ---- */

static void host_set_ready(struct handler_host *h)
{
    h->state = HOST_READY;
    host_rest(h);
    h->events->on_ready(h->owner);
}

static void run_emptying(void *owner)
{
    struct handler_host *h = host_of(owner);
    h->emptied = disk_truncate(h->scratch);
}

static void done_emptying(void *owner)
{
    struct handler_host *h = host_of(owner);
    h->emptying = false;
    if (h->state == HOST_EMPTYING && h->emptied == 0)
        host_set_ready(h);
    else if (h->state == HOST_EMPTYING)
        host_fail(h, HANDLER_RUBBISH, "its scratch file cannot be emptied");
    else
        host_try_free(h);
}

/* In a job: it may be large, and its memory takes its time to be given back. */
static void host_take_back(struct handler_host *h)
{
    pst_assert(h->state == HOST_LENT);
    h->lent = NULL;
    h->state = HOST_EMPTYING;
    h->emptying = true;
    reactor_submit(h->r, run_emptying, done_emptying, h);
}

/* ---- what it says ---- */

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
    pst_log(h->log, PST_LOG_ERROR, "handler-host-refused", PST_INT("pid", h->pid),
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
    struct line l = line_begin(h, said->handler);
    line_add(&l, "text", is_last ? "... and more, which is not logged" : said->text);
    line_end(h, level, "handler-log", &l);
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
    const struct handler_bounds bounds = {
        .recipients = h->asked.message->recipient_count,
        .handlers = h->settings->config.handler_count,
        .message_size = h->asked.message->size,
        .scratch_size = (uint64_t)MAX(size, 0),
    };
    return size < 0 ? "its scratch file cannot be read" : handler_verdict_problem(v, &bounds);
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

static void host_on_read(void *owner, struct slice bytes)
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

/* ---- its start, and its work ---- */

static const struct stream_events stream_events = { .on_read = host_on_read,
                                                    .on_end = host_on_end,
                                                    .on_closed = host_on_closed };

static struct handler_host *host_new(struct reactor *r, const struct handler_settings *settings,
                                     const struct pst_log *log, const struct host_events *events, void *owner,
                                     int scratch)
{
    struct handler_host *h = g_new0(struct handler_host, 1);
    h->magic = HOST_MAGIC;
    h->r = r;
    h->settings = settings;
    h->log = log;
    h->events = events;
    h->owner = owner;
    h->scratch = scratch;
    h->in = g_byte_array_new();
    h->timer = timer_new(r, host_on_timer, h);
    return h;
}

/* That never ran. */
static void host_discard(struct handler_host *h)
{
    timer_close(h->timer);
    disk_close(h->scratch);
    g_byte_array_unref(h->in);
    g_free(h);
}

static int host_spawn(struct handler_host *h)
{
    const struct child_channel channel = { &stream_events, h, &h->stream };
    /* What it prints is nowhere: our standard error may be the log, whose lines are nobody else's to write.
     */
    const int fds[] = { CHILD_NULL, CHILD_NULL, CHILD_NULL, CHILD_CHANNEL, h->scratch };
    const struct child_options options = {
        .file = h->settings->program,
        .argv = (const char *const[]){ "postern-host", NULL },
        .fds = fds,
        .fd_count = G_N_ELEMENTS(fds),
        .channel = &channel,
    };
    return child_spawn(h->r, &options, host_on_exit, h, &h->child);
}

int host_start(struct reactor *r, const struct handler_settings *settings, const struct pst_log *log,
               const struct host_events *events, void *owner, struct handler_host **ret_host)
{
    const struct wire_frame config = { .type = WIRE_CONFIG, .config = settings->config };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    int error = wire_encode(&config, bytes);
    if (error < 0)
        return error;
    int scratch = disk_scratch();
    if (scratch < 0)
        return scratch;
    struct handler_host *h = host_new(r, settings, log, events, owner, scratch);
    error = host_spawn(h);
    if (error < 0) {
        host_discard(h);
        return error;
    }
    h->pid = child_pid(h->child);
    stream_write(h->stream, slice_of(bytes->data, bytes->len));
    stream_set_reading(h->stream, true);
    timer_start(h->timer, reactor_now(r) + settings->timeout);
    *ret_host = h;
    return 0;
}

int host_pid(const struct handler_host *h)
{
    return h->pid;
}

bool host_is_ready(const struct handler_host *h)
{
    return h->state == HOST_READY && !h->exited;
}

bool host_is_busy(const struct handler_host *h)
{
    return h->asked.message != NULL;
}

/* A host that is gone is told of by the end of its stream. */
static void host_write(struct handler_host *h, struct slice bytes, int fd)
{
    if (fd < 0) {
        stream_write(h->stream, bytes);
    } else if (stream_write_with_descriptor(h->stream, bytes, fd) == -EAGAIN) {
        h->doom = "it reads nothing";
        timer_start(h->timer, reactor_now(h->r));
    }
}

int host_ask(struct handler_host *h, const struct wire_message *message, int fd, handler_on_answer on_answer,
             void *owner)
{
    pst_assert(host_is_ready(h) && message->in_frame == (fd < 0));
    const struct wire_frame frame = { .type = WIRE_MESSAGE, .message = *message };
    g_autoptr(GByteArray) bytes = g_byte_array_sized_new((guint)message->octets.len + ENVELOPE_USUAL);
    int error = wire_encode(&frame, bytes);
    if (error < 0)
        return error;
    h->state = HOST_BUSY;
    h->was_asked = true;
    h->said = 0;
    h->lines = 0;
    h->asked = (struct question){ message, on_answer, owner };
    timer_start(h->timer, reactor_now(h->r) + h->settings->timeout);
    host_write(h, slice_of(bytes->data, bytes->len), fd);
    return 0;
}
