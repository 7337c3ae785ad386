/* How connections and workers end that do not end well: who does not read, says no PROXY header, is cut off;
 * a worker in haste, and one that cannot begin. */
#include "suite.h"

#include <errno.h>
#include <string.h>

#include "disk/disk_sim.h"
#include "host_play.h"
#include "rig.h"

enum { LINGER_MS = 30 * 1000, PROXY_MS = 5 * 1000 };

static size_t delivered(void)
{
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    return g_strv_length(names);
}

static void assert_logged(const struct rig *rig, const char *text)
{
    if (strstr(rig->told->str, text) == NULL)
        fail_msg("\"%s\" is not in the log: %s", text, rig->told->str);
}

#define TO_DATA "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"

/* Who begins a message, and has it half said. */
static struct caller *begin_message(struct rig *rig)
{
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, TO_DATA);
    rig_run_for(rig, LATER_MS);
    assert_non_null(strstr(c->got->str, "\r\n354 "));
    rig_say(rig, c, "Subject: x\r\n\r\nbo");
    return c;
}

/* ---- clients ---- */

/* Its last reply has half a minute to leave. */
static void waits_for_no_reader(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct reactor_sim_settings narrow = reactor_sim_defaults;
    narrow.link.window = 16;
    reactor_sim_configure(rig->reactor, &narrow);
    struct caller *c = rig_call(rig, 0, 0);
    stream_set_reading(c->stream, false);
    rig_say(rig, c, "EHLO x.example\r\nQUIT\r\n");
    assert_logged(rig, "event=session-closed ");
    rig_run_for(rig, LINGER_MS - LATER_MS);
    assert_int_equal(rig->shares[0].connections, 1);
    rig_run_for(rig, 2 * LATER_MS);
    assert_int_equal(rig->shares[0].connections, 0);
    rig_end(rig);
}

static void keeps_nothing_of_who_breaks_off(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct caller *c = begin_message(rig);
    reactor_sim_break(c->stream, -ECONNRESET);
    rig_run_for(rig, LATER_MS);
    assert_logged(rig, "reason=connection-lost phase=data");
    assert_int_equal(delivered(), 0);
    rig_end(rig);
}

/* Nor of who ends in the middle of it: an end of the connection is none of the message. */
static void keeps_nothing_of_who_ends(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct caller *c = begin_message(rig);
    reactor_sim_end(c->stream);
    rig_run_for(rig, LATER_MS);
    assert_true(c->ended);
    assert_logged(rig, "reason=peer-ended phase=data");
    assert_int_equal(delivered(), 0);
    rig_end(rig);
}

/* ---- a proxy in front ---- */

static struct rig *rig_proxied(const char *from, struct net_networks **ret_from)
{
    char *problem = NULL;
    struct rig *rig = rig_begin(SMTP_PROTOCOL_SMTP, 1);
    assert_int_equal(net_networks_parse(from, ret_from, &problem), 0);
    rig->like.proxy = *ret_from;
    rig_add_worker(rig, 10);
    return rig;
}

static void wants_a_header_in_time(void **state)
{
    (void)state;
    auto_ptr(net_networks) from = NULL;
    struct rig *rig = rig_proxied("127.0.0.1", &from);
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, "PROXY TCP4 192.0.2.1 ");
    rig_run_for(rig, PROXY_MS - 2 * SOON_MS - 1);
    assert_false(c->ended);
    rig_run_for(rig, LATER_MS);
    assert_true(c->ended);
    assert_string_equal(c->got->str, "");
    assert_logged(rig, "event=proxy-refused ");
    assert_logged(rig, "reason=no-header");
    rig_end(rig);
}

static void wants_a_proxy_of_its_own(void **state)
{
    (void)state;
    auto_ptr(net_networks) from = NULL;
    struct rig *rig = rig_proxied("192.0.2.0/24", &from);
    struct caller *c = rig_call(rig, 0, 0);
    assert_true(c->ended);
    assert_string_equal(c->got->str, "");
    assert_logged(rig, "reason=not-a-proxy-of-ours");
    rig_end(rig);
}

static void believes_the_header(void **state)
{
    (void)state;
    auto_ptr(net_networks) from = NULL;
    struct rig *rig = rig_proxied("127.0.0.1", &from);
    struct caller *c = rig_call(rig, 0, 0);
    rig_say(rig, c, "PROXY TCP6 2001:db8::1 2001:db8::2 4000 25\r\n");
    assert_said(c, "220 ");
    assert_logged(rig, "event=session-opened ");
    assert_logged(rig, "client=2001:db8::1 ");
    rig_say(rig, c, TO_DATA);
    rig_run_for(rig, LATER_MS);
    rig_say(rig, c, "Subject: x\r\n\r\nbody\r\n.\r\n");
    assert_said(c, "250 2.0.0 ");
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    g_autofree char *path = g_strconcat("/mail/alice/new/", names[0], NULL);
    g_autofree char *file = disk_sim_read_file(path, NULL);
    assert_non_null(strstr(file, "[IPv6:2001:db8::1]"));
    rig_end(rig);
}

/* ---- workers ---- */

static void ends_who_has_not_begun(void **state)
{
    (void)state;
    auto_ptr(net_networks) from = NULL;
    struct rig *rig = rig_proxied("127.0.0.1", &from);
    struct caller *c = rig_call(rig, 0, 0);
    worker_drain(rig->workers[0], LATER_MS);
    rig_run_for(rig, SOON_MS);
    assert_true(c->ended);
    assert_string_equal(c->got->str, "");
    rig_clear(rig);
}

static void has_patience_with_a_message(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct caller *c = begin_message(rig);
    worker_drain(rig->workers[0], LATER_MS);
    worker_drain(rig->workers[0], 0); /* once is enough */
    rig_say(rig, c, "dy\r\n.\r\n");
    assert_said(c, "250 2.0.0 Delivered");
    assert_non_null(strstr(c->got->str, "\r\n421 4.3.2 "));
    assert_true(c->ended);
    assert_int_equal(delivered(), 1);
    rig_clear(rig);
}

static void has_not_for_ever(void **state)
{
    (void)state;
    struct rig *rig = rig_new(SMTP_PROTOCOL_SMTP, 10);
    struct caller *c = begin_message(rig);
    worker_drain(rig->workers[0], LATER_MS);
    rig_run_for(rig, LATER_MS - SOON_MS);
    assert_false(c->ended);
    rig_run_for(rig, 2 * SOON_MS);
    assert_true(c->ended);
    assert_logged(rig, "event=drain-cut-short connections=1");
    assert_int_equal(delivered(), 0);
    rig_clear(rig);
}

/* Where its address is taken, nothing is left of what had begun: no host either. */
static void leaves_nothing_where_it_cannot_begin(void **state)
{
    (void)state;
    struct rig *rig = rig_begin(SMTP_PROTOCOL_SMTP, 1);
    struct host_play play = { .r = rig->reactor };
    host_play_add(&play);
    struct wire_handler handler = { .name = "h", .file = "/h.so" };
    struct handler_scope scope = { 0 };
    const struct handler_settings handlers = { .program = HOST_PLAY_PROGRAM,
                                               .config = { .handlers = &handler, .handler_count = 1 },
                                               .scopes = &scope,
                                               .processes = 2,
                                               .timeout = LATER_MS };
    rig->handlers = &handlers;
    rig_add_worker(rig, 10);
    struct worker_settings second = rig->settings[0];
    const struct worker_listener taken[] = { rig->listeners[0], rig->listeners[0] };
    second.listeners = taken;
    second.listener_count = 2;
    struct worker *worker = NULL;
    assert_int_equal(worker_new(rig->reactor, &second, &rig->log, NULL, NULL, &worker), -EADDRINUSE);
    assert_null(worker);
    rig_run_for(rig, LATER_MS);
    assert_int_equal(play.running, 2); /* those of the first one */
    rig_end(rig);
    assert_int_equal(play.running, 0);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("ends");
    suite_add(s, "a client that does not read", waits_for_no_reader, NULL);
    suite_add(s, "a client that breaks off", keeps_nothing_of_who_breaks_off, NULL);
    suite_add(s, "a client that ends in a message", keeps_nothing_of_who_ends, NULL);
    suite_add(s, "a proxy without a header", wants_a_header_in_time, NULL);
    suite_add(s, "a proxy of others", wants_a_proxy_of_its_own, NULL);
    suite_add(s, "a proxy's header", believes_the_header, NULL);
    suite_add(s, "a worker ends before the header", ends_who_has_not_begun, NULL);
    suite_add(s, "a worker ends in a message", has_patience_with_a_message, NULL);
    suite_add(s, "a message that takes too long then", has_not_for_ever, NULL);
    suite_add(s, "a worker that cannot begin", leaves_nothing_where_it_cannot_begin, NULL);
    return suite_run(s, argc, argv);
}
