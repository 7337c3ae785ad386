#include "reactor/reactor.h"

#include <errno.h>
#include <string.h>

#include "reactor/sim_loop.h"

/*
 * A connection is two streams that know each other. What one writes goes into the other's `in`, as far as its
 * window has room, and else is kept. From `in` it arrives in segments, each an event, while its owner reads.
 * Behind the last byte comes an end. A stream that is gone has left its peer alone; then the peer's writes
 * have nobody to go to, which it is told a little later.
 */

enum { STREAM_MAGIC = 0x53696d53, SYN_RETRY_US = 1000000, LINGER_US = 2000000 };

static void stream_happen_connect(void *object);
static void stream_happen_arrive(void *object);
static void stream_happen_leave(void *object);
static void stream_happen_fail(void *object);
static void stream_happen_linger(void *object);
static void stream_happen_closed(void *object);

static void stream_finish(struct stream *s);
static void stream_end(struct stream *s);

/* ---- making and unmaking ---- */

struct stream *sim_stream_new(struct reactor *r, const struct sim_place *peer_place)
{
    struct stream *s = g_new0(struct stream, 1);
    s->magic = STREAM_MAGIC;
    s->object = sim_next_object(r);
    s->r = r;
    s->peer_place = *peer_place;
    s->link = r->settings.link;
    sim_octets_init(&s->in);
    g_queue_init(&s->descriptors);
    sim_octets_init(&s->kept);
    s->connect = sim_event_of(stream_happen_connect, s);
    s->arrive = sim_event_of(stream_happen_arrive, s);
    s->leave = sim_event_of(stream_happen_leave, s);
    s->fail = sim_event_of(stream_happen_fail, s);
    s->linger = sim_event_of(stream_happen_linger, s);
    s->closed = sim_event_of(stream_happen_closed, s);
    return s;
}

void sim_stream_adopt(struct stream *s)
{
    s->connect.party = s->arrive.party = s->leave.party = reactor_sim_party;
    s->fail.party = s->linger.party = s->closed.party = reactor_sim_party;
}

static void cancel_events(struct stream *s)
{
    sim_cancel(s->r, &s->connect);
    sim_cancel(s->r, &s->arrive);
    sim_cancel(s->r, &s->leave);
    sim_cancel(s->r, &s->fail);
    sim_cancel(s->r, &s->linger);
}

void sim_stream_free(struct stream *s)
{
    cancel_events(s);
    sim_octets_clear(&s->in);
    sim_octets_clear(&s->kept);
    g_queue_clear(&s->descriptors);
    if (s->child != NULL)
        g_ptr_array_remove(s->r->channels, s);
    s->magic = 0;
    g_free(s);
}

void sim_stream_count(struct stream *s)
{
    s->counted = true;
    sim_hold(s->r);
}

bool sim_stream_is_unix(const struct stream *s)
{
    return s->peer_place.address.ss_family == AF_UNIX;
}

int stream_peer(const struct stream *s, struct sockaddr_storage *ret_address, socklen_t *ret_len)
{
    *ret_address = s->peer_place.address;
    *ret_len = s->peer_place.len;
    return 0;
}

void reactor_sim_set_link(struct stream *s, const struct reactor_sim_link *link)
{
    pst_assert(link->window > 0 && link->segment_min > 0 && link->segment_min <= link->segment_max);
    s->link = *link;
    sim_stream_poke_out(s->peer);
}

/* ---- the end ---- */

/* Says once that nothing more will be read; or, if it was said before, that what was kept is gone. */
static void tell_end(struct stream *s, int error)
{
    bool first = !s->ended;
    bool had_kept = sim_octets_len(&s->kept) > 0;
    s->ended = true;
    sim_cancel(s->r, &s->arrive);
    if (error < 0) {
        s->broken = true;
        sim_cancel(s->r, &s->leave);
        sim_cancel(s->r, &s->fail);
        sim_octets_cut(&s->kept, 0);
    }
    if (first) {
        sim_note(s->r, "end", s->object, error);
        if (s->events->on_end != NULL)
            s->events->on_end(s->owner, error);
    } else if (had_kept) {
        sim_note(s->r, "drained", s->object, error);
        if (s->events->on_drained != NULL)
            s->events->on_drained(s->owner);
    }
}

static int break_error(const struct stream *s)
{
    return s->end == SIM_BROKEN ? s->end_error : -EPIPE;
}

static void stream_happen_fail(void *object)
{
    struct stream *s = PAST_MAGIC(stream, object, STREAM_MAGIC);
    if (!s->ended)
        tell_end(s, break_error(s));
}

void sim_stream_cut(struct stream *s, int error)
{
    s->peer = NULL;
    s->end = SIM_BROKEN;
    s->end_error = error;
    if (s->lingering) {
        stream_end(s);
        return;
    }
    sim_stream_poke_in(s);
    sim_stream_poke_out(s);
}

/* Of what is on its way, a part still arrives. */
static void lose_some(struct stream *s)
{
    sim_octets_cut(&s->in, (size_t)sim_pick(s->r, 0, (int64_t)sim_octets_len(&s->in)));
}

void reactor_sim_break(struct stream *s, int error)
{
    pst_assert(error < 0);
    struct stream *peer = s->peer;
    lose_some(s);
    sim_stream_cut(s, error);
    if (peer == NULL)
        return;
    lose_some(peer);
    sim_stream_cut(peer, error);
}

static void end_own_side(struct stream *s)
{
    if (s->peer == NULL || s->peer->end != SIM_OPEN)
        return;
    s->peer->end = SIM_ENDED;
    if (s->peer->lingering)
        stream_end(s->peer);
    else
        sim_stream_poke_in(s->peer);
}

void reactor_sim_end(struct stream *s)
{
    pst_assert(!s->ending && !s->closing);
    s->ending = true;
    if (sim_octets_len(&s->kept) == 0 && !s->connecting)
        end_own_side(s);
}

/* ---- reading ---- */

void sim_stream_poke_in(struct stream *s)
{
    if (!s->reading || s->connecting || s->ended || s->closing || sim_is_scheduled(&s->arrive))
        return;
    if (sim_octets_len(&s->in) > 0 || s->end != SIM_OPEN)
        sim_schedule_in(s->r, &s->arrive, &s->link.delay);
}

/* A third of the segments is all that has come, a third is tiny, a third is anything. */
static size_t pick_segment(const struct stream *s)
{
    size_t have = MIN(sim_octets_len(&s->in), s->link.segment_max);
    size_t least = MIN(have, s->link.segment_min);
    int64_t style = sim_pick(s->r, 0, 2);
    if (style == 0)
        return have;
    size_t most = style == 1 ? MIN(have, MAX(least, 4)) : have;
    return (size_t)sim_pick(s->r, (int64_t)least, (int64_t)most);
}

static void stream_happen_arrive(void *object)
{
    struct stream *s = PAST_MAGIC(stream, object, STREAM_MAGIC);
    if (sim_octets_len(&s->in) == 0) {
        tell_end(s, s->end == SIM_BROKEN ? s->end_error : 0);
        return;
    }
    /* Copied out: the owner may make the peer write more during the call. */
    size_t len = pick_segment(s);
    g_autofree uint8_t *segment = g_malloc(len);
    memcpy(segment, sim_octets_all(&s->in).data, len);
    sim_octets_take(&s->in, len);
    sim_stream_poke_out(s->peer);
    sim_note_bytes(s->r, "read", s->object, slice_of(segment, len));
    if (s->events->on_read != NULL)
        s->events->on_read(s->owner, slice_of(segment, len));
    sim_stream_poke_in(s); /* closed or not, it lives until its last event */
}

void stream_set_reading(struct stream *s, bool on)
{
    pst_assert(s->magic == STREAM_MAGIC && !s->closing);
    s->reading = on;
    if (on)
        sim_stream_poke_in(s);
    else
        sim_cancel(s->r, &s->arrive);
}

/* ---- writing ---- */

static size_t room(const struct stream *to)
{
    return to->link.window > sim_octets_len(&to->in) ? to->link.window - sim_octets_len(&to->in) : 0;
}

void sim_stream_poke_out(struct stream *s)
{
    if (s == NULL || sim_octets_len(&s->kept) == 0 || s->connecting || sim_is_scheduled(&s->leave) ||
        sim_is_scheduled(&s->closed))
        return;
    if (s->peer == NULL || room(s->peer) > 0)
        sim_schedule_in(s->r, &s->leave, s->peer != NULL ? &s->peer->link.delay : &s->link.delay);
}

static void send_to_peer(struct stream *s, struct slice bytes)
{
    if (s->peer->lingering)
        return;
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    sim_octets_append(&s->peer->in, bytes);
    sim_stream_poke_in(s->peer);
}

static void stream_happen_leave(void *object)
{
    struct stream *s = PAST_MAGIC(stream, object, STREAM_MAGIC);
    if (s->peer == NULL) {
        if (s->closing)
            stream_end(s);
        else
            tell_end(s, break_error(s));
        return;
    }
    size_t len = MIN(sim_octets_len(&s->kept), room(s->peer));
    send_to_peer(s, slice_first(sim_octets_all(&s->kept), len));
    sim_octets_take(&s->kept, len);
    sim_note(s->r, "leave", s->object, (int64_t)len);
    if (sim_octets_len(&s->kept) > 0) {
        sim_stream_poke_out(s);
        return;
    }
    if (s->ending)
        end_own_side(s);
    if (s->closing)
        stream_finish(s);
    else if (s->events->on_drained != NULL)
        s->events->on_drained(s->owner);
}

/* How much of `len` the peer's side takes now. */
static size_t pick_taken(struct stream *s, size_t len)
{
    size_t most = MIN(len, room(s->peer));
    unsigned chance = s->link.short_writes;
    return chance > 0 && sim_pick(s->r, 1, chance) == 1 ? (size_t)sim_pick(s->r, 0, (int64_t)most) : most;
}

void stream_write(struct stream *s, struct slice bytes)
{
    pst_assert(s->magic == STREAM_MAGIC && !s->closing && !s->ending);
    if (bytes.len == 0 || s->broken)
        return;
    sim_note(s->r, "write", s->object, (int64_t)bytes.len);
    if (s->peer == NULL && !s->connecting && sim_octets_len(&s->kept) == 0) {
        s->broken = true;
        if (!s->ended)
            sim_schedule_in(s->r, &s->fail, &s->link.delay);
        return;
    }
    size_t taken = s->connecting || sim_octets_len(&s->kept) > 0 ? 0 : pick_taken(s, bytes.len);
    if (taken > 0)
        send_to_peer(s, slice_first(bytes, taken));
    bytes = slice_skip(bytes, taken);
    if (bytes.len > 0)
        sim_octets_append(&s->kept, bytes);
    sim_stream_poke_out(s);
}

int stream_write_with_descriptor(struct stream *s, struct slice bytes, int fd)
{
    pst_assert(s->magic == STREAM_MAGIC && !s->closing && !s->ending && bytes.len > 0);
    if (s->broken)
        return -EPIPE;
    if (s->connecting || sim_octets_len(&s->kept) > 0)
        return -EAGAIN;
    if (s->peer == NULL)
        return -EPIPE;
    if (room(s->peer) == 0)
        return -EAGAIN;
    g_queue_push_tail(&s->peer->descriptors, GINT_TO_POINTER(fd));
    stream_write(s, bytes);
    return 0;
}

int reactor_sim_take_descriptor(struct stream *s)
{
    return g_queue_is_empty(&s->descriptors) ? -1 : GPOINTER_TO_INT(g_queue_pop_head(&s->descriptors));
}

size_t stream_unsent(const struct stream *s)
{
    return sim_octets_len(&s->kept);
}

/* ---- connecting ---- */

static void stream_happen_connect(void *object)
{
    struct stream *s = PAST_MAGIC(stream, object, STREAM_MAGIC);
    int error = s->end == SIM_BROKEN ? s->end_error : sim_listener_admit(s->r, s);
    if (error == -EAGAIN && !sim_stream_is_unix(s)) { /* a full backlog: the kernel would try again, too */
        sim_schedule(s->r, &s->connect, s->r->now_us + SYN_RETRY_US);
        return;
    }
    sim_note(s->r, "connected", s->object, error);
    s->connecting = false;
    if (error < 0) {
        s->ended = s->broken = true;
        sim_octets_cut(&s->kept, 0);
    } else if (s->ending && sim_octets_len(&s->kept) == 0) {
        end_own_side(s);
    }
    sim_stream_poke_in(s);
    sim_stream_poke_out(s);
    if (s->closing && error < 0)
        stream_end(s);
    else if (!s->closing && s->events->on_connected != NULL)
        s->events->on_connected(s->owner, error);
}

int stream_connect(struct reactor *r, const struct sockaddr *address, socklen_t len,
                   const struct stream_events *events, void *owner, struct stream **ret_stream)
{
    struct sim_place place;
    int error = sim_place_of(address, len, &place);
    if (error < 0)
        return error;
    struct stream *s = sim_stream_new(r, &place);
    s->events = events;
    s->owner = owner;
    s->connecting = true;
    sim_schedule_in(r, &s->connect, &r->settings.connect);
    sim_stream_count(s);
    *ret_stream = s;
    return 0;
}

/* ---- closing ---- */

static void stream_happen_closed(void *object)
{
    struct stream *s = PAST_MAGIC(stream, object, STREAM_MAGIC);
    struct reactor *r = s->r;
    sim_note(r, "closed", s->object, 0);
    if (s->events->on_closed != NULL)
        s->events->on_closed(s->owner);
    if (s->counted)
        sim_release(r);
    sim_stream_free(s);
}

/* Leaves the peer alone, with an end behind what is on its way to it. */
static void stream_end(struct stream *s)
{
    struct stream *peer = s->peer;
    s->peer = NULL;
    s->lingering = false;
    cancel_events(s);
    sim_schedule(s->r, &s->closed, s->r->now_us);
    if (peer == NULL)
        return;
    peer->peer = NULL;
    if (peer->end == SIM_OPEN)
        peer->end = SIM_ENDED;
    if (peer->lingering) {
        stream_end(peer);
        return;
    }
    sim_stream_poke_in(peer);
    sim_stream_poke_out(peer);
}

static void stream_happen_linger(void *object)
{
    struct stream *s = PAST_MAGIC(stream, object, STREAM_MAGIC);
    sim_note(s->r, "linger", s->object, 0);
    stream_end(s);
}

/* Nothing is kept any more. If the peer has sent what nobody has read, it is let finish. */
static void stream_finish(struct stream *s)
{
    if (s->peer == NULL || s->ended || s->end != SIM_OPEN || sim_octets_len(&s->in) == 0) {
        stream_end(s);
        return;
    }
    s->lingering = true;
    sim_octets_cut(&s->in, 0);
    end_own_side(s);
    sim_stream_poke_out(s->peer);
    sim_schedule(s->r, &s->linger, s->r->now_us + LINGER_US);
}

void stream_cork(struct stream *s)
{
    pst_assert(s->magic == STREAM_MAGIC && !s->closing && !s->ending); /* nobody can tell the difference */
}

void stream_close(struct stream *s)
{
    if (s == NULL)
        return;
    pst_assert(s->magic == STREAM_MAGIC && !s->closing);
    s->closing = true;
    s->reading = false;
    sim_cancel(s->r, &s->arrive);
    sim_cancel(s->r, &s->fail);
    if (sim_octets_len(&s->kept) == 0)
        stream_finish(s);
}

void stream_abort(struct stream *s)
{
    if (s == NULL || sim_is_scheduled(&s->closed))
        return;
    pst_assert(s->magic == STREAM_MAGIC);
    s->closing = true;
    struct stream *peer = s->peer;
    /* As a kernel has it, what nobody will read is a reset, too. */
    bool reset = sim_octets_len(&s->in) > 0 || (sim_octets_len(&s->kept) > 0 && !sim_stream_is_unix(s));
    stream_end(s);
    if (peer == NULL || !reset || sim_is_scheduled(&peer->closed))
        return;
    lose_some(peer);
    sim_stream_cut(peer, -ECONNRESET);
}
