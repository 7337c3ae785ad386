#include "oracle_judge.h"

#include <stdio.h>
#include <string.h>

/* ---- judgements ---- */

static struct turn turn_of(const char *name, const struct talk *talk)
{
    return (struct turn){ .name = name, .good = *talk, .bad = *talk, .replies = 1 };
}

static void may_be(struct turn *t, const char *prefix)
{
    size_t i = 0;
    while (t->may.bad[i] != NULL)
        i++;
    if (i + 1 < JUDGE_BAD_REPLIES)
        t->may.bad[i] = prefix;
}

/* Disks, hosts: what is good may have to be put off. */
static void may_fail(const struct oracle_rules *rules, struct turn *t)
{
    if (rules->troubled)
        may_be(t, "4");
}

/* Cannot be, here and now. What is wrong with the command itself may be told instead: no RFC says which goes
 * first. */
static void refuse(struct turn *t, const struct phrase *p, const char *prefix)
{
    t->may.good = NULL;
    may_be(t, prefix);
    if (p->form != PHRASE_GOOD)
        may_be(t, "5");
}

/* True if there is nothing more to say of it. */
static bool is_malformed(struct turn *t, const struct phrase *p)
{
    if (p->form != PHRASE_GOOD)
        may_be(t, "5");
    return p->form == PHRASE_BAD;
}

static void leave_transaction(struct talk *talk)
{
    if (talk->place != ORACLE_START)
        talk->place = ORACLE_READY;
    talk->recipients_from = talk->recipients_to;
    talk->chunks_from = talk->chunks_to;
}

/* RFC 3030 2: what is left of this message must not be taken for another's. LMTP's recipients are still owed.
 */
static void fail_transaction(struct talk *talk)
{
    talk->place = ORACLE_FAILED;
    talk->chunks_from = talk->chunks_to;
}

static size_t recipients(const struct talk *talk)
{
    return talk->recipients_to - talk->recipients_from;
}

static bool is_lmtp(const struct oracle_rules *rules)
{
    return rules->protocol == SMTP_PROTOCOL_LMTP;
}

/* RFC 2033 4.2 */
static size_t replies_to_message(const struct oracle_rules *rules, const struct talk *talk)
{
    return is_lmtp(rules) && recipients(talk) > 0 ? recipients(talk) : 1;
}

/* ---- commands ---- */

struct turn judge_greeting(const struct oracle_rules *rules)
{
    struct turn t = turn_of("the greeting", &(struct talk){ .place = ORACLE_START });
    t.may.good = "220 ";
    t.is_greeting = t.ends = true;
    if (rules->greets_late)
        may_be(&t, "554 5.5.1");
    return t;
}

static void hello(const struct oracle_rules *rules, struct turn *t, const struct phrase *p)
{
    if (p->is_lhlo != is_lmtp(rules)) {
        refuse(t, p, "500 5.5.1");
        return;
    }
    if (is_malformed(t, p))
        return;
    t->may.good = "250 ";
    t->lists = p->is_extended;
    leave_transaction(&t->good);
    t->good.place = ORACLE_READY;
}

static void mail(const struct oracle_rules *rules, struct turn *t, const struct phrase *p)
{
    t->is_mail = true;
    if (t->good.place != ORACLE_READY) {
        refuse(t, p, "503 5.5.1");
        return;
    }
    if (is_malformed(t, p))
        return;
    bool is_too_big = p->size > rules->limits.message_size, needs_utf8 = p->is_utf8 && !p->has_utf8;
    if (is_too_big)
        may_be(t, "552 5.3.4");
    if (needs_utf8)
        may_be(t, "553 5.6.7");
    if (is_too_big || needs_utf8)
        return;
    t->may.good = "250 2.1.0";
    t->good.place = ORACLE_ENVELOPE;
    t->good.has_utf8 = p->has_utf8;
    t->good.sender = p->sender;
    t->good.is_binary = p->is_binary;
}

static void rcpt(const struct oracle_rules *rules, struct turn *t, const struct phrase *p)
{
    t->is_rcpt = true;
    if (t->good.place != ORACLE_ENVELOPE) {
        refuse(t, p, "503 5.5.1");
        return;
    }
    if (is_malformed(t, p))
        return;
    bool is_full = recipients(&t->good) >= rules->limits.recipients;
    if (is_full)
        may_be(t, "452 4.5.3");
    if (p->is_utf8 && !t->good.has_utf8) {
        may_be(t, "553 5.6.7");
    } else if (is_full && !(rules->troubled && p->boxes != 0)) {
        return; /* else one before it may yet be refused, and there is room */
    } else if (!p->is_ours) {
        may_be(t, "550 5.7.1");
    } else if (p->boxes == 0) {
        may_be(t, "550 5.1.1");
        may_fail(rules, t);
    } else {
        t->may.good = "250 2.1.5";
        may_fail(rules, t);
        t->good.recipients_to++;
    }
}

static void data(struct turn *t, const struct phrase *p, msec_t now)
{
    const struct talk *talk = &t->good;
    bool needs_bdat = talk->place == ORACLE_CHUNKS ||
                      (talk->place == ORACLE_ENVELOPE && recipients(talk) > 0 && talk->is_binary);
    if (p->form != PHRASE_GOOD) {
        refuse(t, p, "501"); /* it was no DATA */
    } else if (needs_bdat) { /* RFC 3030 2, 3 */
        refuse(t, p, "503 5.5.1");
        fail_transaction(&t->bad);
    } else if (talk->place != ORACLE_ENVELOPE || recipients(talk) == 0) {
        refuse(t, p, "503 5.5.1");
    } else {
        t->may.good = "354 ";
        t->good.place = ORACLE_MESSAGE;
        t->good.began = now;
    }
}

static void reset(struct turn *t, const struct phrase *p)
{
    if (is_malformed(t, p))
        return;
    t->may.good = "250 2.0.0";
    leave_transaction(&t->good);
}

static void quit(struct turn *t, const struct phrase *p)
{
    if (is_malformed(t, p))
        return;
    t->may.good = "221 2.0.0";
    t->good.place = ORACLE_OVER;
    t->ends = true;
}

static void foreign(struct turn *t)
{
    may_be(t, "554 5.5.1");
    t->bad.place = ORACLE_OVER;
    t->ends = true;
}

/* Nobody knows where its octets end, and they must not be taken for commands. */
static void lost_chunk(struct turn *t)
{
    may_be(t, "50");
    t->bad.place = ORACLE_OVER;
    t->must_end = true;
}

static void answer(struct turn *t, const struct phrase *p, const char *prefix)
{
    if (!is_malformed(t, p))
        t->may.good = prefix;
}

struct turn judge_phrase(const struct oracle_rules *rules, const struct talk *talk, const struct phrase *p,
                         msec_t now)
{
    struct turn t = turn_of(phrase_verb_name(p->verb), talk);
    switch (p->verb) {
    case PHRASE_HELLO:
        hello(rules, &t, p);
        break;
    case PHRASE_MAIL:
        mail(rules, &t, p);
        break;
    case PHRASE_RCPT:
        rcpt(rules, &t, p);
        break;
    case PHRASE_DATA:
        data(&t, p, now);
        break;
    case PHRASE_RSET:
        reset(&t, p);
        break;
    case PHRASE_QUIT:
        quit(&t, p);
        break;
    case PHRASE_NOOP:
        answer(&t, p, "250 2.0.0");
        break;
    case PHRASE_VRFY:
        answer(&t, p, "252 2.");
        break;
    case PHRASE_HELP:
        answer(&t, p, "214 2.");
        break;
    case PHRASE_EXPN:
        refuse(&t, p, "502 5.5.1");
        t.is_right = p->form == PHRASE_GOOD;
        break;
    case PHRASE_STARTTLS:
    case PHRASE_AUTH:
        refuse(&t, p, "50"); /* not offered here */
        break;
    case PHRASE_CLIENT:
        refuse(&t, p, talk->place <= ORACLE_READY ? "550 5.7.0" : "503 5.5.1");
        break;
    case PHRASE_FOREIGN:
        foreign(&t);
        break;
    case PHRASE_LOST_CHUNK:
        lost_chunk(&t);
        break;
    default:
        refuse(&t, p, "500 5.5");
        break;
    }
    return t;
}

/* ---- messages ---- */

/* A message may have to wait for a host longer than it may, for others hang: then it is put off, too. */
static void judge_act(const struct oracle_rules *rules, struct turn *t, GBytes *content)
{
    gsize len;
    const uint8_t *octets = g_bytes_get_data(content, &len);
    if (rules->troubled || rules->has_handlers)
        may_be(t, "4");
    switch (rules->has_handlers ? sim_act_of(octets, len) : SIM_DELIVER) {
    case SIM_DELIVER:
    case SIM_EDIT:
    case SIM_DISCARD:
        t->may.good = "250 2.0.0";
        break;
    case SIM_REJECT:
        may_be(t, "5");
        break;
    case SIM_DIE_PARSING:
        may_be(t, "554 5.6.0");
        break;
    default:
        break; /* DEFER, and all that is no verdict */
    }
}

/* True if it is refused for sure. */
static bool judge_faults(struct turn *t, const struct content_faults *faults)
{
    if (faults->has_bare)
        may_be(t, "550 5.6.0");
    if (faults->is_too_big || faults->may_exceed)
        may_be(t, "552 5.3.4");
    if (faults->may_exceed)
        may_be(t, "554 5.6.0");
    return faults->has_bare || faults->is_too_big || faults->has_many;
}

struct turn judge_message(const struct oracle_rules *rules, const struct talk *talk, GBytes *content,
                          const struct content_faults *faults)
{
    struct turn t = turn_of("a message's end", talk);
    t.is_message = t.is_right = true;
    t.replies = replies_to_message(rules, talk);
    leave_transaction(&t.good);
    leave_transaction(&t.bad);
    if (!judge_faults(&t, faults))
        judge_act(rules, &t, content);
    return t;
}

bool oracle_takes_chunks(const struct talk *talk)
{
    return talk->place == ORACLE_CHUNKS || (talk->place == ORACLE_ENVELOPE && recipients(talk) > 0);
}

/* A chunk where there is no message for it: its octets are nothing, and it is answered behind them. */
static struct turn judge_stray_chunk(const struct oracle_rules *rules, const struct talk *talk, bool is_last)
{
    struct turn t = turn_of("a chunk out of place", talk);
    may_be(&t, "503 5.5.1");
    if (talk->place == ORACLE_FAILED && is_last) {
        t.replies = replies_to_message(rules, talk);
        t.bad.recipients_from = t.bad.recipients_to;
    } else if (talk->place == ORACLE_ENVELOPE && is_last) {
        leave_transaction(&t.bad);
    } else if (talk->place == ORACLE_ENVELOPE) {
        fail_transaction(&t.bad);
    }
    return t;
}

struct turn judge_chunk(const struct oracle_rules *rules, const struct talk *talk, const struct phrase *p,
                        GBytes *content, const struct content_faults *faults)
{
    if (!oracle_takes_chunks(talk))
        return judge_stray_chunk(rules, talk, p->is_last);
    if (p->is_last)
        return judge_message(rules, talk, content, faults);
    struct turn t = turn_of("a chunk", talk);
    fail_transaction(&t.bad);
    if (judge_faults(&t, faults))
        return t;
    t.may.good = "250 2.0.0";
    t.good.place = ORACLE_CHUNKS;
    t.good.chunks_to += p->octets;
    return t;
}

/* ---- EHLO's list ---- */

enum { EXTENSIONS = 9 };

/* The first line is the server's name; of the others each comes once. */
bool extension_take(const struct oracle_rules *rules, const struct reply_line *line, unsigned *seen)
{
    char size[40], limits[80];
    const char *const list[EXTENSIONS] = { "PIPELINING", "8BITMIME",   "ENHANCEDSTATUSCODES",
                                           "CHUNKING",   "BINARYMIME", "SMTPUTF8",
                                           "DSN",        size,         limits };
    if (line->code != 250 || *seen == 0) {
        *seen = 1;
        return true;
    }
    (void)snprintf(size, sizeof size, "SIZE %" G_GUINT64_FORMAT, rules->limits.message_size);
    (void)snprintf(limits, sizeof limits, "LIMITS RCPTMAX=%" G_GUINT64_FORMAT " MAILMAX=%" G_GUINT64_FORMAT,
                   rules->limits.recipients, rules->limits.messages);
    size_t i = 0;
    while (i < EXTENSIONS && !slice_equal(line->text, slice_str(list[i])))
        i++;
    bool is_new = i < EXTENSIONS && (*seen & 2U << i) == 0;
    *seen |= 2U << i;
    return is_new;
}

bool extensions_are_all(unsigned seen)
{
    return seen == (2U << EXTENSIONS) - 1;
}

/* ---- what is counted ---- */

static bool is_mistake(const struct reply_line *line)
{
    static const unsigned codes[] = { 500, 501, 502, 503, 504, 530, 538, 553, 555 };
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
        if (line->code == codes[i])
            return true;
    return reply_begins(line, "550 5.7.0");
}

bool tally_count(struct tally *t, const struct smtp_limits *limits, const struct reply_line *line,
                 bool is_rcpt)
{
    t->strangers += is_rcpt && (reply_begins(line, "550 5.1.1") || reply_begins(line, "550 5.7.1"));
    if (!is_mistake(line))
        return false;
    return ++t->mistakes >= limits->errors;
}

bool tally_is_full(const struct tally *t, const struct smtp_limits *limits)
{
    return t->mistakes + 1 >= limits->errors || t->strangers > limits->strangers ||
           t->commands >= limits->commands || t->messages >= limits->messages;
}
