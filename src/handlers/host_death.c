#include "handlers/host_internal.h"

#include <signal.h>

static const char *const stage_names[] = { "loading", "waiting", "parsing", "handling", "ending" };

/* ---- how it died ---- */

struct death {
    struct wire_obituary o;
    bool is_known;     /* how: from its guard, or from the system */
    const char *stage; /* NULL: not known */
    int error;         /* of its birth: there never was one */
};

static struct death host_death(const struct handler_host *h)
{
    struct death d = { .is_known = true };
    if (wire_find_obituary(slice_of(h->in->data, h->in->len), &d.o)) {
        d.stage = stage_names[d.o.stage];
    } else {
        d.error = h->child != NULL ? child_error(h->child) : 0;
        d.o = (struct wire_obituary){ WIRE_WAITING, -1, h->exit_signal, h->exit_status };
        d.is_known = h->exited || d.error < 0;
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
    bool has_died_by_itself = d->stage != NULL && d->o.signal != SIGTERM;
    return h->is_caused && !(h->cause == HANDLER_RUBBISH && has_died_by_itself);
}

static struct answer *answer_of(const struct handler_host *h, const struct death *d)
{
    /* SIGTERM and SIGKILL are somebody's wish, or the system's need of memory, and not the message's doing.
     */
    bool is_wish = d->o.signal == SIGTERM || d->o.signal == SIGKILL;
    bool is_caused = is_caused_by_us(h, d);
    bool is_choked = !is_caused && d->o.stage == WIRE_PARSING && !is_wish;
    struct answer *a = answer_new(is_choked ? HANDLER_CHOKED : HANDLER_FAILED);
    a->shown.handler = d->o.handler;
    a->shown.was_fresh = h->asked_times == 1;
    a->shown.was_unread = !is_caused && d->stage != NULL && d->o.stage == WIRE_WAITING;
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
    struct line l = { .fields = { PST_INT("pid", host_pid(h)) }, .count = 1 };
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

static void log_death(const struct handler_host *h, const struct handler_answer *a, const struct death *d)
{
    bool is_choked = a->outcome == HANDLER_CHOKED;
    const char *event = is_choked ? "handler-choked" : "handler-failed";
    struct line l = line_begin(h, a->handler);
    line_add(&l, "reason",
             is_choked      ? NULL
             : d->error < 0 ? "not-started"
                            : handler_failure_names[a->failure]);
    line_add(&l, "stage", d->stage);
    line_add(&l, "why", h->why);
    line_add(&l, "program", d->error < 0 ? h->settings->program : NULL);
    line_add(&l, "error", d->error < 0 ? g_strerror(-d->error) : NULL);
    if (a->signal != 0)
        l.fields[l.count++] = PST_INT("signal", a->signal);
    else if (a->failure == HANDLER_EXITED && d->error == 0)
        l.fields[l.count++] = PST_INT("status", a->status);
    line_end(h, is_choked ? PST_LOG_WARNING : PST_LOG_ERROR,
             h->asked.message != NULL ? event : "handler-host-failed", &l);
}

struct answer *host_answer_of_death(const struct handler_host *h)
{
    const struct death d = host_death(h);
    struct answer *a = answer_of(h, &d);
    log_death(h, &a->shown, &d);
    return a;
}

void host_log_said(const struct handler_host *h, enum pst_log_level level, int handler, const char *text)
{
    struct line l = line_begin(h, handler);
    line_add(&l, "text", text);
    line_end(h, level, "handler-log", &l);
}
