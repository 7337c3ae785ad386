#include "speaker.h"

#include <errno.h>

#include "reactor/reactor_sim.h"
#include "talker.h"

enum {
    BURST_MAX = 50,   /* what is said without hearing anything in between */
    PIECES_MAX = 6,   /* of what a slow one says at a time */
    DEAF_FLOOD = 500, /* questions that a deaf one asks at once */
};

struct speaker {
    struct speaker_plan plan;
    struct pst_random random;
    struct reactor *reactor;
    struct stream *stream;
    struct timer *timer; /* of a pause; NULL: it makes none */
    struct oracle *oracle;
    struct talker *talker;
    struct slice unsaid; /* what a slow one has still to say before the next */
    unsigned pieces;     /* in which it will */
    uint64_t octets;     /* said and heard */
    bool is_connected, is_paused, is_closed;
    void (*on_line)(void *owner, char who, struct slice octets);
    void *owner;
};

const char *speaker_manner_name(enum speaker_manner manner)
{
    static const char *const names[SPEAKER_MANNERS] = { "honest", "hostile", "slow", "deaf" };
    return names[manner];
}

static bool chance(struct speaker *s, uint64_t one_in)
{
    return pst_random_below(&s->random, one_in) == 0;
}

/* ---- the connection ---- */

static void end(struct speaker *s, bool is_clean)
{
    if (s->stream == NULL)
        return;
    oracle_ended(s->oracle, is_clean);
    timer_close(g_steal_pointer(&s->timer));
    stream_abort(g_steal_pointer(&s->stream));
}

static void leave(struct speaker *s)
{
    end(s, false);
}

static void tell(const struct speaker *s, char who, struct slice octets)
{
    while (s->on_line != NULL && octets.len > 0) {
        struct slice line = slice_first(octets, slice_find(octets, 0, '\n') + 1);
        s->on_line(s->owner, who, line);
        octets = slice_skip(octets, line.len);
    }
}

static bool is_silent(const struct speaker *s)
{
    return s->octets >= s->plan.silent_at;
}

/* Counts, and cuts it off where it falls silent or vanishes. */
static void write_octets(struct speaker *s, struct slice octets, bool is_judged)
{
    if (s->stream == NULL || is_silent(s))
        return;
    uint64_t left = MIN(s->plan.leaves_at, s->plan.silent_at) - s->octets;
    octets = slice_first(octets, left < octets.len ? (size_t)left : octets.len);
    s->octets += octets.len;
    tell(s, 'C', octets);
    if (is_judged)
        oracle_said(s->oracle, octets);
    stream_write(s->stream, octets);
    if (s->octets >= s->plan.leaves_at)
        leave(s);
}

/* ---- pauses ---- */

/* Mostly short; now and then longer than anybody has to bear with (RFC 5321 4.5.3.2.7). */
static msec_t draw_pause(struct speaker *s)
{
    static const msec_t longest[] = { 300, 1000, 1000, 5000, 30 * 1000, 60 * 1000, 290 * 1000, 700 * 1000 };
    return 1 + (msec_t)pst_random_below(
                   &s->random, (uint64_t)longest[pst_random_below(&s->random, G_N_ELEMENTS(longest))]);
}

static void pause_for(struct speaker *s, msec_t time)
{
    s->is_paused = true;
    timer_start(s->timer, reactor_now(s->reactor) + time);
}

/* What is left goes in pieces, each behind a pause. */
static void say_piece(struct speaker *s)
{
    struct slice piece = s->unsaid;
    if (s->pieces > 1 && piece.len > 1)
        piece = slice_first(piece, 1 + pst_random_below(&s->random, piece.len - 1));
    s->unsaid = slice_skip(s->unsaid, piece.len);
    s->pieces -= s->pieces > 1;
    write_octets(s, piece, true);
}

static void say_slowly(struct speaker *s, struct slice said)
{
    s->unsaid = said;
    s->pieces = chance(s, 3) ? 1 + (unsigned)pst_random_below(&s->random, PIECES_MAX) : 1;
    if (!chance(s, 3))
        say_piece(s);
    if (s->stream != NULL && (s->unsaid.len > 0 || chance(s, 6)))
        pause_for(s, draw_pause(s));
}

/* Asks for much, and reads none of it for a while. */
static void turn_deaf(struct speaker *s)
{
    static const char *const questions[] = { "HELP\r\n", "VRFY alice\r\n", "NOOP\r\n" };
    struct slice question = slice_str(questions[pst_random_below(&s->random, G_N_ELEMENTS(questions))]);
    g_autoptr(GString) flood = g_string_new(NULL);
    for (uint64_t count = pst_random_below(&s->random, DEAF_FLOOD); count > 0; count--)
        g_string_append_len(flood, (const char *)question.data, (gssize)question.len);
    stream_set_reading(s->stream, false);
    pause_for(s, draw_pause(s));
    write_octets(s, slice_of(flood->str, flood->len), true);
}

/* ---- what it says ---- */

static bool may_turn_deaf(struct speaker *s)
{
    enum oracle_place place = oracle_place(s->oracle);
    return s->plan.manner == SPEAKER_DEAF && place != ORACLE_MESSAGE && place != ORACLE_OVER && chance(s, 8);
}

static void utter(struct speaker *s, struct slice said)
{
    if (s->plan.manner == SPEAKER_SLOW)
        say_slowly(s, said);
    else
        write_octets(s, said, true);
}

static void go_on(struct speaker *s)
{
    for (int burst = 0; burst < BURST_MAX && s->stream != NULL && !s->is_paused && !is_silent(s); burst++) {
        struct slice said;
        enum talker_does does = talker_next(s->talker, s->oracle, &said);
        if (does == TALKER_LEAVES)
            leave(s);
        if (does != TALKER_SAYS)
            return;
        utter(s, said);
        if (s->stream != NULL && may_turn_deaf(s))
            turn_deaf(s);
    }
}

static void on_fire(void *owner)
{
    struct speaker *s = owner;
    s->is_paused = false;
    stream_set_reading(s->stream, true);
    if (s->unsaid.len > 0) {
        say_piece(s);
        if (s->stream != NULL && s->unsaid.len > 0)
            pause_for(s, draw_pause(s));
    }
    go_on(s);
}

/* ---- events ---- */

/* What a proxy in front of it says, in one of the ways of saying it. */
static void say_proxy_header(struct speaker *s)
{
    static const uint8_t binary[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\2\7\x7f\0\0\1\x12\x34\0\x19"
                                    "\4\0\1"; /* and a NOOP of 1 octet, the literal's NUL */
    if (chance(s, 2))
        write_octets(s, slice_of(binary, sizeof binary), false);
    else
        write_octets(s, slice_str("PROXY TCP4 " SPEAKER_PROXIED " 127.0.0.1 4660 25\r\n"), false);
}

static void on_connected(void *owner, int error)
{
    struct speaker *s = owner;
    if (error < 0) {
        leave(s);
        return;
    }
    stream_set_reading(s->stream, true);
    if (s->plan.proxied)
        say_proxy_header(s);
    go_on(s);
}

static void on_read(void *owner, struct slice octets)
{
    struct speaker *s = owner;
    s->octets += octets.len;
    tell(s, 'S', octets);
    oracle_heard(s->oracle, octets);
    if (s->octets >= s->plan.leaves_at)
        leave(s);
    go_on(s);
}

static void on_end(void *owner, int error)
{
    end(owner, error == 0);
}

static void on_closed(void *owner)
{
    ((struct speaker *)owner)->is_closed = true;
}

struct speaker *speaker_new(struct reactor *r, const struct net_address *server,
                            const struct speaker_plan *plan, const struct oracle_rules *rules,
                            GPtrArray *promises)
{
    static const struct stream_events events = {
        .on_connected = on_connected, .on_read = on_read, .on_end = on_end, .on_closed = on_closed
    };
    struct speaker *s = g_new0(struct speaker, 1);
    s->plan = *plan;
    s->reactor = r;
    pst_random_seed(&s->random, plan->seed);
    struct oracle_rules own = *rules;
    own.protocol = plan->protocol;
    own.life = plan->life;
    own.is_deaf = plan->manner == SPEAKER_DEAF;
    s->oracle = oracle_new(&own, promises);
    const struct talker_terms terms = { .protocol = plan->protocol,
                                        .is_hostile = plan->manner == SPEAKER_HOSTILE,
                                        .messages = plan->messages,
                                        .letter = { .has_handlers = plan->has_handlers,
                                                    .is_hostile = plan->manner == SPEAKER_HOSTILE,
                                                    .size_max = plan->size_max } };
    s->talker = talker_new(&terms, &s->random);
    const struct sockaddr *address = (const struct sockaddr *)&server->storage;
    s->is_closed = stream_connect(r, address, server->len, &events, s, &s->stream) < 0;
    if (!s->is_closed && (plan->manner == SPEAKER_SLOW || plan->manner == SPEAKER_DEAF))
        s->timer = timer_new(r, on_fire, s);
    return s;
}

void speaker_break(struct speaker *s)
{
    if (s->stream != NULL)
        reactor_sim_break(s->stream, -ECONNRESET);
}

bool speaker_is_done(const struct speaker *s)
{
    return s->is_closed;
}

void speaker_free(struct speaker *s)
{
    if (s == NULL)
        return;
    sim_check(s->is_closed, "a speaker is freed before it is done");
    talker_free(s->talker);
    oracle_free(s->oracle);
    g_free(s);
}

void speaker_watch(struct speaker *s, void (*on_line)(void *owner, char who, struct slice octets),
                   void *owner)
{
    s->on_line = on_line;
    s->owner = owner;
}
