#include "suite.h"

#include "disk/disk_sim.h"
#include "rig.h"

/* ---- callers ---- */

static void on_read(void *owner, struct slice bytes)
{
    struct caller *c = owner;
    g_string_append_len(c->got, (const char *)bytes.data, (gssize)bytes.len);
}

static void on_end(void *owner, int error)
{
    struct caller *c = owner;
    c->ended = true;
    c->reset = error < 0;
}

void rig_run_for(struct rig *rig, msec_t time)
{
    reactor_sim_run_until(rig->reactor, reactor_now(rig->reactor) + time);
}

struct caller *rig_call(struct rig *rig, size_t number, size_t worker)
{
    static const struct stream_events events = { .on_read = on_read, .on_end = on_end };
    struct caller *c = &rig->callers[number];
    const struct net_address *to = &rig->listeners[worker].address;
    c->got = g_string_new(NULL);
    assert_int_equal(
        stream_connect(rig->reactor, (const struct sockaddr *)&to->storage, to->len, &events, c, &c->stream),
        0);
    stream_set_reading(c->stream, true);
    rig_run_for(rig, SOON_MS);
    return c;
}

void rig_say(struct rig *rig, struct caller *c, const char *text)
{
    g_string_truncate(c->got, 0);
    stream_write(c->stream, slice_str(text));
    rig->writes = 0;
    rig_run_for(rig, SOON_MS);
}

/* ---- the workers ---- */

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct rig *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    struct rig *rig = owner;
    assert_true(level < PST_LOG_PANIC);
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    g_string_append_len(rig->told, line, (gssize)len);
}

static void on_event(void *owner, int64_t now_us, const char *what, uint64_t object, int64_t amount)
{
    (void)now_us, (void)object, (void)amount;
    struct rig *rig = owner;
    rig->writes += strcmp(what, "write") == 0;
}

static void on_drained(void *owner)
{
    ((struct rig *)owner)->drained++;
}

void rig_add_worker(struct rig *rig, uint64_t connections)
{
    size_t i = rig->worker_count++;
    g_autofree char *address = g_strdup_printf("127.0.0.1:%zu", 25 + i);
    rig->listeners[i] = rig->like;
    rig->listeners[i].name = "inbound";
    rig->listeners[i].protocol = rig->protocol;
    rig->listeners[i].fd = -1;
    assert_int_equal(net_address_parse(address, &rig->listeners[i].address), 0);
    struct worker_settings *s = &rig->settings[i];
    *s = (struct worker_settings){
        .hostname = "mx.example.org",
        .limits = { .connections = connections, .handshake_timeout = RIG_HANDSHAKE_MS },
        .router = rig->router,
        .handlers = rig->handlers,
        .tls = rig->tls,
        .auth = rig->auth,
        .listeners = &rig->listeners[i],
        .listener_count = 1,
        .shares = rig->shares,
        .share_count = i + 1,
        .workers = i + 1,
        .number = i,
        .share = i,
        .connections_here = MAX(connections, 100),
        .leaving_here = WORKER_LEAVING_MAX,
    };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &s->smtp);
    option_set_defaults(guard_limit_rows, guard_limit_row_count, &s->guard);
    s->limits.received_fields = 100;
    rig->settings[0].share_count = rig->settings[0].workers = i + 1;
    REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
    assert_int_equal(worker_new(rig->reactor, s, &rig->log, on_drained, rig, &rig->workers[i]), 0);
}

struct rig *rig_begin(enum smtp_protocol protocol, uint64_t seed)
{
    struct rig *rig = g_new0(struct rig, 1);
    disk_sim_reset(seed);
    static const char *const subs[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(subs); i++) {
        g_autofree char *path = g_strdup_printf("/mail/alice/%s", subs[i]);
        disk_sim_mkdir_all(path);
    }
    rig->protocol = protocol;
    rig->reactor = reactor_sim_new(seed);
    reactor_sim_watch(rig->reactor, on_event, rig);
    rig->router = router_new();
    rig->told = g_string_new(NULL);
    rig->log = (struct pst_log){ .wall_us = wall_us, .write = write_log, .owner = rig };
    assert_int_equal(
        router_add_domain(rig->router, "example.org", &(struct domain_options){ .maildirs = "/mail" }), 0);
    return rig;
}

struct rig *rig_new(enum smtp_protocol protocol, uint64_t connections)
{
    struct rig *rig = rig_begin(protocol, 1);
    rig_add_worker(rig, connections);
    return rig;
}

void rig_clear(struct rig *rig)
{
    for (size_t i = 0; i < RIG_CALLERS; i++)
        stream_abort(g_steal_pointer(&rig->callers[i].stream));
    reactor_run(rig->reactor);
    assert_int_equal(rig->drained, rig->worker_count);
    assert_int_equal(reactor_free(rig->reactor), 0);
    g_auto(GStrv) staged = disk_sim_names("/mail/alice/tmp");
    assert_int_equal(g_strv_length(staged), 0);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    for (size_t i = 0; i < RIG_CALLERS; i++)
        if (rig->callers[i].got != NULL)
            g_string_free(rig->callers[i].got, TRUE);
    g_string_free(rig->told, TRUE);
    router_free(rig->router);
    g_free(rig);
}

void rig_end(struct rig *rig)
{
    for (size_t i = 0; i < RIG_CALLERS; i++)
        stream_abort(g_steal_pointer(&rig->callers[i].stream));
    rig_run_for(rig, LATER_MS);
    for (size_t i = 0; i < rig->worker_count; i++) {
        assert_int_equal(rig->shares[i].connections, 0);
        REACTOR_SIM_AS(REACTOR_SIM_PROGRAM);
        worker_drain(rig->workers[i], 1000);
    }
    rig_clear(rig);
}
