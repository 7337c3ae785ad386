#include "scene_internal.h"

#include "suite.h"

#include <string.h>

enum {
    JOB_MS = 40, /* half of it before it runs */
    LONG_ENOUGH_MS = 5000,
    DRAIN_MS = 60000,
    WALL_S = 1795296824,
    QUOTA = 1000000,
    LEFT_ALONE_S = 120,     /* nobody is about to reserve any of it */
    STALE_S = 37 * 60 * 60, /* older than what may stay in tmp/ */
    SWEPT_MS = 120000,      /* after its start, a worker has removed that */
};

/* Of the mailboxes, the last one may lie on the other disk, in a domain of its own. */
static bool is_on_other_disk(const struct scene *s, size_t box)
{
    return s->plan->two_disks && box == s->plan->recipients - 1;
}

char *scene_box_path(const struct scene *s, size_t box, const char *sub)
{
    bool folder = s->plan->has_folder && box == 0;
    return g_strdup_printf("/%s/box%zu/%s%s", is_on_other_disk(s, box) ? "other" : "mail", box,
                           folder ? ".lists/" : "", sub);
}

char *scene_box_address(const struct scene *s, size_t box)
{
    return g_strdup_printf("box%zu@example.%s", box, is_on_other_disk(s, box) ? "net" : "org");
}

static char *recipient_address(const struct scene *s, size_t recipient)
{
    if (s->plan->has_alias && recipient == 0)
        return g_strdup("team@example.org");
    if (s->plan->has_folder && recipient == 0)
        return g_strdup("box0+lists@example.org");
    return scene_box_address(s, recipient);
}

bool scene_reaches(const struct scene *s, size_t recipient, size_t box)
{
    return recipient == box || (s->plan->has_alias && recipient == 0 && box == 1);
}

/* ---- a client ---- */

enum { GREETING, HELLO, MAIL, RCPT, DATA, CONTENT, QUIT, NOTHING };

static void say(struct scene_client *c, const char *text, int awaits)
{
    c->awaits = awaits;
    stream_write(c->stream, slice_str(text));
}

static void leave(struct scene_client *c)
{
    stream_abort(g_steal_pointer(&c->stream));
}

static void send_rcpt(struct scene_client *c)
{
    g_autofree char *address = recipient_address(c->scene, c->asked);
    g_autofree char *text = g_strdup_printf("RCPT TO:<%s>\r\n", address);
    say(c, text, RCPT);
}

static void send_content(struct scene_client *c)
{
    size_t len = c->abandons ? c->wire->len / 2 : c->wire->len;
    c->asked = 0;
    c->awaits = CONTENT;
    stream_write(c->stream, slice_of(c->wire->str, len));
}

static void on_rcpt_reply(struct scene_client *c, unsigned code)
{
    c->codes[c->asked++] = code == 250 ? 0 : code;
    if (c->asked < c->scene->plan->recipients)
        send_rcpt(c);
    else
        say(c, "DATA\r\n", DATA);
}

/* LMTP tells of each recipient that was accepted, SMTP of all of them at once. */
static void on_last_reply(struct scene_client *c, unsigned code)
{
    bool lmtp = c->scene->plan->protocol == SMTP_PROTOCOL_LMTP;
    size_t count = c->scene->plan->recipients, answered = 0;
    for (; c->asked < count && (answered == 0 || !lmtp); c->asked++) {
        if (c->codes[c->asked] != 0)
            continue;
        c->codes[c->asked] = code;
        answered++;
    }
    assert_true(answered > 0);
    bool more = false;
    for (size_t i = c->asked; i < count; i++)
        more = more || c->codes[i] == 0;
    if (!more)
        say(c, "QUIT\r\n", QUIT);
}

static void on_reply(struct scene_client *c, unsigned code)
{
    bool lmtp = c->scene->plan->protocol == SMTP_PROTOCOL_LMTP;
    switch (c->awaits) {
    case GREETING:
        say(c, lmtp ? "LHLO client.example.com\r\n" : "EHLO client.example.com\r\n", HELLO);
        break;
    case HELLO:
        say(c, "MAIL FROM:<sender@example.com>\r\n", MAIL);
        break;
    case MAIL:
        send_rcpt(c);
        break;
    case RCPT:
        on_rcpt_reply(c, code);
        break;
    case DATA:
        if (code == 354)
            send_content(c);
        else
            say(c, "QUIT\r\n", QUIT); /* nobody was accepted */
        break;
    case CONTENT:
        on_last_reply(c, code);
        break;
    case QUIT:
        assert_int_equal(code, 221);
        c->awaits = NOTHING;
        leave(c);
        break;
    default:
        fail_msg("a reply that nobody asked for: %u", code);
    }
}

static void on_read(void *owner, struct slice bytes)
{
    struct scene_client *c = owner;
    for (size_t i = 0; i < bytes.len && c->stream != NULL; i++) {
        g_string_append_c(c->line, (char)bytes.data[i]);
        if (bytes.data[i] != '\n')
            continue;
        assert_true(c->line->len >= 6 && g_str_has_suffix(c->line->str, "\r\n"));
        unsigned code = (unsigned)g_ascii_strtoull(c->line->str, NULL, 10);
        bool last = c->line->str[3] == ' ';
        g_string_truncate(c->line, 0);
        if (last)
            on_reply(c, code);
    }
}

static void on_connected(void *owner, int error)
{
    struct scene_client *c = owner;
    assert_int_equal(error, 0);
    stream_set_reading(c->stream, true);
}

static void on_end(void *owner, int error)
{
    (void)error;
    fail_msg("the worker left a client that was to be told %d", ((struct scene_client *)owner)->awaits);
}

static void make_message(struct scene_client *c, size_t number)
{
    c->wire = g_string_new(NULL);
    c->stored = g_string_new(NULL);
    g_autofree char *subject = g_strdup_printf("Subject: message %zu of %s", number, c->scene->plan->name);
    const char *edited = c->scene->plan->handler != SCENE_NO_HANDLER ? SCENE_EDITED : "";
    g_string_append_printf(c->stored, "%s%s\n\n", edited, subject);
    g_string_append_printf(c->wire, "%s\r\n\r\n", subject);
    for (size_t line = 0; c->stored->len < c->scene->plan->size; line++) {
        g_autofree char *text = g_strnfill(line * 7 % 900, (char)('a' + number));
        g_string_append_printf(c->stored, "%zu %s\n", line, text);
        g_string_append_printf(c->wire, "%zu %s\r\n", line, text);
    }
    g_string_append(c->wire, ".\r\n");
}

static void client_start(struct scene *s, bool abandons)
{
    static const struct stream_events events = { .on_connected = on_connected,
                                                 .on_read = on_read,
                                                 .on_end = on_end };
    size_t number = s->client_count++;
    struct scene_client *c = &s->clients[number];
    const struct net_address *to = &s->listener.address;
    c->scene = s;
    c->abandons = abandons;
    c->line = g_string_new(NULL);
    c->awaits = GREETING;
    make_message(c, number);
    assert_int_equal(
        stream_connect(s->reactor, (const struct sockaddr *)&to->storage, to->len, &events, c, &c->stream),
        0);
}

/* ---- the scene ---- */

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct scene *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)owner, (void)line, (void)len;
    assert_true(level < PST_LOG_PANIC);
}

static void on_drained(void *owner)
{
    ((struct scene *)owner)->drained = true;
}

static void make_box(const struct scene *s, size_t box)
{
    static const char *const subs[] = { "tmp", "new", "cur" };
    bool missing = s->plan->creates && box == 0, half = s->plan->creates && box == 1;
    for (size_t i = 0; i < (missing ? 0 : half ? 1 : G_N_ELEMENTS(subs)); i++) {
        g_autofree char *path = scene_box_path(s, box, subs[i]);
        disk_sim_mkdir_all(path);
        g_autofree char *inbox = g_strdup_printf("/mail/box%zu/%s", box, subs[i]);
        disk_sim_mkdir_all(inbox);
    }
}

static void make_disk(const struct scene *s)
{
    disk_sim_reset(1);
    disk_sim_set_time(WALL_S * INT64_C(1000000));
    disk_sim_mount("/mail", !s->plan->syncs_each);
    disk_sim_mount("/other", !s->plan->syncs_each);
    for (size_t box = 0; box < SCENE_BOXES; box++)
        make_box(s, box);
    if (s->plan->has_quota && !s->plan->creates)
        disk_sim_write_file("/mail/box0/maildirsize",
                            slice_str(s->plan->seems_full ? "1000000S\n1000000 9\n" : "1000000S\n0 0\n"));
    disk_sim_set_time((WALL_S + (s->plan->seems_full ? LEFT_ALONE_S : 0)) * INT64_C(1000000));
    disk_sim_write_file("/aliases", slice_str("team: box0, box1\n"));
}

/* Jobs are so much slower than what is said that all clients have said theirs when the first commit ends. */
static void make_reactor(struct scene *s, uint64_t seed)
{
    s->reactor = reactor_sim_new(seed);
    struct reactor_sim_settings settings = reactor_sim_defaults;
    settings.job = (struct reactor_sim_span){ JOB_MS * 500, JOB_MS * 500 };
    settings.connect.max_us = settings.link.delay.max_us = 10;
    reactor_sim_configure(s->reactor, &settings);
}

static void make_worker(struct scene *s)
{
    s->drained = false;
    s->log = (struct pst_log){ .wall_us = wall_us, .write = write_log, .owner = s };
    s->listener = (struct worker_listener){ .name = "mail", .protocol = s->plan->protocol, .fd = -1 };
    assert_int_equal(net_address_parse("127.0.0.1:25", &s->listener.address), 0);
    s->settings = (struct worker_settings){
        .hostname = "mx.example.org",
        .limits = { .connections = 100 },
        .sync = s->plan->sync,
        .single_instance = s->plan->shares_file,
        .router = s->router,
        .listeners = &s->listener,
        .listener_count = 1,
        .shares = &s->share,
        .share_count = 1,
        .workers = 1,
        .connections_here = 100,
    };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &s->settings.smtp);
    option_set_defaults(guard_limit_rows, guard_limit_row_count, &s->settings.guard);
    scene_add_handlers(s);
    assert_int_equal(worker_new(s->reactor, &s->settings, &s->log, on_drained, s, &s->worker), 0);
}

static void make_router(struct scene *s)
{
    static const struct table_rules rules = { .follows = true };
    struct diag problems = { NULL };
    s->aliases = table_open("/aliases", &rules, (struct origin){ "test", 1 }, &problems);
    assert_non_null(s->aliases);
    const struct domain_options mail = { .maildirs = "/mail",
                                         .aliases = s->plan->has_alias ? s->aliases : NULL,
                                         .subaddress = "+",
                                         .quota = s->plan->has_quota ? QUOTA : 0,
                                         .create = s->plan->creates };
    const struct domain_options other = { .maildirs = "/other" };
    s->router = router_new();
    assert_int_equal(router_add_domain(s->router, "example.org", &mail), 0);
    assert_int_equal(router_add_domain(s->router, "example.net", &other), 0);
}

void scene_init(struct scene *s, const struct scene_plan *plan)
{
    assert_true(plan->clients <= SCENE_CLIENTS && plan->recipients <= SCENE_BOXES);
    *s = (struct scene){ .plan = plan };
    make_disk(s);
    make_reactor(s, 1);
    make_router(s);
    make_worker(s);
}

static void run_until(struct scene *s, msec_t later_ms)
{
    reactor_sim_run_until(s->reactor, reactor_now(s->reactor) + later_ms);
}

/* All have been served, and the worker lets go of everything. */
static void end(struct scene *s)
{
    for (size_t i = 0; i < s->client_count; i++) {
        struct scene_client *c = &s->clients[i];
        assert_true(c->awaits == NOTHING || (c->abandons && c->awaits == CONTENT));
        if (c->stream != NULL)
            leave(c);
    }
    worker_drain(s->worker, DRAIN_MS);
    reactor_run(s->reactor);
    assert_true(s->drained);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    assert_int_equal(reactor_free(g_steal_pointer(&s->reactor)), 0);
}

void scene_run(struct scene *s)
{
    size_t early = s->plan->clients - s->plan->late;
    while (s->client_count < early)
        client_start(s, s->plan->abandons);
    /* A job for each look-up and one for the first message; then the batch is under way. */
    run_until(s, (msec_t)(s->plan->recipients + 1) * JOB_MS + JOB_MS / 2);
    while (s->client_count < s->plan->clients)
        client_start(s, s->plan->abandons);
    run_until(s, LONG_ENOUGH_MS);
    end(s);
}

void scene_resume(struct scene *s)
{
    make_reactor(s, 2);
    run_until(s, STALE_S * INT64_C(1000));
    disk_sim_set_time((WALL_S + STALE_S) * INT64_C(1000000));
    make_worker(s);
    run_until(s, SWEPT_MS);
    size_t staged = scene_staged(s);
    assert_true(staged == 0 || s->plan->creates); /* what is half a maildir is not swept */
    client_start(s, false);
    run_until(s, LONG_ENOUGH_MS);
    for (size_t i = 0; i < s->plan->recipients; i++)
        assert_int_equal(s->clients[s->client_count - 1].codes[i], 250);
    end(s);
    assert_in_range(scene_staged(s), 0, staged);
}

static void client_clear(struct scene_client *c)
{
    g_string_free(c->wire, TRUE);
    g_string_free(c->stored, TRUE);
    g_string_free(c->line, TRUE);
}

void scene_forget(struct scene *s)
{
    client_clear(&s->clients[--s->client_count]);
}

void scene_clear(struct scene *s)
{
    while (s->client_count > 0)
        scene_forget(s);
    router_free(s->router);
    table_free(s->aliases);
}
