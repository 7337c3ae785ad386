#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "disk/disk_sim.h"

/* ---- what a world is like ---- */

/* What a knob is drawn from. */
struct draw {
    struct pst_random random;
    bool is_busy; /* the world: many honest clients with small messages at the same time, which wait for each
                     other */
};

static uint64_t below(struct draw *d, uint64_t limit)
{
    return pst_random_below(&d->random, limit);
}

static bool one_in(struct draw *d, uint64_t many)
{
    return below(d, many) == 0;
}

/* From 1 up to 2 to the power of `high`, each order of magnitude as likely as another. */
static uint64_t any_size(struct draw *d, unsigned low, unsigned high)
{
    uint64_t most = UINT64_C(1) << (low + below(d, high - low + 1));
    return 1 + below(d, most);
}

static uint64_t pick(struct draw *d, const uint64_t *values, size_t count)
{
    return values[below(d, count)];
}
#define PICK(d, ...)                                                                                         \
    pick((d), (const uint64_t[]){ __VA_ARGS__ }, sizeof(uint64_t[]){ __VA_ARGS__ } / sizeof(uint64_t))

static uint64_t draw_clients(struct draw *d)
{
    if (d->is_busy)
        return (UINT64_C(1) << PLAN_CLIENTS) - 1;
    uint64_t count = one_in(d, 6) ? 5 + below(d, PLAN_CLIENTS - 4) : 1 + below(d, 5);
    return (UINT64_C(1) << count) - 1;
}

static uint64_t draw_manners(struct draw *d)
{
    return d->is_busy || one_in(d, 4) ? 1 : 15;
}

static uint64_t draw_leavers(struct draw *d)
{
    return d->is_busy ? 0 : PICK(d, 0, 0, 4, 3, 2);
}

static uint64_t draw_messages(struct draw *d)
{
    return d->is_busy ? 5 : 1 + below(d, 5);
}

/* Just beyond what is kept in memory, and what is staged in more than one piece: dear, and so few. */
static uint64_t draw_size(struct draw *d)
{
    if (!d->is_busy && one_in(d, 12))
        return PICK(d, 70000, 70000, 70000, 400000);
    return any_size(d, 5, 11);
}

static uint64_t draw_proxied(struct draw *d)
{
    return one_in(d, 6);
}

static uint64_t draw_segment(struct draw *d)
{
    return PICK(d, 5, 60, 600, 600, 9000, 9000, 60000, 60000);
}

static uint64_t draw_delay(struct draw *d)
{
    return PICK(d, 0, 20, 2000, 2000, 2000, 100000, 3000000);
}

static uint64_t draw_window(struct draw *d)
{
    return PICK(d, 65536, 65536, 65536, 65536, 2000, 200);
}

/* Longer than a drain's patience, or than a client's. */
static uint64_t draw_job(struct draw *d)
{
    if (d->is_busy)
        return 5000 + below(d, 50000);
    return one_in(d, 10) ? UINT64_C(90000000) : any_size(d, 1, 16);
}

static uint64_t draw_faults(struct draw *d)
{
    return one_in(d, 2) ? 0 : (UINT64_C(1) << (1 + below(d, PLAN_FAULTS))) - 1;
}

static uint64_t draw_lost(struct draw *d)
{
    return one_in(d, 16) ? any_size(d, 3, 7) : 0;
}

static uint64_t draw_room(struct draw *d)
{
    return one_in(d, 20) ? 500 + any_size(d, 8, 14) : 0;
}

static uint64_t draw_descriptors(struct draw *d)
{
    return one_in(d, 20) ? any_size(d, 2, 5) : 0;
}

static uint64_t draw_shortage(struct draw *d)
{
    return one_in(d, 20) ? any_size(d, 1, 9) : 0;
}

static uint64_t draw_disks(struct draw *d)
{
    return PICK(d, PLAN_ONE_DISK, PLAN_ONE_DISK, PLAN_DISK_BY_FILE, PLAN_DISK_EACH);
}

static uint64_t draw_sync(struct draw *d)
{
    return one_in(d, 5); /* DELIVERY_SYNC_GROUP or _EACH */
}

static uint64_t draw_single(struct draw *d)
{
    return one_in(d, 4);
}

static uint64_t draw_create(struct draw *d)
{
    return one_in(d, 8);
}

static uint64_t draw_quota(struct draw *d)
{
    return one_in(d, 10) ? 500 + any_size(d, 8, 13) : 0;
}

static uint64_t draw_limit(struct draw *d)
{
    return one_in(d, 6) ? 50 + below(d, 600) : 0;
}

static uint64_t draw_strict(struct draw *d)
{
    return one_in(d, 4) ? below(d, 128) & below(d, 128) : 0;
}

static uint64_t draw_connections(struct draw *d)
{
    return !d->is_busy && one_in(d, 4) ? 1 + below(d, 3) : 100;
}

static uint64_t draw_handlers(struct draw *d)
{
    return PICK(d, PLAN_NO_HANDLERS, PLAN_NO_HANDLERS, PLAN_HANDLERS, PLAN_HANDLERS_IN_TROUBLE);
}

static uint64_t draw_lives(struct draw *d)
{
    return PICK(d, 1, 1, 1, 1, 2, 2, 2, 3);
}

static uint64_t draw_end(struct draw *d)
{
    return PICK(d, PLAN_DRAIN, PLAN_DRAIN, PLAN_KILL, PLAN_POWER, PLAN_POWER);
}

static uint64_t draw_event(struct draw *d)
{
    return one_in(d, 2) ? any_size(d, 4, 11) : 0;
}

static uint64_t draw_call(struct draw *d)
{
    return one_in(d, 2) ? any_size(d, 3, 7) : 0;
}

static uint64_t draw_policy(struct draw *d)
{
    return PICK(d, DISK_SIM_LOSE, DISK_SIM_KEEP, DISK_SIM_SEEDED, DISK_SIM_SEEDED, DISK_SIM_SEEDED);
}

/* What is older than 36 hours in tmp/ is nobody's. */
static uint64_t draw_gap(struct draw *d)
{
    return one_in(d, 4) ? UINT64_C(37) * 3600 + below(d, 100000) : below(d, 30);
}

/* ---- the knobs ---- */

#define KNOB(field, lowest, drawn, text)                                                                     \
    {                                                                                                        \
        .name = #field, .offset = offsetof(struct plan, field), .least = (lowest), .draw = (drawn),          \
        .sentence = (text)                                                                                   \
    }
#define MASK(field, lowest, drawn, text)                                                                     \
    {                                                                                                        \
        .name = #field, .offset = offsetof(struct plan, field), .is_mask = true, .least = (lowest),          \
        .draw = (drawn), .sentence = (text)                                                                  \
    }
#define LIFE(number, field, lowest, drawn, text)                                                             \
    {                                                                                                        \
        .name = #field #number, .offset = offsetof(struct plan, life[(number)-1].field), .least = (lowest),  \
        .draw = (drawn), .sentence = (text)                                                                  \
    }
#define A_LIFE(number)                                                                                       \
    LIFE(number, end, PLAN_DRAIN, draw_end, "how that life ends: 0 drained, 1 killed, 2 by the power"),      \
        LIFE(number, event, 0, draw_event, "behind how many events it ends; 0: when its clients have left"), \
        LIFE(number, call, 0, draw_call, "in front of which disk call it is killed; 0: none"),               \
        LIFE(number, policy, DISK_SIM_LOSE, draw_policy,                                                     \
             "what is not synced: 0 is lost, 1 kept, 2 as it comes"),                                        \
        LIFE(number, gap_s, 0, draw_gap, "seconds until the next life")

const struct plan_knob plan_knobs[] = {
    KNOB(lives, 1, draw_lives, "workers, one after the other"),
    MASK(clients, 1, draw_clients, "bits: which clients take part"),
    MASK(faults, 0, draw_faults, "bits: which faults of the disk happen"),
    KNOB(messages, 1, draw_messages, "the most of a client"),
    MASK(manners, 1, draw_manners, "bits: 1 honest, 2 hostile, 4 slow, 8 deaf clients"),
    KNOB(leavers, 0, draw_leavers, "one client in so many vanishes, one falls silent; 0: none"),
    KNOB(size, 1, draw_size, "octets of a message, about, at most"),
    KNOB(proxied, 0, draw_proxied, "clients come through a proxy"),
    KNOB(segment, 60000, draw_segment, "octets read at once, at most"),
    KNOB(delay_us, 0, draw_delay, "the longest way of a segment"),
    KNOB(window, 65536, draw_window, "octets on their way, at most"),
    KNOB(job_us, 0, draw_job, "the longest wait of a job for its turn"),
    KNOB(lost, 0, draw_lost, "the system fails to write back in front of that disk call; 0: never"),
    KNOB(room, 0, draw_room, "octets on the disk; 0: enough"),
    KNOB(descriptors, 0, draw_descriptors, "for files, of a worker; 0: enough"),
    KNOB(shortage, 0, draw_shortage, "no connection is accepted from that event to twice it; 0: never"),
    KNOB(disks, PLAN_ONE_DISK, draw_disks, "0 one, 1 one that is synced file by file, 2 one a mailbox"),
    KNOB(sync, 0, draw_sync, "0 group, 1 each"),
    KNOB(single, 0, draw_single, "single-instance"),
    KNOB(create, 0, draw_create, "a maildir is missing at first"),
    KNOB(quota, 0, draw_quota, "octets in a mailbox; 0: any"),
    KNOB(limit, 0, draw_limit, "message-size; 0: as usual"),
    MASK(strict, 0, draw_strict,
         "bits: 1 few recipients, 2 errors, 4 strangers, 8 messages, 16 commands, 32 header fields, 64 late "
         "greetings"),
    KNOB(connections, 100, draw_connections, "permitted at once"),
    KNOB(handlers, PLAN_NO_HANDLERS, draw_handlers, "0 none, 1 in order, 2 in trouble"),
    A_LIFE(1),
    A_LIFE(2),
    A_LIFE(3),
};
const size_t plan_knob_count = G_N_ELEMENTS(plan_knobs);

uint64_t *plan_knob_value(struct plan *p, const struct plan_knob *knob)
{
    return (uint64_t *)(void *)((char *)p + knob->offset);
}

/* ---- seeds ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
    return a ^ (a >> 29);
}

uint64_t plan_seed(const struct plan *p, const char *kind, uint64_t number)
{
    return mix(mix(mix(1, p->seed), g_str_hash(kind)), number);
}

static bool draw_is_busy(const struct plan *p)
{
    struct pst_random random;
    pst_random_seed(&random, plan_seed(p, "busy", 0));
    return pst_random_below(&random, 12) == 0;
}

void plan_draw(struct plan *p, uint64_t seed)
{
    *p = (struct plan){ .seed = seed };
    struct draw d = { .is_busy = draw_is_busy(p) };
    for (size_t i = 0; i < plan_knob_count; i++) {
        const struct plan_knob *knob = &plan_knobs[i];
        pst_random_seed(&d.random, plan_seed(p, knob->name, 0));
        *plan_knob_value(p, knob) = knob->draw(&d);
    }
}

/* ---- the command line ---- */

static const struct plan_knob *find_knob(const char *name, size_t len)
{
    for (size_t i = 0; i < plan_knob_count; i++)
        if (strlen(plan_knobs[i].name) == len && strncmp(plan_knobs[i].name, name, len) == 0)
            return &plan_knobs[i];
    return NULL;
}

bool plan_set(struct plan *p, const char *text)
{
    const char *value = strchr(text, '=');
    const struct plan_knob *knob = value != NULL ? find_knob(text, (size_t)(value - text)) : NULL;
    char *end = NULL;
    uint64_t number = value != NULL ? g_ascii_strtoull(value + 1, &end, 0) : 0;
    if (knob == NULL || end == value + 1 || *end != '\0') {
        (void)fprintf(stderr, "%s: not a knob and a number\n", text);
        return false;
    }
    *plan_knob_value(p, knob) = number;
    return true;
}

/* What belongs to a life that there is not. */
static bool is_idle(const struct plan *p, const struct plan_knob *knob)
{
    return knob->offset >= offsetof(struct plan, life) + p->lives * sizeof p->life[0];
}

char *plan_arguments(const struct plan *p)
{
    struct plan usual, these = *p;
    plan_draw(&usual, p->seed);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%" G_GUINT64_FORMAT, p->seed);
    for (size_t i = 0; i < plan_knob_count; i++) {
        const struct plan_knob *knob = &plan_knobs[i];
        uint64_t value = *plan_knob_value(&these, knob);
        if (value == *plan_knob_value(&usual, knob) || is_idle(p, knob))
            continue;
        g_string_append_printf(text,
                               knob->is_mask ? " %s=0x%" G_GINT64_MODIFIER "x" : " %s=%" G_GUINT64_FORMAT,
                               knob->name, value);
    }
    return g_string_free(text, FALSE);
}
