#include "suite.h"

#include "client.h"
#include "letter.h"

const char *const client_boxes[CLIENT_BOXES] = { "alice", "bob", "pel\xc3\xa9" };

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

struct client {
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
    GPtrArray *tried;    /* struct sent *, of those for which RCPT was sent; NULL: as above */
    GPtrArray *accepted; /* those that were accepted */
    size_t answered;     /* RCPTs, or LMTP's final replies */
    struct letter letter;
    size_t chunks_sent;
    bool failed; /* a chunk was refused: RSET it is */
};

static bool chance(struct client *c, uint64_t one_in)
{
    return pst_random_below(c->random, one_in) == 0;
}

static void leave(struct client *c)
{
    if (c->stream == NULL)
        return;
    stream_abort(g_steal_pointer(&c->stream));
}

static void count(struct client *c, size_t octets)
{
    c->octets += octets;
    if (c->octets >= c->vanishes_at)
        leave(c);
}

static void send_octets(struct client *c, struct slice octets)
{
    if (c->stream == NULL || c->octets >= c->silent_at)
        return;
    size_t len = octets.len;
    if (c->silent_at - c->octets < len)
        len = (size_t)(c->silent_at - c->octets);
    if (c->vanishes_at - c->octets < len)
        len = (size_t)(c->vanishes_at - c->octets); /* it vanishes in the middle */
    stream_write(c->stream, slice_first(octets, len));
    count(c, len);
}

static void command(struct client *c, const char *text, enum await await)
{
    g_queue_push_tail(&c->awaited, GINT_TO_POINTER(await));
    send_octets(c, slice_str(text));
}

/* ---- a message ---- */

/* Who pipelines chunks may have sent the whole message before it knows of any recipient. */
static struct sent *remember(struct client *c, const char *box)
{
    struct sent *s = g_new0(struct sent, 1);
    s->box = box;
    s->utf8 = c->letter.utf8;
    s->body = g_bytes_new(c->letter.body->str, c->letter.body->len);
    g_ptr_array_add(c->sent, s);
    return s;
}

static void send_rcpt(struct client *c, const char *box)
{
    const char *local = box != NULL ? box : "nobody";
    g_ptr_array_add(c->tried, box != NULL ? remember(c, box) : NULL);
    if (box == client_boxes[CLIENT_BOXES - 1] && chance(c, 2))
        local = "PELE\xcc\x81"; /* the same, decomposed */
    g_autofree char *text = g_strdup_printf("RCPT TO:<%s@example.org>%s\r\n", local, c->letter.rcpt);
    command(c, text, AWAIT_RCPT);
}

static void send_chunk(struct client *c)
{
    struct slice chunk = letter_chunk(&c->letter, c->chunks_sent++);
    bool last = c->chunks_sent == c->letter.chunks;
    g_autofree char *text = g_strdup_printf("BDAT %zu%s\r\n", chunk.len, last ? " LAST" : "");
    command(c, text, last ? AWAIT_LAST : AWAIT_CHUNK);
    send_octets(c, chunk);
}

/* What follows the recipients; who pipelines has sent it all then, but what needs a 354. */
static void send_content(struct client *c)
{
    if (!c->letter.chunked) {
        command(c, "DATA\r\n", AWAIT_DATA);
        return;
    }
    do
        send_chunk(c);
    while (c->pipelines && c->chunks_sent < c->letter.chunks);
}

static void begin_message(struct client *c)
{
    letter_clear(&c->letter);
    letter_init(&c->letter, c->random);
    g_ptr_array_set_size(c->rcpts, 0);
    g_ptr_array_set_size(c->tried, 0);
    g_ptr_array_set_size(c->accepted, 0);
    c->answered = 0;
    c->chunks_sent = 0;
    c->failed = false;
    for (size_t i = 0; i < CLIENT_BOXES; i++)
        if (chance(c, 2))
            g_ptr_array_add(c->rcpts, (void *)client_boxes[i]);
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
static void reset(struct client *c)
{
    g_ptr_array_set_size(c->accepted, 0);
    command(c, "RSET\r\n", AWAIT_RSET);
}

static void go_on(struct client *c)
{
    if (c->messages == 0) {
        command(c, "QUIT\r\n", AWAIT_QUIT);
        return;
    }
    c->messages--;
    begin_message(c);
}

/* ---- replies ---- */

static void on_rcpt_reply(struct client *c, bool good)
{
    const char *box = g_ptr_array_index(c->rcpts, c->answered);
    struct sent *s = g_ptr_array_index(c->tried, c->answered++);
    bool needs_utf8 = box != NULL && !g_str_is_ascii(box) && !c->letter.utf8;
    assert_true((box != NULL && !needs_utf8) || !good);
    if (good)
        g_ptr_array_add(c->accepted, s);
    else if (s != NULL)
        s->outcome = SENT_REFUSED;
    if (c->pipelines)
        return;
    if (c->answered < c->rcpts->len)
        send_rcpt(c, g_ptr_array_index(c->rcpts, c->answered));
    else
        send_content(c);
}

static void on_data_reply(struct client *c, unsigned code)
{
    c->answered = 0;
    if (code != 354) {
        reset(c);
        return;
    }
    assert_true(c->accepted->len > 0);
    for (guint i = 0; i < (c->lmtp ? c->accepted->len : 1); i++)
        g_queue_push_tail(&c->awaited, GINT_TO_POINTER(AWAIT_END));
    send_octets(c, slice_of(c->letter.wire->str, c->letter.wire->len));
}

static void settle(struct sent *s, bool good)
{
    s->outcome = good ? SENT_KEPT : SENT_REFUSED;
}

static void on_end_reply(struct client *c, bool good)
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

static void on_chunk_reply(struct client *c, bool good)
{
    assert_true(c->accepted->len > 0 || !good);
    assert_true(!c->failed || !good); /* nothing mends it but RSET */
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
static void on_last_reply(struct client *c, bool good)
{
    assert_true((c->accepted->len > 0 && !c->failed) || !good);
    c->answered = 0;
    if (c->accepted->len == 0)
        c->failed = true;
    for (guint i = 1; c->lmtp && i < c->accepted->len; i++)
        g_queue_push_head(&c->awaited, GINT_TO_POINTER(AWAIT_END));
    on_end_reply(c, good);
}

static void on_reply(struct client *c, unsigned code)
{
    if (code == 421) {
        leave(c);
        return;
    }
    assert_false(g_queue_is_empty(&c->awaited)); /* no reply that nobody asked for */
    bool good = code >= 200 && code < 300;
    switch ((enum await)GPOINTER_TO_INT(g_queue_pop_head(&c->awaited))) {
    case AWAIT_GREETING:
        assert_int_equal(code, 220);
        command(c, c->lmtp ? "LHLO client.example.net\r\n" : "EHLO client.example.net\r\n", AWAIT_HELLO);
        break;
    case AWAIT_HELLO:
        assert_int_equal(code, 250);
        go_on(c);
        break;
    case AWAIT_MAIL:
        assert_int_equal(code, 250);
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
        assert_int_equal(code, 250);
        go_on(c);
        break;
    case AWAIT_QUIT:
        assert_int_equal(code, 221);
        leave(c);
        break;
    }
}

static void on_read(void *owner, struct slice bytes)
{
    struct client *c = owner;
    count(c, bytes.len);
    for (size_t i = 0; i < bytes.len && c->stream != NULL; i++) {
        g_string_append_c(c->line, (char)bytes.data[i]);
        if (bytes.data[i] != '\n')
            continue;
        assert_true(c->line->len >= 6);
        bool last = c->line->str[3] == ' ';
        unsigned code = (unsigned)g_ascii_strtoull(c->line->str, NULL, 10);
        /* A client that is never idle for long sees no timeout: one would be the server's, which forgot to go
         * on. */
        assert_true(code != 421 || g_str_has_prefix(c->line->str, "421 4.3.2 ") || c->octets >= c->silent_at);
        g_string_truncate(c->line, 0);
        if (last)
            on_reply(c, code);
    }
}

/* What a proxy in front of it says, in one of the ways of saying it. */
static void send_proxy_header(struct client *c)
{
    static const uint8_t binary[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\2\7\x7f\0\0\1\x12\x34\0\x19"
                                    "\4\0\1"; /* and a NOOP of 1 octet, the literal's NUL */
    if (chance(c, 2))
        send_octets(c, slice_of(binary, sizeof binary));
    else
        send_octets(c, slice_str("PROXY TCP4 " CLIENT_PROXIED " 127.0.0.1 4660 25\r\n"));
}

static void on_connected(void *owner, int error)
{
    struct client *c = owner;
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
    struct client *c = owner;
    c->stream = NULL;
    c->closed = true;
}

struct client *client_new(struct reactor *r, const struct net_address *server, bool lmtp, bool proxied,
                          struct pst_random *random, GPtrArray *sent)
{
    static const struct stream_events events = { on_connected, on_read, on_end, on_drained, on_closed };
    struct client *c = g_new0(struct client, 1);
    c->random = random;
    c->sent = sent;
    c->lmtp = lmtp;
    c->pipelines = chance(c, 2);
    c->messages = 1 + (unsigned)pst_random_below(random, 4);
    c->vanishes_at = chance(c, 3) ? pst_random_below(random, 5000) : UINT64_MAX;
    c->silent_at = chance(c, 4) ? pst_random_below(random, 5000) : UINT64_MAX;
    c->line = g_string_new(NULL);
    c->rcpts = g_ptr_array_new();
    c->tried = g_ptr_array_new();
    c->accepted = g_ptr_array_new();
    g_queue_init(&c->awaited);
    g_queue_push_tail(&c->awaited, GINT_TO_POINTER(AWAIT_GREETING));
    const struct sockaddr *address = (const struct sockaddr *)&server->storage;
    assert_int_equal(stream_connect(r, address, server->len, &events, c, &c->stream), 0);
    c->proxied = proxied;
    return c;
}

bool client_is_done(const struct client *c)
{
    return c->closed;
}

void client_free(struct client *c)
{
    g_string_free(c->line, TRUE);
    g_queue_clear(&c->awaited);
    g_ptr_array_unref(c->rcpts);
    g_ptr_array_unref(c->tried);
    g_ptr_array_unref(c->accepted);
    letter_clear(&c->letter);
    g_free(c);
}
