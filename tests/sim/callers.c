#include "callers.h"

#include "base/random.h"
#include "sim.h"
#include "speaker.h"

enum { LATER_MS = 120000, FIRST_BITS = 3, MORE_BITS = 10 };

struct caller {
    struct callers *all;
    unsigned number;
    struct timer *timer; /* until it calls */
    struct speaker *speaker;
};

struct callers {
    struct reactor *reactor;
    struct callers_terms terms;
    struct caller callers[PLAN_CLIENTS];
};

static uint64_t seed_of(const struct caller *c, const char *kind)
{
    const struct callers_terms *t = &c->all->terms;
    return plan_seed(t->plan, kind, (uint64_t)t->life * PLAN_CLIENTS + c->number);
}

static enum speaker_manner draw_manner(const struct plan *plan, struct pst_random *random)
{
    static const enum speaker_manner manners[] = { SPEAKER_HONEST,  SPEAKER_HONEST,  SPEAKER_HONEST,
                                                   SPEAKER_HOSTILE, SPEAKER_HOSTILE, SPEAKER_SLOW,
                                                   SPEAKER_DEAF };
    enum speaker_manner manner = manners[pst_random_below(random, G_N_ELEMENTS(manners))];
    return (plan->manners >> manner & 1) != 0 ? manner : SPEAKER_HONEST;
}

/* The few first octets are as likely as all the others. */
static void draw_leave(const struct plan *plan, struct pst_random *random, struct speaker_plan *s)
{
    unsigned bits = FIRST_BITS + (unsigned)pst_random_below(random, MORE_BITS);
    uint64_t octets = pst_random_below(random, UINT64_C(1) << bits);
    if (plan->leavers == 0)
        return;
    if (pst_random_below(random, plan->leavers) == 0)
        s->leaves_at = octets;
    else if (pst_random_below(random, plan->leavers) == 0)
        s->silent_at = octets;
}

/* One after the other: in what order an initializer is evaluated is the compiler's business. */
static struct speaker_plan draw_speaker(const struct caller *c)
{
    const struct plan *plan = c->all->terms.plan;
    struct speaker_plan s = { .leaves_at = UINT64_MAX, .silent_at = UINT64_MAX, .life = c->all->terms.life };
    struct pst_random random;
    pst_random_seed(&random, seed_of(c, "caller"));
    s.seed = pst_random_u64(&random);
    s.protocol = pst_random_below(&random, 3) == 0 ? SMTP_PROTOCOL_LMTP : SMTP_PROTOCOL_SMTP;
    s.manner = draw_manner(plan, &random);
    s.proxied = plan->proxied != 0;
    s.has_handlers = plan->handlers != PLAN_NO_HANDLERS;
    s.messages = 1 + (unsigned)pst_random_below(&random, MAX(plan->messages, 1));
    s.size_max = plan->size;
    draw_leave(plan, &random, &s);
    return s;
}

static void on_line(void *owner, char who, struct slice octets)
{
    const struct caller *c = owner;
    char name[16];
    (void)g_snprintf(name, sizeof name, "client %u", c->number);
    trace_log_dialogue(c->all->terms.trace, name, who, octets);
}

static void call_in(void *owner)
{
    struct caller *c = owner;
    const struct callers_terms *t = &c->all->terms;
    timer_close(g_steal_pointer(&c->timer));
    const struct speaker_plan s = draw_speaker(c);
    trace_log(t->trace, "world", "client %u calls: %s%s", c->number, speaker_manner_name(s.manner),
              s.protocol == SMTP_PROTOCOL_LMTP ? ", LMTP" : "");
    c->speaker = speaker_new(c->all->reactor, s.protocol == SMTP_PROTOCOL_LMTP ? t->lmtp : t->smtp, &s,
                             &t->rules, t->promises);
    if (t->trace != NULL)
        speaker_watch(c->speaker, on_line, c);
}

struct callers *callers_new(struct reactor *r, const struct callers_terms *terms)
{
    struct callers *all = g_new0(struct callers, 1);
    all->reactor = r;
    all->terms = *terms;
    for (unsigned i = 0; i < PLAN_CLIENTS; i++) {
        struct caller *c = &all->callers[i];
        c->all = all;
        c->number = i;
        if ((terms->plan->clients >> i & 1) == 0)
            continue;
        struct pst_random random;
        pst_random_seed(&random, seed_of(c, "call"));
        bool later = pst_random_below(&random, 4) == 0;
        c->timer = timer_new(r, call_in, c);
        timer_start(c->timer, reactor_now(r) + (later ? (msec_t)pst_random_below(&random, LATER_MS) : 0));
    }
    return all;
}

bool callers_are_over(const struct callers *all)
{
    for (size_t i = 0; i < PLAN_CLIENTS; i++) {
        const struct caller *c = &all->callers[i];
        if (c->timer != NULL || (c->speaker != NULL && !speaker_is_done(c->speaker)))
            return false;
    }
    return true;
}

void callers_break(struct callers *all)
{
    for (size_t i = 0; i < PLAN_CLIENTS; i++)
        if (all->callers[i].speaker != NULL)
            speaker_break(all->callers[i].speaker);
}

size_t callers_free(struct callers *all)
{
    size_t count = 0;
    for (size_t i = 0; i < PLAN_CLIENTS; i++) {
        count += all->callers[i].speaker != NULL;
        speaker_free(all->callers[i].speaker);
    }
    g_free(all);
    return count;
}
