#include "world.h"

#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "client.h"
#include "disk/disk_sim.h"
#include "reactor/reactor_sim.h"
#include "worker/worker.h"

enum { CLIENTS_MAX = 6, STEPS_MAX = 2000000, DRAIN_MS = 60000 };

struct world {
    struct pst_random random;
    struct reactor *reactor;
    struct router *router;
    struct worker *worker;
    bool proxied; /* all clients come through a proxy */
    bool drained;
    struct client *clients[CLIENTS_MAX];
    size_t client_count;
    GPtrArray *sent; /* struct sent * */
};

static uint64_t pick(struct world *w, uint64_t limit)
{
    return pst_random_below(&w->random, limit);
}

static void sent_free(void *data)
{
    struct sent *s = data;
    g_bytes_unref(s->body);
    g_free(s);
}

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct world *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    const struct world *w = owner;
    assert_true(level < PST_LOG_PANIC);
    assert_true(len > 1 && line[len - 1] == '\n' && memchr(line, '\n', len - 1) == NULL);
    if (memmem(line, len, "event=session-opened ", 21) != NULL)
        assert_int_equal(memmem(line, len, "client=" CLIENT_PROXIED " ", 17) != NULL, w->proxied);
}

static void on_drained(void *owner)
{
    ((struct world *)owner)->drained = true;
}

/* ---- what must hold ---- */

/* A stored message's trace header, which ends with Received; what follows begins at *ret_body. */
static void check_trace(const char *file, bool utf8, const char **ret_body)
{
    assert_true(g_str_has_prefix(file, utf8 ? "Return-Path: <s\xc3\xa9nder@example.net>\nDelivered-To: "
                                            : "Return-Path: <sender@example.net>\nDelivered-To: "));
    const char *at = strstr(file, "\nReceived: ");
    assert_non_null(at);
    do
        at = strchr(at + 1, '\n');
    while (at != NULL && (at[1] == '\t' || at[1] == ' '));
    assert_non_null(at);
    *ret_body = at + 1;
}

static bool ends_with(const char *file, size_t len, GBytes *body)
{
    size_t body_len;
    const void *data = g_bytes_get_data(body, &body_len);
    return len >= body_len && memcmp(file + len - body_len, data, body_len) == 0;
}

static size_t times_there(const struct sent *s)
{
    g_autofree char *dir = g_strdup_printf("/mail/%s/new", s->box);
    g_auto(GStrv) names = disk_sim_names(dir);
    size_t times = 0;
    for (size_t i = 0; names[i] != NULL; i++) {
        size_t len;
        g_autofree char *path = g_strdup_printf("%s/%s", dir, names[i]);
        g_autofree char *file = disk_sim_read_file(path, &len);
        if (!ends_with(file, len, s->body))
            continue;
        const char *body;
        check_trace(file, s->utf8, &body);
        assert_int_equal(len - (size_t)(body - file), g_bytes_get_size(s->body));
        times++;
    }
    return times;
}

static size_t names_in(const char *box, const char *sub)
{
    g_autofree char *dir = g_strdup_printf("/mail/%s/%s", box, sub);
    g_auto(GStrv) names = disk_sim_names(dir);
    return g_strv_length(names);
}

/* Whatever is visible is some client's whole message, and for whom; what was answered is there, once. */
static void check_mail(const struct world *w, bool after_crash)
{
    size_t visible = 0, explained = 0;
    for (guint i = 0; i < w->sent->len; i++) {
        const struct sent *s = g_ptr_array_index(w->sent, i);
        size_t times = times_there(s);
        explained += times;
        assert_true(times <= 1);
        if (s->outcome == SENT_KEPT)
            assert_int_equal(times, 1);
        /* Of two calls that fail, one may be that which takes back what the other spoilt: then it is there
         * whole, and the sender's second try makes it two. */
        if (s->outcome == SENT_REFUSED && !after_crash && disk_sim_failures() < 2)
            assert_int_equal(times, 0);
    }
    for (size_t b = 0; b < CLIENT_BOXES; b++)
        visible += names_in(client_boxes[b], "new");
    assert_int_equal(visible, explained);
}

static void check_nothing_left(struct world *w)
{
    assert_true(w->drained);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    for (size_t b = 0; b < CLIENT_BOXES && disk_sim_failures() == 0; b++)
        assert_int_equal(names_in(client_boxes[b], "tmp"), 0);
    assert_int_equal(reactor_free(w->reactor), 0);
}

/* ---- the making of a world ---- */

static void make_disk(struct world *w, uint64_t seed)
{
    disk_sim_reset(seed);
    for (size_t b = 0; b < CLIENT_BOXES; b++) {
        static const char *const subs[] = { "tmp", "new", "cur" };
        for (size_t i = 0; i < G_N_ELEMENTS(subs); i++) {
            g_autofree char *path = g_strdup_printf("/mail/%s/%s", client_boxes[b], subs[i]);
            disk_sim_mkdir_all(path);
        }
    }
    static const int errors[] = { EIO, ENOSPC, EDQUOT, EMFILE };
    for (uint64_t faults = pick(w, 4); faults > 1; faults--)
        disk_sim_fail((struct disk_sim_fault){ .nth = 1 + pick(w, 200),
                                               .error = errors[pick(w, G_N_ELEMENTS(errors))],
                                               .forgets = pick(w, 2) == 0 });
}

static void make_network(struct world *w)
{
    struct reactor_sim_settings settings = reactor_sim_defaults;
    static const size_t segments[] = { 3, 40, 600, 9000, 60000 };
    settings.link.segment_min = 1;
    settings.link.segment_max = segments[pick(w, G_N_ELEMENTS(segments))];
    settings.job.max_us =
        pick(w, 4) == 0 ? 90 * 1000000 : (int64_t)pick(w, 50000); /* longer than a drain's patience */
    settings.job.min_us = 0;
    reactor_sim_configure(w->reactor, &settings);
}

static void make_clients(struct world *w, const struct net_address *smtp, const struct net_address *lmtp)
{
    w->client_count = 1 + pick(w, CLIENTS_MAX);
    for (size_t i = 0; i < w->client_count; i++) {
        bool is_lmtp = pick(w, 3) == 0;
        w->clients[i] =
            client_new(w->reactor, is_lmtp ? lmtp : smtp, is_lmtp, w->proxied, &w->random, w->sent);
    }
}

static bool all_clients_done(const struct world *w)
{
    for (size_t i = 0; i < w->client_count; i++)
        if (!client_is_done(w->clients[i]))
            return false;
    return true;
}

/* Runs until all have left, or, in some worlds, the server is told to stop in the middle. */
static void run(struct world *w)
{
    uint64_t stop_at = pick(w, 4) == 0 ? pick(w, 3000) : UINT64_MAX;
    uint64_t steps = 0;
    while (!all_clients_done(w) && steps < stop_at) {
        assert_true(reactor_sim_step(w->reactor));
        if (++steps % 2000 == 0)
            check_mail(w, false);
        assert_true(steps < STEPS_MAX); /* every world ends */
    }
    worker_drain(w->worker, DRAIN_MS);
    reactor_run(w->reactor);
    assert_true(all_clients_done(w));
}

void world_run(uint64_t seed)
{
    static const enum disk_sim_policy policies[] = { DISK_SIM_LOSE, DISK_SIM_KEEP, DISK_SIM_SEEDED };
    struct world w = { .sent = g_ptr_array_new_with_free_func(sent_free) };
    struct net_address smtp, lmtp;
    pst_random_seed(&w.random, seed);
    assert_int_equal(net_address_parse("127.0.0.1:25", &smtp), 0);
    assert_int_equal(net_address_parse("unix:/lmtp", &lmtp), 0);
    make_disk(&w, seed);
    w.reactor = reactor_sim_new(seed);
    make_network(&w);
    w.router = router_new();
    assert_int_equal(
        router_add_domain(w.router, "example.org", &(struct domain_options){ .maildirs = "/mail" }), 0);

    struct pst_log log = { .wall_us = wall_us, .write = write_log, .owner = &w };
    struct worker_share share = { 0 };
    auto_ptr(net_networks) proxies = NULL;
    w.proxied = pick(&w, 3) == 0;
    if (w.proxied)
        assert_int_equal(net_networks_parse("0.0.0.0/0, unix", &proxies, NULL), 0);
    const struct worker_listener listeners[] = {
        { .name = "smtp", .protocol = SMTP_PROTOCOL_SMTP, .address = smtp, .fd = -1, .proxy = proxies },
        { .name = "lmtp", .protocol = SMTP_PROTOCOL_LMTP, .address = lmtp, .fd = -1, .proxy = proxies },
    };
    struct worker_settings settings = {
        .hostname = "mx.example.org",
        .limits = { .connections = pick(&w, 3) == 0 ? 1 + pick(&w, 3) : 100 },
        .router = w.router,
        .listeners = listeners,
        .listener_count = G_N_ELEMENTS(listeners),
        .shares = &share,
        .share_count = 1,
        .workers = 1,
        .connections_here = 100,
        .leaving_here = WORKER_LEAVING_MAX,
    };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &settings.smtp);
    settings.limits.received_fields = 100;
    if (pick(&w, 4) == 0)
        settings.smtp.message_size = 50 + pick(&w, 600); /* too little for some */
    assert_int_equal(worker_new(w.reactor, &settings, &log, on_drained, &w, &w.worker), 0);

    make_clients(&w, &smtp, &lmtp);
    run(&w);
    assert_int_equal(share.connections, 0);
    check_mail(&w, false);
    check_nothing_left(&w);
    disk_sim_heal();
    disk_sim_crash(policies[pick(&w, G_N_ELEMENTS(policies))]);
    check_mail(&w, true);

    for (size_t i = 0; i < w.client_count; i++)
        client_free(w.clients[i]);
    g_ptr_array_unref(w.sent);
    router_free(w.router);
    disk_sim_reset(0);
}
