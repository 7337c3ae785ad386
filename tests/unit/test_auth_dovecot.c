/* The client of Dovecot's authentication protocol, with a server that is good, slow, confused, or gone. */
#include "auth_rig.h"

#include <glib.h>
#include <sys/un.h>

#include "auth/dovecot.h"
#include "disk/disk_sim.h"

#define SOCKET_PATH "/run/dovecot/auth-client"
#define HELLO                                                                                                \
    "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nMECH\tCRAM-MD5\nSPID\t1\nCUID\t1\n"      \
    "COOKIE\tx\nDONE\n"

/* ---- the server's end ---- */

struct server {
    struct auth_rig rig;
    struct listener *listener; /* NULL: nobody listens */
    struct stream *stream;     /* the last connection, or NULL */
    GString *heard;            /* by that one */
    unsigned connections;
    const char *hello; /* said to whoever comes */
};

static void on_heard(void *owner, struct slice bytes)
{
    struct server *s = owner;
    g_string_append_len(s->heard, (const char *)bytes.data, (gssize)bytes.len);
}

static void on_gone(void *owner, int error)
{
    (void)error;
    struct server *s = owner;
    stream_abort(s->stream);
    s->stream = NULL;
}

static const struct stream_events server_events = { .on_read = on_heard, .on_end = on_gone };

static void say(const struct server *s, const char *text)
{
    assert_non_null(s->stream);
    stream_write(s->stream, slice_str(text));
}

static void on_connection(void *owner)
{
    struct server *s = owner;
    struct stream *stream;
    assert_int_equal(listener_accept(s->listener, &server_events, s, &stream), 0);
    stream_abort(s->stream);
    s->stream = stream;
    s->connections++;
    g_string_truncate(s->heard, 0);
    stream_set_reading(stream, true);
    if (s->hello != NULL)
        say(s, s->hello);
}

static void listen_here(struct server *s)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    g_strlcpy(address.sun_path, SOCKET_PATH, sizeof address.sun_path);
    assert_int_equal(listener_open(s->rig.reactor, (struct sockaddr *)&address, sizeof address, 5,
                                   on_connection, s, &s->listener),
                     0);
}

static void stop_listening(struct server *s)
{
    listener_close(s->listener);
    s->listener = NULL;
    reactor_sim_unlink(s->rig.reactor, SOCKET_PATH);
}

static void hang_up(struct server *s)
{
    stream_abort(s->stream);
    s->stream = NULL;
}

static void run_for(struct server *s, msec_t ms)
{
    reactor_sim_run_until(s->rig.reactor, reactor_now(s->rig.reactor) + ms);
}

/* ---- the world ---- */

static void open_server(struct server *s, const char *hello)
{
    disk_sim_reset(1);
    *s = (struct server){ .heard = g_string_new(NULL), .hello = hello };
    s->rig.settings = (struct auth_settings){ .dovecot = (char *)SOCKET_PATH };
    rig_open(&s->rig); /* which finds nobody there */
    listen_here(s);
    run_for(s, 1000);
}

static void close_server(struct server *s)
{
    auth_cancel(s->rig.exchange);
    s->rig.exchange = NULL;
    run_for(s, 100);
    hang_up(s);
    listener_close(s->listener);
    rig_close(&s->rig);
    g_string_free(s->heard, TRUE);
}

/* What was heard last, without its beginning: "AUTH\tID\tPLAIN...\n". */
static uint32_t asked_id(const struct server *s)
{
    const char *at = g_strrstr(s->heard->str, "AUTH\t");
    assert_non_null(at);
    return (uint32_t)g_ascii_strtoull(at + strlen("AUTH\t"), NULL, 10);
}

G_GNUC_PRINTF(3, 4) static void answer(struct server *s, const char *verb, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *rest = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *line = g_strdup_printf("%s\t%u%s\n", verb, asked_id(s), rest);
    say(s, line);
}

static void ask(struct server *s)
{
    rig_begin(&s->rig, "PLAIN", "AGFsaWNlAHNlY3JldA==");
    run_for(s, 100);
    assert_int_equal(s->rig.steps, 0);
}

static bool logged(const struct server *s, const char *words)
{
    return strstr(s->rig.logged->str, words) != NULL;
}

/* ---- good servers ---- */

static const struct row {
    const char *name, *verb, *rest;
    enum auth_kind want;
    const char *user, *reason;
} rows[] = {
    { "yes", "OK", "\tuser=alice", AUTH_DONE, "alice", NULL },
    { "yes, as somebody else", "OK", "\tuser=alice@example.org", AUTH_DONE, "alice@example.org", NULL },
    { "yes, and nobody", "OK", "", AUTH_UNAVAILABLE, NULL, "dovecot-confused" },
    { "yes, and a name to forge a log with", "OK", "\tuser=a\001nb", AUTH_UNAVAILABLE, NULL,
      "dovecot-confused" },
    { "no", "FAIL", "\tuser=alice", AUTH_FAILED, "alice", "wrong-credentials" },
    { "not now", "FAIL", "\tuser=alice\ttemp", AUTH_UNAVAILABLE, "alice", "dovecot-temporary" },
    { "not now, by a code", "FAIL", "\tcode=temp_fail", AUTH_UNAVAILABLE, NULL, "dovecot-temporary" },
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct server s;
    open_server(&s, HELLO);
    ask(&s);
    g_autofree char *want = g_strdup_printf("AUTH\t%u\tPLAIN\tservice=smtp\tnologin\tno-penalty\tsession=s1"
                                            "\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==\n",
                                            asked_id(&s));
    assert_true(g_str_has_suffix(s.heard->str, want));
    answer(&s, row->verb, "%s", row->rest);
    assert_int_equal(rig_wait(&s.rig), row->want);
    if (row->user != NULL)
        assert_string_equal(s.rig.user, row->user);
    else
        assert_null(s.rig.user);
    if (row->reason != NULL)
        assert_string_equal(s.rig.reason, row->reason);
    close_server(&s);
}

static void test_challenges(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, HELLO);
    rig_begin(&s.rig, "LOGIN", NULL);
    run_for(&s, 100);
    assert_null(strstr(s.heard->str, "resp="));
    answer(&s, "CONT", "\tVXNlcm5hbWU6");
    assert_int_equal(rig_wait(&s.rig), AUTH_CHALLENGE);
    assert_string_equal(s.rig.challenge, "VXNlcm5hbWU6");
    run_for(&s, 10 * DOVECOT_TIMEOUT_MS); /* the client may take its time: that is not the server's */
    rig_go_on(&s.rig, "YWxpY2U=");
    run_for(&s, 100);
    g_autofree char *want = g_strdup_printf("CONT\t%u\tYWxpY2U=\n", asked_id(&s));
    assert_true(g_str_has_suffix(s.heard->str, want));
    answer(&s, "OK", "\tuser=alice");
    assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
    close_server(&s);
}

/* Octet by octet, with what nobody asked for in between. */
static void test_in_pieces(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, NULL);
    const char *hello = "SPID\t9\nVERSION\t1\t99\nNOVELTY\nMECH\tPLAIN\n\nDONE\nOK\t99\tuser=x\nFAIL\t98\n";
    for (const char *at = hello; *at != '\0'; at++) {
        say(&s, (char[]){ *at, '\0' });
        run_for(&s, 2);
    }
    ask(&s);
    g_autofree char *line = g_strdup_printf("OK\t%u\tuser=alice\n", asked_id(&s));
    for (const char *at = line; *at != '\0'; at++) {
        assert_int_equal(s.rig.steps, 0);
        say(&s, (char[]){ *at, '\0' });
        run_for(&s, 2);
    }
    assert_int_equal(s.rig.kind, AUTH_DONE);
    close_server(&s);
}

static void test_offered(void **state)
{
    (void)state;
    char text[AUTH_MECHANISMS_SIZE];
    static const uint8_t bytes[] = "binding";
    struct server s;
    open_server(&s, NULL);
    s.rig.facts.tls_exporter = slice_of(bytes, sizeof bytes);
    assert_string_equal(authenticator_mechanisms(s.rig.auth, &s.rig.facts, text),
                        "SCRAM-SHA-256 PLAIN LOGIN");
    say(&s, HELLO);
    run_for(&s, 100);
    assert_string_equal(authenticator_mechanisms(s.rig.auth, &s.rig.facts, text), "PLAIN LOGIN");
    rig_begin(&s.rig, "SCRAM-SHA-256", NULL);
    assert_int_equal(rig_wait(&s.rig), AUTH_UNKNOWN_MECHANISM);
    hang_up(&s);
    run_for(&s, 100); /* what it could before it went, it will again */
    assert_string_equal(authenticator_mechanisms(s.rig.auth, &s.rig.facts, text), "PLAIN LOGIN");
    close_server(&s);
}

/* Asked before the server has said who it is: asked once it has. */
static void test_early(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, NULL);
    ask(&s);
    assert_null(strstr(s.heard->str, "AUTH"));
    say(&s, HELLO);
    run_for(&s, 100);
    answer(&s, "OK", "\tuser=alice");
    assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
    close_server(&s);
}

/* ---- many at once ---- */

static void count_step(void *owner, const struct auth_step *step)
{
    unsigned *kinds = owner;
    kinds[step->kind]++;
}

static struct auth_exchange *begin_one(struct server *s, unsigned *kinds)
{
    struct slice response = slice_str("AGFsaWNlAHNlY3JldA==");
    return auth_begin(s->rig.auth, &s->rig.facts, slice_str("PLAIN"), &response, count_step, kinds);
}

static void test_out_of_order(void **state)
{
    (void)state;
    struct server s;
    unsigned first[AUTH_UNAVAILABLE + 1] = { 0 }, second[AUTH_UNAVAILABLE + 1] = { 0 };
    open_server(&s, HELLO);
    (void)begin_one(&s, first);
    run_for(&s, 100);
    uint32_t id = asked_id(&s);
    (void)begin_one(&s, second);
    run_for(&s, 100);
    assert_int_not_equal(asked_id(&s), id);
    answer(&s, "OK", "\tuser=bob");
    run_for(&s, 100);
    assert_int_equal(second[AUTH_DONE], 1);
    assert_int_equal(first[AUTH_DONE], 0);
    g_autofree char *line = g_strdup_printf("FAIL\t%u\tuser=alice\n", id);
    say(&s, line);
    run_for(&s, 100);
    assert_int_equal(first[AUTH_FAILED], 1);
    assert_int_equal(s.connections, 1);
    close_server(&s);
}

/* One is under way, one waits for its client, and one was given up. */
static void test_lost(void **state)
{
    (void)state;
    struct server s;
    unsigned asked[AUTH_UNAVAILABLE + 1] = { 0 }, gone[AUTH_UNAVAILABLE + 1] = { 0 };
    open_server(&s, HELLO);
    rig_begin(&s.rig, "LOGIN", NULL);
    run_for(&s, 100);
    answer(&s, "CONT", "\tVXNlcm5hbWU6");
    assert_int_equal(rig_wait(&s.rig), AUTH_CHALLENGE);
    (void)begin_one(&s, asked);
    auth_cancel(begin_one(&s, gone));
    run_for(&s, 100);
    assert_non_null(strstr(s.heard->str, "CANCEL\t"));
    hang_up(&s);
    run_for(&s, 100);
    assert_int_equal(asked[AUTH_UNAVAILABLE], 1);
    assert_int_equal(s.rig.steps, 1); /* its client is told when it goes on */
    run_for(&s, 1000);
    assert_int_equal(s.connections, 2);
    rig_go_on(&s.rig, "YWxpY2U=");
    assert_int_equal(rig_wait(&s.rig), AUTH_UNAVAILABLE);
    assert_string_equal(s.rig.reason, "dovecot-gone");
    assert_true(logged(&s, "event=auth-server-gone"));
    assert_true(logged(&s, "event=auth-server-back"));
    ask(&s); /* and it works again */
    answer(&s, "OK", "\tuser=alice");
    assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
    assert_int_equal(authenticator_counts(s.rig.auth).unavailable, 2);
    close_server(&s);
}

/* Given up at each moment of a talk; a later answer is nobody's. */
static void test_cancelled(void **state)
{
    (void)state;
    for (int steps = 0; steps < 20; steps++) {
        struct server s;
        unsigned kinds[AUTH_UNAVAILABLE + 1] = { 0 };
        open_server(&s, HELLO);
        struct auth_exchange *x = begin_one(&s, kinds);
        for (int i = 0; i < steps && kinds[AUTH_UNAVAILABLE] == 0; i++)
            (void)reactor_sim_step(s.rig.reactor);
        if (kinds[AUTH_UNAVAILABLE] == 0) /* which the server's silence comes to */
            auth_cancel(x);
        run_for(&s, 100);
        answer(&s, "OK", "\tuser=alice");
        run_for(&s, 100);
        assert_int_equal(kinds[AUTH_DONE], 0);
        ask(&s);
        answer(&s, "OK", "\tuser=bob");
        assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
        close_server(&s);
    }
}

/* ---- bad servers ---- */

static void test_silent(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, HELLO);
    msec_t before = reactor_now(s.rig.reactor);
    ask(&s);
    assert_int_equal(rig_wait(&s.rig), AUTH_UNAVAILABLE);
    assert_string_equal(s.rig.reason, "dovecot-timeout");
    assert_int_equal(s.rig.came_at - before, DOVECOT_TIMEOUT_MS);
    run_for(&s, 100);
    assert_non_null(strstr(s.heard->str, "CANCEL\t"));
    answer(&s, "OK", "\tuser=alice"); /* too late */
    run_for(&s, 100);
    assert_int_equal(s.rig.steps, 1);
    assert_int_equal(s.connections, 1);
    close_server(&s);
}

static void test_says_no_hello(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, NULL);
    ask(&s);
    assert_int_equal(rig_wait(&s.rig), AUTH_UNAVAILABLE);
    run_for(&s, 1000);
    assert_int_equal(s.connections, 2);
    assert_true(logged(&s, "it says nothing"));
    close_server(&s);
}

static const struct confused {
    const char *name, *hello, *said, *reason;
} confused[] = {
    { "another version", "VERSION\t2\t0\nDONE\n", NULL, "another version" },
    { "no version", "VERSION\tx\n", NULL, "not of the protocol" },
    { "an answer before the hello", "OK\t1\tuser=alice\n", NULL, "before it was asked" },
    { "an answer without id", HELLO, "OK\tuser=alice\n", "not of the protocol" },
    { "a challenge with a line of SMTP", HELLO, "CONT\t1\tAAAA\r\n", "not of the protocol" },
};

static void test_confused(void **state)
{
    const struct confused *row = *state;
    struct server s;
    open_server(&s, row->hello);
    if (row->said != NULL) {
        ask(&s);
        say(&s, row->said);
        assert_int_equal(rig_wait(&s.rig), AUTH_UNAVAILABLE);
    }
    run_for(&s, 1000);
    assert_true(logged(&s, row->reason));
    close_server(&s);
}

static void test_endless_line(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, HELLO);
    ask(&s);
    g_autofree char *much = g_strnfill(DOVECOT_LINE_MAX + 2, 'x');
    say(&s, much);
    assert_int_equal(rig_wait(&s.rig), AUTH_UNAVAILABLE);
    assert_true(logged(&s, "more than fits in a line"));
    run_for(&s, 1000);
    ask(&s); /* none of it is left in the next connection */
    answer(&s, "OK", "\tuser=alice");
    assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
    close_server(&s);
}

static void test_garbage(void **state)
{
    (void)state;
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    struct server s;
    open_server(&s, HELLO);
    for (int i = 0; i < 300; i++) {
        uint8_t octets[64];
        for (size_t at = 0; at < sizeof octets; at++)
            octets[at] = (uint8_t)g_rand_int_range(random, 0, 256);
        if (s.stream != NULL)
            stream_write(s.stream, slice_of(octets, sizeof octets));
        run_for(&s, 100);
    }
    run_for(&s, 2 * DOVECOT_PAUSE_MAX_MS);
    hang_up(&s);
    run_for(&s, 2 * DOVECOT_PAUSE_MAX_MS);
    ask(&s);
    answer(&s, "OK", "\tuser=alice");
    assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
    close_server(&s);
}

/* Told once, asked at ever longer intervals, and refused at once meanwhile. */
static void test_gone(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, HELLO);
    stop_listening(&s);
    hang_up(&s);
    run_for(&s, 10 * 60 * 1000);
    const char *first = strstr(s.rig.logged->str, "event=auth-server-gone");
    g_string_erase(s.rig.logged, 0, first - s.rig.logged->str);
    rig_begin(&s.rig, "PLAIN", "AGFsaWNlAHNlY3JldA==");
    msec_t before = reactor_now(s.rig.reactor);
    assert_int_equal(rig_wait(&s.rig), AUTH_UNAVAILABLE);
    assert_in_range(s.rig.came_at - before, 0, 1);
    listen_here(&s);
    unsigned connections = s.connections;
    run_for(&s, DOVECOT_PAUSE_MAX_MS + 1000);
    assert_int_equal(s.connections, connections + 1);
    ask(&s);
    answer(&s, "OK", "\tuser=alice");
    assert_int_equal(rig_wait(&s.rig), AUTH_DONE);
    close_server(&s);
}

/* ---- bad clients, who share the connection with others ---- */

static const struct bad {
    const char *name, *response;
    size_t repeated; /* so many times */
    const char *reason;
} bad[] = {
    { "no base64", "!!!!", 1, "malformed" },
    { "another line", "AAAA\nAUTH\t9\tEXTERNAL", 1, "malformed" },
    { "another parameter", "AAAA\tvalid-client-cert", 1, "malformed" },
    { "more than a server reads", "AAAA", 3000, "too-long" },
};

static void test_bad_client(void **state)
{
    const struct bad *row = *state;
    struct server s;
    unsigned other[AUTH_UNAVAILABLE + 1] = { 0 };
    g_autoptr(GString) response = g_string_new(NULL);
    for (size_t i = 0; i < row->repeated; i++)
        g_string_append(response, row->response);
    open_server(&s, HELLO);
    (void)begin_one(&s, other);
    run_for(&s, 100);
    size_t before = s.heard->len;
    rig_begin(&s.rig, "PLAIN", response->str);
    assert_int_equal(rig_wait(&s.rig), AUTH_MALFORMED);
    assert_string_equal(s.rig.reason, row->reason);
    run_for(&s, 100);
    assert_int_equal(s.heard->len, before);
    answer(&s, "OK", "\tuser=alice");
    run_for(&s, 100);
    assert_int_equal(other[AUTH_DONE], 1);
    /* The same as an answer to a challenge. */
    rig_begin(&s.rig, "LOGIN", NULL);
    run_for(&s, 100);
    answer(&s, "CONT", "\tVXNlcm5hbWU6");
    assert_int_equal(rig_wait(&s.rig), AUTH_CHALLENGE);
    before = s.heard->len;
    rig_go_on(&s.rig, response->str);
    assert_int_equal(rig_wait(&s.rig), AUTH_MALFORMED);
    run_for(&s, 100);
    assert_non_null(strstr(s.heard->str + before, "CANCEL\t"));
    assert_null(strstr(s.heard->str + before, "CONT\t"));
    close_server(&s);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_dovecot");
    suite_add_rows(s, rows, test_row);
    suite_add(s, "challenges", test_challenges, NULL);
    suite_add(s, "octet by octet", test_in_pieces, NULL);
    suite_add(s, "what is offered", test_offered, NULL);
    suite_add(s, "asked before the hello", test_early, NULL);
    suite_add(s, "answers in another order", test_out_of_order, NULL);
    suite_add(s, "the connection is lost", test_lost, NULL);
    suite_add(s, "given up at each moment", test_cancelled, NULL);
    suite_add(s, "a silent server", test_silent, NULL);
    suite_add(s, "a server without hello", test_says_no_hello, NULL);
    suite_add_rows(s, confused, test_confused);
    suite_add(s, "a line without end", test_endless_line, NULL);
    suite_add(s, "garbage", test_garbage, NULL);
    suite_add(s, "a server that is gone", test_gone, NULL);
    suite_add_rows(s, bad, test_bad_client);
    return suite_run(s, argc, argv);
}
