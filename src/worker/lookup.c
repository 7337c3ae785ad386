#include "worker/lookup.h"

#include <errno.h>

#include "base/assert.h"
#include "delivery/known.h"
#include "delivery/maildir.h"
#include "delivery/route.h"
#include "delivery/table.h"
#include "delivery/tables.h"

/* Those that share a limit. */
struct lane {
    unsigned jobs;
    bool is_starting;             /* who asks now has its turn behind the others */
    struct lookup *first, **last; /* who wait */
};

struct lookup {
    struct lookups *lookups;
    struct lane *lane;
    struct route_start start;
    uint64_t octets;
    struct lookup_events events;
    void *owner;
    msec_t since;
    bool is_routed; /* its mailboxes are known; only their room is asked for */
    struct route route;
    struct lookup_answer answer;
    struct lookup *next; /* the lane's */
};

struct lookups {
    struct reactor *reactor;
    const struct router *router;
    const GPtrArray *tables;
    const struct pst_log *log;
    struct known *known;
    struct lane quick;     /* of domains whose tables are all in memory */
    struct lane slow;      /* of those with one that may keep who asks it waiting */
    struct timer *refresh; /* NULL: there is nothing that changes */
    bool is_refreshing, is_over;
    bool has_changed;     /* a table, as the job found */
    struct diag problems; /* of tables that changed */
};

/* ---- one look-up ---- */

static void run(void *arg)
{
    struct lookup *u = arg;
    struct lookup_answer *a = &u->answer;
    if (!u->is_routed)
        a->result = route_find(u->lookups->router, &u->start, NULL, &u->route);
    for (guint i = 0; a->result == 0 && i < u->route.mailboxes->len; i++) {
        const struct mailbox *m = g_ptr_array_index(u->route.mailboxes, i);
        a->result = maildir_has_room(m, u->octets);
        if (a->result == -EDQUOT)
            a->full = m;
    }
}

static void start_next(struct lookups *l, struct lane *lane);

static void done(void *arg)
{
    struct lookup *u = arg;
    struct lookups *l = u->lookups;
    u->lane->jobs--;
    if (u->answer.result == 0 && !u->is_routed)
        known_add(l->known, &u->start, u->route.mailboxes, reactor_now(l->reactor));
    start_next(l, u->lane);
    u->answer.mailboxes = u->route.mailboxes;
    u->answer.why = u->route.why;
    u->events.on_done(u->owner, &u->answer);
    route_clear(&u->route);
    g_free(u);
}

static struct lookup *take(struct lane *lane)
{
    struct lookup *u = lane->first;
    lane->first = u->next;
    if (lane->first == NULL)
        lane->last = &lane->first;
    return u;
}

static bool has_quota(const GPtrArray *mailboxes)
{
    for (guint i = 0; i < mailboxes->len; i++)
        if (((const struct mailbox *)g_ptr_array_index(mailboxes, i))->quota > 0)
            return true;
    return false;
}

/* Whether it needs no job: nobody wants it, it is too late for it, or somebody else's answer is its own. */
static bool is_answered(const struct lookup *u, struct lookup_answer *ret_answer)
{
    struct lookups *l = u->lookups;
    msec_t now = reactor_now(l->reactor);
    *ret_answer = (struct lookup_answer){ 0 };
    if (!u->events.is_wanted(u->owner)) {
        ret_answer->result = -ECANCELED;
    } else if (now - u->since > LOOKUPS_PATIENCE_MS) {
        ret_answer->result = -EHOSTDOWN;
        ret_answer->why = "too many others were asking";
    } else {
        ret_answer->mailboxes = known_find(l->known, &u->start, now);
        return ret_answer->mailboxes != NULL && !has_quota(ret_answer->mailboxes);
    }
    return true;
}

static void start_next(struct lookups *l, struct lane *lane)
{
    if (lane->is_starting)
        return;
    lane->is_starting = true;
    while (lane->first != NULL && lane->jobs < LOOKUPS_AT_ONCE) {
        struct lookup *u = take(lane);
        struct lookup_answer answer;
        if (is_answered(u, &answer)) {
            u->events.on_done(u->owner, &answer);
            route_clear(&u->route);
            g_free(u);
        } else {
            lane->jobs++;
            reactor_submit(l->reactor, run, done, u);
        }
    }
    lane->is_starting = false;
}

/* An alias may still lead from here into a domain with such a table: then it holds up others that are quick.
 */
static struct lane *lane_of(struct lookups *l, const struct domain *d)
{
    struct table *const tables[] = { d->options.aliases, d->options.mailboxes, d->options.quotas };
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++)
        if (tables[i] != NULL && !table_is_in_memory(tables[i]))
            return &l->slow;
    return &l->quick;
}

static void *copy(const void *mailbox, void *unused)
{
    (void)unused;
    return mailbox_copy(mailbox);
}

static void free_mailbox(void *mailbox)
{
    mailbox_free(mailbox);
}

void lookups_ask(struct lookups *l, const struct route_start *start, uint64_t octets,
                 const struct lookup_events *events, void *owner)
{
    const GPtrArray *known = known_find(l->known, start, reactor_now(l->reactor));
    if (known != NULL && !has_quota(known)) {
        events->on_done(owner, &(struct lookup_answer){ .mailboxes = known });
        return;
    }
    struct lookup *u = g_new0(struct lookup, 1);
    *u = (struct lookup){ .lookups = l,
                          .start = *start,
                          .octets = octets,
                          .events = *events,
                          .owner = owner,
                          .since = reactor_now(l->reactor) };
    if (known != NULL) {
        u->is_routed = true;
        u->route.mailboxes = g_ptr_array_copy((GPtrArray *)known, (GCopyFunc)copy, NULL);
        g_ptr_array_set_free_func(u->route.mailboxes, free_mailbox);
    }
    struct lane *lane = u->lane = lane_of(l, start->domain);
    *lane->last = u;
    lane->last = &u->next;
    start_next(l, lane);
}

/* ---- tables that change ---- */

static void refresh_run(void *arg)
{
    struct lookups *l = arg;
    l->has_changed = tables_refresh(l->router, l->tables, &l->problems);
}

static void release(struct lookups *l)
{
    diag_clear(&l->problems);
    known_free(l->known);
    g_free(l);
}

static void refresh_done(void *arg)
{
    struct lookups *l = arg;
    l->is_refreshing = false;
    for (guint i = 0; i < diag_count(&l->problems); i++)
        pst_log(l->log, PST_LOG_ERROR, "table-broken", PST_STR("problem", l->problems.problems->pdata[i]));
    diag_clear(&l->problems);
    if (l->has_changed) {
        known_forget(l->known);
        pst_log(l->log, PST_LOG_INFO, "table-loaded");
    }
    l->has_changed = false;
    if (l->is_over)
        release(l);
    else
        timer_start(l->refresh, reactor_now(l->reactor) + LOOKUPS_REFRESH_MS);
}

static void on_refresh(void *owner)
{
    struct lookups *l = owner;
    l->is_refreshing = true;
    reactor_submit(l->reactor, refresh_run, refresh_done, l);
}

struct lookups *lookups_new(struct reactor *r, const struct router *router, const GPtrArray *tables,
                            const struct pst_log *log)
{
    struct lookups *l = g_new0(struct lookups, 1);
    l->reactor = r;
    l->router = router;
    l->tables = tables;
    l->log = log;
    l->known = known_new();
    l->quick.last = &l->quick.first;
    l->slow.last = &l->slow.first;
    if (tables != NULL && tables->len > 0) {
        l->refresh = timer_new(r, on_refresh, l);
        timer_start(l->refresh, reactor_now(r) + LOOKUPS_REFRESH_MS);
    }
    return l;
}

void lookups_free(struct lookups *l)
{
    if (l == NULL)
        return;
    pst_assert(l->quick.jobs + l->slow.jobs == 0);
    timer_close(g_steal_pointer(&l->refresh));
    l->is_over = true;
    if (!l->is_refreshing)
        release(l);
}
