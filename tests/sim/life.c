#include "life.h"

#include <errno.h>
#include <string.h>

#include "base/random.h"
#include "callers.h"
#include "disk/disk_sim.h"
#include "hosts.h"
#include "memory.h"
#include "reactor/reactor_sim.h"
#include "sim.h"
#include "stored.h"
#include "worker/worker.h"

enum { LIFE_MAX_MS = 24 * 3600 * 1000, EVENTS_MAX = 3000000, DRAIN_MS = 60000, STALE_H = 36 };

struct life {
    struct life_world *world;
    unsigned number;
    const struct plan_life *plan;
    struct reactor *reactor;
    struct hosts *hosts;
    struct worker_settings settings;
    struct worker_listener listeners[2]; /* SMTP, LMTP */
    struct worker_share share;
    struct pst_log log;
    struct worker *worker; /* NULL: it was told to drain, or is gone */
    bool is_drained;
    bool is_dying; /* nothing of it reaches the disk any more */
    bool is_cut;   /* nor the clients */
    bool may_cut;  /* it may end connections without a word: there are too many, or it is to end itself */
    bool has_swept, swept_all;
    uint64_t events, first_call;
    unsigned misdeeds; /* of messages to their hosts */
    char *call;        /* of the disk, under way, as the trace has it; or NULL */
    size_t held;       /* of memory, before its worker came */
    int64_t ended_wall_us;
    msec_t began;
    struct callers *callers;
};

/* ---- what is told ---- */

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct life *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    struct life *l = owner;
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    sim_check(level < PST_LOG_PANIC, "a panic: %.*s", (int)len, line);
    sim_check(len > 1 && line[len - 1] == '\n' && memchr(line, '\n', len - 1) == NULL,
              "not a line of the log: %.*s", (int)len, line);
    if (memmem(line, len, "event=swept ", strlen("event=swept ")) != NULL) {
        l->has_swept = true;
        l->swept_all = memmem(line, len, " failed=0", strlen(" failed=0")) != NULL;
    }
    const char *event = memmem(line, len, "event=", strlen("event="));
    if (event != NULL)
        trace_log(l->world->trace, "log", "%.*s", (int)(line + len - 1 - event), event);
}

/* Of what there is to tell, the dialogues and the disk's calls tell the rest. */
static void on_event(void *owner, int64_t now_us, const char *what, uint64_t object, int64_t amount)
{
    static const char *const told[] = {
        "timer", "job-run", "job-done", "child", "caught", "end", "connected"
    };
    struct life *l = owner;
    trace_log_set_time(l->world->trace, now_us);
    for (size_t i = 0; i < G_N_ELEMENTS(told); i++)
        if (strcmp(told[i], what) == 0)
            trace_log(l->world->trace, "loop", "%s %" G_GUINT64_FORMAT " (%" G_GINT64_FORMAT ")", what,
                      object, amount);
}

/* ---- its end ---- */

static void on_drained(void *owner)
{
    struct life *l = owner;
    l->is_drained = true;
    trace_log(l->world->trace, "worker", "drained");
}

static void drain(struct life *l, msec_t patience_ms)
{
    trace_log(l->world->trace, "worker", "is to drain");
    l->may_cut = true;
    REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
    if (l->worker != NULL)
        worker_drain(g_steal_pointer(&l->worker), patience_ms);
}

/* From this call on. It goes on running, and nobody will ever know. */
static void die(struct life *l)
{
    static const char *const names[] = { "", "killed", "the power fails" };
    l->is_dying = true;
    trace_log(l->world->trace, "worker", "%s", names[l->plan->end]);
    disk_sim_heal();
    disk_sim_fail((struct disk_sim_fault){ .nth = 1, .error = EIO, .for_ever = true, .clean = true });
}

static void cut(struct life *l)
{
    l->is_cut = true;
    callers_break(l->callers);
    drain(l, 0);
}

static void on_call(void *owner, const struct disk_sim_call *call)
{
    struct life *l = owner;
    const struct life_world *w = l->world;
    disk_sim_set_time(reactor_wall_us(l->reactor));
    uint64_t number = call->number - l->first_call;
    if (!l->is_dying && l->plan->end != PLAN_DRAIN && number == l->plan->call)
        die(l);
    if (number == w->plan->lost && !l->is_dying) {
        trace_log(w->trace, "disk", "fails to write back");
        disk_sim_lose_writes(w->plan->disks == PLAN_DISK_EACH ? "/mail/alice" : "/mail");
        mail_on_loss(w->mail);
    }
    if (l->is_dying)
        return;
    if (w->trace != NULL) {
        g_free(l->call);
        l->call = g_strdup_printf("%s %s%s%s", disk_sim_kind_name(call->kind), call->path,
                                  call->to != NULL ? " -> " : "", call->to != NULL ? call->to : "");
    }
    mail_on_call(w->mail, call);
}

static void on_result(void *owner, int64_t result)
{
    struct life *l = owner;
    g_autofree char *call = g_steal_pointer(&l->call);
    if (call == NULL)
        return;
    /* Of what was read, how much; a descriptor tells nobody anything. */
    if (result > 0 && result < 1 << 20)
        trace_log(l->world->trace, "disk", "%s: %d", call, (int)result);
    else
        trace_log(l->world->trace, "disk", "%s: %s", call, result < 0 ? g_strerror((int)-result) : "good");
}

/* ---- going on ---- */

static bool step(struct life *l)
{
    if (!reactor_sim_step(l->reactor))
        return false;
    l->events++;
    sim_check(l->events < EVENTS_MAX, "a world without end");
    sim_check(reactor_now(l->reactor) - l->began < LIFE_MAX_MS, "somebody waits for ever");
    if (l->is_dying && !l->is_cut)
        cut(l);
    mail_on_event(l->world->mail);
    uint64_t shortage = l->world->plan->shortage;
    if (shortage > 0 && (l->events == shortage || l->events == 2 * shortage))
        reactor_sim_set_shortage(l->reactor, l->events == shortage);
    return true;
}

/* What lies in tmp/ since before the gap goes a minute after the start, if the disk lets it. */
static void wait_for_sweep(struct life *l)
{
    if (l->number == 0 || l->world->plan->life[l->number - 1].gap_s < STALE_H * 3600)
        return;
    int64_t before = reactor_wall_us(l->reactor) - (int64_t)STALE_H * 3600 * 1000000;
    while (!l->is_dying && !l->has_swept && step(l))
        ;
    if (l->swept_all)
        mail_on_swept(l->world->mail, before);
}

static void live(struct life *l)
{
    const struct plan_life *plan = l->plan;
    while (!l->is_dying && !callers_are_over(l->callers) && (plan->event == 0 || l->events < plan->event))
        sim_check(step(l), "nothing will ever happen, and clients wait");
    if (plan->end == PLAN_DRAIN) {
        if (plan->event == 0)
            wait_for_sweep(l);
        drain(l, DRAIN_MS);
    } else if (!l->is_dying) {
        die(l);
    }
    if (l->is_dying && !l->is_cut)
        cut(l);
    while (reactor_sim_open(l->reactor) > 0 && step(l))
        ;
}

/* ---- the making ---- */

/* Whether what is good may be answered 4xx. A worker that is told to drain says 421, which any may. */
static bool is_troubled(const struct plan *plan)
{
    return plan->faults != 0 || plan->lost > 0 || plan->room > 0 || plan->descriptors > 0 ||
           plan->quota > 0 || plan->handlers == PLAN_HANDLERS_IN_TROUBLE;
}

/* Where it is the calls of the disk that fail, each is known when it does. */
static bool is_troubled_by_calls(const struct plan *plan)
{
    struct plan else_as_it_is = *plan;
    else_as_it_is.faults = 0;
    return is_troubled(plan) && !is_troubled(&else_as_it_is);
}

/* They hear of messages over connections, and jobs read their edits: neither may be slow. */
static bool are_hosts_in_time(const struct plan *plan)
{
    enum { SLOW_US = 2000, SLOW_JOB_US = 100 * 1000 };
    return plan->handlers == PLAN_HANDLERS && plan->delay_us <= SLOW_US && plan->job_us <= SLOW_JOB_US;
}

static void make_callers(struct life *l)
{
    const struct life_world *w = l->world;
    const struct callers_terms terms = {
        .plan = w->plan,
        .life = l->number,
        .smtp = &l->listeners[0].address,
        .lmtp = &l->listeners[1].address,
        .rules = { .limits = l->settings.smtp,
                   .has_handlers = w->plan->handlers != PLAN_NO_HANDLERS,
                   .troubled = is_troubled(w->plan),
                   .failures = is_troubled_by_calls(w->plan) ? disk_sim_failures : NULL,
                   .is_short = w->plan->shortage > 0,
                   .misdeeds = are_hosts_in_time(w->plan) ? &l->misdeeds : NULL,
                   .clock = l->reactor,
                   .greets_late = l->listeners[0].greeting_delay > 0,
                   .may_cut = &l->may_cut,
                   .link_ms = 1 + (msec_t)w->plan->delay_us / 1000 },
        .promises = w->promises,
        .trace = w->trace,
    };
    l->callers = callers_new(l->reactor, &terms);
}

static void add_fault(const struct life *l, uint64_t number)
{
    static const int errors[] = { EIO, ENOSPC, EDQUOT, EMFILE };
    static const enum disk_sim_kind kinds[] = { DISK_SIM_SYNC,   DISK_SIM_SYNC_DIR,   DISK_SIM_SYNC_ALL,
                                                DISK_SIM_RENAME, DISK_SIM_APPEND,     DISK_SIM_CREATE,
                                                DISK_SIM_UNLINK, DISK_SIM_APPEND_COPY };
    struct pst_random random;
    pst_random_seed(&random, plan_seed(l->world->plan, "fault", l->number * PLAN_FAULTS + number));
    bool any = pst_random_below(&random, 2) == 0;
    struct disk_sim_fault f = { .kind = DISK_SIM_ANY };
    if (!any)
        f.kind = kinds[pst_random_below(&random, G_N_ELEMENTS(kinds))];
    f.nth = 1 + pst_random_below(&random, any ? 120 : 8);
    f.error = errors[pst_random_below(&random, G_N_ELEMENTS(errors))];
    f.forgets = pst_random_below(&random, 2) == 0;
    f.for_ever = pst_random_below(&random, 12) == 0;
    f.happens = pst_random_below(&random, 4) == 0;
    trace_log(l->world->trace, "disk", "will fail: the %" G_GUINT64_FORMAT "th %s: %s%s%s%s", f.nth,
              disk_sim_kind_name(f.kind), g_strerror(f.error), f.forgets ? ", forgets" : "",
              f.for_ever ? ", for ever" : "", f.happens ? ", happens" : "");
    disk_sim_fail(f);
}

static void make_disk(struct life *l)
{
    const struct plan *plan = l->world->plan;
    disk_sim_heal();
    for (uint64_t i = 0; i < PLAN_FAULTS; i++)
        if (plan->faults >> i & 1)
            add_fault(l, i);
    if (plan->room > 0)
        disk_sim_set_capacity(plan->room, l->number % 2 == 0 ? ENOSPC : EDQUOT);
    if (plan->descriptors > 0)
        disk_sim_set_descriptor_limit(plan->descriptors);
    l->first_call = disk_sim_calls();
    disk_sim_set_hook(on_call, l);
}

static void make_network(struct life *l)
{
    const struct plan *plan = l->world->plan;
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.link.segment_max = MAX(plan->segment, 1 + plan->size / 64); /* so that large worlds end */
    settings.link.delay.max_us = (int64_t)plan->delay_us;
    settings.link.window = MAX(plan->window, 1 + plan->size / 64);
    settings.job.max_us = (int64_t)plan->job_us;
    l->reactor = reactor_sim_new(plan_seed(plan, "reactor", l->number));
    reactor_sim_configure(l->reactor, &settings);
    reactor_sim_run_until(l->reactor, l->world->now); /* nothing happens: the clock goes on */
    if (l->world->trace != NULL)
        reactor_sim_watch(l->reactor, on_event, l);
    memory_watch_disk(l->world->trace != NULL ? on_result : NULL, l);
}

/* Limits that nobody would set, so that they are met. */
static void make_strict(struct life *l, uint64_t which)
{
    enum { GREETING_BIT = 6, GREETING_MS = 100 };
    struct smtp_limits *s = &l->settings.smtp;
    const struct {
        uint64_t *limit, value;
    } rows[GREETING_BIT] = { { &s->recipients, 2 }, { &s->errors, 3 },    { &s->strangers, 1 },
                             { &s->messages, 2 },   { &s->commands, 20 }, { &s->header_fields, 3 } };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if ((which >> i & 1) != 0)
            *rows[i].limit = rows[i].value;
    for (size_t i = 0; i < G_N_ELEMENTS(l->listeners) && (which >> GREETING_BIT & 1) != 0; i++)
        l->listeners[i].greeting_delay = GREETING_MS;
}

static void make_worker(struct life *l)
{
    const struct life_world *w = l->world;
    const struct plan *plan = w->plan;
    l->may_cut = plan->connections < PLAN_CLIENTS;
    l->log = (struct pst_log){ .wall_us = wall_us, .write = write_log, .owner = l };
    l->listeners[0] = (struct worker_listener){
        .name = "smtp", .protocol = SMTP_PROTOCOL_SMTP, .fd = -1, .proxy = w->proxies
    };
    l->listeners[1] = (struct worker_listener){
        .name = "lmtp", .protocol = SMTP_PROTOCOL_LMTP, .fd = -1, .proxy = w->proxies
    };
    int smtp = net_address_parse("127.0.0.1:25", &l->listeners[0].address);
    int lmtp = net_address_parse("unix:/lmtp", &l->listeners[1].address);
    sim_check(smtp == 0 && lmtp == 0, "addresses");
    l->settings = (struct worker_settings){
        .hostname = "mx." SIM_DOMAIN,
        .limits = { .connections = plan->connections, .received_fields = 100 },
        .sync = plan->sync != 0 ? DELIVERY_SYNC_EACH : DELIVERY_SYNC_GROUP,
        .single_instance = plan->single != 0,
        .router = w->router,
        .handlers = l->hosts != NULL ? hosts_settings(l->hosts) : NULL,
        .listeners = l->listeners,
        .listener_count = G_N_ELEMENTS(l->listeners),
        .shares = &l->share,
        .share_count = 1,
        .workers = 1,
        .connections_here = 100,
        .leaving_here = WORKER_LEAVING_MAX,
    };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &l->settings.smtp);
    option_set_defaults(guard_limit_rows, guard_limit_row_count, &l->settings.guard);
    make_strict(l, plan->strict);
    if (plan->limit > 0)
        l->settings.smtp.message_size = plan->limit;
    memory_reset();
    l->held = memory_held();
    REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
    int r = worker_new(l->reactor, &l->settings, &l->log, on_drained, l, &l->worker);
    sim_check(r == 0, "no worker: %s", g_strerror(-r));
}

/* ---- its beginning and end ---- */

static void check_memory(const struct life *l)
{
    enum { RECIPIENTS = 100 }; /* of a message: no speaker has that many */
    const size_t sessions = (size_t)__builtin_popcountll(l->world->plan->clients);
    const size_t most = MEMORY_WORKER + sessions * (MEMORY_SESSION + RECIPIENTS * MEMORY_RECIPIENT);
    sim_check(memory_peak() - l->held <= most, "the worker has held %zu octets, of %zu at the most",
              memory_peak() - l->held, most);
    sim_check(memory_held() == l->held, "%zu octets of the worker's memory are left",
              memory_held() - l->held);
}

static void check_nothing_left(struct life *l)
{
    sim_check(l->is_drained, "a worker that never drains");
    sim_check(l->share.connections == 0, "%u connections are still counted", (unsigned)l->share.connections);
    sim_check(disk_sim_open_descriptors() == 0, "%zu descriptors are open", disk_sim_open_descriptors());
    sim_check(callers_are_over(l->callers), "a client was left alone");
    l->world->figures->connections += callers_free(l->callers);
    l->world->now = reactor_now(l->reactor);
    l->ended_wall_us = reactor_wall_us(l->reactor);
    sim_check(reactor_free(l->reactor) == 0, "handles are open");
    hosts_free(l->hosts);
    check_memory(l);
}

static void count(const struct life *l)
{
    struct figures *f = l->world->figures;
    f->lives++;
    f->drained += l->plan->end == PLAN_DRAIN;
    f->killed += l->plan->end == PLAN_KILL;
    f->power_cuts += l->plan->end == PLAN_POWER;
    f->events += l->events;
    f->virtual_ms += (uint64_t)(l->world->now - l->began);
}

/* What a crash left of the counts, or a fault, is mended once a mailbox seems full, and not before. */
static void check_quotas(const struct life *l)
{
    const struct plan *plan = l->world->plan;
    if (plan->quota == 0 || l->number > 0 || plan->lost > 0 || plan->room > 0 || plan->descriptors > 0 ||
        disk_sim_failures() > 0)
        return;
    for (size_t i = 0; i < SIM_BOXES; i++)
        stored_check_quota(sim_boxes[i], plan->quota);
}

static void end(struct life *l)
{
    const struct plan_life *plan = l->plan;
    check_nothing_left(l);
    count(l);
    disk_sim_set_hook(NULL, NULL);
    memory_watch_disk(NULL, NULL);
    g_free(l->call);
    disk_sim_heal();
    if (plan->end == PLAN_DRAIN) {
        mail_on_drained(l->world->mail);
        check_quotas(l);
        return;
    }
    if (plan->end == PLAN_KILL)
        disk_sim_kill();
    else
        disk_sim_crash((enum disk_sim_policy)plan->policy);
    mail_on_crash(l->world->mail, l->ended_wall_us);
}

void life_run(struct life_world *w, unsigned number)
{
    struct life l = { .world = w, .number = number, .plan = &w->plan->life[number] };
    make_network(&l);
    l.began = reactor_now(l.reactor);
    trace_log(w->trace, "world", "life %u begins", number + 1);
    make_disk(&l);
    if (w->plan->handlers != PLAN_NO_HANDLERS)
        l.hosts = hosts_new(l.reactor, plan_seed(w->plan, "hosts", number),
                            w->plan->handlers == PLAN_HANDLERS_IN_TROUBLE);
    make_worker(&l);
    make_callers(&l);
    live(&l);
    trace_log(w->trace, "world", "life %u ends: %016" G_GINT64_MODIFIER "x", number + 1,
              reactor_sim_trace(l.reactor));
    end(&l);
}
