#include "hosts.h"

#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "disk/disk.h"
#include "host_play.h"
#include "sim.h"

enum {
    TIMEOUT_MS = 30 * 1000,
    PROCESSES_MAX = 3,
    HANDLERS = 2,
    HEAD_MAX = 4096,   /* octets of a message that are looked at */
    LATENESS_MS = 1900 /* a host that does not hear SIGTERM has two seconds to be late in */
};

struct hosts {
    uint64_t seed;
    bool troubled;
    struct host_play play;
    struct wire_handler handlers[HANDLERS];
    struct handler_scope scopes[HANDLERS];
    struct handler_settings settings;
};

/* A message, as a host has it, and the dice for it. */
struct mail {
    struct pst_random random;
    const struct wire_message *message;
    int fd, scratch;
    uint8_t head[HEAD_MAX];
    size_t head_len;
};

static uint64_t pick(struct pst_random *random, uint64_t limit)
{
    return pst_random_below(random, limit);
}

/* ---- what a host says ---- */

struct saying {
    struct wire_frame frame; /* a verdict */
    uint8_t front[HEAD_MAX + sizeof SIM_EDITED];
    const char *redirect;
};

static void saying_init(struct saying *s, uint32_t recipients)
{
    s->frame = host_verdict(recipients);
}

/* And that is the end of it. */
static GByteArray *saying_encode(struct saying *s)
{
    GByteArray *bytes = host_say(NULL, &s->frame);
    g_free(s->frame.verdict.fates);
    return bytes;
}

static void decide(struct saying *s, uint32_t decision, uint32_t code, const char *enhanced, const char *text)
{
    for (uint32_t i = 0; i < s->frame.verdict.fate_count; i++) {
        struct wire_fate *f = &s->frame.verdict.fates[i];
        f->decision = decision;
        f->handler = 0;
        f->code = code;
        f->enhanced = enhanced;
        f->text = text;
    }
}

static void set_front(struct saying *s, struct slice rest)
{
    memcpy(s->front, SIM_EDITED, strlen(SIM_EDITED));
    if (rest.len > 0)
        memcpy(s->front + strlen(SIM_EDITED), rest.data, rest.len);
    s->frame.verdict.front = slice_of(s->front, strlen(SIM_EDITED) + rest.len);
}

/* ---- edits: three ways to the same content ---- */

static size_t first_line(const struct mail *l)
{
    const uint8_t *end = memchr(l->head, '\n', l->head_len);
    return end != NULL ? (size_t)(end + 1 - l->head) : 0;
}

/* The whole message again, in the file that the worker gave; a host that cannot write it dies of that. */
static bool replace(struct mail *l, struct saying *s)
{
    struct wire_verdict *v = &s->frame.verdict;
    const struct slice edit = slice_str(SIM_EDITED);
    const bool has_edit = pick(&l->random, 2) == 0;
    if (has_edit && disk_append(l->scratch, &edit, 1) < 0)
        return false;
    if (!has_edit)
        set_front(s, slice_of(NULL, 0));
    v->replaced = true;
    v->replaced_size = l->message->size + (has_edit ? edit.len : 0);
    return (l->fd < 0 ? disk_append(l->scratch, &l->message->octets, 1)
                      : disk_append_copy(l->scratch, l->fd, l->message->offset)) == 0;
}

static bool edit(struct mail *l, struct saying *s)
{
    if (pick(&l->random, 3) == 0)
        return replace(l, s);
    s->frame.verdict.skip = pick(&l->random, 2) == 0 ? first_line(l) : 0;
    set_front(s, slice_of(l->head, (size_t)s->frame.verdict.skip));
    return true;
}

/* ---- lies: none may be believed, and none may end in 250 ---- */

static void lie_about_fates(struct saying *s)
{
    struct wire_verdict *v = &s->frame.verdict;
    uint32_t count = v->fate_count + 1;
    g_free(v->fates);
    s->frame = host_verdict(count);
}

static void lie_about_scratch(struct saying *s)
{
    s->frame.verdict.replaced = true;
    s->frame.verdict.replaced_size = 1;
}

static void lie_in_reply(struct mail *l, struct saying *s)
{
    static const struct {
        uint32_t decision, code;
        const char *enhanced, *text;
    } lies[] = {
        { WIRE_REJECT, 250, "2.0.0", "yes" },
        { WIRE_DEFER, 250, "2.0.0", "yes" },
        { WIRE_REJECT, 550, "5.1.1", "no\r\n250 yes" },
        { WIRE_DEFER, 450, "2.0.0", "yes" },
        { WIRE_REJECT, 0, "", "" },
        { WIRE_DEFER, 4500, "4.0.0", "later" },
    };
    const size_t i = pick(&l->random, G_N_ELEMENTS(lies));
    decide(s, lies[i].decision, lies[i].code, lies[i].enhanced, lies[i].text);
}

static void lie_in_fate(struct mail *l, struct saying *s)
{
    static const char *const nowhere[] = { "nobody@example.org", "alice@elsewhere.example", "no\naddress",
                                           "" };
    struct wire_fate *f = &s->frame.verdict.fates[pick(&l->random, s->frame.verdict.fate_count)];
    switch (pick(&l->random, 4)) {
    case 0:
        f->flags = "ZZ";
        break;
    case 1:
        f->folder = "two\nlines";
        break;
    case 2:
        f->handler = HANDLERS;
        break;
    default:
        s->redirect = nowhere[pick(&l->random, G_N_ELEMENTS(nowhere))];
        f->redirects = (struct wire_text_list){ &s->redirect, 1 };
    }
}

static void lie_in_verdict(struct mail *l, struct saying *s)
{
    switch (pick(&l->random, 6)) {
    case 0:
        lie_about_fates(s);
        break;
    case 1:
        s->frame.verdict.skip = l->message->size + 1;
        break;
    case 2:
        lie_about_scratch(s);
        break;
    case 3:
        s->frame.verdict.front = slice_str("X-Half: a line");
        break;
    case 4:
        lie_in_reply(l, s);
        break;
    default:
        lie_in_fate(l, s);
    }
}

/* Octets that are no verdict at all. */
static GByteArray *rubbish(struct pst_random *random)
{
    static const struct wire_frame not_now[] = {
        { .type = WIRE_READY },
        { .type = WIRE_LOG, .log = { .handler = HANDLERS, .text = "who am I?" } },
        { .type = WIRE_LOG, .log = { .handler = -1, .level = 77, .text = "" } },
        { .type = WIRE_OBITUARY, .obituary = { .stage = WIRE_HANDLING } },
        { .type = WIRE_CONFIG },
    };
    if (pick(random, 2) == 0)
        return host_say(NULL, &not_now[pick(random, G_N_ELEMENTS(not_now))]);
    guint len = 1 + (guint)pick(random, 200);
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, len);
    pst_random_fill(random, bytes->data, len);
    return bytes;
}

/* ---- what is done to a message ---- */

static struct host_act act_usual(struct mail *l)
{
    return (struct host_act){ .after_ms = (msec_t)pick(&l->random, 50), .cut = SIZE_MAX };
}

/* How a process may end, of what it does itself. */
static struct wire_obituary death(struct pst_random *random, enum wire_stage stage)
{
    static const int signals[] = { SIGSEGV, SIGABRT, 0 };
    const int signal = signals[pick(random, G_N_ELEMENTS(signals))];
    return (struct wire_obituary){ .stage = stage,
                                   .handler = stage == WIRE_HANDLING ? 0 : -1,
                                   .signal = signal,
                                   .status = signal == 0 ? 1 : 0 };
}

static struct host_act act_die(struct mail *l)
{
    struct host_act act = act_usual(l);
    struct saying s;
    saying_init(&s, l->message->recipient_count);
    act.say = saying_encode(&s);
    act.cut = pick(&l->random, 2) == 0 ? 0 : pick(&l->random, act.say->len);
    act.how = death(&l->random, WIRE_HANDLING);
    act.untold = pick(&l->random, 4) == 0;
    return act;
}

static struct host_act act_die_parsing(struct mail *l)
{
    struct host_act act = act_usual(l);
    act.cut = 0;
    act.how = death(&l->random, WIRE_PARSING);
    return act;
}

static struct host_act act_hang(struct mail *l)
{
    return (struct host_act){ .after_ms = MSEC_NEVER, .stubborn = pick(&l->random, 2) == 0 };
}

/* As it does not hear that it shall end, its verdict comes while the worker waits for that. */
static struct host_act act_late(struct mail *l)
{
    return (struct host_act){ .after_ms = TIMEOUT_MS + (msec_t)pick(&l->random, LATENESS_MS),
                              .cut = SIZE_MAX,
                              .stubborn = true };
}

static struct host_act act_lie(struct mail *l)
{
    struct host_act act = act_usual(l);
    if (pick(&l->random, 4) == 0) {
        act.say = rubbish(&l->random);
        return act;
    }
    struct saying s;
    saying_init(&s, l->message->recipient_count);
    lie_in_verdict(l, &s);
    act.say = saying_encode(&s);
    return act;
}

static struct host_act act_decide(struct mail *l, enum sim_act what)
{
    struct host_act act = act_usual(l);
    struct saying s;
    saying_init(&s, l->message->recipient_count);
    if (what == SIM_REJECT)
        decide(&s, WIRE_REJECT, 500 + (uint32_t)pick(&l->random, 100), "5.7.1", "not this one");
    else if (what == SIM_DEFER)
        decide(&s, WIRE_DEFER, 400 + (uint32_t)pick(&l->random, 100), "4.7.1", "not now");
    else if (what == SIM_DISCARD)
        decide(&s, WIRE_DISCARD, 0, "", "");
    else if (what == SIM_EDIT && !edit(l, &s))
        act.cut = 0;
    act.say = saying_encode(&s);
    act.how = (struct wire_obituary){ .stage = WIRE_HANDLING, .signal = SIGABRT };
    return act;
}

static struct host_act act_on(struct mail *l)
{
    const enum sim_act what = sim_act_of(l->head, l->head_len);
    switch (what) {
    case SIM_HANG:
        return act_hang(l);
    case SIM_LATE:
        return act_late(l);
    case SIM_DIE:
        return act_die(l);
    case SIM_DIE_PARSING:
        return act_die_parsing(l);
    case SIM_LIE:
        return act_lie(l);
    default:
        return act_decide(l, what);
    }
}

/* ---- trouble ---- */

/* Lines in the log in front of what it says: more than are logged, sometimes. */
static void chatter(struct pst_random *random, struct host_act *act)
{
    GByteArray *bytes = g_byte_array_new();
    for (uint64_t lines = pick(random, 4) == 0 ? 120 : 1 + pick(random, 3); lines > 0; lines--) {
        const struct wire_frame line = { .type = WIRE_LOG,
                                         .log = { .handler = 1, .level = 1, .text = "hm" } };
        bytes = host_say(bytes, &line);
    }
    if (act->cut != SIZE_MAX)
        act->cut += bytes->len;
    g_byte_array_append(bytes, act->say->data, act->say->len);
    g_byte_array_unref(act->say);
    act->say = bytes;
}

/* The verdict stands, whatever comes behind it. */
static void add_trouble(struct mail *l, struct host_act *act)
{
    if (act->after_ms < TIMEOUT_MS && pick(&l->random, 8) == 0)
        act->after_ms += (msec_t)pick(&l->random, TIMEOUT_MS + TIMEOUT_MS / 4);
    if (act->say == NULL)
        return;
    if (pick(&l->random, 8) == 0)
        chatter(&l->random, act);
    if (act->cut != SIZE_MAX)
        return;
    if (pick(&l->random, 8) == 0) {
        act->dies = true;
        act->idle_ms = (msec_t)pick(&l->random, 3) * 100;
        act->untold = pick(&l->random, 4) == 0;
        act->how = death(&l->random, WIRE_WAITING);
    } else if (pick(&l->random, 16) == 0) {
        g_autoptr(GByteArray) behind = rubbish(&l->random);
        g_byte_array_append(act->say, behind->data, behind->len);
    }
}

static struct host_act on_start(void *owner, unsigned number)
{
    const struct hosts *h = owner;
    if (!h->troubled)
        return host_act_usual;
    struct pst_random random;
    pst_random_seed(&random, h->seed ^ (0x9e3779b97f4a7c15 * (number + 1)));
    static const struct wire_frame refuses = { .type = WIRE_READY, .ready = { "it has no heart" } };
    struct host_act act = host_act_usual;
    switch (pick(&random, 20)) {
    case 0:
        act.cut = 0;
        act.how = death(&random, WIRE_LOADING);
        act.untold = pick(&random, 2) == 0;
        break;
    case 1:
        act.say = host_say(NULL, &refuses);
        break;
    case 2:
        act.after_ms = MSEC_NEVER;
        act.stubborn = pick(&random, 2) == 0;
        break;
    case 3:
        act.say = rubbish(&random);
        break;
    case 4:
    case 5:
        act.after_ms = (msec_t)pick(&random, TIMEOUT_MS);
        break;
    default:
        break;
    }
    return act;
}

/* ---- messages ---- */

/* Of the same content, all copies have the same dice: FNV-1a. */
static uint64_t hash(struct slice bytes)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.data[i]) * 0x100000001b3;
    return hash;
}

static bool read_head(struct mail *l)
{
    const struct wire_message *m = l->message;
    if (l->fd < 0) {
        struct slice head = slice_first(m->octets, HEAD_MAX);
        if (head.len > 0)
            memcpy(l->head, head.data, head.len);
        l->head_len = head.len;
        return true;
    }
    int64_t got = disk_read(l->fd, m->offset, l->head, HEAD_MAX);
    l->head_len = got > 0 ? (size_t)got : 0;
    return got >= 0;
}

static struct host_act on_message(void *owner, unsigned number, const struct wire_message *m, int fd,
                                  int scratch)
{
    (void)number;
    const struct hosts *h = owner;
    struct mail l = { .message = m, .fd = fd, .scratch = scratch };
    if (!read_head(&l))
        return (struct host_act){ .how = { .stage = WIRE_HANDLING, .status = 1 } };
    pst_random_seed(&l.random, h->seed ^ hash(slice_of(l.head, l.head_len)));
    struct host_act act = act_on(&l);
    if (h->troubled)
        add_trouble(&l, &act);
    return act;
}

/* ---- all of them ---- */

struct hosts *hosts_new(struct reactor *r, uint64_t seed, bool troubled)
{
    struct hosts *h = g_new0(struct hosts, 1);
    h->seed = seed;
    h->troubled = troubled;
    h->play = (struct host_play){ .r = r, .on_start = on_start, .on_message = on_message, .owner = h };
    h->handlers[0] = (struct wire_handler){ .name = "first", .file = "/first.so" };
    h->handlers[1] = (struct wire_handler){ .name = "second", .file = "/second.so" };
    struct pst_random random;
    pst_random_seed(&random, seed);
    h->settings = (struct handler_settings){
        .program = HOST_PLAY_PROGRAM,
        .config = { .handlers = h->handlers, .handler_count = HANDLERS },
        .scopes = h->scopes,
        .processes = 1 + (unsigned)pick(&random, PROCESSES_MAX),
        .timeout = TIMEOUT_MS,
    };
    host_play_add(&h->play);
    return h;
}

const struct handler_settings *hosts_settings(const struct hosts *h)
{
    return &h->settings;
}

void hosts_free(struct hosts *h)
{
    if (h == NULL)
        return;
    sim_check(h->play.running == 0, "%u handler hosts are left", h->play.running);
    g_free(h);
}
