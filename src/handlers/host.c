#include "handlers/host_internal.h"

#include <errno.h>
#include <signal.h>

#include "disk/disk.h"

enum {
    SHUTDOWN_MS = 5000,    /* for shutdown hooks */
    TERM_MS = 2000,        /* for a guard to end all, and to tell of it */
    KILL_MS = 1000,        /* for the kernel, behind SIGKILL */
    LAST_WORDS_MS = 100,   /* for what has been written before an exit */
    ENVELOPE_USUAL = 1024, /* octets */
};

const char *const handler_failure_names[] = { "timeout", "crashed",   "exited", "rubbish",
                                              "no-host", "too-large", NULL };
static void host_bury(struct handler_host *h);

/* ---- answers ---- */

struct answer *answer_new(enum handler_outcome outcome)
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

void host_answer(struct handler_host *h, struct answer *take_answer)
{
    struct question asked = h->asked;
    h->asked = (struct question){ .message = NULL };
    asked.on_answer(asked.owner, &take_answer->shown);
}

void host_rest(struct handler_host *h)
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

/* There is nobody to wait for any more; what is left (a stream that closes, a job) ends by itself. */
static void host_forget_child(struct handler_host *h)
{
    timer_stop(h->timer);
    h->pid = child_pid(h->child);
    child_close(g_steal_pointer(&h->child));
    host_try_free(h);
}

/* An answer that has its scratch file may be freed at any time from now on, whatever is still to come of it.
 */
static void host_lose(struct handler_host *h)
{
    host_give_scratch_away(h);
    h->events->on_lost(h->owner, h->asked_times == 0);
}

void host_await_end(struct handler_host *h)
{
    bool was_lost = h->state == HOST_DYING;
    h->state = HOST_DYING;
    h->step = 0;
    timer_start(h->timer, reactor_now(h->r) + (h->exited ? LAST_WORDS_MS : TERM_MS));
    if (!was_lost)
        host_lose(h);
}

void host_fail(struct handler_host *h, enum handler_failure cause, const char *why)
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

/* All that it will ever say has come. */
static void host_bury(struct handler_host *h)
{
    struct answer *a = host_answer_of_death(h);
    bool was_lost = h->state == HOST_DYING;
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

void host_set_ready(struct handler_host *h)
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
        .stands_back = true,
        .spare_processors = h->settings->spare_processors,
        .is_nursed = true,
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
    stream_write(h->stream, slice_of(bytes->data, bytes->len));
    stream_set_reading(h->stream, true);
    timer_start(h->timer, reactor_now(r) + settings->timeout);
    *ret_host = h;
    return 0;
}

int host_pid(const struct handler_host *h)
{
    return h->child != NULL ? child_pid(h->child) : h->pid;
}

bool host_is_ready(const struct handler_host *h)
{
    return h->state == HOST_READY && !h->exited;
}

bool host_is_busy(const struct handler_host *h)
{
    return h->asked.message != NULL;
}

/*
 * A host that is gone is told of by the end of its stream. One that has answered has read what it was asked;
 * if not, it is given nothing more, which would be kept here.
 */
static void host_write(struct handler_host *h, struct slice bytes, int fd)
{
    bool is_read = stream_unsent(h->stream) == 0;
    if (is_read && fd < 0)
        stream_write(h->stream, bytes);
    else if (is_read)
        is_read = stream_write_with_descriptor(h->stream, bytes, fd) != -EAGAIN;
    if (!is_read) {
        h->doom = "it reads nothing";
        timer_start(h->timer, reactor_now(h->r));
    }
}

bool host_is_fresh(const struct handler_host *h)
{
    return h->asked_times == 0;
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
    h->asked_times++;
    h->said = 0;
    h->lines = 0;
    h->asked = (struct question){ message, on_answer, owner };
    timer_start(h->timer, reactor_now(h->r) + h->settings->timeout);
    host_write(h, slice_of(bytes->data, bytes->len), fd);
    return 0;
}
