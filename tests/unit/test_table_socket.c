/* The socketmap protocol, with servers in a thread that follow a script: good, slow, confused and gone. */
#include "table_rig.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "delivery/table_internal.h"

static char *folder, *path, *spec;

/* ---- a server ---- */

enum kind {
    END,       /* of the script: the connection is left to the client, which closes it */
    READ,      /* a question; of a new connection, if there is none */
    SEND,      /* octets */
    DRIP,      /* octets, one by one */
    SEND_SLOW, /* octets, one now and then, until the client has enough */
    CLOSE,     /* the connection */
    MEET,      /* the test: both go on once both are there */
};

struct action {
    enum kind kind;
    struct slice octets;
};
#define OCTETS(text)                                                                                         \
    {                                                                                                        \
        (const uint8_t *)(text), sizeof(text) - 1                                                            \
    }

struct server {
    int listener, fd; /* or -1 */
    const struct action *script;
    unsigned connections;
    GString *questions; /* all, one behind the other */
    GThread *thread;
    GAsyncQueue *here, *there; /* MEET: of the server, of the test */
};

static int listen_at(const char *at, int backlog)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_strlcpy(address.sun_path, at, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)g_unlink(at); /* the last one's */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* Up to the netstring's comma, which no question of ours has inside. */
static void read_question(struct server *s)
{
    char c = '\0';
    if (s->fd < 0) {
        s->fd = accept(s->listener, NULL, NULL);
        s->connections++;
    }
    while (c != ',' && recv(s->fd, &c, 1, 0) == 1)
        g_string_append_c(s->questions, c);
}

/* False when the client is gone. */
static bool send_octets(const struct server *s, struct slice octets)
{
    while (octets.len > 0) {
        ssize_t sent = send(s->fd, octets.data, octets.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        octets = slice_skip(octets, (size_t)sent);
    }
    return true;
}

static void send_one_by_one(const struct server *s, struct slice octets, int pause_ms)
{
    struct pollfd client = { .fd = s->fd, .events = POLLIN };
    for (; octets.len > 0; octets = slice_skip(octets, 1)) {
        if (pause_ms > 0 && poll(&client, 1, pause_ms) != 0)
            return; /* it closed the connection */
        if (!send_octets(s, slice_first(octets, 1)))
            return;
    }
}

static void close_connection(struct server *s)
{
    if (s->fd >= 0)
        assert_int_equal(close(s->fd), 0);
    s->fd = -1;
}

static void act(struct server *s, const struct action *a)
{
    switch (a->kind) {
    case READ:
        read_question(s);
        break;
    case SEND:
        (void)send_octets(s, a->octets); /* who has had enough closes, which is the client's right */
        break;
    case DRIP:
        send_one_by_one(s, a->octets, 0);
        break;
    case SEND_SLOW:
        send_one_by_one(s, a->octets, 5);
        break;
    case CLOSE:
        close_connection(s);
        break;
    case MEET:
        g_async_queue_push(s->here, s);
        (void)g_async_queue_pop(s->there);
        break;
    case END:
        break;
    }
}

static void *serve(void *owner)
{
    struct server *s = owner;
    char rest;
    for (const struct action *a = s->script; a->kind != END; a++)
        act(s, a);
    while (s->fd >= 0 && recv(s->fd, &rest, 1, 0) > 0)
        g_string_append_c(s->questions, rest);
    close_connection(s);
    return NULL;
}

static void server_start(struct server *s, const struct action *script)
{
    *s = (struct server){ .listener = listen_at(path, 8), .fd = -1, .script = script };
    s->questions = g_string_new(NULL);
    s->here = g_async_queue_new();
    s->there = g_async_queue_new();
    s->thread = g_thread_new("server", serve, s);
}

static void server_meet(struct server *s)
{
    (void)g_async_queue_pop(s->here);
    g_async_queue_push(s->there, s);
}

/* Once the table is gone, and with it its connections. */
static void server_end(struct server *s, unsigned connections, const char *questions)
{
    g_thread_join(s->thread);
    assert_int_equal(close(s->listener), 0);
    assert_int_equal(s->connections, connections);
    assert_string_equal(s->questions->str, questions);
    g_string_free(s->questions, TRUE);
    g_async_queue_unref(s->here);
    g_async_queue_unref(s->there);
}

#define QUESTION "25:aliases alice@example.org,"

/* ---- one reply ---- */

#define CONFUSED "unknown: the server says what is no netstring, or too long"
#define CLOSED   "unknown: the server closed the connection"
#define LATE     "unknown: the server took too long"
#define NO_LIST  "unknown: the server says OK, and no list of values"
#define NO_WORD  "unknown: the server says what is none of the protocol's replies"

static const struct row {
    const char *name;
    struct slice reply;
    const char *want;
    bool closes; /* the connection, behind the reply */
} rows[] = {
    { "one value", OCTETS("6:OK bob,"), "bob" },
    { "several values", OCTETS("17:OK bob, carol,x@y,"), "bob, carol, x@y" },
    { "a comma in quotes", OCTETS("15:OK \"a,b\"@c,dave,"), "\"a,b\"@c, dave" },
    { "a length with zeros in front", OCTETS("0006:OK bob,"), "bob" },
    { "not found", OCTETS("9:NOTFOUND ,"), "none" },
    { "not found, without a blank", OCTETS("8:NOTFOUND,"), "none" },
    { "a good reply, and the end", OCTETS("6:OK bob,"), "bob", .closes = true },
    { "a temporary failure", OCTETS("16:TEMP no database,"), "unknown: the server says TEMP no database" },
    { "a timeout", OCTETS("12:TIMEOUT slow,"), "unknown: the server says TIMEOUT slow" },
    { "a permanent failure", OCTETS("10:PERM never,"), "unknown: the server says PERM never" },
    { "OK alone", OCTETS("2:OK,"), NO_LIST },
    { "OK and nothing", OCTETS("5:OK  ,,"), NO_LIST },
    { "a value with an open quote", OCTETS("9:OK a, \"bc,"), NO_LIST },
    { "a value with a NUL", OCTETS("6:OK a\0b,"), NO_LIST },
    { "lower case", OCTETS("6:ok bob,"), NO_WORD },
    { "no word", OCTETS("0:,"), NO_WORD },
    { "another word", OCTETS("5:HELLO,"), NO_WORD },
    { "a longer word", OCTETS("10:OKAY alice,"), NO_WORD },
    { "no comma at the end", OCTETS("6:OK bob;"), CONFUSED },
    { "longer than it says", OCTETS("5:OK bob,"), CONFUSED },
    { "another reply behind it", OCTETS("6:OK bob,6:OK eve,"), CONFUSED },
    { "one octet behind it", OCTETS("6:OK bob,\n"), CONFUSED },
    { "no length", OCTETS(":OK bob,"), CONFUSED },
    { "a negative length", OCTETS("-6:OK bob,"), CONFUSED },
    { "a length that is none", OCTETS("6x:OK bob,"), CONFUSED },
    { "a length above the limit", OCTETS("102401:OK"), CONFUSED },
    { "a length of too many digits", OCTETS("0000006:OK bob,"), CONFUSED },
    { "another protocol", OCTETS("HTTP/1.1 400 Bad Request\r\n\r\n"), CONFUSED },
    { "nothing, and the end", OCTETS(""), CLOSED, .closes = true },
    { "half a length, and the end", OCTETS("1"), CLOSED, .closes = true },
    { "half a reply, and the end", OCTETS("6:OK b"), CLOSED, .closes = true },
    { "all but the comma, and the end", OCTETS("6:OK bob"), CLOSED, .closes = true },
    { "nothing", OCTETS(""), LATE },
    { "shorter than it says", OCTETS("9:OK bob,"), LATE },
};

static const struct table_rules hasty = { .timeout = 50 };

static void check_reply(const struct row *row, enum kind how)
{
    bool late = strcmp(row->want, LATE) == 0;
    const struct action script[] = { { READ }, { how, row->reply }, { row->closes ? CLOSE : END }, { END } };
    struct server s;
    server_start(&s, script);
    {
        auto_ptr(table) t = rig_open(spec, late ? &hasty : &rig_aliases);
        assert_false(table_is_in_memory(t));
        rig_check(t, "alice", row->want);
        rig_check_refresh(t, "0");
    }
    server_end(&s, 1, QUESTION);
}

static void check_row(void **state)
{
    check_reply(*state, SEND);
}

/* All but those that are wrong by what is behind them, which need not have come when the reply is whole. */
static void check_row_in_pieces(void **state)
{
    check_reply(*state, DRIP);
}

static void as_much_as_may_be(void **state)
{
    (void)state;
    g_autofree char *value = g_strnfill(TABLE_ANSWER_MAX - strlen("OK "), 'x');
    g_autofree char *reply = g_strdup_printf("%d:OK %s,", TABLE_ANSWER_MAX, value);
    const struct action script[] = { { READ }, { SEND, slice_str(reply) }, { END } };
    struct server s;
    server_start(&s, script);
    {
        auto_ptr(table) t = rig_open(spec, &rig_aliases);
        rig_check(t, "alice", value);
    }
    server_end(&s, 1, QUESTION);
}

/* Each octet comes in time, but not all of them together. */
static void slow_octets(void **state)
{
    (void)state;
    g_autofree char *value = g_strnfill(1000, 'x');
    g_autofree char *reply = g_strdup_printf("1003:OK %s,", value);
    const struct action script[] = { { READ }, { SEND_SLOW, slice_str(reply) }, { END } };
    struct server s;
    server_start(&s, script);
    {
        auto_ptr(table) t = rig_open(spec, &hasty);
        rig_check(t, "alice", LATE);
    }
    server_end(&s, 1, QUESTION);
}

/* ---- connections that are kept ---- */

#define BOB                                                                                                  \
    {                                                                                                        \
        SEND, OCTETS("6:OK bob,")                                                                            \
    }
#define EVE                                                                                                  \
    {                                                                                                        \
        SEND, OCTETS("6:OK eve,")                                                                            \
    }

static const struct kept_row {
    const char *name;
    struct action script[12];
    const char *want[4]; /* of as many questions */
    unsigned connections, heard;
} kept_rows[] = {
    { "kept: after a reply",
      { { READ }, BOB, { READ }, EVE, { READ }, { SEND, OCTETS("9:NOTFOUND ,") }, { READ }, BOB },
      { "bob", "eve", "none", "bob" },
      1,
      4 },
    { "kept: after a failure that is told",
      { { READ }, { SEND, OCTETS("7:TEMP no,") }, { READ }, BOB },
      { "unknown: the server says TEMP no", "bob" },
      1,
      2 },
    { "kept: not after a reply that is none",
      { { READ }, { SEND, OCTETS("5:HELLO,") }, { CLOSE }, { READ }, BOB },
      { NO_WORD, "bob" },
      2,
      2 },
    { "kept: not when it is closed behind a reply, after which another one is made",
      { { READ }, BOB, { CLOSE }, { READ }, EVE },
      { "bob", "eve" },
      2,
      2 },
    { "kept: closed when the question comes, which is sent anew",
      { { READ }, BOB, { READ }, { CLOSE }, { READ }, EVE },
      { "bob", "eve" },
      2,
      3 },
    { "kept: closed within a reply, which is no reason to ask again",
      { { READ }, BOB, { READ }, { SEND, OCTETS("6:OK") }, { CLOSE }, { READ }, EVE },
      { "bob", CLOSED, "eve" },
      2,
      3 },
    { "kept: the new one is closed, too, which is no reason to ask a third time",
      { { READ }, BOB, { READ }, { CLOSE }, { READ }, { CLOSE }, { READ }, EVE },
      { "bob", CLOSED, "eve" },
      3,
      4 },
};

static void check_kept(void **state)
{
    const struct kept_row *row = *state;
    g_autoptr(GString) questions = g_string_new(NULL);
    for (unsigned i = 0; i < row->heard; i++)
        g_string_append(questions, QUESTION);
    struct server s;
    server_start(&s, row->script);
    {
        auto_ptr(table) t = rig_open(spec, &rig_aliases);
        for (size_t i = 0; i < G_N_ELEMENTS(row->want) && row->want[i] != NULL; i++)
            rig_check(t, "alice", row->want[i]);
    }
    server_end(&s, row->connections, questions->str);
}

/* A second reply that comes late would be the answer to the next question, which is another one's. */
static void a_late_reply_answers_nothing(void **state)
{
    (void)state;
    static const struct action script[] = { { READ },  BOB,      { MEET }, EVE,    { MEET },
                                            { CLOSE }, { READ }, BOB,      { END } };
    struct server s;
    server_start(&s, script);
    {
        auto_ptr(table) t = rig_open(spec, &rig_aliases);
        rig_check(t, "alice", "bob");
        server_meet(&s);
        server_meet(&s); /* the other reply was sent */
        rig_check(t, "alice", "bob");
    }
    server_end(&s, 2, QUESTION QUESTION);
}

/* ---- servers that are not there ---- */

static void nobody_listens(void **state)
{
    (void)state;
    auto_ptr(table) t = rig_open(spec, &rig_aliases);
    (void)g_unlink(path); /* the last one's */
    rig_check(t, "alice", "unknown: No such file or directory");
    assert_int_equal(close(listen_at(path, 8)), 0);
    rig_check(t, "alice", "unknown: Connection refused");
    static const struct action script[] = { { READ }, BOB, { END } };
    struct server s;
    server_start(&s, script);
    rig_check(t, "alice", "bob");
    table_free(t);
    t = NULL;
    server_end(&s, 1, QUESTION);
}

/* No connection is accepted, and no more can wait for that. */
static void nobody_accepts(void **state)
{
    (void)state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    int listener = listen_at(path, 0);
    int waiting[64], r = 0;
    unsigned count = 0;
    while (r == 0 && count < G_N_ELEMENTS(waiting)) {
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        r = connect(waiting[count++], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(r, -1);
    assert_int_equal(errno, EAGAIN);
    auto_ptr(table) t = rig_open(spec, &hasty);
    rig_check(t, "alice", LATE);
    while (count > 0)
        assert_int_equal(close(waiting[--count]), 0);
    assert_int_equal(close(listener), 0);
}

/* ---- many at the same time: each gets the answer to its own question ---- */

enum { THREADS = 8, QUESTIONS = 200 };

static bool read_name(int fd, GString *name)
{
    char c;
    g_string_truncate(name, 0);
    while (recv(fd, &c, 1, 0) == 1 && c != ',')
        g_string_append_c(name, c);
    if (name->len == 0)
        return false;
    g_string_truncate(name, (gsize)(strchr(name->str, '@') - name->str));
    g_string_erase(name, 0, strchr(name->str, ' ') + 1 - name->str);
    return true;
}

static void *echo(void *connection)
{
    auto_fd int fd = GPOINTER_TO_INT(connection);
    g_autoptr(GString) name = g_string_new(NULL);
    while (read_name(fd, name)) {
        g_autofree char *reply = g_strdup_printf("%zu:OK %s,", name->len + 3, name->str);
        (void)send(fd, reply, strlen(reply), MSG_NOSIGNAL); /* if the client is gone, the next read tells */
    }
    return NULL;
}

static void *accept_many(void *listener)
{
    g_autoptr(GPtrArray) threads = g_ptr_array_new();
    int fd;
    while ((fd = accept(GPOINTER_TO_INT(listener), NULL, NULL)) >= 0)
        g_ptr_array_add(threads, g_thread_new("echo", echo, GINT_TO_POINTER(fd)));
    for (guint i = 0; i < threads->len; i++)
        g_thread_join(threads->pdata[i]);
    return GINT_TO_POINTER(threads->len);
}

struct asker {
    struct table *table;
    unsigned number;
};

static void *ask(void *owner)
{
    const struct asker *a = owner;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        g_autofree char *name = g_strdup_printf("name-%u-%u", a->number, i);
        g_autofree char *got = rig_find(a->table, name);
        if (strcmp(got, name) != 0)
            return owner;
    }
    return NULL;
}

static void many_ask(void **state)
{
    (void)state;
    int listener = listen_at(path, 64);
    GThread *server = g_thread_new("accept", accept_many, GINT_TO_POINTER(listener));
    {
        auto_ptr(table) t = rig_open(spec, &rig_aliases);
        GThread *threads[THREADS];
        struct asker askers[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            askers[i] = (struct asker){ t, i };
            threads[i] = g_thread_new("ask", ask, &askers[i]);
        }
        for (unsigned i = 0; i < THREADS; i++)
            assert_null(g_thread_join(threads[i]));
    }
    assert_int_equal(shutdown(listener, SHUT_RDWR), 0); /* accept() fails from now on */
    int connections = GPOINTER_TO_INT(g_thread_join(server));
    assert_true(connections >= 1 && connections <= THREADS);
    assert_int_equal(close(listener), 0);
}

/* What is behind a good reply can come too late to be seen. */
static bool may_be_in_pieces(const struct row *row)
{
    return strcmp(row->want, CONFUSED) != 0 ||
           (strstr(row->name, "behind") == NULL && strstr(row->name, "longer") == NULL);
}

int main(int argc, char **argv)
{
    folder = g_dir_make_tmp("postern-socket-XXXXXX", NULL);
    path = g_build_filename(folder, "map", NULL);
    spec = g_strdup_printf("socket:%s aliases", path);
    struct suite *s = suite_new("delivery/table_socket");
    suite_add_rows(s, rows, check_row);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strdup_printf("%s, octet by octet", rows[i].name);
        if (may_be_in_pieces(&rows[i]))
            suite_add(s, name, check_row_in_pieces, (void *)&rows[i]);
    }
    suite_add(s, "as much as may be", as_much_as_may_be, NULL);
    suite_add(s, "slow octets", slow_octets, NULL);
    suite_add_rows(s, kept_rows, check_kept);
    suite_add(s, "a late reply answers nothing", a_late_reply_answers_nothing, NULL);
    suite_add(s, "nobody listens", nobody_listens, NULL);
    suite_add(s, "nobody accepts", nobody_accepts, NULL);
    suite_add(s, "many ask", many_ask, NULL);
    int r = suite_run(s, argc, argv);
    (void)g_unlink(path);  /* it need not be there */
    (void)g_rmdir(folder); /* what is left in it, a person has to look at */
    g_free(folder);
    g_free(path);
    g_free(spec);
    return r;
}
