#include "talker.h"

#include "talker_internal.h"

enum { RECIPIENTS_MAX = 4, OWED_MAX = 40, HELLOS_MAX = 20, MISCHIEF_MAX = 30 };

bool talker_chance(struct talker *t, uint64_t one_in)
{
    return pst_random_below(t->random, one_in) == 0;
}

const char *talker_pick(struct talker *t, const char *const *texts, size_t count)
{
    return texts[pst_random_below(t->random, count)];
}

#define pick(t, texts) talker_pick((t), (texts), G_N_ELEMENTS(texts))

/* ---- commands ---- */

static void say(struct talker *t, const char *text)
{
    g_string_append(t->said, text);
}

static void say_hello(struct talker *t)
{
    static const char *const names[] = { "client.example.net", "[192.0.2.1]", "localhost",
                                         "mail.example.net." };
    const char *verb = t->terms.protocol == SMTP_PROTOCOL_LMTP ? "LHLO "
                       : talker_chance(t, 8)                   ? "HELO "
                                                               : "EHLO ";
    say(t, verb);
    say(t, pick(t, names));
    say(t, "\r\n");
    t->hellos++;
    t->waits = true;
}

void talker_say_mail(struct talker *t, uint64_t declared)
{
    static const char *const notes[] = { "", "", " RET=HDRS ENVID=QQ-1", " RET=FULL" };
    const struct letter *l = &t->letter;
    say(t, talker_chance(t, 8) ? "mail from:" : "MAIL FROM:");
    if (l->is_utf8)
        say(t, "<s\xc3\xa9nder@example.net>");
    else if (l->sender == 0)
        say(t, "<>");
    else
        g_string_append_printf(t->said, "<sender%u@example.net>", l->sender);
    if (l->is_binary)
        say(t, " BODY=BINARYMIME");
    else if (talker_chance(t, 3))
        say(t, talker_chance(t, 2) ? " BODY=8BITMIME" : " BODY=7BIT");
    if (declared > 0)
        g_string_append_printf(t->said, " SIZE=%" G_GUINT64_FORMAT, declared);
    if (l->has_utf8)
        say(t, " SMTPUTF8");
    say(t, pick(t, notes));
    say(t, "\r\n");
}

void talker_say_rcpt(struct talker *t)
{
    static const char *const plain[] = { "alice",  "bob",   "Alice", "\"bob\"",
                                         SIM_TEAM, "alice", "bob",   "al\303\255ce" };
    static const char *const beyond[] = { "pel\xc3\xa9", "PELE\xcc\x81", "pel\xc3\xa9" };
    static const char *const notes[] = { "", "", "", " NOTIFY=NEVER",
                                         " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@example.net" };
    enum { PLAIN = 7 }; /* the last one of them needs SMTPUTF8, and is nobody */
    const char *local = t->letter.has_utf8 && talker_chance(t, 3) ? pick(t, beyond)
                        : talker_chance(t, 12)                    ? SIM_NOBODY
                                                                  : plain[pst_random_below(t->random, PLAIN)];
    if (talker_chance(t, 40)) /* what SMTPUTF8 allows, which was perhaps not said */
        local = talker_chance(t, 2) ? plain[PLAIN] : beyond[0];
    const char *domain = talker_chance(t, 30)  ? "elsewhere.example"
                         : talker_chance(t, 8) ? "EXAMPLE.org"
                                               : SIM_DOMAIN;
    g_string_append_printf(t->said, "RCPT TO:<%s@%s>%s\r\n", local, domain, pick(t, notes));
}

void talker_say_chunk(struct talker *t)
{
    struct slice chunk = letter_chunk(&t->letter, t->chunks_said++);
    bool is_last = t->chunks_said == t->letter.chunks;
    g_string_append_printf(t->said, "BDAT %zu%s\r\n", chunk.len, is_last ? " LAST" : "");
    g_string_append_len(t->said, (const char *)chunk.data, (gssize)chunk.len);
}

/* ---- what there is to say ---- */

/* All of it at once, as who knows of PIPELINING does; also what could be known to be in vain. */
static void say_all(struct talker *t)
{
    for (; t->recipients > 0; t->recipients--)
        talker_say_rcpt(t);
    while (t->letter.is_chunked && t->chunks_said < t->letter.chunks)
        talker_say_chunk(t);
    if (!t->letter.is_chunked)
        say(t, "DATA\r\n");
    t->waits = true;
}

static void begin_letter(struct talker *t)
{
    t->messages--;
    letter_draw(&t->letter, t->random, &t->terms.letter);
    t->recipients = 1 + (unsigned)pst_random_below(t->random, RECIPIENTS_MAX);
    t->chunks_said = 0;
    talker_say_mail(t, talker_chance(t, 2) ? t->letter.octets : 0);
    if (t->pipelines && !t->terms.is_hostile && talker_chance(t, 2))
        say_all(t);
}

static enum talker_does finish(struct talker *t)
{
    if (talker_chance(t, 6))
        return TALKER_LEAVES;
    t->is_idle = true;
    if (talker_chance(t, 16)) /* until the server's patience ends */
        return TALKER_WAITS;
    say(t, "QUIT\r\n");
    return TALKER_SAYS;
}

static void go_on_with_envelope(struct talker *t, const struct oracle *o)
{
    if (t->recipients > 0) {
        t->recipients--;
        talker_say_rcpt(t);
    } else if (oracle_recipients(o) == 0) {
        say(t, "RSET\r\n");
    } else if (t->letter.is_chunked && t->chunks_said < t->letter.chunks) {
        talker_say_chunk(t);
    } else {
        say(t, "DATA\r\n");
        t->waits = true;
    }
}

static void go_on_with_chunks(struct talker *t)
{
    if (t->letter.is_chunked && t->chunks_said < t->letter.chunks)
        talker_say_chunk(t);
    else
        say(t, "RSET\r\n");
}

/* What may be said between any two commands, and changes nothing; or ends the transaction. */
static bool digress(struct talker *t, enum oracle_place place)
{
    static const char *const others[] = { "NOOP\r\n", "NOOP now\r\n", "VRFY alice\r\n",
                                          "HELP\r\n", "noop\r\n",     "EXPN team\r\n" };
    if (place == ORACLE_MESSAGE || place == ORACLE_START || !talker_chance(t, 24))
        return false;
    if (talker_chance(t, 4))
        say(t, "RSET\r\n");
    else if (talker_chance(t, 8))
        say_hello(t);
    else
        say(t, pick(t, others));
    return true;
}

/* Each says one command, or a message. */
static enum talker_does be_honest(struct talker *t, const struct oracle *o)
{
    enum oracle_place place = oracle_place(o);
    if (t->is_idle)
        return TALKER_WAITS;
    if (digress(t, place))
        return TALKER_SAYS;
    switch (place) {
    case ORACLE_START:
        if (t->hellos > HELLOS_MAX)
            return TALKER_LEAVES;
        say_hello(t);
        break;
    case ORACLE_READY:
        if (t->messages == 0)
            return finish(t);
        begin_letter(t);
        break;
    case ORACLE_ENVELOPE:
        go_on_with_envelope(t, o);
        break;
    case ORACLE_MESSAGE:
        g_string_append_len(t->said, t->letter.wire->str, (gssize)t->letter.wire->len);
        break;
    case ORACLE_CHUNKS:
        go_on_with_chunks(t);
        break;
    case ORACLE_FAILED:
        say(t, "RSET\r\n");
        break;
    case ORACLE_OVER:
        return TALKER_WAITS;
    }
    return TALKER_SAYS;
}

/* Behind DATA it must be known whether what follows is a message. */
static bool must_wait(const struct talker *t, const struct oracle *o)
{
    size_t owed = oracle_owed(o);
    return owed > 0 && (t->waits || !t->pipelines || owed >= OWED_MAX || oracle_place(o) == ORACLE_MESSAGE);
}

enum talker_does talker_next(struct talker *t, const struct oracle *o, struct slice *ret_said)
{
    g_string_truncate(t->said, 0);
    if (t->terms.is_hostile)
        talker_do_mischief(t, o);
    enum talker_does does = TALKER_SAYS;
    if (t->said->len == 0 && must_wait(t, o))
        return TALKER_WAITS;
    if (t->said->len == 0) {
        t->waits = false;
        does = be_honest(t, o);
    }
    *ret_said = slice_of(t->said->str, t->said->len);
    return does;
}

struct talker *talker_new(const struct talker_terms *terms, struct pst_random *random)
{
    struct talker *t = g_new0(struct talker, 1);
    t->terms = *terms;
    t->random = random;
    letter_init(&t->letter);
    t->said = g_string_sized_new(1024);
    t->messages = terms->messages;
    t->mischief = (unsigned)pst_random_below(random, MISCHIEF_MAX);
    t->pipelines = talker_chance(t, 2);
    t->waits = true; /* for the greeting */
    return t;
}

void talker_free(struct talker *t)
{
    if (t == NULL)
        return;
    letter_clear(&t->letter);
    g_string_free(t->said, TRUE);
    g_free(t);
}
