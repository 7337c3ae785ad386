/*
 * What was said is read at once, command by command, into turns: each with the replies that it may have, and
 * with where the conversation is behind it if it is granted, and if not. A reply that refuses what was taken
 * for granted throws away the turns behind its own, and what was said there is read anew.
 */
#include "oracle.h"

#include <string.h>

#include "content.h"
#include "oracle_judge.h"
#include "replies.h"

enum { SOON_MS = 10 * 1000, REPLY = 500 };

struct oracle {
    struct oracle_rules rules;
    GPtrArray *promises;
    GByteArray *said; /* from the first turn that awaits its reply on */
    size_t read;      /* of it, into turns */
    size_t scanned;   /* behind `read`, for the end of a message */
    size_t wanted;    /* octets of `said` without which there is no turn more */
    struct talk talk; /* behind all turns */
    GArray *turns;    /* struct turn: of which from `first` on await a reply */
    guint first;
    GByteArray *routes;   /* of each recipient that was granted: its boxes */
    GByteArray *chunks;   /* that were granted */
    GPtrArray *withdrawn; /* promises of turns that were thrown away */
    struct replies replies;
    struct tally tally;
    unsigned extensions; /* of the EHLO that is being answered */
    bool is_over;        /* the last reply was heard */
    bool must_end;       /* nothing but 421 may come */
    msec_t instant;      /* what is read now was said no earlier */
    msec_t alive_at;     /* nor was the last turn */
    msec_t active_at;    /* when something was said, or a reply was complete, last */
    uint64_t octets;     /* ever said */
    uint64_t failures;   /* had been when what is read now was said, or fewer */
};

/* ---- turns ---- */

static struct turn *turn_at(const struct oracle *o, guint i)
{
    return &g_array_index(o->turns, struct turn, i);
}

static guint turns_left(const struct oracle *o)
{
    return o->turns->len - o->first;
}

static msec_t now(const struct oracle *o)
{
    return o->rules.clock != NULL ? reactor_now(o->rules.clock) : 0;
}

static uint64_t failures(const struct oracle *o)
{
    return o->rules.failures != NULL ? o->rules.failures() : 0;
}

static struct slice said_of(const struct oracle *o, const struct turn *t)
{
    struct slice all = slice_of(o->said->data, o->said->len);
    return slice_first(slice_skip(all, t->begin), MIN(t->end - t->begin, 100));
}

_Noreturn static void fail(const struct oracle *o, const struct turn *t, const struct reply_line *heard,
                           const char *what)
{
    struct slice said = t != NULL ? said_of(o, t) : slice_of(NULL, 0);
    g_autofree char *text = said.len > 0 ? g_strndup((const char *)said.data, said.len) : g_strdup("");
    g_autofree char *escaped = g_strescape(text, "");
    sim_fail("%s%s%s\n  said: %s\n  heard: %.*s", what, t != NULL ? ": " : "", t != NULL ? t->name : "",
             escaped, heard != NULL ? (int)heard->line.len : 0,
             heard != NULL ? (const char *)heard->line.data : "");
}

/* ---- promises ---- */

static struct promise *revive(struct oracle *o, const char *box, GBytes *content, const char *sender)
{
    for (guint i = 0; i < o->withdrawn->len; i++) {
        struct promise *p = g_ptr_array_index(o->withdrawn, i);
        if (p->box != box || p->sender != sender || !g_bytes_equal(p->content, content))
            continue;
        g_ptr_array_remove_index_fast(o->withdrawn, i);
        return p;
    }
    return NULL;
}

static struct promise *make_promise(struct oracle *o, const char *box, GBytes *content, const char *sender)
{
    struct promise *p = revive(o, box, content, sender);
    if (p == NULL) {
        p = promise_new(box, content, sender, o->rules.has_handlers, o->rules.life);
        g_ptr_array_add(o->promises, p);
    }
    p->fate = PROMISE_OPEN;
    return p;
}

/* What begins with a blank must not continue the field in front of it: an empty line parts them. */
static GBytes *part_from_trace(GBytes *content)
{
    size_t len;
    const char *data = g_bytes_get_data(content, &len);
    if (len == 0 || (*data != ' ' && *data != '\t'))
        return g_bytes_ref(content);
    char *parted = g_malloc(len + 1);
    *parted = '\n';
    memcpy(parted + 1, data, len);
    return g_bytes_new_take(parted, len + 1);
}

/* A copy for each mailbox, however many ways lead to it. */
static void promise_to_each(struct oracle *o, struct turn *t, GBytes *said)
{
    g_autoptr(GBytes) content = part_from_trace(said);
    unsigned boxes = 0;
    for (guint i = t->talk.recipients_from; i < t->talk.recipients_to; i++)
        boxes |= o->routes->data[i];
    for (unsigned b = 0; b < SIM_BOXES; b++)
        if ((boxes & 1U << b) != 0)
            t->promises[b] = make_promise(o, sim_boxes[b], content, t->talk.sender);
}

static void settle(struct turn *t, unsigned boxes, enum promise_fate fate)
{
    for (unsigned b = 0; b < SIM_BOXES; b++)
        if (t->promises[b] != NULL && (boxes & 1U << b) != 0 && t->promises[b]->fate == PROMISE_OPEN)
            t->promises[b]->fate = fate;
}

static void withdraw(struct oracle *o, struct turn *t)
{
    for (unsigned b = 0; b < SIM_BOXES; b++)
        if (t->promises[b] != NULL)
            g_ptr_array_add(o->withdrawn, t->promises[b]);
    settle(t, ~0U, PROMISE_REFUSED);
}

/* ---- what is said ---- */

static struct slice unread(const struct oracle *o)
{
    return slice_skip(slice_of(o->said->data, o->said->len), o->read);
}

/* One turn more, which ends `len` octets on. What may be granted is. */
static struct turn *add_turn(struct oracle *o, const struct turn *judged, size_t len)
{
    g_array_append_vals(o->turns, judged, 1);
    struct turn *t = turn_at(o, o->turns->len - 1);
    t->begin = o->read;
    t->end = o->read + len;
    t->said_at = now(o);
    t->not_before = o->instant;
    t->failures = o->failures;
    o->alive_at = o->instant;
    t->talk = o->talk;
    o->read = t->end;
    o->scanned = o->wanted = 0;
    o->talk = t->may.good != NULL ? t->good : t->bad;
    return t;
}

/* What a message does to its host may be to the harm of others, as soon as it has been said. */
static void note_act(const struct oracle *o, GBytes *content)
{
    if (o->rules.misdeeds == NULL || content == NULL)
        return;
    gsize len;
    const uint8_t *octets = g_bytes_get_data(content, &len);
    *o->rules.misdeeds += sim_act_of(octets, len) >= SIM_HANG;
}

static bool read_message(struct oracle *o)
{
    size_t len = content_end(unread(o), &o->scanned);
    if (len == 0)
        return false;
    struct content_faults faults;
    g_autoptr(GBytes) content = content_of_data(slice_first(unread(o), len), &o->rules.limits, &faults);
    struct turn t = judge_message(&o->rules, &o->talk, content, &faults);
    note_act(o, content);
    struct turn *turn = add_turn(o, &t, len);
    if (turn->may.good != NULL)
        promise_to_each(o, turn, content);
    return true;
}

/* All chunks of a message, up to this one; what came before it was kept in `chunks`. */
static struct slice gather(struct oracle *o, struct slice chunk)
{
    size_t before = o->talk.chunks_to - o->talk.chunks_from;
    if (before == 0)
        return chunk;
    g_byte_array_set_size(o->chunks, (guint)o->talk.chunks_to);
    g_byte_array_append(o->chunks, chunk.data, (guint)chunk.len);
    return slice_of(o->chunks->data + o->talk.chunks_from, before + chunk.len);
}

static void keep_chunk(struct oracle *o, struct slice chunk)
{
    g_byte_array_set_size(o->chunks, (guint)o->talk.chunks_to);
    g_byte_array_append(o->chunks, chunk.data, (guint)chunk.len);
}

static bool read_chunk(struct oracle *o, const struct phrase *p, size_t line_len)
{
    if (p->octets > unread(o).len - line_len) {
        o->wanted = p->octets > SIZE_MAX / 2 ? SIZE_MAX : o->read + line_len + (size_t)p->octets;
        return false;
    }
    struct slice chunk = slice_first(slice_skip(unread(o), line_len), (size_t)p->octets);
    struct content_faults faults = { 0 };
    g_autoptr(GBytes) content = NULL;
    if (oracle_takes_chunks(&o->talk) && p->is_last)
        content = content_of_chunks(gather(o, chunk), o->talk.is_binary, &o->rules.limits, &faults);
    else if (oracle_takes_chunks(&o->talk))
        faults = content_faults_of_chunks(gather(o, chunk), &o->rules.limits);
    struct turn t = judge_chunk(&o->rules, &o->talk, p, content, &faults);
    note_act(o, content);
    if (o->talk.place == ORACLE_ENVELOPE)
        t.good.began = o->alive_at; /* no earlier than this its clock began to run */
    bool is_kept = t.may.good != NULL && !p->is_last;
    if (is_kept)
        keep_chunk(o, chunk);
    struct turn *turn = add_turn(o, &t, line_len + chunk.len);
    if (turn->may.good != NULL && p->is_last)
        promise_to_each(o, turn, content);
    return true;
}

static void note_route(struct oracle *o, unsigned boxes)
{
    uint8_t route = (uint8_t)boxes;
    g_byte_array_set_size(o->routes, o->talk.recipients_to);
    g_byte_array_append(o->routes, &route, 1);
}

static bool read_command(struct oracle *o)
{
    struct slice rest = unread(o);
    if (phrase_is_binary(rest)) {
        struct turn t =
            judge_phrase(&o->rules, &o->talk, &(struct phrase){ .verb = PHRASE_FOREIGN }, o->instant);
        add_turn(o, &t, rest.len);
        return false;
    }
    size_t lf = slice_find(rest, o->scanned, '\n');
    while (lf < rest.len && (lf == 0 || rest.data[lf - 1] != '\r'))
        lf = slice_find(rest, lf + 1, '\n');
    o->scanned = rest.len;
    if (lf == rest.len)
        return false;
    o->scanned = 0; /* should its octets not have come, the line is read again */
    struct phrase p = phrase_read(slice_first(rest, lf - 1), o->rules.limits.command_length);
    if (p.verb == PHRASE_BDAT)
        return read_chunk(o, &p, lf + 1);
    struct turn t = judge_phrase(&o->rules, &o->talk, &p, o->instant);
    if (p.verb == PHRASE_MAIL)
        t.good.failures = o->failures;
    if (p.verb == PHRASE_RCPT && t.may.good != NULL)
        note_route(o, p.boxes);
    add_turn(o, &t, lf + 1);
    return true;
}

static void read_all(struct oracle *o)
{
    bool more = o->said->len >= o->wanted;
    while (more && o->read < o->said->len) {
        if (o->talk.place == ORACLE_OVER) /* it is not listened to */
            o->read = o->said->len;
        else
            more = o->talk.place == ORACLE_MESSAGE ? read_message(o) : read_command(o);
    }
}

/* What nobody will ask for any more is forgotten. */
static void forget(struct oracle *o)
{
    bool is_idle = turns_left(o) == 0;
    size_t done = is_idle ? o->read : turn_at(o, o->first)->begin;
    if (is_idle) {
        g_array_set_size(o->turns, 0);
        o->first = 0;
        g_ptr_array_set_size(o->withdrawn, 0);
    }
    if (is_idle && o->talk.place <= ORACLE_READY) {
        g_byte_array_set_size(o->routes, 0);
        g_byte_array_set_size(o->chunks, 0);
        o->talk.recipients_from = o->talk.recipients_to = 0;
        o->talk.chunks_from = o->talk.chunks_to = 0;
    }
    if (done == 0 || (done < o->said->len && !is_idle && done < 16384))
        return;
    g_byte_array_remove_range(o->said, 0, (guint)done);
    for (guint i = o->first; i < o->turns->len; i++) {
        turn_at(o, i)->begin -= done;
        turn_at(o, i)->end -= done;
    }
    o->read -= done;
    o->wanted -= MIN(done, o->wanted);
}

void oracle_said(struct oracle *o, struct slice octets)
{
    if (o->is_over)
        return;
    o->instant = o->active_at = now(o);
    o->failures = failures(o);
    o->octets += octets.len;
    g_byte_array_append(o->said, octets.data, (guint)octets.len);
    read_all(o);
}

/* ---- what is heard ---- */

/* It was taken for granted; what was said behind it meant something else. */
static void think_again(struct oracle *o)
{
    const struct turn *t = turn_at(o, o->first);
    for (guint i = o->first + 1; i < o->turns->len; i++)
        withdraw(o, turn_at(o, i));
    o->read = t->end;
    o->talk = t->bad;
    o->instant = t->not_before;
    o->failures = t->failures;
    o->scanned = o->wanted = 0;
    g_array_set_size(o->turns, o->first + 1);
    read_all(o);
}

static void end(struct oracle *o)
{
    for (guint i = o->first; i < o->turns->len; i++)
        settle(turn_at(o, i), ~0U, PROMISE_REFUSED); /* it was not read: else its reply had come before */
    o->is_over = true;
    o->talk.place = ORACLE_OVER;
    o->first = o->turns->len;
    o->read = o->said->len;
    forget(o);
}

enum { FAST_MS = 3, LARGE = 60000 };

/* When it was silent for so long, and some more: only where neither the way nor a slow disk may be why. */
static bool is_too_late(const struct oracle *o, msec_t patience)
{
    msec_t ways = (msec_t)(o->octets + REPLY) * 2 * o->rules.link_ms;
    return o->rules.link_ms <= FAST_MS && o->octets < LARGE &&
           o->active_at + patience + SOON_MS + ways < now(o);
}

/* 421 4.4.2 is for who says nothing: not for whom we owe a reply, not too early, and not much later. */
static void check_timeout(const struct oracle *o, const struct reply_line *line)
{
    if (o->rules.clock == NULL || o->rules.is_deaf)
        return;
    if (turns_left(o) > 0) {
        const struct turn *t = turn_at(o, o->first);
        /* What was said so long ago has come: there, and a reply back. */
        msec_t ways = (msec_t)(t->end + REPLY) * 2 * o->rules.link_ms;
        if (t->said_at + SOON_MS + ways < now(o))
            fail(o, t, line, "a timeout in place of a reply");
        return;
    }
    bool is_message = o->talk.place == ORACLE_MESSAGE || o->talk.place == ORACLE_CHUNKS;
    msec_t since = is_message ? o->talk.began : o->alive_at;
    msec_t patience = is_message ? o->rules.limits.data_timeout : o->rules.limits.command_timeout;
    if (now(o) - since < patience)
        fail(o, NULL, line, "a timeout too early");
    bool is_in_chunk = o->wanted > 0; /* whatever becomes of it */
    if (is_too_late(o, is_in_chunk ? o->rules.limits.data_timeout : patience))
        fail(o, NULL, line, "a timeout too late");
}

/* 421 4.3.2: there are too many, or the worker is to end. */
static void check_stop(const struct oracle *o, const struct reply_line *line)
{
    bool is_no_greeting = turns_left(o) > 0 && turn_at(o, o->first)->is_greeting;
    bool may_stop = o->rules.may_cut == NULL || *o->rules.may_cut || (o->rules.is_short && is_no_greeting);
    if (!may_stop)
        fail(o, NULL, line, "the service stops for no reason");
}

static void hear_goodbye(struct oracle *o, const struct reply_line *line)
{
    if (!o->must_end && reply_begins(line, "421 4.7.0") && !tally_is_full(&o->tally, &o->rules.limits))
        fail(o, NULL, line, "the session ends for no reason");
    if (!o->must_end && reply_begins(line, "421 4.4.2"))
        check_timeout(o, line);
    if (reply_begins(line, "421 4.3.2"))
        check_stop(o, line);
    end(o);
}

/* LMTP tells of each recipient; SMTP of all. */
static void hear_of_message(struct oracle *o, struct turn *t, bool is_good)
{
    unsigned boxes = ~0U;
    if (o->rules.protocol == SMTP_PROTOCOL_LMTP)
        boxes = o->routes->data[t->talk.recipients_from + t->heard];
    if (is_good)
        settle(t, boxes, PROMISE_KEPT);
    if (t->heard + 1 == t->replies)
        settle(t, ~0U, PROMISE_REFUSED); /* whomever no good reply reached */
}

static bool is_any(const struct reply_line *line, const char *const *any)
{
    for (; *any != NULL; any++)
        if (reply_begins(line, *any))
            return true;
    return false;
}

/* 4xx, and nothing has failed since the transaction began, nor has any message kept the hosts from this one.
 */
static bool is_put_off_in_vain(const struct oracle *o, const struct turn *t, const struct reply_line *line)
{
    const struct oracle_rules *rules = &o->rules;
    if (!reply_begins(line, "4") || reply_begins(line, "452 4.5.3"))
        return false;
    bool by_disk = rules->troubled && (rules->failures == NULL || failures(o) != t->talk.failures);
    bool by_hosts = t->is_message && rules->has_handlers &&
                    (t->may.good == NULL || rules->misdeeds == NULL || *rules->misdeeds > 0);
    return !by_disk && !by_hosts;
}

/* True once the turn has all its replies. */
static bool hear_of(struct oracle *o, struct turn *t, const struct reply_line *line)
{
    bool is_good = t->may.good != NULL && reply_begins(line, t->may.good);
    if (!is_good && !is_any(line, t->may.bad))
        fail(o, t, line, "a reply that this may not have");
    if (is_put_off_in_vain(o, t, line))
        fail(o, t, line, "put off, though nothing has failed");
    bool is_first = t->heard == 0 && !is_good;
    size_t before = t->talk.recipients_to - t->talk.recipients_from;
    if (is_good && t->is_rcpt && before >= o->rules.limits.recipients)
        fail(o, t, line, "one recipient too many");
    if (is_first && !t->is_right && tally_count(&o->tally, &o->rules.limits, line, t->is_rcpt))
        fail(o, t, line, "one mistake too many");
    if (t->is_message && t->may.good != NULL)
        hear_of_message(o, t, is_good);
    if (is_first && t->may.good != NULL && !t->is_message)
        think_again(o);
    return ++turn_at(o, o->first)->heard == turn_at(o, o->first)->replies;
}

static void hear_line(struct oracle *o, const struct reply_line *line)
{
    if (o->is_over)
        fail(o, NULL, line, "a reply behind the last one");
    if (line->code == 421) {
        hear_goodbye(o, line);
        return;
    }
    if (o->must_end)
        fail(o, NULL, line, "the session goes on where it must end");
    if (turns_left(o) == 0)
        fail(o, NULL, line, "a reply that nobody asked for");
    struct turn *t = turn_at(o, o->first);
    if (t->lists && !extension_take(&o->rules, line, &o->extensions))
        fail(o, t, line, "an extension that is not there");
    if (!line->is_last)
        return;
    if (t->lists && line->code == 250 && !extensions_are_all(o->extensions))
        fail(o, t, line, "an extension is missing");
    o->extensions = 0;
    if (!hear_of(o, t, line))
        return;
    t = turn_at(o, o->first); /* it may have moved */
    o->tally.commands++;
    o->tally.messages += t->is_mail && line->code == 250;
    if (o->tally.messages > o->rules.limits.messages)
        fail(o, t, line, "one message too many");
    o->must_end = t->must_end || o->tally.strangers > o->rules.limits.strangers;
    if (t->ends && !(t->is_greeting && line->code == 220)) {
        o->first++;
        end(o);
        return;
    }
    o->first++;
    forget(o);
}

static void on_line(void *owner, const struct reply_line *line)
{
    struct oracle *o = owner;
    hear_line(o, line);
    o->active_at = now(o);
}

void oracle_heard(struct oracle *o, struct slice octets)
{
    replies_take(&o->replies, octets, on_line, o);
}

/* RFC 5321 3.8: not without 421. The last words of who is slow to take them may be lost. */
static void check_end(const struct oracle *o)
{
    const struct turn *t = turns_left(o) > 0 ? turn_at(o, o->first) : NULL;
    bool is_greeted = t == NULL || !t->is_greeting;
    if (is_greeted && !o->rules.is_deaf && o->rules.link_ms <= FAST_MS && o->rules.may_cut != NULL &&
        !*o->rules.may_cut)
        fail(o, t, NULL, "the connection ends without a word");
}

void oracle_ended(struct oracle *o, bool is_clean)
{
    if (is_clean && !o->is_over)
        check_end(o);
    o->is_over = true;
    o->talk.place = ORACLE_OVER;
}

/* ---- where it is ---- */

enum oracle_place oracle_place(const struct oracle *o)
{
    return o->talk.place;
}

size_t oracle_recipients(const struct oracle *o)
{
    return o->talk.recipients_to - o->talk.recipients_from;
}

size_t oracle_owed(const struct oracle *o)
{
    return turns_left(o);
}

struct oracle *oracle_new(const struct oracle_rules *rules, GPtrArray *promises)
{
    struct oracle *o = g_new0(struct oracle, 1);
    o->rules = *rules;
    o->promises = promises;
    o->said = g_byte_array_new();
    o->turns = g_array_new(FALSE, FALSE, sizeof(struct turn));
    o->routes = g_byte_array_new();
    o->chunks = g_byte_array_new();
    o->withdrawn = g_ptr_array_new();
    o->instant = o->active_at = now(o);
    struct turn greeting = judge_greeting(rules);
    add_turn(o, &greeting, 0);
    return o;
}

void oracle_free(struct oracle *o)
{
    if (o == NULL)
        return;
    g_byte_array_unref(o->said);
    g_array_unref(o->turns);
    g_byte_array_unref(o->routes);
    g_byte_array_unref(o->chunks);
    g_ptr_array_unref(o->withdrawn);
    g_free(o);
}
