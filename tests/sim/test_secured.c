/*
 * TLS as a worker has it, in virtual time: whoever handshakes slowly, wrongly, or all at once; who breaks
 * off; and what was learnt of a client before STARTTLS. The other end is OpenSSL.
 */
#include "suite.h"

#include <string.h>

#include "disk/disk_sim.h"
#include "net/tls_store.h"
#include "rig.h"
#include "rig_tls.h"
#include "tls_peer.h"

enum {
    TURNS = 10,
    CROWD = 9,      /* more than have their turn at once */
    FEW_EVENTS = 12 /* until its last turn is over */
};

#define MESSAGE "MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n"

/* ---- the scene ---- */

struct scene {
    char *folder;
    struct tls_store *store;
    struct net_networks *here;
    struct rig *rig;
};

static struct scene *scene_new(enum worker_tls mode)
{
    char *problem = NULL;
    struct scene *s = g_new0(struct scene, 1);
    s->folder = certificate_folder();
    s->store = rig_store(s->folder);
    assert_int_equal(net_networks_parse("127.0.0.0/8", &s->here, &problem), 0);
    s->rig = rig_begin(SMTP_PROTOCOL_SMTP, 1);
    s->rig->tls = s->store;
    s->rig->like = (struct worker_listener){ .tls = mode, .xclient = s->here };
    rig_add_worker(s->rig, 100);
    return s;
}

static void scene_free(struct scene *s, bool is_drained)
{
    if (is_drained)
        rig_clear(s->rig);
    else
        rig_end(s->rig);
    tls_store_free(s->store);
    net_networks_free(s->here);
    certificate_folder_remove(s->folder);
    g_free(s);
}

static void assert_logged(const struct scene *s, const char *text)
{
    if (strstr(s->rig->told->str, text) == NULL)
        fail_msg("\"%s\" is not in the log: %s", text, s->rig->told->str);
}

static uint64_t counted(const struct scene *s, enum counter which)
{
    return s->rig->shares[0].counters.value[which];
}

static size_t delivered(void)
{
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    return g_strv_length(names);
}

/* ---- a client ---- */

struct peer {
    struct scene *scene;
    struct caller *caller;
    struct tls_peer *tls;
};

static void peer_call(struct peer *p, struct scene *s, size_t number)
{
    *p = (struct peer){ s, rig_call(s->rig, number, 0), tls_peer_new(&(struct tls_peer_wish){ 0 }) };
}

static void peer_free(struct peer *p)
{
    tls_peer_free(p->tls);
}

/* One step: what it has to say goes out, and what has come is taken. */
static void peer_step(struct peer *p)
{
    struct caller *c = p->caller;
    if (p->tls->out->len > 0 && !c->ended)
        stream_write(c->stream, slice_of(p->tls->out->data, p->tls->out->len));
    g_byte_array_set_size(p->tls->out, 0);
    rig_run_for(p->scene->rig, SOON_MS);
    tls_peer_feed(p->tls, slice_of((const uint8_t *)c->got->str, c->got->len));
    g_string_truncate(c->got, 0);
}

static void peer_shake(struct peer *p)
{
    g_string_truncate(p->caller->got, 0);
    tls_peer_feed(p->tls, slice_of(NULL, 0));
    for (size_t i = 0; i < TURNS; i++)
        peer_step(p);
}

/* Inside TLS; what is answered is in `got` then. */
static void peer_say(struct peer *p, const char *text)
{
    g_byte_array_set_size(p->tls->got, 0);
    tls_peer_write(p->tls, slice_str(text));
    for (size_t i = 0; i < TURNS; i++)
        peer_step(p);
}

static void assert_got(const struct peer *p, const char *pattern)
{
    g_autofree char *got = g_strdup_printf("%.*s", (int)p->tls->got->len, (const char *)p->tls->got->data);
    if (!g_pattern_match_simple(pattern, got))
        fail_msg("got \"%s\", expected \"%s\"", got, pattern);
}

/* ---- what should be ---- */

static void delivers_inside(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct peer p;
    peer_call(&p, s, 0);
    assert_int_equal(p.caller->got->len, 0); /* nothing in clear */
    peer_shake(&p);
    assert_got(&p, "220 mx.example.org ESMTP postern\r\n");
    peer_say(&p, "EHLO x.example\r\n");
    assert_got(&p, "250-mx.example.org\r\n*");
    peer_say(&p, MESSAGE "QUIT\r\n");
    assert_got(&p, "250 *\r\n250 *\r\n354 *\r\n250 2.0.0 Delivered*\r\n221 *");
    assert_true(p.tls->is_ended); /* by a close_notify */
    assert_true(p.caller->ended);
    assert_int_equal(delivered(), 1);
    assert_logged(s, "event=secured ");
    assert_int_equal(counted(s, COUNTER_TLS_HANDSHAKES), 1);
    assert_int_equal(counted(s, COUNTER_TLS_FAILURES), 0);
    peer_free(&p);
    scene_free(s, false);
}

/* Who says all it has to and then close_notify has said it; the replies are its own affair. */
static void carries_out_what_came_before_the_end(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct peer p;
    peer_call(&p, s, 0);
    peer_shake(&p);
    tls_peer_write(p.tls, slice_str("EHLO x.example\r\n" MESSAGE));
    tls_peer_close(p.tls);
    for (size_t i = 0; i < TURNS; i++)
        peer_step(&p);
    assert_got(&p, "220 *250 2.0.0 Delivered*");
    assert_int_equal(delivered(), 1);
    assert_logged(s, "event=session-closed ");
    assert_logged(s, "reason=peer-ended");
    peer_free(&p);
    scene_free(s, false);
}

/* RFC 3207 4.2: also whom it had spoken for. */
static void forgets_who_it_was(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_OPTIONAL);
    struct peer p;
    peer_call(&p, s, 0);
    rig_say(s->rig, p.caller, "EHLO x.example\r\nXCLIENT ADDR=192.0.2.7 NAME=evil.example.net\r\n");
    rig_say(s->rig, p.caller, "EHLO x.example\r\nSTARTTLS\r\n");
    assert_non_null(strstr(p.caller->got->str, "\r\n220 2.0.0 "));
    peer_shake(&p);
    peer_say(&p, "EHLO y.example\r\n" MESSAGE);
    assert_got(&p, "*250 2.0.0 Delivered*");
    g_auto(GStrv) names = disk_sim_names("/mail/alice/new");
    g_autofree char *path = g_strconcat("/mail/alice/new/", names[0], NULL);
    g_autofree char *file = disk_sim_read_file(path, NULL);
    assert_null(strstr(file, "evil.example.net"));
    assert_null(strstr(file, "192.0.2.7"));
    assert_non_null(strstr(file, "Received: from y.example "));
    assert_non_null(strstr(file, "127.0.0.1"));
    peer_free(&p);
    scene_free(s, false);
}

/* A crowd that begins its handshakes at the same moment: what they say comes to the worker before the loop
 * comes round. */
static void crowd_call(struct peer peers[CROWD], struct scene *s)
{
    struct reactor_sim_settings at_once = reactor_sim_defaults;
    at_once.link.delay = (struct reactor_sim_span){ 0, 0 };
    reactor_sim_configure(s->rig->reactor, &at_once);
    for (size_t i = 0; i < CROWD; i++)
        peer_call(&peers[i], s, i);
    for (size_t i = 0; i < CROWD; i++) {
        GByteArray *hello = peers[i].tls->out;
        tls_peer_feed(peers[i].tls, slice_of(NULL, 0));
        stream_write(peers[i].caller->stream, slice_of(hello->data, hello->len));
        g_byte_array_set_size(hello, 0);
    }
}

/* False: a crowd has fewer, and time has passed in which nothing happens. */
static bool crowd_step(struct scene *s, size_t events)
{
    msec_t soon = reactor_now(s->rig->reactor) + TURNS * SOON_MS;
    bool is_there = true;
    for (size_t i = 0; i < events && is_there; i++)
        is_there = reactor_sim_step(s->rig->reactor);
    return is_there && reactor_now(s->rig->reactor) < soon;
}

static void crowd_free(struct peer peers[CROWD])
{
    for (size_t i = 0; i < CROWD; i++)
        peer_free(&peers[i]);
}

/* Some have their turn at a time, and all are answered. */
static void shakes_with_a_crowd(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct peer peers[CROWD];
    crowd_call(peers, s);
    for (size_t i = 0; i < CROWD; i++)
        for (size_t k = 0; k < TURNS; k++)
            peer_step(&peers[i]);
    for (size_t i = 0; i < CROWD; i++)
        assert_got(&peers[i], "220 mx.example.org ESMTP postern\r\n");
    assert_int_equal(counted(s, COUNTER_TLS_HANDSHAKES), CROWD);
    crowd_free(peers);
    scene_free(s, false);
}

/* Others who begin, and say no more, keep nobody from a turn. */
static void answers_a_crowd_that_falls_silent(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct peer peers[CROWD];
    crowd_call(peers, s);
    rig_run_for(s->rig, TURNS * SOON_MS);
    for (size_t i = 0; i < CROWD; i++)
        assert_int_not_equal(peers[i].caller->got->len, 0);
    crowd_free(peers);
    scene_free(s, false);
}

/* A client that waits for nothing: after each event of the handshake's last turn it goes on inside TLS. */
static void takes_what_comes_in_the_last_turn(void **state)
{
    (void)state;
    for (size_t events = 0; events < FEW_EVENTS; events++) {
        struct scene *s = scene_new(WORKER_TLS_OPTIONAL);
        struct reactor_sim_settings slow_jobs = reactor_sim_defaults;
        slow_jobs.link.delay = (struct reactor_sim_span){ 0, 0 };
        slow_jobs.job = (struct reactor_sim_span){ 1000, 1000 };
        reactor_sim_configure(s->rig->reactor, &slow_jobs);
        struct peer p;
        peer_call(&p, s, 0);
        rig_say(s->rig, p.caller, "EHLO x.example\r\nSTARTTLS\r\n");
        g_string_truncate(p.caller->got, 0);
        tls_peer_feed(p.tls, slice_of(NULL, 0));
        peer_step(&p);
        stream_write(p.caller->stream, slice_of(p.tls->out->data, p.tls->out->len));
        g_byte_array_set_size(p.tls->out, 0);
        for (size_t i = 0; i < events; i++)
            (void)reactor_sim_step(s->rig->reactor);
        peer_say(&p, "EHLO y.example\r\n" MESSAGE);
        assert_got(&p, "250-mx.example.org\r\n*250 2.0.0 Delivered*");
        peer_free(&p);
        scene_free(s, false);
    }
}

/* Some are gone as soon as they have begun, and after each event of it all but the last: whoever waits for a
 * turn leaves the row. */
static void goes_on_without_who_has_left(void **state)
{
    (void)state;
    bool is_soon = true;
    for (size_t events = 0; is_soon; events++) {
        struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
        struct peer peers[CROWD], *last = &peers[CROWD - 1];
        crowd_call(peers, s);
        for (size_t i = 0; i + 1 < CROWD; i += 2)
            stream_close(g_steal_pointer(&peers[i].caller->stream));
        is_soon = crowd_step(s, events);
        for (size_t i = 0; i + 1 < CROWD; i++)
            stream_abort(g_steal_pointer(&peers[i].caller->stream));
        for (size_t k = 0; k < TURNS; k++)
            peer_step(last);
        if (is_soon)
            assert_got(last, "220 mx.example.org ESMTP postern\r\n");
        crowd_free(peers);
        scene_free(s, false);
    }
}

/* ---- what should not ---- */

static void assert_failed(struct scene *s, const struct caller *c, const char *reason, uint64_t good_ones)
{
    assert_true(c->ended);
    assert_logged(s, "event=handshake-failed ");
    assert_logged(s, reason);
    assert_int_equal(counted(s, COUNTER_TLS_FAILURES), 1);
    assert_int_equal(counted(s, COUNTER_TLS_HANDSHAKES), good_ones);
}

static void ends_who_is_silent(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct caller *c = rig_call(s->rig, 0, 0);
    rig_run_for(s->rig, RIG_HANDSHAKE_MS - LATER_MS);
    assert_false(c->ended);
    rig_run_for(s->rig, 2 * LATER_MS);
    assert_failed(s, c, "reason=timeout", 0);
    scene_free(s, false);
}

/* An octet now and then does not lengthen it. */
static void ends_who_drips(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_OPTIONAL);
    struct peer p;
    peer_call(&p, s, 0);
    rig_say(s->rig, p.caller, "EHLO x.example\r\nSTARTTLS\r\n");
    tls_peer_feed(p.tls, slice_of(NULL, 0));
    size_t sent = 0;
    while (!p.caller->ended && sent < p.tls->out->len) {
        stream_write(p.caller->stream, slice_of(p.tls->out->data + sent++, 1));
        rig_run_for(s->rig, LATER_MS);
    }
    assert_true(sent <= RIG_HANDSHAKE_MS / LATER_MS + 1);
    assert_failed(s, p.caller, "reason=timeout", 0);
    peer_free(&p);
    scene_free(s, false);
}

static void refuses_what_is_no_handshake(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct caller *c = rig_call(s->rig, 0, 0);
    rig_say(s->rig, c, "EHLO x.example\r\n");
    rig_run_for(s->rig, LATER_MS);
    assert_null(strstr(c->got->str, "220"));
    assert_failed(s, c, "reason=", 0);
    scene_free(s, false);
}

/* Cut off in the middle: whoever cuts could otherwise decide what a client has said. */
static void believes_no_cut(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct peer p;
    peer_call(&p, s, 0);
    peer_shake(&p);
    peer_say(&p, "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: "
                 "x\r\n\r\nbody\r\n");
    assert_got(&p, "*\r\n354 *");
    stream_close(g_steal_pointer(&p.caller->stream));
    rig_run_for(s->rig, LATER_MS);
    assert_logged(s, "reason=cut-off");
    assert_int_equal(delivered(), 0);
    peer_free(&p);
    scene_free(s, false);
}

static void tells_of_a_handshake_that_was_cut_off(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct caller *c = rig_call(s->rig, 0, 0);
    stream_write(c->stream, slice_str("\x16\x03\x01"));
    stream_close(g_steal_pointer(&c->stream));
    rig_run_for(s->rig, LATER_MS);
    assert_logged(s, "event=handshake-failed ");
    assert_logged(s, "reason=cut-off");
    assert_int_equal(counted(s, COUNTER_TLS_FAILURES), 1);
    scene_free(s, false);
}

/* One bit of a record: nothing of it is believed, and nothing that comes behind. */
static void ends_a_forged_record(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct peer p;
    peer_call(&p, s, 0);
    peer_shake(&p);
    tls_peer_write(p.tls, slice_str("EHLO x.example\r\n" MESSAGE));
    p.tls->out->data[p.tls->out->len / 2] ^= 1;
    for (size_t i = 0; i < TURNS; i++)
        peer_step(&p);
    assert_true(p.caller->ended);
    assert_logged(s, "event=tls-failed ");
    assert_int_equal(counted(s, COUNTER_TLS_FAILURES), 0); /* those of handshakes */
    assert_int_equal(delivered(), 0);
    peer_free(&p);
    scene_free(s, false);
}

/* A worker that ends says so behind the handshake, and waits for none that stands still: nothing in clear. */
static void drains_behind_the_handshake(void **state)
{
    (void)state;
    struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
    struct caller *silent = rig_call(s->rig, 0, 0);
    struct peer p;
    peer_call(&p, s, 1);
    tls_peer_feed(p.tls, slice_of(NULL, 0));
    peer_step(&p);
    worker_drain(s->rig->workers[0], 2 * SMTP_SHUT_GRACE_MS);
    for (size_t i = 0; i < TURNS; i++)
        peer_step(&p);
    assert_got(&p, "220 *421 4.3.2 *");
    assert_true(p.tls->is_ended);
    assert_logged(s, "reason=shutting-down");
    assert_false(silent->ended);
    rig_run_for(s->rig, SMTP_SHUT_GRACE_MS);
    assert_failed(s, silent, "reason=timeout", 1);
    assert_int_equal(silent->got->len, 0);
    peer_free(&p);
    scene_free(s, true);
}

/* After each event of a crowd's handshakes: who waits for a turn has it yet. */
static void drains_a_crowd(void **state)
{
    (void)state;
    bool is_soon = true;
    for (size_t events = 0; is_soon; events++) {
        struct scene *s = scene_new(WORKER_TLS_IMPLICIT);
        struct peer peers[CROWD];
        crowd_call(peers, s);
        is_soon = crowd_step(s, events);
        worker_drain(s->rig->workers[0], SMTP_SHUT_GRACE_MS);
        for (size_t k = 0; k < TURNS; k++)
            for (size_t i = 0; i < CROWD; i++)
                peer_step(&peers[i]);
        for (size_t i = 0; i < CROWD && is_soon; i++) {
            assert_got(&peers[i], "220 *421 4.3.2 *");
            assert_true(peers[i].caller->ended);
        }
        crowd_free(peers);
        scene_free(s, true);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("secured");
    suite_add(s, "a message inside TLS", delivers_inside, NULL);
    suite_add(s, "what came before close_notify", carries_out_what_came_before_the_end, NULL);
    suite_add(s, "STARTTLS forgets XCLIENT", forgets_who_it_was, NULL);
    suite_add(s, "many handshakes at once", shakes_with_a_crowd, NULL);
    suite_add(s, "many handshakes that stop halfway", answers_a_crowd_that_falls_silent, NULL);
    suite_add(s, "who says more in its last turn", takes_what_comes_in_the_last_turn, NULL);
    suite_add(s, "who waits for its turn vanishes", goes_on_without_who_has_left, NULL);
    suite_add(s, "a silent client", ends_who_is_silent, NULL);
    suite_add(s, "a client that drips", ends_who_drips, NULL);
    suite_add(s, "no handshake at all", refuses_what_is_no_handshake, NULL);
    suite_add(s, "cut off in a message", believes_no_cut, NULL);
    suite_add(s, "cut off in a handshake", tells_of_a_handshake_that_was_cut_off, NULL);
    suite_add(s, "a forged record", ends_a_forged_record, NULL);
    suite_add(s, "a worker that ends", drains_behind_the_handshake, NULL);
    suite_add(s, "a worker that ends in a crowd", drains_a_crowd, NULL);
    return suite_run(s, argc, argv);
}
