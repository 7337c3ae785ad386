#include "speaker.h"

#include <string.h>

#include <errno.h>

#include "base/assert.h"
#include "base/random.h"
#include "letter.h"
#include "reactor/reactor_sim.h"

/* What the next reply answers. */
enum await {
    AWAIT_GREETING,
    AWAIT_HELLO,
    AWAIT_MAIL,
    AWAIT_RCPT,
    AWAIT_DATA,
    AWAIT_CHUNK, /* of a chunk that is not the last */
    AWAIT_LAST,  /* the first of those to the last one */
    AWAIT_END,
    AWAIT_RSET,
    AWAIT_QUIT,
};

struct speaker {
    struct pst_random dice;
    unsigned life;
    void (*on_line)(void *owner, char who, struct slice octets);
    void *on_line_owner;
    struct stream *stream;
    struct pst_random *random;
    GPtrArray *sent;
    bool lmtp, proxied, pipelines, closed;
    unsigned messages;    /* still to be sent, with the one under way */
    uint64_t vanishes_at; /* octets sent or read in all; UINT64_MAX: it stays */
    uint64_t silent_at;   /* octets likewise, from which on it only reads */
    uint64_t octets;
    GString *line;  /* of replies, not complete yet */
    GQueue awaited; /* enum await, in the order of replies */
    GPtrArray *
        rcpts; /* mailboxes of the current transaction, in the order of RCPT; NULL: one that does not exist */
    GPtrArray *tried;    /* struct promise *, of those for which RCPT was sent; NULL: as above */
    GPtrArray *accepted; /* those that were accepted */
    size_t answered;     /* RCPTs, or LMTP's final replies */
    struct letter letter;
    size_t chunks_sent;
    bool failed; /* a chunk was refused: RSET it is */
};

static bool chance(struct speaker *c, uint64_t one_in)
{
    return pst_random_below(c->random, one_in) == 0;
}

static void leave(struct speaker *c)
{
    if (c->stream == NULL)
        return;
    stream_abort(g_steal_pointer(&c->stream));
}

static void count(struct speaker *c, size_t octets)
{
    c->octets += octets;
    if (c->octets >= c->vanishes_at)
        leave(c);
}

static void send_octets(struct speaker *c, struct slice octets)
{
    if (c->stream == NULL || c->octets >= c->silent_at)
        return;
    size_t len = octets.len;
    if (c->silent_at - c->octets < len)
        len = (size_t)(c->silent_at - c->octets);
    if (c->vanishes_at - c->octets < len)
        len = (size_t)(c->vanishes_at - c->octets); /* it vanishes in the middle */
    if (c->on_line != NULL)
        c->on_line(c->on_line_owner, 'C', slice_first(octets, len));
    stream_write(c->stream, slice_first(octets, len));
    count(c, len);
}

static void command(struct speaker *c, const char *text, enum await await)
{
    g_queue_push_tail(&c->awaited, GINT_TO_POINTER(await));
    send_octets(c, slice_str(text));
}

/* ---- a message ---- */

/* Who pipelines chunks may have sent the whole message before it knows of any recipient. */
static struct promise *remember(struct speaker *c, const char *box)
{
    g_autoptr(GBytes) body = g_bytes_new(c->letter.body->str, c->letter.body->len);
    struct promise *s = promise_new(box, body, c->letter.utf8, false, c->life);
    g_ptr_array_add(c->sent, s);
    return s;
}

static void send_rcpt(struct speaker *c, const char *box)
{
    const char *local = box != NULL ? box : "nobody";
    g_ptr_array_add(c->tried, box != NULL ? remember(c, box) : NULL);
    if (box == sim_boxes[SIM_BOXES - 1] && chance(c, 2))
        local = "PELE\xcc\x81"; /* the same, decomposed */
    g_autofree char *text = g_strdup_printf("RCPT TO:<%s@example.org>%s\r\n", local, c->letter.rcpt);
    command(c, text, AWAIT_RCPT);
}

static void send_chunk(struct speaker *c)
{
    struct slice chunk = letter_chunk(&c->letter, c->chunks_sent++);
    bool last = c->chunks_sent == c->letter.chunks;
    g_autofree char *text = g_strdup_printf("BDAT %zu%s\r\n", chunk.len, last ? " LAST" : "");
    command(c, text, last ? AWAIT_LAST : AWAIT_CHUNK);
    send_octets(c, chunk);
}

/* What follows the recipients; who pipelines has sent it all then, but what needs a 354. */
static void send_content(struct speaker *c)
{
    if (!c->letter.chunked) {
        command(c, "DATA\r\n", AWAIT_DATA);
        return;
    }
    do
        send_chunk(c);
    while (c->pipelines && c->chunks_sent < c->letter.chunks);
}

static void begin_message(struct speaker *c)
{
    letter_clear(&c->letter);
    letter_init(&c->letter, c->random);
    g_ptr_array_set_size(c->rcpts, 0);
    g_ptr_array_set_size(c->tried, 0);
    g_ptr_array_set_size(c->accepted, 0);
    c->answered = 0;
    c->chunks_sent = 0;
    c->failed = false;
    for (size_t i = 0; i < SIM_BOXES; i++)
        if (chance(c, 2))
            g_ptr_array_add(c->rcpts, (void *)sim_boxes[i]);
    if (chance(c, 5) || c->rcpts->len == 0)
        g_ptr_array_add(c->rcpts, NULL);
    g_autofree char *mail =
        g_strdup_printf("MAIL FROM:<%s@example.net>%s%s\r\n", c->letter.utf8 ? "s\xc3\xa9nder" : "sender",
                        c->letter.utf8 ? " SMTPUTF8" : "", c->letter.mail);
    command(c, mail, AWAIT_MAIL);
    if (!c->pipelines)
        return;
    for (guint i = 0; i < c->rcpts->len; i++)
        send_rcpt(c, g_ptr_array_index(c->rcpts, i));
    send_content(c);
}

/* The transaction is over, without a message. */
static void reset(struct speaker *c)
{
    g_ptr_array_set_size(c->accepted, 0);
    command(c, "RSET\r\n", AWAIT_RSET);
}

static void go_on(struct speaker *c)
{
    if (c->messages == 0) {
        command(c, "QUIT\r\n", AWAIT_QUIT);
        return;
    }
    c->messages--;
    begin_message(c);
}

/* ---- replies ---- */

static void on_rcpt_reply(struct speaker *c, bool good)
{
    const char *box = g_ptr_array_index(c->rcpts, c->answered);
    struct promise *s = g_ptr_array_index(c->tried, c->answered++);
    bool needs_utf8 = box != NULL && !g_str_is_ascii(box) && !c->letter.utf8;
    pst_assert((box != NULL && !needs_utf8) || !good);
    if (good)
        g_ptr_array_add(c->accepted, s);
    else if (s != NULL)
        s->fate = PROMISE_REFUSED;
    if (c->pipelines)
        return;
    if (c->answered < c->rcpts->len)
        send_rcpt(c, g_ptr_array_index(c->rcpts, c->answered));
    else
        send_content(c);
}

static void on_data_reply(struct speaker *c, unsigned code)
{
    c->answered = 0;
    if (code != 354) {
        reset(c);
        return;
    }
    pst_assert(c->accepted->len > 0);
    for (guint i = 0; i < (c->lmtp ? c->accepted->len : 1); i++)
        g_queue_push_tail(&c->awaited, GINT_TO_POINTER(AWAIT_END));
    send_octets(c, slice_of(c->letter.wire->str, c->letter.wire->len));
}

static void settle(struct promise *s, bool good)
{
    s->fate = good ? PROMISE_KEPT : PROMISE_REFUSED;
}

static void on_end_reply(struct speaker *c, bool good)
{
    if (c->lmtp && c->answered < c->accepted->len) {
        settle(g_ptr_array_index(c->accepted, c->answered++), good);
        if (c->answered < c->accepted->len)
            return;
    } else {
        for (guint i = 0; i < c->accepted->len; i++)
            settle(g_ptr_array_index(c->accepted, i), good);
    }
    if (c->failed)
        reset(c);
    else
        go_on(c);
}

static void on_chunk_reply(struct speaker *c, bool good)
{
    pst_assert(c->accepted->len > 0 || !good);
    pst_assert(!c->failed || !good); /* nothing mends it but RSET */
    c->failed = !good;
    if (c->pipelines)
        return; /* the rest is on its way */
    if (good) {
        send_chunk(c);
        return;
    }
    for (guint i = 0; i < c->accepted->len; i++)
        settle(g_ptr_array_index(c->accepted, i), false);
    reset(c);
}

/* LMTP owes one for each recipient, SMTP one; where there is no recipient, it is one, too. */
static void on_last_reply(struct speaker *c, bool good)
{
    pst_assert((c->accepted->len > 0 && !c->failed) || !good);
    c->answered = 0;
    if (c->accepted->len == 0)
        c->failed = true;
    for (guint i = 1; c->lmtp && i < c->accepted->len; i++)
        g_queue_push_head(&c->awaited, GINT_TO_POINTER(AWAIT_END));
    on_end_reply(c, good);
}

static void on_reply(struct speaker *c, unsigned code)
{
    if (code == 421) {
        leave(c);
        return;
    }
    pst_assert(!g_queue_is_empty(&c->awaited)); /* no reply that nobody asked for */
    bool good = code >= 200 && code < 300;
    switch ((enum await)GPOINTER_TO_INT(g_queue_pop_head(&c->awaited))) {
    case AWAIT_GREETING:
        pst_assert((code) == 220);
        command(c, c->lmtp ? "LHLO client.example.net\r\n" : "EHLO client.example.net\r\n", AWAIT_HELLO);
        break;
    case AWAIT_HELLO:
        pst_assert((code) == 250);
        go_on(c);
        break;
    case AWAIT_MAIL:
        pst_assert((code) == 250);
        if (!c->pipelines)
            send_rcpt(c, g_ptr_array_index(c->rcpts, 0));
        break;
    case AWAIT_RCPT:
        on_rcpt_reply(c, good);
        break;
    case AWAIT_DATA:
        on_data_reply(c, code);
        break;
    case AWAIT_END:
        on_end_reply(c, good);
        break;
    case AWAIT_CHUNK:
        on_chunk_reply(c, good);
        break;
    case AWAIT_LAST:
        on_last_reply(c, good);
        break;
    case AWAIT_RSET:
        pst_assert((code) == 250);
        go_on(c);
        break;
    case AWAIT_QUIT:
        pst_assert((code) == 221);
        leave(c);
        break;
    }
}

static void on_read(void *owner, struct slice bytes)
{
    struct speaker *c = owner;
    if (c->on_line != NULL)
        c->on_line(c->on_line_owner, 'S', bytes);
    count(c, bytes.len);
    for (size_t i = 0; i < bytes.len && c->stream != NULL; i++) {
        g_string_append_c(c->line, (char)bytes.data[i]);
        if (bytes.data[i] != '\n')
            continue;
        pst_assert(c->line->len >= 6);
        bool last = c->line->str[3] == ' ';
        unsigned code = (unsigned)g_ascii_strtoull(c->line->str, NULL, 10);
        g_string_truncate(c->line, 0);
        if (last)
            on_reply(c, code);
    }
}

/* What a proxy in front of it says, in one of the ways of saying it. */
static void send_proxy_header(struct speaker *c)
{
    static const uint8_t binary[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\2\7\x7f\0\0\1\x12\x34\0\x19"
                                    "\4\0\1"; /* and a NOOP of 1 octet, the literal's NUL */
    if (chance(c, 2))
        send_octets(c, slice_of(binary, sizeof binary));
    else
        send_octets(c, slice_str("PROXY TCP4 " SPEAKER_PROXIED " 127.0.0.1 4660 25\r\n"));
}

static void on_connected(void *owner, int error)
{
    struct speaker *c = owner;
    if (error < 0)
        leave(c);
    else
        stream_set_reading(c->stream, true);
    if (c->proxied)
        send_proxy_header(c);
}

static void on_end(void *owner, int error)
{
    (void)error;
    leave(owner);
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_closed(void *owner)
{
    struct speaker *c = owner;
    c->stream = NULL;
    c->closed = true;
}

struct speaker *speaker_new(struct reactor *r, const struct net_address *server,
                            const struct speaker_plan *plan, const struct oracle_rules *rules,
                            GPtrArray *promises)
{
    (void)rules;
    static const struct stream_events events = { on_connected, on_read, on_end, on_drained, on_closed };
    struct speaker *c = g_new0(struct speaker, 1);
    pst_random_seed(&c->dice, plan->seed);
    c->random = &c->dice;
    c->sent = promises;
    c->life = plan->life;
    c->lmtp = plan->protocol == SMTP_PROTOCOL_LMTP;
    c->pipelines = chance(c, 2);
    c->messages = plan->messages;
    c->vanishes_at = plan->leaves_at;
    c->silent_at = plan->silent_at;
    c->line = g_string_new(NULL);
    c->rcpts = g_ptr_array_new();
    c->tried = g_ptr_array_new();
    c->accepted = g_ptr_array_new();
    g_queue_init(&c->awaited);
    g_queue_push_tail(&c->awaited, GINT_TO_POINTER(AWAIT_GREETING));
    const struct sockaddr *address = (const struct sockaddr *)&server->storage;
    pst_assert(stream_connect(r, address, server->len, &events, c, &c->stream) == 0);
    c->proxied = plan->proxied;
    return c;
}

void speaker_break(struct speaker *c)
{
    if (c->stream != NULL)
        reactor_sim_break(c->stream, -ECONNRESET);
}

void speaker_watch(struct speaker *c, void (*on_line)(void *owner, char who, struct slice octets),
                   void *owner)
{
    c->on_line = on_line;
    c->on_line_owner = owner;
}

bool speaker_is_done(const struct speaker *c)
{
    return c->closed;
}

void speaker_free(struct speaker *c)
{
    g_string_free(c->line, TRUE);
    g_queue_clear(&c->awaited);
    g_ptr_array_unref(c->rcpts);
    g_ptr_array_unref(c->tried);
    g_ptr_array_unref(c->accepted);
    letter_clear(&c->letter);
    g_free(c);
}
