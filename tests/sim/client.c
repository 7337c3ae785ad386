#include "suite.h"

#include "client.h"

const char *const client_boxes[CLIENT_BOXES] = { "alice", "bob", "carol" };

/* What the next reply answers. */
enum await { AWAIT_GREETING, AWAIT_HELLO, AWAIT_MAIL, AWAIT_RCPT, AWAIT_DATA, AWAIT_END, AWAIT_QUIT };

struct client {
    struct stream *stream;
    struct pst_random *random;
    GPtrArray *sent;
    bool lmtp, pipelines, closed;
    unsigned messages;    /* still to be sent, with the one under way */
    uint64_t vanishes_at; /* octets sent or read in all; UINT64_MAX: it stays */
    uint64_t silent_at;   /* octets likewise, from which on it only reads */
    uint64_t octets;
    GString *line;  /* of replies, not complete yet */
    GQueue awaited; /* enum await, in the order of replies */
    GPtrArray *
        rcpts; /* mailboxes of the current transaction, in the order of RCPT; NULL: one that does not exist */
    GPtrArray *accepted; /* struct sent *, of those that were accepted */
    size_t answered;     /* RCPTs, or LMTP's final replies */
    char *wire, *body;   /* the message: as it is sent, as it is stored */
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

static void send_text(struct client *c, const char *text)
{
    if (c->stream == NULL)
        return;
    size_t len = strlen(text);
    if (c->octets >= c->silent_at)
        return;
    if (c->silent_at - c->octets < len)
        len = (size_t)(c->silent_at - c->octets);
    if (c->vanishes_at - c->octets < len)
        len = (size_t)(c->vanishes_at - c->octets); /* it vanishes in the middle */
    stream_write(c->stream, slice_of(text, len));
    count(c, len);
}

static void command(struct client *c, const char *text, enum await await)
{
    g_queue_push_tail(&c->awaited, GINT_TO_POINTER(await));
    send_text(c, text);
}

/* ---- a message ---- */

static void make_body(struct client *c)
{
    static const char *const lines[] = { "",        ".",    "..",
                                         ".a",      "text", "a longer line of text, such as people write.",
                                         "\xc3\xa4" };
    g_autoptr(GString) wire = g_string_new(NULL), body = g_string_new(NULL);
    g_string_printf(body, "Subject: %016" G_GINT64_MODIFIER "x\n\n", pst_random_u64(c->random));
    g_string_printf(wire, "%.*s\r\n\r\n", (int)body->len - 2, body->str);
    size_t size =
        chance(c, 8) ? 60000 + pst_random_below(c->random, 200000) : pst_random_below(c->random, 600);
    while (body->len < size) {
        const char *line = lines[pst_random_below(c->random, G_N_ELEMENTS(lines))];
        g_autofree char *many =
            size > 60000 ? g_strnfill(pst_random_below(c->random, 4000), 'x') : g_strdup(line);
        g_string_append_printf(body, "%s\n", many);
        g_string_append_printf(wire, "%s%s\r\n", *many == '.' ? "." : "", many);
    }
    g_string_append(wire, ".\r\n");
    g_free(c->wire);
    g_free(c->body);
    c->wire = g_strdup(wire->str);
    c->body = g_strdup(body->str);
}

static void send_rcpt(struct client *c, const char *box)
{
    g_autofree char *text = g_strdup_printf("RCPT TO:<%s@example.org>\r\n", box != NULL ? box : "nobody");
    command(c, text, AWAIT_RCPT);
}

static void begin_message(struct client *c)
{
    make_body(c);
    g_ptr_array_set_size(c->rcpts, 0);
    g_ptr_array_set_size(c->accepted, 0);
    c->answered = 0;
    for (size_t i = 0; i < CLIENT_BOXES; i++)
        if (chance(c, 2))
            g_ptr_array_add(c->rcpts, (void *)client_boxes[i]);
    if (chance(c, 5) || c->rcpts->len == 0)
        g_ptr_array_add(c->rcpts, NULL);
    command(c, "MAIL FROM:<sender@example.net>\r\n", AWAIT_MAIL);
    if (!c->pipelines)
        return;
    for (guint i = 0; i < c->rcpts->len; i++)
        send_rcpt(c, g_ptr_array_index(c->rcpts, i));
    command(c, "DATA\r\n", AWAIT_DATA);
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
    const char *box = g_ptr_array_index(c->rcpts, c->answered++);
    assert_true(box != NULL || !good);
    if (good) {
        struct sent *s = g_new0(struct sent, 1);
        s->box = box;
        s->body = g_strdup(c->body);
        g_ptr_array_add(c->sent, s);
        g_ptr_array_add(c->accepted, s);
    }
    if (c->pipelines)
        return;
    if (c->answered < c->rcpts->len)
        send_rcpt(c, g_ptr_array_index(c->rcpts, c->answered));
    else
        command(c, "DATA\r\n", AWAIT_DATA);
}

static void on_data_reply(struct client *c, unsigned code)
{
    c->answered = 0;
    if (code != 354) {
        command(c, "RSET\r\n", AWAIT_END); /* its one reply ends the transaction, too */
        g_ptr_array_set_size(c->accepted, 0);
        return;
    }
    assert_true(c->accepted->len > 0);
    for (guint i = 0; i < (c->lmtp ? c->accepted->len : 1); i++)
        g_queue_push_tail(&c->awaited, GINT_TO_POINTER(AWAIT_END));
    send_text(c, c->wire);
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
    go_on(c);
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

static void on_connected(void *owner, int error)
{
    struct client *c = owner;
    if (error < 0)
        leave(c);
    else
        stream_set_reading(c->stream, true);
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

struct client *client_new(struct reactor *r, const struct net_address *server, bool lmtp,
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
    c->accepted = g_ptr_array_new();
    g_queue_init(&c->awaited);
    g_queue_push_tail(&c->awaited, GINT_TO_POINTER(AWAIT_GREETING));
    const struct sockaddr *address = (const struct sockaddr *)&server->storage;
    assert_int_equal(stream_connect(r, address, server->len, &events, c, &c->stream), 0);
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
    g_ptr_array_unref(c->accepted);
    g_free(c->wire);
    g_free(c->body);
    g_free(c);
}
